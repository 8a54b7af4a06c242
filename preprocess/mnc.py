"""MNC: Mignot's narcolepsy recordings, 816 nights of 816 people from six cohorts, by diagnosis.

Files     cnc/chc001-nsrr.edf with .eannot or .xml beside it; dhc/ has the folders training/ and
          test/controls/, test/nc-lh/, test/nc-nh/; cohorts_deid.xlsx names everyone's diagnosis
Scoring   CNC, DHC and SSC alone, one code per epoch from second 0. The page of the archive gives
          CNC and SSC the old rules' digits (7 unknown), DHC 1 W, 0 REM, -1 N1, -2 N2, -3 N3; words
          are read as well. The nights of FHC, IHC and KHC are kept without stages
Quirks    the table writes names otherwise than the files (upper case, blanks, lost zeros); it was
          replaced in January 2021, so results on the older one differ
          cohort and diagnosis are confounded: SSC is nearly all controls, IHC has none, CNC no
          hypersomnia. Leave a cohort out when you judge, and read folds with that in mind
          a lead C3 may be referenced or not: the file has M1 and M2 only where it is not. LPSGM
          subtracts nothing in CNC, DHC and FHC although FHC has mastoids, and loses C4, O1 and the
          eyes of IHC nights that have none
          46 KHC nights have no chin, one CNC night no occipital lead, two of DHC no O1
          the archive made DHC from MATLAB files and turned its polarity
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from nights.stages import N1, N2, N3, STAGE_MAPS, R, W
from preprocess.dataset import Dataset, DatasetSpec, RawNight, ScoringFormat, find
from preprocess.recipe import run_alone
from preprocess.sleepdata import sleepdata_source
from recordings.scoring.binary import spreadsheet_rows
from recordings.scoring.source import Source

COHORTS = "cnc|dhc|fhc|ihc|khc|ssc"
DIAGNOSES = {  # as cohorts_deid.xlsx writes them; LPSGM's classes 0, 1 and 2
    "NON-NARCOLEPSY CONTROL": "control",
    "T1 NARCOLEPSY": "narcolepsy type 1",
    "OTHER HYPERSOMNIA": "other hypersomnia",
}
OLD_RULES = ScoringFormat("luna_eannot", {**STAGE_MAPS["words"], **STAGE_MAPS["rk"]})
DANISH = ScoringFormat(
    "luna_eannot", {**STAGE_MAPS["words"], "1": W, "0": R, "-1": N1, "-2": N2, "-3": N3}
)

SPEC = DatasetSpec(
    name="MNC",
    title="Mignot Nature Communications narcolepsy recordings (six cohorts)",
    source=sleepdata_source(
        "mnc", files=("cohorts_deid.xlsx", *(f"{cohort}/*" for cohort in COHORTS.split("|")))
    ),
    n_nights=816,
    n_persons=816,
    channels={
        "F3": [("F3", "M2"), "F3"],
        "F4": [("F4", "M1"), "F4"],
        "C3": [("C3", "M2"), "C3"],
        "C4": [("C4", "M1"), "C4"],
        "O1": [("O1", "M2"), "O1"],
        "O2": [("O2", "M1"), "O2"],
        "E1": [("E1", "M2"), "E1", "cs_LOC"],
        "E2": [("E2", "M1"), "E2", "cs_ROC"],
        "Chin": [("lchin", "cchin"), "cchin_l", "chin", "cchin", "cs_EMG"],
        "ECG": ["ECG", "ECG1_2", ("ECG1", "ECG2"), "cs_ECG"],
        "ABD": ["abdomen"],
        "THX": ["thorax"],
        "Airflow": ["flow", "therm"],
        "NasalP": ["nas_pres"],
        "SpO2": ["spo2"],
    },
    labels={"diagnosis": {"control": 343, "narcolepsy type 1": 263, "other hypersomnia": 210}},
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights of every cohort found below `raw_dir`, sorted by path."""
    diagnoses = _diagnoses(raw_dir / "cohorts_deid.xlsx")
    name = rf"(?P<cohort>{COHORTS})/(?:[a-z/-]+/)?(?P<night>(?P<person>[^/]+?)-nsrr)"
    for path, ids in find(raw_dir, "*/**/*-nsrr.edf", name):
        cohort, person = ids["cohort"], ids["person"]
        epochs, xml = path.with_suffix(".eannot"), path.with_suffix(".xml")
        # Only in FHC is what stands behind the first hyphen a part of the name
        known = diagnoses.get(_key(person)) or diagnoses.get(_key(person.partition("-")[0]))
        yield RawNight(
            night=ids["night"],
            person=f"{cohort}-{person}",
            signals=path,
            scoring=next((file for file in (epochs, xml) if file.is_file()), None),
            scoring_format=_written(cohort) if epochs.is_file() else None,
            part=cohort.upper(),
            labels={"diagnosis": known} if known else {},
        )


def _written(cohort: str) -> ScoringFormat:
    """Return how the lists of epochs of a cohort are written."""
    return DANISH if cohort == "dhc" else OLD_RULES


def _diagnoses(table: Path) -> dict[str, str]:
    """Return the diagnosis of everybody in the table; nobody's if there is no table."""
    rows = (spreadsheet_rows(Source(table)) if table.is_file() else None) or [[]]
    head = [name.strip().lower() for name in rows[0]]
    found = (dict(zip(head, row, strict=False)) for row in rows[1:])
    told = ((row.get("id", ""), row.get("diagnosis", "").strip(" '").upper()) for row in found)
    return {_key(name): DIAGNOSES[text] for name, text in told if text in DIAGNOSES}


def _key(name: str) -> str:
    """Return a name as names are compared: letters and digits, numbers without leading zeros."""
    return re.sub(r"[\W_]|(?<!\d)0+(?=\d)", "", name).upper()


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
