"""Breathing of a simulated night: effort, airflow, apneas, and what the oximeter sees of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recordings.simulate.events import (
    BREATHING_EVENTS,
    CENTRAL,
    DESATURATION,
    HYPOPNEA,
    MOVEMENT,
    OBSTRUCTIVE,
    Plan,
)
from recordings.simulate.synthesis import add_bump, drift

BODY_HZ = 8.0  # the grid on which breathing and heart rate are decided

# Breathing by stage, W N1 N2 N3 R, relative to N2: rate, depth, and how irregular both are (log
# standard deviation). Regular in N3, irregular in R (Douglas et al. 1982, Thorax 37: 840).
_RATE = (1.08, 1.02, 1.0, 0.98, 1.06)
_DEPTH = (1.15, 1.0, 0.95, 1.0, 0.85)
_IRREGULAR = (0.22, 0.14, 0.07, 0.04, 0.2)

# What is left of airflow and of effort during an event, and how far the belts move against each
# other (in half turns). AASM: flow falls by 90 % in an apnea, by 30 % or more in a hypopnea.
_FLOW_LEFT = {OBSTRUCTIVE: 0.04, CENTRAL: 0.03, HYPOPNEA: 0.42}
_EFFORT_LEFT = {OBSTRUCTIVE: 0.75, CENTRAL: 0.04, HYPOPNEA: 0.65}
_PARADOX = {OBSTRUCTIVE: 0.9, CENTRAL: 0.0, HYPOPNEA: 0.35}


@dataclass(frozen=True)
class Breathing:
    """The course of breathing on a grid of `BODY_HZ`; every array has the shape (n,).

    Parameters
    ----------
    phase : float64 array
        Turns since the beginning; inspiration starts at whole turns.
    flow, effort : float64 array
        Depth of the breath in the airway and of the muscles; 1 is a quiet breath.
    paradox : float64 array
        How far the abdomen moves against the thorax: 0 together, 1 opposite.
    """

    phase: np.ndarray
    flow: np.ndarray
    effort: np.ndarray
    paradox: np.ndarray


def draw_breathing(rng: np.random.Generator, plan: Plan) -> Breathing:
    """Draw the course of breathing through the night and its events."""
    irregular = plan.by_stage(_IRREGULAR, BODY_HZ, 20)
    n = len(irregular)
    rate = plan.person.breaths_per_min / 60 * plan.by_stage(_RATE, BODY_HZ, 20)
    rate = rate * np.exp(0.6 * irregular * drift(rng, n, BODY_HZ, 8.0))
    depth = plan.by_stage(_DEPTH, BODY_HZ, 20) * np.exp(irregular * drift(rng, n, BODY_HZ, 6.0))
    flow, effort, paradox = np.ones(n), np.ones(n), np.zeros(n)
    for event in plan.of(*BREATHING_EVENTS):
        start_s, end_s = event.onset_s, event.onset_s + event.duration_s
        during = {"from_s": start_s + 1, "to_s": end_s - 1, "rise_s": 1.0, "fall_s": 1.0}
        add_bump(flow, BODY_HZ, _FLOW_LEFT[event.text] - 1, **during)
        add_bump(effort, BODY_HZ, _EFFORT_LEFT[event.text] - 1, **during)
        add_bump(paradox, BODY_HZ, _PARADOX[event.text], **during)
        for curve in (flow, effort):  # the big breaths that end the event
            add_bump(curve, BODY_HZ, 0.6, from_s=end_s + 1, to_s=end_s + 7, rise_s=1, fall_s=4)
    return Breathing(np.cumsum(rate) / BODY_HZ, depth * flow, depth * effort, paradox)


def thorax(
    rng: np.random.Generator, plan: Plan, breathing: Breathing, rate_hz: float
) -> np.ndarray:
    """Return the effort of the thorax (n,), float32, arbitrary units; a quiet breath is +-1."""
    return _belt(rng, plan, breathing, rate_hz, follows=0.0, size=1.0)


def abdomen(
    rng: np.random.Generator, plan: Plan, breathing: Breathing, rate_hz: float
) -> np.ndarray:
    """Return the effort of the abdomen (n,), float32; it moves against the thorax in paradox."""
    return _belt(rng, plan, breathing, rate_hz, follows=1.0, size=0.9)


def _belt(
    rng: np.random.Generator,
    plan: Plan,
    breathing: Breathing,
    rate_hz: float,
    *,
    follows: float,
    size: float,
) -> np.ndarray:
    """Return one belt; `follows` 1 lets it lag by 0.04 turns and go into paradox."""
    phase, effort, paradox = _on_grid(breathing, plan.duration_s, rate_hz)
    belt = size * effort * _volume(phase - follows * (0.04 + 0.5 * paradox))
    for event in plan.of(MOVEMENT):  # the belt slips
        start_s, end_s = event.onset_s, event.onset_s + event.duration_s
        height = rng.normal(0, 1.5)
        add_bump(belt, rate_hz, height, from_s=start_s, to_s=end_s, rise_s=1, fall_s=2)
    return (belt + 0.02 * rng.standard_normal(len(belt))).astype(np.float32)


def airflow(
    rng: np.random.Generator, plan: Plan, breathing: Breathing, rate_hz: float
) -> np.ndarray:
    """Return the airflow of a thermistor (n,), float32; inspiration is positive."""
    phase, flow, _ = _on_grid(breathing, plan.duration_s, rate_hz, depth=breathing.flow)
    noise = 0.02 * rng.standard_normal(len(phase))
    return (flow * _flow(phase) + noise).astype(np.float32)


def nasal_pressure(
    rng: np.random.Generator, plan: Plan, breathing: Breathing, rate_hz: float
) -> np.ndarray:
    """Return nasal pressure (n,), float32: it grows with the square of the flow.

    So it overstates a hypopnea (Thurnheer et al. 2001, Am J Respir Crit Care Med 164: 1914).
    """
    phase, flow, _ = _on_grid(breathing, plan.duration_s, rate_hz, depth=breathing.flow)
    wave = flow * _flow(phase)
    noise = 0.01 * rng.standard_normal(len(phase))
    return (np.sign(wave) * wave**2 + noise).astype(np.float32)


def oxygen(rng: np.random.Generator, plan: Plan, rate_hz: float) -> np.ndarray:
    """Return SpO2 (n,) in whole percent, float32: falls as annotated, recovers in 10 to 20 s."""
    n_samples = round(plan.duration_s * rate_hz)
    percent = rng.uniform(95.5, 97.5) + 0.3 * drift(rng, n_samples, rate_hz, 120)
    for event in plan.of(DESATURATION):
        end_s = event.onset_s + event.duration_s
        depth = np.clip(rng.normal(0.17, 0.03) * event.duration_s, 3.6, 18)
        before, now = percent[[int(event.onset_s * rate_hz), int(end_s * rate_hz) - 1]]
        fall = {"from_s": end_s - 1, "to_s": end_s + 1, "rise_s": event.duration_s - 1}
        add_bump(percent, rate_hz, before - now - depth, fall_s=rng.uniform(10, 20), **fall)
    return np.clip(np.round(percent), 55, 100).astype(np.float32)


def _on_grid(
    breathing: Breathing, duration_s: float, rate_hz: float, *, depth: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return phase, depth (the effort unless given) and paradox at `rate_hz`."""
    times = np.arange(round(duration_s * rate_hz)) / rate_hz
    known = np.arange(len(breathing.phase)) / BODY_HZ
    depth = breathing.effort if depth is None else depth
    phase, depth, paradox = (
        np.interp(times, known, curve) for curve in (breathing.phase, depth, breathing.paradox)
    )
    return phase, depth, paradox


def _flow(phase: np.ndarray) -> np.ndarray:
    """Return the flow of one breath per turn: a short inspiration and a long expiration."""
    return np.sin(2 * np.pi * phase) + 0.25 * np.sin(4 * np.pi * phase)


def _volume(phase: np.ndarray) -> np.ndarray:
    """Return the volume of one breath per turn: the integral of `_flow`."""
    return -np.cos(2 * np.pi * phase) - 0.125 * np.cos(4 * np.pi * phase)
