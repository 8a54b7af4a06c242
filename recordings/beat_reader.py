"""Tables of beat intervals: a recording of one channel, the heart rate.

A table with a column `rr_s` (seconds; one interval, or all of an epoch separated by blanks) and
perhaps `time` (start of the row, `h:mm:ss`), as CSV, packed or not. Stages in it are read
by `recordings.scoring`.
"""

from __future__ import annotations

import csv
import gzip
import io
from fractions import Fraction
from pathlib import Path

import numpy as np

from nights.stages import EPOCH_S
from recordings.recording import Channel, Recording, RecordingError

HEART_HZ = Fraction(
    4
)  # the tachogram of the Task Force (1996): twice the fastest variation and more
_COLUMN = "rr_s"


class BeatRecording(Recording):
    """A table of beat intervals, its heart rate at 4 Hz as the channel `HR`.

    Attributes
    ----------
    beats_s : float64 array (n,)
        Times of the beats in seconds from the start of the first epoch.

    Raises
    ------
    RecordingError
        If the table has no column `rr_s`, or an interval or a time in it is no number.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.start, self.annotations = path, None, ()
        rows_s, intervals = _read(path)
        self.beats_s, self.duration_s = _placed(rows_s, intervals)
        from recordings.beats import heart_rate_signal

        rate = heart_rate_signal(self.beats_s, int(self.duration_s // EPOCH_S), float(HEART_HZ))
        self._rate = rate.ravel()
        if not np.isfinite(self._rate).any():
            raise RecordingError(f"{path.name}: no interval of 0.3 to 2 s; are they in seconds?")
        self.gaps = _stretches(np.isnan(self._rate), float(HEART_HZ))
        self.channels = (Channel(0, "HR", HEART_HZ, "bpm", len(self._rate)),)
        self.notes = (f"heart rate of {len(self.beats_s)} beat intervals",)

    def read(self, which: str | int, dtype: type = np.float32) -> np.ndarray:
        """Return beats per minute (n,); in gaps the line between the rates beside it."""
        self.channel(which)
        known = np.flatnonzero(np.isfinite(self._rate))
        return np.interp(np.arange(len(self._rate)), known, self._rate[known]).astype(dtype)


def has_intervals(path: Path) -> bool:
    """Return whether a file is a table of beat intervals; its first line tells."""
    try:
        with _opened(path) as file:
            return _COLUMN in file.readline(1000).strip().split(",")
    except (OSError, EOFError, UnicodeDecodeError):
        return False


def _opened(path: Path) -> io.TextIOBase:
    """Open a table as text, unpacked when it is packed."""
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")  # type: ignore[return-value]
    return path.open(encoding="utf-8", newline="")


def _read(path: Path) -> tuple[list[float], list[list[float]]]:
    """Return the time of each row (NaN when there is none) and its intervals."""
    times, intervals = [], []
    with _opened(path) as file:
        table = csv.DictReader(file)
        if _COLUMN not in (table.fieldnames or ()):
            raise RecordingError(f"{path.name}: a table without a column {_COLUMN}")
        for number, row in enumerate(table, start=2):
            try:
                intervals.append([float(text) for text in (row[_COLUMN] or "").split()])
                times.append(_seconds(row.get("time")))
            except ValueError as error:
                raise RecordingError(f"{path.name}: line {number}: {error}") from None
    return times, intervals


def _seconds(text: str | None) -> float:
    """Return `h:mm:ss`, `m:ss` or seconds as seconds, NaN for nothing."""
    if not text:
        return float("nan")
    return sum(float(part) * 60**power for power, part in enumerate(reversed(text.split(":"))))


def _placed(rows_s: list[float], intervals: list[list[float]]) -> tuple[np.ndarray, float]:
    """Return the times of the beats and the length of the recording, in seconds.

    The intervals follow one another; rows that the table leaves out move what comes after them.
    """
    counts = [len(row) for row in intervals]
    beats_s = np.cumsum([rr for row in intervals for rr in row], dtype=np.float64)
    if not rows_s or np.isnan(rows_s).any():
        return beats_s, float(beats_s[-1]) if beats_s.size else 0.0
    left_out_s = np.array(rows_s) - EPOCH_S * np.arange(len(rows_s))
    return beats_s + np.repeat(left_out_s, counts), rows_s[-1] + EPOCH_S


def _stretches(flags: np.ndarray, rate_hz: float) -> tuple[tuple[float, float], ...]:
    """Return (from_s, to_s) of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return tuple((first / rate_hz, end / rate_hz) for first, end in edges.reshape(-1, 2).tolist())
