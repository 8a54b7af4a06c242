"""Who has which recordings: visitors are kept apart, their folders are removed after them.

All folders lie in one temporary folder that this process made (`web.folder`).
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from web.crew import Job
from web.folder import UploadFolder
from web.pyramid import Shown
from web.refusal import Refusal
from web.review import Review
from web.settings import Settings
from web.work import Order


class Night:
    """One recording of a visitor: its file, what is known of it, and the jobs at work on it.

    Parameters
    ----------
    folder : Path
        Of this night alone.
    name : str
        What the visitor calls it, made safe (`web.uploads.shown_name`).
    number : int
        Which of the visitor's recordings it is, from 1.
    """

    def __init__(self, folder: Path, name: str, number: int) -> None:
        self.id, self.folder, self.name, self.number = folder.name, folder, name, number
        self.show_file_name = False  # in what is taken away: it may name a person
        self.path = folder  # the recording itself, once it is whole
        self.n_bytes, self.upload_s = 0, 0.0
        self.jobs: dict[str, Job] = {}
        self.channels: dict[str, str] = {}  # named by hand
        self.montage: list[dict[str, Any]] | None = None  # found with them
        self.drawn_by_hand: list[Shown] = []  # derivations a person named
        self.order: Order | None = None
        self.review: Review | None = None
        self.reported = (0, "")  # version of the review, and title, of the files in `results`
        self.lock = threading.Lock()

    @property
    def title(self) -> str:
        """What the recording is called in its report."""
        kind = self.path.suffix.removeprefix(".").upper()
        return self.name if self.show_file_name else f"recording {self.number} ({kind})"

    @property
    def stem(self) -> str:
        """What the names of files that are taken away begin with."""
        return self.name if self.show_file_name else f"recording-{self.number}"

    @property
    def signals(self) -> Path:
        """Folder of the pyramid."""
        return self.folder / "signals"

    @property
    def results(self) -> Path:
        """Folder of what staging wrote."""
        return self.folder / "results"

    @property
    def facts(self) -> dict[str, Any] | None:
        """What the recording is, None as long as nobody has looked."""
        job = self.jobs.get("look")
        return job.result if job else None

    @property
    def shown(self) -> list[Shown]:
        """The signals that can be drawn."""
        job = self.jobs.get("draw")
        rows = [Shown(**row) for row in (job.result if job and job.result else [])]
        return [shown for shown in (*rows, *self.drawn_by_hand) if not shown.error]

    @property
    def busy(self) -> bool:
        """Whether a job waits or runs."""
        return any(not job.finished.is_set() for job in self.jobs.values())

    def remove(self) -> None:
        """Stop its jobs, then remove its folder; a job may write until its process is gone."""
        for job in self.jobs.values():
            job.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Visitor:
    """The nights of one visitor, by id."""

    def __init__(self) -> None:
        self.nights: dict[str, Night] = {}
        self.uploading = 0
        self.n_uploads = 0  # of all times: no two recordings of a visitor share a number
        self.seen = time.monotonic()


class Visitors:
    """All visitors with recordings, and the folder that holds them.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._upload_folder = UploadFolder()
        self.folder = self._upload_folder.path
        self._known: dict[str, Visitor] = {}
        self._uploads = 0
        self._leftover: list[Path] = []

    def nights(self, visitor: str) -> dict[str, Night]:
        """Return the nights of a visitor; asking shows that they are still there."""
        known = self._known.get(visitor)
        if known is None:
            return {}
        known.seen = time.monotonic()
        return known.nights

    @contextmanager
    def upload(self, visitor: str, name: str) -> Iterator[Night]:
        """Make a folder for an upload; it is kept only if the block ends well.

        Raises
        ------
        Refusal
            If this visitor, or all together, have too many already.
        """
        owner = self._admit(visitor)
        owner.n_uploads += 1
        night = Night(Path(tempfile.mkdtemp(dir=self.folder)), name, owner.n_uploads)
        owner.uploading += 1
        self._uploads += 1
        try:
            yield night
            owner.nights[night.id] = night
        except BaseException:
            night.remove()
            raise
        finally:
            owner.uploading -= 1
            self._uploads -= 1
            owner.seen = time.monotonic()
            if not (owner.nights or owner.uploading):  # refused: leaves no trace
                self._known.pop(visitor, None)

    def remove(self, visitor: str, night: Night) -> None:
        """Forget one night and remove its folder."""
        self.nights(visitor).pop(night.id, None)
        self._discard(night)

    def forget_idle(self) -> None:
        """Forget visitors who have asked for nothing for too long and have no job at work."""
        for visitor, known in list(self._known.items()):
            idle_s = time.monotonic() - known.seen
            busy = known.uploading or any(night.busy for night in known.nights.values())
            if idle_s > self.settings.keep_s and not busy:
                for night in self._known.pop(visitor).nights.values():
                    self._discard(night)
        for folder in self._leftover:  # a job that was ended may have written once more
            shutil.rmtree(folder, ignore_errors=True)
        self._leftover = [folder for folder in self._leftover if folder.exists()]

    def close(self) -> None:
        """Stop every job and remove everything."""
        for known in self._known.values():
            for night in known.nights.values():
                night.remove()
        self._known.clear()
        self._upload_folder.remove()

    def _admit(self, visitor: str) -> Visitor:
        """Return the visitor who wants to upload, or say why not now."""
        limits = self.settings
        known = self._known.get(visitor)
        if known is None and len(self._known) >= limits.max_visitors:
            raise Refusal(503, "Too many people are here now; try again later.")
        if self._uploads >= limits.max_uploads:
            raise Refusal(503, "Too many uploads are under way; try again in a minute.")
        known = self._known.setdefault(visitor, known or Visitor())
        if len(known.nights) + known.uploading >= limits.max_nights:
            raise Refusal(
                409, f"{limits.max_nights} recordings are kept at a time: remove one first."
            )
        return known

    def _discard(self, night: Night) -> None:
        """Remove a night; look again later where a job was ended."""
        if night.busy:
            self._leftover.append(night.folder)
        night.remove()


def new_id() -> str:
    """Return an id nobody can guess."""
    return secrets.token_urlsafe(24)
