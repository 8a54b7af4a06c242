"""Several scorers of one night: consensus, soft agreement, and agreement of sleep statistics.

References
----------
.. [1] Guillot et al. (2020). Dreem Open Datasets: multi-scored sleep datasets to compare human and
   automated sleep staging. IEEE TNSRE 28(9), 1955-1965. Soft agreement and the consensus.
.. [2] Deng et al. (2024). LPSGM. medRxiv 2024.12.11.24318815. Accuracy and kappa of soft labels.
.. [3] Bland and Altman (1999). Measuring agreement in method comparison studies. Statistical
   Methods in Medical Research 8(2), 135-160.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.metrics import metrics_from
from evaluation.statistics import sleep_statistics
from nights.hypnogram import Hypnogram
from nights.stages import STAGES, UNSCORED, check_stages


@dataclass(frozen=True, eq=False)
class Consensus:
    """What several scorers agree on.

    Parameters
    ----------
    stages : int8 array (E,)
        Stage with most votes, ties to the best ranked scorer; -1 where nobody scored.
    share : float64 array (E,)
        Share of the votes for that stage, the weight of an epoch; 0 where nobody scored.
    ranking : int array (S,)
        All scorers, the one with the highest soft agreement first.
    """

    stages: np.ndarray
    share: np.ndarray
    ranking: np.ndarray


@dataclass(frozen=True)
class BlandAltman:
    """Agreement of a measure taken twice: difference is the second minus the first.

    Parameters
    ----------
    n : int
        Pairs in which both are defined: only these have a difference.
    bias, sd : float
        Mean and standard deviation of the differences.
    low, high : float
        Limits of agreement, bias -+ 1.96 sd.
    absolute_error : float
        Mean of the absolute differences.
    only_first, only_second, neither : int
        Pairs in which a side is undefined (no REM sleep, so no REM latency). A bias over the other
        pairs hides these, so they are told beside it.
    """

    n: int
    bias: float
    sd: float
    low: float
    high: float
    absolute_error: float = np.nan
    only_first: int = 0
    only_second: int = 0
    neither: int = 0


def soft_agreement(scorings: np.ndarray, n_classes: int = len(STAGES)) -> np.ndarray:
    """Return how well each scorer agrees with all others: float64 (S,), 0..1.

    An epoch gives a scorer the votes of the others for the same stage, divided by the votes for
    their most frequent one: 1 for agreeing with the majority or with one side of a tie [1]_.
    Epochs that the scorer or all others left unscored do not count.

    Parameters
    ----------
    scorings : int array (S, E)
        Stages of S scorers, -1 where unscored.
    n_classes : int
        Number of classes K.
    """
    votes = _votes(scorings, n_classes)
    found = np.full(len(votes), np.nan)
    for scorer, own in enumerate(votes):
        others = votes.sum(axis=0) - own  # (E, K)
        most = others.max(axis=1)
        counted = (own.sum(axis=1) > 0) & (most > 0)
        if counted.any():
            found[scorer] = ((own * others).sum(axis=1)[counted] / most[counted]).mean()
    return found


def consensus(
    scorings: np.ndarray, *, n_best: int | None = None, n_classes: int = len(STAGES)
) -> Consensus:
    """Return the majority of the `n_best` scorers with the highest soft agreement (default: all).

    Guillot et al. judge an automatic stager against the consensus of the N - 1 best scorers, and a
    scorer against that of the N - 1 others.

    Parameters
    ----------
    scorings : int array (S, E)
        Stages of S scorers, -1 where unscored.
    n_best : int, optional
        How many of them vote.
    n_classes : int
        Number of classes K.
    """
    agreement = np.nan_to_num(soft_agreement(scorings, n_classes), nan=-1.0)
    ranking = np.argsort(-agreement, kind="stable")
    votes = _votes(scorings, n_classes)[ranking[:n_best]]  # best first
    counts = votes.sum(axis=0)  # (E, K)
    tied = counts == counts.max(axis=1, keepdims=True)
    # of the tied stages, the one the best ranked scorer chose: weights halve down the ranking
    weights = 0.5 ** np.arange(len(votes))
    preference = np.tensordot(weights, votes, axes=1)
    stages = np.where(tied, preference, -1.0).argmax(axis=1)
    total = counts.sum(axis=1)
    share = np.divide(counts.max(axis=1), total, out=np.zeros(len(total)), where=total > 0)
    return Consensus(np.where(total > 0, stages, UNSCORED).astype(np.int8), share, ranking)


def majority_proba(scorings: np.ndarray, n_classes: int = len(STAGES)) -> np.ndarray:
    """Return the majority as soft labels, float64 (E, K): tied stages share the mass evenly [2]_.

    Rows of epochs nobody scored are NaN.
    """
    counts = _votes(scorings, n_classes).sum(axis=0)
    most = counts.max(axis=1, keepdims=True)
    tied = (counts == most) & (most > 0)
    return np.where(most > 0, tied / np.maximum(tied.sum(axis=1, keepdims=True), 1), np.nan)


def soft_confusion(true_proba: np.ndarray, predicted_proba: np.ndarray) -> np.ndarray:
    """Return sum over epochs of true (K) x predicted (K) probabilities; NaN rows are left out.

    Parameters
    ----------
    true_proba, predicted_proba : float arrays (E, K)
        Rows sum to 1.

    Returns
    -------
    float64 array (K, K)
        Rows truth; `evaluation.metrics.metrics_from` gives the accuracy and kappa of [2]_ from it,
        which are the usual ones for hard labels.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if true_proba.shape != predicted_proba.shape:
        raise ValueError(f"truth {true_proba.shape}, prediction {predicted_proba.shape}")
    both = np.isfinite(true_proba).all(axis=1) & np.isfinite(predicted_proba).all(axis=1)
    return true_proba[both].astype(np.float64).T @ predicted_proba[both].astype(np.float64)


