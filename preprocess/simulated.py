"""Simulated nights: what `python -m recordings.simulate --nights N --out DIR` writes.

Files     SIM0001N1.edf: site (capital letters), person, night; another site is another part
Scoring   inside the file, EDF+ annotations: the stages the signals were drawn from
Quirks    nobody slept these nights: every result on them, and all weights trained on them, say so
          montages differ as sites do: derivations as recorded, bare electrodes, Sleep-EDF's two
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from preprocess.dataset import (
    EVENTS,
    Dataset,
    DatasetSpec,
    RawNight,
    ScoringFormat,
    Source,
    find,
)
from preprocess.recipe import run_alone

SPEC = DatasetSpec(
    name="Simulated",
    title="Simulated nights, made on this machine",
    source=Source(
        "simulated",
        licence="none needed",
        files=("*.edf",),
        apply="python -m recordings.simulate --nights 20 --hours 2 --out raw/Simulated",
    ),
    channels={
        "F3": ["F3-M2", ("F3", "M2")],
        "F4": ["F4-M1", ("F4", "M1")],
        "C3": ["C3-M2", ("C3", "M2")],
        "C4": ["C4-M1", ("C4", "M1")],
        "O1": ["O1-M2", ("O1", "M2")],
        "O2": ["O2-M1", ("O2", "M1")],
        "E1": ["E1-M2", ("E1", "M2")],
        "E2": ["E2-M2", ("E2", "M2")],
        "Chin": ["Chin"],
        "FpzCz": ["EEG Fpz-Cz"],
        "PzOz": ["EEG Pz-Oz"],
        "EOGh": ["EOG horizontal", ("E1-M2", "E2-M2"), ("E1", "E2")],
        "ECG": ["ECG"],
        "PPG": ["Pleth"],
        "THX": ["Thorax", "Thor"],
        "ABD": ["Abdomen", "Abdo"],
        "Airflow": ["Airflow", "Resp oro-nasal"],
    },
    scoring=ScoringFormat("edfplus", stage_map="edfplus"),
    events=EVENTS,
    labels={"origin": {"simulated": None}},
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights found below `raw_dir`, sorted by name."""
    name = r"(?P<night>(?P<person>(?P<site>[A-Z]+)\d{4})N(?P<visit>\d))"
    for path, ids in find(raw_dir, "**/*.edf", name):
        yield RawNight(
            night=ids["night"],
            person=ids["person"],
            signals=path,
            scoring=path,
            visit=ids["visit"],
            part=f"Simulated-{ids['site']}",
            labels={"origin": "simulated"},
        )


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
