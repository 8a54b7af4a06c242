"""CCSHS: Cleveland Children's Sleep and Health Study (visit TREC), 515 nights, one per person.

Files     polysomnography/edfs/ccshs-trec-1800001.edf with XML scorings in the usual layout
          (`preprocess/sleepdata.py`)
Scoring   one code per epoch from second 0; `Unsure` is read as a hypopnea, as the sister studies of
          the same reading centre define it
Quirks    electrodes stand against Fpz: the ear is subtracted
          seven rates in a file, up to 1024 Hz for light: each signal is read at its own
          the plethysmogram sits on an offset of about -0.39 of its range: views remove the mean
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from preprocess.dataset import EVENTS, Counts, Dataset, DatasetSpec, RawNight, ScoringFormat
from preprocess.recipe import run_alone
from preprocess.sleepdata import sleepdata_source, xml_nights

SPEC = DatasetSpec(
    name="CCSHS",
    title="Cleveland Children's Sleep and Health Study, visit TREC",
    source=sleepdata_source("ccshs"),
    n_nights=515,
    n_persons=515,
    channels={
        "C3": [("C3", "A2")],
        "C4": [("C4", "A1")],
        "E1": [("LOC", "A2"), "LOC"],
        "E2": [("ROC", "A1"), "ROC"],
        "Chin": [("EMG1", "EMG2")],
        "ECG": ["ECG1", ("ECG1", "ECG2")],
        "PPG": ["PlethWV"],
        "ABD": ["ABDO EFFORT"],
        "THX": ["THOR EFFORT"],
        "Airflow": ["AIRFLOW"],
        "NasalP": ["NASAL PRES"],
        "SpO2": ["SpO2"],
    },
    scoring=ScoringFormat(unsure="hypopnea"),
    events=EVENTS,
    counts=Counts("LPSGM log", 515, 691_401, (212_027, 19_221, 249_698, 110_191, 100_264)),
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights found below `raw_dir`, sorted by person."""
    yield from xml_nights(raw_dir, "*.edf", r"ccshs-trec-(?P<person>\d{7})")


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
