"""The header of an EDF or BDF file: 256 bytes, then 256 bytes per signal, all of it text.

Real files break the rules in many harmless ways. What can be repaired is repaired and noted; what
would leave the place or the size of the samples in doubt refuses the file. Patient, recording and
transducer fields are never read: they can identify a person.

References
----------
Kemp et al. 1992, A simple format for exchange of digitized polygraphic recordings (EDF);
Kemp and Olivan 2003, European data format 'plus' (EDF+).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from pathlib import Path

from recordings.recording import RecordingError

BLOCK_BYTES = 256  # the fixed part, and the part of each signal
MAX_SIGNALS = 4096
RECORD_S_LIMITS = (1e-6, 1e6)  # a longer or shorter data record is a damaged field
_SIGNAL_FIELDS = {
    "label": 16,
    "transducer": 80,
    "unit": 8,
    "physical_min": 8,
    "physical_max": 8,
    "digital_min": 8,
    "digital_max": 8,
    "prefilter": 80,
    "samples": 8,
    "reserved": 32,
}
_NUMBER = re.compile(r"[+-]?(?:[0-9]+[.,]?[0-9]*|[.,][0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_CLOCK = re.compile(r"([0-9]{1,2})[^0-9]([0-9]{1,2})[^0-9]([0-9]{1,2})")
_FILTER = re.compile(r"\b(?:HP|LP|BP|BS|N|NOTCH)\s*:?\s*(?:DC|[0-9][0-9.,]*\s*[mk]?Hz)", re.I)
_ANNOTATIONS = ("EDF Annotations", "BDF Annotations")


@dataclass(frozen=True)
class Signal:
    """Header of one signal; a limit that cannot be read as a finite number is None."""

    label: str
    unit: str
    physical: tuple[float | None, float | None]
    digital: tuple[float | None, float | None]
    prefilter: str
    samples: int  # per data record

    @property
    def is_annotation(self) -> bool:
        """Whether it holds annotations; Noxturnal adds a number to the reserved label."""
        return self.label.startswith(_ANNOTATIONS)


@dataclass(frozen=True)
class Header:
    """What the header of a file says, repaired where it must be.

    Parameters
    ----------
    sample_bytes : int
        2 for EDF, 3 for BDF.
    start : datetime or None
        Clock in the header, whole seconds.
    record_s : Fraction
        Seconds of a data record, exact; 0 in a file of annotations alone.
    n_records : int
        Data records that are there and count.
    discontinuous : bool
        The file calls itself EDF+D or BDF+D (a hint; the annotations decide).
    signals : tuple of Signal
        In the file's order, annotation channels among them.
    notes : tuple of str
        Repairs and oddities.
    """

    sample_bytes: int
    start: datetime | None
    record_s: Fraction
    n_records: int
    discontinuous: bool
    signals: tuple[Signal, ...]
    notes: tuple[str, ...]

    @property
    def n_bytes(self) -> int:
        """Size of the header itself: where the samples begin."""
        return BLOCK_BYTES * (1 + len(self.signals))

    @property
    def record_samples(self) -> int:
        """Samples of all signals in one data record."""
        return sum(signal.samples for signal in self.signals)


@dataclass
class _Reader:
    """Fields of one header on their way to values; collects the notes."""

    name: str
    notes: list[str] = field(default_factory=list)

    def refuse(self, reason: str) -> RecordingError:
        """Return the refusal of a header that leaves the samples in doubt."""
        return RecordingError(f"{self.name}: unreadable header: {reason}; get the file again")

    def number(self, raw: bytes) -> float | None:
        """Read a number, with point or comma; None when it is none."""
        text = _text(raw)
        if not _NUMBER.fullmatch(text):
            return None
        if "," in text:
            self.note("decimal comma read as a point")
        value = float(text.replace(",", "."))
        return value if abs(value) < float("inf") else None

    def note(self, text: str) -> None:
        """Keep a note once."""
        if text not in self.notes:
            self.notes.append(text)


def read_header(path: Path) -> Header:
    """Read and repair the header of an EDF or BDF file.

    Raises
    ------
    RecordingError
        If the file cannot be opened, its header is cut short, the number of signals, the length of
        a record or the samples per record are unreadable, or it holds no data record.
    """
    reader = _Reader(path.name)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            fixed = file.read(BLOCK_BYTES)
            n_signals = _signal_count(reader, fixed)
            if size < BLOCK_BYTES * (1 + n_signals):
                raise reader.refuse(f"the file ends inside the header of its {n_signals} signals")
            table = file.read(BLOCK_BYTES * n_signals)
    except OSError as error:
        raise RecordingError(f"{path.name}: cannot be opened: {error.strerror}") from None
    signals = _signals(reader, table, n_signals)
    _check_header_bytes(reader, fixed, n_signals)
    declared = reader.number(fixed[236:244])
    record_s = _record_s(reader, fixed[244:252])
    samples = sum(signal.samples for signal in signals)
    data_bytes = size - BLOCK_BYTES * (1 + n_signals)
    sample_bytes = _sample_bytes(reader, fixed[:8], declared, samples, data_bytes)
    reserved = _text(fixed[192:236])
    return Header(
        sample_bytes=sample_bytes,
        start=_start(reader, fixed[168:176], fixed[176:184]),
        record_s=record_s,
        n_records=_record_count(reader, declared, data_bytes, sample_bytes * samples),
        discontinuous=reserved.startswith(("EDF+D", "BDF+D")),
        signals=signals,
        notes=tuple(reader.notes),
    )


def _text(raw: bytes) -> str:
    """Decode a field: UTF-8 where it is valid, else Latin-1; blanks and zero bytes stripped."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.strip(" \x00\t\r\n")


