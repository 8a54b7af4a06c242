"""Is a stager as sure as it should be, and what is its doubt worth to who reviews its nights?

References
----------
.. [1] Guo et al. (2017). On calibration of modern neural networks. ICML. Expected calibration error
   over bins of equal width, temperature scaling.
.. [2] Brier (1950). Verification of forecasts expressed in terms of probability. Monthly Weather
   Review 78(1), 1-3. The sum over classes, 0..2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.outputs import NightOutput
from nights.splits import draw_folds

N_BINS = 15  # Guo et al. 2017
LEAST_PROBA = 1e-8  # below this a probability counts as this: one sure mistake is not infinite
TEMPERATURES = (0.05, 20.0)
FIT_EPOCHS = 100_000  # evenly spaced epochs settle one number to three digits
REVIEWED = (0.05, 0.1, 0.2, 0.3)  # shares of the tables


@dataclass(frozen=True, eq=False)
class Reliability:
    """Bins of equal width of the probability of the stage given: float64 arrays (bins,).

    `confidence` (mean probability) and `accuracy` are NaN in a bin without epochs.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    n_epochs: np.ndarray

    @property
    def expected_error(self) -> float:
        """Expected calibration error [1]_: mean gap of the bins, weighed by their epochs."""
        if not self.n_epochs.sum():
            return float("nan")
        gap = np.nan_to_num(np.abs(self.confidence - self.accuracy))
        return float(gap @ self.n_epochs / self.n_epochs.sum())


@dataclass(frozen=True, eq=False)
class Review:
    """What is gained when a person looks at the least sure epochs; float64 arrays (n,).

    Parameters
    ----------
    share : array
        Share of the epochs looked at, from 0 to just below 1.
    left : array
        Accuracy of the epochs that were not looked at.
    whole : array
        Accuracy of all epochs when every reviewed one ends as the scoring says.
    """

    share: np.ndarray
    left: np.ndarray
    whole: np.ndarray

    def at(self, share: float) -> tuple[float, float]:
        """Return `left` and `whole` when `share` of the epochs are looked at."""
        return (
            float(np.interp(share, self.share, self.left)),
            float(np.interp(share, self.share, self.whole)),
        )


@dataclass(frozen=True, eq=False)
class Calibration:
    """A stager's sureness before and after scaling by the temperature of other people's nights.

    Parameters
    ----------
    before, after : Reliability
    scores, scaled_scores : dict
        See `calibration_scores`.
    temperatures : tuple of float
        One a fold by person; empty when all nights are of one person, and `after` is `before`.
    review : Review
        By the probabilities as they came.
    """

    before: Reliability
    after: Reliability
    scores: dict[str, float]
    scaled_scores: dict[str, float]
    temperatures: tuple[float, ...]
    review: Review


def calibrate(nights: Sequence[NightOutput], *, n_folds: int = 5, seed: int = 0) -> Calibration:
    """Return reliability, held-out scaling and review of a stager with hypnodensity."""
    proba, labels = judged_rows(nights)
    review = review_curve(proba.max(axis=1), proba.argmax(axis=1) == labels)
    before, scores = reliability(proba, labels), calibration_scores(proba, labels)
    if len({night.owner for night in nights}) < 2:
        return Calibration(before, before, scores, scores, (), review)
    temperatures, raised, same = held_out_scaling(nights, n_folds=n_folds, seed=seed)
    after, scaled_scores = reliability(raised, same), calibration_scores(raised, same)
    return Calibration(before, after, scores, scaled_scores, tuple(temperatures), review)


def judged_rows(nights: Sequence[NightOutput]) -> tuple[np.ndarray, np.ndarray]:
    """Return hypnodensity float32 (n, K) and labels (n,) of the epochs that have both.

    Raises
    ------
    ValueError
        If a night has no hypnodensity.
    """
    if any(night.proba is None for night in nights):
        raise ValueError("this stager gives labels without probabilities: nothing to calibrate")
    proba = np.concatenate([night.proba for night in nights])  # type: ignore[misc]
    labels = np.concatenate([night.labels for night in nights])
    both = (labels >= 0) & np.isfinite(proba).all(axis=1)
    return proba[both], labels[both].astype(np.int64)


def reliability(proba: np.ndarray, labels: np.ndarray, n_bins: int = N_BINS) -> Reliability:
    """Sort epochs by the probability of their stage and see how often it was right.

    Parameters
    ----------
    proba : float array (n, K)
        Rows sum to 1.
    labels : int array (n,)
        0..K-1.
    n_bins : int
        Bins of equal width from 0 to 1; the edge belongs to the bin below it.
    """
    sure, right = proba.max(axis=1), proba.argmax(axis=1) == labels
    place = np.clip(np.ceil(sure * n_bins).astype(np.int64) - 1, 0, n_bins - 1)
    n = np.bincount(place, minlength=n_bins).astype(np.float64)
    sums = (np.bincount(place, values, minlength=n_bins) for values in (sure, right))
    none = np.full(n_bins, np.nan)
    confidence, accuracy = (np.divide(s, n, out=none.copy(), where=n > 0) for s in sums)
    return Reliability(confidence, accuracy, n)


