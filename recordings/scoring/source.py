"""What every parser of scoring files starts from (`Source`) and returns (`Parsed`)."""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from nights.hypnogram import Hypnogram
from nights.stages import StageMap
from recordings.recording import RecordingError

MAX_BYTES = 64 * 2**20  # the longest scoring texts known are below 1 MB
NO_DATE = datetime(1985, 1, 1)  # the date of EDF+ for "not known": a time of day, no date

Kind = Literal["stage", "event", "either"]


class Mark(NamedTuple):
    """A line of a scoring file.

    `onset_s` counts as `Parsed.time` says. `duration_s` is 0 when the file gives none, NaN when
    the stage holds until the next one. `kind` says whether the line must be a stage, must be an
    event, or is a stage only if the stage map lists its label.
    """

    onset_s: float
    duration_s: float
    label: str
    kind: Kind = "either"


@dataclass(frozen=True)
class Parsed:
    """What a parser found, before it is placed on the recording.

    Parameters
    ----------
    marks : tuple of Mark
        Timed lines, in the order of the file.
    time : str
        `elapsed`: onsets count from the first sample; `file`: from the file's own `start`, which
        may be another; `clock`: seconds of the day; `date`: seconds since `NO_DATE`.
    codes : tuple of str
        For files that are a plain list: one label per `code_s`, from the first sample.
    stage_map : str or StageMap
        How the format writes stages.
    start : datetime or None
        The file's own zero, when it tells.
    duration_s : float or None
        Length of the recording, when the file tells.
    wake_gaps : bool
        The format leaves wake out.
    hypnogram : Hypnogram or None
        For our own files, which hold a whole hypnogram.
    notes : tuple of str
        Repairs and guesses.
    """

    marks: tuple[Mark, ...] = ()
    time: Literal["elapsed", "file", "clock", "date"] = "elapsed"
    codes: tuple[str, ...] = ()
    code_s: float | None = None
    stage_map: str | StageMap = "words"
    start: datetime | None = None
    duration_s: float | None = None
    wake_gaps: bool = False
    hypnogram: Hypnogram | None = None
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Wanted:
    """What the caller asks of a parser: column, session, seconds per code, samples per second.

    `stage_map` is the caller's own: a plain list may then hold every label that it lists.
    """

    column: str | None = None
    session: str | None = None
    code_s: float | None = None
    rate_hz: float | None = None
    stage_map: str | StageMap | None = None


@dataclass(frozen=True)
class Source:
    """A scoring file, read once and only as far as needed."""

    path: Path

    def refuse(self, reason: str) -> RecordingError:
        """Return the error that names this file and the reason."""
        return RecordingError(f"{self.path.name}: {reason}")

    @cached_property
    def head(self) -> bytes:
        """The first bytes, enough to tell a container."""
        with self.path.open("rb") as file:
            return file.read(1024)

    @cached_property
    def content(self) -> bytes:
        """The whole file, unpacked when it is gzip; never more than `MAX_BYTES`."""
        try:
            opened = gzip.open if self.head[:2] == b"\x1f\x8b" else open
            with opened(self.path, "rb") as file:
                content = file.read(MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise self.refuse(f"cannot be read ({error})") from error
        if len(content) > MAX_BYTES:
            raise self.refuse("is larger than any scoring file (64 MiB)")
        return content

    @cached_property
    def text(self) -> str:
        """The content as text, empty when it is not text.

        UTF-16 needs its byte order mark; else UTF-8, else Latin-1.
        """
        content = self.content
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return content.decode("utf-16", errors="replace")
        if re.search(rb"[\x00-\x08\x0e-\x19\x1c-\x1f]", content):
            return ""
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            return content.decode("latin-1")

    @cached_property
    def lines(self) -> list[str]:
        """Lines that hold something, ends stripped; CR, LF and CR LF all end a line."""
        return [line.rstrip() for line in re.split(r"[\r\n]+", self.text) if line.strip()]


_CLOCK = re.compile(r"(\d{1,2})[:.](\d{2})[:.](\d{2}(?:[.,]\d+)?)\s*([AaPp][Mm])?")
_DATE = re.compile(r"(\d{1,4})[/.-](\d{1,2})[/.-](\d{1,4})[ T]+(.+)")


def number(text: str) -> float:
    """Return a finite number, NaN when the text is none; a decimal comma is one."""
    try:
        value = float(text.strip().replace(",", "."))
    except ValueError:
        return float("nan")
    return value if np.isfinite(value) else float("nan")


def clock_seconds(text: str) -> float:
    """Return the second of the day of `22:31:09`, `6.52.17`, `10:31:09 PM`, else NaN."""
    found = _CLOCK.fullmatch(text.strip())
    if not found:
        return float("nan")
    hour, minute, second = int(found[1]), int(found[2]), float(found[3].replace(",", "."))
    if found[4]:
        hour = hour % 12 + (12 if found[4].lower() == "pm" else 0)
    return hour * 3600 + minute * 60 + second if hour < 24 and minute < 60 else float("nan")


def is_date(text: str) -> bool:
    """Return whether a field is a date with a time of day, in whatever order."""
    return _DATE.fullmatch(text.strip()) is not None


def date_seconds(text: str, *, month_first: bool = False) -> float:
    """Return seconds from `NO_DATE` to `15/01/2016 22:30:00` or `2016-01-15 22:30:00`, else NaN."""
    found = _DATE.fullmatch(text.strip())
    clock_s = clock_seconds(found[4]) if found else float("nan")
    if not found or np.isnan(clock_s):
        return float("nan")
    a, b, c = int(found[1]), int(found[2]), int(found[3])
    year, month, day = (a, b, c) if a > 31 else (c, a, b) if month_first else (c, b, a)
    try:
        return (datetime(year, month, day) - NO_DATE).total_seconds() + clock_s
    except ValueError:
        return float("nan")
