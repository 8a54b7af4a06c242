"""Overlapping decisions on an epoch become one (Phan et al., TBME 2019, section III.D).

Window p of a night says something of the epochs p .. p+L-1, so that up to L windows say something
of each epoch. Their probabilities are multiplied (added as logarithms, so that nothing underflows)
or added; a window that does not reach an epoch says nothing. The same serves a network that tells
previous, current and next epoch: L = 3.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import nn

from models import Present, Signals, StagerOutput

Rule = Literal["multiplicative", "additive"]
CHUNK = 64  # windows staged at once


def votes(logits: torch.Tensor, rule: Rule = "multiplicative") -> torch.Tensor:
    """Sum what all windows of a night say of each epoch.

    Parameters
    ----------
    logits : tensor (..., W, L, K)
        Of window p = 0..W-1 at position k = 0..L-1, that is of epoch p + k; all of one night.
    rule : str
        `multiplicative` sums logarithms of probabilities, `additive` the probabilities.

    Returns
    -------
    tensor (..., W + L - 1, K)
        The published decision is the largest of an epoch.

    Raises
    ------
    ValueError
        If the rule is neither.
    """
    if rule not in ("multiplicative", "additive"):
        raise ValueError(f"aggregation is multiplicative or additive, found {rule!r}")
    told = logits.log_softmax(dim=-1) if rule == "multiplicative" else logits.softmax(dim=-1)
    *_, n_windows, length, n_classes = told.shape
    epochs = torch.arange(n_windows, device=told.device)[:, None]
    epochs = (epochs + torch.arange(length, device=told.device)).flatten()
    sums = told.new_zeros(*told.shape[:-3], n_windows + length - 1, n_classes)
    return sums.index_add(-2, epochs, told.flatten(-3, -2))


def fused_logits(logits: torch.Tensor, rule: Rule = "multiplicative") -> torch.Tensor:
    """Return logarithms of what all windows say of each epoch, on average.

    Parameters
    ----------
    logits, rule
        As in `votes`.

    Returns
    -------
    tensor (..., W + L - 1, K)
        Their softmax is the hypnodensity: the geometric mean over the windows, scaled to sum 1, or
        the arithmetic mean. The most probable stage is that of `votes`.
    """
    n_windows, length = logits.shape[-3:-1]
    summed = votes(logits, rule)
    epoch = torch.arange(n_windows + length - 1, device=logits.device)
    most = min(length, n_windows)
    heard = torch.minimum(epoch + 1, epoch.flip(0) + 1).clamp(max=most)
    mean = summed / heard[:, None]
    return mean if rule == "multiplicative" else mean.clamp(min=1e-30).log()


def stage_windows(
    vectors: torch.Tensor,
    nothing: torch.Tensor,
    window: int,
    stage: Callable[[torch.Tensor], torch.Tensor],
    rule: Rule,
) -> torch.Tensor:
    """Stage a night from the vectors of its epochs by all windows there are.

    Parameters
    ----------
    vectors : tensor (E, D)
        Of each epoch of the night.
    nothing : tensor (D,)
        Of an epoch nobody recorded; a night shorter than a window is filled up with it.
    window : int
        Epochs L of a window.
    stage : callable
        Vectors of windows (W, L, D) -> logits (W, L, K).
    rule : str
        As in `votes`.

    Returns
    -------
    tensor (E, K)
        Hypnodensity.
    """
    n_epochs = len(vectors)
    missing = max(0, window - n_epochs)
    windows = torch.cat([vectors, nothing.expand(missing, -1)]).unfold(0, window, 1).mT
    logits = torch.cat([stage(part) for part in windows.split(CHUNK)])
    return fused_logits(logits, rule).softmax(dim=-1)[:n_epochs]


class WindowStager(ABC, nn.Module):
    """Stager of all epochs of a window at once, each of which becomes a vector by itself first.

    In a whole night every epoch is encoded once, and staged in all windows that hold it.
    """

    config: Any  # `window` (epochs) and `aggregation` (a `Rule`)

    @property
    @abstractmethod
    def channels(self) -> dict[str, int]:
        """Channels it reads, with samples per epoch."""

    @property
    def window(self) -> int:
        """Epochs it takes at once."""
        return self.config.window

    @abstractmethod
    def vectors(self, signals: Signals, present: Present) -> torch.Tensor:
        """Encode each epoch: vectors (B, L, F); inputs are those of `forward`."""

    @abstractmethod
    def night_vectors(self, signals: Mapping, present: Mapping | None) -> torch.Tensor:
        """Encode each epoch of a night once: vectors (E, F); inputs are those of `night_proba`."""

    @abstractmethod
    def stage(self, vectors: torch.Tensor) -> StagerOutput:
        """Stage the epochs of windows from their vectors (B, L, F)."""

    def forward(self, signals: Signals, present: Present) -> StagerOutput:
        """Return logits (B, L, 5) in the order W N1 N2 N3 R and features (B, L, D).

        Raises
        ------
        ValueError
            If none of the channels is given, or L differs from the window of the weights.
        """
        vectors = self.vectors(signals, present)
        if vectors.shape[1] != self.window:
            raise ValueError(f"windows of {vectors.shape[1]} epochs, want {self.window}")
        return self.stage(vectors)

    @torch.inference_mode()
    def night_proba(self, signals: Mapping, present: Mapping | None = None) -> torch.Tensor:
        """Stage a whole night: the product (or sum) of the probabilities of all windows.

        Parameters
        ----------
        signals : {channel: array or tensor (E, T)}
            As in `forward`; a night shorter than a window is padded with epochs nobody recorded.
        present : {channel: bool (E,)}, optional
            Where each channel was recorded; a channel that is not named is there throughout.

        Returns
        -------
        float32 tensor (E, 5)
            Hypnodensity: the geometric mean over windows, of the same stage as the published
            product, scaled to sum 1; or the mean, if `aggregation` is additive.
        """
        name, samples = next(iter(self.channels.items()))
        nothing = self.night_vectors({name: torch.zeros(1, samples)}, {name: [False]})[0]
        vectors, rule = self.night_vectors(signals, present), self.config.aggregation
        return stage_windows(
            vectors, nothing, self.window, lambda windows: self.stage(windows).logits, rule
        )
