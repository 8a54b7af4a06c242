"""DOD-H: Dreem Open Dataset, 25 nights of healthy volunteers, scored by five people.

Files     <id>.h5: /signals/eeg/..., /signals/eog/..., /signals/emg/..., and /hypnogram
Scoring   AASM; the consensus of the five, one code per epoch from the first sample, -1 where nobody
          scored. The five single scorings are published as lists of codes apart from these files
Rate      samples over 30 s times the epochs of the hypnogram; no attribute tells it
Quirks    C4, O1 and O2 of DOD-O are not among the derivations of this part
          the published evaluation begins two nights at epoch 60 and ends one at 620: see `remarks`
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

LATE = "the published evaluation begins at epoch 60"

SPEC = DatasetSpec(
    name="DOD-H",
    title="Dreem Open Dataset, healthy volunteers",
    source=Source(
        "zenodo",
        page="https://zenodo.org/records/15900394",
        name="15900394",
        files=("*.h5",),
        archives={"dodh.zip": "."},
    ),
    n_nights=25,
    n_persons=25,
    channels={
        "F3": ["eeg/F3_M2"],
        "F4": ["eeg/F4_M1"],
        "C3": ["eeg/C3_M2"],
        "E1": ["eog/EOG1"],
        "E2": ["eog/EOG2"],
        "Chin": ["emg/EMG"],
    },
    scoring=ScoringFormat("dod_h5"),
    remarks={
        "63b799f6-8a4f-4224-8797-ea971f78fb53": LATE,
        "de3af7b1-ab6f-43fd-96f0-6fc64e8d2ed4": LATE,
        "a14f8058-f636-4be7-a67a-8f7f91a419e7": "the published evaluation ends at epoch 620",
    },
    counts=Counts("LPSGM log", 25, 24_662, (3_037, 1_505, 11_879, 3_514, 4_727)),
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights found below `raw_dir`, sorted by id; signals and scoring are one file."""
    for path, ids in find(
        raw_dir, "*.h5", r"(?P<night>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    ):
        yield RawNight(ids["night"], person=ids["night"], signals=path, scoring=path)


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
