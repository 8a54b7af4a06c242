"""How well a hypnogram agrees with another: one convention, pooled over epochs and per night.

The convention: an epoch counts when both sides gave it a stage. *Pooled* metrics come from the
summed confusion of all nights; a mean over nights leaves out the nights in which a metric is
undefined and says how many those are. Macro F1 is the mean over the stages that occur in the truth
or in the prediction of the set it is computed on. Kappa is NaN when both sides hold one and the
same single stage. Confusions have the truth in rows; everything follows from them, so a hundred
nights or a thousand bootstrap resamples cost milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from evaluation.bootstrap import (
    LEVEL,
    N_RESAMPLES,
    Interval,
    drawn_sums,
    draws,
    interval,
    sum_by_person,
)
from nights.hypnogram import Hypnogram
from nights.stages import FOUR_CLASSES, STAGES, check_stages

SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "kappa")
FOUR_FROM_FIVE = ((0,), (1, 2), (3,), (4,))  # W, N1 + N2, N3, R
THREE_FROM_FIVE = ((0,), (1, 2, 3), (4,))  # W, NREM, R

Scoring = Hypnogram | np.ndarray | Sequence[int]
Rule = Callable[[np.ndarray], np.ndarray]  # confusions (..., K, K) -> numbers (...)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Agreement of many nights.

    Parameters
    ----------
    confusions : int64 array (N, K, K)
        One confusion a night, truth in rows.
    pooled : dict
        Metrics of the summed confusion; see `metrics_from`.
    per_night : tuple of dict
        Metrics of each night.
    """

    confusions: np.ndarray
    pooled: dict[str, Any]
    per_night: tuple[dict[str, Any], ...]

    def over_nights(self, score: str) -> tuple[float, float, int]:
        """Return mean and standard deviation over the nights, and how many are undefined."""
        values = np.array([night[score] for night in self.per_night], dtype=float)
        defined = values[np.isfinite(values)]
        if not defined.size:
            return np.nan, np.nan, values.size
        spread = float(defined.std(ddof=1)) if defined.size > 1 else np.nan
        return float(defined.mean()), spread, values.size - defined.size

    def interval(
        self,
        score: str,
        *,
        rng: np.random.Generator,
        persons: Sequence[str] | None = None,
        level: float = LEVEL,
        n_resamples: int = N_RESAMPLES,
    ) -> Interval:
        """Return a pooled metric with its percentile interval, persons drawn with replacement.

        Parameters
        ----------
        score : str
            One of `SCORES`.
        rng : numpy.random.Generator
            Where the draws come from.
        persons : sequence of str, optional
            Who slept each night; default: every night is a person of its own.
        level : float
            Coverage of the interval.
        n_resamples : int
            Number of draws.
        """
        by_person = sum_by_person(self.confusions, persons)
        times = draws(len(by_person), rng, n_resamples)
        return interval(
            self.pooled[score], metrics_stack(drawn_sums(times, by_person), score), level
        )


