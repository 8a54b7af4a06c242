"""Eyes, chin and movements of a simulated night: gaze, blinks, tone, atonia and its twitches."""

from __future__ import annotations

import numpy as np

from nights.stages import N1, R, W
from recordings.simulate.eeg import Lead
from recordings.simulate.events import AROUSAL, MOVEMENT, Plan
from recordings.simulate.synthesis import (
    HOP_S,
    add_bump,
    add_pulses,
    bell,
    drift,
    frame_frequencies,
    frame_times,
    shaped_noise,
)

# What a lead sees of one unit of gaze to the left and of gaze upwards (a blink). The cornea is
# positive; E1 sits below the left and E2 above the right eye, so every conjugate movement is
# opposite in the two (AASM manual 2.6), and frontal leads see a little of it.
_SEES_LEFT = {"E1": 1.0, "E2": -1.0, "F3": 0.12, "F4": -0.12}
_SEES_UP = {"E1": -0.55, "E2": 0.65, "Fpz": 0.9, "F3": 0.22, "F4": 0.22, "Cz": 0.03}
_AC_COUPLING_S = 0.5  # a held gaze decays: high-pass of 0.3 Hz

# Chin, W N1 N2 N3 R: root mean square (uV) of the tone.
_TONE_UV = (14.0, 7.0, 5.0, 4.2, 1.6)


def add_eyes(
    rng: np.random.Generator, plan: Plan, leads: list[Lead], signals: np.ndarray, rate_hz: float
) -> None:
    """Add eye movements to the signals (L, n) of the leads, in place, in microvolts."""
    saccades_s = _saccade_times(rng, plan)
    sideways = _gaze_left(rng, plan, saccades_s, rate_hz)
    upwards = _gaze_up(rng, plan, saccades_s, rate_hz)
    for (plus, minus), signal in zip(leads, signals, strict=True):
        for sees, gaze in ((_SEES_LEFT, sideways), (_SEES_UP, upwards)):
            gain = sees.get(plus, 0.0) - sees.get(minus or "", 0.0)
            if gain:
                signal += np.float32(gain) * gaze


def _gaze_left(
    rng: np.random.Generator, plan: Plan, saccades_s: np.ndarray, rate_hz: float
) -> np.ndarray:
    """Return horizontal gaze (n,): saccades, and slow rolling in N1 and drowsy W."""
    gaze = np.zeros(round(plan.duration_s * rate_hz), np.float32)
    size = rng.choice([-1, 1], len(saccades_s)) * rng.lognormal(np.log(60), 0.5, len(saccades_s))
    add_pulses(gaze, rate_hz, saccades_s, _jump, height=size, before_s=0.1, after_s=2.0)
    rolling = np.flatnonzero((plan.stages == N1) | ((plan.stages == W) & ~plan.eyes_open))
    rolling = rolling[rng.random(len(rolling)) < np.where(plan.stages[rolling] == N1, 0.8, 0.2)]
    for epoch in rolling:
        _add_rolling(rng, gaze, 30.0 * epoch + rng.uniform(0, 5), rate_hz)
    return gaze


def _gaze_up(
    rng: np.random.Generator, plan: Plan, saccades_s: np.ndarray, rate_hz: float
) -> np.ndarray:
    """Return vertical gaze (n,): the vertical part of saccades, and blinks with open eyes."""
    gaze = np.zeros(round(plan.duration_s * rate_hz), np.float32)
    size = rng.normal(0, 25, len(saccades_s))
    add_pulses(gaze, rate_hz, saccades_s, _jump, height=size, before_s=0.1, after_s=2.0)
    epochs = np.flatnonzero(plan.eyes_open)
    blinks = 30 * (np.repeat(epochs, 6) + rng.random(6 * len(epochs)))  # 12 a minute
    height = rng.lognormal(np.log(110), 0.25, len(blinks))
    add_pulses(gaze, rate_hz, blinks, _blip, height=height, before_s=0.3, after_s=0.3)
    return gaze


def _saccade_times(rng: np.random.Generator, plan: Plan) -> np.ndarray:
    """Return the moments (s) of rapid eye movements: bursts in R, denser with open eyes awake."""
    open_eyes = np.flatnonzero(plan.eyes_open)
    awake = 30 * (np.repeat(open_eyes, 10) + rng.random(10 * len(open_eyes)))
    closed = np.flatnonzero((plan.stages == W) & ~plan.eyes_open)
    drowsy = 30 * (np.repeat(closed, 2) + rng.random(2 * len(closed)))
    dreaming = np.flatnonzero(plan.stages == R)
    bursts = 30 * (np.repeat(dreaming, 3) + rng.random(3 * len(dreaming)))
    bursts = bursts[rng.random(len(bursts)) < 0.55]
    sizes = rng.integers(1, 9, len(bursts))
    after_s = [np.cumsum(rng.gamma(3, 0.2, size)) for size in sizes]
    moving = np.repeat(bursts, sizes) + np.concatenate([np.zeros(0), *after_s])
    times = np.sort(np.concatenate([awake, drowsy, moving[plan.stage_at(moving) == R]]))
    return times[times < plan.duration_s]


