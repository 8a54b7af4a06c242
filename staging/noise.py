"""Artificial stagers: a scored night becomes the output some stager might have given.

Each stager that is drawn confuses stages in its own way, and each of its nights a little
differently; its errors hang together over time and gather at transitions; it is more or less sure
of itself, or gives labels alone. A denoiser trained on many of them knows stagers in general and
needs no scored night of the one it will correct.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter
from scipy.special import log_softmax, ndtr

from nights.stages import STAGES

N_STAGES = len(STAGES)
# Share of each stage that is recognised, W N1 N2 N3 R: ranges that enclose what is published of
# stagers from one weak derivation up to the agreement of two scorers
RECALL = np.array([[0.65, 0.97], [0.10, 0.65], [0.70, 0.95], [0.45, 0.95], [0.50, 0.96]])
# What a stage is taken for when it is missed, relative weights, rows true. Neighbours in depth are
# confused, and R with the stages that look like it (N1, quiet W, N2).
MISTAKEN = np.array(
    [
        [0, 6, 2, 0.3, 2],
        [3, 0, 5, 0.1, 4],
        [1, 4, 0, 4, 3],
        [0.5, 0.1, 9, 0, 0.2],
        [1.5, 4, 5, 0.1, 0],
    ]
)
HARD_SHARE = 0.3  # of the drawn stagers give labels without probabilities
HARD_LABEL_PROBA = 0.9  # what a label alone counts for, as in `staging.predictions`


@dataclass(frozen=True, eq=False)
class ArtificialStager:
    """A stager drawn at random.

    Parameters
    ----------
    confusion : float array (5, 5)
        Share of each label, rows true.
    steadiness : float
        How alike its nights are: concentration of the Dirichlet draw of a night's confusion.
    blur : float
        Share of the transitions at which an epoch looks like a mixture of both stages.
    slow_share, slow, fast : float
        Share of the errors that last, and the correlations of the lasting and the passing ones
        from one epoch to the next.
    sharpness : float
        Factor on the logits: 1 is a stager as sure as it should be.
    hard : bool
        Gives labels alone.
    """

    confusion: np.ndarray
    steadiness: float
    blur: float
    slow_share: float
    slow: float
    fast: float
    sharpness: float
    hard: bool

    @classmethod
    def draw(cls, rng: np.random.Generator) -> ArtificialStager:
        """Draw a stager."""
        recall = rng.uniform(*RECALL.T)
        missed = np.stack([rng.dirichlet(row + 1e-3) for row in MISTAKEN])
        np.fill_diagonal(missed, 0)
        missed /= missed.sum(axis=1, keepdims=True)
        return cls(
            confusion=np.diag(recall) + (1 - recall)[:, None] * missed,
            steadiness=rng.uniform(15, 150),
            blur=rng.uniform(0, 0.6),
            slow_share=rng.uniform(0, 0.5),
            slow=rng.uniform(0.8, 0.99),
            fast=rng.uniform(0, 0.5),
            sharpness=float(np.exp(rng.uniform(np.log(0.7), np.log(4)))),
            hard=bool(rng.random() < HARD_SHARE),
        )

    def stage(self, stages: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return log-probabilities, float32 (n, 5), for the true stages (n,) of one stretch.

        Notes
        -----
        Logits are the logarithm of the confusion row plus Gumbel noise: the largest is then
        distributed as the row says (random utility). The noise is a copula over Gaussian
        processes, so that its correlation in time can be chosen.
        """
        rows = [rng.dirichlet(self.steadiness * row + 0.05) for row in self.confusion]
        looks_like = np.log(np.maximum(rows, 2e-3))[stages]  # (n, 5)
        self._blur(looks_like, stages, rng)
        noise = np.sqrt(1 - self.slow_share) * _wander(len(stages), self.fast, rng)
        noise += np.sqrt(self.slow_share) * _wander(len(stages), self.slow, rng)
        gumbel = -np.log(-np.log(ndtr(noise).clip(1e-6, 1 - 1e-6)))
        logits = looks_like + gumbel
        if self.hard:
            return hard_log_probs(logits.argmax(axis=1))
        return log_softmax(self.sharpness * logits, axis=1).astype(np.float32)

    def _blur(self, looks_like: np.ndarray, stages: np.ndarray, rng: np.random.Generator) -> None:
        """Mix the two stages in an epoch beside some of the transitions."""
        pure = looks_like.copy()
        for last in np.flatnonzero(np.diff(stages)):
            if rng.random() < self.blur:
                mixed, share = last + rng.integers(2), rng.random()
                looks_like[mixed] = share * pure[last] + (1 - share) * pure[last + 1]


def hard_log_probs(stages: np.ndarray) -> np.ndarray:
    """Return log-probabilities, float32 (n, 5), of labels (n,); NaN rows for -1."""
    rest = (1 - HARD_LABEL_PROBA) / (N_STAGES - 1)
    said = np.full((len(stages), N_STAGES), np.log(rest), dtype=np.float32)
    known = np.flatnonzero(stages >= 0)
    said[known, stages[known]] = np.log(HARD_LABEL_PROBA)
    said[stages < 0] = np.nan
    return said


def _wander(n: int, correlation: float, rng: np.random.Generator) -> np.ndarray:
    """Return stationary Gaussian noise (n, 5) of unit variance, correlated from row to row."""
    steps = rng.standard_normal((n, N_STAGES))
    steps[1:] *= np.sqrt(1 - correlation**2)
    return lfilter([1], [1, -correlation], steps, axis=0)
