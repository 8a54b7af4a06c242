"""DCSM: Danish Center for Sleep Medicine, 255 clinical nights, one a person.

Files     tp.../psg.edf (or psg.h5 of the original share, 256 Hz) with tp.../hypnogram.ids
Scoring   AASM; runs of onset, duration and stage in seconds. A run is placed by its onset
Quirks    up to a day of recording with long stretches of wake: trimming is the loader's
          both eyes are referenced to the right mastoid
          REM is written without a digit
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from preprocess.dataset import (
    Counts,
    Dataset,
    DatasetSpec,
    RawNight,
    ScoringFormat,
    Source,
    first_file,
)
from preprocess.recipe import run_alone

SPEC = DatasetSpec(
    name="DCSM",
    title="Danish Center for Sleep Medicine clinical polysomnograms",
    source=Source(
        "nsrr",
        page="https://sleepdata.org/datasets/dcsm",
        name="dcsm",
        files=("tp*/psg.*", "tp*/hypnogram.ids"),
        apply="a data request on sleepdata.org, with the signed agreement",
    ),
    n_nights=255,
    n_persons=255,
    channels={
        "F3": ["F3-M2"],
        "F4": ["F4-M1"],
        "C3": ["C3-M2"],
        "C4": ["C4-M1"],
        "O1": ["O1-M2"],
        "O2": ["O2-M1"],
        "E1": ["E1-M2"],
        "E2": ["E2-M2", "E2-M1"],
        "Chin": ["CHIN"],
        "ECG": ["ECG-II"],
        "ABD": ["ABDOMEN"],
        "THX": ["THORAX"],
        "Airflow": ["NASAL"],
        "SpO2": ["SPO2"],
    },
    scoring=ScoringFormat("ids"),
    counts=Counts(
        "LPSGM log",
        255,
        304_266,
        (79_636, 21_140, 113_027, 43_637, 46_826),
        note="after cutting wake beyond 60 epochs before, after and within sleep",
    ),
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights found below `raw_dir`, sorted by id: each has a folder of its own."""
    for folder in sorted(raw_dir.glob("tp*")):
        if folder.is_dir() and re.fullmatch(r"tp[0-9a-f_]+", folder.name):
            yield RawNight(
                night=folder.name,
                person=folder.name,
                signals=first_file(folder / "psg.edf", folder / "psg.h5"),
                scoring=folder / "hypnogram.ids",
            )


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
