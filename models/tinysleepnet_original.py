"""TinySleepNet: one EEG derivation, one branch, one recurrent layer (Supratak and Guo, EMBC 2020).

Input: view `bb100`, microvolts at 100 Hz, no normalisation of any kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from models import Present, Signals, StagerOutput, register
from models.layers import PenalisedLoss, half_squares
from models.raw_branches import Branch, DecayNorm, n_steps
from models.tensorflow_cells import PeepholeLSTM
from models.tinysleepnet import OneChannelStager


@dataclass(frozen=True)
class Config:
    """Sizes of TinySleepNet, as published."""

    channel: str = "FpzCz"  # any one EEG derivation
    samples: int = 3000  # per epoch: 30 s at 100 Hz
    width: int = 128  # of the convolutions
    hidden: int = 128
    dropout: float = 0.5
    frozen_bn: bool = False  # batch normalisation that never looks at a batch, as published
    n1_weight: float = 1.5  # of N1 in the loss, the other stages 1
    kernel_l2: float = 1e-3  # of half the squares of the convolutions
    n_classes: int = 5

    @property
    def n_features(self) -> int:
        """Features of an epoch."""
        return self.width * n_steps(self.samples, 6, 8, 4)


PRESETS = {"paper": Config(), "as-published": Config(frozen_bn=True)}


@register("tinysleepnet")
class TinySleepNet(PenalisedLoss, OneChannelStager):
    """Stager of an epoch from all epochs before it.

    Parameters
    ----------
    config : Config
        `PRESETS["paper"]` is the published size; `as-published` also has the published batch
        normalisation, which by a mistake stays a mere scale and offset.

    Notes
    -----
    The state is carried along the whole night when it is staged. In training every window begins
    with zeros, where the published code goes on from the window before.
    """

    training_plan: ClassVar[Mapping[str, Any]] = {
        **{"optimizer": "adam", "lr": 1e-4, "betas": (0.9, 0.999), "eps": 1e-8},
        **{"schedule": "constant", "warmup": 0.0, "weight_decay": 0.0, "clip": 5.0},
        **{"batch_size": 15, "n_passes": 200, "patience": 50, "window": 20},
    }

    def __init__(self, config: Config) -> None:
        # Decay and epsilon are TensorFlow's defaults
        norm = partial(DecayNorm, decay=0.99, eps=1e-3, frozen=config.frozen_bn)
        widths = 1, config.width, config.width
        branch = Branch(widths, (50, 8), 6, (8, 4), norm=norm, dropout=config.dropout)
        drop = nn.Dropout(config.dropout)
        super().__init__(config, nn.Sequential(branch, nn.Flatten(), drop))
        self.kernels = branch.kernels
        self.config: Config = config
        self.rnn = PeepholeLSTM(config.n_features, config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden, config.n_classes)

    def forward(self, signals: Signals, present: Present) -> StagerOutput:
        """Return logits (B, L, 5) in the order W N1 N2 N3 R and features (B, L, hidden)."""
        features = self.rnn(self.encode(signals, present))
        return StagerOutput(self.head(self.dropout(features)), features)

    def stage_loss(
        self, output: StagerOutput, stages: torch.Tensor, weight: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the cross entropy with N1 counting more, unless `weight` (K,) says what counts."""
        if weight is None:
            weight = output.logits.new_ones(self.config.n_classes)
            weight[1] = self.config.n1_weight
        flat, target = output.logits.flatten(0, 1), stages.flatten()
        summed = F.cross_entropy(flat, target, weight, ignore_index=-1, reduction="sum")
        return summed / (target >= 0).sum().clamp(min=1)  # a mean over epochs, not over weights

    def penalty(self) -> torch.Tensor:
        """Return the weighted half squares of the convolutions."""
        return self.config.kernel_l2 * half_squares(self.kernels)
