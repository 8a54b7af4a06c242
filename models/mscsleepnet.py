"""MSCSleepNet: TinySleepNet's convolutions behind a layer that chooses its own filter length.

Three filter banks of 0.1, 0.2 and 0.5 s look at the same samples; a small network weighs them,
feature by feature, from what they gave on average (selective kernels, Li et al., CVPR 2019). From
SleepGPT's code (Yu et al. 2024).

Input: view `bb100`, microvolts at 100 Hz, no normalisation of any kind.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from models import Present, Signals, StagerOutput, register
from models.published import Adapter, StateDict
from models.tinysleepnet import (
    ConvBlock,
    OneChannelStager,
    pad_as_same,
    published_layout,
)

KERNELS, STRIDE, KERNEL = (10, 20, 50), 6, 8  # samples


@dataclass(frozen=True)
class Config:
    """Sizes of the stager, as published."""

    channel: str = "FpzCz"  # any one EEG derivation
    samples: int = 3000  # per epoch: 30 s at 100 Hz
    width: int = 128
    dropout: float = 0.5
    n_classes: int = 5

    @property
    def n_features(self) -> int:
        """Number of features of an epoch: channels times the steps that the poolings leave."""
        return self.width * (-(-self.samples // STRIDE) // 8 // 2)


PRESETS = {"paper": Config()}


class SelectiveConv(nn.Module):
    """Filter banks of several lengths, weighed against each other for every feature."""

    def __init__(self, width: int) -> None:
        super().__init__()
        squeezed = max(width // 16, 32)
        self.banks = nn.ModuleList(nn.Conv1d(1, width, kernel, STRIDE) for kernel in KERNELS)
        self.squeeze = nn.Linear(width, squeezed, bias=False)
        self.weigh = nn.ModuleList(nn.Linear(squeezed, width) for _ in KERNELS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, 1, T) -> (N, C, ceil(T / stride))."""
        padded = (pad_as_same(x, kernel, STRIDE) for kernel in KERNELS)
        seen = torch.stack([bank(p) for bank, p in zip(self.banks, padded, strict=True)])
        summary = self.squeeze(seen.sum(dim=0).mean(dim=-1))  # (N, squeezed)
        shares = torch.stack([weigh(summary) for weigh in self.weigh]).softmax(dim=0)
        return (seen * shares[..., None]).sum(dim=0)


class _Encoder(nn.Sequential):
    """Epochs (N, 1, T) -> features (N, 3968), channel by channel."""

    def __init__(self, config: Config) -> None:
        width = config.width
        super().__init__(
            SelectiveConv(width),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.MaxPool1d(8),
            nn.Dropout(config.dropout),
            ConvBlock(width, width, KERNEL),
            ConvBlock(width, width, KERNEL),
            ConvBlock(width, width, KERNEL),
            nn.MaxPool1d(2),
            nn.Dropout(config.dropout),
            nn.Flatten(),
        )


def _sizes(state_dict: StateDict) -> dict[str, int]:
    """Read width and classes; the length of an epoch is not among them."""
    width = len(state_dict["conv1.0.convs.0.0.weight"])
    return {"width": width, "n_classes": len(state_dict["classifier.weight"])}


@register("mscsleepnet")
class MSCSleepNet(OneChannelStager):
    """Stager that looks at one epoch at a time, 441,477 parameters."""

    published = Adapter(
        config=_sizes,
        renames=(
            (r"^conv1\.0\.convs\.(\d)\.0\.", r"encoder.0.banks.\1."),
            (r"^conv1\.0\.fc\.0\.", "encoder.0.squeeze."),
            (r"^conv1\.0\.fcs\.", "encoder.0.weigh."),
            (r"^conv1\.1\.", "encoder.1."),
            (r"^conv1\.(\d+)\.0\.", r"encoder.\1.conv."),
            (r"^conv1\.(\d+)\.1\.", r"encoder.\1.norm."),
            (r"^classifier\.", "head."),
        ),
        tensor=lambda name, tensor: (
            tensor.flatten(1) if name.endswith("squeeze.weight") else published_layout(name, tensor)
        ),
    )

    def __init__(self, config: Config) -> None:
        super().__init__(config, _Encoder(config))
        self.head = nn.Linear(config.n_features, config.n_classes)

    def forward(self, signals: Signals, present: Present) -> StagerOutput:
        """Return logits (B, L, 5) in the order W N1 N2 N3 R and features (B, L, 3968)."""
        features = self.encode(signals, present)
        return StagerOutput(self.head(features), features)
