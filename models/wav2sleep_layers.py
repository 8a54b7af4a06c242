"""Convolutions of wav2sleep and SleepPPG-Net over masked time: layers, norms, blocks.

All take (N, C, T) and `recorded`, a float (N, 1, S) that is 0 for epochs nobody recorded, or None
where every epoch was; T is a multiple of S. What was not recorded is zero between any two layers,
as the space beyond the ends of a night is, and takes no part in statistics over time. So a night
with empty epochs behind it gives what it gives without them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

Activation = Literal["relu", "leaky", "gelu", "silu", "linear"]
Norm = Literal["batch", "layer", "rms", "instance", "group", "weight", "none"]
Release = Literal["current", "paper"]

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": F.relu,
    "leaky": F.leaky_relu,  # slope 0.01
    "gelu": F.gelu,  # the exact one, with erf
    "silu": F.silu,
    "linear": lambda x: x,
}
# Samples per epoch. A heart rate alone is no signal of the published networks.
SAMPLES = {
    **{"ECG": 1024, "PPG": 1024, "ABD": 256, "THX": 256, "E1": 4096, "E2": 4096},
    "HR": 128,
}
STEPS = 4  # that an encoder leaves of an epoch
# Channels of the encoder's blocks in the paper release: its large and its small size.
PAPER_WIDTHS = {
    ("large", 1024): (16, 16, 32, 32, 64, 64, 128, 128),
    ("large", 256): (16, 32, 64, 64, 128, 128),
    ("small", 1024): (16, 16, 32, 32, 32, 32, 32, 32),
    ("small", 256): (16, 16, 32, 32, 32, 32),
}
TIMELESS = ("batch", "layer", "rms", "weight", "none")  # norms that do not look at other times
N_GROUPS = 8  # of group normalisation


def spread(recorded: torch.Tensor, n_samples: int) -> torch.Tensor:
    """Repeat (N, 1, S) to `n_samples` samples: (N, 1, T)."""
    return recorded.repeat_interleave(n_samples // recorded.shape[-1], dim=-1)


class InstanceNorm(nn.Module):
    """Mean 0 and variance 1 over the recorded time, for each row and group of channels.

    Parameters
    ----------
    eps : float
        Added to the (biased) variance.
    n_groups : int, optional
        Channels that share their statistics; default: each has its own.
    """

    def __init__(self, eps: float, n_groups: int | None = None) -> None:
        super().__init__()
        self.eps, self.n_groups = eps, n_groups

    def forward(self, x: torch.Tensor, recorded: torch.Tensor | None) -> torch.Tensor:
        """Normalise (N, C, T)."""
        n_groups = self.n_groups or x.shape[1]
        if recorded is None:
            return F.group_norm(x, n_groups, eps=self.eps)
        grouped = x.unflatten(1, (n_groups, -1))  # (N, G, C / G, T)
        there = spread(recorded, x.shape[-1])[:, None]  # (N, 1, 1, T)
        count = there.sum(dim=-1, keepdim=True) * grouped.shape[2]
        mean = (grouped * there).sum(dim=(2, 3), keepdim=True) / count
        around = (grouped - mean) * there
        variance = around.square().sum(dim=(2, 3), keepdim=True) / count
        return (around * torch.rsqrt(variance + self.eps)).flatten(1, 2)


class GroupNorm(nn.Module):
    """Group normalisation with a scale and an offset for each channel."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        n_groups = min(N_GROUPS, width)
        if width % n_groups:
            raise ValueError(f"{width} channels cannot be split into {n_groups} groups")
        self.norm = nn.GroupNorm(n_groups, width, eps=eps)

    def forward(self, x: torch.Tensor, recorded: torch.Tensor | None) -> torch.Tensor:
        """Normalise (N, C, T)."""
        if recorded is None:
            return self.norm(x)
        normed = InstanceNorm(self.norm.eps, self.norm.num_groups)(x, recorded)
        return normed * self.norm.weight[:, None] + self.norm.bias[:, None]


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of each time step."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(1, width, 1))
        self.bias = nn.Parameter(torch.zeros(1, width, 1))

    def forward(self, x: torch.Tensor, recorded: torch.Tensor | None) -> torch.Tensor:
        """Normalise (N, C, T)."""
        weight, bias = self.weight.flatten(), self.bias.flatten()
        return F.layer_norm(x.mT, weight.shape, weight, bias, self.eps).mT


