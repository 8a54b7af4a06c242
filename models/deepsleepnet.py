"""DeepSleepNet: one EEG derivation, trained in two steps (Supratak et al., TNSRE 2017).

Two branches of convolutions learn to represent epochs, on as many epochs of every stage; then two
bidirectional recurrent layers beside a shortcut learn the sequence, while the branches move at a
hundredth of the rate.

    python main_train.py --model deepsleepnet --preset representation --out runs/represent ...
    python main_train.py --model deepsleepnet --init runs/represent/best.safetensors ...

Input: view `bb100`, microvolts at 100 Hz, no normalisation of any kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from models import Present, Signals, StagerOutput, register
from models.layers import PenalisedLoss, half_squares
from models.published import StateDict
from models.raw_branches import DecayNorm, TwoScales
from models.tensorflow_cells import BothWays, PeepholeLSTM
from models.tinysleepnet import OneChannelStager

_norm = partial(DecayNorm, decay=0.999, eps=1e-5)


@dataclass(frozen=True)
class Config:
    """Sizes of DeepSleepNet, as published."""

    channel: str = "FpzCz"  # any one EEG derivation
    samples: int = 3000  # per epoch: 30 s at 100 Hz
    sequence: bool = True  # with the recurrent part; without it, the first step of the training
    hidden: int = 512  # per direction and recurrent layer
    dropout: float = 0.5
    first_kernel_l2: float = 1e-3  # of half the squares of the first small filters
    n_classes: int = 5

    @property
    def n_features(self) -> int:
        """Features of an epoch, both branches."""
        return TwoScales.n_features(self.samples)


PRESETS = {"paper": Config(), "representation": Config(sequence=False)}

_PLAN: dict[str, Any] = {
    **{"optimizer": "adam", "betas": (0.9, 0.999), "eps": 1e-8},
    **{"schedule": "constant", "warmup": 0.0, "weight_decay": 0.0},
}
# The published first step repeats epochs until all stages are as frequent as the most frequent one;
# weights in the loss that make up for it have the same gradient on average.
_REPRESENTATION: dict[str, Any] = {
    **{"lr": 1e-4, "clip": 0.0, "batch_size": 100, "n_passes": 100, "window": 1},
    "class_weights": "balanced",
}
# Convolutions at 1e-6, what stands behind them (`fresh`) at 1e-4
_SEQUENCE: dict[str, Any] = {
    **{"lr": 1e-6, "fresh_factor": 100.0, "clip": 10.0},
    **{"batch_size": 10, "n_passes": 200, "window": 25},
}


@register("deepsleepnet")
class DeepSleepNet(PenalisedLoss, OneChannelStager):
    """Stager of epochs by themselves (`sequence=False`) or in their sequence.

    Parameters
    ----------
    config : Config
        `PRESETS["representation"]` is the first step of the training, `PRESETS["paper"]` the
        second, which `begin_from` fills with what the first has learned.

    Notes
    -----
    The published code carried the states of both directions from one piece of 25 epochs to the
    next, the backward one against time. Here every window begins with zeros, and a whole night is
    staged in one piece.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config, TwoScales(1, norm=_norm, dropout=config.dropout))
        self.config: Config = config
        self.encoder: TwoScales
        self.dropout = nn.Dropout(config.dropout)
        width = 2 * config.hidden
        if not config.sequence:
            self.representation_head = nn.Linear(config.n_features, config.n_classes)
            return
        self.shortcut = nn.Sequential(
            nn.Linear(config.n_features, width, bias=False), _norm(width), nn.ReLU()
        )
        self.rnn = nn.ModuleList(
            BothWays(PeepholeLSTM(n, config.hidden), PeepholeLSTM(n, config.hidden), dropout=0.0)
            for n in (config.n_features, width)
        )
        self.head = nn.Linear(width, config.n_classes)

    @property
    def training_plan(self) -> Mapping[str, Any]:
        """Settings of the article for this step of the training."""
        return _PLAN | (_SEQUENCE if self.config.sequence else _REPRESENTATION)

    @property
    def fresh(self) -> tuple[str, ...]:
        """Parts that stand behind weights trained before."""
        return ("shortcut", "rnn", "head") if self.config.sequence else ()

    def forward(self, signals: Signals, present: Present) -> StagerOutput:
        """Return logits (B, L, 5) in the order W N1 N2 N3 R and the features they come from."""
        vectors = self.dropout(self.encode(signals, present))  # (B, L, 3072)
        if not self.config.sequence:
            return StagerOutput(self.representation_head(vectors), vectors)
        beside = self.shortcut(vectors.flatten(0, 1)).unflatten(0, vectors.shape[:2])
        hidden = vectors
        for layer in self.rnn:
            hidden = self.dropout(layer(hidden))
        features = self.dropout(hidden + beside)
        return StagerOutput(self.head(features), features)

    def penalty(self) -> torch.Tensor:
        """Return the weighted half squares of the first small filters."""
        return self.config.first_kernel_l2 * half_squares(self.encoder.small.kernels[:1])

    def begin_from(self, trained: StateDict) -> None:
        """Take over the branches of a network of the first step; the rest stays as it is.

        Raises
        ------
        ValueError
            If they are not all there, or of another shape.
        """
        ours = self.encoder.state_dict()
        theirs = {k: trained.get(f"encoder.{k}") for k in ours}
        unfit = [k for k, v in theirs.items() if v is None or v.shape != ours[k].shape]
        if unfit:
            raise ValueError(
                f"weights lack encoder.{unfit[0]} in the shape {tuple(ours[unfit[0]].shape)}: "
                "begin with a deepsleepnet trained with the preset `representation`"
            )
        self.encoder.load_state_dict(theirs)
