"""The sleeper and the course of the night: a semi-Markov model of stages inside NREM-R cycles.

A bout of a stage has its own distribution of lengths (semi-Markov: the chance to leave depends on
how long the bout has lasted), and the next stage depends on where in the cycle the night stands:
N3 fills the first cycles and R the last ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nights.stages import N1, N2, N3, R, W

EPOCHS_PER_MIN = 2

# Median length of a bout in epochs and the standard deviation of its logarithm. Wake inside sleep
# is mostly one epoch with rare long stretches, N3 and R hold together (Kishi et al. 2008, Am J
# Physiol 294: R1980; Lo et al. 2004, PNAS 101: 17545).
_BOUT_EPOCHS = {W: (1.6, 0.8), N1: (2.0, 0.6), N2: (9.0, 0.8), N3: (12.0, 0.7), R: (12.0, 0.7)}

# Where a bout of NREM sleep goes next; the weight of N2 -> N3 is set by the sleep pressure.
_NEXT_IN_NREM = {
    W: {N1: 0.80, N2: 0.20},
    N1: {N2: 0.85, W: 0.15},
    N2: {N3: 0.0, W: 0.35, N1: 0.20},
    N3: {N2: 0.90, W: 0.05, N1: 0.05},
    R: {N2: 0.80, W: 0.20},
}
_NEXT_IN_R = {
    R: {W: 0.45, N1: 0.30, N2: 0.25},
    W: {N1: 0.50, R: 0.50},
    N1: {R: 1.0},
    N2: {R: 1.0},
    N3: {N2: 1.0},
}


@dataclass(frozen=True)
class Person:
    """Who sleeps: the traits that differ between people and stay over the night.

    Parameters
    ----------
    age : float
        Years; with age sleep breaks up, N3 and slow waves shrink, alpha and spindles slow down.
    ahi : float
        Apneas and hypopneas per hour of sleep.
    heart_bpm, breaths_per_min : float
        Rates in quiet N2.
    alpha_hz, spindle_hz : float
        Frequencies of the occipital rhythm and of the centro-parietal spindles.
    alpha_scale, slow_wave_scale, spindle_scale, muscle_scale : float
        Amplitudes relative to the average person of that age.
    """

    age: float
    ahi: float
    heart_bpm: float
    breaths_per_min: float
    alpha_hz: float
    spindle_hz: float
    alpha_scale: float
    slow_wave_scale: float
    spindle_scale: float
    muscle_scale: float

    @classmethod
    def draw(cls, rng: np.random.Generator, age: float, ahi: float) -> Person:
        """Draw a person of that age and apnea-hypopnea index."""
        old = np.clip((age - 20) / 60, 0, 1)
        return cls(
            age=age,
            ahi=ahi,
            heart_bpm=float(np.clip(rng.normal(60, 6), 46, 78)),
            breaths_per_min=float(np.clip(rng.normal(14.5, 1.5), 11, 18)),
            alpha_hz=float(np.clip(rng.normal(10.3 - 1.0 * old, 0.5), 8.3, 11.8)),
            spindle_hz=float(np.clip(rng.normal(13.4, 0.4), 12.3, 14.6)),
            alpha_scale=float(rng.lognormal(0, 0.25)),
            slow_wave_scale=float((1 - 0.4 * old) * rng.lognormal(0, 0.12)),
            spindle_scale=float((1 - 0.2 * old) * rng.lognormal(0, 0.15)),
            muscle_scale=float(rng.lognormal(0, 0.25)),
        )


def draw_stages(rng: np.random.Generator, n_epochs: int, *, age: float = 40.0) -> np.ndarray:
    """Draw the stages of one night.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of every random choice.
    n_epochs : int
        Length of the recording in epochs of 30 s, from lights off.
    age : float
        Years; sets fragmentation and the share of N3 (Ohayon et al. 2004, Sleep 27: 1255).

    Returns
    -------
    int8 array (n_epochs,)
        W N1 N2 N3 R = 0..4. A night of five hours or more ends with some minutes awake; a short
        one is the first part of a night with a short sleep latency.
    """
    old = float(np.clip((age - 20) / 60, 0, 1))
    latency = min(rng.lognormal(np.log(12 + 8 * old), 0.5) * EPOCHS_PER_MIN, 0.2 * n_epochs)
    bouts = [(W, max(1, round(latency)))]
    slept, cycle = bouts[0][1], 0
    while slept < n_epochs:
        bouts += _draw_cycle(rng, cycle, old)
        slept = sum(length for _, length in bouts)
        cycle += 1
    stages = np.concatenate([np.full(length, stage, np.int8) for stage, length in bouts])[:n_epochs]
    if n_epochs >= 300 * EPOCHS_PER_MIN:
        stages[-int(rng.integers(4, 20)) :] = W
    return stages


def _draw_cycle(rng: np.random.Generator, cycle: int, old: float) -> list[tuple[int, int]]:
    """Draw the bouts (stage, epochs) of one NREM-R cycle, about 90 minutes long."""
    nrem = EPOCHS_PER_MIN * np.clip(rng.normal(75 - 3 * cycle, 10), 40, 100)
    rem = EPOCHS_PER_MIN * np.clip(rng.normal(10 + 7 * cycle, 4), 3, 45)
    deep = (1.3 - 0.8 * old) * np.exp(-cycle / 1.6)  # sleep pressure decays over the night
    bouts = _draw_bouts(rng, nrem, N1 if cycle == 0 else N2, _NEXT_IN_NREM, old=old, deep=deep)
    if bouts[-1][0] != N2:
        bouts.append((N2, int(rng.integers(2, 8))))
    return bouts + _draw_bouts(rng, rem, R, _NEXT_IN_R, old=old, deep=0.0)


def _draw_bouts(
    rng: np.random.Generator,
    epochs: float,
    stage: int,
    next_stage: dict[int, dict[int, float]],
    *,
    old: float,
    deep: float,
) -> list[tuple[int, int]]:
    """Draw bouts from `stage` on until `epochs` are filled."""
    bouts: list[tuple[int, int]] = []
    filled = 0
    while filled < epochs:
        median, spread = _BOUT_EPOCHS[stage]
        median *= {W: 1 + old, N2: 1 - 0.3 * old, N3: 0.5 + 0.6 * min(deep, 1)}.get(stage, 1.0)
        length = max(1, round(rng.lognormal(np.log(median), spread)))
        length = min(length, max(1, round(epochs - filled)))
        bouts.append((stage, length))
        filled += length
        stage = _draw_next(rng, next_stage[stage], deep)
    return bouts


def _draw_next(rng: np.random.Generator, weights: dict[int, float], deep: float) -> int:
    """Draw the next stage; `deep` takes the place of the weight of N3 where that is open."""
    stages = list(weights)
    chance = np.array([deep if stage == N3 else weight for stage, weight in weights.items()])
    return stages[int(rng.choice(len(stages), p=chance / chance.sum()))]
