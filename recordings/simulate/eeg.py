"""EEG of a simulated night: seven cortical regions and what each lead sees of them.

A region carries a 1/f background, the rhythms of the stage, and the waves by which stages are
scored. Leads are weighted sums of the regions, so neighbouring leads are correlated and every
phenomenon has a topography: slow waves frontal, spindles centro-parietal, alpha occipital.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recordings.simulate.events import AROUSAL, Plan
from recordings.simulate.synthesis import (
    HOP_S,
    add_bump,
    drift,
    frame_frequencies,
    frame_times,
    shaped_noise,
)
from recordings.simulate.waves import add_waves, draw_waves, sleep_pressure

Lead = tuple[str, str | None]  # electrode and its reference; None is a neutral one

# Places on the head seen from above: x to the right, y to the front, ears at x = -1 and 1.
PLACES = {
    "Fpz": (0.0, 0.95), "F3": (-0.42, 0.52), "F4": (0.42, 0.52), "C3": (-0.5, 0.0),
    "C4": (0.5, 0.0), "Cz": (0.0, 0.0), "Pz": (0.0, -0.5), "O1": (-0.3, -0.92),
    "O2": (0.3, -0.92), "Oz": (0.0, -0.95), "M1": (-1.0, -0.45), "M2": (1.0, -0.45),
    "E1": (-0.52, 0.88), "E2": (0.52, 0.88),
}  # fmt: skip


@dataclass(frozen=True)
class Region:
    """A patch of cortex: place and reach on the head, and the gain of each rhythm in it."""

    lobe: str
    x: float
    y: float
    reach: float
    gains: tuple[float, ...]  # in the order of RHYTHMS


_FRONTAL = (1.3, 0.9, 0.25, 0.7, 1.2)
_CENTRAL = (1.0, 1.0, 0.4, 1.0, 1.0)
_OCCIPITAL = (0.6, 0.8, 1.0, 0.4, 0.7)
_MIDLINE = (1.4, 1.0, 0.1, 0.3, 0.3)
REGIONS = (
    Region("frontal", -0.4, 0.6, 0.42, _FRONTAL),
    Region("frontal", 0.4, 0.6, 0.42, _FRONTAL),
    Region("central", -0.45, -0.05, 0.42, _CENTRAL),
    Region("central", 0.45, -0.05, 0.42, _CENTRAL),
    Region("occipital", -0.3, -0.9, 0.42, _OCCIPITAL),
    Region("occipital", 0.3, -0.9, 0.42, _OCCIPITAL),
    Region("midline", 0.0, 0.3, 0.9, _MIDLINE),
)

# The next tables hold what C4-M1 shows besides single waves, in W N1 N2 N3 R and arousal.
# Aperiodic background: density at 1 Hz (uV2/Hz) and exponent of its fall; the spectrum steepens
# with the depth of sleep (Lendner et al. 2020, eLife 9: e55092).
_DENSITY_AT_1_HZ = (11.0, 12.0, 26.0, 60.0, 13.0, 20.0)
_EXPONENT = (1.1, 1.4, 1.75, 2.1, 1.4, 1.2)
_KNEE_HZ = 0.5  # flat below: amplifiers and electrodes are AC coupled

# Rhythms: centre (Hz; 0 = the person's own), width (Hz) and power (uV2).
RHYTHMS = ("delta", "theta", "alpha", "sigma", "beta")
_CENTRE_HZ = (1.8, 5.5, 0.0, 0.0, 20.0)
_WIDTH_HZ = (1.1, 1.3, 0.7, 1.0, 5.0)
_POWER = np.array(
    [
        (6.0, 4.0, 45.0, 1.0, 8.0),
        (14.0, 16.0, 6.0, 2.0, 5.0),
        (70.0, 18.0, 6.0, 6.0, 2.8),
        (330.0, 22.0, 4.0, 4.0, 1.5),
        (16.0, 13.0, 6.0, 1.5, 4.0),
        (25.0, 10.0, 25.0, 2.0, 11.0),
    ]
)

# An epoch is scored by what fills most of it: for some seconds the brain of a stage (row) looks
# like that of a neighbouring one (column).
_WANDERS = np.array(
    [
        (0.90, 0.10, 0.00, 0.00, 0.00),
        (0.20, 0.65, 0.15, 0.00, 0.00),
        (0.00, 0.08, 0.82, 0.10, 0.00),
        (0.00, 0.00, 0.20, 0.80, 0.00),
        (0.00, 0.08, 0.00, 0.00, 0.92),
    ]
)
_FRAMES_HELD = 3  # 6 s

_HIGHEST_HZ = 48.0  # the brain's part ends here; above it only the noise floor is left
_FLOOR_UV = 0.7  # amplifier and electrode noise


def draw_eeg(rng: np.random.Generator, plan: Plan, leads: list[Lead], rate_hz: float) -> np.ndarray:
    """Draw the EEG of every lead.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of every random choice.
    plan : Plan
        Stages, person and events of the night.
    leads : list of (str, str or None)
        Electrode and reference, named as in `PLACES`.
    rate_hz : float
        Sampling rate of all leads.

    Returns
    -------
    float32 array (L, n)
        Microvolts.
    """
    n_samples = round(plan.duration_s * rate_hz)
    eeg = rng.standard_normal((len(leads), n_samples), dtype=np.float32)
    eeg *= np.float32(_FLOOR_UV)
    waves = draw_waves(rng, plan)
    levels = _levels(rng, plan)
    for region, gains in zip(REGIONS, lead_gains(leads).T, strict=True):
        signal = shaped_noise(rng, levels @ _shapes(plan, region, rate_hz), rate_hz)[:n_samples]
        add_waves(rng, signal, waves, region.lobe, rate_hz)
        for lead, gain in zip(eeg, gains, strict=True):
            if abs(gain) > 0.01:
                lead += np.float32(gain) * signal
    return eeg


def lead_gains(leads: list[Lead]) -> np.ndarray:
    """Return how much each lead sees of each region, float (L, regions).

    Scaled so that C4-M1 sees the power of one region: the tables hold for that derivation.
    """
    seen = np.array([_seen(plus) - _seen(minus) for plus, minus in leads])
    return seen / np.linalg.norm(_seen("C4") - _seen("M1"))


def _seen(place: str | None) -> np.ndarray:
    """Return what one electrode sees of each region; nothing for the neutral reference."""
    if place is None:
        return np.zeros(len(REGIONS))
    x, y = PLACES[place]
    return np.array([np.exp(-((r.x - x) ** 2 + (r.y - y) ** 2) / 2 / r.reach**2) for r in REGIONS])


def _levels(rng: np.random.Generator, plan: Plan) -> np.ndarray:
    """Return the share of each background and the power of each rhythm per frame, (F, 6 + 5)."""
    mixture = _mixture(rng, plan)
    rhythms = mixture @ _POWER
    for column in rhythms.T:
        column *= np.exp(0.35 * drift(rng, len(column), 1 / HOP_S, 10.0))
    times = frame_times(plan.duration_s)
    rhythms[:, 0] *= plan.person.slow_wave_scale**2 * sleep_pressure(times) ** 2
    closed = 1 - 0.9 * plan.eyes_open_at(times)  # open eyes block alpha
    rhythms[:, 2] *= plan.person.alpha_scale**2 * closed
    rhythms[:, 3] *= plan.person.spindle_scale**2
    return np.concatenate([mixture, rhythms], axis=1).astype(np.float32)


def _mixture(rng: np.random.Generator, plan: Plan) -> np.ndarray:
    """Return how much of each stage, and of arousal, every frame holds, (F, 6); rows sum to 1."""
    times = frame_times(plan.duration_s)
    chance = np.cumsum(_WANDERS, axis=1)[plan.stage_at(times)]
    draw = rng.random(len(times) // _FRAMES_HELD + 1).repeat(_FRAMES_HELD)[: len(times), None]
    held = np.eye(5)[np.minimum((draw > chance).sum(axis=1), 4)]
    ends = np.concatenate([held[:1], held, held[-1:]])
    stages = (ends[:-2] + 2 * held + ends[2:]) / 4  # one spectrum slides into the next
    aroused = np.zeros(len(times))
    for event in plan.of(AROUSAL):
        end_s = event.onset_s + event.duration_s
        add_bump(aroused, 1 / HOP_S, 1.0, from_s=event.onset_s, to_s=end_s, rise_s=1, fall_s=2)
    aroused = np.clip(aroused, 0, 1)[:, None]
    return np.concatenate([stages * (1 - aroused), aroused], axis=1)


def _shapes(plan: Plan, region: Region, rate_hz: float) -> np.ndarray:
    """Return the spectrum of each background and of each rhythm in one region, (6 + 5, B)."""
    hz = frame_frequencies(rate_hz)
    hz = hz[hz <= _HIGHEST_HZ]
    falls = np.maximum(hz, _KNEE_HZ)[None, :] ** -np.array(_EXPONENT)[:, None]
    backgrounds = np.array(_DENSITY_AT_1_HZ)[:, None] * falls
    centre = np.array(_CENTRE_HZ)
    centre[2:4] = plan.person.alpha_hz, plan.person.spindle_hz
    width = np.array(_WIDTH_HZ)
    peaks = np.exp(-0.5 * ((hz - centre[:, None]) / width[:, None]) ** 2)
    peaks *= np.array(region.gains)[:, None] / (np.sqrt(2 * np.pi) * width[:, None])
    return np.concatenate([backgrounds, peaks]).astype(np.float32)
