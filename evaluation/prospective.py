"""The soft-label figures of LPSGM's prospective study: a stager among the experts of a night.

Experts are put to the others, the stager to all of them, to each alone and to all but one; errors
of sleep statistics are set beside those of the experts among themselves. Consensus is a majority
in which ties share the mass evenly.

References
----------
.. [1] Deng et al. (2024). LPSGM. medRxiv 2024.12.11.24318815, prospective study.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from evaluation.agreement import majority_proba, soft_scores, statistics_of
from evaluation.scorers import ScoredNight, mean_sd
from nights.hypnogram import Hypnogram

SCORES = ("accuracy", "kappa")
COMPARED = (
    *("tst_min", "rem_min", "nrem_min", "n1_min", "n2_min", "n3_min", "waso_min", "awakenings"),
    *("n1_percent", "n2_percent", "n3_percent", "rem_percent"),
    *("sol_min", "n2_latency_min", "n3_latency_min", "rem_latency_min"),
)


def soft_study(nights: Sequence[ScoredNight], stager: str) -> dict[str, Any]:
    """Return how a stager agrees with the experts, and the experts with each other.

    Parameters
    ----------
    nights : sequence of ScoredNight
        With the same scorers, three or more.
    stager : str
        One of their stagers.

    Returns
    -------
    dict
        For `accuracy` and `kappa`, as [mean, standard deviation] over the nights:
        `experts_against_others` (one an expert) and `experts` (all of them together),
        `stager_against_all`, `stager_against_each`, `stager_against_others` (the consensus an
        expert is put to, one for each left out), and `hypnodensity_against_all`, NaN of a stager
        that gives labels alone (elsewhere the stage counts as a whole). `p` is of a paired t test
        over the nights: the mean of the experts, and of the stager, against the same consensuses.
    """
    n_scorers = len(nights[0].scorings)
    experts, each, others = (np.full((len(nights), n_scorers, 2), np.nan) for _ in range(3))
    everyone, graded = (np.full((len(nights), 2), np.nan) for _ in range(2))
    for row, night in enumerate(nights):
        said = majority_proba(night.stagers[stager][None])
        everyone[row] = _scores(majority_proba(night.scorings), said)
        if stager in night.proba:
            graded[row] = _scores(majority_proba(night.scorings), night.proba[stager])
        for scorer, own in enumerate(night.scorings):
            truth = majority_proba(np.delete(night.scorings, scorer, axis=0))
            single = majority_proba(own[None])
            experts[row, scorer] = _scores(truth, single)
            others[row, scorer] = _scores(truth, said)
            each[row, scorer] = _scores(single, said)
    return {
        score: {
            "experts": mean_sd(experts[..., at].ravel()),
            "experts_against_others": [mean_sd(column) for column in experts[..., at].T],
            "stager_against_all": mean_sd(everyone[:, at]),
            "hypnodensity_against_all": mean_sd(graded[:, at]),
            "stager_against_each": [mean_sd(column) for column in each[..., at].T],
            "stager_against_others": [mean_sd(column) for column in others[..., at].T],
            "p": paired_t(experts[..., at].mean(axis=1), others[..., at].mean(axis=1)),
        }
        for at, score in enumerate(SCORES)
    }


def statistic_errors(nights: Sequence[ScoredNight], stager: str) -> dict[str, dict[str, float]]:
    """Return the mean absolute error of sleep statistics, of the stager and between experts.

    Returns
    -------
    dict
        {statistic: {`stager`: mean over nights and experts, `experts`: mean over nights and pairs
        of experts, `p`: of a paired t test over the nights, `n_nights`: in which both exist}}.
    """
    scored = [
        [Hypnogram(row) for row in (night.stagers[stager], *night.scorings)] for night in nights
    ]
    sides = [statistics_of([night[rater] for night in scored]) for rater in range(len(scored[0]))]
    found = {}
    for name in COMPARED:
        own, *experts = (side[name] for side in sides)
        by_stager = _mean_known([np.abs(own - expert) for expert in experts])
        among = _mean_known([np.abs(a - b) for a, b in combinations(experts, 2)])
        both = np.isfinite(by_stager) & np.isfinite(among)
        found[name] = {
            "stager": mean_sd(by_stager[both])[0],
            "experts": mean_sd(among[both])[0],
            "p": paired_t(by_stager[both], among[both]),
            "n_nights": int(both.sum()),
        }
    return found


def paired_t(first: np.ndarray, second: np.ndarray) -> float:
    """Return the two-sided p of a paired t test; NaN for fewer than two pairs or no difference."""
    from scipy.stats import ttest_rel

    known = np.isfinite(first) & np.isfinite(second)
    if known.sum() < 2 or np.ptp(first[known] - second[known]) == 0:
        return float("nan")
    return float(ttest_rel(first[known], second[known]).pvalue)


def _scores(truth: np.ndarray, said: np.ndarray) -> list[float]:
    """Return accuracy and kappa of soft labels (E, K)."""
    found = soft_scores(truth, said)
    return [found[score] for score in SCORES]


def _mean_known(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean (N,) over rows of what is defined, NaN where nothing is."""
    stacked = np.stack(rows)
    n = np.isfinite(stacked).sum(axis=0)
    return np.divide(np.nansum(stacked, axis=0), n, out=np.full(n.shape, np.nan), where=n > 0)
