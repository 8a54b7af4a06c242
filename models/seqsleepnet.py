"""SeqSleepNet: sequence-to-sequence staging on time-frequency images (Phan et al., TNSRE 2019).

Each epoch of each channel becomes a log-magnitude spectrogram of 29 frames; a learned filterbank
per channel, a recurrent layer over the frames and attention turn it into one vector; a second
recurrent layer over the epochs of the window gives all stages of the window at once.

Input: view `seq3`, 100 Hz; the networks of the transfer-learning article (TBME 2021) share one
output layer between all positions of the window, those of the first article do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from models import StagerOutput, register, seqsleepnet_variables
from models.aggregation import Rule, WindowStager
from models.published import Adapter, StateDict
from models.recurrent_norm import Recurrent
from models.time_frequency import (
    UNRELEASED,
    SpectralConfig,
    SpectralStager,
    spectral_sizes,
    tensorflow_linear,
)


@dataclass(frozen=True)
class Config(SpectralConfig):
    """Sizes of SeqSleepNet; the defaults are those of the article with EEG, EOG and EMG."""

    window: int = 20  # epochs
    epoch_hidden: int = 64  # of the recurrent layer over epochs, per direction
    shared_head: bool = True  # one output layer for all positions of the window
    aggregation: Rule = "multiplicative"  # of the windows around an epoch, in a whole night


PRESETS = {
    "paper": Config(shared_head=False),
    "paper-10": Config(window=10, shared_head=False),
    "paper-30": Config(window=30, shared_head=False),
    "transfer-eeg": Config(channels=("EEG",), statistics="night"),
    "transfer-eog": Config(channels=("EOGh",), statistics="night"),
    "transfer-eeg-eog": Config(channels=("EEG", "EOGh"), statistics="night"),
}


def _published_sizes(state_dict: StateDict) -> dict[str, object]:
    """Read the sizes from published weights; which channels they read is not among them."""
    return spectral_sizes(state_dict) | {
        "window": len(state_dict["epoch_rnn.fw.bn_c.running_mean"]),
        "epoch_hidden": state_dict["epoch_rnn.fw.weight_hh"].shape[1],
        "shared_head": "head.weight" in state_dict,
    }


@register("seqsleepnet")
class SeqSleepNet(SpectralStager, WindowStager):
    """Stager of all epochs of a window at once.

    Parameters
    ----------
    config : Config
        `PRESETS["paper"]` reads EEG, EOG and EMG; the `transfer-*` presets fit released weights.

    Notes
    -----
    `finetune_parts` names what each mode of the transfer-learning article trains, by the beginnings
    of the names of parameters; what is frozen keeps to its running statistics. The published code
    left the softmax out of the mode `epoch`.
    """

    published = Adapter(
        config=_published_sizes, unreleased=UNRELEASED, canonical=seqsleepnet_variables.canonical
    )
    finetune_parts: ClassVar[dict[str, tuple[str, ...]]] = {
        "all": ("",),
        "sequence": ("epoch_rnn.", "head."),
        "epoch": ("filterbank.", "frame_rnn.", "attention.", "head."),
        "head": ("head.",),
    }

    def __init__(self, config: Config) -> None:
        n_inputs, width = config.n_filters * len(config.channels), 2 * config.frame_hidden
        frames = config.n_frames, n_inputs, config.frame_hidden, config.dropout
        super().__init__(config, Recurrent(*frames))
        self.epoch_rnn = Recurrent(config.window, width, config.epoch_hidden, config.dropout)
        sizes = 2 * config.epoch_hidden, config.n_classes
        self.head = (
            tensorflow_linear(*sizes)
            if config.shared_head
            else nn.ModuleList(tensorflow_linear(*sizes) for _ in range(config.window))
        )

    def stage(self, vectors: torch.Tensor) -> StagerOutput:
        """Stage the epochs of windows from their vectors (B, L, 128)."""
        features = self.epoch_rnn(vectors)
        if isinstance(self.head, nn.ModuleList):
            columns = [head(features[:, i]) for i, head in enumerate(self.head)]
            return StagerOutput(torch.stack(columns, dim=1), features)
        return StagerOutput(self.head(features), features)
