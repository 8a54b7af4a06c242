"""Simulated disorders do to a night what they are said to do, and no more."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.statistics import sleep_statistics
from nights.hypnogram import Hypnogram
from recordings.simulate.disorders import add_disorder, draw_patients
from recordings.simulate.stages import draw_stages


def medians(disorder: str, strength: float = 1.0, n: int = 40) -> dict[str, tuple[float, float]]:
    """Median statistics of healthy nights, and of the same nights with the disorder."""
    sides: tuple[list, list] = ([], [])
    for seed in range(n):
        rng = np.random.default_rng(seed)
        healthy = draw_stages(rng, 900)
        ill = add_disorder(rng, healthy, disorder, strength)
        assert len(ill) == len(healthy)
        assert ill.dtype == np.int8
        for side, stages in zip(sides, (healthy, ill), strict=True):
            side.append(sleep_statistics(Hypnogram(stages)))
    names = ("rem_latency_min", "sol_min", "waso_min")
    return {
        name: tuple(float(np.nanmedian([s[name] for s in side])) for side in sides)
        for name in names
    }


def test_narcolepsy_brings_early_r_and_breaks_sleep() -> None:
    found = medians("narcolepsy")
    assert found["rem_latency_min"][1] < 0.7 * found["rem_latency_min"][0]
    assert found["sol_min"][1] < found["sol_min"][0]
    assert found["waso_min"][1] > 1.3 * found["waso_min"][0]


def test_insomnia_takes_long_to_fall_asleep_and_lies_awake() -> None:
    found = medians("insomnia")
    assert found["sol_min"][1] > found["sol_min"][0] + 20
    assert found["waso_min"][1] > found["waso_min"][0] + 30


@pytest.mark.parametrize(("disorder", "strength"), [("nothing", 1.0), ("narcolepsy", 0.0)])
def test_nothing_changes_nothing(disorder: str, strength: float) -> None:
    rng = np.random.default_rng(0)
    healthy = draw_stages(rng, 600)
    np.testing.assert_array_equal(add_disorder(rng, healthy, disorder, strength), healthy)


def test_every_second_person_is_ill_and_keeps_age_and_sex() -> None:
    nights = list(draw_patients(6, "insomnia", per_person=2))
    assert [ill for _, ill in nights] == [False, False, True, True] * 3
    by_person: dict[str, list] = {}
    for night, _ in nights:
        by_person.setdefault(night.person, []).append(night.known)
    assert all(first == second for first, second in by_person.values())
    assert len({night.name for night, _ in nights}) == 12
