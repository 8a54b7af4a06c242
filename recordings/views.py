"""What each system reads: channels, rate, filters, resampling, normalisation. Data, not code.

A night store and a weight file both name their view and its hash; a model refuses a night of
another view.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Literal

from nights.stages import EPOCH_S
from recordings.channels import TARGETS
from recordings.responses import NONE, Response, butter2, fir2, fir2_stop, mne_fir

SCHEMA = 1  # part of every hash: raised when the same declaration comes to mean other numbers

Resample = Literal["clean", "endpoints", "time"]
Normalise = Literal["none", "z", "z_padded", "z_recorded", "z_causal", "z_running", "robust"]


@dataclass(frozen=True)
class View:
    """How a recording is turned into the signals of one system.

    Parameters
    ----------
    name : str
    samples : mapping of str to int
        Samples per epoch of every channel that may be there, in the order they are stored.
    response : mapping of str to Response
        Filter of each kind of channel (`eeg`, `eog`, `emg`, `ecg`, `resp`) or of one channel by its
        name; none where nothing stands.
    resample : {"clean", "endpoints", "time"}
        `clean` is free of aliases. `endpoints` and `time` interpolate linearly after filtering at
        the native rate, as the published chains of LPSGM and of wav2sleep do.
    normalise : {"none", "z", "z_padded", "z_recorded", "z_causal", "z_running", "robust"}
        What is done when a night is loaded; nothing is normalised when it is read or stored.
        `z_padded` is over the night filled up with zeros to 10 h, `z_recorded` over what was
        recorded, `z_causal` the published running one, `z_running` one that never looks ahead.
    right_closed : bool
        Epoch e holds (30 e, 30 e + 30] instead of [30 e, 30 e + 30).
    as_recorded : bool
        Channels are taken as they stand in the file, never subtracted from one another.
    """

    name: str
    samples: Mapping[str, int]
    response: Mapping[str, Response] = field(default_factory=dict)
    resample: Resample = "clean"
    normalise: Normalise = "none"
    right_closed: bool = False
    as_recorded: bool = False

    @property
    def channels(self) -> tuple[str, ...]:
        """Canonical names of the channels that may be there."""
        return tuple(self.samples)

    def samples_of(self, channel: str) -> int:
        """Return the samples per epoch of a channel, also of one that is not declared.

        Raises
        ------
        KeyError
            If the channel is not declared and those declared do not all have one rate.
        """
        shared = set(self.samples.values())
        return self.samples[channel] if len(shared) > 1 else min(shared)

    def rate_hz(self, channel: str) -> Fraction:
        """Return the exact rate of a channel."""
        return Fraction(self.samples_of(channel), EPOCH_S)

    def response_of(self, channel: str) -> Response:
        """Return the filter of a channel."""
        return self.response.get(channel, self.response.get(TARGETS[channel].kind, NONE))

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON of the declaration and the schema, in hexadecimal."""
        declared = {"schema": SCHEMA, **asdict(self)}
        text = json.dumps(declared, sort_keys=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


# The nine derivations in the order LPSGM embeds them.
NINE = ("F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2", "Chin")
_AT_100_HZ = 100 * EPOCH_S
_LPSGM = {
    "eeg": butter2(4, 0.3, 35),
    "eog": butter2(4, 0.3, 35),
    "emg": butter2(4, 10, None),
}
_SEQSLEEPNET = {
    "eeg": fir2(100, 0.3, 40),
    "eog": fir2(100, 0.3, 40),
    "emg": fir2_stop(100, 49, 51) * fir2_stop(100, 59, 61) * fir2(100, 10, None),
}
_SYNTHSLEEPNET = {
    "eeg": mne_fir(0.5, 40),
    "eog": mne_fir(0.5, 40),
    "ecg": mne_fir(3, 30),
    "emg": mne_fir(25, 49),
    "resp": mne_fir(0.05, 1),
}

_ALL = (
    # Everything below 50 Hz, nothing removed: SleepGPT's stager, spectrograms, experiments.
    View("bb100", dict.fromkeys((*NINE, "FpzCz", "PzOz", "EOGh", "ECG"), _AT_100_HZ)),
    # LPSGM trained from scratch, and with its published weights.
    View("psg9", dict.fromkeys(NINE, _AT_100_HZ), _LPSGM, normalise="z"),
    View("psg9c", dict.fromkeys(NINE, _AT_100_HZ), _LPSGM, resample="endpoints", normalise="z"),
    # SeqSleepNet, both ARNNs, DeepSleepNet; log spectra are made when a night is loaded.
    View("seq3", dict.fromkeys(("EEG", "EOGh", "Chin"), _AT_100_HZ), _SEQSLEEPNET),
    # SynthSleepNet and NeuroNet.
    View(
        "shhs7",
        dict.fromkeys(("C3", "C4", "E1", "E2", "ECG", "Chin", "Airflow"), _AT_100_HZ),
        _SYNTHSLEEPNET,
        normalise="robust",
    ),
    # wav2sleep, with its published weights.
    View(
        "cr",
        {"ECG": 1024, "PPG": 1024, "ABD": 256, "THX": 256},
        resample="time",
        normalise="z_padded",
        right_closed=True,
        as_recorded=True,
    ),
    View(
        "eog",
        {"E1": 4096, "E2": 4096},
        resample="time",
        normalise="z_padded",
        right_closed=True,
        as_recorded=True,
    ),
    # A heart rate alone: beats of a watch, a pulse belt, or a table of intervals. A power of two,
    # as the encoders of wav2sleep want it.
    View("hr", {"HR": 128}, normalise="z"),
)

VIEWS: dict[str, View] = {view.name: view for view in _ALL}
