"""ABC: Apnea, Bariatric surgery and CPAP study, 132 nights of 49 people at three visits.

Files     polysomnography/edfs/baseline/abc-baseline-900001.edf, also month09 and month18, with XML
          scorings in the usual layout (`preprocess/sleepdata.py`)
Scoring   AASM, one code per epoch from second 0; `Unsure` is a hypopnea with more than 50 percent
          less flow
Quirks    every electrode stands against Fpz: the mastoid is subtracted
          49, 43 and 40 nights are of the same people: they are grouped by person, not by visit
          in one night of another montage the T3 electrode is called CChin too: the right one stands
          beside the other chin electrode
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from preprocess.dataset import EVENTS, Counts, Dataset, DatasetSpec, RawNight, ScoringFormat
from preprocess.recipe import run_alone
from preprocess.sleepdata import sleepdata_source, xml_nights

SPEC = DatasetSpec(
    name="ABC",
    title="Apnea, Bariatric surgery, and CPAP study",
    source=sleepdata_source("abc", terms="non-commercial"),
    n_nights=132,
    n_persons=49,
    channels={
        "F3": [("F3", "M2")],
        "F4": [("F4", "M1")],
        "C3": [("C3", "M2")],
        "C4": [("C4", "M1")],
        "O1": [("O1", "M2")],
        "O2": [("O2", "M1")],
        "E1": [("E1", "M2")],
        "E2": [("E2", "M1")],
        "Chin": [("Chin1", "Chin2"), ("LChin", "CChin")],
        "ECG": [("ECG1", "ECG2"), "ECG1"],
        "PPG": ["Pleth", "PlethMasimo"],
        "ABD": ["Abdo", "ABD"],
        "THX": ["Thor", "Thorax", "Chest"],
        "Airflow": ["Airflow"],
        "NasalP": ["Nasal Pressure", "CannulaFlow"],
        "SpO2": ["SpO2", "SAO2"],
    },
    scoring=ScoringFormat(unsure="hypopnea"),
    events=EVENTS,
    twins={"CChin": "LChin"},
    counts=Counts("LPSGM log", 132, 133_000, (30_938, 19_296, 52_334, 11_761, 18_671)),
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights of the three visits found below `raw_dir`, sorted by visit and person."""
    name = r"abc-(?P<visit>baseline|month09|month18)-(?P<person>\d{6})"
    yield from xml_nights(raw_dir, "*/*.edf", name)


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
