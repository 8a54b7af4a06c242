"""A network of this house as a stager: its weights name the view and the channels they read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self, cast, get_args

import numpy as np
import torch

from engine.staging_nights import normalisation
from engine.weights import load
from models.whole_night import night_proba
from nights.stages import FOUR_CLASSES, STAGES
from recordings.channels import TARGETS, Candidate, Montage, resolve
from recordings.ingest import PADDED_EPOCHS, NightSignals
from recordings.recording import Recording, RecordingError
from recordings.views import VIEWS, Normalise, View
from staging.derivations import choose_derivations, stored_derivations
from staging.stage import Reading, SignalStager

_CLASSES: dict[int, tuple[str, ...]] = {5: STAGES, 4: FOUR_CLASSES}


class NetworkStager(SignalStager):
    """A model of the registry with trained weights.

    Parameters
    ----------
    name : str
        As in results and reports.
    model : Module of the registry
        In evaluation mode, with `channels` {name: samples per epoch}.
    card : dict
        What is known of the weights; `view` names the view they were trained on.
    device : str
        `auto`, `cpu` or `cuda`.
    signals : sequence of str
        Only these channels of those the model knows; default: all.
    as_published : bool
        Where the published code fills a night up with zeros or cuts it (wav2sleep: to 10 h), do so;
        default: the night as it was recorded.

    Raises
    ------
    ValueError
        If the weights are no stager's (they name no view), or the model knows a signal not.
    """

    role: ClassVar[str] = "stager"
    tasks: ClassVar[tuple[str, ...]] = ("staging",)  # what the weights may have been trained for

    def __init__(
        self,
        name: str,
        model: Any,
        card: Mapping[str, Any],
        device: str = "auto",
        *,
        signals: Sequence[str] = (),
        as_published: bool = False,
    ) -> None:
        if not card.get("view"):
            raise ValueError(f"weights {name!r} are no {self.role}: they name no view of signals")
        if (task := card.get("task", "staging")) not in self.tasks:
            raise ValueError(f"weights {name!r} are no {self.role}: they were trained for {task}")
        trained = card.get("channels", tuple(model.channels))  # the others it has never seen
        self._known = tuple(channel for channel in model.channels if channel in trained)
        self.channels = _chosen(name, self._known, signals)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.name, self.provenance = name, {"stager": name, **card}
        self.model = model.to(device).eval()
        self.device = torch.device(device)
        self.view = VIEWS[card["view"]]
        if card.get("view_hash", self.view.hash) != self.view.hash:
            raise ValueError(
                f"weights {name!r} were trained on another {card['view']} than there is now: "
                "train them again on nights of the present view"
            )
        self.classes = self._named_classes(card)
        self.padded = as_published and self.view.normalise == "z_padded"
        self.normalise = _rule(self.model, self.view, card.get("normalisation"))

    @classmethod
    def from_weights(
        cls,
        name_or_path: str,
        device: str = "auto",
        *,
        signals: Sequence[str] = (),
        as_published: bool = False,
    ) -> Self:
        """Load weights by name from the manifest, or from a safetensors file."""
        model, card = load(name_or_path)
        name = Path(name_or_path).stem
        return cls(name, model, card, device, signals=signals, as_published=as_published)

    def montage(
        self, recording: Recording, overrides: Mapping[str, Candidate] | None, *, vote: bool
    ) -> Montage:
        """Choose every channel the model knows; for a model of one EEG derivation, any will do.

        Raises
        ------
        RecordingError
            If the recording has none of them.
        ValueError
            If a vote is asked of a model that reads all derivations together.
        """
        wanted, any_eeg = self.channels, self._any_eeg
        if vote and not any_eeg:
            raise ValueError(f"{self.name} reads {len(wanted)} channels together: nothing to vote")
        montage = resolve(recording, wanted, overrides=overrides, as_recorded=self.view.as_recorded)
        if any_eeg and (vote or not montage.found):
            return choose_derivations(recording, overrides, vote=vote)
        if not montage.found:
            file, listed = recording.path.name, ", ".join(recording.labels) or "no signals"
            raise RecordingError(
                f"{file}: none of {', '.join(wanted)} found; the file has: {listed}. "
                f"Name one with --channel {wanted[0]}=LABEL"
            )
        return montage

    def pick(self, channels: tuple[str, ...], *, vote: bool) -> tuple[str, ...]:
        """Choose the channels the model knows among those of a stored night."""
        known = tuple(name for name in self.channels if name in channels)
        if not self._any_eeg or (known and not vote):
            return known
        return stored_derivations(channels, vote=vote)

    def proba(self, reading: Reading) -> np.ndarray:
        """Return the hypnodensity (E, K); the mean of it where derivations vote."""
        signals = reading.signals
        assert signals is not None
        if self.padded:
            return self._padded_night(signals)
        return np.mean([self._night(*given) for given in self.inputs(signals)], axis=0)

    def inputs(self, signals: NightSignals) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        """Yield what the model reads: {channel: epochs (E, T)} and where recorded, bool (E,).

        Once for a night; once for each derivation, under the name of the model's own, where any
        EEG will do and several vote.
        """
        names, recorded = self.channels, ~signals.unscored
        if self._any_eeg:
            for target in signals.signals:
                yield {names[0]: self._normalised(signals, target)}, recorded
            return
        known = [name for name in names if name in signals.signals]
        yield {name: self._normalised(signals, name) for name in known}, recorded

    def _named_classes(self, card: Mapping[str, Any]) -> tuple[str, ...]:
        """Return what the model's probabilities are of."""
        return _CLASSES[self.model.config.n_classes]

    @property
    def _any_eeg(self) -> bool:
        """Whether the model reads one derivation of the EEG, so that another can stand in."""
        return len(self._known) == 1 and TARGETS[self._known[0]].kind == "eeg"

    def _normalised(self, signals: NightSignals, target: str) -> np.ndarray:
        """Return the epochs (E, T) of one channel as the model wants them."""
        return signals.normalised(target, self.normalise)

    def _padded_night(self, signals: NightSignals) -> np.ndarray:
        """Stage 10 h, filled up with zeros or cut; NaN where the night is longer."""
        known = {name: signals.padded(name) for name in self.channels if name in signals.signals}
        proba = self._night(known, np.ones(PADDED_EPOCHS, dtype=bool))
        whole = np.full((signals.n_epochs, proba.shape[1]), np.nan, dtype=np.float32)
        whole[:PADDED_EPOCHS] = proba[: signals.n_epochs]
        return whole

    @torch.inference_mode()
    def _night(self, signals: Mapping[str, np.ndarray], recorded: np.ndarray) -> np.ndarray:
        """Run the model on one night: {channel: (E, T)}, recorded (E,) -> (E, K)."""
        tensors = {name: torch.from_numpy(x).to(self.device) for name, x in signals.items()}
        present = dict.fromkeys(tensors, torch.from_numpy(recorded).to(self.device))
        return night_proba(self.model, tensors, present).float().cpu().numpy()


def _chosen(name: str, known: tuple[str, ...], signals: Sequence[str]) -> tuple[str, ...]:
    """Return the channels of a model that may be used; all unless some are named."""
    unknown = [signal for signal in signals if signal not in known]
    if unknown:
        raise ValueError(f"{name} reads {', '.join(known)}, not {', '.join(unknown)}")
    return tuple(channel for channel in known if not signals or channel in signals)


def _rule(model: Any, view: View, told: str | None) -> Normalise:
    """Return how signals are normalised: as the weights tell, else as their training would."""
    if told in get_args(Normalise):
        return cast("Normalise", told)
    return cast("Normalise", normalisation(model, view.normalise))
