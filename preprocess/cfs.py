"""CFS: Cleveland Family Study (visit 5), 730 nights, one per person, many persons of one family.

Files     polysomnography/edfs/cfs-visit5-800002.edf with XML scorings in the usual layout
          (`preprocess/sleepdata.py`); datasets/cfs-visit5-dataset-*.csv holds the family: `famid`
          of `nsrrid`
Scoring   one code per epoch from second 0; `Unsure` is read as a hypopnea, as in CCSHS
Quirks    relatives have to stay on one side of a split, so a night without a family is left out;
          published splits by recording have relatives on both sides
          the table has 735 rows, five without signals
          documentation says A1 and A2, files say M1 and M2: both are read
          two montages, which differ in the rates of ECG and nasal pressure
          the plethysmogram sits on an offset as in CCSHS: views remove the mean
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from preprocess.dataset import (
    EVENTS,
    Counts,
    Dataset,
    DatasetSpec,
    RawNight,
    ScoringFormat,
    read_rows,
)
from preprocess.recipe import run_alone
from preprocess.sleepdata import XML_LAYOUT, sleepdata_source, xml_nights

TABLE = "datasets/cfs-visit5-dataset-*.csv"

SPEC = DatasetSpec(
    name="CFS",
    title="Cleveland Family Study, visit 5",
    source=sleepdata_source("cfs", terms="non-commercial", files=(*XML_LAYOUT, TABLE)),
    n_nights=730,
    n_persons=730,
    channels={
        "C3": [("C3", "M2"), ("C3", "A2")],
        "C4": [("C4", "M1"), ("C4", "A1")],
        "E1": [("LOC", "M2"), ("LOC", "A2"), "LOC"],
        "E2": [("ROC", "M1"), ("ROC", "A1"), "ROC"],
        "Chin": [("EMG1", "EMG2")],
        "ECG": ["ECG1", ("ECG1", "ECG2")],
        "PPG": ["PlethWV"],
        "ABD": ["ABDO EFFORT"],
        "THX": ["THOR EFFORT"],
        "Airflow": ["AIRFLOW"],
        "NasalP": ["NASAL PRES"],
        "SpO2": ["SpO2", "SaO2"],
    },
    scoring=ScoringFormat(unsure="hypopnea"),
    events=EVENTS,
    counts=Counts("LPSGM log", 730, 866_204, (321_333, 26_394, 306_264, 111_937, 100_276)),
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights found below `raw_dir` with their families, sorted by person."""
    families = _families(raw_dir)
    for night in xml_nights(raw_dir, "*.edf", r"cfs-visit5-(?P<person>\d{6})"):
        family = families.get(night.person, "")
        bad = "" if family else f"its family is not known from {TABLE}: a split could part it"
        yield replace(night, family=family and f"family-{family}", bad=bad)


def _families(raw_dir: Path) -> dict[str, str]:
    """Return the family of each person, by the tables of all versions that are there."""
    tables = [read_rows(path, key="nsrrid") for path in sorted(raw_dir.glob(TABLE))]
    return {person: row.get("famid", "") for table in tables for person, row in table.items()}


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