def _jump(seconds: np.ndarray) -> np.ndarray:
    """Return a jump of the gaze, 50 ms long, as an AC-coupled amplifier shows it."""
    reached = np.clip(seconds / 0.05 + 0.5, 0, 1)
    return reached * np.exp(-np.maximum(seconds, 0) / _AC_COUPLING_S)


def _blip(seconds: np.ndarray) -> np.ndarray:
    """Return a short bell: a blink, a twitch."""
    return bell(seconds, 0, 0.07)


def _add_rolling(rng: np.random.Generator, gaze: np.ndarray, from_s: float, rate_hz: float) -> None:
    """Add one stretch of slow eye movement: 8 to 20 s of 0.2-0.4 Hz, 25 to 60 uV."""
    first = round(from_s * rate_hz)
    stretch = gaze[first : first + round(rng.uniform(8, 20) * rate_hz)]
    times = np.arange(len(stretch)) / rate_hz
    turn = 2 * np.pi * rng.uniform(0.2, 0.4) * times + 0.8 * np.sin(0.9 * times)
    envelope = np.sin(np.pi * np.arange(len(stretch)) / max(len(stretch), 1))
    stretch += (rng.uniform(25, 60) * envelope * np.sin(turn)).astype(np.float32)


def draw_chin(rng: np.random.Generator, plan: Plan, rate_hz: float) -> np.ndarray:
    """Draw the chin EMG (n,) in microvolts: tone by stage, bursts at arousals, twitches in R."""
    times = frame_times(plan.duration_s)
    tone = np.array(_TONE_UV)[plan.stage_at(times)] * plan.person.muscle_scale
    tone *= np.exp(0.25 * drift(rng, len(times), 1 / HOP_S, 60.0))
    tone += 6 * plan.eyes_open_at(times) * rng.random(len(times))
    for event in plan.of(AROUSAL, MOVEMENT):
        height = rng.uniform(8, 25) * plan.person.muscle_scale
        end_s = event.onset_s + event.duration_s
        add_bump(tone, 1 / HOP_S, height, from_s=event.onset_s, to_s=end_s, rise_s=0.5, fall_s=1)
    chin = shaped_noise(rng, tone[:, None] ** 2 * _muscle_spectrum(rate_hz), rate_hz)
    chin = chin[: round(plan.duration_s * rate_hz)]
    chin *= _twitches(rng, plan, rate_hz)
    chin += 0.6 * rng.standard_normal(len(chin), dtype=np.float32)
    return chin


def _muscle_spectrum(rate_hz: float) -> np.ndarray:
    """Return the power density (1, B) of muscle of 1 uV: a broad hump at 50 Hz and a weak base."""
    hz = frame_frequencies(rate_hz)
    density = (hz / 50) ** 2 / (1 + (hz / 50) ** 2) ** 2 + 0.03 / np.maximum(hz, 0.5)
    return (density / (density.sum() * (hz[1] - hz[0])))[None, :]


def _twitches(rng: np.random.Generator, plan: Plan, rate_hz: float) -> np.ndarray:
    """Return the gain (n,) of the chin: 1, and 2 to 5 for 0.1-0.3 s at a time in phasic R."""
    gain = np.ones(round(plan.duration_s * rate_hz), np.float32)
    epochs = np.flatnonzero(plan.stages == R)
    times = 30 * (np.repeat(epochs, 2) + rng.random(2 * len(epochs)))
    times = times[rng.random(len(times)) < 0.4]
    height = rng.uniform(1, 4, len(times))
    add_pulses(gain, rate_hz, times, _blip, height=height, before_s=0.3, after_s=0.3)
    return gain


def add_movements(
    rng: np.random.Generator, plan: Plan, signals: np.ndarray, rate_hz: float
) -> None:
    """Add what body movements do to electrodes (L, n), in uV: slow swings and a burst of muscle."""
    for event in plan.of(MOVEMENT):
        first, n_samples = round(event.onset_s * rate_hz), round(event.duration_s * rate_hz)
        envelope = np.hanning(n_samples).astype(np.float32)
        strength = rng.lognormal(0, 0.4)
        for signal in signals:
            swing = 70 * drift(rng, n_samples, rate_hz, 0.6)
            muscle = 15 * rng.standard_normal(n_samples, dtype=np.float32)
            signal[first : first + n_samples] += strength * envelope * (swing + muscle)
