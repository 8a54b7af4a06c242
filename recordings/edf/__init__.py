"""EDF, EDF+C, EDF+D and BDF(+) by memory map: exact rates, calibrated samples, every repair noted.

A channel is decoded only when it is asked for, from the file's pages straight into its own array.
What the file leaves in doubt is refused or marked dead; an uncalibrated number is never returned.
"""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np

from recordings.edf.clock import Timeline, continuous, timeline
from recordings.edf.header import Header, Signal, read_header
from recordings.edf.tal import Marks, read_marks
from recordings.recording import Annotation, Channel, Recording, RecordingError
from recordings.units import to_microvolt

BLOCK_SAMPLES = 1 << 16  # 128 kB of int16 and 256 kB of float32 stay in the cache together
SINGLE_MIN, SINGLE_MAX = map(float, (np.finfo(np.float32).tiny, np.finfo(np.float32).max))


@dataclass(frozen=True)
class Calibration:
    """`digital * gain + offset` in the unit of the channel; `dead` says why there is none."""

    gain: float = 0.0
    offset: float = 0.0
    dead: str = ""


class EdfRecording(Recording):
    """An EDF or BDF file, recognised by its content whatever its suffix.

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
    Whether a blank unit is a microvolt is left to the caller, who knows what the channel is.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        header = self._header = read_header(self.path)
        self._rows = _map(self.path, header)
        self._slices = _slices(header)
        marks = [self._marks(i) for i, signal in enumerate(header.signals) if signal.is_annotation]
        clock = self._clock = self._place(marks)
        self.start = header.start and header.start + timedelta(seconds=clock.origin_s)
        self.duration_s = clock.duration_s
        self.gaps = clock.gaps
        self.annotations = _from_origin(marks, clock.origin_s)
        self._places = [i for i, signal in enumerate(header.signals) if not signal.is_annotation]
        signals = [header.signals[place] for place in self._places]
        self._calibrations = [_calibrate(signal, header) for signal in signals]
        self.channels = tuple(map(self._channel, range(len(signals)), signals))
        self.notes = (*header.notes, *clock.notes, *_oddities(self.channels, self._calibrations))

    def read(self, which: str | int, dtype: type = np.float32) -> np.ndarray:
        """Return the samples (n,) of one channel in `Channel.unit`, as float32 or float64.

        Gain and offset are computed in float64 and applied in `dtype`; pauses are zeros.

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
        gain, offset = np.array([calibration.gain, calibration.offset], dtype)
        samples = self._header.signals[self._places[channel.position]].samples
        out: np.ndarray = (np.zeros if self.gaps else np.empty)(channel.n_samples, dtype)
        step = max(1, BLOCK_SAMPLES // samples)
        for run, start in zip(self._clock.runs, self._clock.sample_starts(samples), strict=False):
            target = out[start : start + run.n_records * samples].reshape(-1, samples)
            for row in range(0, run.n_records, step):
                block = target[row : row + step]
                block[...] = self._stored(channel.position, run.first + row, len(block))
                block *= gain
                block += offset
        return out

    def digital(self, which: str | int) -> np.ndarray:
        """Return the stored integers (n,) of one channel without pauses: a check, not a signal."""
        return self._stored(self.channel(which).position, 0, self._header.n_records).reshape(-1)

    def _stored(self, position: int, first: int, n_records: int) -> np.ndarray:
        """Return the integers (n_records, samples) of one channel from data record `first` on."""
        return self._integers(self._rows[first : first + n_records], position)

    def _integers(self, records: np.ndarray, position: int) -> np.ndarray:
        """Return the integers (n_records, samples) of one channel of data records."""
        view = records[:, self._slices[self._places[position]]]
        rows = np.ascontiguousarray(view)  # casting strided rows costs three times as much
        if self._header.sample_bytes == 2:
            return rows
        wide = np.zeros((len(rows), rows.shape[1] // 3, 4), dtype=np.uint8)
        wide[..., 1:] = rows.reshape(len(rows), -1, 3)
        return wide.view("<i4")[..., 0] >> 8  # the shift brings the sign down

    def _marks(self, place: int) -> Marks:
        """Decode the annotation channel at `place` in the file."""
        rows = np.ascontiguousarray(self._rows[:, self._slices[place]])
        return read_marks(rows.view(np.uint8))

    def _place(self, marks: Sequence[Marks]) -> Timeline:
        """Place the data records in time."""
        header = self._header
        if marks:
            onsets_s, name = marks[0].record_onsets_s, self.path.name
            return timeline(name, onsets_s, header.record_s, discontinuous=header.discontinuous)
        note = "calls itself discontinuous without saying when; read as continuous"
        notes = (note,) if header.discontinuous else ()
        return continuous(header.n_records, header.record_s, notes=notes)

    def _channel(self, position: int, signal: Signal) -> Channel:
        """Describe one signal."""
        header, calibration = self._header, self._calibrations[position]
        rate_hz = signal.samples / header.record_s if header.record_s else Fraction(0)
        return Channel(
            position=position,
            label=signal.label,
            rate_hz=rate_hz,
            unit=to_microvolt(signal.unit)[0],
            n_samples=self._clock.sample_starts(signal.samples)[-1],
            dead=calibration.dead,
            unit_in_file=signal.unit,
            limits=None if calibration.dead else _limits(signal, calibration, header.sample_bytes),
            prefilter=signal.prefilter,
        )


def _map(path: Path, header: Header) -> np.ndarray:
    """Map the data records: int16 (n_records, samples), or for BDF uint8 (n_records, bytes)."""
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    item = "<i2" if header.sample_bytes == 2 else "u1"
    columns = _slices(header)[-1].stop
    rows = np.frombuffer(mapped, item, header.n_records * columns, header.n_bytes)
    return rows.reshape(header.n_records, columns)


def _slices(header: Header) -> list[slice]:
    """Return where each signal stands in a row of the mapped records."""
    width = 1 if header.sample_bytes == 2 else 3
    ends = np.cumsum([signal.samples * width for signal in header.signals]).tolist()
    return [slice(begin, end) for begin, end in zip([0, *ends], ends, strict=False)]


def _from_origin(marks: Sequence[Marks], origin_s: float) -> tuple[Annotation, ...]:
    """Return the annotations of all channels sorted, counted from the first sample."""
    found = [
        Annotation(round(mark.onset_s - origin_s, 9), mark.duration_s, mark.text)
        for channel in marks
        for mark in channel.annotations
    ]
    return tuple(sorted(found, key=lambda mark: mark.onset_s))


def _calibrate(signal: Signal, header: Header) -> Calibration:
    """Return gain and offset in the unit of the channel, or why there are none."""
    if not header.record_s:
        return Calibration(dead="data records of 0 s leave its rate unknown")
    if not signal.samples:
        return Calibration(dead="no samples")
    (low, high), (first, last) = signal.physical, signal.digital
    if low is None or high is None or first is None or last is None:
        return Calibration(dead="a physical or digital limit is no number")
    if low == high:
        return Calibration(dead="physical minimum and maximum are equal")
    if first == last:
        return Calibration(dead="digital minimum and maximum are equal")
    _, factor = to_microvolt(signal.unit)
    gain = (high - low) * factor / (last - first)
    offset = low * factor - gain * first
    reach = abs(gain) * 2.0 ** (8 * header.sample_bytes - 1) + abs(offset)
    if not (abs(gain) > SINGLE_MIN and reach < SINGLE_MAX):
        return Calibration(dead="its calibration is out of every range")
    return Calibration(gain, offset)


def _limits(signal: Signal, calibration: Calibration, sample_bytes: int) -> tuple[float, float]:
    """Return the physical values at the digital limits, as far as a sample can hold them."""
    held = 2.0 ** (8 * sample_bytes - 1)
    low, high = np.clip(np.array(signal.digital, float), -held, held - 1).tolist()
    gain, offset = calibration.gain, calibration.offset
    return low * gain + offset, high * gain + offset


def _oddities(channels: Sequence[Channel], calibrations: Sequence[Calibration]) -> list[str]:
    """Say which channels are dead, upside down or share their label."""
    notes = [
        f"channel {channel.label!r} (#{channel.position}) is dead: {channel.dead}"
        for channel in channels
        if channel.dead
    ]
    inverted = [f"#{i}" for i, calibration in enumerate(calibrations) if calibration.gain < 0]
    if inverted:
        notes.append(f"limits are inverted, so the gain is negative: {', '.join(inverted)}")
    labels = Counter(channel.label for channel in channels)
    notes += [f"{n} channels are called {label!r}" for label, n in labels.items() if n > 1]
    return notes
