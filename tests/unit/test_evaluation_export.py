"""Exports: other programs open them, and nothing is half written."""

from __future__ import annotations

import csv
import json
from datetime import datetime

import mne
import numpy as np
import openpyxl
import pyedflib
import pytest

from evaluation import export
from nights.hypnogram import Hypnogram
from nights.stages import FOUR_CLASSES
from recordings.scoring import Event, read_scoring

START = datetime(2021, 3, 4, 22, 59, 30, 250_000)
EVENTS = (Event(31.0, 12.5, "obstructive_apnea"), Event(44.0, 3.0, "arousal"))
WRITERS = {
    "a.csv": export.write_csv,
    "a.xlsx": export.write_xlsx,
    "a.txt": export.write_txt,
    "a.json": export.write_json,
    "a_events.tsv": export.write_bids,
    "a.edf": export.write_edfplus,
}


@pytest.fixture
def night(rng) -> Hypnogram:
    proba = rng.dirichlet(np.ones(5), 40).astype(np.float32)
    proba[7] = np.nan
    return Hypnogram.from_proba(
        proba,
        start=START,
        onset_s=12.25,
        lights_off_s=40.0,
        lights_on_s=1100.0,
        scorer="test stager",
        notes=("made up",),
    )


def test_csv_columns_and_clock(night, tmp_path):
    export.write_csv(night, tmp_path / "a.csv")
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    proba = [f"proba_{name}" for name in ("W", "N1", "N2", "N3", "R")]
    assert list(rows[0]) == ["epoch", "onset_s", "duration_s", "clock", "stage", *proba]
    assert rows[1]["clock"] == "2021-03-04T23:00:00.250000"
    assert (rows[7]["stage"], rows[7]["proba_W"]) == ("?", "")
    assert [row["stage"] for row in rows] == night.names


