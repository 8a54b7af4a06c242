"""Stored nights that a stager can learn from in seconds, and a stager of a few parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models import Present, Signals, StagerOutput
from nights.hypnogram import Hypnogram
from nights.store import write_night
from recordings.views import VIEWS

SAMPLES = 3000
# Frequency (Hz) and amplitude (uV) that tell the stages apart
TONES = ((10, 20), (6, 15), (13, 30), (1, 75), (18, 12))


def told_night(
    root: Path,
    rec: str,
    stages: Sequence[int],
    *,
    channels: Sequence[str] = ("C4",),
    dataset: str = "SET",
    person: str = "",
    view: str = "psg9",
    **facts: object,
) -> Path:
    """Write a night in which every stage has its tone, in noise of 10 uV."""
    rng = np.random.default_rng(sum(map(ord, f"{dataset}{rec}")))
    seconds = np.arange(SAMPLES) / 100
    arrays = []
    for _ in channels:
        signal = rng.normal(0, 10, (len(stages), SAMPLES))
        for epoch, stage in enumerate(stages):
            hz, uv = TONES[max(0, stage)]
            signal[epoch] += uv * np.sin(2 * np.pi * (hz * seconds + rng.random()))
        arrays.append(signal.astype(np.float32))
    return write_night(
        root,
        dataset,
        rec,
        {"sig": (channels, arrays)},
        Hypnogram(np.asarray(stages)),
        view={"name": view, "hash": VIEWS[view].hash},
        person=f"{dataset.lower()}-{person or rec}",
        **facts,  # type: ignore[arg-type]
    )


@dataclass(frozen=True)
class TinyConfig:
    """Sizes of the stager below."""

    n_classes: int = 5
    window: int | None = 4


class TinyStager(nn.Module):
    """Means of pieces of an epoch, one linear layer; windows of four epochs."""

    def __init__(self, config: TinyConfig | None = None) -> None:
        super().__init__()
        self.config = config or TinyConfig()
        self.norm = nn.BatchNorm1d(10)
        self.head = nn.Linear(10, self.config.n_classes)

    @property
    def window(self) -> int | None:
        """Epochs it takes at once."""
        return self.config.window

    channels: Mapping[str, int] = {"C4": SAMPLES}

    def forward(self, signals: Signals, present: Present) -> StagerOutput:
        """Return logits (B, L, K)."""
        x = signals["C4"].unflatten(-1, (10, -1)).abs().mean(dim=-1)  # (B, L, 10)
        features = self.norm(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return StagerOutput(self.head(features), features)


def batch_of(stages: Sequence[Sequence[int]]) -> object:
    """Return windows of noise with these stages."""
    from nights.windows import Windows

    target = torch.tensor(stages)
    generator = torch.Generator().manual_seed(int(target.sum()) + target.numel())
    signals = {"C4": torch.randn(*target.shape, SAMPLES, generator=generator)}
    present = {"C4": torch.ones(target.shape, dtype=torch.bool)}
    names = tuple(f"SET/n{row}" for row in range(len(target)))
    return Windows(signals, present, target, names, torch.zeros(len(target), dtype=torch.int64))
