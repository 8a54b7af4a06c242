"""Overlapping decisions on an epoch become one (Phan et al., TBME 2019, section III.D).

Window p of a night says something of the epochs p .. p+L-1, so that up to L windows say something
of each epoch. Their probabilities are multiplied (added as logarithms, so that nothing underflows)
or added; a window that does not reach an epoch says nothing. The same serves a network that tells
previous, current and next epoch: L = 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch

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
