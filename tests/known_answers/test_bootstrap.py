"""Draws of persons and permutations against what they are meant to be, counted out."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from evaluation.bootstrap import drawn_sums, draws, interval, permutation_p, sum_by_person
from evaluation.metrics import compare, metrics_stack, score_rules
from nights.stages import STAGES


def accuracy(stack: np.ndarray) -> np.ndarray:
    """The pooled accuracy of each confusion."""
    return metrics_stack(stack, "accuracy")


def test_nights_are_summed_by_person() -> None:
    values = np.array([[1, 2], [3, 4], [10, 20]])
    assert sum_by_person(values, ["b", "a", "b"]).tolist() == [[3, 4], [11, 22]]
    assert sum_by_person(values, None) is values


def test_every_draw_has_as_many_persons_as_there_are(rng: np.random.Generator) -> None:
    times = draws(7, rng, 300)
    assert times.shape == (300, 7)
    assert (times.sum(axis=1) == 7).all()
    assert times.max() > 1


def test_sums_of_a_draw_are_those_of_the_persons_written_out(rng: np.random.Generator) -> None:
    by_person = rng.integers(0, 1000, (6, 5, 5))
    times = draws(6, rng, 20)
    found = drawn_sums(times, by_person)
    for number, counts in enumerate(times.astype(int)):
        written_out = np.repeat(by_person, counts, axis=0)
        np.testing.assert_array_equal(found[number], written_out.sum(axis=0))


def test_an_interval_leaves_out_what_is_undefined() -> None:
    found = interval(0.5, np.array([np.nan, *np.linspace(0, 1, 101)]))
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.025, 0.975))
    assert np.isnan(interval(np.nan, np.array([np.nan])).low)


def test_permutation_p_approaches_the_count_over_all_exchanges() -> None:
    rng = np.random.default_rng(5)
    n_right = rng.integers(60, 95, (2, 6))
    n_right[1] += 4
    sides = [
        np.stack([np.array([[n, 100 - n], [0, 0]]) for n in side]).astype(np.int64)
        for side in n_right
    ]
    gained = n_right[1] - n_right[0]
    every = [abs((np.array(signs) * gained).sum()) for signs in product((1, -1), repeat=6)]
    exact = np.mean(np.array(every) >= abs(gained.sum()))
    found = permutation_p(sides[0], sides[1], accuracy, rng, 20_000)
    assert found == pytest.approx(exact, abs=0.012)


def test_the_same_stager_twice_has_p_of_one(rng: np.random.Generator) -> None:
    side = rng.integers(0, 50, (8, 5, 5))
    assert permutation_p(side, side, accuracy, rng, 200) == 1


def test_p_is_even_when_there_is_no_difference() -> None:
    rng = np.random.default_rng(11)
    found = []
    for _ in range(120):
        sides = [np.stack([[[n, 50 - n], [0, 0]] for n in rng.binomial(50, 0.7, 12)]) for _ in "ab"]
        found.append(permutation_p(sides[0], sides[1], accuracy, rng, 400))
    assert 0.01 <= np.mean(np.array(found) < 0.05) <= 0.12
    assert np.mean(found) == pytest.approx(0.5, abs=0.1)


def test_rules_give_the_metrics_of_the_pooled_confusion(rng: np.random.Generator) -> None:
    truths = [rng.integers(0, 5, 200) for _ in range(4)]
    said = [np.where(rng.random(200) < 0.7, t, rng.integers(0, 5, 200)) for t in truths]
    found = compare(truths, said)
    total = found.confusions.sum(axis=0)[None]
    rules = score_rules(STAGES)
    for score in ("accuracy", "kappa", "macro_f1", "balanced_accuracy"):
        assert rules[score](total)[0] == pytest.approx(found.pooled[score])
    for stage in STAGES:
        assert rules[f"F1 of {stage}"](total)[0] == found.pooled["per_stage_f1"][stage]
