"""HMC: Haaglanden Medisch Centrum sleep staging database, 151 clinical nights, one per person.

Files     recordings/SN001.edf with recordings/SN001_sleepscoring.txt (or .edf, EDF+ annotations)
Scoring   AASM; onsets in seconds, the scored part may begin after second 0
Quirks    numbers run beyond 151 with gaps: the files are listed, never counted up
          both eyes are referenced to the right mastoid
          the last line of a scoring is a lights marker without a stage
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from preprocess.dataset import (
    Counts,
    Dataset,
    DatasetSpec,
    RawNight,
    ScoringFormat,
    Source,
    find,
    first_file,
)
from preprocess.recipe import run_alone

SPEC = DatasetSpec(
    name="HMC",
    title="Haaglanden Medisch Centrum sleep staging database",
    source=Source(
        "physionet",
        page="https://physionet.org/content/hmc-sleep-staging/1.1/",
        licence="Creative Commons Attribution 4.0",
        name="hmc-sleep-staging/1.1",
        files=("recordings/*",),
    ),
    n_nights=151,
    n_persons=151,
    channels={
        "F4": ["EEG F4-M1"],
        "C3": ["EEG C3-M2"],
        "C4": ["EEG C4-M1"],
        "O2": ["EEG O2-M1"],
        "E1": ["EOG E1-M2"],
        "E2": ["EOG E2-M2"],
        "Chin": ["EMG chin"],
        "ECG": ["ECG"],
    },
    scoring=ScoringFormat(stage_map="edfplus"),
    counts=Counts("LPSGM log", 151, 137_243, (23_686, 15_548, 50_083, 26_671, 21_255)),
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights found below `raw_dir`, sorted by id."""
    for path, ids in find(raw_dir, "recordings/SN*.edf", r"recordings/(?P<night>SN\d{3})"):
        scoring = path.with_name(f"{ids['night']}_sleepscoring.txt")
        yield RawNight(
            night=ids["night"],
            person=ids["night"],
            signals=path,
            scoring=first_file(scoring, scoring.with_suffix(".edf")),
        )


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
