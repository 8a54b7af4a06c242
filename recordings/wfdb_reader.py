"""WFDB records (PhysioNet): a `.hea` text beside signal files of format 16, 24, 32, 61, 80 or 212.

P2018 stores format 16 inside MAT v4 files; the 24 bytes of their matrix header are the `+24` of the
format field, so the same code reads them.

References
----------
WFDB header file format, https://physionet.org/physiotools/wag/header-5.htm;
signal formats, https://physionet.org/physiotools/wag/signal-5.htm
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from functools import cached_property
from itertools import groupby
from pathlib import Path

import numpy as np

from recordings.recording import Channel, Recording, RecordingError
from recordings.units import to_microvolt

# format: bytes of a sample, and the value that marks a sample that was not measured
FORMATS = {
    "16": (Fraction(2), -(2**15)),
    "24": (Fraction(3), -(2**23)),
    "32": (Fraction(4), -(2**31)),
    "61": (Fraction(2), -(2**15)),
    "80": (Fraction(1), -(2**7)),
    "212": (Fraction(3, 2), -(2**11)),
}
_FORMAT = re.compile(r"(\d+)(?:x(\d{1,4}))?(?::(\d{1,9}))?(?:\+(\d{1,9}))?")
_GAIN = re.compile(r"([-+]?[\d.]+(?:[eE][-+]?\d{1,2})?)(?:\(([-+]?\d{1,10})\))?(?:/(\S+))?")
_RATE = re.compile(r"(\d{1,9}(?:\.\d{0,12})?)(?:/.*)?(?:\(.*\))?")


@dataclass(frozen=True)
class Signal:
    """One signal line of the header; `gain` is None when the record is not calibrated."""

    file: str
    format: str
    per_frame: int
    skew: int
    skip_bytes: int
    gain: float | None
    baseline: int
    unit: str
    label: str


@dataclass(frozen=True)
class Header:
    """The header of a record of one segment; `n_frames` is 0 when it is not told."""

    frame_rate_hz: Fraction
    n_frames: int
    start: datetime | None
    signals: tuple[Signal, ...]
    notes: tuple[str, ...]


class WfdbRecording(Recording):
    """A WFDB record, opened by its `.hea` file (or the `.mat` or `.dat` file beside it).

    Raises
    ------
    RecordingError
        If the header is unreadable, the record has several segments, its format is another one, or
        its signal files are missing or empty.

    Notes
    -----
    Samples marked as not measured become zeros; the first `read` of such a channel adds a note.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        header = self._header = read_header(self.path.with_suffix(".hea"))
        groups = [list(group) for _, group in groupby(header.signals, key=lambda s: s.file)]
        self._files = [_SignalFile(self.path, group) for group in groups]
        present = min(file.n_frames for file in self._files)
        notes = list(header.notes)
        if header.n_frames and header.n_frames != present:
            notes.append(f"header counts {header.n_frames} frames; the files hold {present}")
        self._n_frames = min(header.n_frames or present, present)
        self._places = [(file, i) for file in self._files for i in range(len(file.signals))]
        self.start = header.start
        self.duration_s = float(self._n_frames / header.frame_rate_hz)
        self.annotations, self.gaps = (), ()
        self.channels = tuple(map(self._channel, range(len(header.signals)), header.signals))
        self.notes = (
            *notes,
            *(f"#{c.position} is dead: {c.dead}" for c in self.channels if c.dead),
        )

    def read(self, which: str | int, dtype: type = np.float32) -> np.ndarray:
        """Return the samples (n,) of one channel in `Channel.unit`, as float32 or float64.

        Raises
        ------
        RecordingError
            If the channel is unknown or dead.
        """
        channel = self.channel(which)
        signal = self._header.signals[channel.position]
        if channel.dead or signal.gain is None:
            name = f"{self.path.name}: channel {channel.label!r} (#{channel.position})"
            raise RecordingError(f"{name} cannot be used: {channel.dead}; choose another")
        stored = self.digital(channel.position)
        gain = to_microvolt(signal.unit)[1] / signal.gain
        samples = (stored - np.float64(signal.baseline)) * gain
        unmeasured = stored == FORMATS[signal.format][1]
        if unmeasured.any():
            self._note(f"#{channel.position}: {unmeasured.sum()} samples not measured, read as 0")
            samples[unmeasured] = 0
        return samples.astype(dtype, copy=False)

    def digital(self, which: str | int) -> np.ndarray:
        """Return the stored integers (n,) of one channel: a check, not a signal."""
        file, place = self._places[self.channel(which).position]
        return file.column(place)[: self._n_frames].reshape(-1)

    def _channel(self, position: int, signal: Signal) -> Channel:
        """Describe one signal."""
        dead = "" if signal.gain else "its header gives no gain: it is not calibrated"
        if signal.skew:
            dead = f"skewed by {signal.skew} samples against the others"
        return Channel(
            position=position,
            label=signal.label,
            rate_hz=self._header.frame_rate_hz * signal.per_frame,
            unit=to_microvolt(signal.unit)[0],
            n_samples=self._n_frames * signal.per_frame,
            dead=dead,
            unit_in_file=signal.unit,
        )

    def _note(self, text: str) -> None:
        """Keep a note once."""
        if text not in self.notes:
            self.notes = (*self.notes, text)


