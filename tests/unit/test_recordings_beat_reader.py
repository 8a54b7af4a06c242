"""A table of beat intervals is a recording of one channel, on the clock of its scoring."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from evaluation.heart import heart_statistics
from recordings.beats import normal_intervals
from recordings.formats import is_recording, open_recording
from recordings.ingest import read_view
from recordings.recording import RecordingError
from recordings.views import VIEWS
from staging.references import find_reference


def table(path: Path, rows: list[str], head: str = "time,annotation,rr_s") -> Path:
    """Write a table, packed when its name says so."""
    text = "\n".join([head, *rows]) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def epochs(*starts: str) -> list[str]:
    """Return a row of intervals that alternate around 0.75 s for each start."""
    return [f"{start},2,{' '.join(['0.74', '0.76'] * 20)}" for start in starts]


@pytest.mark.parametrize("name", ["beats.csv", "beats.csv.gz"])
def test_it_is_read_as_a_heart_rate_with_its_stages(tmp_path: Path, name: str) -> None:
    path = table(tmp_path / name, epochs("0:00.000", "0:30.000", "1:00.000"))
    assert is_recording(path)
    recording = open_recording(path)
    assert (recording.labels, recording.duration_s) == (("HR",), 90.0)
    night = read_view(recording, VIEWS["hr"])
    assert night.signals["HR"].shape == (3, 128)
    np.testing.assert_allclose(night.signals["HR"], 80, atol=1.2)
    assert night.channels[0].unit == "bpm"
    assert find_reference(recording, "auto").stages.tolist() == [2, 2, 2]


def test_rows_left_out_are_a_gap_and_move_the_beats_after_them(tmp_path: Path) -> None:
    path = table(tmp_path / "beats.csv", epochs("1:00", "1:30", "4:00", "4:30"))
    recording = open_recording(path)
    assert recording.duration_s == 300
    assert (
        read_view(recording, VIEWS["hr"]).unscored.tolist()
        == [True] * 2 + [False] * 2 + [True] * 4 + [False] * 2
    )
    assert recording.beats_s[40 * 2] == pytest.approx(240.74)


def test_a_table_without_intervals_is_no_recording(tmp_path: Path) -> None:
    path = table(tmp_path / "stages.csv", ["0,2"], head="epoch,stage")
    assert not is_recording(path)
    with pytest.raises(RecordingError, match="convert it to EDF"):
        open_recording(path)


def test_what_is_no_number_is_told_with_its_line(tmp_path: Path) -> None:
    path = table(tmp_path / "beats.csv", ["0:00,2,0.8 0.9", "0:30,2,0.8 x"])
    with pytest.raises(RecordingError, match=r"beats\.csv: line 3: .*'x'"):
        open_recording(path)


def test_milliseconds_are_told_from_seconds(tmp_path: Path) -> None:
    path = table(tmp_path / "beats.csv", ["0:00,2,800 810 790 805"])
    with pytest.raises(RecordingError, match="are they in seconds"):
        open_recording(path)


@pytest.mark.data("real/slpdb_rr")
def test_real_intervals_are_nearly_all_normal_and_give_known_variability(shared_data) -> None:
    records = sorted((shared_data / "real/slpdb_rr").glob("*.csv.gz"))
    assert len(records) >= 1
    for path in records:
        recording = open_recording(path)
        rr_s, normal = normal_intervals(recording.beats_s)
        assert normal.mean() > 0.95
        assert rr_s[normal].min() >= 0.3
        found = heart_statistics(recording.beats_s)
        assert 50 < found["heart_bpm"] < 95
        # Task Force 1996, table 5: SDNN of 24 h 141 (SD 39) ms, RMSSD 27 (12) ms; a night, ill
        assert 30 < found["sdnn_ms"] < 250
        assert 10 < found["rmssd_ms"] < 120
        assert found["sdnn_index_ms"] < found["sdnn_ms"]


@pytest.mark.data("real/slpdb_rr")
def test_real_artefacts_are_caught(shared_data) -> None:
    recording = open_recording(shared_data / "real/slpdb_rr/slp03.csv.gz")
    rr_s, normal = normal_intervals(recording.beats_s)
    assert rr_s.max() > 6  # a dropout that the file holds as one interval
    assert not normal[rr_s > 2].any()
    assert not normal[rr_s < 0.3].any()