def soft_scores(true_proba: np.ndarray, predicted_proba: np.ndarray) -> dict[str, float]:
    """Return `accuracy` and `kappa` of soft labels (E, K) [2]_."""
    metrics = metrics_from(soft_confusion(true_proba, predicted_proba))
    return {score: metrics[score] for score in ("accuracy", "kappa")}


def bland_altman(first: np.ndarray, second: np.ndarray) -> BlandAltman:
    """Return bias and limits of agreement of `second` against `first`, arrays (N,) [3]_.

    NaN is undefined: such pairs are counted, never compared. Nights of one person are taken as
    they come; the limits are those of nights.
    """
    first, second = (np.asarray(side, dtype=float) for side in (first, second))
    known = np.isfinite(first), np.isfinite(second)
    undefined = {
        "only_first": int((known[0] & ~known[1]).sum()),
        "only_second": int((known[1] & ~known[0]).sum()),
        "neither": int((~known[0] & ~known[1]).sum()),
    }
    difference = (second - first)[known[0] & known[1]]
    if not difference.size:
        return BlandAltman(0, np.nan, np.nan, np.nan, np.nan, **undefined)
    bias = float(difference.mean())
    sd = float(difference.std(ddof=1)) if difference.size > 1 else np.nan
    limits = (bias - 1.96 * sd, bias + 1.96 * sd)
    error = float(np.abs(difference).mean())
    return BlandAltman(difference.size, bias, sd, *limits, error, **undefined)


def statistics_of(hypnograms: Sequence[Hypnogram]) -> dict[str, np.ndarray]:
    """Return every sleep statistic of many nights of the same classes: {name: float64 (N,)}."""
    rows = [sleep_statistics(hypnogram) for hypnogram in hypnograms]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]} if rows else {}


def statistics_agreement(
    truths: Sequence[Hypnogram], predictions: Sequence[Hypnogram]
) -> dict[str, BlandAltman]:
    """Return Bland-Altman figures of every sleep statistic, predictions against truths."""
    if len(truths) != len(predictions) or not truths:
        raise ValueError(f"{len(truths)} truths, {len(predictions)} predictions")
    first, second = statistics_of(truths), statistics_of(predictions)
    return {name: bland_altman(first[name], second[name]) for name in first if name in second}


def _votes(scorings: np.ndarray, n_classes: int) -> np.ndarray:
    """Return float64 (S, E, K): 1 for the stage a scorer gave; no vote where unscored."""
    codes = np.stack([check_stages(stages, n_classes) for stages in np.asarray(scorings)])
    return (codes[..., None] == np.arange(n_classes)).astype(np.float64)
