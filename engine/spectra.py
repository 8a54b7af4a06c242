"""Statistics of the training nights that stagers on log spectra carry in their weights.

SeqSleepNet and its family divide every frequency by its spread over the training epochs. The two
arrays travel with the weights, so that a new recording is read as the training was.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

import models
from nights.windows import NightWindows

EPOCHS_AT_ONCE = 128  # a window of the reading below


def wants_statistics(model: nn.Module) -> bool:
    """Tell whether the model normalises by statistics of its training nights."""
    return getattr(model.config, "statistics", "") == "training"


def own_statistics(model: Any) -> nn.Module:
    """Return the model as one whose statistics come from training nights.

    Weights released without statistics take those of the night that is staged. In a window of 20
    epochs they would be those of a short excerpt, so they cannot be trained on like that; trained
    on, the statistics of the new data set are kept with them (as in the transfer article).
    """
    if getattr(model.config, "statistics", "training") == "training":
        return model
    name = next(name for name in models.names() if models.entry(name)[0] is type(model))
    other = models.create(name, **vars(replace(model.config, statistics="training")))
    other.load_state_dict(model.state_dict())
    return other


@torch.inference_mode()
def fit_statistics(model: Any, windows: NightWindows) -> None:
    """Set `model.spectrum.mean` and `.std` to those of the log spectra of `windows`.

    Parameters
    ----------
    model : Module
        With `spectrum`: `decibel(epochs (..., T)) -> (..., frames, bins)` and the buffers `mean`
        and `std` (bins, C), in the order of `model.config.channels`.
    windows : NightWindows
        Training nights, without a seed; epochs that lie in gaps count for nothing.

    Notes
    -----
    The standard deviation is that of the population, per channel and frequency over all frames of
    all epochs, as published. Sums are kept in float64.
    """
    spectrum, channels = model.spectrum, model.config.channels
    sums = torch.zeros(2, *spectrum.mean.shape, dtype=torch.float64, device=spectrum.mean.device)
    count = torch.zeros(len(channels), dtype=torch.float64, device=spectrum.mean.device)
    for index in range(len(windows)):
        batch = windows[index]
        for column, name in enumerate(channels):
            there = batch.present[name]
            epochs = batch.signals[name][there].to(spectrum.mean.device)  # (N, T)
            frames = spectrum.decibel(epochs).double().flatten(0, 1)  # (N F, bins)
            sums[0, :, column] += frames.sum(dim=0)
            sums[1, :, column] += frames.square().sum(dim=0)
            count[column] += len(frames)
    if not count.all():
        missing = [name for name, n in zip(channels, count.tolist(), strict=True) if not n]
        raise ValueError(f"no training night has {', '.join(missing)}: there is nothing to learn")
    mean = sums[0] / count
    spectrum.mean.copy_(mean)
    spectrum.std.copy_((sums[1] / count - mean.square()).clamp(min=1e-12).sqrt())
