"""MASS: Montreal Archive of Sleep Studies, cohort 1, 200 nights of 200 people in five subsets.

Files     SS3/01-03-0001 PSG.edf (with a blank) with SS3/01-03-0001 Base.edf, or in an older
          distribution SS3/annotations/01-03-0001.saf, the bare text of EDF+ annotations
Scoring   SS1 and SS3 AASM in epochs of 30 s; SS2, SS4, SS5 Rechtschaffen and Kales in pages of
          20 s, for which windows with 5 s of signal on each side stand, so that they overlap
Quirks    a scoring begins a few seconds after the signal at a fraction of a second, and its step
          is not quite 30 s (20 s): every onset is taken as written, none is counted
          true rates are no whole numbers; electrodes stand against computed linked ears (CLE) or
          linked ears (LER), either in any subset. SeqSleepNet and SleepGPT subtract the mastoids
          where there are any: `--as-published` (C4-A1; SeqSleepNet's own sign is A1-C4)
          SeqSleepNet leaves out the first and last page of 20 s, here they are moved inside
          numbers have gaps (SS3 runs to 0064 without 0043 and 0049); 60 Hz from the mains
          the published 20 folds count the nights in alphabetical order, 1 to 200
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

PAGES = ScoringFormat(stage_map="edfplus", epoch_s=20)
PAGED = ("SS2", "SS4", "SS5")

SPEC = DatasetSpec(
    name="MASS",
    title="Montreal Archive of Sleep Studies, cohort 1",
    source=Source(
        "application",
        page="https://borealisdata.ca/dataverse/MASS",
        licence="signed agreement, for research",
        files=("SS*/*",),
        apply="the signed agreement and an ethics approval, for the signals and the scorings",
    ),
    n_nights=200,
    n_persons=200,
    channels={
        "F3": ["EEG F3-CLE", "EEG F3-LER"],
        "F4": ["EEG F4-CLE", "EEG F4-LER"],
        "C3": ["EEG C3-CLE", "EEG C3-LER"],
        "C4": ["EEG C4-CLE", "EEG C4-LER"],
        "O1": ["EEG O1-CLE", "EEG O1-LER"],
        "O2": ["EEG O2-CLE", "EEG O2-LER"],
        "E1": ["EOG Left Horiz"],
        "E2": ["EOG Right Horiz"],
        "EOGh": [("EOG Left Horiz", "EOG Right Horiz")],
        "Chin": [
            ("EMG Chin1", "EMG Chin2"),
            *("EMG Chin1", "EMG Chin", "EMG Chin2", "EMG Chin3"),
        ],
        "ECG": ["ECG ECGI", "ECG ECG", "ECG I"],
    },
    scoring=ScoringFormat(stage_map="edfplus", epoch_s=30),
    as_published={
        # Without a mastoid always C3: the branch meant for C4 has a misspelt name
        "seqsleepnet": {
            "EEG": [
                ("EEG C4-CLE", "EEG A1-CLE"),
                ("EEG C4-LER", "EEG A1-CLE"),
                ("EEG C3-CLE", "EEG A2-CLE"),
                "EEG C3-LER",
            ]
        },
        "sleepgpt": {
            "C3": [
                ("EEG C3-CLE", "EEG A2-CLE"),
                ("EEG C3-LER", "EEG A2-LER"),
                *("EEG C3-CLE", "EEG C3-LER"),
            ],
            "C4": [("EEG C4-CLE", "EEG A1-CLE"), "EEG C4-CLE", "EEG C4-LER"],
        },
    },
    counts=Counts(
        "LPSGM log",
        115,
        110_610,
        (18_684, 11_951, 51_969, 11_060, 16_946),
        parts={
            "SS1": Counts("LPSGM log", 53, 51_293, (12_242, 7_112, 22_167, 3_407, 6_365)),
            "SS3": Counts("LPSGM log", 62, 59_317, (6_442, 4_839, 29_802, 7_653, 10_581)),
        },
        note="SS1 and SS3 alone",
    ),
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights found below `raw_dir` in the order of the published folds."""
    name = r"(?P<part>SS[1-5])/(?P<night>01-0[1-5]-\d{4}) PSG"
    for path, ids in find(raw_dir, "SS[1-5]/*PSG.edf", name):
        night, part = ids["night"], ids["part"]
        yield RawNight(
            night=night,
            person=night,
            signals=path,
            scoring=first_file(
                path.with_name(f"{night} Base.edf"),
                path.parent / "annotations" / f"{night}.saf",
            ),
            part=part,
            scoring_format=PAGES if part in PAGED else None,
        )


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
