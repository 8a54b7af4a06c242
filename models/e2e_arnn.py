"""E2E-ARNN: one epoch in, one stage out (Phan et al., EMBC 2018), a baseline of SeqSleepNet.

The epoch-wise half of SeqSleepNet with a GRU in place of its normalised LSTM: filterbanks, a
bidirectional recurrent layer over 29 frames, attention, softmax.

Input: view `seq3`, 100 Hz.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from models import Present, Signals, StagerOutput, register
from models.published import Adapter
from models.tensorflow_cells import GRU, BothWays
from models.time_frequency import (
    UNRELEASED,
    SpectralConfig,
    SpectralStager,
    spectral_sizes,
    tensorflow_linear,
)


@dataclass(frozen=True)
class Config(SpectralConfig):
    """Sizes of E2E-ARNN; the defaults are those of the article with EEG, EOG and EMG."""

    attention: int = 32


PRESETS = {"paper": Config()}


class AttentionalRNN(SpectralStager, ABC):
    """What E2E-ARNN and its multitask form share: everything before the softmax."""

    window = None  # any number of epochs
    # Samples are single epochs; the article trains 20 passes and evaluates every 500 steps
    training_plan = {**SpectralStager.training_plan, "n_passes": 20, "window": 1}

    def __init__(self, config: Config) -> None:
        n_inputs = config.n_filters * len(config.channels)
        forward, backward = (GRU(n_inputs, config.frame_hidden) for _ in range(2))
        super().__init__(config, BothWays(forward, backward, config.dropout))

    @property
    def n_features(self) -> int:
        """Features of an epoch."""
        return 2 * self.config.frame_hidden

    def forward(self, signals: Signals, present: Present) -> StagerOutput:
        """Return logits (B, L, 5) in the order W N1 N2 N3 R and features (B, L, 128).

        Raises
        ------
        ValueError
            If none of the channels is given.
        """
        return self.stage(self.vectors(signals, present))

    @abstractmethod
    def stage(self, vectors: torch.Tensor) -> StagerOutput:
        """Stage epochs from their vectors (B, L, 128)."""

    @torch.inference_mode()
    def night_proba(self, signals: Mapping, present: Mapping | None = None) -> torch.Tensor:
        """Stage a whole night.

        Parameters
        ----------
        signals : {channel: array or tensor (E, T)}
            As in `forward`.
        present : {channel: bool (E,)}, optional
            Where each channel was recorded; a channel that is not named is there throughout.

        Returns
        -------
        float32 tensor (E, 5)
            Hypnodensity.
        """
        vectors = self.night_vectors(signals, present)
        return self.stage(vectors[None]).logits[0].softmax(dim=-1)


@register("e2e-arnn")
class E2EARNN(AttentionalRNN):
    """Stager of single epochs, 79,013 parameters with three channels.

    Parameters
    ----------
    config : Config
        `PRESETS["paper"]` reads EEG, EOG and EMG.
    """

    published = Adapter(config=spectral_sizes, unreleased=UNRELEASED)

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.head = tensorflow_linear(self.n_features, config.n_classes)

    def stage(self, vectors: torch.Tensor) -> StagerOutput:
        """Stage epochs from their vectors (B, L, 128)."""
        return StagerOutput(self.head(vectors), vectors)
