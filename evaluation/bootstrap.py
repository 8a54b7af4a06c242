"""Intervals and tests with the person as the sample: nights of one person are never independent.

Sums of each person (a confusion, a count) are weighed by how often the person was drawn, so two
thousand draws of a thousand persons are one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

N_RESAMPLES = 2000  # draws of an interval
N_PERMUTATIONS = 5000  # draws of a test: the smallest p it can give is 1 / 5001
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A number with its bootstrap confidence interval."""

    value: float
    low: float
    high: float


def sum_by_person(values: np.ndarray, persons: Sequence[str] | None) -> np.ndarray:
    """Sum what each night gives (N, ...) by person (P, ...); None: every night is a person."""
    if persons is None:
        return values
    if len(persons) != len(values):
        raise ValueError(f"{len(values)} nights, {len(persons)} persons")
    names, of_night = np.unique(np.asarray(persons), return_inverse=True)
    summed = np.zeros((len(names), *values.shape[1:]), dtype=values.dtype)
    np.add.at(summed, of_night, values)
    return summed


def draws(n_persons: int, rng: np.random.Generator, n_resamples: int = N_RESAMPLES) -> np.ndarray:
    """Return how often each person is drawn, float64 (R, P): with replacement, P draws each."""
    even = np.full(n_persons, 1 / n_persons)
    return rng.multinomial(n_persons, even, size=n_resamples).astype(np.float64)


def drawn_sums(times: np.ndarray, by_person: np.ndarray) -> np.ndarray:
    """Return the sums (R, ...) of each draw of persons (R, P) from the sums by person (P, ...).

    In float64, which holds whole counts exactly and multiplies a hundred times faster than int64.
    """
    flat = times @ by_person.reshape(len(by_person), -1).astype(np.float64)
    return flat.reshape(len(times), *by_person.shape[1:])


def interval(value: float, drawn: np.ndarray, level: float = LEVEL) -> Interval:
    """Return the percentile interval of the values drawn (R,); NaN where none is defined."""
    drawn = drawn[np.isfinite(drawn)]
    if not drawn.size:
        return Interval(float(value), np.nan, np.nan)
    low, high = np.quantile(drawn, (0.5 - level / 2, 0.5 + level / 2))
    return Interval(float(value), float(low), float(high))


def permutation_p(
    first: np.ndarray,
    second: np.ndarray,
    score: Callable[[np.ndarray], np.ndarray],
    rng: np.random.Generator,
    n_permutations: int = N_PERMUTATIONS,
) -> float:
    """Return the two-sided p of a difference: what if both sides of a person were exchanged?

    Parameters
    ----------
    first, second : array (P, ...)
        Sums of each person on both sides.
    score : callable
        Sums (R, ...) -> numbers (R,).
    rng : numpy.random.Generator
        Decides, for each permutation, whose sides are exchanged.
    n_permutations : int
        The observed difference counts as one more, so p is never 0.
    """
    exchanged = rng.integers(0, 2, (n_permutations, len(first))).astype(np.float64)
    moved = drawn_sums(exchanged, second - first)
    found = score(second.sum(axis=0)[None]) - score(first.sum(axis=0)[None])
    under_chance = score(second.sum(axis=0) - moved) - score(first.sum(axis=0) + moved)
    # rounding must not tell apart what is equal
    as_large = np.abs(under_chance) >= np.abs(found) - 1e-12
    return float((1 + as_large.sum()) / (1 + n_permutations))
