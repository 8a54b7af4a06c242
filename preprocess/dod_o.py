"""DOD-O: Dreem Open Dataset, 55 nights of patients with obstructive sleep apnea, five scorers.

Files, scoring and rate as in DOD-H (`dod_h.py`); the parts are different people and derivations.
Quirks    about 5 percent of the single scorings are unscored, mostly at the ends of the night
          LPSGM counts 56 files; the one beyond the 55 published patients is not known to us
"""

from __future__ import annotations

from preprocess.dataset import Counts, Dataset, DatasetSpec, ScoringFormat, Source
from preprocess.dod_h import recordings
from preprocess.recipe import run_alone

SPEC = DatasetSpec(
    name="DOD-O",
    title="Dreem Open Dataset, patients with obstructive sleep apnea",
    source=Source(
        "zenodo",
        page="https://zenodo.org/records/15900394",
        name="15900394",
        files=("*.h5",),
        archives={"dodo.zip": "."},
    ),
    n_nights=55,
    n_persons=55,
    channels={
        "F3": ["eeg/F3_M2"],
        "C3": ["eeg/C3_M2"],
        "C4": ["eeg/C4_M1"],
        "O1": ["eeg/O1_M2"],
        "O2": ["eeg/O2_M1"],
        "E1": ["eog/EOG1"],
        "E2": ["eog/EOG2"],
        "Chin": ["emg/EMG"],
    },
    scoring=ScoringFormat("dod_h5"),
    counts=Counts("LPSGM log", 56, 54_197, (10_660, 2_898, 26_650, 5_683, 8_306)),
)

if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
