"""Grad-CAM and guided backpropagation of LPSGM: which part of which derivation spoke for a stage.

The target is the logit of an epoch's stage, read in one window of the network. Its gradient with
respect to what the epoch encoder made of that epoch is taken once; from there

- Grad-CAM weighs the activations of the last convolution of each branch by the mean of their
  gradient over time and keeps what speaks for the stage;
- guided backpropagation goes down to the samples and lets through, at every ReLU, only what is
  positive on the way up and on the way down.

As the encoder sees each epoch alone, every epoch of a night is encoded once, and only the epoch
that is explained is gone back through. Deviation: the published code explains the first epoch of
each window, so that the last 19 of a recording have no map, and encodes whole windows; here an
epoch stands in the middle of its window (`as_published`: at its beginning), as far as the night
allows. Derivations keep their identity where others are absent.

References
----------
.. [1] Deng et al. (2024). LPSGM. medRxiv 2024.12.11.24318815; released code, folder `gradcam`.
.. [2] Selvaraju et al. (2017). Grad-CAM: visual explanations from deep networks. ICCV,
   equations 1 and 2.
.. [3] Springenberg et al. (2015). Striving for simplicity: the all convolutional net. ICLR
   workshop.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from models.lpsgm import LPSGM, Branch, EpochEncoder
from models.lpsgm_night import encode_night

ENVELOPE_SIGMA = 10  # samples; smooths the guided map, as in the released code
WINDOWS_AT_ONCE = 8  # on a CPU; their tokens and gradients stay below 100 MB


@dataclass(frozen=True, eq=False)
class GradCam:
    """Maps of N epochs on C derivations; NaN where a derivation was not recorded.

    Parameters
    ----------
    channels : tuple of str
        The derivations, in the order of the model.
    epochs : int64 array (N,)
        Which epochs of the night.
    stages : int64 array (N,)
        The stage each map speaks for.
    fine, coarse : float32 arrays (N, C, 63) and (N, C, 13)
        Grad-CAM of the branches of small and of large filters, 0 or more.
    guided : float32 array (N, C, T)
        Guided gradient of every sample.
    """

    channels: tuple[str, ...]
    epochs: np.ndarray
    stages: np.ndarray
    fine: np.ndarray
    coarse: np.ndarray
    guided: np.ndarray

    def fused(self) -> np.ndarray:
        """Return the sum of both branches, (N, C, T), 0 to 1 over all derivations of an epoch."""
        return scaled(self._sum())

    def guided_gradcam(self) -> np.ndarray:
        """Return the sum times the envelope of the guided map, (N, C, T), 0 to 1 per epoch."""
        return scaled(self._sum() * envelope(self.guided))

    def _sum(self) -> np.ndarray:
        """Return both branches drawn out to all samples and added, (N, C, T)."""
        n_samples = self.guided.shape[-1]
        return stretched(self.fine, n_samples) + stretched(self.coarse, n_samples)


def explain_night(
    model: LPSGM,
    signals: Mapping[str, Any],
    present: Mapping[str, Any] | None = None,
    *,
    epochs: np.ndarray | None = None,
    stages: np.ndarray | None = None,
    as_published: bool = False,
) -> GradCam:
    """Explain epochs of a night.

    Parameters
    ----------
    model : LPSGM
        In evaluation mode.
    signals : {channel: array or tensor (E, T)}
        As in `LPSGM.night_proba`.
    present : {channel: bool (E,)}, optional
        Where each channel was recorded; a channel that is not named is there throughout.
    epochs : int array (N,), optional
        Which to explain; default: every epoch of which anything was recorded.
    stages : int array (E,), optional
        The stage of each epoch of the night to speak for, 0..K-1; default, and where it is -1: what
        the window of the epoch says itself.
    as_published : bool
        Read an epoch at the beginning of its window instead of in the middle.

    Raises
    ------
    ValueError
        If none of the channels is given, or an epoch is not in the night.
    """
    with torch.no_grad():
        features, recorded = encode_night(model, signals, present or {})
    n_epochs = len(features)
    chosen = _chosen(epochs, recorded.any(dim=-1).cpu())
    padding = (0, 0, 0, max(0, model.window - n_epochs))
    features, recorded = F.pad(features, (0, 0, *padding)), F.pad(recorded, padding)
    starts = _starts(chosen, len(features), model.window, as_published)
    told = torch.full((n_epochs,), -1) if stages is None else torch.as_tensor(np.asarray(stages))
    channels = [name for name in model.config.channels if name in signals]
    columns = [model.config.channels.index(name) for name in channels]
    parts = []
    for some, first in zip(
        chosen.split(WINDOWS_AT_ONCE), starts.split(WINDOWS_AT_ONCE), strict=True
    ):
        windows = first[:, None] + torch.arange(model.window)
        gradient, target = feature_gradient(
            model, features[windows], recorded[windows], some - first, told[some].long()
        )
        there = recorded[some][:, columns].cpu()
        x = torch.stack([torch.as_tensor(signals[name])[some].float() for name in channels], dim=1)
        maps = encoder_maps(model.encoder, x, gradient[:, columns], there)
        parts.append((target.cpu(), *maps))
    arrays = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
    return GradCam(tuple(channels), chosen.numpy(), *arrays)


def _chosen(epochs: np.ndarray | None, known: torch.Tensor) -> torch.Tensor:
    """Return the epochs (N,) to explain: those asked for, else all that are known."""
    if epochs is None:
        return known.nonzero().flatten()
    chosen = torch.as_tensor(np.asarray(epochs, dtype=np.int64)).reshape(-1)
    outside = chosen[(chosen < 0) | (chosen >= len(known))]
    if len(outside) or not len(chosen):
        asked = ", ".join(str(int(epoch) + 1) for epoch in outside) or "none"
        raise ValueError(f"epochs {asked} asked for, the night has 1 to {len(known)}")
    if not known[chosen].all():
        empty = int(chosen[~known[chosen]][0]) + 1
        raise ValueError(f"nothing was recorded in epoch {empty}: there is nothing to explain")
    return chosen


def _starts(epochs: torch.Tensor, n_epochs: int, window: int, as_published: bool) -> torch.Tensor:
    """Return where the window begins in which each epoch (N,) is read."""
    before = 0 if as_published else window // 2
    return (epochs - before).clamp(0, n_epochs - window)


def feature_gradient(
    model: LPSGM,
    features: torch.Tensor,
    recorded: torch.Tensor,
    place: torch.Tensor,
    stages: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradient of a logit with respect to the encoder's features of its epoch.

    Parameters
    ----------
    model : LPSGM
    features : tensor (B, L, C, 512)
        What the encoder made of each epoch of the windows, C counts the channels of the model.
    recorded : bool tensor (B, L, C)
    place : int64 tensor (B,)
        The epoch of each window that is explained.
    stages : int64 tensor (B,), optional
        Whose logit; default, and where it is -1: the largest.

    Returns
    -------
    gradient : tensor (B, C, 512)
        Zeros where nothing was recorded.
    stages : int64 tensor (B,)
    """
    device = features.device
    rows, place = torch.arange(len(features), device=device), place.to(device)
    index = torch.arange(features.shape[2], device=device)
    stages = torch.full_like(rows, -1) if stages is None else stages.to(device)
    with torch.enable_grad():
        leaf = features.detach().clone().requires_grad_()
        hidden = model.read(model.placed(leaf[recorded], recorded, index))
        logits = model.head(hidden[rows, place])  # (B, K)
        target = torch.where(stages < 0, logits.argmax(dim=-1), stages)
        # windows do not mix, so the gradient of the sum is that of each
        (slope,) = torch.autograd.grad(logits[rows, target].sum(), leaf)
    return slope[rows, place], target


