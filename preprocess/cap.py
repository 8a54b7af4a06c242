"""CAP Sleep Database: 108 nights of healthy people and seven groups of patients, one a person.

Files     nfle12.edf with nfle12.txt (RemLogic export); the letters of the name are the group
Scoring   Rechtschaffen and Kales; a line per epoch on the clock, `22:31:09` or `22.31.09`. Stages
          are the lines whose event begins with SLEEP-: choosing lines of 30 s takes CAP phases too
Events    phases A1, A2 and A3 of the cyclic alternating pattern with their duration
Quirks    the table has a Position column in some files and none in others
          rates and labels differ between nights; `n` also begins narco and nfle
          four nights of sleep-disordered breathing, two of bruxism: no fold of their own
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from preprocess.dataset import (
    CAP_PHASES,
    Dataset,
    DatasetSpec,
    RawNight,
    ScoringFormat,
    Source,
    find,
)
from preprocess.recipe import run_alone

GROUPS = {
    "n": "healthy",
    "brux": "bruxism",
    "ins": "insomnia",
    "narco": "narcolepsy",
    "nfle": "nocturnal frontal lobe epilepsy",
    "plm": "periodic leg movements",
    "rbd": "REM behaviour disorder",
    "sdb": "sleep-disordered breathing",
}
NIGHTS = {"n": 16, "brux": 2, "ins": 9, "narco": 5, "nfle": 40, "plm": 10, "rbd": 22, "sdb": 4}

SPEC = DatasetSpec(
    name="CAP",
    title="CAP Sleep Database",
    source=Source(
        "physionet",
        page="https://physionet.org/content/capslpdb/1.0.0/",
        licence="Open Data Commons Attribution 1.0",
        name="capslpdb/1.0.0",
        files=("*.edf", "*.txt"),
    ),
    n_nights=108,
    n_persons=108,
    channels={
        "C4": ["C4-A1", "C4A1", ("C4", "A1")],
        "C3": ["C3-A2", "C3A2", ("C3", "A2")],
        "F3": [("F3", "A2"), "F3-A2", "F3A2"],
        "F4": [("F4", "A1"), "F4-A1", "F4A1"],
        "O1": ["O1-A2", "O1A2", ("O1", "A2")],
        "O2": ["O2-A1", "O2A1", ("O2", "A1")],
        "E1": ["LOC-A2", "EOG-L", "EOG sin", "LOC"],
        "E2": ["ROC-A1", "ROC-A2", "EOG-R", "EOG dx", "ROC"],
        "Chin": ["EMG1-EMG2", "CHIN1-CHIN2", "chin", "EMG"],
        "ECG": ["ECG1-ECG2", "ECG", "EKG"],
    },
    scoring=ScoringFormat("cap_txt"),
    events=CAP_PHASES,
    labels={"diagnosis": {GROUPS[group]: nights for group, nights in NIGHTS.items()}},
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights found below `raw_dir`, sorted by id."""
    name = rf"(?P<night>(?P<group>{'|'.join(GROUPS)})\d+)"
    for path, ids in find(raw_dir, "*.edf", rf"^{name}"):
        yield RawNight(
            night=ids["night"],
            person=ids["night"],
            signals=path,
            scoring=path.with_suffix(".txt"),
            part=ids["group"],
            labels={"diagnosis": GROUPS[ids["group"]]},
        )


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
