"""NeuroNet's frame encoder: three residual CNNs of different kernels side by side, then an MLP.

Lee et al., "NeuroNet", arXiv 2404.17585, section 3.1; with squeeze-and-excitation in the networks
of SynthSleepNet, without it and narrower in NeuroNet's own.
"""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

KERNELS = (3, 5, 7)
POOLS = (16, 11, 6)  # average pooling at the end of each branch
STRIDES = (1, 1, 2, 2)  # of the four blocks of a branch
STEM_KERNEL = 7


class PlaceNorm(nn.BatchNorm2d):
    """Batch norm whose statistics are taken over all, or apart for each of `n_places` places.

    The published code runs its network once for every place, so in training each place has
    statistics of its own, and the running ones move once per place. Here all places pass at once.
    """

    def __init__(self, width: int, n_places: int = 1) -> None:
        super().__init__(width)
        self.n_places = n_places

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise (B * n_places, C, 1, T), the places of a sample in a row."""
        if not self.training or self.n_places == 1:
            return super().forward(x)
        placed = x.unflatten(0, (-1, self.n_places))  # (B, F, C, 1, T)
        variance, mean = torch.var_mean(placed, dim=(0, 3, 4), correction=0, keepdim=True)
        count = placed.numel() // (self.n_places * self.num_features)
        self._follow(mean.flatten(1, 4), variance.flatten(1, 4) * (count / max(1, count - 1)))
        scale = torch.rsqrt(variance + self.eps) * self.weight[:, None, None]
        shift = self.bias[:, None, None] - mean * scale
        return torch.addcmul(shift, placed, scale).flatten(0, 1)

    @torch.no_grad()
    def _follow(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Move the running statistics by those of each place (1, F C), one update after another."""
        assert self.momentum is not None
        late = torch.arange(self.n_places - 1, -1, -1, device=mean.device)
        share = self.momentum * (1 - self.momentum) ** late.float()  # (F,)
        for running, new in ((self.running_mean, mean), (self.running_var, variance)):
            assert running is not None
            running.mul_((1 - self.momentum) ** self.n_places)
            running.add_(share @ new.view(self.n_places, -1))
        self.num_batches_tracked.add_(self.n_places)  # type: ignore[union-attr]


class Conv(nn.Module):
    """Convolution over time without bias, then batch norm.

    Runs as a convolution of images one sample high with the channels last: on a CPU faster by
    10 to 25 percent than over (N, C, T).
    """

    def __init__(
        self, before: int, after: int, kernel: int, stride: int, padding: int, n_places: int
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(before, after, kernel, stride, padding, bias=False)
        self.norm: nn.Module = PlaceNorm(after, n_places)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, 1, T) -> (N, C', 1, T')."""
        weight = self.conv.weight[:, :, None].contiguous(memory_format=torch.channels_last)
        stride, padding = (1, *self.conv.stride), (0, int(self.conv.padding[0]))
        return self.norm(F.conv2d(x, weight, self.conv.bias, stride, padding))

    def fold(self) -> None:
        """Put the norm into the convolution, for inference."""
        self.conv, self.norm = fuse_conv_bn_eval(self.conv, self.norm), nn.Identity()  # type: ignore[type-var, arg-type]


class Excite(nn.Module):
    """Squeeze-and-excitation (Hu et al., CVPR 2018): weigh channels by their mean over time."""

    def __init__(self, width: int, squeeze: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, width // squeeze, bias=False)
        self.up = nn.Linear(width // squeeze, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the weights (N, C, 1, 1) for x (N, C, 1, T)."""
        weights = self.up(F.relu(self.down(x.mean(dim=(2, 3))))).sigmoid()
        return weights[..., None, None]


