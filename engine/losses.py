"""Losses that PyTorch does not have."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def focal_loss(
    logits: torch.Tensor, targets: torch.Tensor, *, alpha: float = 2.0, gamma: float = 2.0
) -> torch.Tensor:
    """Return the mean of alpha (1 - p)^gamma * cross-entropy, p the probability of the target.

    What is already right counts little (Lin et al., ICCV 2017). `alpha` is a plain factor: classes
    are not weighted. 2 and 2 are the values SleepGPT's diagnosis was trained with.

    Parameters
    ----------
    logits : float tensor (N, K)
    targets : int64 tensor (N,)
    """
    entropy = F.cross_entropy(logits, targets, reduction="none")
    return (alpha * (1 - (-entropy).exp()) ** gamma * entropy).mean()