def confusion(
    true: Scoring,
    predicted: Scoring,
    n_classes: int = len(STAGES),
    *,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Count pairs of stages: rows truth, columns prediction.

    Parameters
    ----------
    true, predicted : Hypnogram or int array (E,)
        Stages 0..K-1; epochs that are -1 on either side are left out.
    n_classes : int
        Number of classes K.
    weights : float array (E,), optional
        Weight of each epoch, for instance the share of scorers that agree on it.

    Returns
    -------
    int64 (float64 with weights) array (K, K)

    Raises
    ------
    ValueError
        If the lengths differ or a stage is outside -1..K-1.
    """
    rows, columns = (check_stages(_stages(side), n_classes) for side in (true, predicted))
    if rows.shape != columns.shape:
        raise ValueError(f"truth of {rows.size} epochs, prediction of {columns.size}")
    both = (rows >= 0) & (columns >= 0)
    pairs = rows[both].astype(np.int64) * n_classes + columns[both]
    kept = None if weights is None else np.asarray(weights, dtype=np.float64)[both]
    return np.bincount(pairs, kept, minlength=n_classes**2).reshape(n_classes, n_classes)


def metrics_from(confusion: np.ndarray, classes: Sequence[str] | None = None) -> dict[str, Any]:
    """Return every metric of one confusion (K, K).

    Parameters
    ----------
    confusion : array (K, K)
        Rows truth, columns prediction; counts or weights.
    classes : sequence of str, optional
        Names of the classes; default W N1 N2 N3 R for five, W L D R for four.

    Returns
    -------
    dict
        `accuracy`, `balanced_accuracy` (mean recall over the stages of the truth), `macro_f1`,
        `kappa`, `n_epochs`, and `per_stage_f1`, `per_stage_precision`, `per_stage_recall`,
        `per_stage_specificity`, `per_stage_epochs` (of the truth) as {stage: value}. What is
        undefined is NaN: F1 of a stage on neither side, recall of a stage not in the truth,
        precision of one never predicted.
    """
    matrix = np.asarray(confusion)
    return _describe(matrix[None], class_names(len(matrix)) if classes is None else classes)[0]


def compare(
    truths: Sequence[Scoring], predictions: Sequence[Scoring], n_classes: int = len(STAGES)
) -> Comparison:
    """Compare the predictions of many nights with their truths.

    Raises
    ------
    ValueError
        If the numbers of nights differ, or the lengths of a night.
    """
    if len(truths) != len(predictions):
        raise ValueError(f"{len(truths)} truths, {len(predictions)} predictions")
    matrices = np.zeros((len(truths), n_classes, n_classes), dtype=np.int64)
    for number, (true, predicted) in enumerate(zip(truths, predictions, strict=True)):
        try:
            matrices[number] = confusion(true, predicted, n_classes)
        except ValueError as error:
            raise ValueError(f"night {number}: {error}") from None
    per_night = tuple(_describe(matrices, class_names(n_classes)))
    return Comparison(matrices, metrics_from(matrices.sum(axis=0)), per_night)


def merge_stages(confusion: np.ndarray, merged: Sequence[Sequence[int]]) -> np.ndarray:
    """Sum rows and columns of confusions (..., K, K): `FOUR_FROM_FIVE`, `THREE_FROM_FIVE`."""
    rows = np.stack([confusion[..., list(codes), :].sum(axis=-2) for codes in merged], axis=-2)
    return np.stack([rows[..., list(codes)].sum(axis=-1) for codes in merged], axis=-1)


def metrics_stack(confusions: np.ndarray, score: str) -> np.ndarray:
    """Return one of `SCORES` for every confusion of a stack (..., K, K)."""
    return _SCORE_OF[score](confusions)


def score_rules(classes: Sequence[str]) -> dict[str, Rule]:
    """Return how each of `SCORES`, and `F1 of <stage>`, follows from confusions (..., K, K)."""
    rules: dict[str, Rule] = {score: _SCORE_OF[score] for score in SCORES}
    f1 = {f"F1 of {stage}": partial(_f1_of, code=code) for code, stage in enumerate(classes)}
    return rules | f1


def _describe(matrices: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return the metrics of each confusion of a stack (N, K, K)."""
    hits, truth, predicted = _margins(matrices)
    scores = {score: rule(matrices).tolist() for score, rule in _SCORE_OF.items()}
    scores["n_epochs"] = truth.sum(axis=-1).tolist()
    per_stage = {
        "per_stage_f1": _f1(matrices).tolist(),
        "per_stage_precision": _ratio(hits, predicted).tolist(),
        "per_stage_recall": _ratio(hits, truth).tolist(),
        "per_stage_specificity": _specificity(matrices).tolist(),
        "per_stage_epochs": truth.tolist(),
    }
    return [
        {name: values[number] for name, values in scores.items()}
        | {
            name: dict(zip(classes, values[number], strict=True))
            for name, values in per_stage.items()
        }
        for number in range(len(matrices))
    ]


def _stages(side: Scoring) -> np.ndarray:
    """Return the stages of a hypnogram or an array."""
    return side.stages if isinstance(side, Hypnogram) else np.asarray(side)


def class_names(n_classes: int) -> tuple[str, ...]:
    """Return the usual names of K classes."""
    usual = {len(STAGES): STAGES, len(FOUR_CLASSES): FOUR_CLASSES, 3: ("W", "NREM", "R")}
    return usual.get(n_classes, tuple(map(str, range(n_classes))))


def _margins(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return diagonal, row sums and column sums (..., K)."""
    return np.diagonal(matrix, axis1=-2, axis2=-1), matrix.sum(axis=-1), matrix.sum(axis=-2)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return part / whole, NaN where the whole is 0."""
    out = np.full(np.broadcast_shapes(np.shape(part), np.shape(whole)), np.nan)
    return np.divide(part, whole, out=out, where=np.asarray(whole) != 0)


def _mean_defined(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis of what is not NaN; NaN where nothing is."""
    return _ratio(np.nansum(values, axis=-1), np.isfinite(values).sum(axis=-1))


def _f1(matrix: np.ndarray) -> np.ndarray:
    """Return F1 of each stage (..., K)."""
    hits, truth, predicted = _margins(matrix)
    return _ratio(2 * hits, truth + predicted)


def _f1_of(matrix: np.ndarray, code: int) -> np.ndarray:
    """Return F1 of one stage (...)."""
    return _f1(matrix)[..., code]


def _specificity(matrix: np.ndarray) -> np.ndarray:
    """Return for each stage (..., K) how much of what it is not was told to be something else."""
    hits, truth, predicted = _margins(matrix)
    others = matrix.sum(axis=(-2, -1))[..., None] - truth
    return _ratio(others - (predicted - hits), others)


def _accuracy(matrix: np.ndarray) -> np.ndarray:
    """Return the share of epochs on the diagonal (...)."""
    hits, truth, _ = _margins(matrix)
    return _ratio(hits.sum(axis=-1), truth.sum(axis=-1))


def _balanced_accuracy(matrix: np.ndarray) -> np.ndarray:
    """Return the mean recall over the stages of the truth (...)."""
    hits, truth, _ = _margins(matrix)
    return _mean_defined(_ratio(hits, truth))


def _macro_f1(matrix: np.ndarray) -> np.ndarray:
    """Return the mean F1 over the stages on either side (...)."""
    return _mean_defined(_f1(matrix))


def _kappa(matrix: np.ndarray) -> np.ndarray:
    """Return Cohen's kappa (...): agreement beyond chance, over what chance leaves."""
    hits, truth, predicted = _margins(matrix)
    total = truth.sum(axis=-1).astype(np.float64)
    by_chance = (truth.astype(np.float64) * predicted).sum(axis=-1)
    # both sides times total**2, so that whole counts stay exact and 0 / 0 is found
    return _ratio(total * hits.sum(axis=-1) - by_chance, total**2 - by_chance)


_SCORE_OF = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "macro_f1": _macro_f1,
    "kappa": _kappa,
}
