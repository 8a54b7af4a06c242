"""Small EDF, EDF+C, EDF+D and BDF files for tests, and one maker for each fault seen in real files.

`write_edf` writes a valid file; a fault of `FAULTS` then changes the bytes of one on disk.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import numpy as np

Mark = tuple[float, float | None, str]  # onset_s, duration_s, text
Signals = Mapping[str, tuple[np.ndarray, float]] | Sequence[tuple[str, np.ndarray, float]]
START = datetime(2020, 2, 29, 22, 30, 5)
WIDTHS = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)
FIELDS = [
    *("label", "transducer", "unit", "pmin", "pmax", "dmin", "dmax"),
    *("prefilter", "samples", "reserved"),
]
FIXED = {  # field: (first byte, width)
    "version": (0, 8),
    "patient": (8, 80),
    "recording": (88, 80),
    "date": (168, 8),
    "time": (176, 8),
    "header_bytes": (184, 8),
    "reserved": (192, 44),
    "records": (236, 8),
    "record_s": (244, 8),
    "signals": (252, 4),
}


def write_edf(
    path: Path,
    signals: Signals,
    *,
    unit: str | Mapping[str, str] = "uV",
    start: datetime = START,
    record_s: float | str | Fraction = 1,
    annotations: Sequence[Mark] = (),
    bdf: bool = False,
    plus: bool | None = None,
    record_onsets_s: Sequence[float] | None = None,
    limits: tuple[float, float] | Mapping[str, tuple[float, float]] | None = None,
    digital_limits: tuple[int, int] | None = None,
    annotation_channels: int = 1,
    patient: str = "X X X X",
    recording: str = "Startdate X X X X",
    prefilter: str = "HP:0.3Hz LP:35Hz",
) -> Path:
    """Write signals in physical units as a valid file and return its path.

    Parameters
    ----------
    path : Path
        Where to write.
    signals : mapping or sequence
        `{label: (samples, rate_hz)}`, or `[(label, samples, rate_hz)]` when labels repeat. The rate
        times `record_s` is a whole number; an incomplete last record is filled with the last value.
        Without signals a file of annotations alone is written (records of 0 s).
    unit : str or mapping
        Unit of every channel, or by label.
    start : datetime
        Clock of the first sample; microseconds become the onset of the first record.
    record_s : float, str or Fraction
        Seconds of a data record; a text is written as it stands.
    annotations : sequence of (onset_s, duration_s or None, text)
        Onsets count from the first sample.
    bdf : bool
        24-bit samples instead of 16-bit.
    plus : bool or None
        Whether an annotation channel is written; by default when something needs one.
    record_onsets_s : sequence of float or None
        When each data record begins, from the first sample: makes the file EDF+D.
    limits : (float, float), mapping or None
        Physical limits of every channel or by label; by default just outside the samples.
    digital_limits : (int, int) or None
        By default all the bits.
    annotation_channels : int
        How many annotation channels the texts are spread over.
    """
    rows = [(k, *v) for k, v in signals.items()] if isinstance(signals, Mapping) else list(signals)
    seconds = Fraction(str(record_s)) if rows else Fraction(0)
    counts = [_whole(Fraction(rate) * seconds) for _, _, rate in rows]
    lengths = [math.ceil(len(x) / n) for (_, x, _), n in zip(rows, counts, strict=True)]
    n_records, bits = max(lengths, default=1), 24 if bdf else 16
    columns = []
    for (label, samples, _), count in zip(rows, counts, strict=True):
        written = unit if isinstance(unit, str) else unit.get(label, "")
        pair = limits.get(label) if isinstance(limits, Mapping) else limits
        shaped, pair = _in_records(samples, n_records, count), pair or _around(samples)
        columns.append(_signal(label, written, shaped, pair, digital_limits, prefilter, bits))
    onsets_s = record_onsets_s or [float(i * seconds) for i in range(n_records)]
    if plus or (plus is None and (annotations or record_onsets_s or start.microsecond or not rows)):
        first_s = start.microsecond / 1e6
        columns += _annotations(onsets_s, annotations, first_s, annotation_channels, bits)
        reserved = f"{'BDF' if bdf else 'EDF'}+{'D' if record_onsets_s else 'C'}"
    else:
        reserved = ""
    told = (str(n_records), str(record_s) if rows else "0", str(len(columns)))
    fixed = _fixed(start, bdf, patient, recording, reserved, told)
    path.write_bytes(fixed + _table(columns))
    return path


def set_field(path: Path, field: str, value: str | bytes, signal: int | None = None) -> None:
    """Overwrite one header field; `signal` is the place of the signal for a field of a signal."""
    content = bytearray(path.read_bytes())
    at, width = field_place(content, field, signal)
    content[at : at + width] = _bytes(value, width)
    path.write_bytes(content)


def field_place(
    content: bytes | bytearray, field: str, signal: int | None = None
) -> tuple[int, int]:
    """Return the first byte and the width of a header field."""
    if signal is None:
        return FIXED[field]
    n_signals, place = int(content[252:256]), FIELDS.index(field)
    return 256 + n_signals * sum(WIDTHS[:place]) + signal * WIDTHS[place], WIDTHS[place]


def cut(path: Path, n_bytes: int) -> None:
    """Take bytes off the end."""
    path.write_bytes(path.read_bytes()[:-n_bytes])


def append(path: Path, content: bytes) -> None:
    """Put bytes behind the end."""
    path.write_bytes(path.read_bytes() + content)


def _overwrite(signal: int | None = None, **values: str | bytes) -> Callable[[Path], None]:
    """Return a fault that overwrites fixed fields, or fields of one signal."""

    def fault(path: Path) -> None:
        for field, value in values.items():
            set_field(path, field, value, signal)

    return fault


def _keep(n_bytes: int) -> Callable[[Path], None]:
    """Return a fault that leaves the first bytes alone."""
    return lambda path: cut(path, path.stat().st_size - n_bytes)


# One maker per fault: each takes the path of a valid file whose signal 0 is an ordinary channel.
FAULTS: dict[str, Callable[[Path], None]] = {
    "records -1": _overwrite(records="-1"),
    "records not a number": _overwrite(records="many"),
    "records too many": _overwrite(records="99999"),
    "records too few": _overwrite(records="2"),
    "no records": _overwrite(records="0"),
    "last record cut": lambda path: cut(path, 7),
    "bytes after the last record": lambda path: append(path, b"left over"),
    "date 00.00.00": _overwrite(date="00.00.00"),
    "date in words": _overwrite(date="yesterda"),
    "time 26.00.99": _overwrite(time="26.00.99"),
    "time with colons": _overwrite(time="22:30:05"),
    "header size wrong": _overwrite(header_bytes="4711"),
    "version damaged": _overwrite(version=b"\xff       "),
    "number of signals unreadable": _overwrite(signals="    "),
    "number of signals 0": _overwrite(signals="0"),
    "number of signals too large": _overwrite(signals="9999"),
    "record length unreadable": _overwrite(record_s="long"),
    "record length negative": _overwrite(record_s="-1"),
    "header cut": _keep(300),
    "reserved says discontinuous": _overwrite(reserved="EDF+D"),
    "patient in Latin-1": _overwrite(patient="M\xfcller".encode("latin-1")),
    "label in UTF-8": _overwrite(0, label="1 Imp\xe9dance".encode()),
    "label in Latin-1": _overwrite(0, label="1 Imp\xe9dance".encode("latin-1")),
    "unit with micro sign": _overwrite(0, unit=b"\xb5V"),
    "decimal comma": _overwrite(0, pmax="200,5"),
    "physical range inverted": _overwrite(0, pmin="500"),
    "physical range zero": _overwrite(0, pmin="10", pmax="10"),
    "physical limit not a number": _overwrite(0, pmax="nan"),
    "physical limit infinite": _overwrite(0, pmax="1e999"),
    "digital range zero": _overwrite(0, dmin="7", dmax="7"),
    "digital limits beyond 16 bits": _overwrite(0, dmin="-72984", dmax="50277"),
    "samples per record unreadable": _overwrite(0, samples="x"),
}


@dataclass(frozen=True)
class _Column:
    """The ten header fields of one signal, and its bytes (n_records, bytes)."""

    head: tuple[str, ...]
    content: np.ndarray


def _fixed(
    start: datetime, bdf: bool, patient: str, recording: str, reserved: str, told: tuple[str, ...]
) -> bytes:
    """Return the first 256 bytes; `told` are the numbers of records, their length, the signals."""
    version = b"\xffBIOSEMI" if bdf else "0"
    clock = (f"{start:%d.%m.%y}", f"{start:%H.%M.%S}")
    size = str(256 * (1 + int(told[-1])))
    values = (version, patient, recording, *clock, size, reserved, *told)
    return b"".join(_bytes(x, width) for x, (_, width) in zip(values, FIXED.values(), strict=True))


def _signal(
    label: str,
    unit: str,
    samples: np.ndarray,
    limits: tuple[float, float],
    digital: tuple[int, int] | None,
    prefilter: str,
    bits: int,
) -> _Column:
    """Return the column of one signal from its physical samples (n_records, samples)."""
    low, high = map(_number, limits)
    first, last = digital or _held(bits)
    gain = (last - first) / (float(high) - float(low))
    stored = np.clip(np.rint((samples - float(low)) * gain + first), first, last).astype("<i4")
    count = str(samples.shape[1])
    head = (label, "AgAgCl", unit, low, high, str(first), str(last), prefilter, count, "")
    kept = stored.view(np.uint8).reshape(*stored.shape, 4)[..., : bits // 8]
    return _Column(head, kept.reshape(len(stored), -1))


def _held(bits: int) -> tuple[int, int]:
    """Return the smallest and the largest integer of a sample."""
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def _bytes(value: str | bytes, width: int) -> bytes:
    """Return a field of `width` bytes, blanks behind."""
    raw = value if isinstance(value, bytes) else value.encode("latin-1")
    if len(raw) > width:
        raise ValueError(f"{value!r} does not fit into {width} bytes")
    return raw.ljust(width)


def _in_records(samples: np.ndarray, n_records: int, count: int) -> np.ndarray:
    """Return the samples (records, count), the last value repeated behind their end."""
    missing = n_records * count - len(samples)
    return np.pad(np.asarray(samples, float), (0, missing), "edge").reshape(n_records, count)


def _table(columns: Sequence[_Column]) -> bytes:
    """Return the header fields of all signals, then all their records."""
    heads = zip(*(column.head for column in columns), strict=True)
    table = b"".join(_bytes(x, w) for row, w in zip(heads, WIDTHS, strict=True) for x in row)
    return table + np.concatenate([column.content for column in columns], axis=1).tobytes()


def _whole(count: Fraction) -> int:
    """Return the samples of a data record, which must be a whole number."""
    whole = round(count)
    if whole < 1 or abs(count - whole) > 1e-6:
        raise ValueError(f"{float(count)} samples in a data record")
    return whole


def _number(value: float) -> str:
    """Return a number in at most eight characters."""
    return next(text for n in range(8, 0, -1) if len(text := f"{value:.{n}g}") <= 8)


def _around(samples: np.ndarray) -> tuple[float, float]:
    """Return physical limits just outside the samples, symmetric about zero."""
    peak = math.ceil(float(np.max(np.abs(samples), initial=0.0)) * 1.001) or 1
    return -float(peak), float(peak)


def _annotations(
    onsets_s: Sequence[float], marks: Sequence[Mark], first_s: float, n_channels: int, bits: int
) -> list[_Column]:
    """Return the annotation channels: time-keeping marks, and each text in the record it is in."""
    rows = [[b""] * len(onsets_s) for _ in range(n_channels)]
    rows[0] = [b"+%s\x14\x14\x00" % _decimal(onset_s + first_s) for onset_s in onsets_s]
    for place, (onset_s, duration_s, text) in enumerate(sorted(marks, key=lambda mark: mark[0])):
        record = max(int(np.searchsorted(onsets_s, onset_s, "right")) - 1, 0)
        sign = b"+" if onset_s + first_s >= 0 else b""
        duration = b"" if duration_s is None else b"\x15" + _decimal(duration_s)
        tal = sign + _decimal(onset_s + first_s) + duration + b"\x14" + text.encode() + b"\x14\x00"
        rows[place % n_channels][record] += tal
    return [_annotation_column(row, bits) for row in rows]


def _annotation_column(row: list[bytes], bits: int) -> _Column:
    """Return one annotation channel, as wide as its longest record needs."""
    count = max(-(-max(map(len, row)) // (bits // 8)), 1)
    label = "EDF Annotations" if bits == 16 else "BDF Annotations"
    head = (label, "", "", "-1", "1", *map(str, _held(bits)), "", str(count), "")
    content = b"".join(text.ljust(count * bits // 8, b"\x00") for text in row)
    return _Column(head, np.frombuffer(content, np.uint8).reshape(len(row), -1))


def _decimal(seconds: float) -> bytes:
    """Return seconds without an exponent."""
    text = f"{seconds:.6f}".rstrip("0").rstrip(".")
    return text.encode()
