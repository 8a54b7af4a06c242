"""Transition tables: the plain peers of the stage language model.

Counts of what followed what, smoothed towards shorter contexts. They are fitted in a second, and
are the figure any language model of sleep has to beat.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from models import register

# Lower edges of the bins of time spent in a stage, in epochs: single ones first, then ever wider
BIN_EDGES = np.array([1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 26, 34, 46, 64, 100])


@dataclass(frozen=True)
class MarkovConfig:
    """Order 0 is the share of each stage."""

    order: int = 1  # epochs of context
    n_stages: int = 5  # or 4: W L D R
    strength: float = 20.0  # epochs that the shorter context counts for; 1 to 20 hardly differ


@dataclass(frozen=True)
class DurationConfig:
    """Contexts of stage, time in it, and the stage before."""

    n_stages: int = 5  # or 4: W L D R
    strength: float = 5.0  # epochs that the shorter context counts for


PRESETS = {
    "markov-1": MarkovConfig(),
    "markov-5": MarkovConfig(order=5),
    "duration": DurationConfig(),
}


class TransitionTable(ABC, nn.Module):
    """Interpolated tables p_k = (counts_k + m p_(k-1)) / (n_k + m), from short to long contexts.

    Every context is a number; that of the next shorter context is its remainder by the number of
    shorter contexts, so a context never seen falls back by itself.
    """

    def __init__(self, sizes: tuple[int, ...], strength: float, n_stages: int) -> None:
        super().__init__()
        self._sizes, self.strength, self.n_stages = sizes, strength, n_stages
        for level, size in enumerate(sizes):
            uniform = torch.full((size, n_stages), 1 / n_stages).log()
            self.register_buffer(f"log_proba_{level}", uniform)

    @abstractmethod
    def contexts(self, stages: np.ndarray) -> np.ndarray:
        """Return the context numbers (n, levels) after each epoch of `stages` (n,); -1 = none."""

    @property
    def tables(self) -> list[torch.Tensor]:
        """Log-probabilities (contexts, 5), one table per length of context."""
        return list(self.buffers())

    def fit(self, sequences: Iterable[np.ndarray]) -> TransitionTable:
        """Count what followed each context in stage sequences (n,) without gaps; return itself."""
        counts = [np.zeros((size, self.n_stages)) for size in self._sizes]
        for stages in sequences:
            found = self.contexts(stages)[:-1]  # nothing follows the last epoch
            for level, count in enumerate(counts):
                known = found[:, level] >= 0
                np.add.at(count, (found[known, level], stages[1:][known]), 1)
        proba = np.full((1, self.n_stages), 1 / self.n_stages)
        for count, table in zip(counts, self.tables, strict=True):
            shorter = proba[np.arange(len(count)) % len(proba)]
            total = count.sum(axis=1, keepdims=True)
            proba = (count + self.strength * shorter) / (total + self.strength)
            table.copy_(torch.from_numpy(np.log(proba)))
        return self

    def next_log_probs(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the log-probabilities (B, K) of the stage that follows `ids` (B, T)."""
        last = [self.contexts(stages)[-1] for stages in ids.numpy()]
        return self._look_up(np.stack(last))

    def running_log_probs(self, stages: np.ndarray) -> torch.Tensor:
        """Return the log-probabilities (n, K) of what follows each epoch of `stages` (n,)."""
        return self._look_up(self.contexts(stages))

    def max_log_odds(self) -> torch.Tensor:
        """Return (K, K): no context can prefer a stage (column) to another (row) by more."""
        rows = torch.cat(self.tables)
        return (rows[:, None, :] - rows[:, :, None]).amax(dim=0)

    def _look_up(self, contexts: np.ndarray) -> torch.Tensor:
        """Return the row (n, K) of the longest context that is there."""
        level = (contexts >= 0).sum(axis=1) - 1
        told = torch.empty(len(contexts), self.n_stages)
        for number, table in enumerate(self.tables):
            told[level == number] = table[contexts[level == number, number]]
        return told


@register("markov")
class Markov(TransitionTable):
    """Next stage from the last `order` stages."""

    def __init__(self, config: MarkovConfig) -> None:
        self.config = config
        sizes = tuple(config.n_stages**length for length in range(config.order + 1))
        super().__init__(sizes, config.strength, config.n_stages)

    def contexts(self, stages: np.ndarray) -> np.ndarray:
        """Return the numbers of the last 0, 1, ... `order` stages, the latest one least."""
        stages = np.asarray(stages, dtype=np.int64)
        found = np.full((len(stages), self.config.order + 1), -1)
        found[:, 0] = 0
        for length in range(1, min(self.config.order, len(stages)) + 1):
            oldest = stages[: len(stages) - length + 1]
            newer = found[length - 1 :, length - 1]
            found[length - 1 :, length] = newer + self.n_stages ** (length - 1) * oldest
        return found


@register("duration")
class Duration(TransitionTable):
    """Next stage from the present stage, how long it has lasted, and the different one before."""

    def __init__(self, config: DurationConfig) -> None:
        self.config = config
        k = config.n_stages
        with_time = k * len(BIN_EDGES)
        super().__init__((1, k, with_time, with_time * (k + 1)), config.strength, k)

    def contexts(self, stages: np.ndarray) -> np.ndarray:
        """Return the numbers of (), (stage), (stage, time) and (stage, time, stage before)."""
        stages = np.asarray(stages, dtype=np.int64)
        place = np.arange(len(stages))
        changed = np.concatenate([[True], stages[1:] != stages[:-1]])
        begun = np.maximum.accumulate(np.where(changed, place, 0))
        lasted = np.searchsorted(BIN_EDGES, place - begun + 1, side="right") - 1
        before = np.where(begun > 0, stages[begun - 1], self.n_stages)  # the last number: none yet
        with_time = stages + self.n_stages * lasted
        whole = with_time + self.n_stages * len(BIN_EDGES) * before
        return np.stack([np.zeros_like(stages), stages, with_time, whole], axis=1)
