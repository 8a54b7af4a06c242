"""Broken, foreign and malicious files: one sentence that names the file, and no harm."""

from __future__ import annotations

import gzip
import io
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from recordings.recording import RecordingError
from recordings.scoring import read_scoring

BOMB = """<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<PSGAnnotation><ScoredEvents><ScoredEvent>&b;</ScoredEvent></ScoredEvents></PSGAnnotation>
"""
NSRR_FOREVER = """<PSGAnnotation><ScoredEvents><ScoredEvent><EventType>Stages|Stages</EventType>
<EventConcept>Wake|0</EventConcept><Start>0</Start><Duration>1e15</Duration></ScoredEvent>
</ScoredEvents></PSGAnnotation>"""
OWN_JSON = (
    b'{"format": "nightstack hypnogram 1", "classes": ["W", "N1", "N2", "N3", "R"], "onset_s": 0,'
    b' "start": null, "epoch_s": 30, "lights_off_s": null, "lights_on_s": null, "scorer": "",'
    b' "notes": [], "events": [], "stages": ["W"], "proba": null}'
)
MAT_HEAD = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"


def zip_bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"\0" * (65 * 2**20))
    return buffer.getvalue()


def mat_bomb() -> bytes:
    packed = zlib.compress(b"\0" * (65 * 2**20))
    return MAT_HEAD + struct.pack("<II", 15, len(packed)) + packed


FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "blank": (b"\n \n\t\n", "no scoring of a known format; known: edfplus"),
    "binary": (bytes(range(256)) * 40, "no scoring of a known format"),
    "prose": (b"The patient slept well.\nNothing to report.\n", "no scoring of a known format"),
    "entities": (BOMB.encode(), "declares a document type"),
    "entities in UTF-16": (BOMB.encode("utf-16"), "declares a document type"),
    "cut XML": (b"<CMPStudyConfig><SleepStages>", "broken XML"),
    "endless run": (NSRR_FOREVER.encode(), "more than a fortnight"),
    "event without start": (
        b"<PSGAnnotation><ScoredEvent><Duration>3</Duration></ScoredEvent></PSGAnnotation>",
        "no Start that is a number",
    ),
    "far onset": (b"onset\tduration\tdescription\n1e12\t30\tSleep stage W\n", "fortnight"),
    "infinite onset": (b"onset\tduration\tdescription\ninf\t30\tSleep stage W\n", "is no time"),
    "onset of words": (b"onset\tduration\tdescription\nsoon\t30\tSleep stage W\n", "is no time"),
    "header alone": (b"onset\tduration\tdescription\n", "header and no rows"),
    "events alone": (b"onset\tduration\tdescription\n3\t9\tHypopnea\n", "no sleep stage"),
    "huge epoch number": (b"1\t0\n99999999999\t2\n", "no scoring of a known format"),
    "gzip bomb": (gzip.compress(b"0\n" * (33 * 2**20)), "larger than any scoring file"),
    "cut gzip": (gzip.compress(b"0\n" * 1000)[:-9], "cannot be read"),
    "spreadsheet bomb": (zip_bomb(), "no spreadsheet .* unpacks to more than"),
    "zip that is no spreadsheet": (b"PK\x03\x04" + b"\0" * 100, "is no spreadsheet"),
    "MAT bomb": (mat_bomb(), "unpacks to more than"),
    "cut MAT": (MAT_HEAD + struct.pack("<II", 15, 10**9) + b"abc", "cut short"),
    "broken MAT": (MAT_HEAD + struct.pack("<II", 14, 8) + b"\xff" * 8, "broken MAT|without"),
    "cut HDF5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 60, "broken HDF5"),
    "cut EDF": (b"0       ".ljust(200), "header"),
    "broken JSON": (b'{"format": ', "broken JSON"),
    "JSON without end": (b'{"a":' + b"[" * 200_000, "broken JSON"),
    "far JSON": (OWN_JSON.replace(b'"onset_s": 0', b'"onset_s": 1e300'), "fortnight"),
    "impossible probability": (OWN_JSON.replace(b"null}", b"[[9, 0, 0, 0, 0]]}"), "above 1"),
    "superscript epochs": ("²\t0\n".encode(), "no scoring of a known format"),
    "UCDDB without a time": (
        b"start_sec,end_sec,sleep_stage,event_types,event_start_sec,event_duration_sec\n,30,0,,,\n",
        "fortnight",
    ),
    "JSON of another": (b'{"a": 1}', "no scoring of a known format"),
    "our JSON without stages": (b'{"format": "nightstack hypnogram 1"}', "not a complete"),
}


@pytest.mark.parametrize("case", FILES)
def test_file_is_refused_in_one_sentence(tmp_path, case):
    content, reason = FILES[case]
    path = tmp_path / "night.scoring"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=reason) as error:
        read_scoring(path)
    assert str(error.value).startswith("night.scoring: ")
    assert "\n" not in str(error.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(RecordingError, match=r"night\.xml: no such file"):
        read_scoring(tmp_path / "night.xml")


def test_hdf5_that_claims_a_huge_list_costs_no_memory(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("hypnogram", shape=(10**12,), dtype="i1", chunks=(1000,))
    tracemalloc.start()
    with pytest.raises(RecordingError, match="hypnogram longer than a fortnight"):
        read_scoring(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


def test_challenge_file_that_claims_a_year_is_refused(tmp_path):
    path = tmp_path / "a.mat"
    with h5py.File(path, "w") as file:
        for name in ("wake", "nonrem1", "nonrem2", "nonrem3", "rem"):
            shape = (1, 366 * 86_400 * 200)
            file.create_dataset(f"data/sleep_stages/{name}", shape, dtype="i1", chunks=(1, 1000))
    with pytest.raises(RecordingError, match="longer than a fortnight"):
        read_scoring(path)


def test_scoring_of_another_night_is_refused(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("onset\tduration\tdescription\n9000\t30\tSleep stage W\n")
    with pytest.raises(RecordingError, match="none of its stages lies within the recording"):
        read_scoring(path, n_epochs=10)


def test_random_damage_never_crashes(tmp_path):
    text = "onset\tduration\tdescription\n" + "".join(
        f"{30 * k}\t30\tSleep stage {'W123R'[k % 5]}\n" for k in range(40)
    )
    rng = np.random.default_rng(5)
    path: Path = tmp_path / "a.tsv"
    read = 0
    for _ in range(200):
        damaged = bytearray(text.encode())
        for place in rng.integers(0, len(damaged), 4):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged[: rng.integers(1, len(damaged) + 1)])
        try:
            read += read_scoring(path).hypnogram.n_epochs > 0
        except RecordingError:
            continue
    assert read > 20
