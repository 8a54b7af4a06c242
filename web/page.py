"""What the page can do with the nights of a visitor; `web.routes` gives it addresses."""

from __future__ import annotations

import asyncio
import json
import queue
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from evaluation import export
from evaluation.plain import plain
from evaluation.plots.style import COLOURS, TOP_TO_BOTTOM
from nights.hypnogram import Hypnogram
from recordings.channels import TARGETS
from web import work
from web.crew import Crew, Job, Work, one_thread
from web.pyramid import Shown, key_of, read_piece
from web.refusal import Refusal
from web.review import Change, Review, listed
from web.settings import Settings
from web.uploads import check_announced, receive, shown_name
from web.visitors import Night, Visitors

EXPORTS: dict[str, tuple[Callable[[Hypnogram, Path], None], str]] = {
    "csv": (export.write_csv, "text/csv; charset=utf-8"),
    "edf": (export.write_edfplus, "application/octet-stream"),
    "txt": (export.write_txt, "text/plain; charset=utf-8"),
    "xlsx": (
        export.write_xlsx,
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    "json": (export.write_json, "application/json"),
}
MOST_COLUMNS, MOST_SIGNALS = 4000, 64  # of one view: a wide screen, a large montage
_FLAG = re.compile(r"name one with --channel \S+", re.IGNORECASE)  # what a command line is told
_WATCH_S = 0.05  # how often an answer that waits for a job looks at it


class Page:
    """The services behind the page.

    Two crews work side by side: one looks into files and draws, which takes a moment, so that
    nobody waits for a picture because another's night is being staged.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        one_thread()
        self.settings = settings
        self.visitors = Visitors(settings)
        self.readers, self.stagers = Crew(1), Crew(settings.n_stagers)
        self._offered = self.stagers.submit(work.offered)
        self.stagers.submit(work.warm, settings.stager, settings.decoder, settings.device)
        self.readers.submit(work.ready)

    def close(self) -> None:
        """End the processes and remove every upload."""
        self.readers.close()
        self.stagers.close()
        self.visitors.close()  # last: nobody writes any more

    def refuse_unknown(self) -> None:
        """Raise for a stager chosen at the start that nobody could choose; YASA is always here.

        Raises
        ------
        ValueError
            If there is no such stager, or its weights are not on this machine.
        """
        if self.settings.stager == work.YASA:
            return
        self._offered.finished.wait()
        if self._offered.state != "done":
            raise ValueError(self._offered.error)
        if reason := _not_offered(self._offered.result["stagers"], self.settings.stager):
            raise ValueError(f"--stager {self.settings.stager}: {reason}")

    async def about(self) -> dict[str, Any]:
        """Return what can be asked for, and the limits."""
        return {
            **await self.offered(),
            "stager": self.settings.stager,
            "decoder": self.settings.decoder,
            "targets": {name: target.kind for name, target in TARGETS.items()},
            "colours": COLOURS,
            "top_to_bottom": TOP_TO_BOTTOM,
            "exports": list(EXPORTS),
            "max_upload_bytes": self.settings.max_upload_bytes,
            "max_nights": self.settings.max_nights,
            "keep_minutes": self.settings.keep_s / 60,
        }

    async def offered(self) -> dict[str, Any]:
        """Return what a worker finds on this machine: stagers and decoders."""
        return await _result(self._offered)

    # ------------------------------------------------------------------------------ recordings

    def nights(self, visitor: str) -> list[dict[str, Any]]:
        """Return every night of a visitor."""
        return [self.describe(night) for night in self.visitors.nights(visitor).values()]

    def night(self, visitor: str, night_id: str) -> Night:
        """Return one night of a visitor; nobody else's is ever found."""
        found = self.visitors.nights(visitor).get(night_id)
        if found is None:
            raise Refusal(404, "You have no such night here (any more).")
        return found

    async def upload(
        self, visitor: str, name: str, announced: int | None, pieces: AsyncIterator[bytes]
    ) -> dict[str, Any]:
        """Take a recording in, and begin to look into it and to draw it."""
        limit = self.settings.max_upload_bytes
        check_announced(announced, limit, self.visitors.folder)
        begun = time.monotonic()
        with self.visitors.upload(visitor, shown_name(name)) as night:
            night.path = await receive(pieces, night.folder, limit)
            night.n_bytes = night.path.stat().st_size
            if announced is not None and night.n_bytes != announced:
                raise Refusal(400, "The upload was cut off.")
            night.upload_s = time.monotonic() - begun
            night.jobs["look"] = self._submit(self.readers, work.look, night.path)
            night.jobs["draw"] = self._submit(
                self.readers, work.draw, night.path, night.signals, ()
            )
        return self.describe(night)

    def remove(self, night: Night, visitor: str) -> None:
        """Remove a recording and all that was made of it."""
        self.visitors.remove(visitor, night)

    def describe(self, night: Night) -> dict[str, Any]:
        """Return what is known of a night, and how far its jobs are."""
        return plain(
            {
                "id": night.id,
                "name": night.name,
                "title": night.title,
                "show_file_name": night.show_file_name,
                "bytes": night.n_bytes,
                "upload_s": round(night.upload_s, 3),
                "recording": night.facts,
                "channels": night.channels,
                "montage": night.montage or (night.facts or {}).get("montage"),
                "signals": [signal.to_json() for signal in night.shown],
                "jobs": {name: self._progress(night, job) for name, job in night.jobs.items()},
                "staged": _is_staged(night),
            }
        )

    async def choose(self, night: Night, channels: dict[str, str]) -> list[dict[str, Any]]:
        """Take the channels named by hand and return what is found with them."""
        job = self._submit(self.readers, work.choose, night.path, channels)
        montage = night.montage = await _result(job, night)
        night.channels = channels
        known = {shown.key for shown in night.shown}
        leads = {(row["plus"], row["minus"]) for row in montage if row["minus"] is not None}
        new = [lead for lead in leads if key_of(lead) not in known]
        if new and night.jobs["draw"].finished.is_set():
            more = self._submit(self.readers, work.draw, night.path, night.signals, new)
            night.drawn_by_hand += [Shown(**row) for row in await _result(more, night)]
        return montage

    def view(
        self, night: Night, keys: Sequence[str], from_s: float, to_s: float, n_columns: int
    ) -> bytes:
        """Return a stretch of some signals: length of a head (uint32), a JSON head, int16 numbers.

        The head lists for each signal its `key`, `count` (numbers), `width` (1: samples, 2: lowest
        and highest of a column), `from_s` and `step_s`; value = centre + step * number, as
        `signals` of the night tells. Everything is little-endian.
        """
        if not (np.isfinite([from_s, to_s]).all() and from_s < to_s):
            raise Refusal(422, "from_s must be less than to_s.")
        shown = {signal.key: signal for signal in night.shown}
        head, body = [], []
        for key in keys[:MOST_SIGNALS]:
            if key not in shown:
                raise Refusal(404, f"Signal {key!r} cannot be drawn (yet).")
            piece = read_piece(night.signals, shown[key], from_s, to_s, n_columns)
            values = piece.values if piece else np.zeros((0,), np.int16)
            width = 1 if values.ndim == 1 else 2
            place = {"from_s": piece.from_s, "step_s": piece.step_s} if piece else {}
            head.append({"key": key, "count": values.size, "width": width, **place})
            body.append(values.astype("<i2").tobytes())
        text = json.dumps({"from_s": from_s, "to_s": to_s, "signals": head}).encode()
        text += b" " * (-len(text) % 4)
        return len(text).to_bytes(4, "little") + text + b"".join(body)

    # --------------------------------------------------------------------------------- staging

    async def stage(
        self, night: Night, *, stager: str, decoder: str, channels: dict[str, str], vote: bool
    ) -> dict[str, Any]:
        """Queue a night for staging; what was staged of it before is given up."""
        offered = await self.offered()
        if reason := _not_offered(offered["stagers"], stager):  # the name could else be a path
            raise Refusal(422, reason)
        if decoder not in offered["decoders"]:
            raise Refusal(
                422, f"No decoder {decoder!r}; there are {', '.join(offered['decoders'])}."
            )
        await self.choose(night, channels)
        if (running := night.jobs.get("stage")) is not None:
            running.stop()
        order = work.Order(night.title, stager, decoder, channels, vote, self.settings.device)
        night.order, night.review = order, None
        night.jobs["stage"] = self._submit(
            self.stagers, work.stage, night.path, night.results, order
        )
        return self.describe(night)

    def review(self, night: Night) -> Review:
        """Return the staged night in the visitor's hands."""
        if not _is_staged(night):
            raise Refusal(409, "This night is not staged yet.")
        with night.lock:
            if night.review is None:
                assert night.order is not None  # what is staged was ordered
                night.review = Review(night.jobs["stage"].result)
                night.reported = (night.review.version, night.order.name)
            return night.review

    def result(self, night: Night) -> dict[str, Any]:
        """Return stages, hypnodensity, statistics, alarms and the queue of doubt."""
        review = self.review(night)
        with night.lock:
            return plain(review.result())

    def change(self, night: Night, make: Callable[[Review], list[Change]]) -> dict[str, Any]:
        """Change stages, and return the changes with everything that follows from them."""
        review = self.review(night)
        with night.lock:
            changes = make(review)
            classes = review.staged.hypnogram.classes
            return plain(review.summary() | {"changes": listed(changes, classes)})

    # ------------------------------------------------------------------------------- take away

    def export(self, night: Night, kind: str) -> tuple[bytes, str]:
        """Return the hypnogram as it stands as a file of one kind, and its media type."""
        if kind not in EXPORTS:
            raise Refusal(404, f"No export {kind!r}; there are {', '.join(EXPORTS)}.")
        write, media_type = EXPORTS[kind]
        review = self.review(night)
        path = night.folder / "exports" / f"hypnogram.{kind}"
        with night.lock:  # two downloads at once would write under one temporary name
            write(review.hypnogram, path)
            return path.read_bytes(), media_type

    async def report(self, night: Night) -> bytes:
        """Return the report as the night stands; it is written anew where it differs."""
        review = self.review(night)
        stands = (review.version, night.title)
        assert night.order is not None  # what is staged was ordered
        if stands != night.reported:
            order = replace(night.order, name=night.title)
            uncorrected = review.staged.uncorrected
            arguments = (night.path, night.results, order, review.hypnogram, uncorrected)
            night.jobs["report"] = self._submit(self.stagers, work.report, *arguments)
            await _result(night.jobs["report"], night)
            night.reported = stands
        return (night.results / "report.html").read_bytes()

    def _submit(self, crew: Crew, work: Work, *args: Any) -> Job:
        """Queue a job, or say that too many wait."""
        try:
            return crew.submit(work, *args)
        except queue.Full:
            raise Refusal(503, "Too many jobs wait; try again in a minute.") from None

    def _progress(self, night: Night, job: Job) -> dict[str, Any]:
        """Return how far a job is."""
        return {
            "state": job.state,
            "step": job.step,
            "error": _for_visitor(job.error, night),
            "seconds": {step: round(s, 3) for step, s in job.seconds.items()},
        }


def _not_offered(stagers: Sequence[dict[str, Any]], wanted: str) -> str:
    """Return why a stager, or one of a list `a,b`, cannot be had here; empty when it can."""
    there = {row["name"]: row["there"] for row in stagers}
    for name in wanted.split(","):
        if name not in there:
            here = ", ".join(known for known, is_there in there.items() if is_there)
            return f"No stager {name!r} here; there are {here}."
        if not there[name]:
            return (
                f"No stager {name!r} here: get its weights with python main_weights.py get {name}."
            )
    return ""


def _is_staged(night: Night) -> bool:
    """Whether there is a result to look at."""
    job = night.jobs.get("stage")
    return job is not None and job.state == "done"


async def _result(job: Job, night: Night | None = None) -> Any:
    """Wait for a job and return its result."""
    while not job.finished.is_set():
        await asyncio.sleep(_WATCH_S)
    if job.state != "done":
        reason = _for_visitor(job.error, night) if night else job.error
        raise Refusal(422, reason or "The work was stopped.")
    return job.result


def _for_visitor(error: str, night: Night) -> str:
    """Return an error in the visitor's words: their name of the file, no folder of ours."""
    told = error.replace(f"{night.folder}/", "").replace(night.path.name, night.name)
    return _FLAG.sub("name one under Channels", told)