class Block(nn.Module):
    """Residual block. Padding is 1 whatever the kernel is, so wide ones lose samples at the end."""

    def __init__(
        self, before: int, after: int, kernel: int, stride: int, squeeze: int, n_places: int
    ) -> None:
        super().__init__()
        self.conv_1 = Conv(before, after, kernel, stride, 1, n_places)
        self.conv_2 = Conv(after, after, kernel, 1, 1, n_places)
        self.excite = Excite(after, squeeze) if squeeze else None
        changes = stride > 1 or before != after
        self.shortcut = Conv(before, after, 1, stride, 0, n_places) if changes else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, 1, T) -> (N, C', 1, T')."""
        y = self.conv_2(F.elu(self.conv_1(x), inplace=True))
        x = (x if self.shortcut is None else self.shortcut(x))[..., : y.shape[-1]]
        y = x + y if self.excite is None else torch.addcmul(x, y, self.excite(y))
        return F.elu(y, inplace=True)


class Trunk(nn.Module):
    """Frames (N, samples) -> (N, C, T): the branches one after the other along time."""

    def __init__(self, widths: tuple[int, ...], squeeze: int, n_places: int) -> None:
        super().__init__()
        self.stem = Conv(1, widths[0], STEM_KERNEL, 2, STEM_KERNEL // 2, n_places)
        self.branches = nn.ModuleList(
            nn.Sequential(
                *(
                    Block(before, after, kernel, stride, squeeze, n_places)
                    for (before, after), stride in zip(pairwise(widths), STRIDES, strict=True)
                )
            )
            for kernel in KERNELS
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Encode frames."""
        x = x[:, None, None].contiguous(memory_format=torch.channels_last)
        x = F.elu(self.stem(x), inplace=True)
        x = F.max_pool2d(x, (1, 3), (1, 2), padding=(0, 1))
        ends = [
            F.avg_pool2d(branch(x), (1, pool), 1)
            for branch, pool in zip(self.branches, POOLS, strict=True)
        ]
        return torch.cat(ends, dim=-1).squeeze(2)

    def folded(self) -> Trunk:
        """Return a copy for inference whose norms are folded into the convolutions."""
        copy = deepcopy(self).eval()
        for module in list(copy.modules()):
            if isinstance(module, Conv):
                module.fold()
        return copy


class FrameEncoder(nn.Module):
    """Frames (B, F, samples) -> features (B, F, P).

    Parameters
    ----------
    samples : int
        Per frame.
    widths : tuple of int
        Channels of the stem and of the four blocks of every branch.
    squeeze : int
        By how much squeeze-and-excitation narrows; 0 = none.
    n_places : int
        Frames with batch statistics of their own; 1 = statistics over all frames.

    Raises
    ------
    ValueError
        If frames are too short for the poolings.
    """

    def __init__(
        self, samples: int, widths: tuple[int, ...], squeeze: int, n_places: int = 1
    ) -> None:
        super().__init__()
        self.trunk = Trunk(widths, squeeze, n_places)
        flat = widths[-1] * sum(branch_lengths(samples))
        self.width = flat // 2
        self.mlp = nn.Sequential(
            nn.Linear(flat, self.width), nn.ELU(), nn.Linear(self.width, self.width)
        )

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Encode all frames of all samples at once."""
        return self.mlp(self.convolved(frames))

    def convolved(self, frames: torch.Tensor) -> torch.Tensor:
        """Return what the MLP reads, (B, F, C T).

        Without gradients to keep, a trunk in evaluation mode is folded and takes a few frames at a
        time, so that what it computes stays in the cache.
        """
        flat = frames.flatten(0, 1)
        learns = any(p.requires_grad for p in self.trunk.parameters()) or frames.requires_grad
        if self.trunk.training or (torch.is_grad_enabled() and learns):
            x = self.trunk(flat)
        else:
            with torch.no_grad():
                folded = self.trunk.folded()
                x = torch.cat([folded(part) for part in flat.split(_at_once(flat.device))])
        return x.flatten(1).unflatten(0, frames.shape[:2])


def _at_once(device: torch.device) -> int:
    """Return how many frames to encode together in inference."""
    return 32 if device.type == "cpu" else 8192


def branch_lengths(samples: int) -> list[int]:
    """Return the steps that each branch leaves of a frame.

    Raises
    ------
    ValueError
        If a pooling is longer than what it pools.
    """
    stem = (samples + 2 * (STEM_KERNEL // 2) - STEM_KERNEL) // 2 + 1
    stem = (stem + 2 - 3) // 2 + 1
    lengths = []
    for kernel, pool in zip(KERNELS, POOLS, strict=True):
        steps = stem
        for stride in STRIDES:
            steps = (steps + 2 - kernel) // stride + 1
            steps += 2 - kernel + 1
        if steps < pool:
            raise ValueError(f"frames of {samples} samples are too short: 3 s at 100 Hz will do")
        lengths.append(steps - pool + 1)
    return lengths
