"""What a model can be trained for: a loss, a judgement, and one number to choose by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from evaluation.next_stage import running_log_probs
from nights.sequences import StageNight, stretches
from nights.stages import UNSCORED

# Stages (B, T) and what is known of the person and the clock -> (B, T, F)
Describe = Callable[[np.ndarray, Mapping[str, Any]], torch.Tensor]
IGNORED = -100  # target of a place that holds no epoch; the default of cross_entropy


class Batch(Protocol):
    """Anything a task's loss takes; it knows the nights it came from."""

    @property
    def nights(self) -> tuple[str, ...]:
        """Names of the nights in it."""


class Task(Protocol):
    """An objective, as the training loop sees it.

    A task whose batches differ in how much of them is scored also has `weight(batch) -> float`, the
    number of targets behind the mean that `loss` returns: the gradients of batches that make one
    step, in one process or several, are then those of one large batch.
    """

    @property
    def headline(self) -> str:
        """Metric of `evaluate` that chooses the best weights."""

    @property
    def higher_is_better(self) -> bool:
        """Whether more of it is better."""

    def loss(self, model: nn.Module, batch: Any) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the scalar to minimise and the numbers to log."""

    def evaluate(self, model: nn.Module, held_out: Any) -> dict[str, float]:
        """Return the metrics of `model` on held-out data."""


@dataclass(frozen=True)
class StageBlocks:
    """Blocks of consecutive stages: tokens and what follows each, int64 (B, T).

    `described` (B, T, F) is what the model wants to know of the whole night, None if nothing.
    """

    tokens: torch.Tensor
    following: torch.Tensor
    nights: tuple[str, ...]
    described: torch.Tensor | None = None


def n_blocks(stages: torch.Tensor, length: int) -> int:
    """Return how many blocks of `length` stages, and one to follow, begin in `stages` (n,)."""
    return max(1, len(stages) - length)


def block(stages: torch.Tensor, first: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
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
    describe : callable, optional
        `describe` of a model that wants to know the night so far.
    hide : float
        Share of blocks in which conditions of the person and the clock are hidden, so that the
        model can do without them.

    Raises
    ------
    ValueError
        If no stretch holds two epochs.
    """

    def __init__(
        self,
        nights: Sequence[StageNight],
        length: int,
        batch_size: int,
        *,
        describe: Describe | None = None,
        hide: float = 0.3,
    ) -> None:
        self.length, self.batch_size, self.hide = length, batch_size, hide
        self._pieces = [
            _Piece.of(night, stretch, describe)
            for night in nights
            for stretch in stretches(night.stages != UNSCORED)
            if stretch.stop - stretch.start >= 2
        ]
        if not self._pieces:
            raise ValueError("no night has two scored epochs in a row: nothing to train on")
        counts = [-(-(len(piece.stages) - 1) // length) for piece in self._pieces]
        self._piece_of_block = np.repeat(np.arange(len(counts)), counts)

    def __len__(self) -> int:
        return -(-len(self._piece_of_block) // self.batch_size)

    def draw(self, generator: torch.Generator) -> Iterator[StageBlocks]:
        """Yield one pass in random order."""
        order = torch.randperm(len(self._piece_of_block), generator=generator).numpy()
        for first in range(0, len(order), self.batch_size):
            chosen = self._piece_of_block[order[first : first + self.batch_size]]
            yield self._batch([self._pieces[piece] for piece in chosen], generator)

    def _batch(self, pieces: Sequence[_Piece], generator: torch.Generator) -> StageBlocks:
        """Cut one block from each of `pieces`."""
        tokens = torch.zeros(len(pieces), self.length, dtype=torch.long)
        following = torch.full_like(tokens, IGNORED)
        described = None
        if pieces[0].plain is not None:
            described = torch.zeros(*tokens.shape, pieces[0].plain.shape[1])
        for row, piece in enumerate(pieces):
            n_places = n_blocks(piece.stages, self.length)
            first = int(torch.randint(n_places, (1,), generator=generator))
            data, label = block(piece.stages, first, self.length)
            tokens[row, : len(data)], following[row, : len(label)] = data, label
            if described is not None:
                hidden = float(torch.rand(1, generator=generator)) < self.hide
                told = piece.plain if hidden else piece.described
                described[row, : len(data)] = told[first : first + len(data)]  # type: ignore[index]
        names = tuple(sorted({piece.night for piece in pieces}))
        return StageBlocks(tokens, following, names, described)


@dataclass(frozen=True)
class _Piece:
    """A scored stretch of a night and its description, with and without conditions."""

    night: str
    stages: torch.Tensor
    described: torch.Tensor | None
    plain: torch.Tensor | None

    @classmethod
    def of(cls, night: StageNight, stretch: slice, describe: Describe | None) -> _Piece:
        """Take one stretch of a night."""
        stages = night.stages[stretch].astype(np.int64)
        tokens = torch.from_numpy(stages)
        if describe is None:
            return cls(night.name, tokens, None, None)
        plain = describe(stages[None], {})[0]
        known = night.conditions(stretch)
        described = describe(stages[None], known)[0] if known else plain
        return cls(night.name, tokens, described, plain)


@dataclass(frozen=True)
class LanguageTask:
    """Predict the next stage, at every place of a block.

    Parameters
    ----------
    length : int
        Epochs per block.
    lag2 : bool
        Move the labels twice, as the published training did: for comparison only.

    Notes
    -----
    The published training moved the labels by one and then once more inside its loss, so its models
    learned the stage after the next. Here they are moved once.
    """

    length: int
    lag2: bool = False
    headline: ClassVar[str] = "nll"
    higher_is_better: ClassVar[bool] = False

    def loss(self, model: nn.Module, batch: StageBlocks) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the mean cross-entropy in nats per stage."""
        device = next(model.parameters()).device
        tokens, wanted = batch.tokens.to(device), batch.following.to(device)
        told = () if batch.described is None else (batch.described.to(device),)
        logits = model(tokens, *told)
        if self.lag2:
            logits, wanted = logits[:, :-1], wanted[:, 1:]
        loss = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=IGNORED)
        return loss, {"loss": loss.item()}

    @torch.inference_mode()
    def evaluate(self, model: nn.Module, held_out: Sequence[StageNight]) -> dict[str, float]:
        """Return nats per stage and accuracy on nights, the first stage of a stretch left out."""
        model.eval()
        lag = 2 if self.lag2 else 1
        nats, right, n_stages = 0.0, 0, 0
        for night in held_out:
            for stretch in stretches(night.stages != UNSCORED):
                stages = night.stages[stretch].astype(np.int64)
                came = torch.from_numpy(stages[lag:])
                if not len(came):
                    continue
                known = night.conditions(stretch)
                told = running_log_probs(model, stages, stride=self.length // 6 or 1, known=known)
                told = told[:-lag].cpu()
                nats += F.nll_loss(told, came, reduction="sum").item()
                right += int((told.argmax(dim=-1) == came).sum())
                n_stages += len(came)
        return {"nll": nats / n_stages, "accuracy": right / n_stages}
