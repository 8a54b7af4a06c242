"""SleepPPG-Net: staging from one pulse or heart signal of a night (Kotzen et al., JBHI 2023).

Residual convolutions over the whole night, a dense layer per epoch, dilated convolutions over the
epochs. The baseline of wav2sleep; the published network takes nights of exactly 10 h, this one any.
The article halves time by max pooling. The current release of wav2sleep replaced that by strides,
with tensors of the same names and shapes: which one weights were trained for must be said.

Input: view `cr`, in standard deviations of the night.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from models import Present, Signals, StagerOutput, register
from models.layers import batch_of_one, presence
from models.published import Adapter, StateDict
from models.wav2sleep_layers import ACTIVATIONS, DilatedBlock, HalvingBlock

WIDTHS = (16, 16, 32, 32, 64, 64, 128, 256)  # channels of the blocks
SAMPLES, STEPS = 1024, 4  # per epoch: of the signal, and behind the blocks


@dataclass(frozen=True)
class Config:
    """Sizes of SleepPPG-Net; the defaults are those of the article."""

    channel: str = "PPG"
    pool: Literal["max", "stride"] = "max"
    width: int = 128  # of the vector of an epoch
    kernel: int = 7
    n_dilations: int = 6  # 1, 2, 4, ... epochs
    n_sequence_blocks: int = 2
    dropout: float = 0.2
    n_classes: int = 4


PRESETS = {
    "paper": Config(),
    "paper-ecg": Config(channel="ECG"),
    "current": Config(pool="stride"),
}


def _published_sizes(state_dict: StateDict) -> dict[str, object]:
    """Read the sizes; how time is halved is not among them."""
    dilated = {tuple(k.split(".")[:4]) for k in state_dict if k.startswith("dilated_convs.")}
    width, _, kernel = state_dict["dilated_convs.0.conv_layers.0.conv.weight"].shape
    return {
        "width": width,
        "kernel": kernel,
        "n_dilations": sum(block == "0" for _, block, _, _ in dilated),
        "n_sequence_blocks": len({block for _, block, _, _ in dilated}),
        "n_classes": len(state_dict["classifier.weight"]),
    }


@register("ppgnet")
class SleepPPGNet(nn.Module):
    """Stager for one signal of 1024 samples per epoch."""

    published = Adapter(
        config=_published_sizes,
        renames=(
            (r"^conv_block\.model\.", "blocks."),
            (r"^dense\.linear\.", "dense."),
        ),
    )

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(
            HalvingBlock(before, after, pool=config.pool, norm="batch", activation="leaky")
            for before, after in zip((1, *WIDTHS), WIDTHS, strict=False)
        )
        self.dense = nn.Linear(STEPS * WIDTHS[-1], config.width)
        self.activation = ACTIVATIONS["leaky"]
        self.dilated_convs = nn.ModuleList(
            DilatedBlock(
                config.width,
                kernel=config.kernel,
                n_dilations=config.n_dilations,
                dropout=config.dropout,
                activation="leaky",
                norm="batch",
            )
            for _ in range(config.n_sequence_blocks)
        )
        self.classifier = nn.Linear(config.width, config.n_classes)

    @property
    def channels(self) -> dict[str, int]:
        """The channel it reads, with samples per epoch."""
        return {self.config.channel: SAMPLES}

    @property
    def window(self) -> None:
        """Any number of epochs."""
        return

    def forward(self, signals: Signals, present: Present) -> StagerOutput:
        """Return logits (B, L, K) in the order W L D R and features (B, L, D).

        Raises
        ------
        ValueError
            If the channel is not given.
        """
        name = self.config.channel
        if name not in signals:
            raise ValueError(f"no {name} among the signals: {', '.join(signals) or 'none'}")
        there = presence(signals, present, [name])[..., 0]  # (B, L)
        x = signals[name].masked_fill(~there[..., None], 0)
        recorded = None if there.all() else there[:, None].to(x.dtype)
        x = x.flatten(1)[:, None]  # (B, 1, L T)
        for block in self.blocks:
            x = block(x, recorded)
        steps = x.mT.unflatten(1, (-1, STEPS)).flatten(2)  # (B, L, 4 C)
        y = self.activation(self.dense(steps)).mT
        y = y if recorded is None else y * recorded
        for block in self.dilated_convs:
            y = block(y, recorded)
        features = y.mT
        return StagerOutput(self.classifier(features), features)

    @torch.inference_mode()
    def night_proba(self, signals: Mapping, present: Mapping | None = None) -> torch.Tensor:
        """Stage a whole night {channel: (E, T)} as (E, K); see `wav2sleep.Wav2Sleep`."""
        known = {k: v for k, v in signals.items() if k == self.config.channel}
        night = batch_of_one(known, present, self.classifier.weight.device)
        return self(*night).logits[0].softmax(dim=-1)
