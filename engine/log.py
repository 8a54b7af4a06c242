"""The run folder: what was asked, on which machine, and one line of JSON per evaluation."""

from __future__ import annotations

import json
import logging
import platform
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib import metadata
from pathlib import Path
from typing import Any

from engine import distributed
from engine.writers import Writer, numbers, open_writer
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
    writers : sequence of str
        Who else gets the rows of log.jsonl: names of `engine.writers.WRITERS`.

    Notes
    -----
    Of several processes that `torchrun` started only the first writes; all of them have to see the
    folder.

    Raises
    ------
    FileExistsError
        If the folder holds a run already and `resume` is not set.
    FileNotFoundError
        If there is nothing to resume.
    ImportError
        If a writer needs a package that is not installed.
    """

    def __init__(self, path: Path, *, resume: bool = False, writers: Sequence[str] = ()) -> None:
        self.path = path
        self.config, self.environment = path / "config.json", path / "env.json"
        self.log_file, self.last = path / "log.jsonl", path / "last.pt"
        self.best, self.card = path / "best.safetensors", path / "best.json"
        if resume and not self.last.exists():
            raise FileNotFoundError(f"{path}: holds no last.pt, so there is nothing to resume")
        if not resume and (self.log_file.exists() or self.last.exists()):
            raise FileExistsError(f"{path}: holds a run; continue it with --resume or name another")
        self._writers: list[Writer] = []
        if not distributed.is_first():
            return
        self._writers = [open_writer(name, path) for name in writers]
        path.mkdir(parents=True, exist_ok=True)
        if not resume:
            write_text(self.environment, json.dumps(environment(), indent=2) + "\n")

    def log(self, row: dict[str, Any]) -> None:
        """Append one row to log.jsonl, pass it to the writers and show it on the console."""
        if not distributed.is_first():
            return
        for writer in self._writers:
            writer.log(row["step"], numbers(row))
        with self.log_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        shown = (f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
        logger.info("  ".join(shown))

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows logged so far; one that was cut short while it was written is none."""
        if not self.log_file.exists():
            return []
        lines = self.log_file.read_text("utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def keep_rows(self, n_steps: int) -> None:
        """Drop what was logged after step `n_steps`: a resumed run repeats those steps."""
        if not distributed.is_first():
            return
        kept = [row for row in self.rows() if row["step"] <= n_steps]
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


def memory() -> dict[str, float]:
    """Return the most memory this process has held, in MB, and the most it held on a GPU."""
    import torch

    held = {"memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    if torch.cuda.is_initialized():
        held["gpu_memory_mb"] = torch.cuda.max_memory_allocated() / 2**20
    return held


@contextmanager
def progress(n_steps: int, n_done: int) -> Iterator[Any]:
    """Yield a bar of steps with the time left; shown on a terminal only, by the first process."""
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    hidden = None if distributed.is_first() else True
    with (
        tqdm(total=n_steps, initial=n_done, unit=" steps", disable=hidden, leave=False) as bar,
        logging_redirect_tqdm() if not bar.disable else nullcontext(),
    ):
        yield bar


def _commit() -> str:
    """Return the commit of the code that runs; empty outside a checkout."""
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except OSError:  # no git on this machine
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
