"""All nights of a run together: hand-made confusions, the published line, gains by person."""

from __future__ import annotations

import numpy as np
import pytest

from nights.hypnogram import Hypnogram
from staging.pooled import pooled_agreement, published_line, told
from staging.results import in_classes_of


def night(name: str, right_before: int, right_after: int, n: int = 10) -> dict:
    """A night of `n` epochs of N2, called N2 or N1."""

    def counts(right: int) -> dict:
        confusion = np.zeros((5, 5), dtype=int)
        confusion[2, 2], confusion[2, 1] = right, n - right
        return {"confusion": confusion.tolist()}

    agreed = {"uncorrected": counts(right_before), "result": counts(right_after)}
    return {"night": name, "agreement": agreed}


def test_counts_are_summed_before_anything_is_computed() -> None:
    found = pooled_agreement([night("a", 5, 7), night("b", 9, 9, n=30)])
    assert found["uncorrected"]["accuracy"] == pytest.approx(14 / 40)
    assert found["result"]["accuracy"] == pytest.approx(16 / 40)
    assert found["gain"]["accuracy"]["value"] == pytest.approx(2 / 40)
    assert found["n_persons"] == 2


def test_two_nights_of_one_person_are_one_in_the_draws() -> None:
    found = pooled_agreement([night("p1n1", 5, 9), night("p1n2", 5, 5)], person_letters=2)
    gain = found["gain"]["accuracy"]
    assert found["n_persons"] == 1
    assert gain["low"] == gain["high"] == pytest.approx(gain["value"])


def test_the_published_line_has_each_score_raw_then_corrected() -> None:
    found = pooled_agreement([night("a", 5, 10)])
    numbers = [float(number) for number in published_line(found).split(", ")]
    assert numbers[:2] == [0.5, 1.0]
    assert numbers[2:4] == [pytest.approx(found[w]["macro_f1"]) for w in ("uncorrected", "result")]
    assert len(numbers) == 6


def test_a_correction_that_does_not_help_says_so() -> None:
    assert "did not help" in told(pooled_agreement([night("a", 5, 4), night("b", 5, 5)]))[-1]
    assert "did not help" not in "".join(told(pooled_agreement([night("a", 5, 6)])))


def test_nights_without_a_scoring_count_nowhere() -> None:
    assert pooled_agreement([{"night": "a", "agreement": None}]) == {}
    assert told({}) == []


def test_a_scoring_in_pages_of_20_s_is_laid_on_epochs_of_30_s() -> None:
    pages = Hypnogram(np.repeat([0, 2, 3], [3, 6, 3]), epoch_s=20.0)  # changes at 60 s and 180 s
    epochs = in_classes_of(Hypnogram(np.zeros(8, dtype=int)), pages)
    assert epochs.epoch_s == 30
    assert epochs.stages.tolist() == [0, 0, 2, 2, 2, 2, 3, 3]
