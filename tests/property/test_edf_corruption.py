"""Randomly damaged EDF and BDF files: read as they are written, or refused; nothing else.

Each draw makes one of four valid files, damages it once or twice, and opens it. The reading is
checked against a second reader below, which knows nothing of repairs: it takes the header at its
word. Where the damage touched neither calibration, layout nor samples, the samples must be those of
the undamaged file.
"""

from __future__ import annotations

import time
import tracemalloc
from datetime import datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from recordings.edf import EdfRecording
from recordings.recording import RecordingError
from tests.makers.edf_maker import WIDTHS, field_place, write_edf

DRAWS, QUICK = 2000, 60
SECONDS_ALLOWED = 2.0
KINDS = ("plain", "annotated", "with pauses", "24 bits")
HARMLESS = ("patient", "recording", "date", "time", "header_bytes")
CALIBRATION = ("unit", "pmin", "pmax", "dmin", "dmax")
VALUES = [
    *["0", "-1", "1", "7", "-32768", "32767", "65535", "99999999", "1e30", "1E-30", "-1e999"],
    *["nan", "inf", "", "x", "12,5", ",5", "0x10", "1_0", "+-1", "EDF+D", "\xb5V", "mV", "V"],
    *["\x00\x00\x00", "EDF Anno", "00.00.00", "99.99.99"],
]


@cache
def valid_file(folder: Path, kind: str) -> bytes:
    """Return the content of a small valid file."""
    rng = np.random.default_rng(len(kind))
    signals = {
        "C4": (rng.normal(0, 40, 20 * 64), 64),
        "E1": (rng.normal(0, 90, 20 * 50), 50),
        "SpO2": (rng.uniform(80, 99, 20), 1),
    }
    marks = [(float(t), 30, f"Sleep stage {t % 5}") for t in range(0, 20, 4)]
    onsets_s = [i + 5.0 * (i > 7) + 60.0 * (i > 15) for i in range(20)]
    options = {
        "plain": {},
        "annotated": {"annotations": marks, "start": datetime(2020, 1, 1, 22, 0, 0, 250000)},
        "with pauses": {"annotations": marks, "record_onsets_s": onsets_s},
        "24 bits": {"annotations": marks, "bdf": True},
    }[kind]
    return write_edf(folder / f"{kind}.edf", signals, **options).read_bytes()


def damage(content: bytes, rng: np.random.Generator) -> tuple[bytes, bool]:
    """Return damaged content, and whether calibration, layout and samples are untouched."""
    n_signals = int(content[252:256])
    header = 256 * (1 + n_signals)
    kind = rng.integers(7)
    data = bytearray(content)
    if kind == 0:  # bytes flipped anywhere
        for at in rng.integers(0, len(data), rng.integers(1, 9)):
            data[at] ^= int(rng.integers(1, 256))
        return bytes(data), False
    if kind == 1:  # bytes flipped in the header
        for at in rng.integers(0, header, rng.integers(1, 5)):
            data[at] = int(rng.integers(0, 256))
        return bytes(data), False
    if kind == 2:  # cut anywhere
        return content[: rng.integers(0, len(content))], False
    if kind == 3:  # a harmless field replaced
        return _replace(data, rng.choice(HARMLESS), None, rng), True
    if kind == 4:  # another fixed field replaced
        return _replace(
            data, rng.choice(["version", "reserved", "records", "record_s", "signals"]), None, rng
        ), False
    if kind == 5:  # a field of a signal replaced
        field = rng.choice(["label", *CALIBRATION, "prefilter", "samples"])
        return _replace(data, field, int(rng.integers(n_signals)), rng), False
    begin = int(rng.integers(header, len(data)))  # a chunk of the data taken out or doubled
    end = int(rng.integers(begin, len(data)))
    middle = content[begin:end] * (2 if rng.random() < 0.5 else 0)
    return content[:begin] + middle + content[end:], False


def _replace(data: bytearray, field: str, signal: int | None, rng: np.random.Generator) -> bytes:
    """Overwrite one header field with a value of `VALUES`."""
    at, width = field_place(data, str(field), signal)
    data[at : at + width] = str(rng.choice(VALUES)).encode("latin-1")[:width].ljust(width)
    return bytes(data)


