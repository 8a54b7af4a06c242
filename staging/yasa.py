"""YASA as a stager: one EEG derivation is enough, an EOG and the chin make it better.

Vallat and Walker, "An open-source, high-performance tool for automated sleep staging", eLife 2021,
10:e70092. Its gradient-boosted trees come inside the package, so it works offline; it has never
seen a simulated night.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping

import numpy as np

from nights.stages import STAGES
from recordings.channels import Candidate, Montage
from recordings.recording import Recording, RecordingError
from recordings.views import VIEWS
from staging.derivations import choose_derivations, stored_derivations
from staging.stage import Reading, SignalStager, derivations

RATE_HZ = 100  # the rate of YASA's features; the view delivers it, so nothing is resampled twice
MIN_EPOCHS = 10  # YASA asks for five minutes: its features are scaled by the recording itself
_COLUMNS = ["WAKE", "N1", "N2", "N3", "REM"]  # yasa.Hypnogram.proba since YASA 0.7


class YasaStager(SignalStager):
    """YASA on the best EEG derivation of a recording, or on all of them by vote."""

    name = "yasa"
    classes = STAGES
    view = VIEWS["bb100"]

    def __init__(self) -> None:
        from importlib.metadata import version

        self.provenance = {
            "stager": f"YASA {version('yasa')}",
            "reference": "Vallat & Walker, eLife 2021, doi 10.7554/eLife.70092",
            "licence": "BSD-3-Clause",
        }

    def montage(
        self, recording: Recording, overrides: Mapping[str, Candidate] | None, *, vote: bool
    ) -> Montage:
        """Choose EEG (several when they vote), one EOG and the chin."""
        return choose_derivations(recording, overrides, vote=vote, helpers=("eog", "emg"))

    def pick(self, channels: tuple[str, ...], *, vote: bool) -> tuple[str, ...]:
        """Choose EEG, one EOG and the chin among the channels of a stored night."""
        return stored_derivations(channels, vote=vote, helpers=("eog", "emg"))

    def proba(self, reading: Reading) -> np.ndarray:
        """Return the mean over the EEG derivations of YASA's probabilities, (E, 5)."""
        signals = reading.signals
        assert signals is not None
        if signals.n_epochs < MIN_EPOCHS:
            minutes = signals.n_epochs / 2
            file = reading.path.name
            raise RecordingError(f"{file}: {minutes:g} minutes of signal; YASA needs 5 or more")
        eog = next(iter(derivations(signals, "eog").values()), None)
        emg = next(iter(derivations(signals, "emg").values()), None)
        eegs = derivations(signals, "eeg").values()
        return np.mean([yasa_proba(eeg, eog=eog, emg=emg) for eeg in eegs], axis=0)


def yasa_proba(
    eeg: np.ndarray, *, eog: np.ndarray | None = None, emg: np.ndarray | None = None
) -> np.ndarray:
    """Return YASA's probabilities of W N1 N2 N3 R.

    Parameters
    ----------
    eeg, eog, emg : float32 arrays (E, 3000)
        Epochs in microvolts at 100 Hz; `eog` and `emg` may be missing.

    Returns
    -------
    float32 array (E, 5)
    """
    import mne
    import yasa

    leads = {"eeg": eeg, "eog": eog, "emg": emg}
    present = {kind: lead.ravel() * 1e-6 for kind, lead in leads.items() if lead is not None}
    info = mne.create_info(list(present), RATE_HZ, list(present))
    raw = mne.io.RawArray(np.stack(list(present.values())).astype(np.float64), info, verbose=False)
    names = {f"{kind}_name": kind for kind in present}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # flat epochs divide by zero inside; they stay unscored
        logging.getLogger("yasa").setLevel(logging.ERROR)
        scored = yasa.SleepStaging(raw, **names).predict()
    return scored.proba[_COLUMNS].to_numpy(np.float32)
