"""Write an EDF+ file: signals of any rates, annotations, or annotations alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nights.atomic import atomic_path
from recordings.recording import Annotation, RecordingError

if TYPE_CHECKING:
    from pyedflib import EdfWriter

# Physical range by unit: wide enough for artefacts, fine enough for 16 bit (0.03 uV a step). The
# header has eight characters for each of these numbers.
_RANGE = {"uV": (-1000, 1000), "mV": (-5, 5), "%": (0, 100), "au": (-10, 10)}
_RECORDS_AT_ONCE = 600  # ten minutes of signal are in memory as integers, not the night


class Signal(NamedTuple):
    """Samples (n,) as float32, their rate in Hz (exact) and their unit: uV, mV, % or au."""

    samples: np.ndarray
    rate_hz: Fraction
    unit: str


def write_edfplus(
    path: Path,
    signals: Mapping[str, Signal],
    annotations: Sequence[Annotation],
    *,
    start: datetime,
    patient: str = "",
    equipment: str = "",
) -> None:
    """Write one EDF+C file, whole or not at all.

    Parameters
    ----------
    path : Path
        The file; its folder is made when missing.
    signals : mapping of label to Signal
        In the order of the file; values beyond the range of their unit are clipped. May be empty:
        then the file holds annotations alone.
    annotations : sequence of Annotation
        Seconds from the first sample; a duration below 0 is written as none.
    start : datetime
        Clock time of the first sample, in whole seconds.
    patient, equipment : str
        What the header says of the patient and of the device.

    Raises
    ------
    RecordingError
        If the signals do not all last the same whole number of data records.
    """
    from pyedflib import FILETYPE_EDFPLUS, EdfWriter

    record_s, n_records = _layout(path, signals)
    with atomic_path(path) as temporary:
        writer = EdfWriter(str(temporary), len(signals), file_type=FILETYPE_EDFPLUS)
        try:
            writer.setStartdatetime(start)
            writer.setPatientName(patient)
            writer.setEquipment(equipment)
            writer.setSignalHeaders(
                [_header(label, *signal[1:]) for label, signal in signals.items()]
            )
            _write_records(writer, list(signals.values()), record_s, n_records)
            for mark in sorted(annotations, key=lambda mark: mark.onset_s):
                writer.writeAnnotation(mark.onset_s, mark.duration_s, mark.text)
        finally:
            writer.close()


def _layout(path: Path, signals: Mapping[str, Signal]) -> tuple[int, int]:
    """Return the length of a data record (whole seconds that fit every rate) and their number."""
    record_s = math.lcm(*(signal.rate_hz.denominator for signal in signals.values()))
    lengths = {label: len(s.samples) / (s.rate_hz * record_s) for label, s in signals.items()}
    records = set(lengths.values())
    if len(records) > 1 or any(n.denominator != 1 for n in records):
        listed = ", ".join(f"{label} {float(n):g}" for label, n in lengths.items())
        raise RecordingError(f"{path.name}: signals of different lengths in records: {listed}")
    return record_s, int(records.pop()) if records else 0


def _header(label: str, rate_hz: Fraction, unit: str) -> dict[str, str | int | float | None]:
    """Return the header of one signal as pyedflib wants it."""
    low, high = _RANGE[unit]
    return {
        "label": label,
        "dimension": unit,
        "sample_frequency": float(rate_hz),
        "physical_min": low,
        "physical_max": high,
        "digital_min": -32768,
        "digital_max": 32767,
        "prefilter": "",
        "transducer": "",
    }


def _write_records(
    writer: EdfWriter, signals: Sequence[Signal], record_s: int, n_records: int
) -> None:
    """Write the data records, a batch at a time."""
    for first in range(0, n_records, _RECORDS_AT_ONCE):
        last = min(first + _RECORDS_AT_ONCE, n_records)
        batch = np.concatenate([_digits(s, record_s, first, last) for s in signals], axis=1)
        for record in batch:
            writer.blockWriteDigitalShortSamples(record)


def _digits(signal: Signal, record_s: int, first: int, last: int) -> np.ndarray:
    """Return data records `first` to `last` of one signal as int16 (records, samples)."""
    per_record = int(signal.rate_hz * record_s)
    low, high = _RANGE[signal.unit]
    samples = signal.samples[first * per_record : last * per_record]
    digits = np.rint((samples - low) * np.float32(65535 / (high - low))) - 32768
    return np.clip(digits, -32768, 32767).astype(np.int16).reshape(last - first, per_record)
