"""What a model can be trained for: a loss, a judgement, and one number to choose by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from nights.sequences import StageNight, sequences

IGNORED = -100  # target of a place that holds no epoch; the default of cross_entropy


class Batch(Protocol):
    """Anything a task's loss takes; it knows the nights it came from."""

    @property
    def nights(self) -> tuple[str, ...]:
        """Names of the nights in it."""


class Task(Protocol):
    """An objective, as the training loop sees it."""

    headline: ClassVar[str]  # metric of `evaluate` that chooses the best pass
    higher_is_better: ClassVar[bool]

    def loss(self, model: nn.Module, batch: Any) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the scalar to minimise and the numbers to log."""

    def evaluate(self, model: nn.Module, held_out: Any) -> dict[str, float]:
        """Return the metrics of `model` on held-out data."""


@dataclass(frozen=True)
class StageBlocks:
    """Blocks of consecutive stages: tokens and what follows each, int64 (B, T)."""

    tokens: torch.Tensor
    following: torch.Tensor
    nights: tuple[str, ...]


def n_blocks(stages: torch.Tensor, length: int) -> int:
    """Return how many blocks of `length` stages, and one to follow, begin in `stages` (n,)."""
    return max(1, len(stages) - length)


def block(
    stages: torch.Tensor, first: int, length: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return block `first` of `stages` (n,): at most `length` stages, and what follows each."""
    cut = stages[first : first + length + 1]
    return cut[:-1], cut[1:]


class BlockSource:
    """Blocks of stages cut at random places from nights.

    The published training took every block of K stages at stride 1, so each stage K times per pass.
    Here a pass takes about n / K blocks from a stretch of n epochs, each at a random place.

    Parameters
    ----------
    nights : sequence of StageNight
        Blocks never cross an unscored epoch; a shorter stretch becomes one padded block.
    length : int
        Epochs K per block.
    batch_size : int
        Blocks per batch.

    Raises
    ------
    ValueError
        If no stretch holds two epochs.
    """

    def __init__(self, nights: Sequence[StageNight], length: int, batch_size: int) -> None:
        self.length, self.batch_size = length, batch_size
        self._pieces = [
            (night.name, stages.astype(np.int64))
            for night in nights
            for stages in sequences([night])
        ]
        if not self._pieces:
            raise ValueError("no night has two scored epochs in a row: nothing to train on")
        self._piece_of_block = np.concatenate(
            [np.full(-(-(len(s) - 1) // length), i) for i, (_, s) in enumerate(self._pieces)]
        )

    def __len__(self) -> int:
        return -(-len(self._piece_of_block) // self.batch_size)

    def draw(self, generator: torch.Generator) -> Iterator[StageBlocks]:
        """Yield one pass in random order."""
        order = torch.randperm(len(self._piece_of_block), generator=generator).numpy()
        for first in range(0, len(order), self.batch_size):
            pieces = self._piece_of_block[order[first : first + self.batch_size]]
            yield self._batch([int(piece) for piece in pieces], generator)

    def _batch(self, pieces: Sequence[int], generator: torch.Generator) -> StageBlocks:
        """Cut one block from each of `pieces`."""
        tokens = torch.zeros(len(pieces), self.length, dtype=torch.long)
        following = torch.full_like(tokens, IGNORED)
        for row, piece in enumerate(pieces):
            stages = torch.from_numpy(self._pieces[piece][1])
            first = torch.randint(n_blocks(stages, self.length), (1,), generator=generator)
            data, label = block(stages, int(first), self.length)
            tokens[row, : len(data)], following[row, : len(label)] = data, label
        return StageBlocks(tokens, following, tuple(sorted({self._pieces[i][0] for i in pieces})))


@dataclass(frozen=True)
class LanguageTask:
    """Predict the next stage, at every place of a block.

    Parameters
    ----------
    length : int
        Epochs per block in which held-out nights are read.

    Notes
    -----
    The published training moved the labels by one and then once more inside its loss, so its models
    learned the stage after the next. Here they are moved once.
    """

    length: int
    headline: ClassVar[str] = "nll"
    higher_is_better: ClassVar[bool] = False

    def loss(self, model: nn.Module, batch: StageBlocks) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the mean cross-entropy in nats per stage."""
        device = next(model.parameters()).device
        logits = model(batch.tokens.to(device)).flatten(0, 1)
        loss = F.cross_entropy(logits, batch.following.to(device).flatten(), ignore_index=IGNORED)
        return loss, {"loss": loss.item()}

    @torch.inference_mode()
    def evaluate(self, model: nn.Module, held_out: Sequence[np.ndarray]) -> dict[str, float]:
        """Return nats per stage and accuracy on stage sequences, read in consecutive blocks."""
        model.eval()
        device = next(model.parameters()).device
        nats, right, n_stages = 0.0, 0, 0
        for sequence in held_out:
            stages = torch.from_numpy(sequence.astype(np.int64)).to(device)
            for first in range(0, len(stages) - 1, self.length):
                block = stages[first : first + self.length + 1]
                logits = model(block[None, :-1])[0]
                nats += F.cross_entropy(logits, block[1:], reduction="sum").item()
                right += int((logits.argmax(dim=-1) == block[1:]).sum())
                n_stages += len(block) - 1
        return {"nll": nats / n_stages, "accuracy": right / n_stages}
