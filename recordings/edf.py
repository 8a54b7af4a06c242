"""EDF, EDF+C, EDF+D and BDF(+) by memory map: exact rates, calibrated samples, every repair noted.

A channel is decoded only when it is asked for, from the file's pages straight into its own array.
What the file leaves in doubt is refused or marked dead; an uncalibrated number is never returned.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np

from recordings.edf_header import Header, Signal, read_header
from recordings.recording import Annotation, Channel, Recording, RecordingError
from recordings.tal import Marks, read_marks
from recordings.units import to_microvolt

MAX_GAP_S = 3600  # a longer pause is another recording (43,194 s were seen in one file)
MAX_GAPS_S = 86400  # of all pauses together: what they cost in memory is not backed by the file
CLOCK_TOLERANCE_S = 0.01  # writers round the onsets of records
BLOCK_SAMPLES = 1 << 16  # 256 kB of float32: a block stays in the cache from cast to offset


@dataclass(frozen=True)
class Run:
    """Data records without a pause between them; `start_s` counts from the first sample."""

    first: int
    n_records: int
    start_s: float


@dataclass(frozen=True)
class Calibration:
    """`digital * gain + offset` in the unit of the channel."""

    gain: float
    offset: float


class EdfRecording(Recording):
    """An EDF or BDF file, opened by its content whatever its suffix.

    Parameters
    ----------
    path : Path or str
        The file; it stays mapped as long as the object lives.

    Raises
    ------
    RecordingError
        If the header leaves the samples in doubt, no data record is there, or records overlap or
        pause for more than an hour.

    Notes
    -----
    Time 0 is the first sample: a fractional onset of the first record is added to `start` and
    subtracted from every annotation. `Channel.limits` are the physical values of the digital
    limits, or of the 16 (24) bits of a sample where the header declares more than they can hold.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        header = read_header(self.path)
        self._header = header
        self._data = _map(self.path, header)
        self._notes = list(header.notes)
        self._columns = _columns(header)
        marks = [self._marks(i) for i, signal in enumerate(header.signals) if signal.is_annotation]
        origin_s, self._runs = self._place(marks[0] if marks else None)
        self.start = header.start and header.start + timedelta(seconds=origin_s)
        self.annotations = _from_origin(marks, origin_s)
        last = self._runs[-1]
        self.duration_s = last.start_s + float(last.n_records * header.record_s)
        self.gaps = tuple(
            (before.start_s + float(before.n_records * header.record_s), after.start_s)
            for before, after in zip(self._runs, self._runs[1:], strict=False)
        )
        signals = [(i, s) for i, s in enumerate(header.signals) if not s.is_annotation]
        self._calibrations = [_calibrate(signal, header) for _, signal in signals]
        self._in_file = [i for i, _ in signals]
        self.channels = tuple(
            self._channel(position, signal) for position, (_, signal) in enumerate(signals)
        )
        self.notes = tuple(self._notes)

    def read(self, which: str | int, dtype: type = np.float32) -> np.ndarray:
        """Return the samples (n,) of one channel in `Channel.unit`, as float32 or float64.

        Raises
        ------
        RecordingError
            If the channel is unknown or dead.
        """
        channel = self.channel(which)
        if channel.dead:
            name = f"{self.path.name}: channel {channel.label!r} (#{channel.position})"
            raise RecordingError(f"{name} cannot be used: {channel.dead}; choose another")
        calibration = self._calibrations[channel.position]
        assert isinstance(calibration, Calibration)
        gain, offset = (
            np.dtype(dtype).type(calibration.gain),
            np.dtype(dtype).type(calibration.offset),
        )
        signal = self._header.signals[self._in_file[channel.position]]
        out: np.ndarray = (np.zeros if self.gaps else np.empty)(channel.n_samples, dtype)
        for run, at in zip(self._runs, self._starts(signal), strict=True):
            target = out[at : at + run.n_records * signal.samples].reshape(-1, signal.samples)
            step = max(1, BLOCK_SAMPLES // signal.samples)
            for row in range(0, run.n_records, step):
                block = target[row : row + step]
                block[...] = self._stored(channel.position, run.first + row, len(block))
                block *= gain
                block += offset
        return out

    def digital(self, which: str | int) -> np.ndarray:
        """Return the stored integers (n,) of one channel, gaps left out, to check a reading."""
        position = self.channel(which).position
        return self._stored(position, 0, self._header.n_records).reshape(-1)

    def _stored(self, position: int, first: int, n_records: int) -> np.ndarray:
        """Return the integers (n_records, samples) of one channel from data record `first` on."""
        rows = self._data[first : first + n_records, self._columns[self._in_file[position]]]
        if self._header.sample_bytes == 2:
            return rows
        wide = np.zeros((len(rows), rows.shape[1] // 3, 4), dtype=np.uint8)
        wide[..., 1:] = rows.reshape(len(rows), -1, 3)
        return wide.view("<i4")[..., 0] >> 8  # the shift brings the sign down

    def _marks(self, signal: int) -> Marks:
        """Decode the annotation channel at place `signal` of the file."""
        rows = np.ascontiguousarray(self._data[:, self._columns[signal]])
        return read_marks(rows.view(np.uint8).reshape(len(rows), -1))

    def _place(self, marks: Marks | None) -> tuple[float, tuple[Run, ...]]:
        """Return the onset of the first record on the header's clock, and the runs of records."""
        header = self._header
        whole = (Run(0, header.n_records, 0.0),)
        if marks is None:
            if header.discontinuous:
                self._notes.append("calls itself discontinuous without saying when; read as one")
            return 0.0, whole
        onsets_s = marks.record_onsets_s
        missing = int(np.isnan(onsets_s).sum())
        if missing:
            self._notes.append(f"{missing} data records do not tell when they begin")
        if np.isnan(onsets_s[0]):
            return 0.0, whole
        origin_s = float(onsets_s[0])
        if not header.record_s:
            return origin_s, whole
        return origin_s, self._runs_of(onsets_s - origin_s)

    def _runs_of(self, onsets_s: np.ndarray) -> tuple[Run, ...]:
        """Join records that follow each other; onsets (n_records,) count from the first record."""
        header, record_s = self._header, float(self._header.record_s)
        whole = (Run(0, header.n_records, 0.0),)
        expected_s = record_s * np.arange(header.n_records)
        if not (np.abs(onsets_s - expected_s) > CLOCK_TOLERANCE_S).any():
            return whole
        runs, overlap_s = _split(onsets_s, record_s)
        pauses_s = [
            b.start_s - a.start_s - a.n_records * record_s
            for a, b in zip(runs, runs[1:], strict=False)
        ]
        if overlap_s and not header.discontinuous:
            self._notes.append("onsets of data records contradict each other; read as continuous")
            return whole
        if overlap_s:
            reason = f"a data record begins {overlap_s:.3g} s before the end of the one before it"
            raise RecordingError(f"{self.path.name}: {reason}; export it again")
        if max(pauses_s, default=0) > MAX_GAP_S or sum(pauses_s) > MAX_GAPS_S:
            reason = f"a pause of {max(pauses_s):.0f} s ({sum(pauses_s):.0f} s in all)"
            raise RecordingError(
                f"{self.path.name}: {reason}; split it into one file per recording"
            )
        if pauses_s:
            self._notes.append(
                f"{len(pauses_s)} pauses, {sum(pauses_s):.1f} s in all, filled with zeros"
            )
        return runs

    def _starts(self, signal: Signal) -> list[int]:
        """Return the sample at which each run begins."""
        rate_hz = float(signal.samples / self._header.record_s)
        starts, end = [], 0
        for run in self._runs:
            starts.append(max(end, round(run.start_s * rate_hz)))
            end = starts[-1] + run.n_records * signal.samples
        return starts

    def _channel(self, position: int, signal: Signal) -> Channel:
        """Describe one signal."""
        header, calibration = self._header, self._calibrations[position]
        unit, _ = to_microvolt(signal.unit)
        usable = bool(header.record_s and signal.samples)
        rate_hz = signal.samples / header.record_s if usable else Fraction(0)
        n_samples = header.n_records * signal.samples
        if usable:
            n_samples += self._starts(signal)[-1] - self._runs[-1].first * signal.samples
        dead = calibration if isinstance(calibration, str) else ""
        if dead:
            self._notes.append(f"channel {signal.label!r} (#{position}) is dead: {dead}")
        return Channel(
            position=position,
            label=signal.label,
            rate_hz=rate_hz,
            unit=unit,
            n_samples=n_samples,
            dead=dead,
            unit_in_file=signal.unit,
            limits=None if dead else _limits(signal, calibration, header.sample_bytes),
            prefilter=signal.prefilter,
        )


def _map(path: Path, header: Header) -> np.ndarray:
    """Map the data records: int16 (n_records, samples), or for BDF uint8 (n_records, bytes)."""
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    item = "<i2" if header.sample_bytes == 2 else "u1"
    columns = header.record_samples * (1 if header.sample_bytes == 2 else 3)
    count = header.n_records * columns
    return np.frombuffer(mapped, item, count, header.n_bytes).reshape(-1, columns)


def _columns(header: Header) -> list[slice]:
    """Return where each signal stands in a row of the mapped records."""
    width = 1 if header.sample_bytes == 2 else 3
    ends = np.cumsum([signal.samples * width for signal in header.signals]).tolist()
    return [slice(a, b) for a, b in zip([0, *ends], ends, strict=False)]


def _from_origin(marks: list[Marks], origin_s: float) -> tuple[Annotation, ...]:
    """Return the annotations of all channels sorted, counted from the first sample."""
    found = [
        Annotation(mark.onset_s - origin_s, mark.duration_s, mark.text)
        for channel in marks
        for mark in channel.annotations
    ]
    return tuple(sorted(found, key=lambda mark: mark.onset_s))


def _split(onsets_s: np.ndarray, record_s: float) -> tuple[tuple[Run, ...], float]:
    """Cut the records into runs; also return the longest overlap of two records, 0 if none."""
    starts, firsts, end_s, overlap_s = [0.0], [0], record_s, 0.0
    for record, onset_s in enumerate(onsets_s[1:].tolist(), 1):
        late_s = 0.0 if onset_s != onset_s else onset_s - end_s  # NaN: right after the one before
        if late_s > CLOCK_TOLERANCE_S:
            starts.append(onset_s)
            firsts.append(record)
            end_s = onset_s
        elif late_s < -CLOCK_TOLERANCE_S:
            overlap_s = max(overlap_s, -late_s)
        end_s += record_s
    lengths = np.diff([*firsts, len(onsets_s)]).tolist()
    return tuple(map(Run, firsts, lengths, starts)), overlap_s


def _calibrate(signal: Signal, header: Header) -> Calibration | str:
    """Return gain and offset in the unit of the channel, or why there are none."""
    if not header.record_s:
        return "data records of 0 s: its rate is unknown"
    if not signal.samples:
        return "no samples"
    (low, high), (first, last) = signal.physical, signal.digital
    if low is None or high is None or first is None or last is None:
        return "a physical or digital limit is no number"
    if low == high:
        return "physical minimum and maximum are equal"
    if first == last:
        return "digital minimum and maximum are equal"
    _, factor = to_microvolt(signal.unit)
    gain = (high - low) * factor / (last - first)
    offset = low * factor - gain * first
    reach = abs(gain) * 2.0 ** (8 * header.sample_bytes - 1) + abs(offset)
    if not abs(gain) > np.finfo(np.float32).tiny or not reach < np.finfo(np.float32).max:
        return "its calibration is out of every range"
    return Calibration(gain, offset)


def _limits(
    signal: Signal, calibration: Calibration | str, sample_bytes: int
) -> tuple[float, float]:
    """Return the physical values at the digital limits that a sample can hold."""
    assert isinstance(calibration, Calibration)
    held = 2.0 ** (8 * sample_bytes - 1)
    first, last = (min(max(limit or 0.0, -held), held - 1) for limit in signal.digital)
    return (
        calibration.gain * first + calibration.offset,
        calibration.gain * last + calibration.offset,
    )
