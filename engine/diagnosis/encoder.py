"""What every encoder of nights is: fitted on some people, asked about others.

Baselines, hypnogram networks, signal networks and features of pre-trained models stand behind one
interface, so that the protocol treats them alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from engine.diagnosis.cases import Case

LEAST_PROBA = 1e-6  # one sure mistake is not infinite


class Fitted(Protocol):
    """An encoder that has seen its people."""

    def proba(self, cases: Sequence[Case]) -> np.ndarray:
        """Return the probability of each class, float64 (N, K), a row a night."""


class Encoder(Protocol):
    """A way from nights to probabilities of classes.

    `candidates` are the settings among which validation persons choose; whatever else `fit` decides
    (the pass to stop after, say) it may decide on them, too, and on nobody else.
    """

    @property
    def name(self) -> str:
        """Name in tables and of its folder."""

    @property
    def candidates(self) -> Sequence[Mapping[str, Any]]:
        """Settings to choose from, each the named arguments of `fit`."""

    @property
    def fit(self) -> Callable[..., Fitted]:
        """`fit(train, val, folder, *, seed, **choice)`: learn from `train` and stop by `val`.

        What `load` needs is left in `folder`.
        """

    def load(self, folder: Path) -> Fitted:
        """Return what `fit` left in `folder`."""


def nll(proba: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean negative log-probability (nats) of the labels (N,), smaller is better."""
    own = proba[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(own, LEAST_PROBA)).mean())
