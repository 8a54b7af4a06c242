"""Whether to correct at all, and how: decided on people other than those to be corrected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from engine.denoising import JudgedNight
from evaluation.metrics import Comparison, compare
from nights.stages import UNSCORED
from staging.outputs import raw_stages

ABSTAINS = "abstains"
MARGIN = 1.645  # standard errors: chance alone exceeds it once in twenty
Stages = list[np.ndarray]  # int8 (E,), one array a night


def choose(nights: Sequence[JudgedNight], options: Mapping[str, Stages]) -> str:
    """Return the option that gains most on these nights, or `abstains`.

    An option counts if its gain in accuracy over the best single stager exceeds `MARGIN` standard
    errors of that gain over persons, and macro-F1 does not fall: correction likes to pay for
    accuracy with N1.

    Parameters
    ----------
    nights : sequence of JudgedNight
        Scored nights of people none of the options has learned from.
    options : mapping of str to list of int8 arrays (E,)
        What each option makes of every night.
    """
    persons = [night.person for night in nights]
    truths = [compared(night) for night in nights]
    base = best_single(nights)
    best, gain = ABSTAINS, 0.0
    for name, stages in options.items():
        found = compare(truths, stages)
        reached = found.pooled["accuracy"] - base.pooled["accuracy"]
        worse_f1 = found.pooled["macro_f1"] < base.pooled["macro_f1"]
        least = MARGIN * _standard_error(base, found, persons)
        if reached > max(gain, least) and not worse_f1:
            best, gain = name, reached
    return best


def best_single(nights: Sequence[JudgedNight]) -> Comparison:
    """Return the agreement of the most accurate single stager."""
    truths = [compared(night) for night in nights]
    each = [
        compare(truths, [raw_stages(night, stager) for night in nights])
        for stager in range(nights[0].evidence.shape[1])
    ]
    return max(each, key=lambda found: found.pooled["accuracy"])


def compared(night: JudgedNight) -> np.ndarray:
    """Return the scoring (E,) of the epochs of which every stager said something, else -1.

    Otherwise a correction could gain by the epochs it keeps silent about.
    """
    heard = np.isfinite(night.evidence).all(axis=(1, 2))
    return np.where(heard, night.stages, UNSCORED)


def _standard_error(before: Comparison, after: Comparison, persons: Sequence[str]) -> float:
    """Return the standard error of the pooled gain in accuracy, persons being the sample."""
    gained = np.trace(after.confusions - before.confusions, axis1=1, axis2=2).astype(float)
    _, of_night = np.unique(persons, return_inverse=True)
    by_person = np.bincount(of_night, gained)
    size = np.bincount(of_night, before.confusions.sum(axis=(1, 2)))
    residual = by_person - size * by_person.sum() / size.sum()
    n_persons = len(size)
    unbiased = n_persons / max(1, n_persons - 1)
    return float(np.sqrt(unbiased * (residual**2).sum()) / size.sum())
