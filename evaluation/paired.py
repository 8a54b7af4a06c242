"""Two predictions of the same nights: what the second gains, with interval and test by person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.bootstrap import (
    LEVEL,
    N_RESAMPLES,
    Interval,
    drawn_sums,
    draws,
    interval,
    permutation_p,
    sum_by_person,
)
from evaluation.metrics import Comparison, compare, metrics_stack, score_rules
from evaluation.outputs import NightOutput
from nights.splits import listed


@dataclass(frozen=True)
class Gain:
    """A pooled metric on both sides, second minus first with its interval, and p of no gain."""

    first: float
    second: float
    gain: Interval
    p: float


class NightsDifferError(ValueError):
    """Two stagers were not judged on the same nights."""


def paired_gain(
    before: Comparison,
    after: Comparison,
    score: str,
    *,
    persons: Sequence[str],
    rng: np.random.Generator,
    level: float = LEVEL,
    n_resamples: int = N_RESAMPLES,
) -> Interval:
    """Return the difference of a pooled metric, after minus before, with its interval.

    Persons are drawn with replacement, the same ones on both sides.

    Parameters
    ----------
    before, after : Comparison
        Of the same nights.
    score : str
        One of `evaluation.metrics.SCORES`.
    persons : sequence of str
        Who slept each night.
    rng : numpy.random.Generator
        Where the draws come from.
    level : float
        Coverage of the interval.
    n_resamples : int
        Number of draws.
    """
    summed = [sum_by_person(side.confusions, persons) for side in (before, after)]
    times = draws(len(summed[0]), rng, n_resamples)
    drawn = [metrics_stack(drawn_sums(times, side), score) for side in summed]
    return interval(after.pooled[score] - before.pooled[score], drawn[1] - drawn[0], level)


def compare_pair(
    first: Sequence[NightOutput], second: Sequence[NightOutput], *, seed: int = 0
) -> tuple[dict[str, Gain], Comparison, Comparison]:
    """Compare two stagers on the same nights, by the epochs that both gave a stage to.

    Parameters
    ----------
    first, second : sequence of NightOutput
        The same nights with the same labels, in any order, each once.
    seed : int
        Of the draws of persons.

    Returns
    -------
    gains : dict of Gain
        Of `accuracy`, `kappa` ... and of F1 of each stage, as `F1 of N1`.
    first, second : Comparison
        Both sides, in the order of the nights of `first`.

    Raises
    ------
    NightsDifferError
        Naming the nights that are on one side only or carry other labels.
    """
    pairs = matched(first, second)
    spoken = [(a.stages >= 0) & (b.stages >= 0) for a, b in pairs]
    n_classes = len(pairs[0][0].classes)
    truths = [np.where(both, a.labels, -1) for (a, _), both in zip(pairs, spoken, strict=True)]
    sides = [compare(truths, [pair[which].stages for pair in pairs], n_classes) for which in (0, 1)]
    summed = [sum_by_person(side.confusions, [a.owner for a, _ in pairs]) for side in sides]
    rules = score_rules(pairs[0][0].classes)
    return {name: _gain(summed, rule, seed) for name, rule in rules.items()}, sides[0], sides[1]


def matched(
    first: Sequence[NightOutput], second: Sequence[NightOutput]
) -> list[tuple[NightOutput, NightOutput]]:
    """Return the pairs of entries of the same night; refuse others, naming the nights."""
    own, others = ({(n.dataset, n.night): n for n in side} for side in (first, second))
    for here, there, words in ((own, others, "second"), (others, own, "first")):
        if missing := [night for _, night in here.keys() - there.keys()]:
            raise NightsDifferError(f"not in the {words} file: {listed(sorted(missing))}")
    pairs = [(one, others[key]) for key, one in own.items()]
    if any(a.classes != b.classes for a, b in pairs):
        raise NightsDifferError(
            "the two stagers tell different stages apart: compare like with like"
        )
    for what in ("person", "labels"):
        wrong = [
            a.night for a, b in pairs if not np.array_equal(getattr(a, what), getattr(b, what))
        ]
        if wrong:
            raise NightsDifferError(f"other {what} in the second file: {listed(sorted(wrong))}")
    return pairs


def _gain(
    summed: Sequence[np.ndarray], rule: Callable[[np.ndarray], np.ndarray], seed: int
) -> Gain:
    """Return the gain in one metric from the confusions by person of both sides."""
    rng = np.random.default_rng(seed)
    first, second = (float(rule(side.sum(axis=0)[None])[0]) for side in summed)
    times = draws(len(summed[0]), rng)
    drawn = [rule(drawn_sums(times, side)) for side in summed]
    p = permutation_p(summed[0], summed[1], rule, rng)
    return Gain(first, second, interval(second - first, drawn[1] - drawn[0]), p)
