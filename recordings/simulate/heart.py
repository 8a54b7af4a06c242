"""Heart of a simulated night: beats at exact times, their ECG and the pulse wave that follows."""

from __future__ import annotations

import numpy as np

from recordings.simulate.breath import BODY_HZ, Breathing
from recordings.simulate.events import AROUSAL, BREATHING_EVENTS, MOVEMENT, Plan
from recordings.simulate.synthesis import add_bump, add_pulses, bell, drift

# Heart by stage, W N1 N2 N3 R: rate relative to N2; size of the respiratory (high-frequency) and
# of the slow 0.05-0.15 Hz (low-frequency) variation of the rate. Vagal tone is highest in N3, the
# slow variation in R and W (Boudreau et al. 2013, Sleep 36: 1919).
_RATE = (1.14, 1.04, 1.0, 0.98, 1.06)
_RESPIRATORY = (0.02, 0.03, 0.04, 0.05, 0.02)
_SLOW = (0.035, 0.03, 0.025, 0.012, 0.04)

# P, Q, R and S in lead II: moment (s after the R peak), width (s), height (mV).
_QRS = ((-0.165, 0.022, 0.11), (-0.028, 0.008, -0.10), (0.0, 0.010, 1.0), (0.028, 0.009, -0.2))
_T_WIDTH_S, _T_MV = 0.045, 0.26
_PULSE_DELAY_S = 0.22  # from the R peak to the foot of the pulse at the finger


def draw_beats(rng: np.random.Generator, plan: Plan, breathing: Breathing) -> np.ndarray:
    """Draw the times (s) of the R peaks, float64 (beats,)."""
    n = len(breathing.phase)
    sway = plan.by_stage(_RESPIRATORY, BODY_HZ, 20) * np.sin(2 * np.pi * breathing.phase - 0.8)
    slow = plan.by_stage(_SLOW, BODY_HZ, 20) * drift(rng, n, BODY_HZ, 5.0)
    course = 0.03 * np.cos(2 * np.pi * np.arange(n) / max(n, 1) * 0.8)  # lowest late in the night
    rate = plan.by_stage(_RATE, BODY_HZ, 20) * (1 + sway + slow + course)
    for event in plan.of(*BREATHING_EVENTS):  # slower while breath is held, faster after it
        end_s = event.onset_s + event.duration_s
        held = {"from_s": event.onset_s + 5, "to_s": end_s - 1, "rise_s": 4, "fall_s": 1}
        add_bump(rate, BODY_HZ, -0.05, **held)
        add_bump(rate, BODY_HZ, 0.08, from_s=end_s, to_s=end_s + 6, rise_s=1, fall_s=6)
    for event in plan.of(AROUSAL, MOVEMENT):
        end_s = event.onset_s + event.duration_s
        add_bump(rate, BODY_HZ, 0.13, from_s=event.onset_s + 1, to_s=end_s, rise_s=2, fall_s=7)
    beats_per_s = np.clip(plan.person.heart_bpm * rate, 35, 140) / 60
    passed = np.concatenate([[0.0], np.cumsum(beats_per_s) / BODY_HZ])
    whole = np.arange(np.ceil(rng.random() + passed[0]), passed[-1])
    return np.interp(whole, passed, np.arange(n + 1) / BODY_HZ)


def draw_ecg(
    rng: np.random.Generator, plan: Plan, breathing: Breathing, beats_s: np.ndarray, rate_hz: float
) -> np.ndarray:
    """Draw the ECG (n,) in mV, float32: P, QRS and T of every beat, swaying with the breath."""
    n_samples = round(plan.duration_s * rate_hz)
    times = np.arange(n_samples) / rate_hz
    known = np.arange(len(breathing.phase)) / BODY_HZ
    ecg = 0.04 * np.interp(times, known, breathing.effort * np.sin(2 * np.pi * breathing.phase))
    ecg = ecg.astype(np.float32) + 0.008 * rng.standard_normal(n_samples, dtype=np.float32)
    phase = np.interp(beats_s, known, breathing.phase)
    height = 1 + 0.07 * np.sin(2 * np.pi * phase)  # the chest turns the heart's axis
    add_pulses(ecg, rate_hz, beats_s, _qrs, height=height, before_s=0.25, after_s=0.08)
    moment = beats_s + 0.29 * np.sqrt(_intervals(beats_s))  # Bazett: QT grows as the root of RR
    add_pulses(ecg, rate_hz, moment, _t_wave, before_s=0.25, after_s=0.15)
    _add_muscle(rng, plan, ecg, rate_hz)
    return ecg


def draw_ppg(
    rng: np.random.Generator, plan: Plan, beats_s: np.ndarray, rate_hz: float
) -> np.ndarray:
    """Draw the finger pulse wave (n,), arbitrary units, float32.

    One pulse per beat, with its dicrotic wave; the finger's vessels narrow at arousals, so the
    pulses shrink (Haba-Rubio et al. 2005, Sleep Breath 9: 73).
    """
    n_samples = round(plan.duration_s * rate_hz)
    width = np.exp(0.15 * drift(rng, round(plan.duration_s * BODY_HZ), BODY_HZ, 60))
    for event in plan.of(AROUSAL, MOVEMENT):
        start_s = event.onset_s + 4
        add_bump(width, BODY_HZ, -0.45, from_s=start_s, to_s=start_s + 5, rise_s=3, fall_s=10)
    size = np.interp(beats_s, np.arange(len(width)) / BODY_HZ, np.maximum(width, 0.2))
    interval = np.sqrt(_intervals(beats_s))[:, None]

    def pulse(seconds: np.ndarray) -> np.ndarray:
        systole, dicrotic = bell(seconds, 0.14, 0.075), bell(seconds, 0.4 * interval, 0.09)
        return systole + 0.35 * dicrotic

    ppg = 0.01 * rng.standard_normal(n_samples, dtype=np.float32)
    ppg += 0.1 * drift(rng, n_samples, rate_hz, 5.0).astype(np.float32)
    add_pulses(
        ppg, rate_hz, beats_s + _PULSE_DELAY_S, pulse, height=size, before_s=0.15, after_s=0.8
    )
    return ppg


def _qrs(seconds: np.ndarray) -> np.ndarray:
    """Return P and QRS in mV around the R peak."""
    return np.sum([mv * bell(seconds, at, width) for at, width, mv in _QRS], axis=0)


def _t_wave(seconds: np.ndarray) -> np.ndarray:
    """Return the T wave in mV around its peak: it rises more slowly than it falls."""
    return _T_MV * (bell(seconds, 0, _T_WIDTH_S) + 0.3 * bell(seconds, -0.06, _T_WIDTH_S))


def _intervals(beats_s: np.ndarray) -> np.ndarray:
    """Return the interval (s) from each beat to the next; the last one is repeated."""
    if len(beats_s) < 2:
        return np.ones(len(beats_s))
    intervals = np.diff(beats_s)
    return np.append(intervals, intervals[-1])


def _add_muscle(rng: np.random.Generator, plan: Plan, ecg: np.ndarray, rate_hz: float) -> None:
    """Add muscle noise and a shift of the baseline where the body moves."""
    for event in plan.of(MOVEMENT):
        first, n_samples = round(event.onset_s * rate_hz), round(event.duration_s * rate_hz)
        envelope = np.hanning(n_samples)
        noise = 0.06 * rng.standard_normal(n_samples) + 0.15 * drift(rng, n_samples, rate_hz, 0.8)
        ecg[first : first + n_samples] += (envelope * noise).astype(np.float32)
