"""Multitask E2E-ARNN: one epoch in, the stages of the previous, this and the next epoch out.

The epoch-wise network of `e2e_arnn` with three softmax layers; what three neighbours say of an
epoch is aggregated (Phan et al., TBME 2019: joint classification and prediction).

Input: view `seq3`, 100 Hz.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from models import StagerOutput, e2e_arnn, register
from models.aggregation import Rule, fused_logits
from models.e2e_arnn import AttentionalRNN
from models.layers import scored_cross_entropy
from models.published import Adapter
from models.time_frequency import UNRELEASED, spectral_sizes, tensorflow_linear

N_DECISIONS = 3  # on the previous, the current and the next epoch


@dataclass(frozen=True)
class Config(e2e_arnn.Config):
    """Sizes of the multitask network; the defaults are those of the article."""

    aggregation: Rule = "multiplicative"  # of what neighbouring epochs say of one


PRESETS = {"paper": Config()}


@register("multitask-arnn")
class MultitaskARNN(AttentionalRNN):
    """Stager of epochs by themselves and their neighbours, 80,303 parameters with three channels.

    Parameters
    ----------
    config : Config
        `PRESETS["paper"]` reads EEG, EOG and EMG.

    Notes
    -----
    The published network decides nothing at the first and last epoch of a night, whose neighbours
    it cannot be trained on; these epochs get the one decision of their neighbour. Here they have a
    say as well, for themselves and for their neighbour.

    The article trains on 32 epochs, each with the stages of its neighbours. In windows of 10 epochs
    8 have both, so that 4 windows hold as many.
    """

    published = Adapter(config=spectral_sizes, unreleased=UNRELEASED)
    training_plan = {**AttentionalRNN.training_plan, "window": 10, "batch_size": 4}

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        sizes = self.n_features, config.n_classes
        self.head = nn.ModuleList(tensorflow_linear(*sizes) for _ in range(N_DECISIONS))

    def decisions(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return logits (B, L, 3, 5): what each epoch says of the previous, itself and the next."""
        return torch.stack([head(vectors) for head in self.head], dim=-2)

    def stage(self, vectors: torch.Tensor) -> StagerOutput:
        """Stage consecutive epochs from their vectors (B, L, 128); neighbours outside say nothing.

        The logits are logarithms of the aggregated probabilities.
        """
        told = self.decisions(vectors)  # of epochs -1 .. L
        fused = fused_logits(told, self.config.aggregation)[..., 1:-1, :]
        return StagerOutput(fused, vectors)

    def stage_loss(
        self, output: StagerOutput, stages: torch.Tensor, weight: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the sum of three cross entropies, over the epochs that have both neighbours.

        Raises
        ------
        ValueError
            If no epoch has both its neighbours.
        """
        inner = stages.shape[1] - 2
        if inner < 1:
            raise ValueError(f"windows of {inner + 2} epochs: none has both neighbours, want 3")
        told = self.decisions(output.features[:, 1:-1])
        costs = [
            scored_cross_entropy(told[:, :, at], stages[:, at : at + inner], weight)
            for at in range(N_DECISIONS)
        ]
        return torch.stack(costs).sum()
