"""The convolutional part of DeepSleepNet as SleepGPT uses it: one EEG derivation, two branches.

Small filters see when something happens, large ones at what frequency. The original network
(Supratak et al., TNSRE 2017) adds a recurrent part and is another model, in `deepsleepnet`.

Input: view `bb100`, microvolts at 100 Hz, no normalisation of any kind.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from models import Present, Signals, StagerOutput, register
from models.published import Adapter, StateDict
from models.tinysleepnet import ConvBlock, OneChannelStager, published_layout


@dataclass(frozen=True)
class Config:
    """Sizes of the stager, as published."""

    channel: str = "FpzCz"  # any one EEG derivation
    samples: int = 3000  # per epoch: 30 s at 100 Hz
    dropout: float = 0.5
    n_classes: int = 5

    @property
    def n_features(self) -> int:
        """Number of features of an epoch: 128 channels times the steps that each branch leaves."""
        small, large = -(-self.samples // 6) // 8 // 4, -(-self.samples // 50) // 4 // 2
        return 128 * (small + large)


PRESETS = {"paper": Config()}


class _Branch(nn.Sequential):
    """Epochs (N, 1, T) -> features (N, 128 * steps), channel by channel."""

    def __init__(
        self, kernels: tuple[int, int], stride: int, pools: tuple[int, int], dropout: float
    ) -> None:
        super().__init__(
            ConvBlock(1, 64, kernels[0], stride),
            nn.MaxPool1d(pools[0]),
            nn.Dropout(dropout),
            ConvBlock(64, 128, kernels[1]),
            ConvBlock(128, 128, kernels[1]),
            ConvBlock(128, 128, kernels[1]),
            nn.MaxPool1d(pools[1]),
            nn.Flatten(),
        )


class _TwoBranches(nn.Module):
    """Features of both branches side by side."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.small = _Branch((50, 8), 6, (8, 4), dropout)
        self.large = _Branch((400, 6), 50, (4, 2), dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 1, T) -> (N, F)."""
        return torch.cat([self.small(x), self.large(x)], dim=1)


def _sizes(state_dict: StateDict) -> dict[str, int]:
    """Read the number of classes; all else is fixed but the length of an epoch."""
    return {"n_classes": len(state_dict["classifier.weight"])}


@register("deepsleepnet-cnn")
class DeepSleepNetCNN(OneChannelStager):
    """Stager that looks at one epoch at a time, 618,117 parameters."""

    published = Adapter(
        config=_sizes,
        renames=(
            (r"^conv1\.(\d+)\.0\.", r"encoder.small.\1.conv."),
            (r"^conv1\.(\d+)\.1\.", r"encoder.small.\1.norm."),
            (r"^conv2\.(\d+)\.0\.", r"encoder.large.\1.conv."),
            (r"^conv2\.(\d+)\.1\.", r"encoder.large.\1.norm."),
            (r"^classifier\.", "head."),
        ),
        tensor=published_layout,
    )

    def __init__(self, config: Config) -> None:
        super().__init__(config, _TwoBranches(config.dropout))
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.n_features, config.n_classes)

    def forward(self, signals: Signals, present: Present) -> StagerOutput:
        """Return logits (B, L, 5) in the order W N1 N2 N3 R and features (B, L, 2816)."""
        features = self.encode(signals, present)
        return StagerOutput(self.head(self.dropout(features)), features)
