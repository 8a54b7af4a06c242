"""The object passed between all parts: checks at its boundary, clock, runs."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nights.hypnogram import Hypnogram
from nights.stages import FOUR_CLASSES

PROBA = np.array([[0.7, 0.1, 0.1, 0.05, 0.05], [0.1, 0.1, 0.6, 0.1, 0.1]])


def test_stage_of_a_hypnodensity_is_its_largest_class() -> None:
    hypnogram = Hypnogram.from_proba(PROBA, scorer="a stager")
    assert hypnogram.stages.tolist() == [0, 2]
    assert hypnogram.scorer == "a stager"
    assert hypnogram.proba is not None
    assert hypnogram.proba.dtype == np.float32


def test_epochs_without_probabilities_are_unscored() -> None:
    proba = np.vstack([PROBA, np.full(5, np.nan)])
    hypnogram = Hypnogram.from_proba(proba)
    assert hypnogram.stages.tolist() == [0, 2, -1]
    assert hypnogram.scored.tolist() == [True, True, False]
    assert hypnogram.names == ["W", "N2", "?"]


@pytest.mark.parametrize(
    ("proba", "said"),
    [
        (PROBA[:1], r"\(1, 5\), wanted \(2, 5\)"),
        (PROBA[:, :4], r"\(2, 4\), wanted \(2, 5\)"),
        (PROBA * 0.9, "sum to 1"),
        (PROBA + np.array([-0.2, 0.2, 0, 0, 0]), "probabilities"),
    ],
)
def test_a_wrong_hypnodensity_is_refused(proba: np.ndarray, said: str) -> None:
    if said == "probabilities":
        proba = PROBA + np.array([-0.3, 0.3, 0, 0, 0])
    with pytest.raises(ValueError, match=said):
        Hypnogram(np.array([0, 2]), proba=proba)


def test_four_class_hypnograms_refuse_a_fifth_class() -> None:
    assert Hypnogram(np.array([1, 3]), classes=FOUR_CLASSES).names == ["L", "R"]
    with pytest.raises(ValueError, match="outside"):
        Hypnogram(np.array([4]), classes=FOUR_CLASSES)


def test_the_clock_counts_from_epoch_0_and_onsets_from_the_recording() -> None:
    hypnogram = Hypnogram(np.zeros(3, int), start=datetime(2020, 1, 1, 23, 59, 45), onset_s=15.0)
    assert hypnogram.clock(1) == datetime(2020, 1, 2, 0, 0, 15)
    assert hypnogram.onsets_s.tolist() == [15.0, 45.0, 75.0]
    assert Hypnogram(np.zeros(3, int)).clock(0) is None


def test_other_stages_drop_the_hypnodensity_unless_one_is_given() -> None:
    hypnogram = Hypnogram.from_proba(PROBA, notes=("as found",))
    changed = hypnogram.with_stages(np.array([1, 1]), scorer="corrected")
    assert changed.proba is None
    assert changed.notes == ("as found",)
    assert changed.scorer == "corrected"
    assert hypnogram.stages.tolist() == [0, 2]


def test_an_empty_hypnogram_has_no_runs() -> None:
    assert Hypnogram(np.array([], dtype=int)).runs() == []


@given(st.lists(st.integers(-1, 4), min_size=1, max_size=60))
def test_runs_put_together_give_the_stages_back(stages: list[int]) -> None:
    runs = Hypnogram(np.array(stages)).runs()
    assert [stage for _, n, stage in runs for _ in range(n)] == stages
    assert [first for first, _, _ in runs] == np.cumsum([0] + [n for _, n, _ in runs])[:-1].tolist()
    assert all(left[2] != right[2] for left, right in zip(runs, runs[1:], strict=False))
