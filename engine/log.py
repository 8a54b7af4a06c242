"""The run folder: what was asked, on which machine, and one line of JSON per pass."""

from __future__ import annotations

import json
import logging
import platform
import resource
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from nights.atomic import write_text

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("torch", "numpy", "scipy", "safetensors", "mne", "yasa")

logger = logging.getLogger("nightstack")


class RunFolder:
    """Folder of one training run: config.json, env.json, log.jsonl, last.pt, best.safetensors.

    Parameters
    ----------
    path : Path
        Made if it is not there.
    resume : bool
        Continue the run in the folder. Without it a folder that holds a run is refused.

    Raises
    ------
    FileExistsError
        If the folder holds a run already and `resume` is not set.
    FileNotFoundError
        If there is nothing to resume.
    """

    def __init__(self, path: Path, *, resume: bool = False) -> None:
        self.path = path
        self.config, self.environment = path / "config.json", path / "env.json"
        self.log_file, self.last = path / "log.jsonl", path / "last.pt"
        self.best, self.card = path / "best.safetensors", path / "best.json"
        if resume and not self.last.exists():
            raise FileNotFoundError(f"{path}: holds no last.pt, so there is nothing to resume")
        if not resume and self.log_file.exists():
            raise FileExistsError(f"{path}: holds a run; continue it with --resume or name another")
        path.mkdir(parents=True, exist_ok=True)
        if not resume:
            write_text(self.environment, json.dumps(environment(), indent=2) + "\n")

    def log(self, row: dict[str, Any]) -> None:
        """Append one pass to log.jsonl and show it on the console."""
        with self.log_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        shown = (f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
        logger.info("  ".join(shown))

    def rows(self) -> list[dict[str, Any]]:
        """Return the passes logged so far."""
        if not self.log_file.exists():
            return []
        return [json.loads(line) for line in self.log_file.read_text("utf-8").splitlines()]

    def keep_rows(self, n_passes: int) -> None:
        """Drop what was logged after pass `n_passes`: a resumed run repeats those passes."""
        kept = [row for row in self.rows() if row["pass"] <= n_passes]
        write_text(self.log_file, "".join(json.dumps(row) + "\n" for row in kept))


def environment() -> dict[str, Any]:
    """Return versions, commit and machine of this process, for env.json."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor()
    return {
        "python": sys.version.split()[0],
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "commit": _commit(),
        "system": platform.platform(),
        "device": device or platform.machine(),
        "threads": torch.get_num_threads(),
    }


def peak_memory_mb() -> float:
    """Return the most memory this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _commit() -> str:
    """Return the commit of the code that runs; empty outside a checkout."""
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except OSError:  # no git on this machine
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
