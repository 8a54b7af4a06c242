"""Two stagers on the same nights: what differs is refused by name, the same has p of one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluation.metrics import SCORES
from evaluation.outputs import NightOutput
from evaluation.paired import NightsDifferError, compare_pair, matched
from nights.stages import FOUR_CLASSES, STAGES


def stager(rng: np.random.Generator, right: float, n: int = 12) -> list[NightOutput]:
    """Nights of `n / 2` people whose scoring depends on the night alone."""
    found = []
    for number in range(n):
        labels = np.random.default_rng(number).integers(0, 5, 200)
        said = np.where(rng.random(200) < right, labels, rng.integers(0, 5, 200))
        found.append(NightOutput(f"n{number}", f"p{number // 2}", labels, stages=said))
    return found


def test_a_better_stager_gains_and_the_gain_is_the_difference(rng: np.random.Generator) -> None:
    first, second = stager(rng, 0.6), stager(rng, 0.75)
    gains, before, after = compare_pair(first, second[::-1])  # in any order
    assert list(gains) == [*SCORES, *(f"F1 of {stage}" for stage in STAGES)]
    for score in SCORES:
        found = gains[score]
        assert found.first == before.pooled[score]
        assert found.gain.value == pytest.approx(after.pooled[score] - before.pooled[score])
        assert 0 < found.gain.low < found.gain.value < found.gain.high
        # six persons can be exchanged in 64 ways: both extremes are 2 of them
        assert found.p == pytest.approx(2 / 64, abs=0.01)


def test_the_same_stager_gains_nothing(rng: np.random.Generator) -> None:
    one = stager(rng, 0.6)
    gains, _, _ = compare_pair(one, one)
    assert {(g.gain.value, g.gain.low, g.gain.high, g.p) for g in gains.values()} == {(0, 0, 0, 1)}


def test_epochs_on_which_one_is_silent_count_for_neither(rng: np.random.Generator) -> None:
    first, second = stager(rng, 0.6), stager(rng, 0.75)
    silent = [replace(n, stages=np.where(np.arange(200) < 50, -1, n.stages)) for n in second]
    _, before, after = compare_pair(first, silent)
    assert before.pooled["n_epochs"] == after.pooled["n_epochs"] == 12 * 150


def test_nights_that_differ_are_named(rng: np.random.Generator) -> None:
    first, second = stager(rng, 0.6), stager(rng, 0.75)
    with pytest.raises(NightsDifferError, match="not in the second file: n10, n11"):
        matched(first, second[:10])
    with pytest.raises(NightsDifferError, match="not in the first file: n0$"):
        matched(first[1:], second)
    other = [replace(second[0], labels=np.zeros(200, int)), *second[1:]]
    with pytest.raises(NightsDifferError, match="other labels in the second file: n0"):
        matched(first, other)
    moved = [replace(second[3], person="x"), *(n for n in second if n.night != "n3")]
    with pytest.raises(NightsDifferError, match="other person in the second file: n3"):
        matched(first, moved)


def test_stagers_of_other_stages_are_not_compared() -> None:
    labels = np.array([0, 1, 2])
    one = NightOutput("n", "p", labels, stages=labels)
    with pytest.raises(NightsDifferError, match="different stages"):
        matched([one], [replace(one, classes=FOUR_CLASSES)])