def test_spreadsheet_holds_numbers_as_numbers(night, tmp_path):
    export.write_xlsx(night, tmp_path / "a.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "a.xlsx").active
    assert sheet.max_row == 41
    assert sheet["B3"].value == 42.25
    assert isinstance(sheet["F2"].value, float)


def test_text_of_aasm_classes_is_names_alone(night, tmp_path):
    export.write_txt(night, tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text().split() == night.names


def test_edfplus_is_read_by_pyedflib_and_mne(night, tmp_path):
    path = tmp_path / "a.edf"
    export.write_edfplus(night, path, events=EVENTS)
    with pyedflib.EdfReader(str(path)) as reader:
        onsets, durations, texts = reader.readAnnotations()
        assert reader.getStartdatetime() == datetime(2021, 3, 4, 22, 59, 18)
    stages = [text for text in texts if text.startswith("Sleep stage ")]
    assert stages == [f"Sleep stage {name}" for name in night.names]
    assert {"Obstructive apnea", "Arousal", "Lights off", "Lights on"} <= set(texts)
    annotations = mne.read_annotations(path)
    staged = [a for a in annotations if a["description"].startswith("Sleep stage")]
    np.testing.assert_allclose([a["onset"] for a in staged], night.onsets_s, atol=1e-4)
    assert {a["duration"] for a in staged} == {30.0}


def test_edfplus_of_a_long_night_keeps_every_epoch(tmp_path):
    hypnogram = Hypnogram(np.arange(2880) % 5, start=datetime(2020, 1, 1, 12))
    export.write_edfplus(hypnogram, tmp_path / "a.edf")
    found = read_scoring(tmp_path / "a.edf").hypnogram
    np.testing.assert_array_equal(found.stages, hypnogram.stages)


def test_edfplus_fits_its_recording_to_the_fraction_of_a_second(night, tmp_path):
    export.write_edfplus(night, tmp_path / "a.edf")
    first_sample = datetime(2021, 3, 4, 22, 59, 18)  # START - 12.25 s
    found = read_scoring(tmp_path / "a.edf", start=first_sample).hypnogram
    assert found.onset_s == pytest.approx(12.25, abs=1e-4)
    assert abs((found.start - START).total_seconds()) < 1e-3


def test_unknown_clock_stays_unknown(night, tmp_path):
    night = Hypnogram(night.stages, onset_s=5.0)
    for name, write in WRITERS.items():
        write(night, tmp_path / name)
        assert read_scoring(tmp_path / name).hypnogram.start is None


def test_bids_sidecar_describes_every_column_and_level(night, tmp_path):
    path = tmp_path / "sub-1_events.tsv"
    export.write_bids(night, path, events=EVENTS)
    table = list(csv.DictReader(path.open(), delimiter="\t"))
    sidecar = json.loads(path.with_suffix(".json").read_text())
    assert list(table[0])[:3] == ["onset", "duration", "trial_type"]
    assert set(table[0]) == set(sidecar)
    assert {row["trial_type"] for row in table} <= set(sidecar["trial_type"]["Levels"])
    assert [float(row["onset"]) for row in table] == sorted(float(r["onset"]) for r in table)
    assert "" not in {value for row in table for value in row.values()}


@pytest.mark.parametrize("name", ["a.json", "a_events.tsv", "a.edf"])
def test_events_and_lights_come_back(night, tmp_path, name):
    WRITERS[name](night, tmp_path / name, events=EVENTS)
    scoring = read_scoring(tmp_path / name, start=datetime(2021, 3, 4, 22, 59, 18))
    respiratory = [event for event in scoring.events if not event.type.startswith("lights")]
    assert [event.type for event in respiratory] == [event.type for event in EVENTS]
    times = [(event.onset_s, event.duration_s) for event in respiratory]
    np.testing.assert_allclose(times, [event[:2] for event in EVENTS], atol=1e-4)
    hypnogram = scoring.hypnogram
    assert (hypnogram.lights_off_s, hypnogram.lights_on_s) == pytest.approx((40.0, 1100.0))


def test_json_keeps_scorer_and_notes(night, tmp_path):
    export.write_json(night, tmp_path / "a.json")
    found = read_scoring(tmp_path / "a.json").hypnogram
    assert (found.scorer, found.notes) == ("test stager", ("made up",))


def test_own_file_is_laid_on_the_recording(night, tmp_path):
    export.write_csv(night, tmp_path / "a.csv")
    found = read_scoring(tmp_path / "a.csv", n_epochs=50).hypnogram
    assert (found.n_epochs, found.onset_s) == (50, 12.25)
    np.testing.assert_array_equal(found.stages[:40], night.stages)
    assert not found.scored[40:].any()


def test_rows_that_were_cut_out_are_refused(night, tmp_path):
    export.write_csv(night, tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_text().splitlines()
    (tmp_path / "b.csv").write_text("\n".join(lines[:5] + lines[9:]))
    with pytest.raises(ValueError, match="rows are not 30 s apart"):
        read_scoring(tmp_path / "b.csv")


def test_yasa_object_has_stages_clock_and_probabilities(night):
    hypnogram = export.to_yasa(night)
    np.testing.assert_array_equal(
        hypnogram.as_int().to_numpy(), np.where(night.stages < 0, -2, night.stages)
    )
    assert hypnogram.start.to_pydatetime() == START
    known = night.scored
    np.testing.assert_allclose(hypnogram.proba.to_numpy()[known], night.proba[known], atol=1e-6)
    assert hypnogram.sleep_statistics()["TIB"] == 20.0


def test_yasa_object_of_four_classes():
    hypnogram = export.to_yasa(Hypnogram(np.array([0, 1, 2, 3, -1]), classes=FOUR_CLASSES))
    assert list(hypnogram.hypno) == ["WAKE", "LIGHT", "DEEP", "REM", "UNS"]


def test_mne_annotations_fit_a_raw_without_a_date(night):
    raw = mne.io.RawArray(
        np.zeros((1, 13_000)), mne.create_info(["C4"], 10.0, "eeg"), verbose="error"
    )
    raw.set_annotations(export.to_mne(night, events=EVENTS))
    events, _ = mne.events_from_annotations(raw, event_id={"Sleep stage R": 5}, verbose="error")
    assert len(events) == (night.stages == 4).sum()
    assert "Obstructive apnea" in raw.annotations.description


@pytest.mark.parametrize("name", WRITERS)
def test_failed_write_leaves_the_old_file(night, tmp_path, monkeypatch, name):
    path = tmp_path / name
    WRITERS[name](night, path)
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        WRITERS[name](night.with_stages(np.zeros(40)), path)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.tmp.*"))
