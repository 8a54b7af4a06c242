"""Scorings inside binary files: EDF+, HDF5, MAT and spreadsheets.

Every size a file claims is checked before anything of that size is made.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

import numpy as np

from nights.stages import lookup_stage, stage_map
from recordings.edf import EdfRecording
from recordings.edf.tal import read_marks
from recordings.recording import RecordingError
from recordings.scoring.source import MAX_BYTES, Mark, Parsed, Source, Wanted, number
from recordings.scoring.tables import guess_map

_MAX_CODES = 14 * 86_400  # one a second for a fortnight
_P2018_HZ = 200.0  # every recording of the 2018 challenge
_P2018_STAGES = ("wake", "nonrem1", "nonrem2", "nonrem3", "rem")
# What SciPy and openpyxl raise on damaged files, by where they trip.
_MAT_ERRORS = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OSError,
    NotImplementedError,
    zlib.error,
)
_XLSX_ERRORS = (*_MAT_ERRORS, zipfile.BadZipFile, SyntaxError, AttributeError, EOFError)
_MATLAB_DAY_OFFSET = 366  # MATLAB counts days from year 0, Python from year 1


def parse_edf(source: Source, wanted: Wanted) -> Parsed | None:
    """Read EDF+ or BDF+ annotations; failing stages among them, a channel named `hypnogram`."""
    if source.head[:8] not in (b"0       ", b"\xffBIOSEMI"):
        return None
    recording = EdfRecording(source.path)
    marks = tuple(Mark(m.onset_s, m.duration_s, m.text) for m in recording.annotations)
    start = recording.start
    length = recording.duration_s if recording.channels else None  # annotations alone: no length
    if _has_stages(marks) or "hypnogram" not in map(str.casefold, recording.labels):
        return Parsed(marks, "file", stage_map="edfplus", start=start, duration_s=length)
    channel = next(c for c in recording.channels if c.label.casefold() == "hypnogram")
    codes = tuple(str(int(code)) for code in np.rint(recording.read(channel.position)))
    return Parsed(
        marks=marks,
        codes=codes,
        code_s=float(1 / channel.rate_hz),
        stage_map="dreams" if channel.unit_in_file == "stade" else guess_map(codes),
        start=start,
        duration_s=length,
        notes=("stages from the channel 'hypnogram'",),
    )


def parse_saf(source: Source, wanted: Wanted) -> Parsed | None:
    """Read bare EDF+ annotation lists without an EDF header (old MASS distribution)."""
    if not re.match(rb"\x00*\+\d+[.\d]*[\x14\x15]", source.head):
        return None
    found = read_marks(np.frombuffer(source.content, dtype=np.uint8)[None])
    marks = tuple(Mark(m.onset_s, m.duration_s, m.text) for m in found.annotations)
    return Parsed(marks, stage_map="edfplus")


def parse_dod(source: Source, wanted: Wanted) -> Parsed | None:
    """Read `/hypnogram` of an HDF5 file, a code per epoch (Dreem Open Datasets)."""
    with _open_hdf5(source) as file:
        if file is None or "hypnogram" not in file:
            return None
        if file["hypnogram"].size > _MAX_CODES:
            raise source.refuse("claims a hypnogram longer than a fortnight")
        codes = tuple(str(int(code)) for code in np.ravel(file["hypnogram"][()]))
    return Parsed(codes=codes, code_s=wanted.code_s, stage_map="dod")


def parse_p2018(source: Source, wanted: Wanted) -> Parsed | None:
    """Read the stage vectors of the 2018 challenge, one value per sample (200 Hz)."""
    with _open_hdf5(source) as file:
        if file is None:
            return None
        if "data/sleep_stages" not in file:
            raise source.refuse("is HDF5 without 'hypnogram' and 'data/sleep_stages'")
        return _challenge_vectors(source, file["data"], wanted.rate_hz or _P2018_HZ)


@contextmanager
def _open_hdf5(source: Source) -> Iterator[Any]:
    """Open an HDF5 file (None when it is none); what breaks inside the block is refused."""
    if b"\x89HDF\r\n\x1a\n" not in source.head:
        yield None
        return
    try:
        import h5py
    except ImportError as error:
        raise source.refuse("is HDF5; reading it needs the package h5py") from error
    try:
        with h5py.File(source.path, "r") as file:
            yield file
    except RecordingError:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise source.refuse(f"is a broken HDF5 file ({error})") from error


def parse_mat(source: Source, wanted: Wanted) -> Parsed | None:
    """Read the two MAT files of the Hume toolbox: a struct `stageData`, or one column of codes."""
    if not source.head.startswith(b"MATLAB 5.0 MAT-file"):
        return None
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    _check_mat_size(source)
    try:
        found = loadmat(BytesIO(source.content), squeeze_me=True, struct_as_record=False)
    except (MatReadError, *_MAT_ERRORS) as error:
        raise source.refuse(f"is a broken MAT file ({error})") from error
    values = {name: value for name, value in found.items() if not name.startswith("__")}
    if "stageData" in values:
        return _hume_struct(source, values["stageData"])
    lists = [v for v in values.values() if np.ndim(v) == 1 and np.issubdtype(v.dtype, np.integer)]
    if len(lists) != 1:
        raise source.refuse("is MAT without 'stageData' and without exactly one list of codes")
    codes = tuple(str(code) for code in lists[0])
    return Parsed(codes=codes, code_s=wanted.code_s, stage_map=guess_map(codes))


def spreadsheet_rows(source: Source) -> list[list[str]] | None:
    """Return the rows of the first sheet as text, None when the file is no spreadsheet."""
    if not source.head.startswith(b"PK\x03\x04"):
        return None
    try:
        import openpyxl
    except ImportError as error:
        raise source.refuse("is a spreadsheet; reading it needs the package openpyxl") from error
    try:
        with zipfile.ZipFile(BytesIO(source.content)) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > MAX_BYTES:  # zipfile unpacks no more of a member than it declares
            raise RecordingError("it unpacks to more than 64 MiB")
        sheet = openpyxl.load_workbook(BytesIO(source.content), read_only=True).worksheets[0]
        rows = [["" if v is None else str(v) for v in row] for row in sheet.values]
    except _XLSX_ERRORS as error:
        raise source.refuse(f"is no spreadsheet that can be read ({error})") from error
    return [row for row in rows if any(row)]


def parse_xlsx(source: Source, wanted: Wanted) -> Parsed | None:
    """Read the first column of the first sheet, one label per epoch (SYSU)."""
    rows = spreadsheet_rows(source)
    if rows is None:
        return None
    words = stage_map("words_and_rk")
    codes = [row[0].strip() for row in rows]
    if lookup_stage(codes[0], words) is None and np.isnan(number(codes[0])):
        codes = codes[1:]  # a header
    return Parsed(codes=tuple(codes), code_s=wanted.code_s, stage_map=guess_map(codes))


def _has_stages(marks: tuple[Mark, ...]) -> bool:
    """Return whether annotations hold stages, in the standard texts or as bare names."""
    known = [stage_map("edfplus"), stage_map("words")]
    return any(lookup_stage(mark.label, codes) is not None for mark in marks for codes in known)


def _challenge_vectors(source: Source, data: Any, rate_hz: float) -> Parsed:
    """Return the majority stage of each epoch and the arousals; one value per sample in the file.

    A sample that is set in none of the vectors is unknown, not wake.
    """
    per_epoch = round(30 * rate_hz)
    vectors = data["sleep_stages"]
    if any(vectors[name].size > _MAX_CODES * rate_hz for name in _P2018_STAGES):
        raise source.refuse("claims to last longer than a fortnight")
    counts = np.stack([_per_epoch(vectors[name][()], per_epoch) for name in _P2018_STAGES])
    counts = np.concatenate([counts, per_epoch - counts.sum(axis=0, keepdims=True)])  # (6, E)
    names = (*_P2018_STAGES, "undefined")
    events: list[Mark] = []
    if "arousals" in data:
        aroused = np.ravel(data["arousals"][()]) == 1
        edges = np.flatnonzero(np.diff(aroused, prepend=False, append=False)).reshape(-1, 2)
        events = [Mark(a / rate_hz, (b - a) / rate_hz, "Arousal", "event") for a, b in edges]
    codes = tuple(names[k] for k in counts.argmax(axis=0))
    return Parsed(marks=tuple(events), codes=codes, stage_map="p2018")


def _per_epoch(vector: np.ndarray, per_epoch: int) -> np.ndarray:
    """Return how many samples of each whole epoch are set, (E,)."""
    whole = np.ravel(vector)[: vector.size // per_epoch * per_epoch]
    return np.count_nonzero(whole.reshape(-1, per_epoch), axis=1)


def _hume_struct(source: Source, data: Any) -> Parsed:
    """Return the scoring in a Hume `stageData` struct; onsets there are samples from 1."""
    try:
        onsets = (np.atleast_1d(data.onsets).astype(np.float64) - 1) / float(data.srate)
        codes = [str(int(code)) for code in np.atleast_1d(data.stages)]
        window_s, start = float(data.win), _datenum(data.recStart)
        lights = {"Lights off": _datenum(data.lightsOFF), "Lights on": _datenum(data.lightsON)}
        stages = [
            Mark(onset, window_s, code, "stage")
            for onset, code in zip(onsets.tolist(), codes, strict=True)
        ]
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise source.refuse(f"has a stageData that is not Hume's ({error})") from error
    events = [Mark((at - start).total_seconds(), 0.0, text, "event") for text, at in lights.items()]
    return Parsed((*stages, *events), stage_map="rk", start=start)


def _datenum(days: float) -> datetime:
    """Return the time of a MATLAB day number, to the millisecond it holds."""
    whole = int(days)
    seconds = round((float(days) - whole) * 86_400, 3)
    return datetime.fromordinal(whole - _MATLAB_DAY_OFFSET) + timedelta(seconds=seconds)


def _check_mat_size(source: Source) -> None:
    """Refuse a MAT file whose compressed parts unpack to more than a scoring can hold."""
    place = 128
    while place + 8 <= len(source.content):
        kind, n_bytes = struct.unpack("<II", source.content[place : place + 8])
        place += 8
        if place + n_bytes > len(source.content):
            raise source.refuse("is a MAT file that was cut short")
        if kind == 15:  # miCOMPRESSED
            unpack = zlib.decompressobj()
            try:
                unpack.decompress(source.content[place : place + n_bytes], MAX_BYTES)
            except zlib.error as error:
                raise source.refuse(f"is a broken MAT file ({error})") from error
            if unpack.unconsumed_tail:
                raise source.refuse("unpacks to more than any scoring file (64 MiB)")
        place += n_bytes
