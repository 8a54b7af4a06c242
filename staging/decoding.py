"""What every decoder takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from staging.prior import StagePrior


@dataclass(frozen=True)
class Settings:
    """How strongly and how far back the language model is heard.

    Parameters
    ----------
    weight : float
        w of (1 - w) log p(stager) + w log p(language model), 0 to 1.
    context : int
        Epochs of corrected stages the model sees (all but `viterbi`).
    min_len : int
        Epochs at the start of a stretch that are left to the stager (`greedy`).
    width : int
        Histories that are kept side by side (`beam`).

    Raises
    ------
    ValueError
        If the weight is outside 0..1, fewer than `min_len` epochs of context are asked for, or no
        history is to be kept.
    """

    weight: float = 0.1
    context: int = 30
    min_len: int = 5
    width: int = 5

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise ValueError(f"weight of the language model must be 0..1, found {self.weight}")
        if not 1 <= self.min_len <= self.context:
            raise ValueError(
                f"context must be at least min_len epochs and min_len at least 1, "
                f"found context {self.context} and min_len {self.min_len}"
            )
        if self.width < 1:
            raise ValueError(f"beam width must be at least 1, found {self.width}")


@dataclass(frozen=True)
class Decoded:
    """What a decoder made of one stretch: stages int8 (n,) and hypnodensity float32 (n, K)."""

    stages: np.ndarray
    proba: np.ndarray


Decoder = Callable[[Sequence[np.ndarray], StagePrior, Settings], list[Decoded]]


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return the probabilities (n, K) of log scores (n, K)."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True, initial=-np.inf))
    return raised / raised.sum(axis=1, keepdims=True)
