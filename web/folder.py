"""The folder that holds every upload: made by this server, removed with it, or by the next one.

A server that is killed outright leaves its folder behind. In each folder lies a file that tells
which process made it, and since when; the process holds a lock on that file, which the system lets
go of however the process ends. What has no such file was not made here and is never touched.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import IO

PREFIX = "nightstack-page-"
MARK = "server.json"


class UploadFolder:
    """A temporary folder of this process, for this user's eyes only.

    Attributes
    ----------
    path : Path
    """

    def __init__(self) -> None:
        remove_dead(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._mark = _lock_mark(self.path)

    def remove(self) -> None:
        """Remove the folder and let go of it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._mark.close()


def remove_dead(parent: Path) -> list[Path]:
    """Remove the folders of servers that live no more, and return them.

    Only folders of this user with the mark of a server in them, whose lock nobody holds.
    """
    found = [mark.parent for mark in sorted(parent.glob(f"{PREFIX}*/{MARK}")) if _is_dead(mark)]
    for folder in found:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def _lock_mark(folder: Path) -> IO[str]:
    """Write who made a folder, locked before anybody can see it."""
    temporary = folder / f"{MARK}.tmp"
    mark = temporary.open("w", encoding="utf-8")
    fcntl.flock(mark, fcntl.LOCK_EX)
    made = {"pid": os.getpid(), "started": datetime.now().isoformat(timespec="seconds")}
    mark.write(json.dumps(made) + "\n")
    mark.flush()
    temporary.replace(folder / MARK)
    return mark


def _is_dead(mark: Path) -> bool:
    """Whether a mark is this user's, in a folder of this user, and no process holds it."""
    folder = mark.parent
    try:
        if folder.is_symlink() or mark.is_symlink() or folder.stat().st_uid != os.getuid():
            return False
        with mark.open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            told = json.load(file)
            return isinstance(told, dict) and told.keys() == {"pid", "started"}
    except (
        OSError,
        ValueError,
    ):  # held by a server that lives, removed by another just now, or of others
        return False
