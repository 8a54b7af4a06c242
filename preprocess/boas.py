"""BOAS: Bitbrain Open Access Sleep, 128 clinical nights of 100 people, a headband worn beside.

Files     sub-1/eeg/sub-1_task-Sleep_acq-psg_eeg.edf with ..._acq-psg_events.tsv; participants.tsv
Scoring   AASM, one row per epoch; the consensus of three scorers
Quirks    `participant_id` is a night, `pid` the person, who may have several: grouping by night
          leaks. (Its text says 108 people, its table names 100)
          the columns of a scoring change their order with the release: stage_hum (majority in
          earlier ones) is the consensus, stage_ai, ai_psg and ai_hb are outputs of a stager
          code 8 is a disconnection, -2 an artefact: both are unscored
          one eye channel (a bipolar derivation) in some nights, two in others
          the headband's recordings of the same nights have files of their own, left alone here
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from preprocess.dataset import (
    Dataset,
    DatasetSpec,
    RawNight,
    ScoringFormat,
    Source,
    find,
    read_rows,
)
from preprocess.recipe import run_alone

CONSENSUS = ("stage_hum", "majority")  # what the releases call it, newest first

SPEC = DatasetSpec(
    name="BOAS",
    title="Bitbrain Open Access Sleep dataset, clinical channel set",
    source=Source(
        "openneuro",
        page="https://openneuro.org/datasets/ds005555",
        licence="CC0",
        name="ds005555",
        files=("participants.tsv", "sub-*/eeg/*_acq-psg_*"),
    ),
    n_nights=128,
    n_persons=100,
    channels={
        "F3": ["PSG_F3"],
        "F4": ["PSG_F4"],
        "C3": ["PSG_C3"],
        "C4": ["PSG_C4"],
        "O1": ["PSG_O1"],
        "O2": ["PSG_O2"],
        "E1": ["PSG_EOGL", "PSG_EOG"],
        "E2": ["PSG_EOGR"],
        "Chin": ["PSG_EMG"],
    },
    scoring=ScoringFormat("bids_stages", stage_map="boas", column=CONSENSUS[0]),
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights found below `raw_dir`, sorted by path."""
    people = read_rows(raw_dir / "participants.tsv", key="participant_id", delimiter="\t")
    name = r"(?P<night>sub-(?P<number>\d+))_task-Sleep_acq-psg_eeg"
    for path, ids in find(raw_dir, "sub-*/eeg/*_acq-psg_eeg.edf", name):
        scoring = path.with_name(f"{ids['night']}_task-Sleep_acq-psg_events.tsv")
        yield RawNight(
            night=ids["night"],
            person=people.get(ids["night"], {}).get("pid") or f"night-{ids['number']}",
            signals=path,
            scoring=scoring,
            scoring_format=replace(SPEC.scoring, column=_column(scoring)),
        )


def _column(scoring: Path) -> str:
    """Return what this release calls the consensus; never the output of a stager."""
    head = scoring.open(encoding="utf-8").readline() if scoring.is_file() else ""
    return next((name for name in CONSENSUS if name in head.split()), CONSENSUS[0])


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
