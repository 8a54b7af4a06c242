"""One night: which channels are taken, what is refused, what the store keeps of the facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import time
from pathlib import Path

import numpy as np
import pytest

from nights.night import Night
from preprocess.dataset import DatasetSpec, RawNight, ScoringFormat, Source, find, read_rows
from preprocess.recipe.conversion import Order, choose_channels, completed, convert
from recordings.views import VIEWS
from tests.makers.raw_folders import START, RawFolder, Signals
from tests.makers.recordings import ArrayRecording
from tests.makers.scoring_text import bids_tsv, codes

SPEC = DatasetSpec(
    name="DS-1",
    title="made here",
    source=Source("private"),
    channels={
        "C4": [("C4", "M1"), "C4"],
        "E1": [("E1", "M2")],
        "E2": [("E2", "M1")],
        "ECG": ["ECG"],
    },
)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A night of six epochs with two scorings."""
    labels = dict.fromkeys(("C4", "M1", "E1", "E2", "M2", "ECG"), 100)
    files = {"n1.edf": Signals(labels), "n1.txt": codes("W1223R"), "n1_b.txt": codes("WW2233")}
    return RawFolder(files, ()).write(tmp_path / "raw")


@pytest.fixture
def night(raw: Path) -> RawNight:
    """The night of the folder."""
    return RawNight("n1", "p1", raw / "n1.edf", raw / "n1.txt")


def made(night: RawNight, out: Path, spec: DatasetSpec = SPEC, view: str = "bb100") -> Night:
    """Make the night and open it."""
    result = convert(night, spec, Order(out, (view,)))
    assert not result.failed, result.failed
    return Night.open(out / view / f"DS-1/{night.night}.json")


def refusal(night: RawNight, out: Path, spec: DatasetSpec = SPEC) -> str:
    """Return why the night cannot be made."""
    return convert(night, spec, Order(out, ("bb100",))).failed["bb100"].reason


def test_persons_of_different_data_sets_never_share_a_name(night, tmp_path) -> None:
    known = made(replace(night, family="f9"), tmp_path).sidecar
    assert (known["person"], known["group"]) == ("ds1-p1", "ds1-f9")


def test_a_stage_map_that_knows_no_label_is_no_night_without_stages(night, tmp_path) -> None:
    spec = replace(SPEC, scoring=ScoringFormat(stage_map={"awake": 0}))
    assert "no epoch is scored by its stage map" in refusal(night, tmp_path, spec)


def test_all_facts_of_a_night_stay_with_it(raw, night, tmp_path) -> None:
    told = replace(
        night,
        visit="2",
        part="site A",
        labels={"diagnosis": "insomnia"},
        lights_s=(30.0, 150.0),
        other_scorings={"second": raw / "n1_b.txt"},
    )
    spec = replace(SPEC, remarks={"n1": "cap fell off"})
    known = made(told, tmp_path, spec)
    assert known.sidecar["labels"] == {"diagnosis": "insomnia"}
    assert (known.sidecar["visit"], known.sidecar["part"]) == ("2", "site A")
    assert known.sidecar["remark"] == "cap fell off"
    assert known.sidecar["other_scorings"] == {"second": [0, 0, 2, 2, 3, 3]}
    assert (known.hypnogram.lights_off_s, known.hypnogram.lights_on_s) == (30, 150)


def test_a_recording_that_began_at_another_time_is_refused(night, tmp_path) -> None:
    at = START.time()
    assert made(replace(night, clock=at), tmp_path)
    reason = refusal(replace(night, clock=time(23, 0)), tmp_path / "other")
    assert reason == f"n1.edf: begins at {at}, its scoring says 23:00:00"


def test_a_recording_of_unlikely_length_is_refused(night, tmp_path) -> None:
    spec = replace(SPEC, hours=(4, 14))
    assert "nights of DS-1 last 4 to 14 h" in refusal(night, tmp_path, spec)


def test_a_part_with_other_files_takes_its_own_channels(night, tmp_path) -> None:
    spec = replace(SPEC, part_channels={"B": {"C3": ["C4"]}})
    assert made(replace(night, part="B"), tmp_path, spec).channels == ("C3",)


def test_a_scoring_that_begins_within_a_second_moves_the_signal(raw, night, tmp_path) -> None:
    (raw / "n1.tsv").write_text(bids_tsv("W122R", onset_s=7.9609375))
    moved = made(replace(night, scoring=raw / "n1.tsv"), tmp_path / "moved")
    plain = made(replace(night, scoring=None), tmp_path / "plain")
    assert moved.stages.tolist() == [0, 1, 2, 2, 4]
    assert moved.hypnogram.onset_s == pytest.approx(7.961, abs=1e-3)
    whole = plain.read(["ECG"])["ECG"].ravel()
    assert np.allclose(moved.read(["ECG"])["ECG"].ravel(), whole[796 : 796 + 15_000], atol=0.2)


def test_channels_of_other_rates_are_a_group_of_their_own(night, tmp_path) -> None:
    spec = replace(SPEC, channels={"ECG": ["ECG"], "ABD": ["M1"]})
    known = made(night, tmp_path, spec, view="cr").sidecar
    assert {name: g["samples_per_epoch"] for name, g in known["groups"].items()} == {
        "sig": 1024,
        "sig_256": 256,
    }


def test_of_two_channels_so_called_the_one_beside_its_neighbour_is_taken() -> None:
    labels = ("T3", "CChin", "C4", "LChin", "CChin")
    recording = ArrayRecording([(label, np.zeros(2)) for label in labels])
    spec = replace(SPEC, channels={"Chin": [("LChin", "CChin")]}, twins={"CChin": "LChin"})
    chosen = choose_channels(
        recording, RawNight("n", "p", Path("n.edf")), spec, Order(Path()), VIEWS["psg9"]
    )
    assert (chosen["Chin"].plus, chosen["Chin"].minus) == (3, 4)


def test_what_follows_from_the_facts_is_added() -> None:
    full = completed({"C3": ["C3-M2"], "C4": ["C4-M1"], "E1": [("E1", "M2")], "E2": ["ROC"]})
    assert full["EEG"] == ["C4-M1", "C3-M2"]
    assert full["EOGh"] == [("E1", "ROC")]
    assert completed(SPEC.channels, as_recorded=True)["E1"] == [("E1", "M2"), "E1"]


def test_a_channel_nobody_knows_is_refused_when_the_facts_are_read() -> None:
    with pytest.raises(ValueError, match="DS-1: no channel C9"):
        replace(SPEC, channels={"C9": ["C9"]})


def test_files_are_found_whatever_the_case_of_their_suffix(tmp_path) -> None:
    for name in ("b2.EDF", "a1.edf", "a1_scoring.edf", "notes.txt"):
        (tmp_path / name).touch()
    found = [ids["night"] for _, ids in find(tmp_path, "*.edf", r"(?P<night>[ab]\d)")]
    assert found == ["a1", "b2"]


def test_tables_are_read_by_any_case_and_without_blanks(tmp_path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("NSRRID, Famid \n 1 , f7\n\n2,f8,surplus\n", encoding="utf-8-sig")
    rows = read_rows(path, key="nsrrid")
    assert {key: row["famid"] for key, row in rows.items()} == {"1": "f7", "2": "f8"}
    assert read_rows(tmp_path / "none.csv", key="x") == {}
