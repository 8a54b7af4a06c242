"""PATS: Pediatric Adenotonsillectomy Trial for Snoring, nights of 555 children, up to two of each.

Files     polysomnography/pats-100001-baseline.edf with pats-100001-baseline.annot (Luna); the form
          of the names is known from the holder's other data sets and to be confirmed
Scoring   AASM; lines carry clock times, and the first may lie past midnight while the recording
          begins before it; `Unsure` is a mixed apnea
Quirks    a child has a night at screening and one after 12 months: they are grouped by child
          there are two sets of files; these labels are those of the harmonised one
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from preprocess.dataset import EVENTS, Dataset, DatasetSpec, RawNight, ScoringFormat, find
from preprocess.recipe import run_alone
from preprocess.sleepdata import sleepdata_source

SPEC = DatasetSpec(
    name="PATS",
    title="Pediatric Adenotonsillectomy Trial for Snoring",
    source=sleepdata_source("pats", terms="non-commercial", files=("polysomnography/*",)),
    n_persons=555,
    channels={
        "F3": ["F3_M2"],
        "F4": ["F4_M1"],
        "C3": ["C3_M2"],
        "C4": ["C4_M1"],
        "O1": ["O1_M2", "O1"],
        "O2": ["O2_M1", "O2"],
        "E1": ["LOC", "E1_M2"],
        "E2": ["ROC", "E2_M2", "E2_M1"],
        "Chin": ["EMG", ("lchin", "cchin"), "lchin_c"],
        "ECG": ["ECG", "ECG1_ECG2", "ECG1_ECG3"],
        "PPG": ["pleth"],
        "ABD": ["abdomen"],
        "THX": ["thorax"],
        "Airflow": ["flow"],
        "NasalP": ["nas_pres"],
        "SpO2": ["spo2"],
    },
    scoring=ScoringFormat("luna_annot", unsure="mixed_apnea"),
    events=EVENTS,
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights found below `raw_dir`, sorted by child."""
    name = r"polysomnography/(?P<night>pats-(?P<person>\d+)-(?P<visit>[a-z0-9]+))"
    for path, ids in find(raw_dir, "polysomnography/*.edf", name):
        yield RawNight(
            night=ids["night"],
            person=ids["person"],
            signals=path,
            scoring=path.with_suffix(".annot"),
            visit=ids["visit"],
        )


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
