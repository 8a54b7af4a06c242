"""Questions as data: which label is which class, and whose night it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import preprocess
from engine.diagnosis.questions import (
    OPEN,
    QUESTIONS,
    open_cases,
    read_table,
    stored_cases,
    table_cases,
)
from evaluation.export import write_csv
from nights.hypnogram import Hypnogram
from tests.makers.stagers import told_night

SCORED = Hypnogram(np.repeat([0, 2, 4], [20, 100, 40]))


def table(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("cap", "healthy", 0),
        ("cap", "insomnia", 1),
        ("cap-groups", "bruxism", None),
        ("mnc", "other hypersomnia", 2),
        ("mnc-nt1", "other hypersomnia", 0),
        ("mnc-nt1", "narcolepsy type 1", 1),
        ("mnc-abnormal", "other hypersomnia", 1),
        ("apples-osa", "severe", 1),
        ("hang7", "depression", 1),
        ("isruc", "Subgroup_2", 1),
        ("cap", "", None),
    ],
)
def test_values_fall_into_their_class(name: str, value: str, code: int | None) -> None:
    assert QUESTIONS[name].code(value) == code


@pytest.mark.parametrize("name", ["cap", "mnc", "apples-osa", "apples-depression", "hang7"])
def test_every_value_of_the_catalog_is_known_to_its_question(name: str) -> None:
    dataset = preprocess.find_dataset({"apples": "APPLES"}.get(name.split("-")[0], name.upper()))
    question = QUESTIONS[name]
    values = dataset.spec.labels[question.label]
    assert {question.code(value) for value in values} == set(range(len(question.classes)))


def test_a_table_of_nights_gives_classes_cohorts_and_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "scorings").mkdir()
    for name in ("a1", "a2", "b1", "c1"):
        write_csv(SCORED, tmp_path / "scorings" / f"{name}.csv")
    rows = "night,label,person,age,sex,cohort\na1,ill,a,40,F,north\na2,ill,a,40,F,north\n"
    question, found = read_table(table(tmp_path, rows + "b1,healthy,b,,M,south\nmissing,ill,,,,\n"))
    assert list(question.classes) == ["healthy", "ill"]
    cases = table_cases(question, found, [tmp_path / "scorings"])
    assert [(c.person, c.cohort, c.label) for c in cases] == [
        ("a", "north", 1),
        ("a", "north", 1),
        ("b", "south", 0),
    ]
    assert cases[0].known["age"] == 40
    assert cases[0].known["sex"] == 0


def test_stored_nights_are_asked_for_their_label_and_cohort(tmp_path: Path) -> None:
    labels = {"n1": "control", "n2": "narcolepsy type 1", "n3": ""}
    for rec, value in labels.items():
        told = {"labels": {"diagnosis": value} if value else {}, "part": "SSC"}
        told_night(tmp_path / "psg9", rec, [0, 2, 2, 4], dataset="MNC", sidecar=told)
    cases = stored_cases(QUESTIONS["mnc-nt1"], [tmp_path / "psg9" / "MNC"])
    assert [(c.night, c.label, c.cohort) for c in cases] == [
        ("MNC/n1", 0, "SSC"),
        ("MNC/n2", 1, "SSC"),
    ]
    with pytest.raises(ValueError, match="their labels are: diagnosis"):
        stored_cases(QUESTIONS["apples-osa"], [tmp_path / "psg9" / "MNC"])


def test_classes_of_a_table_can_be_joined(tmp_path: Path) -> None:
    path = table(tmp_path, "night,label\n1,nt1\n2,nt2\n3,control\n")
    question, _ = read_table(path, ("rest=*", "case=nt1"))
    assert [question.code(value) for value in ("nt1", "nt2", "control")] == [1, 0, 0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name,label\n1,a\n", "columns night"),
        ("night,label\n1,a\n1,b\n", "stands twice"),
        ("night,label\n1,a\n", "two classes at least"),
    ],
)
def test_a_table_that_says_too_little_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_table(table(tmp_path, text))


@pytest.mark.data("real/dod")
def test_the_dreem_nights_are_nineteen_healthy_and_thirty_one_ill(shared_data: Path) -> None:
    cases = open_cases("dod-apnea", shared_data)
    assert np.bincount([case.label for case in cases]).tolist() == [19, 31]
    assert {case.cohort for case in cases} == {"dodh", "dodo"}


@pytest.mark.data("real/boas")
def test_an_age_that_is_the_label_is_kept_from_every_encoder(shared_data: Path) -> None:
    cases = open_cases("boas-age", shared_data)
    assert {case.label for case in cases} == {0, 1}
    assert not any("age" in case.known for case in cases)
    assert len({case.person for case in cases}) < len(cases)


def test_open_questions_are_among_the_questions() -> None:
    assert set(OPEN) <= set(QUESTIONS)
