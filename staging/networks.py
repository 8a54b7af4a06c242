"""A network of this house as a stager: its weights name the view and the channels they read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.weights import load
from models.whole_night import night_proba
from nights.stages import FOUR_CLASSES, STAGES
from recordings.channels import Candidate, Montage, resolve
from recordings.ingest import NightSignals
from recordings.recording import Recording, RecordingError
from recordings.views import VIEWS
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

    Raises
    ------
    ValueError
        If the weights are no stager's: they name no view.
    """

    def __init__(
        self, name: str, model: Any, card: Mapping[str, Any], device: str = "auto"
    ) -> None:
        if not card.get("view"):
            raise ValueError(f"weights {name!r} are no stager: they name no view of signals")
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
        trained = card.get("channels", tuple(model.channels))  # the others it has never seen
        self.channels = tuple(channel for channel in model.channels if channel in trained)
        self.classes = _CLASSES[self.model.config.n_classes]

    @classmethod
    def from_weights(cls, name_or_path: str, device: str = "auto") -> NetworkStager:
        """Load weights by name from the manifest, or from a safetensors file."""
        model, card = load(name_or_path)
        return cls(Path(name_or_path).stem, model, card, device)

    def montage(
        self, recording: Recording, overrides: Mapping[str, Candidate] | None, *, vote: bool
    ) -> Montage:
        """Choose every channel the model knows; for a model of one derivation, any EEG will do.

        Raises
        ------
        RecordingError
            If the recording has none of them.
        ValueError
            If a vote is asked of a model that reads all derivations together.
        """
        wanted = self.channels
        if len(wanted) > 1 and vote:
            raise ValueError(f"{self.name} reads {len(wanted)} channels together: nothing to vote")
        montage = resolve(recording, wanted, overrides=overrides)
        if len(wanted) == 1 and (vote or not montage.found):
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
        wanted = self.channels
        if len(wanted) > 1:
            return tuple(name for name in wanted if name in channels)
        known = tuple(name for name in wanted if name in channels and not vote)
        return known or stored_derivations(channels, vote=vote)

    def proba(self, reading: Reading) -> np.ndarray:
        """Return the hypnodensity (E, K); the mean of it where derivations vote."""
        signals = reading.signals
        assert signals is not None
        names, recorded = self.channels, ~signals.unscored
        if len(names) > 1:
            known = {name: signals.normalised(name) for name in names if name in signals.signals}
            return self._night(known, recorded)
        votes = [self._night({names[0]: epochs}, recorded) for epochs in _normalised(signals)]
        return np.mean(votes, axis=0)

    @torch.inference_mode()
    def _night(self, signals: Mapping[str, np.ndarray], recorded: np.ndarray) -> np.ndarray:
        """Run the model on one night: {channel: (E, T)}, recorded (E,) -> (E, K)."""
        tensors = {name: torch.from_numpy(x).to(self.device) for name, x in signals.items()}
        present = dict.fromkeys(tensors, torch.from_numpy(recorded).to(self.device))
        return night_proba(self.model, tensors, present).float().cpu().numpy()


def _normalised(signals: NightSignals) -> list[np.ndarray]:
    """Return the normalised epochs (E, T) of every derivation that was read."""
    return [signals.normalised(target) for target in signals.signals]
