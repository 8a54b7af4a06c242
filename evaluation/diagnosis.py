"""How well disorders are told from nights, with the person as the sample.

Every figure is of persons: the probabilities of a person's nights are averaged, and a person counts
once. In cross-validation each fold has a model of its own, and probabilities of two models are not
on one scale: the area under the ROC curve therefore counts pairs of persons that the *same* model
told apart. (Pooling scores over folds mixes in how much of each class a fold was trained on, which
pushes the area of a worthless model below one half.)

Intervals are wider than those of people tested by one given model. In cross-validation two people
of different folds meet twice, each testing a model that the other has trained, and chance makes
both meetings come out alike: without any effect the variance is up to 1 + s times that of the test
persons alone, s being the share of the others that a model was trained on. No estimate from the
folds themselves can tell how much of it there is [4]_, so all of it is allowed for.

References
----------
.. [1] DeLong et al. (1988). Comparing the areas under two or more correlated receiver operating
   characteristic curves. Biometrics 44(3), 837-845.
.. [2] Airola et al. (2011). An experimental comparison of cross-validation techniques for
   estimating the area under the ROC curve. Computational Statistics & Data Analysis 55(4).
.. [3] Youden (1950). Index for rating diagnostic tests. Cancer 3(1), 32-35.
.. [4] Bengio and Grandvalet (2004). No unbiased estimator of the variance of K-fold
   cross-validation. Journal of Machine Learning Research 5, 1089-1105.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from evaluation.bootstrap import (
    LEVEL,
    Interval,
    drawn_sums,
    draws,
    interval,
    permutation_p,
    sum_by_person,
)
from evaluation.metrics import metrics_stack

COUNTED = ("balanced_accuracy", "macro_f1", "accuracy")  # from the confusion of persons


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What models said of persons whom they had not seen: N rows, a person once a repeat.

    Parameters
    ----------
    persons, cohorts : str array (N,)
    labels : int array (N,)
        True class, 0..K-1; of two classes, 1 is the disorder.
    proba : float array (N, K)
        Rows sum to 1: the mean over the nights of the person.
    models : int array (N,)
        Which model said it: only rows of one model are on one scale.
    repeats : int array (N,)
        Which division into folds the model belongs to.
    decisions : int array (N,)
        Class decided on: of two, by a threshold chosen on other persons.
    trained_on : float
        Share of the other persons that a model was trained on; 0 for models from elsewhere.
    """

    persons: np.ndarray
    cohorts: np.ndarray
    labels: np.ndarray
    proba: np.ndarray
    models: np.ndarray
    repeats: np.ndarray
    decisions: np.ndarray
    trained_on: float = 0.0

    @property
    def n_classes(self) -> int:
        """Number of classes K."""
        return self.proba.shape[1]

    @property
    def widening(self) -> float:
        """How much wider intervals are than those of one given model."""
        return float(np.sqrt(1 + self.trained_on))

    @property
    def positives(self) -> list[int]:
        """Classes whose one-against-the-rest areas are averaged: of two, the disorder alone."""
        return [1] if self.n_classes == 2 else list(range(self.n_classes))

    def pairs(self, positive: int) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        """Yield (repeat, rows with the class, rows without it, concordance) of each model.

        The concordance (P, N) is 1 where the person with the class has the higher probability of
        it, one half where both are equal.
        """
        for model in np.unique(self.models):
            rows = np.flatnonzero(self.models == model)
            has = self.labels[rows] == positive
            if has.any() and not has.all():
                score = self.proba[rows, positive]
                apart = score[has][:, None] - score[~has][None]
                yield (
                    int(self.repeats[rows[0]]),
                    rows[has],
                    rows[~has],
                    (np.sign(apart) + 1) / 2,
                )


@dataclass(frozen=True)
class Difference:
    """Second minus first: of areas with DeLong's interval and p, of balanced accuracies with p."""

    auc: Interval
    auc_p: float
    balanced_accuracy: float
    balanced_accuracy_p: float