def calibration_scores(proba: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return how far probabilities are from what comes true; all but two are better when smaller.

    Returns
    -------
    dict
        `expected_calibration_error` [1]_, `brier_error` [2]_, `nll` (nats), and beside them
        `accuracy` and `mean_confidence`.
    """
    if not len(labels):
        names = ("expected_calibration_error", "brier_error", "nll", "accuracy", "mean_confidence")
        return dict.fromkeys(names, float("nan"))
    own = proba[np.arange(len(labels)), labels].astype(np.float64)
    # sum over classes of (p - y)^2 = |p|^2 - 2 p_label + 1
    squares = np.einsum("nk,nk->n", proba, proba, dtype=np.float64)
    return {
        "expected_calibration_error": reliability(proba, labels).expected_error,
        "brier_error": float((squares - 2 * own + 1).mean()),
        "nll": float(-np.log(np.maximum(own, LEAST_PROBA)).mean()),
        "accuracy": float((proba.argmax(axis=1) == labels).mean()),
        "mean_confidence": float(proba.max(axis=1).mean(dtype=np.float64)),
    }


def fit_temperature(proba: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature whose scaling gives the smallest mean NLL [1]_.

    Above 1 the stager is too sure, below 1 not sure enough; between 0.05 and 20.
    """
    from scipy.optimize import minimize_scalar

    step = -(-len(labels) // FIT_EPOCHS)
    logs = np.log(np.maximum(proba[::step], LEAST_PROBA)).astype(np.float64)
    below = logs - logs.max(axis=1, keepdims=True)
    own = below[np.arange(len(below)), labels[::step]]

    def nll(log_temperature: float) -> float:
        inverse = np.exp(-log_temperature)
        total = np.log(np.exp(inverse * below).sum(axis=1))
        return float((total - inverse * own).mean())

    found = minimize_scalar(
        nll, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-4}
    )
    return float(np.exp(found.x))


def scaled(proba: np.ndarray, temperature: float) -> np.ndarray:
    """Return p^(1/T) of a hypnodensity (n, K), rows summing to 1; NaN rows stay."""
    logs = np.log(np.maximum(proba, LEAST_PROBA)) / temperature
    raised = np.exp(logs - logs.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def held_out_scaling(
    nights: Sequence[NightOutput], *, n_folds: int = 5, seed: int = 0
) -> tuple[list[float], np.ndarray, np.ndarray]:
    """Scale each night by the temperature of other people's nights.

    Parameters
    ----------
    nights : sequence of NightOutput
        With hypnodensity.
    n_folds : int
        Folds by person, at most as many as there are persons.
    seed : int
        Of the folds.

    Returns
    -------
    temperatures : list of float
        One a fold, fitted on the nights of the other folds.
    proba : float32 array (n, K)
        Of the judged epochs (see `judged_rows`), scaled.
    labels : int array (n,)

    Raises
    ------
    ValueError
        If all nights are of one person, or a night has no hypnodensity.
    """
    groups = {f"{night.dataset}/{night.night}": night.owner for night in nights}
    n_folds = min(n_folds, len(set(groups.values())))
    if n_folds < 2:
        raise ValueError("all nights are of one person: a temperature needs other people's nights")
    temperatures, rows = [], []
    for fold in draw_folds("temperature", groups, n_folds, seed=seed).folds:
        tested = set(fold["test"])
        sides: tuple[list[NightOutput], list[NightOutput]] = ([], [])
        for night in nights:
            sides[f"{night.dataset}/{night.night}" in tested].append(night)
        temperatures.append(fit_temperature(*judged_rows(sides[0])))
        proba, labels = judged_rows(sides[1])
        rows.append((scaled(proba, temperatures[-1]), labels))
    return temperatures, *(np.concatenate(part) for part in zip(*rows, strict=True))  # type: ignore[return-value]


def review_curve(sure: np.ndarray, right: np.ndarray, n_points: int = 200) -> Review:
    """Return what review of the least sure epochs leaves and gains.

    Parameters
    ----------
    sure : float array (n,)
        Probability of the stage given; epochs that are equally sure are reviewed in no order, so
        that labels without grades gain nothing by luck.
    right : bool array (n,)
        Whether the stage is that of the scoring.
    n_points : int
        Points of the curve.

    Raises
    ------
    ValueError
        If there is no epoch.
    """
    n = len(sure)
    if not n:
        raise ValueError("no epoch is both staged and scored: nothing to review")
    _, group, size = np.unique(sure, return_inverse=True, return_counts=True)
    mean = np.bincount(group, right) / size  # by group, least sure first
    ordered = np.repeat(mean, size)
    found = np.concatenate([[0.0], np.cumsum(ordered)])  # right among the reviewed
    reviewed = np.unique(np.linspace(0, n - 1, min(n, n_points)).round().astype(np.int64))
    left = (found[-1] - found[reviewed]) / (n - reviewed)
    whole = (found[-1] + reviewed - found[reviewed]) / n
    return Review(reviewed / n, left, whole)