def encoder_maps(
    encoder: EpochEncoder, x: torch.Tensor, gradient: torch.Tensor, there: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Take the gradient of the features down to the branches and to the samples.

    Parameters
    ----------
    encoder : EpochEncoder
    x : tensor (N, C, T)
        Epochs as the network reads them.
    gradient : tensor (N, C, 512)
        Of the target with respect to the features of each.
    there : bool tensor (N, C)
        What was recorded; everything else becomes NaN.

    Returns
    -------
    fine, coarse : tensors (N, C, 63) and (N, C, 13)
    guided : tensor (N, C, T)
    """
    device = next(encoder.parameters()).device
    samples, slope = x[there].to(device), gradient[there.to(gradient.device)]
    clamped = samples.clamp(-encoder.clamp, encoder.clamp)[:, None]
    halves = slope.chunk(2, dim=-1)
    found = [
        _branch_map(branch, clamped, half)
        for branch, half in zip((encoder.fine, encoder.coarse), halves, strict=True)
    ]
    found.append(_guided(encoder, samples, slope))
    maps = []
    for flat in found:
        spread = torch.full((*there.shape, flat.shape[-1]), torch.nan)
        spread[there] = flat.cpu()
        maps.append(spread)
    return maps[0], maps[1], maps[2]


def _branch_map(branch: Branch, x: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """Return Grad-CAM (M, S) of the last convolution of a branch, before its norm."""
    kept: list[torch.Tensor] = []
    convolution = cast("nn.Sequential", branch.layers[-1])[0]
    hook = convolution.register_forward_hook(lambda _module, _given, out: kept.append(out))
    with torch.enable_grad():
        features = branch(x.requires_grad_())  # (M, 256)
        hook.remove()
        (slope,) = torch.autograd.grad(features, kept[0], gradient)
    weight = slope.mean(dim=-1, keepdim=True)  # (M, 256, 1)
    return (weight * kept[0].detach()).sum(dim=1).relu()


class _Guided(torch.autograd.Function):
    """A ReLU whose gradient passes only where input and gradient are positive."""

    @staticmethod
    def forward(ctx, x: torch.Tensor) -> torch.Tensor:  # type: ignore[no-untyped-def, override]
        ctx.save_for_backward(x)
        return x.relu()

    @staticmethod
    def backward(ctx, grad: torch.Tensor) -> torch.Tensor:  # type: ignore[no-untyped-def, override]
        (x,) = ctx.saved_tensors
        return grad.relu() * (x > 0)


class _GuidedReLU(nn.Module):
    """The same as a layer."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return max(x, 0)."""
        return _Guided.apply(x)


def _guided(encoder: EpochEncoder, x: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """Return the guided gradient (M, T) of epochs (M, T)."""
    copy = deepcopy(encoder)
    for branch in (copy.fine, copy.coarse):
        branch.relu = _GuidedReLU()  # type: ignore[assignment]
    with torch.enable_grad():
        samples = x.detach().clone().requires_grad_()
        (slope,) = torch.autograd.grad(copy(samples), samples, gradient)
    return slope


# ------------------------------------------------------------------------------------ to be seen


def stretched(maps: np.ndarray, n_samples: int) -> np.ndarray:
    """Interpolate (..., S) linearly to (..., n_samples); first and last points stay."""
    at = np.linspace(0, maps.shape[-1] - 1, n_samples)
    left = np.minimum(at.astype(int), max(maps.shape[-1] - 2, 0))
    share = (at - left).astype(np.float32)
    right = np.minimum(left + 1, maps.shape[-1] - 1)
    return maps[..., left] * (1 - share) + maps[..., right] * share


def envelope(guided: np.ndarray) -> np.ndarray:
    """Return the smoothed magnitude of the analytic signal of guided maps (..., T)."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import hilbert

    magnitude = np.abs(hilbert(guided, axis=-1))
    return gaussian_filter1d(magnitude, ENVELOPE_SIGMA, axis=-1).astype(np.float32)


def scaled(maps: np.ndarray) -> np.ndarray:
    """Bring maps (N, C, T) to 0..1 over all derivations and samples of an epoch; flat ones to 0."""
    low = np.nanmin(maps, axis=(-2, -1), keepdims=True)
    span = np.nanmax(maps, axis=(-2, -1), keepdims=True) - low
    return np.divide(maps - low, span, out=np.zeros_like(maps), where=span > 0)
