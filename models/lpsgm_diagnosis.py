"""LPSGM as a diagnosis network: a head for the disorder beside one for the stages.

The published code has two forms: a linear layer on the mean of the window's features, and one on
each of its 20 epochs, whose logits are averaged. A linear layer of a mean is the mean of the linear
layers, so in use both are this one network; they differ in the loss they are trained with. The head
for the stages is what the paper's joint training needs, and what that code does not have.

Deng et al., medRxiv 2024.12.11.24318815, section on disorders.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from models import Present, Signals, register
from models.lpsgm import Backbone
from models.lpsgm import Config as BackboneConfig


@dataclass(frozen=True)
class Config(BackboneConfig):
    """Sizes of the backbone, the number of disorders and of stages told."""

    n_classes: int = 2
    n_stages: int = 5


PRESETS = {"paper": Config(), "small": Config(n_blocks=1)}


@dataclass
class WindowClasses:
    """What is told of windows.

    Parameters
    ----------
    logits : tensor (B, K)
        Of the disorder: the mean over the epochs.
    epoch_logits : tensor (B, L, K)
        Of the disorder, told from each epoch by itself.
    stage_logits : tensor (B, L, 5)
    """

    logits: torch.Tensor
    epoch_logits: torch.Tensor
    stage_logits: torch.Tensor


@register("lpsgm-diagnosis")
class LPSGMDiagnosis(Backbone):
    """Disorder and stages of a window from LPSGM's features."""

    fresh = ("head",)  # begins from nothing behind a trained backbone

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.stage_head = nn.Linear(config.width, config.n_stages)

    def forward(self, signals: Signals, present: Present) -> WindowClasses:
        """Return what is told of windows of 20 epochs; input as of `models.lpsgm.LPSGM`."""
        return self.heads(self.features(signals, present))

    def heads(self, features: torch.Tensor) -> WindowClasses:
        """Return what is told from the backbone's features (B, L, D)."""
        told = self.head(features)
        return WindowClasses(told.mean(dim=1), told, self.stage_head(features))
