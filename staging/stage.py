"""The only inference path: a recording becomes a hypnogram with its hypnodensity.

A stager is anything that turns a recording into a probability per epoch and stage: YASA, a network
of this house, or a file of someone else's predictions. `load_stager` finds one by name; reading and
staging are two steps so that the next recording can be read while the model works.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from nights.hypnogram import Hypnogram
from nights.night import Night, NightError
from nights.stages import STAGES
from recordings.channels import TARGETS, Candidate, Montage
from recordings.ingest import NightSignals, read_view
from recordings.recording import Recording
from recordings.stored import stored_signals
from recordings.views import View

FLAT_UV = 0.05  # an EEG epoch whose standard deviation is below this holds no EEG (amplifier noise)


@dataclass(frozen=True, eq=False)
class Reading:
    """What one stager read of one night.

    Parameters
    ----------
    path : Path
        The file it came from.
    n_epochs : int
        Whole epochs E of the night.
    start : datetime or None
        Clock time of epoch 0.
    recording : Recording or None
        The open recording; None for a stored night.
    montage : Montage or None
        How the channels of a recording were chosen.
    signals : NightSignals or None
        The channels as the stager wants them; None when it needs no signal.
    predictions : Hypnogram or None
        What somebody else predicted, on the epochs of this night.
    simulated : bool
        Whether no person slept this night.
    notes : tuple of str
        Repairs and oddities of the file.
    """

    path: Path
    n_epochs: int
    start: datetime | None = None
    recording: Recording | None = None
    montage: Montage | None = None
    signals: NightSignals | None = None
    predictions: Hypnogram | None = None
    simulated: bool = False
    notes: tuple[str, ...] = ()

    def head(self, n_epochs: int) -> Reading:
        """Return the first epochs alone."""
        n_epochs, signals, predictions = min(n_epochs, self.n_epochs), self.signals, None
        if signals is not None:
            kept = {target: epochs[:n_epochs] for target, epochs in signals.signals.items()}
            signals = replace(signals, signals=kept, unscored=signals.unscored[:n_epochs])
        if self.predictions is not None:
            predictions = self.predictions.on_grid(0.0, n_epochs)
        return replace(self, n_epochs=n_epochs, signals=signals, predictions=predictions)


@dataclass(frozen=True, eq=False)
class StagedNight:
    """A recording, what was read of it, the hypnogram, and what each of several stagers said."""

    reading: Reading
    hypnogram: Hypnogram
    stager: Stager = field(repr=False)
    voices: np.ndarray | None = field(default=None, repr=False)  # float32 (E, S, K)


class Stager(ABC):
    """Anything that turns a recording into a hypnodensity.

    Attributes
    ----------
    name : str
        As in results and reports.
    classes : tuple of str
        Names of the classes, in the order of the probabilities.
    provenance : dict
        Where the stager comes from: weights, hash, licence, what it was trained on; the key
        `simulated` is True when simulated nights trained it.
    """

    name: str
    classes: tuple[str, ...] = STAGES
    provenance: Mapping[str, Any] = {}

    @abstractmethod
    def read(
        self,
        recording: Recording,
        *,
        overrides: Mapping[str, Candidate] | None = None,
        vote: bool = False,
    ) -> Reading:
        """Choose the channels and read what `proba` needs.

        Raises
        ------
        RecordingError
            If the recording has no channel this stager can use.
        """

    def read_stored(self, night: Night, *, vote: bool = False) -> Reading:
        """Read what `proba` needs from a stored night.

        Raises
        ------
        NightError
            If the night is of another view, has no channel this stager can use, or the stager
            reads no signals at all.
        """
        raise NightError(f"night {night.name!r}: {self.name} reads recordings, not stored nights")

    @abstractmethod
    def proba(self, reading: Reading) -> np.ndarray:
        """Return the hypnodensity, float32 (E, K); NaN rows where nothing can be said."""

    def voices(self, reading: Reading) -> np.ndarray:
        """Return what each of several stagers says, float32 (E, S, K); here there is one."""
        return np.asarray(self.proba(reading), dtype=np.float32)[:, None]

    def heard(self, voices: np.ndarray) -> np.ndarray:
        """Return the one hypnodensity (E, K) of the voices (E, S, K)."""
        return voices[:, 0]


class SignalStager(Stager):
    """A stager that reads signals: channels by `montage`, as its `view` declares."""

    view: View

    @abstractmethod
    def montage(
        self, recording: Recording, overrides: Mapping[str, Candidate] | None, *, vote: bool
    ) -> Montage:
        """Return the channels to read; several EEG derivations when they shall vote."""

    @abstractmethod
    def pick(self, channels: tuple[str, ...], *, vote: bool) -> tuple[str, ...]:
        """Return which channels of a stored night to read; empty if none will do."""

    def read(
        self,
        recording: Recording,
        *,
        overrides: Mapping[str, Candidate] | None = None,
        vote: bool = False,
    ) -> Reading:
        """Choose the channels of a recording and read them through the view."""
        montage = self.montage(recording, overrides, vote=vote)
        signals = read_view(recording, self.view, montage=montage)
        return Reading(
            path=recording.path,
            n_epochs=signals.n_epochs,
            start=recording.start,
            recording=recording,
            montage=montage,
            signals=signals,
            simulated=recording.simulated,
            notes=recording.notes,
        )

    def read_stored(self, night: Night, *, vote: bool = False) -> Reading:
        """Read the channels of a stored night."""
        channels = self.pick(night.channels, vote=vote)
        if not channels:
            listed = ", ".join(night.channels)
            raise NightError(f"night {night.name!r}: {self.name} can use none of {listed}")
        signals = stored_signals(night, self.view, channels, reader=self.name)
        return Reading(
            path=night.path,
            n_epochs=night.n_epochs,
            start=night.hypnogram.start,
            signals=signals,
            simulated=bool(night.sidecar.get("simulated", False)),
        )


def stage(
    recording: Recording,
    stager: Stager,
    *,
    overrides: Mapping[str, Candidate] | None = None,
    vote: bool = False,
) -> StagedNight:
    """Stage one recording.

    Parameters
    ----------
    recording : Recording
        From `recordings.formats.open_recording`.
    stager : Stager
        From `load_stager`.
    overrides : mapping of str to label or pair, optional
        Channels named by hand, for example `{"C4": ("EEG2", "A1")}`.
    vote : bool
        Let every usable EEG derivation vote (stagers of one derivation): mean of probabilities.

    Raises
    ------
    RecordingError
        If the recording cannot be staged; the message names file, channel and reason.
    """
    return stage_reading(stager.read(recording, overrides=overrides, vote=vote), stager)


def stage_reading(reading: Reading, stager: Stager) -> StagedNight:
    """Stage what was read: the stager's probabilities on the clock of the recording.

    Epochs inside a gap of the recording, and epochs in which every EEG lead is flat, stay unscored:
    a stage there would be invented.
    """
    voices = stager.voices(reading)
    proba = np.array(stager.heard(voices), dtype=np.float32)
    notes = []
    if reading.signals is not None:
        empty = _nothing_recorded(reading.signals)
        proba[empty] = np.nan
        if empty.any():
            notes.append(f"{int(empty.sum())} epochs unscored: gap or every EEG lead flat")
    hypnogram = Hypnogram.from_proba(
        proba, start=reading.start, classes=stager.classes, scorer=stager.name, notes=tuple(notes)
    )
    return StagedNight(reading, hypnogram, stager, voices)


def _nothing_recorded(signals: NightSignals) -> np.ndarray:
    """Return bool (E,): epochs in a gap, or with every EEG lead flat."""
    eeg = list(derivations(signals, "eeg").values())
    if not eeg:
        return signals.unscored
    flat = np.all([lead.std(axis=1) < FLAT_UV for lead in eeg], axis=0)
    return signals.unscored | flat


def derivations(signals: NightSignals, kind: str) -> dict[str, np.ndarray]:
    """Return {target: epochs (E, S)} of the channels of one kind (`eeg`, `eog`, `emg`)."""
    return {t: x for t, x in signals.signals.items() if TARGETS[t].kind == kind}


def load_stager(
    name: str, *, device: str = "auto", signals: Sequence[str] = (), as_published: bool = False
) -> Stager:
    """Return the stager called `name`.

    Parameters
    ----------
    name : str
        `yasa`; the name of weights (`main_weights.py list`) or a `.safetensors` file of a stager;
        or a file, or folder of files named like the recordings, with someone else's predictions.
        A list `a,b` is several stagers heard as one.
    device : str
        `auto`, `cpu` or `cuda`, for networks.
    signals, as_published
        See `staging.networks.NetworkStager`; for networks.

    Raises
    ------
    ValueError
        If there is no such stager (the message lists the known ones), or signals are named for one
        that is no network.
    """
    from staging.fusion import fused_stager, is_list

    if is_list(name):
        return fused_stager(name, device, signals=signals, as_published=as_published)
    path = Path(name)
    foreign = path.exists() and path.suffix != ".safetensors"
    if signals and (name == "yasa" or foreign):
        raise ValueError(f"--signals is for networks, not for {name}")
    if name == "yasa":
        from staging.yasa import YasaStager

        return YasaStager()
    if foreign:
        from staging.predictions import PredictionStager

        return PredictionStager(path)
    from engine.weights import manifest
    from staging.networks import NetworkStager

    stagers = [weights.name for weights in manifest().values() if weights.is_stager]
    if path.suffix != ".safetensors" and name not in stagers:
        raise ValueError(
            f"no stager {name!r}; there are yasa, {', '.join(stagers)}, a .safetensors file of a "
            "stager, and files or folders of predictions"
        )
    return NetworkStager.from_weights(
        name, device=device, signals=signals, as_published=as_published
    )