class _SignalFile:
    """One signal file: frames that hold `per_frame` samples of each of its signals in turn."""

    def __init__(self, path: Path, signals: Sequence[Signal]) -> None:
        self.signals = signals
        first = signals[0]
        file = path.with_name(first.file)
        self._ends = np.cumsum([signal.per_frame for signal in signals]).tolist()
        try:
            self._bytes = np.memmap(file, np.uint8, "r")[first.skip_bytes :]
        except (OSError, ValueError) as error:  # missing, or of no bytes
            reason = f"its signal file {first.file} is missing or empty"
            raise RecordingError(f"{path.name}: {reason}; put it beside the header") from error
        self._format = first.format
        sample_bytes, _ = FORMATS[first.format]
        self.n_frames = int(len(self._bytes) / sample_bytes) // self._ends[-1]
        if not self.n_frames:
            raise RecordingError(f"{path.name}: empty: {first.file} holds no samples; get it again")

    def column(self, place: int) -> np.ndarray:
        """Return the integers (n_frames, per_frame) of the signal at `place` in this file."""
        begin = self._ends[place] - self.signals[place].per_frame
        return self._frames[:, begin : self._ends[place]]

    @cached_property
    def _frames(self) -> np.ndarray:
        """Decode all samples: integers (n_frames, samples of a frame)."""
        width = self._ends[-1]
        count = self.n_frames * width
        return _decode(self._bytes, self._format, count).reshape(self.n_frames, width)


def read_header(path: Path) -> Header:
    """Read a `.hea` file; its comments are skipped, they can identify a person.

    Raises
    ------
    RecordingError
        If it is missing, unreadable, of several segments or of an unknown signal format.
    """
    try:
        text = path.read_text(encoding="latin-1")
    except OSError as error:
        raise RecordingError(f"{path.name}: cannot be opened: {error.strerror}") from None
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    fields = lines[0].split() if lines else []
    if len(fields) < 2 or not fields[1].isdecimal():
        raise _refusal(path, "its first line names no number of signals")
    if "/" in fields[0]:
        reason = "a record of several segments"
        raise RecordingError(f"{path.name}: {reason}; join them first, with `wfdbcat` for example")
    n_signals = int(fields[1])
    rate = _RATE.fullmatch(fields[2]) if len(fields) > 2 else None
    if not rate or not Fraction(rate[1]):
        raise _refusal(path, "it names no sampling rate")
    if not 0 < n_signals <= len(lines) - 1:
        raise _refusal(path, f"it promises {n_signals} signals and describes {len(lines) - 1}")
    start, notes = _start(fields[4:6])
    signals = tuple(_signal(path, i, line) for i, line in enumerate(lines[1 : 1 + n_signals]))
    n_frames = int(fields[3]) if len(fields) > 3 and fields[3].isdecimal() else 0
    return Header(Fraction(rate[1]), n_frames, start, signals, notes)


