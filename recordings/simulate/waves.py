"""The waves by which sleep is scored, one by one: slow waves, K-complexes, spindles and the rest.

Shapes and rates follow the AASM manual (2.6) and the sources named beside the constants. An
amplitude is that of the main peak in the region where the wave is largest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nights.stages import N2, N3
from recordings.simulate.events import Plan
from recordings.simulate.synthesis import add_pulses, bell

# Gain of each wave in frontal, central, occipital and midline regions.
Gains = tuple[float, float, float, float]
LOBES = ("frontal", "central", "occipital", "midline")
_TRAVEL_S = (0.0, 0.03, 0.08, 0.02)  # slow waves travel to the back (Massimini et al. 2004)


@dataclass(frozen=True)
class Wave:
    """One kind of wave: when it comes, how large it is, what it looks like and where it is seen."""

    times_s: np.ndarray  # (P,)
    amplitude_uv: np.ndarray  # (P,)
    shape: Callable[[np.ndarray], np.ndarray]  # seconds (P, m) -> height (P, m), main peak 1
    reach_s: tuple[float, float]  # before and after the moment
    gains: Gains
    delays_s: Gains = (0.0, 0.0, 0.0, 0.0)


def draw_waves(rng: np.random.Generator, plan: Plan) -> list[Wave]:
    """Draw every wave of the night."""
    slow = _slow_waves(rng, plan)
    complexes = _k_complexes(rng, plan)
    return [
        slow,
        complexes,
        _spindles(rng, plan, np.concatenate([slow.times_s, complexes.times_s])),
        _vertex_waves(rng, plan),
        _sawtooth_waves(rng, plan),
    ]


def add_waves(
    rng: np.random.Generator, signal: np.ndarray, waves: list[Wave], lobe: str, rate_hz: float
) -> None:
    """Add all waves to the signal (n,) of one region, each wave with its own local size."""
    place = LOBES.index(lobe)
    for wave in waves:
        local = wave.gains[place] * wave.amplitude_uv * rng.lognormal(0, 0.15, len(wave.times_s))
        add_pulses(
            signal,
            rate_hz,
            wave.times_s + wave.delays_s[place],
            wave.shape,
            height=local,
            before_s=wave.reach_s[0],
            after_s=wave.reach_s[1],
        )


def sleep_pressure(times_s: np.ndarray) -> np.ndarray:
    """Return the size of slow activity over the night: it halves within two cycles, then levels."""
    return 0.65 + 0.65 * np.exp(-times_s / (2.5 * 3600))


def _slow_waves(rng: np.random.Generator, plan: Plan) -> Wave:
    """Slow waves: a sharp down-state, then a broader up-state; trains in N3, single ones in N2.

    AASM: 0.5-2 Hz and more than 75 uV peak to peak over the frontal leads, 20 % of an N3 epoch.
    """
    steps = rng.gamma(8, 1.35 / 8, int(plan.duration_s / 1.35))
    times = np.cumsum(steps)
    chance = np.array([0, 0, 0.07, 0.55, 0])[plan.stage_at(times)] * sleep_pressure(times)
    times = times[(rng.random(len(times)) < chance) & (times < plan.duration_s)]
    height = np.where(plan.stage_at(times) == N3, 85.0, 55.0) * sleep_pressure(times)
    width = rng.uniform(0.13, 0.21, len(times))[:, None]

    def shape(seconds: np.ndarray) -> np.ndarray:
        rise, peak = (
            bell(seconds, -2.4 * width, 1.2 * width),
            bell(seconds, 2.7 * width, 1.6 * width),
        )
        return 0.2 * rise - bell(seconds, 0, width) + 0.45 * peak

    amplitude = plan.person.slow_wave_scale * height * rng.lognormal(0, 0.3, len(times))
    gains = (0.75, 0.55, 0.35, 0.75)
    return Wave(times, amplitude, shape, (0.9, 1.4), gains, _TRAVEL_S)


def _k_complexes(rng: np.random.Generator, plan: Plan) -> Wave:
    """K-complexes: a sharp negative, then a slower positive wave; about 1.5 a minute."""
    times = _draw_times(rng, plan, (0, 0, 1.5, 0.3, 0))

    def shape(seconds: np.ndarray) -> np.ndarray:
        return (
            0.2 * bell(seconds, -0.2, 0.06)
            - bell(seconds, 0, 0.09)
            + 0.6 * bell(seconds, 0.38, 0.16)
        )

    amplitude = plan.person.slow_wave_scale * 130 * rng.lognormal(0, 0.25, len(times))
    return Wave(times, amplitude, shape, (0.5, 1.1), (0.8, 0.7, 0.35, 0.7))


def _spindles(rng: np.random.Generator, plan: Plan, slow_times_s: np.ndarray) -> Wave:
    """Spindles: 0.5-1.5 s of 11-15 Hz that wax and wane; some ride on an up-state.

    About four a minute in N2 and fewer in N3 (Purcell et al. 2017, Nat Commun 8: 15930); a spindle
    slows down a little towards its end.
    """
    riding = slow_times_s[rng.random(len(slow_times_s)) < 0.15] + 0.6
    times = np.concatenate([_draw_times(rng, plan, (0, 0.1, 4.5, 1.2, 0.02)), riding])
    frequency = (plan.person.spindle_hz + rng.normal(0, 0.35, len(times)))[:, None]
    half_s = rng.uniform(0.3, 0.75, len(times))[:, None]

    def shape(seconds: np.ndarray) -> np.ndarray:
        envelope = np.cos(np.pi / 2 * np.clip(seconds / half_s, -1, 1)) ** 2
        return envelope * np.sin(2 * np.pi * (frequency - 0.5 * seconds) * seconds)

    amplitude = plan.person.spindle_scale * 24 * rng.lognormal(0, 0.3, len(times))
    amplitude *= np.where(plan.stage_at(times) == N2, 1.0, 0.8)
    return Wave(times, amplitude, shape, (0.8, 0.8), (0.6, 1.0, 0.35, 0.2))


def _vertex_waves(rng: np.random.Generator, plan: Plan) -> Wave:
    """Vertex sharp waves of N1: under 0.5 s, largest at the vertex."""
    times = _draw_times(rng, plan, (0, 2.5, 0.3, 0, 0))

    def shape(seconds: np.ndarray) -> np.ndarray:
        return 0.35 * bell(seconds, 0.16, 0.07) - bell(seconds, 0, 0.05)

    amplitude = 45 * rng.lognormal(0, 0.25, len(times))
    return Wave(times, amplitude, shape, (0.3, 0.5), (0.6, 1.0, 0.2, 0.3))


def _sawtooth_waves(rng: np.random.Generator, plan: Plan) -> Wave:
    """Sawtooth waves of R: bursts of notched 2-6 Hz waves over the centre (about one in 80 s)."""
    times = _draw_times(rng, plan, (0, 0, 0, 0, 0.75))
    frequency = rng.uniform(2.3, 4.5, len(times))[:, None]
    half_s = rng.uniform(0.8, 2.0, len(times))[:, None]

    def shape(seconds: np.ndarray) -> np.ndarray:
        turn = 2 * np.pi * frequency * seconds
        envelope = np.cos(np.pi / 2 * np.clip(seconds / half_s, -1, 1))
        return envelope * (np.sin(turn) - 0.45 * np.sin(2 * turn) + 0.15 * np.sin(3 * turn))

    amplitude = 17 * rng.lognormal(0, 0.2, len(times))
    return Wave(times, amplitude, shape, (2.0, 2.0), (0.7, 1.0, 0.3, 0.4))


def _draw_times(rng: np.random.Generator, plan: Plan, per_min: tuple[float, ...]) -> np.ndarray:
    """Draw the moments (s) of a wave that comes `per_min[stage]` times a minute."""
    n_candidates = rng.poisson(plan.duration_s / 60 * max(per_min))
    times = np.sort(rng.uniform(0, plan.duration_s, n_candidates))
    wanted = rng.random(n_candidates) < np.array(per_min)[plan.stage_at(times)] / max(per_min)
    times = times[wanted]
    return times[np.diff(times, prepend=-np.inf) > 1.0]
