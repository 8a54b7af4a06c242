"""A local page: drop a recording, look at it, stage it, correct it, take the result away."""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass
from typing import Literal

from command_line import run


@dataclass(frozen=True)
class Config:
    """Serve the page of Nightstack on this machine.

    Examples:
      python app.py
      python app.py --port 8080 --stager tinysleepnet-sleepedf
      python app.py --host 0.0.0.0 --token choose-your-own
    """

    host: str = "127.0.0.1"  # address to serve on; any other than this machine's own wants a token
    port: int = 8050  # port to serve on
    token: str = ""  # wanted from every visitor; made up and printed where it is needed
    max_upload_mb: int = 1000  # largest recording that is taken, MB
    keep_minutes: float = 120.0  # uploads of a visitor are removed after so long without a request
    workers: int = 1  # nights staged at a time; others wait in a queue
    stager: str = "yasa"  # chosen when the page opens: yasa, or weights by name
    # correction chosen when the page opens
    decoder: Literal["greedy", "beam", "viterbi", "posterior", "denoiser", "none"] = "greedy"
    device: Literal["auto", "cpu", "cuda"] = "auto"  # where networks run
    dry_run: bool = False  # start, and stop at once

    def __post_init__(self) -> None:
        for name in ("max_upload_mb", "keep_minutes", "workers"):
            if getattr(self, name) <= 0:
                raise ValueError(f"--{name.replace('_', '-')} must be more than 0")


def main(cfg: Config) -> int:
    """Serve until Ctrl+C."""
    from web.settings import Settings, is_loopback

    token = cfg.token or ("" if is_loopback(cfg.host) else secrets.token_urlsafe(16))
    settings = Settings(
        host=cfg.host,
        port=cfg.port,
        token=token,
        max_upload_bytes=cfg.max_upload_mb * 10**6,
        stager=cfg.stager,
        decoder=cfg.decoder,
        device=cfg.device,
        n_stagers=cfg.workers,
        keep_s=60 * cfg.keep_minutes,
    )
    try:
        from web.server import serve
    except ImportError as error:
        raise ImportError(f"{error}; pip install -r requirements-web.txt") from None
    door = f"/login#{token}" if token else "/"  # what stands behind # never reaches a log
    address = f"Nightstack: http://{cfg.host}:{cfg.port}{door}   (Ctrl+C ends it)"

    def announce() -> None:
        sys.stdout.write(f"{address}\n")
        sys.stdout.flush()

    serve(settings, announce, ready=cfg.dry_run)
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main, Config))