def _refusal(path: Path, reason: str) -> RecordingError:
    """Return the refusal of a header."""
    return RecordingError(f"{path.name}: unreadable header: {reason}; get the file again")


def _signal(path: Path, position: int, line: str) -> Signal:
    """Read the line of one signal: file, format, gain and, at its end, the label."""
    fields = line.split(None, 8)
    layout = _FORMAT.fullmatch(fields[1]) if len(fields) > 1 else None
    if not layout or Path(fields[0]).name != fields[0] or int(layout[2] or 1) < 1:
        raise _refusal(path, f"the line of signal {position} is damaged")
    if layout[1] not in FORMATS:
        reason = f"signal format {layout[1]} is not read here ({', '.join(FORMATS)} are)"
        raise RecordingError(f"{path.name}: {reason}; convert it with `xform`")
    calibration = _GAIN.fullmatch(fields[2]) if len(fields) > 2 else None
    zero = int(fields[4]) if len(fields) > 4 and re.fullmatch(r"[-+]?\d{1,10}", fields[4]) else 0
    gain, baseline, unit = calibration.groups() if calibration else (None, None, None)
    return Signal(
        file=fields[0],
        format=layout[1],
        per_frame=int(layout[2] or 1),
        skew=int(layout[3] or 0),
        skip_bytes=int(layout[4] or 0),
        gain=_finite(gain),
        baseline=zero if baseline is None else int(baseline),
        unit=unit or "mV",  # header-5: the default unit
        label=fields[8].strip() if len(fields) > 8 else f"signal {position}",
    )


def _finite(text: str | None) -> float | None:
    """Return a gain that can be divided by, else None."""
    try:
        gain = float(text or 0)
    except ValueError:
        return None
    return gain if 1e-30 < abs(gain) < 1e30 else None


def _start(fields: Sequence[str]) -> tuple[datetime | None, tuple[str, ...]]:
    """Return the clock of the first sample from `hh:mm:ss[.sss]` and `dd/mm/yyyy`."""
    clock = (
        re.fullmatch(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(\.\d{1,6})?", fields[0]) if fields else None
    )
    day = re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", fields[1]) if len(fields) > 1 else None
    try:
        hour, minute, second = map(int, clock.groups()[:3]) if clock else (24, 0, 0)
        micro = round(float(clock[4] or 0) * 1e6) if clock else 0
        start = datetime(1985, 1, 1, hour, minute, second, micro)
    except ValueError:
        return None, ()
    try:
        number, month, year = map(int, day.groups()) if day else (0, 0, 0)
        return start.replace(year, month, number), ()
    except ValueError:
        return start, ("start date is not given; only the time of day is known",)


def _decode(raw: np.ndarray, form: str, count: int) -> np.ndarray:
    """Decode `count` samples of uint8 bytes in one of `FORMATS`; whole-byte formats stay mapped."""
    if form in ("16", "61", "32"):
        item = {"16": "<i2", "61": ">i2", "32": "<i4"}[form]
        return np.frombuffer(raw, item, count)
    if form == "80":  # offset binary
        return raw[:count].astype(np.int16) - 128
    if form == "24":
        wide = np.zeros((count, 4), dtype=np.uint8)
        wide[:, 1:] = raw[: 3 * count].reshape(count, 3)
        return wide.view("<i4")[:, 0] >> 8
    return _decode_212(raw, count)


def _decode_212(raw: np.ndarray, count: int) -> np.ndarray:
    """Decode format 212: two 12-bit samples in three bytes."""
    pairs = np.zeros(((count + 1) // 2, 3), dtype=np.uint8)
    pairs.reshape(-1)[: min(len(raw), pairs.size)] = raw[: pairs.size]
    first, middle, second = pairs.astype(np.int16).T
    samples = np.empty((len(pairs), 2), dtype=np.int16)
    samples[:, 0] = (middle & 0x0F) << 8 | first
    samples[:, 1] = (middle & 0xF0) << 4 | second
    samples -= (samples & 0x800) << 1  # bit 11 is the sign
    return samples.reshape(-1)[:count]
