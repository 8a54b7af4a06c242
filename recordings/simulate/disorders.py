"""Hypnograms of people with a disorder, by changing those of healthy ones: a known effect.

Narcolepsy-like: sleep begins at once, R comes within minutes of it in part of the nights, and sleep
breaks up (Dauvilliers et al. 2007, Lancet 369: 499). Insomnia-like: it takes long to fall asleep
and long stretches of wake lie within the night (Baglioni et al. 2014, Psychol Bull 140: 862). How
much of it there is, is the caller's; 0 leaves a night as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from nights.sequences import StageNight
from nights.stages import N1, R, W
from recordings.simulate.cohort import YEARS
from recordings.simulate.stages import EPOCHS_PER_MIN, draw_stages

Disorder = Literal["narcolepsy", "insomnia", "nothing"]
# Share of nights of narcolepsy type 1 with R within 15 minutes of sleep onset: about one half
# (Andlauer et al. 2013, JAMA Neurol 70: 891)
EARLY_R = 0.5
BREAKS_PER_HOUR = 4.0  # further awakenings in broken sleep
LATENCY_MIN, WAKE_MIN = 35.0, 60.0  # further minutes awake before and within insomniac sleep


def add_disorder(
    rng: np.random.Generator, stages: np.ndarray, disorder: Disorder, strength: float = 1.0
) -> np.ndarray:
    """Return the night as somebody with the disorder would have slept it.

    Parameters
    ----------
    rng : numpy.random.Generator
    stages : int8 array (E,)
        A healthy night from lights off; the result is as long.
    disorder : str
        `narcolepsy`, `insomnia`, or `nothing`, which changes nothing.
    strength : float
        0 none of it; 1 as in the literature, with a spread between nights.
    """
    if disorder == "nothing" or strength == 0:
        return stages.copy()
    amount = strength * rng.lognormal(0, 0.5)
    if disorder == "insomnia":
        return _sleepless(rng, stages, amount)
    return _broken(rng, _early_r(rng, stages, strength), amount)


def draw_patients(
    n_persons: int,
    disorder: Disorder,
    *,
    strength: float = 1.0,
    per_person: int = 1,
    hours: float = 7.5,
    site: str = "SIM",
    seed: int = 0,
) -> Iterator[tuple[StageNight, bool]]:
    """Yield nights of `n_persons` people, every second one ill, and whether they are.

    Age and sex are drawn alike for both; a person keeps them.
    """
    for person in range(n_persons):
        rng = np.random.default_rng([seed, person])
        ill, age = bool(person % 2), float(round(rng.uniform(*YEARS)))
        known = {"age": age, "sex": float(rng.integers(2))}
        for night in range(per_person):
            n_epochs = round(60 * EPOCHS_PER_MIN * (hours + rng.normal(0, 0.4)))
            stages = draw_stages(rng, n_epochs, age=age)
            if ill:
                stages = add_disorder(rng, stages, disorder, strength)
            name = f"{site}P{person:04d}"
            yield StageNight(site, f"{name}N{night + 1}", name, stages, known), ill


def _early_r(rng: np.random.Generator, stages: np.ndarray, strength: float) -> np.ndarray:
    """Let sleep begin within minutes, and in part of the nights R soon after."""
    onset = int(np.argmax(stages > W))
    latency = min(onset, round(rng.lognormal(np.log(4), 0.5) * EPOCHS_PER_MIN))
    slept = np.concatenate([stages[:latency], stages[onset:]])
    if rng.random() < min(1.0, EARLY_R * strength):
        first = latency + int(rng.integers(2, 15 * EPOCHS_PER_MIN))
        early = np.full(int(rng.integers(5, 20)) * EPOCHS_PER_MIN, R, np.int8)
        slept = np.insert(slept, min(first, len(slept)), early)
    return _as_long(slept, len(stages))


def _broken(rng: np.random.Generator, stages: np.ndarray, amount: float) -> np.ndarray:
    """Put short awakenings with N1 behind them anywhere into sleep."""
    broken, asleep = stages.copy(), np.flatnonzero(stages > W)
    n_breaks = rng.poisson(BREAKS_PER_HOUR * amount * len(asleep) / (60 * EPOCHS_PER_MIN))
    for first in rng.choice(asleep, min(n_breaks, len(asleep)), replace=False):
        n_awake = int(rng.integers(1, 4))
        broken[first : first + n_awake] = W
        broken[first + n_awake : first + n_awake + 2] = N1
    return broken


def _sleepless(rng: np.random.Generator, stages: np.ndarray, amount: float) -> np.ndarray:
    """Add wake before sleep and in one to three stretches within it."""
    before = round(rng.lognormal(np.log(LATENCY_MIN * amount), 0.4) * EPOCHS_PER_MIN)
    night = np.concatenate([np.full(before, W, np.int8), stages])
    within = round(rng.lognormal(np.log(WAKE_MIN * amount), 0.4) * EPOCHS_PER_MIN)
    for part in np.array_split(np.full(within, W, np.int8), int(rng.integers(1, 4))):
        night = np.insert(night, int(rng.integers(before, len(night))), part)
    return _as_long(night, len(stages))


def _as_long(stages: np.ndarray, n_epochs: int) -> np.ndarray:
    """Cut to the length of the recording, or fill up with wake."""
    missing = max(0, n_epochs - len(stages))
    return np.concatenate([stages[:n_epochs], np.full(missing, W, np.int8)]).astype(np.int8)
