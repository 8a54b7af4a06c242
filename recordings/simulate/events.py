"""What happens in a simulated night besides its stages: breathing events, arousals, artefacts.

Everything is decided here, before any signal is drawn, so that each signal shows the same events.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from nights.stages import EPOCH_S, N1, N2, N3, R, W
from recordings.recording import Annotation
from recordings.simulate.stages import Person

OBSTRUCTIVE = "Obstructive apnea"
CENTRAL = "Central apnea"
HYPOPNEA = "Hypopnea"
DESATURATION = "SpO2 desaturation"
AROUSAL = "Arousal"
MOVEMENT = "Movement artefact"
LEAD_OFF = "Lead off"
BREATHING_EVENTS = (OBSTRUCTIVE, CENTRAL, HYPOPNEA)

# Relative rates for W N1 N2 N3 R. Breathing events gather in R, where the upper airway loses its
# tone, and in light sleep; deep sleep is hard to disturb.
_BREATHING_RATE = np.array([0.0, 1.2, 1.0, 0.4, 1.6])
_AROUSAL_RATE = np.array([0.0, 1.5, 1.0, 0.3, 0.9])
_AROUSALS_PER_H = 8.0  # without breathing events (Bonnet and Arand 2007, J Clin Sleep Med 3: 271)
_MOVEMENTS_PER_H_AWAKE = 12.0
_EYES_OPEN_AWAKE = 0.3  # part of the epochs awake in bed


@dataclass(frozen=True)
class Plan:
    """The night as decided: stages (E,), eyes open or closed (E,), events sorted by onset."""

    person: Person
    stages: np.ndarray
    eyes_open: np.ndarray
    events: tuple[Annotation, ...]

    @property
    def duration_s(self) -> float:
        """Length of the night in seconds."""
        return float(len(self.stages) * EPOCH_S)

    def of(self, *texts: str) -> list[Annotation]:
        """Return the events with one of these texts, in order."""
        return [event for event in self.events if event.text in texts]

    def stage_at(self, times_s: np.ndarray) -> np.ndarray:
        """Return the stage at each of the given times."""
        return self.stages[self._epoch_at(times_s)]

    def eyes_open_at(self, times_s: np.ndarray) -> np.ndarray:
        """Return whether the eyes are open at each of the given times."""
        return self.eyes_open[self._epoch_at(times_s)]

    def by_stage(self, values: Sequence[float], rate_hz: float, fade_s: float) -> np.ndarray:
        """Return `values[stage]` at `rate_hz`, sliding from stage to stage in `fade_s`."""
        times = np.arange(round(self.duration_s * rate_hz)) / rate_hz
        moments = (-fade_s / 2, 0.0, fade_s / 2)
        levels = np.asarray(values, float)
        return sum(levels[self.stage_at(times + moment)] for moment in moments) / len(moments)

    def _epoch_at(self, times_s: np.ndarray) -> np.ndarray:
        """Return the epoch of each time; the first and the last stand for what lies outside."""
        return np.clip((np.asarray(times_s) // EPOCH_S).astype(int), 0, len(self.stages) - 1)


def make_plan(rng: np.random.Generator, stages: np.ndarray, person: Person) -> Plan:
    """Draw every event of a night with the given stages."""
    breathing = _draw_breathing_events(rng, stages, person.ahi)
    lag_s = rng.uniform(12, 18)  # circulation time, the same all night
    falls = [_desaturation(event, lag_s) for event in breathing]
    arousals = _draw_arousals(rng, stages, breathing)
    movements = _draw_movements(rng, stages, arousals)
    everything = [*breathing, *falls, *arousals, *movements]
    end_s = len(stages) * EPOCH_S
    inside = [event for event in everything if event.onset_s + event.duration_s <= end_s]
    eyes_open = (stages == W) & (rng.random(len(stages)) < _EYES_OPEN_AWAKE)
    return Plan(person, stages, eyes_open, tuple(sorted(inside, key=lambda e: e.onset_s)))


def _draw_breathing_events(
    rng: np.random.Generator, stages: np.ndarray, ahi: float
) -> list[Annotation]:
    """Draw apneas and hypopneas: `ahi` per hour asleep, at least 10 s apart, never into wake."""
    onsets = _draw_onsets(rng, stages, _BREATHING_RATE, ahi)
    room = np.diff(np.append(onsets, len(stages) * EPOCH_S)) - 10
    durations = np.minimum(np.clip(rng.lognormal(np.log(20), 0.35, len(onsets)), 10, 60), room)
    kinds = rng.choice([OBSTRUCTIVE, CENTRAL, HYPOPNEA], len(onsets), p=[0.35, 0.1, 0.55])
    return [
        Annotation(round(float(onset), 1), round(float(duration), 1), str(kind))
        for onset, duration, kind in zip(onsets, durations, kinds, strict=True)
        if duration >= 10 and _asleep(stages, onset, onset + duration)  # AASM: 10 s or longer
    ]


def _desaturation(event: Annotation, lag_s: float) -> Annotation:
    """Return the fall of SpO2 that follows a breathing event, from its beginning to its nadir.

    Blood needs `lag_s` from the lung to the finger, so the fall begins that long after the airflow
    stopped and the nadir comes after breathing has returned.
    """
    return Annotation(round(event.onset_s + lag_s, 1), round(event.duration_s + 3, 1), DESATURATION)


def _draw_arousals(
    rng: np.random.Generator, stages: np.ndarray, breathing: Iterable[Annotation]
) -> list[Annotation]:
    """Draw arousals: at the end of most breathing events, and spontaneous ones."""
    onsets = [e.onset_s + e.duration_s - 1 for e in breathing if rng.random() < 0.6]
    onsets += list(_draw_onsets(rng, stages, _AROUSAL_RATE, _AROUSALS_PER_H))
    durations = np.clip(rng.lognormal(np.log(6), 0.4, len(onsets)), 3, 14)  # AASM: 3 s to < 15 s
    arousals: list[Annotation] = []
    free_from = 0.0
    for onset, duration in sorted(zip(onsets, durations, strict=True)):
        if onset >= free_from and _asleep(stages, onset - 10, onset + duration):
            arousals.append(Annotation(round(float(onset), 1), round(float(duration), 1), AROUSAL))
            free_from = onset + duration + 10  # AASM: at least 10 s of sleep before an arousal
    return arousals


def _draw_movements(
    rng: np.random.Generator, stages: np.ndarray, arousals: Iterable[Annotation]
) -> list[Annotation]:
    """Draw body movements: awake, at awakenings and with some arousals."""
    awake = _draw_onsets(rng, stages, np.array([1.0, 0, 0, 0, 0]), _MOVEMENTS_PER_H_AWAKE)
    awakenings = np.flatnonzero((stages[1:] == W) & (stages[:-1] != W)) + 1
    onsets = [*awake, *(awakenings * EPOCH_S + rng.uniform(0, 10, len(awakenings)))]
    onsets += [event.onset_s for event in arousals if rng.random() < 0.2]
    durations = rng.uniform(2, 8, len(onsets))
    return [
        Annotation(round(float(onset), 1), round(float(duration), 1), MOVEMENT)
        for onset, duration in zip(onsets, durations, strict=True)
    ]


def _draw_onsets(
    rng: np.random.Generator, stages: np.ndarray, weights: np.ndarray, per_hour: float
) -> np.ndarray:
    """Draw onsets (s), `per_hour` on average over the epochs whose weight is not 0, well apart."""
    weight = weights[stages]
    n_events = round(per_hour * np.count_nonzero(weight) * EPOCH_S / 3600)
    if not n_events:
        return np.zeros(0)
    passed = np.concatenate([[0.0], np.cumsum(weight)])
    at = (np.arange(n_events) + rng.uniform(0.1, 0.9, n_events)) * passed[-1] / n_events
    epoch = np.searchsorted(passed, at, side="right") - 1
    return (epoch + (at - passed[epoch]) / weight[epoch]) * EPOCH_S


def _asleep(stages: np.ndarray, from_s: float, to_s: float) -> bool:
    """Tell whether no epoch touched by [from_s, to_s] is wake or outside the night."""
    first, last = int(from_s // EPOCH_S), int(to_s // EPOCH_S)
    asleep = np.isin(stages[max(first, 0) : last + 1], (N1, N2, N3, R))
    return from_s >= 0 and last < len(stages) and bool(asleep.all())
