"""MROS: Osteoporotic Fractures in Men, 3932 nights at home of 2911 men, two visits.

Files     polysomnography/edfs/visit1/mros-visit1-aa0001.edf, also visit2, with XML scorings in the
          usual layout (`preprocess/sleepdata.py`)
Scoring   one code per epoch from second 0; `Unsure` is a hypopnea with more than 50 percent less
          flow
Quirks    the documentation says of seven nights that the stages in the files are wrong; published
          stagers were trained on them
          three nights were never staged, in twelve no events were scored
          most men of visit 2 are in visit 1 too: they are grouped by person
          the table of montages calls the left eye ROC; left is LOC here, as in harmonised tables
          recordings run on long after lights on: almost half of all epochs are wake
          files copied before March 2025 hold another night under three names
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from preprocess.dataset import EVENTS, Counts, Dataset, DatasetSpec, RawNight, ScoringFormat
from preprocess.recipe import run_alone
from preprocess.sleepdata import sleepdata_source, xml_nights

WRONGLY_STAGED = ("aa2033", "aa3905", "aa4225", "aa4398", "aa4928", "aa5622", "aa5660")
ONCE_DUPLICATES = ("aa1510", "aa1876", "aa3545")
# All of visit 1
WITHOUT_STAGES = ("aa2159", "aa2180", "aa4156")
WITHOUT_EVENTS = (
    *("aa0236", "aa0425", "aa0461", "aa1477", "aa2123", "aa2339"),
    *("aa2608", "aa3354", "aa3386", "aa4712", "aa4858", "aa4860"),
)

SPEC = DatasetSpec(
    name="MROS",
    title="Osteoporotic Fractures in Men, sleep visits 1 and 2",
    source=sleepdata_source("mros"),
    n_nights=3932,
    n_persons=2911,
    channels={
        "C3": ["C3-A2", ("C3", "M2"), ("C3", "A2")],
        "C4": ["C4-A1", ("C4", "M1"), ("C4", "A1")],
        "E1": [("E1", "M2"), ("E1", "A2"), ("LOC", "M2"), ("LOC", "A2"), "LOC", "E1"],
        "E2": [("E2", "M1"), ("E2", "A1"), ("ROC", "M1"), ("ROC", "A1"), "ROC", "E2"],
        "Chin": [
            *("L Chin-R Chin", ("L Chin", "R Chin"), ("L Chin", "RChin")),
            *(("LChin", "R Chin"), ("LChin", "RChin")),
        ],
        "ECG": ["ECG L", "ECGL", "ECG L-ECG R", ("ECG L", "ECG R")],
        "ABD": ["Abdominal", "ABD"],
        "THX": ["Thoracic", "Chest"],
        "Airflow": ["Airflow"],
        "NasalP": ["Cannula Flow", "CannulaFlow"],
        "SpO2": ["SAO2", "SpO2"],
    },
    scoring=ScoringFormat(unsure="hypopnea"),
    events=EVENTS,
    bad={
        "mros-visit1-aa2931": "left out by LPSGM; its scoring was exported again in 2018",
        **{
            f"mros-visit1-{person}": "its stages are wrong according to the documentation"
            for person in WRONGLY_STAGED
        },
    },
    remarks={
        f"mros-visit1-{person}": "copies from before March 2025 hold another night under this name"
        for person in ONCE_DUPLICATES
    },
    counts=Counts("LPSGM log", 3929, 5_373_725, (2_609_224, 218_233, 1_735_010, 278_620, 532_638)),
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights of both visits found below `raw_dir`, sorted by visit and person."""
    name = r"mros-visit(?P<visit>[12])-(?P<person>aa\d{4})"
    for night in xml_nights(raw_dir, "visit[12]/*.edf", name):
        first = night.visit == "1"
        if first and night.person in WITHOUT_STAGES:
            yield replace(night, scoring=None, events=None, has_events=False)
        else:
            has_events = not (first and night.person in WITHOUT_EVENTS)
            yield replace(night, has_events=has_events)


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
