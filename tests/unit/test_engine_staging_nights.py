"""Nights for training: gathered, divided by person, described on the card of the weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.staging_nights import (
    StoredNight,
    asked_folds,
    card_of,
    drawn,
    drawn_folds,
    gather,
    groups_of,
    parts_of,
    stage_counts,
    stored_split,
    usable,
)
from nights.night import NightError
from nights.splits import SplitError
from tests.makers.stagers import told_night

STAGES = [0, 1, 2, 3, 4, -1]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of two data sets: six people of A with two nights each, four of B."""
    for person in range(6):
        for visit in (1, 2):
            rec, kept = f"p{person}v{visit}", {"diagnosis": "none" if person % 2 else "apnea"}
            told_night(
                tmp_path, rec, STAGES, dataset="A", person=f"p{person}", sidecar={"labels": kept}
            )
    for person in range(4):
        part = {"part": f"B-{person % 2}"}
        told_night(tmp_path, f"q{person}", STAGES, dataset="B", sidecar=part)
    return tmp_path


def persons(nights: list[StoredNight]) -> set[str]:
    """Return who slept."""
    return {night.group for night in nights}


def test_stores_data_sets_and_nights_can_be_named(store: Path) -> None:
    assert len(gather([store])) == 16
    assert {night.dataset for night in gather([store / "B"])} == {"B"}
    assert len(gather([store / "A" / "p0v1.json", store / "B"])) == 5
    assert len(gather([store, store / "A"])) == 16  # each night once
    night = gather([store / "A" / "p0v1.json"])[0]
    assert (night.name, night.person, night.counts) == ("A/p0v1", "a-p0", (1, 1, 1, 1, 1))
    assert (night.normalise(None), night.samples) == ("z", {"C4": 3000})


def test_a_folder_without_nights_and_two_views_are_refused(store: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NightError, match="empty: no night in it"):
        gather([tmp_path / "empty"])
    told_night(store, "other", STAGES, dataset="C", view="bb100")
    with pytest.raises(NightError, match="several views.*bb100"):
        gather([store])


def test_nights_without_a_channel_or_a_stage_are_left_out_with_the_reason(store: Path) -> None:
    told_night(store, "lead", STAGES, dataset="C", channels=("O2",))
    told_night(store, "blank", [-1, -1], dataset="C")
    kept, left_out = usable(gather([store]), {"C4": 3000, "F3": 3000})
    assert len(kept) == 16
    assert left_out == {"C/lead": "has none of C4, F3", "C/blank": "nobody scored it"}
    with pytest.raises(NightError, match="there are: C4, O2. Name others with --channels"):
        usable(gather([store]), {"FpzCz": 3000})
    with pytest.raises(NightError, match="C4 has 3000 samples per epoch, the model reads 1024"):
        usable(gather([store]), {"C4": 1024})


def test_every_data_set_is_divided_by_person(store: Path) -> None:
    nights = gather([store])
    parts = parts_of(nights, drawn(nights, seed=1, val_share=0.25, test_share=0.25).folds[0])
    assert sum(map(len, parts.values())) == 16
    for part in parts.values():
        assert {night.dataset for night in part} == {"A", "B"}
    assert not persons(parts["train"]) & persons(parts["test"])
    assert not persons(parts["train"]) & persons(parts["val"])


@pytest.mark.parametrize("held", ["B", "B-1"])
def test_what_is_held_out_is_tested_and_never_trained_on(store: Path, held: str) -> None:
    nights = gather([store])
    split = drawn(nights, seed=0, val_share=0.2, test_share=0.1, hold_out=[held])
    parts = parts_of(nights, split.folds[0])
    assert all(held in (night.dataset, night.part) for night in parts["test"])
    for part in ("train", "val"):
        assert not any(held in (night.dataset, night.part) for night in parts[part])
    assert f"held out: {held}" in split.source


