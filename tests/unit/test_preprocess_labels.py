"""Labels that recipes read from the official tables of a data set."""

from __future__ import annotations

from math import nan
from pathlib import Path

import pytest

import preprocess
from preprocess.apples import depression, osa_severity, recordings
from preprocess.check import check, report
from preprocess.recipe import Settings
from tests.makers.raw_folders import RawFolder, folders


@pytest.mark.parametrize(
    ("ahi", "label"), [(nan, ""), (0, "non-severe"), (29.9, "non-severe"), (30, "severe")]
)
def test_apples_is_severe_from_thirty_events_an_hour(ahi: float, label: str) -> None:
    assert osa_severity(ahi) == label


@pytest.mark.parametrize(
    ("history", "hamd", "bdi", "label"),
    [
        (2, 0, 0, "depressed"),  # ongoing
        (0, 8, 0, "depressed"),
        (0, 0, 14, "depressed"),
        (nan, 20, nan, "depressed"),  # one scale at its cut-off is enough
        (0, 7, 13, "non-depressed"),
        (1, 7, 13, ""),  # a depression that is over is neither
        (0, nan, 13, ""),
        (nan, 7, 13, ""),
        (nan, nan, nan, ""),
    ],
)
def test_apples_depression_is_history_or_a_scale(
    history: float, hamd: float, bdi: float, label: str
) -> None:
    assert depression(history, hamd, bdi) == label


def test_apples_without_tables_has_nights_without_labels(tmp_path: Path) -> None:
    night = tmp_path / "polysomnography/apples-130001.edf"
    night.parent.mkdir()
    night.touch()
    assert [dict(found.labels) for found in recordings(tmp_path)] == [{}]


@pytest.mark.parametrize(
    ("name", "label", "nights"),
    [
        ("APPLES", "osa_severity", 1100),
        ("APPLES", "depression", 460),
        ("CAP", "diagnosis", 108),
        ("HANG7", "diagnosis", 127),
        ("SYSU", "diagnosis", 104),
    ],
)
def test_published_labels_add_up(name: str, label: str, nights: int) -> None:
    published = preprocess.find_dataset(name).spec.labels[label]
    assert sum(count or 0 for count in published.values()) == nights


@pytest.mark.parametrize(("name", "folder"), folders().items(), ids=folders())
def test_nights_have_only_labels_their_data_set_declares(name: str, folder: RawFolder) -> None:
    declared = preprocess.find_dataset(name).spec.labels
    for night in folder.nights:
        given = night.facts.get("labels", {})
        assert isinstance(given, dict)
        for label, value in given.items():
            assert value in declared[label], (night.night, label, value)


def test_check_counts_labels_beside_the_published_numbers(tmp_path: Path) -> None:
    folders()["cap"].write(tmp_path)
    settings = Settings(raw=tmp_path, out=tmp_path / "out", view="bb100")
    text = report(check(preprocess.find_dataset("CAP"), settings))
    line = next(line for line in text.splitlines() if line.startswith("diagnosis: "))
    assert "(published " in line
