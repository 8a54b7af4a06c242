"""E2E-DeepSleepNet: the sequence-to-sequence baseline of SeqSleepNet (Phan et al., TNSRE 2019).

DeepSleepNet's two branches on raw signals, two stacked recurrent layers per direction over the
window beside a residual connection, and one softmax for all positions, trained from end to end.

Input: view `seq3`, microvolts at 100 Hz, no normalisation of any kind.
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
from models.aggregation import Rule, WindowStager
from models.layers import PenalisedLoss, batch_of_one, half_squares, stack_channels
from models.published import Adapter, StateDict
from models.raw_branches import DecayNorm, TwoScales
from models.tensorflow_cells import BothWays, PeepholeLSTM

CHUNK = 64  # epochs encoded at once in inference
_norm = partial(DecayNorm, decay=0.999, eps=1e-3)


@dataclass(frozen=True)
class Config:
    """Sizes of E2E-DeepSleepNet; the defaults are those of the article with EEG, EOG and EMG."""

    channels: tuple[str, ...] = ("EEG", "EOGh", "Chin")
    window: int = 20  # epochs
    samples: int = 3000  # per epoch: 30 s at 100 Hz
    hidden: int = 512  # per direction and recurrent layer
    n_layers: int = 2  # recurrent layers per direction, each on the one below of its direction
    dropout: float = 0.5
    aggregation: Rule = "multiplicative"  # of the windows around an epoch, in a whole night
    l2: float = 0.001 / 32  # of half the squares of all parameters; see SpectralConfig
    n_classes: int = 5

    @property
    def n_features(self) -> int:
        """Features of an epoch."""
        return TwoScales.n_features(self.samples)


PRESETS = {"paper": Config(), "paper-10": Config(window=10), "paper-30": Config(window=30)}


def _sizes(state_dict: StateDict) -> dict[str, int | tuple[str, ...]]:
    """Read the sizes; window and length of an epoch are not among them."""
    n_channels = state_dict["cnn.conv11.weight"].shape[1]
    return {
        "channels": Config.channels[:n_channels],
        "hidden": len(state_dict["rnn.fw.0.w_i_diag"]),
        "n_layers": sum(f"rnn.fw.{i}.bias" in state_dict for i in range(len(state_dict))),
        "n_classes": len(state_dict["head.bias"]),
    }


def _published_layout(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Published convolutions run over (time, 1); of a kernel 3 wide only the middle meets data."""
    if name.startswith("encoder.") and tensor.ndim == 4:
        return tensor[..., tensor.shape[-1] // 2]
    return tensor


_PLACES = {1: 0, 2: 3, 3: 4, 4: 5}  # convolution of a branch -> its place in `Branch`
_COUNTERS = [f"encoder.{way}.{i}.norm" for way in ("small", "large") for i in _PLACES.values()]


@register("e2e-deepsleepnet")
class E2EDeepSleepNet(PenalisedLoss, WindowStager):
    """Stager of all epochs of a window at once, 22,705,157 parameters with three channels.

    Parameters
    ----------
    config : Config
        `PRESETS["paper"]` reads EEG, EOG and EMG.

    Notes
    -----
    The published number of parameters is larger by 172,800: its first kernels are three wide, of
    which two columns never meet data.
    """

    published = Adapter(
        config=_sizes,
        renames=tuple(
            (rf"^cnn\.{old}{row}{column}\.", f"encoder.{branch}.{place}.{new}.")
            for row, branch in ((1, "small"), (2, "large"))
            for column, place in _PLACES.items()
            for old, new in (("conv", "conv"), ("bn", "norm"))
        ),
        unreleased=tuple(f"{at}.num_batches_tracked" for at in (*_COUNTERS, "residual.bn")),
        tensor=_published_layout,
    )
    training_plan: ClassVar[Mapping[str, Any]] = {
        **{"optimizer": "adam", "lr": 1e-4, "betas": (0.9, 0.999), "eps": 1e-8},
        **{"schedule": "constant", "warmup": 0.0, "weight_decay": 0.0, "clip": 0.0},
        **{"batch_size": 32, "n_passes": 10},
    }
    finetune_parts: ClassVar[dict[str, tuple[str, ...]]] = {
        "all": ("",),
        "sequence": ("residual.", "rnn.", "head."),
        "epoch": ("encoder.", "head."),
        "head": ("head.",),
    }

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = TwoScales(
            len(config.channels), norm=_norm, dropout=config.dropout, bias=True
        )
        self.residual = nn.ModuleDict(
            {
                "fc": nn.Linear(config.n_features, 2 * config.hidden),
                "bn": _norm(2 * config.hidden),
            }
        )
        self.rnn = BothWays(_stack(config), _stack(config), config.dropout)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(2 * config.hidden, config.n_classes)

    @property
    def channels(self) -> dict[str, int]:
        """Channels it reads, with samples per epoch."""
        return dict.fromkeys(self.config.channels, self.config.samples)

    def vectors(self, signals: Signals, present: Present) -> torch.Tensor:
        """Encode each epoch: vectors (B, L, 3072); what is absent counts as zeros."""
        x, there = stack_channels(signals, present, self.config.channels)
        flat = torch.where(there[..., None], x, 0.0).flatten(0, 1)  # (B L, C, T)
        parts = [flat] if torch.is_grad_enabled() else flat.split(CHUNK)
        return torch.cat([self.encoder(part) for part in parts]).unflatten(0, x.shape[:2])

    def night_vectors(self, signals: Mapping, present: Mapping | None) -> torch.Tensor:
        """Encode each epoch of a night once, in pieces: vectors (E, 3072)."""
        return self.vectors(*batch_of_one(signals, present, self.head.weight.device))[0]

    def stage(self, vectors: torch.Tensor) -> StagerOutput:
        """Stage the epochs of windows from their vectors (B, L, 3072)."""
        beside = self.residual["fc"](self.dropout(vectors)).flatten(0, 1)
        beside = F.relu(self.residual["bn"](beside)).unflatten(0, vectors.shape[:2])
        features = self.rnn(vectors) + beside
        return StagerOutput(self.head(self.dropout(features)), features)

    def penalty(self) -> torch.Tensor:
        """Return the weighted half squares of all trained parameters."""
        return self.config.l2 * half_squares(p for p in self.parameters() if p.requires_grad)


def _stack(config: Config) -> nn.Sequential:
    """Return the recurrent layers of one direction."""
    widths = [config.n_features] + [config.hidden] * (config.n_layers - 1)
    return nn.Sequential(*(PeepholeLSTM(width, config.hidden) for width in widths))
