"""Convolutions on raw epochs as TensorFlow computes them: DeepSleepNet's and TinySleepNet's.

"Same" padding in every layer, poolings included: a layer of stride s leaves ceil(T / s) steps, and
where an odd number of samples is missing the extra one stands on the right. SleepGPT's stagers of
the same names pool without padding, and are other models.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from models.tinysleepnet import ConvBlock, pad_as_same

RECENT = 10  # running statistics hold the last tenth of the steps


class DecayNorm(nn.BatchNorm1d):
    """Batch normalisation whose running statistics follow as slowly as published, but not at first.

    Parameters
    ----------
    width : int
        Number of features.
    decay : float
        Share of the running statistics that stays in each step.
    eps : float
        Added to the variance.
    frozen : bool
        Never look at the batch: a scale and an offset, as the published TinySleepNet has it by a
        switch that was not passed on.

    Notes
    -----
    With a decay of 0.999 the statistics of TensorFlow need thousands of steps to leave their
    beginning, and a network trained for less cannot be evaluated. Step n here counts at least
    10 / (n + 9), so that about the last tenth of the steps is averaged: the mean of all of them
    still holds what the filters gave when they had learned nothing (after 117 steps TinySleepNet
    stages simulated nights at kappa 0.16 with that, 0.68 with this). After 10,000 steps there is
    no difference.
    """

    def __init__(self, width: int, decay: float, eps: float, *, frozen: bool = False) -> None:
        super().__init__(width, eps=eps)
        self.least, self.frozen = 1 - decay, frozen

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C) or (N, C, T), normalised over all but C."""
        if self.frozen:
            statistics = self.running_mean, self.running_var, self.weight, self.bias
            return F.batch_norm(x, *statistics, training=False, eps=self.eps)
        if self.training and self.num_batches_tracked is not None:
            n_steps = int(self.num_batches_tracked) + 1
            self.momentum = max(self.least, RECENT / (n_steps + RECENT - 1))
        return super().forward(x)


class SamePool(nn.Module):
    """Maximum over pieces of `size` samples; incomplete pieces at both ends count."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, T) -> (N, C, ceil(T / size))."""
        padded = pad_as_same(x, self.size, self.size, value=-torch.inf)
        return F.max_pool1d(padded, self.size)


class Branch(nn.Sequential):
    """Four convolutions and two poolings: (N, C, T) -> (N, T', width), time before features."""

    def __init__(
        self,
        widths: tuple[int, int, int],
        kernels: tuple[int, int],
        stride: int,
        pools: tuple[int, int],
        *,
        norm: Callable[[int], nn.Module],
        dropout: float,
        bias: bool = False,
    ) -> None:
        n_inputs, first, width = widths
        block = partial(ConvBlock, norm=norm, bias=bias)
        super().__init__(
            block(n_inputs, first, kernels[0], stride),
            SamePool(pools[0]),
            nn.Dropout(dropout),
            block(first, width, kernels[1]),
            block(width, width, kernels[1]),
            block(width, width, kernels[1]),
            SamePool(pools[1]),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, T) -> (N, T', width)."""
        return super().forward(x).mT

    @property
    def kernels(self) -> list[torch.Tensor]:
        """Weights of the convolutions, the first of them first."""
        return [module.weight for module in self.modules() if isinstance(module, nn.Conv1d)]


def n_steps(samples: int, *strides: int) -> int:
    """Return the steps that layers of these strides leave of an epoch."""
    for stride in strides:
        samples = -(-samples // stride)
    return samples


class TwoScales(nn.Module):
    """DeepSleepNet's branches: small filters see when something happens, large ones at what rate.

    The steps of both stand one after the other; features are counted step by step.
    """

    def __init__(
        self,
        n_channels: int,
        *,
        norm: Callable[[int], nn.Module],
        dropout: float,
        bias: bool = False,
    ) -> None:
        super().__init__()
        branch = partial(Branch, (n_channels, 64, 128), norm=norm, dropout=dropout, bias=bias)
        self.small = branch((50, 8), 6, (8, 4))
        self.large = branch((400, 6), 50, (4, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, T) -> (N, F)."""
        return torch.cat([self.small(x), self.large(x)], dim=1).flatten(1)

    @staticmethod
    def n_features(samples: int) -> int:
        """Return the number of features of an epoch: 3072 of 3000 samples."""
        return 128 * (n_steps(samples, 6, 8, 4) + n_steps(samples, 50, 4, 2))
