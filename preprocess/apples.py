"""APPLES: Apnea Positive Pressure Long-term Efficacy Study, 1104 diagnostic nights, one a person.

Files     polysomnography/apples-130001.edf with .annot (Luna) of the harmonized set; the files
          under original/ have other labels. Tables: datasets/apples-dataset-*.csv (a row per visit)
          and datasets/apples-harmonized-dataset-*.csv (`fileid` names the night)
Scoring   Rechtschaffen and Kales, clock times; the first line may lie after midnight while the
          recording began before it
Labels    osa_severity: severe is an AHI of 30 or more in the harmonized table. LPSGM counts 606
          severe, 494 not
          depression: depressed is an ongoing depression in the medical history, or a scale at its
          cut-off (HAM-D 8, BDI 14); not so is no history and both scales below; others have no
          label. This is our reading: the published one (133 depressed, 327 not) does not say its
          cut-offs, and 163 people report an ongoing depression
Quirks    the first digit of the number is the site; tables know several visits, signals only one
          seven nights have no EEG, seven no right eye, two no O1
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from math import nan
from pathlib import Path

from preprocess.dataset import (
    RESPIRATORY,
    Counts,
    Dataset,
    DatasetSpec,
    RawNight,
    ScoringFormat,
    Source,
    find,
)
from preprocess.recipe import run_alone

SEVERE_AHI = 30.0  # events per hour (AASM task force, Sleep 1999)
HAMD_CUTOFF = 8.0  # 0 to 7 is no depression (Zimmerman et al., J Affect Disord 2013)
BDI_CUTOFF = 14.0  # 0 to 13 is minimal (manual of the BDI-II)
NO_HISTORY, ONGOING = 0, 2  # depressionmedhxhp; 1 is resolved, negative was not answered

SPEC = DatasetSpec(
    name="APPLES",
    title="Apnea Positive Pressure Long-term Efficacy Study, diagnostic polysomnogram",
    source=Source(
        "nsrr",
        page="https://sleepdata.org/datasets/apples",
        licence="NSRR data access and use agreement, non-commercial",
        name="apples",
        files=("polysomnography/*", "datasets/*"),
        apply="a data request on sleepdata.org, with the signed agreement",
    ),
    n_nights=1104,
    n_persons=1104,
    channels={
        "C3": ["C3_M2"],
        "C4": ["C4_M1"],
        "O1": ["O1_M2"],
        "O2": ["O2_M1"],
        "E1": ["LOC"],
        "E2": ["ROC"],
        "Chin": ["EMG"],
        "ECG": ["ECG"],
        "ABD": ["abdomen"],
        "THX": ["thorax"],
        "Airflow": ["thermistor"],
        "NasalP": ["nasal_pres"],
        "SpO2": ["SpO2"],
    },
    scoring=ScoringFormat("luna_annot"),
    events=(*RESPIRATORY, "arousal"),
    bad={"apples-240095": "left out by LPSGM, which gives no reason"},
    remarks={
        **dict.fromkeys(
            (f"apples-2400{n}" for n in ("43", "44", "47", "49", "51", "53", "56")), "no EEG"
        ),
        **dict.fromkeys(
            (
                "apples-530004",
                *(f"apples-5400{n}" for n in ("05", "06", "37", "43", "45", "52")),
            ),
            "no right eye",
        ),
        **dict.fromkeys(("apples-330002", "apples-330004"), "no O1"),
    },
    labels={
        "osa_severity": {"severe": 606, "non-severe": 494},
        "depression": {"depressed": 133, "non-depressed": 327},
    },
    counts=Counts("LPSGM log", 1103, 1_081_409, (263_840, 150_845, 496_875, 25_372, 144_477)),
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights found below `raw_dir`, sorted by id, with what the tables tell of them."""
    labels = _labels(raw_dir)
    name = r"(?P<night>apples-(?P<person>\d{6}))"
    for path, ids in find(raw_dir, "polysomnography/apples-*.edf", name):
        yield RawNight(
            night=ids["night"],
            person=ids["person"],
            signals=path,
            scoring=path.with_suffix(".annot"),
            labels=labels.get(ids["night"], {}),
        )


def osa_severity(ahi: float) -> str:
    """Return the label of an apnea-hypopnea index; "" if it is not known."""
    if ahi != ahi:
        return ""
    return "severe" if ahi >= SEVERE_AHI else "non-severe"


def depression(history: float, hamd: float, bdi: float) -> str:
    """Return the label of a medical history and two scales; "" if they do not decide.

    Parameters
    ----------
    history : float
        0 none, 1 resolved, 2 ongoing.
    hamd, bdi : float
        Totals of the Hamilton and the Beck scale. NaN is not known, here and in `history`.
    """
    if history == ONGOING or hamd >= HAMD_CUTOFF or bdi >= BDI_CUTOFF:
        return "depressed"
    below = hamd < HAMD_CUTOFF and bdi < BDI_CUTOFF
    return "non-depressed" if history == NO_HISTORY and below else ""


def _labels(raw_dir: Path) -> dict[str, dict[str, str]]:
    """Return {night: {label: value}} from the two tables; empty where they are not there."""
    visits = _rows(raw_dir, "apples-dataset")
    baseline = {row["appleid"]: row for row in visits if row["visitn"] == "1"}
    found = {}
    for row in _rows(raw_dir, "apples-harmonized-dataset"):
        person = baseline.get(row["nsrrid"], {})
        told = {
            "osa_severity": osa_severity(_number(row, "nsrr_ahi_chicago1999")),
            "depression": depression(
                _number(person, "depressionmedhxhp"),
                _number(person, "hamdtotalscore"),
                _number(person, "bditotalscore"),
            ),
        }
        found[row["fileid"]] = {label: value for label, value in told.items() if value}
    return found


def _rows(raw_dir: Path, table: str) -> list[dict[str, str]]:
    """Return the rows of the newest version of a table, column names in lower case."""
    versions = sorted(raw_dir.glob(f"datasets/{table}-*.csv"))
    if not versions:
        return []
    with versions[-1].open(newline="", encoding="utf-8-sig", errors="replace") as file:
        return [{k.lower(): v for k, v in row.items() if k} for row in csv.DictReader(file)]


def _number(row: Mapping[str, str], column: str) -> float:
    """Return a number of a table, NaN where it has none; negative codes are missing answers."""
    try:
        value = float(row.get(column, ""))
    except ValueError:
        return nan
    return value if value >= 0 else nan


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
