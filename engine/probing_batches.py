"""Batches of labelled epochs: embeddings that are kept, or signals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader

from engine.features import Features
from nights.stages import UNSCORED
from nights.windows import NightWindows, Windows, collate


class LabelledBatch(Protocol):
    """Epochs with labels, and how a model reads them."""

    labels: torch.Tensor  # int64 (B, L), -1 where there is none
    nights: tuple[str, ...]

    def logits(self, model: Any) -> torch.Tensor:
        """Return (B, L, K)."""


@dataclass(frozen=True)
class FeatureBatch:
    """Embeddings (B, L, D): only the classifier reads them."""

    features: torch.Tensor
    labels: torch.Tensor
    nights: tuple[str, ...]

    def logits(self, model: Any) -> torch.Tensor:
        """Return (B, L, K)."""
        device = next(model.parameters()).device
        return model.reader(self.features.to(device)).logits


@dataclass(frozen=True)
class SignalBatch:
    """Windows of signals: the whole model reads them."""

    windows: Windows
    labels: torch.Tensor

    @property
    def nights(self) -> tuple[str, ...]:
        """Names of the nights in it."""
        return self.windows.nights

    def logits(self, model: Any) -> torch.Tensor:
        """Return (B, L, K)."""
        device, batch = next(model.parameters()).device, self.windows
        signals = {name: x.to(device) for name, x in batch.signals.items()}
        present = {name: there.to(device) for name, there in batch.present.items()}
        return model(signals, present).logits


class FeatureSource:
    """Sequences of embedded epochs that hold a label.

    Parameters
    ----------
    features : Features
    labels : {night: int8 (E,)}
    length : int
        Epochs of a sequence; 0 takes whole nights. Sequences begin every half of it, the last ends
        with the night.
    batch_size : int
        Sequences per batch.
    n_batches : int
        Batches per pass; 0 = as many as there are full ones.
    """

    def __init__(
        self,
        features: Features,
        labels: Mapping[str, np.ndarray],
        length: int,
        batch_size: int,
        *,
        n_batches: int = 0,
    ) -> None:
        self.features, self.labels = features, labels
        self.length = length or max(len(own) for own in labels.values())
        spans = [
            (name, first)
            for name, own in labels.items()
            for first in _firsts(len(own), self.length)
        ]
        self.spans = [(n, i) for n, i in spans if (labels[n][i : i + self.length] >= 0).any()]
        self.batch_size = min(batch_size, len(self.spans))
        self.n_batches = n_batches or len(self.spans) // self.batch_size

    def __len__(self) -> int:
        return self.n_batches

    def draw(self, generator: torch.Generator) -> Iterator[FeatureBatch]:
        """Yield the batches of one pass."""
        order = _shuffled(len(self.spans), self.n_batches * self.batch_size, generator)
        for rows in order.view(-1, self.batch_size).tolist():
            yield self._batch([self.spans[row] for row in rows])

    def _batch(self, spans: Sequence[tuple[str, int]]) -> FeatureBatch:
        """Read sequences, zeros behind a night that is shorter."""
        width = self.features.manifest["dim"]
        features = torch.zeros(len(spans), self.length, width)
        labels = torch.full((len(spans), self.length), UNSCORED)
        for row, (name, first) in enumerate(spans):
            own = self.labels[name][first : first + self.length]
            labels[row, : len(own)] = torch.from_numpy(own.astype(np.int64))
            rows = self.features.of(name)[first : first + self.length].astype(np.float32)
            features[row, : len(own)] = torch.from_numpy(rows)
        return FeatureBatch(features, labels, tuple(name for name, _ in spans))


class SignalSource:
    """Windows of signals that hold a label, which takes the place of the stage.

    Parameters
    ----------
    windows : NightWindows
        Without a seed: the same windows in every pass.
    labels : {night: int8 (E,)}
    batch_size, n_batches : int
        As of `FeatureSource`.
    workers : int
        Processes that read ahead.
    """

    def __init__(
        self,
        windows: NightWindows,
        labels: Mapping[str, np.ndarray],
        batch_size: int,
        *,
        n_batches: int = 0,
        workers: int = 0,
    ) -> None:
        self.windows, self.labels, self.workers = windows, labels, workers
        self.rows = [
            row
            for row, (name, first, length) in enumerate(windows.spans)
            if (labels[name][first : first + length] >= 0).any()
        ]
        self.batch_size = min(batch_size, len(self.rows))
        self.n_batches = n_batches or len(self.rows) // self.batch_size

    def __len__(self) -> int:
        return self.n_batches

    def draw(self, generator: torch.Generator) -> Iterator[SignalBatch]:
        """Yield the batches of one pass."""
        return self.part(generator, 0, 1)

    def part(self, generator: torch.Generator, first: int, every: int) -> Iterator[SignalBatch]:
        """Yield batch `first` of a pass and each `every`th after it; the others are never read."""
        order = _shuffled(len(self.rows), self.n_batches * self.batch_size, generator)
        batches = order.view(-1, self.batch_size)[first::every].tolist()
        loader = DataLoader(
            self.windows,
            batch_sampler=[[self.rows[row] for row in batch] for batch in batches],
            num_workers=self.workers,
            collate_fn=collate,
            generator=torch.Generator().manual_seed(0),  # workers draw nothing
        )
        for windows in loader:
            yield SignalBatch(windows, labels_of(windows, self.labels))


def labels_of(windows: Windows, labels: Mapping[str, np.ndarray]) -> torch.Tensor:
    """Return the labels (B, L) of windows, -1 behind the end of a night."""
    found = torch.full_like(windows.stages, UNSCORED)
    for row, (name, first) in enumerate(zip(windows.nights, windows.first.tolist(), strict=True)):
        own = labels[name][first : first + found.shape[1]]
        found[row, : len(own)] = torch.from_numpy(own.astype(np.int64))
    return found


def _firsts(n_epochs: int, length: int) -> list[int]:
    """Return where sequences of a night begin: every half of their length, the last at the end."""
    last = max(0, n_epochs - length)
    return sorted({*range(0, last + 1, max(1, length // 2)), last})


def _shuffled(n: int, wanted: int, generator: torch.Generator) -> torch.Tensor:
    """Return `wanted` of n places in random order, again from the beginning if they run out."""
    rounds = -(-wanted // n)
    return torch.cat([torch.randperm(n, generator=generator) for _ in range(rounds)])[:wanted]