def test_an_unknown_centre_is_refused_with_those_there_are(store: Path) -> None:
    nights = gather([store])
    with pytest.raises(ValueError, match="no nights of HANG7; there are A, B, B-0, B-1"):
        drawn(nights, seed=0, val_share=0.1, test_share=0.1, hold_out=["HANG7"])
    with pytest.raises(ValueError, match="nothing is left to train on"):
        drawn(nights, seed=0, val_share=0.1, test_share=0.1, hold_out=["A", "B"])


def test_folds_test_every_person_once_and_divide_a_label_alike(store: Path) -> None:
    nights = gather([store / "A"])
    split = drawn_folds(nights, 3, seed=0, val_share=0.5, label="diagnosis")
    tested = [night for fold in split.folds for night in fold["test"]]
    assert sorted(tested) == sorted(groups_of(nights))
    by_name = {night.name: night.labels["diagnosis"] for night in nights}
    for fold in split.folds:
        assert {by_name[name] for name in fold["test"]} == {"none", "apnea"}
    with pytest.raises(ValueError, match="'B/q0' has no label 'diagnosis'"):
        drawn_folds(gather([store]), 3, seed=0, val_share=0.2, label="diagnosis")


def test_a_stored_split_is_read_by_name_and_its_leaks_are_refused(store: Path) -> None:
    nights = gather([store / "A"])
    fold = {"train": ["A/p0v1", "A/p0v2"], "val": ["A/p1v1"], "test": ["A/p2v1", "A/gone"]}
    content = {"name": "mine", "source": "a paper", "accepted": [], "folds": [fold]}
    path = store / "splits" / "mine.json"
    path.parent.mkdir()
    path.write_text(json.dumps(content))
    for name in ("mine", str(path)):
        split = stored_split(nights, name)
        assert split.folds[0]["test"] == ("A/p2v1",)  # what the store does not hold is left out
    path.write_text(json.dumps({**content, "folds": [{**fold, "val": ["A/p2v2"]}]}))
    with pytest.raises(SplitError, match="persons on two sides"):
        stored_split(nights, "mine")
    with pytest.raises(ValueError, match=r"other\.json: no such split"):
        stored_split(nights, "other")


def test_counts_come_from_sidecars() -> None:
    night = StoredNight(Path("x"), "A/x", "A", "", "p", "p", {}, {}, (5, 1, 7, 3, 2), 18, True, {})
    assert stage_counts([night, night]) == [10, 2, 14, 6, 4]
    assert stage_counts([night], 4) == [5, 8, 3, 2]


def test_the_card_says_what_a_stager_needs_and_who_was_in_it(store: Path) -> None:
    told_night(store, "sim", STAGES, dataset="Simulated", sidecar={"simulated": True})
    nights = gather([store])
    split = drawn(nights, seed=0, val_share=0.2, test_share=0.1, hold_out=["B"])
    fold = split.folds[0]
    card = card_of(parts_of(nights, fold), split, fold, ["C4"], "z")
    assert (card["view"], card["normalisation"], card["channels"]) == ("psg9", "z", ["C4"])
    assert card["simulated"]
    assert card["n_persons"]["test"] == 4
    assert set(card["datasets"]) <= {"A", "Simulated"}
    assert card["split"]["test"] == [f"B/q{i}" for i in range(4)]
    json.dumps(card)


def test_a_part_without_nights_is_named(store: Path) -> None:
    nights = gather([store / "A" / "p0v1.json"])
    with pytest.raises(ValueError, match="no nights to val on: 1 nights of 1 persons"):
        parts_of(nights, {"train": ("A/p0v1",)})


def test_all_folds_are_run_or_those_asked_for_and_none_that_is_not_there(store: Path) -> None:
    split = drawn_folds(gather([store / "A"]), 3, seed=0, val_share=0.2)
    assert asked_folds(split, ()) == [0, 1, 2]
    assert asked_folds(split, (2, 0)) == [2, 0]
    for wrong in (3, -1):
        with pytest.raises(ValueError, match=f"--fold {wrong}: the split has folds 0 to 2"):
            asked_folds(split, (0, wrong))
