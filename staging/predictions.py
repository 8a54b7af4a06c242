"""A file of someone else's predictions as a stager: whatever `recordings.scoring` can read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nights.hypnogram import Hypnogram
from nights.stages import EPOCH_S
from recordings.channels import Candidate
from recordings.recording import Recording, RecordingError
from recordings.scoring import read_scoring
from recordings.targets import TARGETS
from staging.stage import Reading, Stager

HARD_LABEL_PROBA = 0.9  # weight of a label without probability; the rest is shared evenly
_STAGED_FROM = ("eeg", "eog", "emg")  # kinds of channels; others are heart, breath, oxygen


class PredictionStager(Stager):
    """Predictions that exist already, one file per recording.

    Parameters
    ----------
    path : Path
        The file, or a folder that holds one file per recording whose name starts with the name of
        the recording.

    Notes
    -----
    A file with probabilities gives its hypnodensity as it is. A file of labels alone gets 0.9 on
    each label and an even share on the other stages, because a label does not tell how sure its
    scorer was; results say so.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = f"predictions {path.stem}"
        self.provenance = {"stager": f"predictions read from {path.name}"}

    def read(
        self,
        recording: Recording,
        *,
        overrides: Mapping[str, Candidate] | None = None,
        vote: bool = False,
    ) -> Reading:
        """Return a reading without signals: there is nothing to choose.

        Channels of heart, breath and oxygen may be named: others than the stager read them.

        Raises
        ------
        ValueError
            If other channels were named or a vote was asked for: predictions have neither.
        """
        if vote or any(TARGETS[target].kind in _STAGED_FROM for target in overrides or ()):
            raise ValueError("predictions from a file have no channels to choose or to vote")
        n_epochs = int(recording.duration_s / EPOCH_S + 1e-6)
        scoring = read_scoring(self._file(recording), recording=recording)
        return Reading(
            path=recording.path,
            n_epochs=n_epochs,
            start=recording.start,
            predictions=scoring.hypnogram.on_grid(0.0, n_epochs),
            simulated=recording.simulated,
            notes=(*recording.notes, *scoring.notes),
        )

    def proba(self, reading: Reading) -> np.ndarray:
        """Return the probabilities of the file, (E, 5), on the clock of the recording."""
        assert reading.predictions is not None
        return soft(reading.predictions)

    def _file(self, recording: Recording) -> Path:
        """Return the predictions of `recording`."""
        if self.path.is_file():
            return self.path
        found = sorted(p for p in self.path.iterdir() if p.name.startswith(recording.path.stem))
        if len(found) != 1:
            what = "several" if found else "no"
            raise RecordingError(f"{recording.path.name}: {what} predictions in {self.path.name}/")
        return found[0]


def soft(hypnogram: Hypnogram) -> np.ndarray:
    """Return the hypnodensity (E, K) of a hypnogram, made from its labels if it has none."""
    if hypnogram.proba is not None:
        return hypnogram.proba
    n_classes = len(hypnogram.classes)
    rest = (1 - HARD_LABEL_PROBA) / (n_classes - 1)
    proba = np.full((hypnogram.n_epochs, n_classes), rest, dtype=np.float32)
    scored = hypnogram.scored
    proba[scored, hypnogram.stages[scored]] = HARD_LABEL_PROBA
    proba[~scored] = np.nan
    return proba