def _signal_count(reader: _Reader, fixed: bytes) -> int:
    """Read the number of signals, which fixes the size of the header."""
    if len(fixed) < BLOCK_BYTES:
        raise reader.refuse(f"the file ends after {len(fixed)} of {BLOCK_BYTES} bytes")
    count = reader.number(fixed[252:256])
    if count is None or count != int(count) or not 1 <= count <= MAX_SIGNALS:
        raise reader.refuse(f"the number of signals is none of 1 to {MAX_SIGNALS}")
    return int(count)


def _signals(reader: _Reader, table: bytes, n_signals: int) -> tuple[Signal, ...]:
    """Cut the table of signals, which is stored field by field, into one entry per signal."""
    columns, at = {}, 0
    for name, width in _SIGNAL_FIELDS.items():
        columns[name] = [table[at + i * width : at + (i + 1) * width] for i in range(n_signals)]
        at += width * n_signals
    return tuple(
        _signal(reader, {name: columns[name][i] for name in columns}) for i in range(n_signals)
    )


def _signal(reader: _Reader, fields: dict[str, bytes]) -> Signal:
    """Read the fields of one signal."""
    samples = reader.number(fields["samples"])
    if samples is None or samples < 0 or samples != int(samples):
        raise reader.refuse("the samples per record of a signal are no whole number")
    return Signal(
        label=_text(fields["label"]),
        unit=_text(fields["unit"]),
        physical=(reader.number(fields["physical_min"]), reader.number(fields["physical_max"])),
        digital=(reader.number(fields["digital_min"]), reader.number(fields["digital_max"])),
        # only what is a filter is kept: the field is free text
        prefilter=" ".join(_FILTER.findall(_text(fields["prefilter"]))),
        samples=int(samples),
    )


def _check_header_bytes(reader: _Reader, fixed: bytes, n_signals: int) -> None:
    """Note a header size that contradicts the number of signals, which is the one that counts."""
    wanted = BLOCK_BYTES * (1 + n_signals)
    if reader.number(fixed[184:192]) != wanted:
        reader.note(f"header size field is wrong; {n_signals} signals make it {wanted} bytes")


def _record_s(reader: _Reader, raw: bytes) -> Fraction:
    """Read the length of a data record exactly."""
    seconds = reader.number(raw)
    low, high = RECORD_S_LIMITS
    if seconds is None or not (seconds == 0 or low <= seconds <= high):
        raise reader.refuse("the length of a data record is no sensible number of seconds")
    return Fraction(_text(raw).replace(",", "."))


def _sample_bytes(
    reader: _Reader, version: bytes, declared: float | None, samples: int, data_bytes: int
) -> int:
    """Return 2 (EDF) or 3 (BDF) by the version field; where it is neither, the file size decides.

    Three bytes read as two would be noise of plausible amplitude, hence no guess here.
    """
    if version.strip(b" \x00") == b"0":
        return 2
    if version == b"\xffBIOSEMI":
        return 3
    fitting = [width for width in (2, 3) if declared and declared * samples * width == data_bytes]
    if len(fitting) != 1:
        raise RecordingError(f"{reader.name}: not EDF or BDF by its version field; get it again")
    reader.note(f"version field is damaged; the file size shows {8 * fitting[0]}-bit samples")
    return fitting[0]


def _record_count(
    reader: _Reader, declared: float | None, data_bytes: int, record_bytes: int
) -> int:
    """Return how many data records are there and count; note every difference."""
    if declared == 0:
        reason = "empty: its header counts 0 data records; if it was not finished, set them to -1"
        raise RecordingError(f"{reader.name}: {reason}")
    present, rest = divmod(max(data_bytes, 0), record_bytes) if record_bytes else (0, 0)
    if not present:
        raise RecordingError(f"{reader.name}: empty: not one whole data record; get it again")
    if declared is None or declared < 0 or declared != int(declared):
        reader.note(f"number of data records not given; the file holds {present}")
    elif declared > present:
        reader.note(f"header counts {declared:.0f} data records; the file holds {present}")
    elif declared < present:
        surplus = data_bytes - int(declared) * record_bytes
        reader.note(f"header counts {declared:.0f} data records; {surplus} bytes after them unread")
        return int(declared)
    if rest:
        reader.note(f"{rest} bytes after the last whole data record unread")
    return present


def _start(reader: _Reader, date: bytes, time: bytes) -> datetime | None:
    """Return the clock of the header; without a valid date the day is 1985-01-01."""
    clock = _CLOCK.fullmatch(_text(time))
    day = _CLOCK.fullmatch(_text(date))
    try:
        hour, minute, second = map(int, clock.groups()) if clock else (24, 0, 0)
        start = datetime(1985, 1, 1, hour, minute, second)
    except ValueError:
        reader.note("start time is not valid; the clock of the recording is unknown")
        return None
    try:
        # EDF+ 2.1.3.2: the clipping year is 1985
        number, month, year = map(int, day.groups()) if day else (0, 0, 0)
        return start.replace(year + (1900 if year >= 85 else 2000), month, number)
    except ValueError:
        reader.note("start date is not valid; only the time of day is known")
        return start
