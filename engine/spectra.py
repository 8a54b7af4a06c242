"""Statistics of the training nights that stagers on log spectra carry in their weights.

SeqSleepNet and its family divide every frequency by its spread over the training epochs. The two
arrays travel with the weights, so that a new recording is read as the training was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

import models
from nights.windows import NightWindows


def own_statistics(model: Any) -> Any:
    """Return the model as one whose statistics come from training nights.

    Weights released without statistics take those of the night that is staged. In a window of 20
    epochs they would be those of a short excerpt, so they cannot be trained on like that; trained
    on, the statistics of the new data set are kept with them (as in the transfer article).
    """
    if getattr(model.config, "statistics", "training") == "training":
        return model
    other = models.create(
        models.name_of(model), **vars(replace(model.config, statistics="training"))
    )
    other.load_state_dict(model.state_dict())
    return other


def fit_statistics(model: Any, windows: NightWindows) -> None:
    """Let a model that normalises by statistics of its training nights learn them.

    Parameters
    ----------
    model : Module
        Left alone if it has no `fit_statistics`.
    windows : NightWindows
        Of the training nights, every epoch in one of them, read one after the other.
    """
    if hasattr(model, "fit_statistics"):
        device = next(model.parameters()).device
        model.fit_statistics(_batches(windows, device))


def _batches(windows: NightWindows, device: torch.device) -> Iterator[tuple[dict, dict]]:
    """Yield (signals, present) of window after window."""
    for index in range(len(windows)):
        batch = windows[index]
        signals = {name: x.to(device) for name, x in batch.signals.items()}
        yield signals, {name: there.to(device) for name, there in batch.present.items()}
