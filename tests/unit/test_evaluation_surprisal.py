"""Surprisal: of the epoch that came, given those before it in its own stretch."""

from __future__ import annotations

import math

import numpy as np
import pytest

import models
from evaluation.surprisal import improbable_epochs, night_surprisal, surprisal
from nights.hypnogram import Hypnogram


def staying(share: float = 0.9) -> models.torch.nn.Module:
    """A chain that stays with probability `share`."""
    chain = models.create("markov", order=1)
    table = np.full((5, 5), (1 - share) / 4)
    np.fill_diagonal(table, share)
    chain.tables[1].copy_(models.torch.from_numpy(np.log(table)))
    return chain


def test_a_change_is_surprising_and_nothing_is_foretold_across_a_gap() -> None:
    night = Hypnogram(np.array([0, 0, 2, -1, 4, 4]))
    nats = surprisal(night, staying())
    stay, leave = -math.log(0.9), -math.log(0.025)
    assert np.allclose(nats, [np.nan, stay, leave, np.nan, np.nan, stay], equal_nan=True)
    assert night_surprisal(nats) == pytest.approx((2 * stay + leave) / 3)
    assert math.isnan(night_surprisal(np.full(3, np.nan)))


def test_the_most_improbable_epochs_come_first() -> None:
    nats = np.array([np.nan, 1.0, 5.0, 9.0, 4.0])
    assert improbable_epochs(nats) == [3, 2]
    assert improbable_epochs(nats, most=1) == [3]


def test_a_night_of_other_classes_is_refused() -> None:
    night = Hypnogram(np.array([0, 1]), classes=("W", "L", "D", "R"))
    with pytest.raises(ValueError, match="knows 5 stages, the night has 4: W L D R"):
        surprisal(night, staying())