class PaperChannelNorm(nn.Module):
    """The same in the paper release, whose tensors have other names and shapes."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=eps)

    def forward(self, x: torch.Tensor, recorded: torch.Tensor | None) -> torch.Tensor:
        """Normalise (N, C, T)."""
        return self.norm(x.mT).mT


class RootMeanSquareNorm(nn.Module):
    """Division by the root mean square over the channels of each time step."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(1, width, 1))

    def forward(self, x: torch.Tensor, recorded: torch.Tensor | None) -> torch.Tensor:
        """Normalise (N, C, T)."""
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + self.eps) * self.weight


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation; in training, what was not recorded counts as zeros."""

    def forward(self, x: torch.Tensor, recorded: torch.Tensor | None = None) -> torch.Tensor:
        """Normalise (N, C, T)."""
        return super().forward(x)


def make_norm(norm: Norm, width: int, release: Release, instance_eps: float) -> nn.Module | None:
    """Build the norm of a layer; None for those that are no layer of their own."""
    eps = 1e-5
    if norm == "instance":
        return InstanceNorm(instance_eps)
    if norm == "layer":
        kind = ChannelNorm if release == "current" else PaperChannelNorm
        return kind(width, eps)
    kinds = {"group": GroupNorm, "rms": RootMeanSquareNorm, "batch": BatchNorm}
    return kinds[norm](width, eps) if norm in kinds else None


class ConvLayer(nn.Module):
    """Convolution, norm, activation, dropout.

    Parameters
    ----------
    n_in, n_out, kernel, stride, dilation : int
    norm : str
        One of `Norm`.
    activation : str
        One of `ACTIVATIONS`.
    release : {"current", "paper"}
        Decides the names of the norm's tensors.
    instance_eps : float
        Added to the variance by an instance norm.
    causal : bool
        All of the padding stands before the signal.
    dropout : float
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        norm: Norm = "layer",
        activation: Activation = "gelu",
        release: Release = "current",
        instance_eps: float = 1e-5,
        causal: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.reach, self.causal = (kernel - 1) * dilation, causal
        padding = 0 if causal else self.reach // 2
        conv = nn.Conv1d(n_in, n_out, kernel, stride, padding, dilation, bias=norm == "none")
        self.conv = weight_norm(conv) if norm == "weight" else conv
        self.norm = make_norm(norm, n_out, release, instance_eps)
        self.activation = ACTIVATIONS[activation]
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, recorded: torch.Tensor | None = None) -> torch.Tensor:
        """(N, n_in, T) -> (N, n_out, T / stride)."""
        return self.convolved(F.pad(x, (self.reach, 0)) if self.causal else x, recorded)

    def convolved(self, x: torch.Tensor, recorded: torch.Tensor | None) -> torch.Tensor:
        """Do the same with what a causal layer looks back to already in front of `x`."""
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x, recorded)
        x = self.dropout(self.activation(x))
        return x if recorded is None else x * spread(recorded, x.shape[-1])


class HalvingBlock(nn.Module):
    """Three convolutions and a shortcut; half as many samples come out.

    The last convolution has stride 2 (`pool="stride"`), or all have stride 1 and the larger of two
    neighbours is kept (`pool="max"`, as in the articles).
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        pool: Literal["stride", "max"],
        residual: bool = True,
        activation: Activation,
        causal: bool = False,
        **layer: object,
    ) -> None:
        super().__init__()
        shared = {"activation": activation, "causal": causal, **layer}
        self.conv1 = ConvLayer(n_in, n_out, **shared)  # type: ignore[arg-type]
        self.conv2 = ConvLayer(n_out, n_out, **shared)  # type: ignore[arg-type]
        stride = 2 if pool == "stride" else 1
        self.conv3 = ConvLayer(n_out, n_out, stride=stride, **shared)  # type: ignore[arg-type]
        self.pool = pool
        self.downsample = nn.Conv1d(n_in, n_out, 1, 2, bias=False) if residual else None
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: torch.Tensor, recorded: torch.Tensor | None = None) -> torch.Tensor:
        """(N, n_in, T) -> (N, n_out, T / 2)."""
        y = self.conv3(self.conv2(self.conv1(x, recorded), recorded), recorded)
        if self.pool == "max":
            y = F.max_pool1d(y, 2)
        if self.downsample is not None:
            y = y + self.downsample(x)
        return self.activation(y)


class DilatedBlock(nn.Module):
    """Convolutions over the epochs of a night, dilation 1, 2, 4, ..., and a shortcut."""

    def __init__(
        self,
        width: int,
        *,
        kernel: int,
        n_dilations: int,
        dropout: float,
        activation: Activation,
        **layer: object,
    ) -> None:
        super().__init__()
        self.conv_layers = nn.ModuleList(
            ConvLayer(width, width, kernel, dilation=2**i, activation=activation, **layer)  # type: ignore[arg-type]
            for i in range(n_dilations)
        )
        self.dropout = nn.Dropout(dropout)
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: torch.Tensor, recorded: torch.Tensor | None = None) -> torch.Tensor:
        """(N, C, S) -> the same shape."""
        y = x
        for layer in self.conv_layers:
            y = layer(y, recorded)
        return self.activation(self.dropout(y) + x)
