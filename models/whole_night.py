"""The hypnodensity of a whole night from any stager: its own way if it has one, else every window.

Training judges with it and staging stages with it, so that a night gives the same numbers in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional as F

AT_ONCE = 64  # windows through the network together


@torch.inference_mode()
def night_proba(
    model: Any, signals: Mapping[str, torch.Tensor], present: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """Return the hypnodensity (E, K) of one night.

    Parameters
    ----------
    model : Module
        A stager of the registry in evaluation mode. Its own `night_proba` is used if it has one;
        a model that takes any number of epochs gets the night at once, another one every window of
        its length, and the probabilities of the windows around an epoch are averaged.
    signals : {channel: (E, T)}
    present : {channel: bool (E,)}
    """
    if hasattr(model, "night_proba"):
        return model.night_proba(signals, present)
    if model.window is None:
        night = {name: x[None] for name, x in signals.items()}
        return model(night, {name: p[None] for name, p in present.items()}).logits[0].softmax(-1)
    n_epochs = len(next(iter(signals.values())))
    missing = max(0, model.window - n_epochs)
    windows = {n: _windows(F.pad(x, (0, 0, 0, missing)), model.window) for n, x in signals.items()}
    there = {n: F.pad(p, (0, missing)).unfold(0, model.window, 1) for n, p in present.items()}
    n_windows = n_epochs + missing - model.window + 1
    parts = []
    for first in range(0, n_windows, AT_ONCE):
        some = slice(first, first + AT_ONCE)
        given = {name: x[some] for name, x in windows.items()}
        parts.append(model(given, {name: p[some] for name, p in there.items()}).logits.softmax(-1))
    return _averaged(torch.cat(parts))[:n_epochs]


def _windows(x: torch.Tensor, length: int) -> torch.Tensor:
    """Return every window (W, L, T) of epochs (E, T), without copying."""
    return x.unfold(0, length, 1).movedim(-1, 1)


def _averaged(votes: torch.Tensor) -> torch.Tensor:
    """Average the votes (W, L, K) of stride-1 windows on every epoch: (W + L - 1, K)."""
    n_windows, length, n_classes = votes.shape
    starts = torch.arange(n_windows, device=votes.device)[:, None]
    epochs = (starts + torch.arange(length, device=votes.device)).flatten()
    sums = votes.new_zeros(n_windows + length - 1, n_classes)
    sums.index_add_(0, epochs, votes.flatten(0, 1))
    return sums / epochs.bincount()[:, None]
