"""MNC: everybody finds their diagnosis, and the published numbers are those of the catalog."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from preprocess import mnc
from tests.makers.raw_mnc import table

CATALOG = Path(__file__).parents[1] / "fixtures" / "datasets_catalog.json"


def diagnosis_of(raw: Path, name: str) -> dict[str, str]:
    """Return the labels of one night whose file is called so."""
    path = raw / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    (night,) = (n for n in mnc.recordings(raw) if n.signals == path)
    return dict(night.labels)


@pytest.mark.parametrize(
    ("file", "diagnosis"),
    [
        ("cnc/chc001-nsrr.edf", "control"),
        ("dhc/training/Sub01-nsrr.edf", "other hypersomnia"),
        ("fhc/120101g-a-nsrr.edf", "narcolepsy type 1"),
        ("khc/06406051-nsrr.edf", "control"),
        ("ssc/ssc_4708_1-psg-nsrr.edf", "narcolepsy type 1"),
    ],
)
def test_a_name_is_found_however_the_table_writes_it(
    tmp_path: Path, file: str, diagnosis: str
) -> None:
    table(tmp_path / "cohorts_deid.xlsx")
    assert diagnosis_of(tmp_path, file) == {"diagnosis": diagnosis}


def test_a_night_is_kept_without_a_label_where_the_table_does_not_tell(tmp_path: Path) -> None:
    assert diagnosis_of(tmp_path, "cnc/chc001-nsrr.edf") == {}
    table(tmp_path / "cohorts_deid.xlsx")
    assert diagnosis_of(tmp_path, "fhc/120101h-a-nsrr.edf") == {}


def test_diagnoses_of_the_cohorts_sum_to_the_published_numbers() -> None:
    cohorts = json.loads(CATALOG.read_text(encoding="utf-8"))["MNC"]["subsets"].values()
    by_class = np.sum([cohort["diagnosis"] for cohort in cohorts], axis=0).tolist()
    assert by_class == [mnc.SPEC.labels["diagnosis"][name] for name in mnc.DIAGNOSES.values()]
    assert sum(by_class) == mnc.SPEC.n_nights
