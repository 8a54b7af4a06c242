"""Splits: every person on one side, drawn evenly, and refused when read if somebody is on two."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nights.ledger import write_manifest
from nights.splits import (
    SplitError,
    draw_folds,
    draw_split,
    import_split,
    leak_report,
    leaks,
    read_groups,
    read_list,
    read_split,
    without_shared,
    write_split,
)
from tests.makers.nights import make_night

GROUPS = {
    f"SET/p{person:02d}v{visit}": f"p{person:02d}" for person in range(40) for visit in (1, 2)
}
SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}


def test_shares_are_kept_and_visits_stay_together() -> None:
    fold = draw_split("s", GROUPS, SHARES, seed=1).folds[0]
    persons = {part: {GROUPS[n] for n in nights} for part, nights in fold.items()}
    assert {part: len(p) for part, p in persons.items()} == {"train": 28, "val": 4, "test": 8}
    assert sum(map(len, fold.values())) == len(GROUPS)
    assert not persons["train"] & persons["test"]


def test_a_split_depends_on_the_seed_and_not_on_the_order_of_nights() -> None:
    backwards = dict(reversed(GROUPS.items()))
    assert draw_split("s", GROUPS, SHARES, seed=1) == draw_split("s", backwards, SHARES, seed=1)
    assert draw_split("s", GROUPS, SHARES, seed=1) != draw_split("s", GROUPS, SHARES, seed=2)


def test_every_label_is_divided_in_the_same_shares() -> None:
    labels = {night: "rare" if person < "p10" else "often" for night, person in GROUPS.items()}
    fold = draw_split("s", GROUPS, SHARES, seed=5, labels=labels).folds[0]
    counts = {
        part: Counter(labels[n] for n in set(nights) if n.endswith("v1"))
        for part, nights in fold.items()
    }
    assert counts["train"]["rare"] == 7
    assert counts["val"]["rare"] == 1
    assert counts["test"]["rare"] == 2


def test_folds_test_every_person_once_and_validate_others() -> None:
    split = draw_folds("f", GROUPS, 7, seed=0, val_share=0.25)
    tested = [n for fold in split.folds for n in fold["test"]]
    assert sorted(tested) == sorted(GROUPS)
    for fold in split.folds:
        assert set(fold) == {"train", "val", "test"}
        assert 5 <= len({GROUPS[n] for n in fold["test"]}) <= 6
        assert len({GROUPS[n] for n in fold["val"]}) in (8, 9)
    assert not leaks(split, GROUPS)
    assert set(draw_folds("f", GROUPS, 7, seed=0).folds[0]) == {"train", "test"}


def test_somebody_validates_in_every_fold_of_a_few_persons() -> None:
    split = draw_folds("few", {f"{p}/1": p for p in "abcde"}, 5, seed=0, val_share=0.1)
    assert [len(fold["val"]) for fold in split.folds] == [1] * 5
    assert [len(fold["train"]) for fold in split.folds] == [3] * 5
    two = draw_folds("two", {"a/1": "a", "b/1": "b"}, 2, seed=0, val_share=0.1)
    assert [len(fold["train"]) for fold in two.folds] == [1, 1]


@pytest.mark.parametrize("n_folds", [1, 41])
def test_impossible_numbers_of_folds_are_refused(n_folds: int) -> None:
    with pytest.raises(ValueError, match=f"{n_folds} folds of 40 persons: 2 to 40"):
        draw_folds("f", GROUPS, n_folds, seed=0)


def test_shares_that_do_not_sum_to_one_are_refused() -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        draw_split("s", GROUPS, {"train": 0.5, "test": 0.4}, seed=0)


def test_a_person_with_two_labels_is_refused() -> None:
    labels = {night: night[-2:] for night in GROUPS}
    with pytest.raises(ValueError, match="person 'p00' has nights labelled 'v1' and 'v2'"):
        draw_split("s", GROUPS, SHARES, seed=0, labels=labels)
    with pytest.raises(ValueError, match="'SET/p00v1' has no label"):
        draw_split("s", GROUPS, SHARES, seed=0, labels={"other": "x"})


def test_a_written_split_is_read_back(tmp_path: Path) -> None:
    split = draw_folds("five", GROUPS, 5, seed=2)
    path = write_split(tmp_path, split)
    assert path == tmp_path / "splits" / "five.json"
    assert read_split(path, GROUPS) == split


def test_groups_come_from_the_manifest_of_the_store(tmp_path: Path) -> None:
    make_night(tmp_path, "a", group="family 1")
    make_night(tmp_path, "b", person="b")
    write_manifest(tmp_path)
    assert read_groups(tmp_path) == {"SET/a": "family 1", "SET/b": "b"}


def test_a_file_edited_by_hand_is_refused_naming_the_persons(tmp_path: Path) -> None:
    path = write_split(tmp_path, draw_split("s", GROUPS, SHARES, seed=1))
    content = json.loads(path.read_text())
    moved = content["folds"][0]["test"].pop()
    content["folds"][0]["train"].append(moved)
    path.write_text(json.dumps(content))
    with pytest.raises(SplitError, match=f"1 persons on two sides of a fold: {GROUPS[moved]}"):
        read_split(path, GROUPS)


@pytest.mark.parametrize(
    ("fold", "said"),
    [
        ({"train": ["SET/nobody"], "test": []}, "not in the store: SET/nobody"),
        ({"train": ["SET/p00v1", "SET/p00v1"], "test": []}, "fold 0: twice: SET/p00v1"),
        ({"train": ["SET/p00v1"], "test": ["SET/p00v1"]}, "fold 0: twice: SET/p00v1"),
        ({"train": ["SET/p00v1"], "test": ["SET/p00v2"]}, "two sides of a fold: p00"),
    ],
)
@pytest.mark.parametrize("accept_leaks", [False, True])
def test_published_lists_are_checked(fold: dict, said: str, accept_leaks: bool) -> None:
    if accept_leaks and "two sides" in said:
        split = import_split("x", [fold], GROUPS, source="a paper", accept_leaks=True)
        assert split.accepted == ("p00",)
        return
    with pytest.raises(SplitError, match=said):
        import_split("x", [fold], GROUPS, source="a paper", accept_leaks=accept_leaks)


def test_accepted_leaks_are_exactly_those_of_the_import(tmp_path: Path) -> None:
    fold = {"train": ["SET/p00v1", "SET/p01v1"], "test": ["SET/p00v2"]}
    split = import_split("x", [fold], GROUPS, source="a paper", accept_leaks=True)
    path = write_split(tmp_path, split)
    assert read_split(path, GROUPS) == split
    content = json.loads(path.read_text())
    content["folds"][0]["test"].append("SET/p01v2")
    path.write_text(json.dumps(content))
    with pytest.raises(SplitError, match="1 persons on two sides of a fold: p01$"):
        read_split(path, GROUPS)


def test_the_leak_report_counts_persons_and_nights() -> None:
    fold = {"train": ["SET/p00v1", "SET/p01v1"], "val": ["SET/p01v2"], "test": ["SET/p00v2"]}
    split = import_split("x", [fold], GROUPS, source="a paper", accept_leaks=True)
    report = leak_report(split, GROUPS)
    assert "| 0 | train + test | 1 | 2 |" in report
    assert "| 0 | train + val | 1 | 2 |" in report
    assert without_shared(split.folds[0], GROUPS)["test"] == ()
    clean = draw_split("s", GROUPS, SHARES, seed=1)
    assert leak_report(clean, GROUPS) == "No person stands on two sides.\n"
    assert without_shared(clean.folds[0], GROUPS) == clean.folds[0]


def test_lists_may_hold_blank_lines_and_remarks(tmp_path: Path) -> None:
    file = tmp_path / "train.txt"
    file.write_text("# train\na\n\n  b  \r\n")
    assert read_list(file) == ["a", "b"]


@pytest.mark.data("wav2sleep_splits")
def test_published_wav2sleep_lists_are_known_to_leak(shared_data: Path) -> None:
    folder = shared_data / "wav2sleep_splits" / "shhs"
    fold = {part: read_list(folder / f"{part}.txt") for part in ("train", "val")}
    groups = {rec: rec.split("-")[1] for nights in fold.values() for rec in nights}
    with pytest.raises(SplitError, match="88 persons on two sides"):
        import_split("shhs", [fold], groups, source="wav2sleep")
    split = import_split("shhs", [fold], groups, source="wav2sleep", accept_leaks=True)
    assert "| 0 | train + val | 88 |" in leak_report(split, groups)


@pytest.mark.data("mass_20fold_splits.json")
def test_the_published_mass_folds_have_every_night_tested_once(shared_data: Path) -> None:
    published = json.loads((shared_data / "mass_20fold_splits.json").read_text())
    rec = {subject["index"]: f"MASS/{subject['record']}" for subject in published["subjects"]}
    folds = [
        {part: [rec[i] for i in fold[part]] for part in ("train", "eval", "test")}
        for fold in published["folds"]
    ]
    split = import_split("mass20", folds, {n: n for n in rec.values()}, source="SeqSleepNet")
    tested = [night for fold in split.folds for night in fold["test"]]
    assert len(split.folds) == 20
    assert sorted(tested) == sorted(rec.values())


@given(
    st.dictionaries(st.integers(0, 300), st.integers(0, 40), min_size=12, max_size=120),
    st.integers(2, 5),
    st.integers(0, 9),
)
@settings(max_examples=40)
def test_no_draw_ever_puts_a_person_on_two_sides(nights: dict, n_folds: int, seed: int) -> None:
    groups = {f"S/{night}": f"p{person}" for night, person in nights.items()}
    n_persons = len(set(groups.values()))
    split = draw_split("s", groups, SHARES, seed=seed)
    assert not leaks(split, groups)
    assert sorted(n for part in split.folds[0].values() for n in part) == sorted(groups)
    if n_persons >= n_folds:
        folds = draw_folds("f", groups, n_folds, seed=seed, val_share=0.2)
        assert not leaks(folds, groups)
        sizes = [len({groups[n] for n in fold["test"]}) for fold in folds.folds]
        assert max(sizes) - min(sizes) <= 1