def person_means(
    persons: Sequence[str], proba: np.ndarray
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Average what was said of each person's nights.

    Returns
    -------
    names : list of str
        Persons, sorted.
    means : float array (P, K)
    first : int array (P,)
        A night of each person, to look up what all nights of a person share.
    """
    names, first, of_night = np.unique(np.asarray(persons), return_index=True, return_inverse=True)
    means = sum_by_person(proba.astype(np.float64), persons)
    return names.tolist(), means / np.bincount(of_night)[:, None], first


def youden_threshold(score: np.ndarray, positive: np.ndarray) -> float:
    """Return the threshold with the largest sensitivity + specificity [3]_.

    It lies midway between two neighbouring scores; of several equal ones the one nearest to one
    half is taken. One half when a class is missing: nothing can be chosen then.

    Parameters
    ----------
    score : float array (P,)
        Probability of the disorder; a person is told ill from the threshold on.
    positive : bool array (P,)
    """
    positive = np.asarray(positive, dtype=bool)
    if positive.all() or not positive.any():
        return 0.5
    known = np.unique(score)
    between = np.concatenate([[known[0]], (known[1:] + known[:-1]) / 2])
    told = score[:, None] >= between[None]  # (P, T)
    gained = told[positive].mean(axis=0) - told[~positive].mean(axis=0)
    best = between[gained >= gained.max() - 1e-12]
    return float(best[np.abs(best - 0.5).argmin()])


def decide(proba: np.ndarray, threshold: float) -> np.ndarray:
    """Return the class (P,) told from probabilities (P, K); the threshold is of two classes."""
    if proba.shape[1] == 2:
        return (proba[:, 1] >= threshold).astype(np.int64)
    return proba.argmax(axis=1)


def auc(verdicts: Verdicts) -> float:
    """Return the area under the ROC curve over pairs told apart by one model [2]_.

    Of more than two classes the mean of each against the rest; of several repeats the mean. NaN
    where no model tested both sides.
    """
    names = np.unique(verdicts.persons)
    return float(auc_draws(verdicts, np.ones((1, len(names))))[0])


def auc_draws(verdicts: Verdicts, times: np.ndarray) -> np.ndarray:
    """Return the area (R,) when each person counts `times` (R, P), persons in sorted order."""
    _, place = np.unique(verdicts.persons, return_inverse=True)
    areas = []
    for positive in verdicts.positives:
        won: dict[int, np.ndarray] = {}
        counted: dict[int, np.ndarray] = {}
        for repeat, having, lacking, concordance in verdicts.pairs(positive):
            here, there = times[:, place[having]], times[:, place[lacking]]
            won[repeat] = won.get(repeat, 0) + ((here @ concordance) * there).sum(axis=1)
            counted[repeat] = counted.get(repeat, 0) + here.sum(axis=1) * there.sum(axis=1)
        with np.errstate(invalid="ignore"):
            of_repeats = [won[repeat] / counted[repeat] for repeat in won]
        areas.append(np.mean(of_repeats, axis=0) if of_repeats else np.full(len(times), np.nan))
    return np.mean(areas, axis=0)


def auc_influence(verdicts: Verdicts) -> np.ndarray:
    """Return how far each person (P,) moves the area; the squares sum to DeLong's variance [1]_.

    Of one model this is DeLong's estimate exactly. Over folds and repeats a person's parts are
    added up, so that the same person in several repeats is not taken for several people.
    """
    names, place = np.unique(verdicts.persons, return_inverse=True)
    moved = np.zeros(len(names))
    for positive in verdicts.positives:
        pairs = list(verdicts.pairs(positive))
        repeats = sorted({repeat for repeat, *_ in pairs})
        for repeat in repeats:
            own = [parts for number, *parts in pairs if number == repeat]
            n_pairs = sum(c.size for _, _, c in own)
            area = sum(c.sum() for _, _, c in own) / n_pairs
            share = n_pairs * len(repeats) * len(verdicts.positives)
            n_having, n_lacking = (sum(len(part[side]) for part in own) for side in (0, 1))
            for having, lacking, concordance in own:
                above = (concordance - area).sum(axis=1) * _unbiased(n_having)
                below = (concordance - area).sum(axis=0) * _unbiased(n_lacking)
                np.add.at(moved, place[having], above / share)
                np.add.at(moved, place[lacking], below / share)
    return moved


def judge_verdicts(verdicts: Verdicts, *, seed: int = 0) -> dict[str, Interval]:
    """Return every figure with its 95 % interval, persons drawn with replacement.

    Returns
    -------
    dict
        `auc`; `balanced_accuracy`, `macro_f1`, `accuracy` of the decisions; of two classes
        `sensitivity` and `specificity`. A person judged in several repeats counts once: by the
        mean over the repeats.
    """
    rng = np.random.default_rng(seed)
    tables = confusions_by_person(verdicts)
    times = draws(len(tables), rng)
    found = {"auc": interval(auc(verdicts), auc_draws(verdicts, times))}
    drawn, whole = drawn_sums(times, tables), tables.sum(axis=0)[None]
    for score, rule in _rules(verdicts.n_classes).items():
        found[score] = interval(float(rule(whole)[0]), rule(drawn))
    return {score: _widened(figure, verdicts.widening) for score, figure in found.items()}


def confusions_by_person(verdicts: Verdicts) -> np.ndarray:
    """Return the confusion (P, K, K) of each person, truth in rows, summing to 1."""
    k = verdicts.n_classes
    tables = np.zeros((len(verdicts.labels), k, k))
    tables[np.arange(len(tables)), verdicts.labels, verdicts.decisions] = 1
    summed = sum_by_person(tables, verdicts.persons.tolist())
    return summed / summed.sum(axis=(1, 2), keepdims=True)


def confusion_by_cohort(verdicts: Verdicts) -> dict[str, np.ndarray]:
    """Return {cohort: confusion (K, K)}: persons, averaged over the repeats."""
    names, first = np.unique(verdicts.persons, return_index=True)
    tables, cohorts = confusions_by_person(verdicts), verdicts.cohorts[first]
    return {str(name): tables[cohorts == name].sum(axis=0) for name in np.unique(cohorts)}


def compare_verdicts(first: Verdicts, second: Verdicts, *, seed: int = 0) -> Difference:
    """Compare two encoders on the same persons in the same folds.

    Raises
    ------
    ValueError
        If persons, labels or folds differ.
    """
    for what in ("persons", "labels", "models", "repeats"):
        if not np.array_equal(getattr(first, what), getattr(second, what)):
            raise ValueError(
                f"the two encoders were judged on other {what}: compare like with like"
            )
    gained = auc(second) - auc(first)
    moved = auc_influence(second) - auc_influence(first)
    spread = float(np.linalg.norm(moved)) * first.widening
    normal = NormalDist()
    reach = normal.inv_cdf(0.5 + LEVEL / 2) * spread
    p = 2 * normal.cdf(-abs(gained) / spread) if spread else 1.0
    tables = [confusions_by_person(side) for side in (first, second)]
    rule = _rules(first.n_classes)["balanced_accuracy"]
    scores = [float(rule(side.sum(axis=0)[None])[0]) for side in tables]
    return Difference(
        Interval(gained, gained - reach, gained + reach),
        p if np.isfinite(gained) else float("nan"),
        scores[1] - scores[0],
        permutation_p(tables[0], tables[1], rule, np.random.default_rng(seed)),
    )


def roc_curve(verdicts: Verdicts, positive: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return false and true positive rates over a grid of thresholds, the mean over the models.

    Each model has its own scale, so curves are averaged at equal false positive rates.
    """
    grid, curves, weights = np.linspace(0, 1, 101), [], []
    for _, having, lacking, _ in verdicts.pairs(positive):
        score = verdicts.proba[:, positive]
        cuts = np.concatenate([[np.inf], np.unique(score[[*having, *lacking]])[::-1]])
        false = (score[lacking][:, None] >= cuts).mean(axis=0)
        true = (score[having][:, None] >= cuts).mean(axis=0)
        curves.append(np.interp(grid, false, true))
        weights.append(len(having) * len(lacking))
    if not curves:
        return grid, np.full_like(grid, np.nan)
    return grid, np.average(curves, axis=0, weights=weights)


def _rules(n_classes: int) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Return how each figure follows from confusions (R, K, K)."""
    rules: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        score: lambda tables, score=score: metrics_stack(tables, score)  # type: ignore[misc]
        for score in COUNTED
    }
    if n_classes == 2:
        rules["sensitivity"] = lambda tables: _recall(tables, 1)
        rules["specificity"] = lambda tables: _recall(tables, 0)
    return rules


def _recall(tables: np.ndarray, label: int) -> np.ndarray:
    """Return the share (R,) of a class that was told right, NaN without such a person."""
    there = tables[:, label].sum(axis=-1)
    share = np.full(len(tables), np.nan)
    return np.divide(tables[:, label, label], there, out=share, where=there > 0)


def _widened(figure: Interval, factor: float) -> Interval:
    """Return a share with its interval stretched about it, within 0 and 1."""
    if not np.isfinite(figure.low):
        return figure
    low = max(0.0, figure.value - factor * (figure.value - figure.low))
    high = min(1.0, figure.value + factor * (figure.high - figure.value))
    return Interval(figure.value, low, high)


def _unbiased(n: int) -> float:
    """Return what turns a mean of n squares about their mean into an unbiased variance (root)."""
    return float(np.sqrt(n / (n - 1))) if n > 1 else 1.0
