"""Two predictions of the same nights: what the second gains, with an interval by person."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluation.metrics import Comparison, Interval, metrics_stack, sum_by_person


def paired_gain(
    before: Comparison,
    after: Comparison,
    score: str,
    *,
    persons: Sequence[str],
    rng: np.random.Generator,
    level: float = 0.95,
    n_resamples: int = 2000,
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
    n_persons, n_classes = len(summed[0]), summed[0].shape[-1]
    times = rng.multinomial(n_persons, np.full(n_persons, 1 / n_persons), size=n_resamples)
    drawn = [
        metrics_stack(
            (times @ side.reshape(n_persons, -1)).reshape(-1, n_classes, n_classes), score
        )
        for side in summed
    ]
    tails = (0.5 - level / 2, 0.5 + level / 2)
    low, high = np.nanquantile(drawn[1] - drawn[0], tails)
    return Interval(after.pooled[score] - before.pooled[score], float(low), float(high))
