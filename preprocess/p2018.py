"""P2018: training set of the PhysioNet / Computing in Cardiology Challenge 2018, 994 nights.

Files     training/tr03-0005/tr03-0005.mat (int16 of all signals) with .hea (labels, gains, offsets)
          and tr03-0005-arousal.mat (stages and arousals). The test records have no labels
Scoring   AASM; six vectors with a value per sample at 200 Hz. An epoch has the stage of most of its
          samples; samples set in none of the vectors are unscored, never wake
Events    target arousals (data/arousals is 1), no breathing events
Quirks    one eye only
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
)
from preprocess.recipe import run_alone

SPEC = DatasetSpec(
    name="P2018",
    title="PhysioNet / Computing in Cardiology Challenge 2018, training set",
    source=Source(
        "physionet",
        page="https://physionet.org/content/challenge-2018/1.0.0/",
        licence="Open Data Commons Attribution 1.0",
        name="challenge-2018/1.0.0",
        files=("training/*/*.mat", "training/*/*.hea"),
    ),
    n_nights=994,
    n_persons=994,
    channels={
        "F3": ["F3-M2"],
        "F4": ["F4-M1"],
        "C3": ["C3-M2"],
        "C4": ["C4-M1"],
        "O1": ["O1-M2"],
        "O2": ["O2-M1"],
        "E1": ["E1-M2"],
        "Chin": ["Chin1-Chin2"],
        "ABD": ["ABD"],
        "THX": ["CHEST"],
        "Airflow": ["AIRFLOW"],
        "SpO2": ["SaO2"],
        "ECG": ["ECG"],
    },
    scoring=ScoringFormat("p2018_mat", rate_hz=200),
    events=("arousal",),
    counts=Counts("LPSGM log", 994, 892_262, (157_945, 136_978, 377_870, 102_592, 116_877)),
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights found below `raw_dir`, sorted by id."""
    for path, ids in find(raw_dir, "training/tr*/tr*.mat", r"/(?P<night>tr\d{2}-\d{4})"):
        yield RawNight(
            night=ids["night"],
            person=ids["night"],
            signals=path,
            scoring=path.with_name(f"{ids['night']}-arousal.mat"),
        )


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