def as_written(content: bytes, sample_bytes: int, n_records: int, place: int) -> np.ndarray:
    """Decode the signal at `place` of the file, taking its header at its word."""
    n_signals = int(content[252:256])
    table, rows = content[256 : 256 * (1 + n_signals)], []
    for width in WIDTHS:
        rows.append([table[i * width : (i + 1) * width] for i in range(n_signals)])
        table = table[n_signals * width :]
    texts = [row[place].decode("latin-1").strip(" \x00\t\r\n").replace(",", ".") for row in rows]
    low, high, first, last = map(float, texts[3:7])
    unit = texts[2].replace("\xb5", "u").lower()
    factor = {"uv": 1.0, "mv": 1e3, "v": 1e6, "nv": 1e-3}.get(unit, 1.0)
    counts = [
        int(float(raw.decode("latin-1").strip(" \x00\t\r\n").replace(",", "."))) for raw in rows[8]
    ]
    samples = []
    for record in range(n_records):
        at = 256 * (1 + n_signals) + sample_bytes * (record * sum(counts) + sum(counts[:place]))
        for i in range(counts[place]):
            raw = content[at + i * sample_bytes : at + (i + 1) * sample_bytes]
            samples.append(int.from_bytes(raw, "little", signed=True))
    return ((np.array(samples) - first) * ((high - low) / (last - first)) + low) * factor


def without_pauses(recording: EdfRecording, position: int) -> np.ndarray:
    """Return the samples of a channel with the zeros of its pauses taken out."""
    samples = recording.read(position, np.float64)
    recorded = np.ones(len(samples), bool)
    for from_s, to_s in recording.gaps:
        rate_hz = float(recording.channels[position].rate_hz)
        recorded[round(from_s * rate_hz) : round(to_s * rate_hz)] = False
    return samples[recorded]


def open_and_read(path: Path) -> tuple[EdfRecording | str, dict[int, np.ndarray], int]:
    """Return the recording (or the refusal), its samples by position, and the peak memory."""
    tracemalloc.start()
    try:
        recording = EdfRecording(path)
        usable = [channel.position for channel in recording.channels if not channel.dead]
        read = {position: without_pauses(recording, position) for position in usable}
        return recording, read, tracemalloc.get_traced_memory()[1]
    except RecordingError as error:
        return str(error), {}, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "seed", [pytest.param(i, marks=[pytest.mark.slow] * (i >= QUICK)) for i in range(DRAWS)]
)
def test_a_damaged_file_is_read_as_written_or_refused(tmp_path_factory, tmp_path, seed):
    rng, kind = np.random.default_rng(seed), KINDS[seed % len(KINDS)]
    original = valid_file(tmp_path_factory.getbasetemp(), kind)
    content, untouched = damage(original, rng)
    path = tmp_path / "night.edf"
    path.write_bytes(content)
    begin_s = time.perf_counter()
    recording, read, peak = open_and_read(path)
    assert time.perf_counter() - begin_s < SECONDS_ALLOWED
    assert peak < 10 * len(content) + 50_000 + pauses_bytes(recording)
    if isinstance(recording, str):
        assert recording.startswith("night.edf: ")
        assert "\n" not in recording
        assert not untouched
        return
    header = recording._header
    assert header.sample_bytes == (3 if kind == "24 bits" else 2)
    for position, samples in read.items():
        place = recording._places[position]
        written = original if untouched else content
        wanted = as_written(written, header.sample_bytes, header.n_records, place)
        scale = np.abs(wanted).max(initial=1e-300)
        np.testing.assert_allclose(samples, wanted, 1e-9, 1e-9 * scale)
    if untouched:
        assert (recording.labels, len(read)) == (("C4", "E1", "SpO2"), 3)


def pauses_bytes(recording: EdfRecording | str) -> int:
    """Return what the pauses, of an hour each at most, may cost: twice the longest channel."""
    if isinstance(recording, str) or not recording.gaps:
        return 0
    return 2 * 8 * max(channel.n_samples for channel in recording.channels)
