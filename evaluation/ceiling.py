"""How far any stager can come: where scorers disagree among themselves, by stage and transition.

A scorer is put to the consensus of the others, each in turn. What one trained person gets wrong of
the others' consensus, nobody can blame a stager or its correction for; and most of it lies at
transitions, which is why errors are counted there by kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation.agreement import consensus
from evaluation.metrics import confusion, metrics_from
from nights.stages import STAGES, check_stages


@dataclass(frozen=True, eq=False)
class Transitions:
    """Epochs by the stage before and the stage here in the truth, and how many were right.

    Parameters
    ----------
    confusion : int64 array (K, K)
        All epochs that both sides gave a stage, truth in rows.
    n_epochs, n_right : int64 arrays (K, K)
        Rows: stage of the truth one epoch before; columns: here. The diagonal is sleep that goes
        on, everything else a transition. An epoch after one nobody scored is not here.
    """

    confusion: np.ndarray
    n_epochs: np.ndarray
    n_right: np.ndarray

    def __add__(self, other: Transitions) -> Transitions:
        """Return the counts of both."""
        return Transitions(
            self.confusion + other.confusion,
            self.n_epochs + other.n_epochs,
            self.n_right + other.n_right,
        )

    @property
    def accuracy(self) -> np.ndarray:
        """Share that was right by kind of transition, float64 (K, K); NaN where none came."""
        none = np.full(self.n_epochs.shape, np.nan)
        return np.divide(self.n_right, self.n_epochs, out=none, where=self.n_epochs > 0)

    def facts(self, classes: Sequence[str] = STAGES) -> dict[str, Any]:
        """Return everything as plain data.

        `accuracy_going_on` and `accuracy_at_changes` are over the diagonal and the rest; a kind of
        transition is written `N2>N3`.
        """
        going_on = np.eye(len(classes), dtype=bool)
        kinds = [
            (f"{before}>{here}", row, column)
            for row, before in enumerate(classes)
            for column, here in enumerate(classes)
        ]
        share = self.accuracy
        return metrics_from(self.confusion, classes) | {
            "accuracy_going_on": _share(self.n_right[going_on], self.n_epochs[going_on]),
            "accuracy_at_changes": _share(self.n_right[~going_on], self.n_epochs[~going_on]),
            "per_transition_accuracy": {kind: float(share[a, b]) for kind, a, b in kinds},
            "per_transition_epochs": {kind: int(self.n_epochs[a, b]) for kind, a, b in kinds},
        }


def transitions(
    true: np.ndarray, predicted: np.ndarray, n_classes: int = len(STAGES)
) -> Transitions:
    """Count where one night's prediction was right, by stage and by transition of the truth.

    Parameters
    ----------
    true, predicted : int arrays (E,)
        Stages, -1 where there is none.
    n_classes : int
        Number of classes K.
    """
    true, predicted = (check_stages(side, n_classes) for side in (true, predicted))
    counts = confusion(true, predicted, n_classes)
    before, here, said = true[:-1], true[1:], predicted[1:]
    known = (before >= 0) & (here >= 0) & (said >= 0)
    kind = before[known].astype(np.int64) * n_classes + here[known]
    right = (here == said)[known]
    n, n_right = (np.bincount(part, minlength=n_classes**2) for part in (kind, kind[right]))
    return Transitions(counts, n.reshape(counts.shape), n_right.reshape(counts.shape))


def scorer_ceiling(
    nights: Iterable[np.ndarray], n_classes: int = len(STAGES)
) -> tuple[Transitions, ...]:
    """Return how well each scorer predicts the consensus of the others.

    Parameters
    ----------
    nights : iterable of int arrays (S, E)
        Stages of the S scorers of each night, -1 where unscored; the same S everywhere.
    n_classes : int
        Number of classes K.

    Returns
    -------
    tuple of Transitions
        One a scorer; their sum is the ceiling.

    Raises
    ------
    ValueError
        If there are no nights, fewer than three scorers, or not the same number on each night.
    """
    found: list[Transitions] = []
    for scorings in nights:
        others = leave_one_out(scorings, n_classes)
        of_night = [
            transitions(truth, own, n_classes) for truth, own in zip(others, scorings, strict=True)
        ]
        if found and len(found) != len(of_night):
            raise ValueError(f"nights of {len(found)} and of {len(of_night)} scorers")
        found = [a + b for a, b in zip(found, of_night, strict=True)] if found else of_night
    if not found:
        raise ValueError("no nights: no ceiling")
    return tuple(found)


def leave_one_out(scorings: np.ndarray, n_classes: int = len(STAGES)) -> list[np.ndarray]:
    """Return, for each scorer, the consensus int8 (E,) of all others; scorings are (S, E).

    The others rank themselves: the judged scorer has no say in how their ties are broken.
    """
    if len(scorings) < 3:
        raise ValueError(f"{len(scorings)} scorers: a consensus of the others needs three or more")
    return [
        consensus(np.delete(scorings, left_out, axis=0), n_classes=n_classes).stages
        for left_out in range(len(scorings))
    ]


def _share(part: np.ndarray, whole: np.ndarray) -> float:
    """Return the sum of a part over the sum of the whole, NaN without a whole."""
    return float(part.sum() / whole.sum()) if whole.sum() else float("nan")
