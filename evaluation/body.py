"""Heart, breath and oxygen of one night, as a report shows them: courses, numbers, events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from evaluation.heart import (
    HEART_DEFINITIONS,
    heart_rate,
    heart_statistics,
    mean_by_stage,
    rmssd,
)
from evaluation.respiration import (
    BREATHING,
    OXYGEN_DEFINITIONS,
    RESPIRATION_DEFINITIONS,
    RULES,
    Rule,
    ahi_by_stage,
    breathing_scored,
    counted,
    oxygen_statistics,
    respiratory_statistics,
)
from evaluation.statistics import Definition
from evaluation.traces import Course, Trace
from nights.events import Event
from nights.hypnogram import Hypnogram
from recordings.body import Body
from recordings.breaths import breathing_rate, oxygen_per_second

DRAWN = 4  # events with their signals in the report
EVENT_WORDS = {
    "obstructive_apnea": "obstructive apnea",
    "central_apnea": "central apnea",
    "mixed_apnea": "mixed apnea",
    "apnea": "apnea",
    "hypopnea": "hypopnea",
}
DEFINITIONS: dict[str, Definition] = (
    HEART_DEFINITIONS | RESPIRATION_DEFINITIONS | OXYGEN_DEFINITIONS
)


@dataclass(frozen=True, eq=False)
class BodyReport:
    """What a report shows of heart and breath.

    Parameters
    ----------
    courses : tuple of Course
        Values per epoch, drawn under the hypnogram.
    sources : dict
        {what: the channel it was found in}.
    heart, breathing, oxygen : mapping of str to float
        Statistics; empty where nothing was recorded or scored.
    by_stage : dict
        {row: {stage: value}}.
    events : tuple of Event
        Apneas and hypopneas that count, by onset.
    rule : str
        Which events count, in words.
    signals : tuple of Trace
        Drawn around events.
    """

    courses: tuple[Course, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    heart: Mapping[str, float] = field(default_factory=dict)
    breathing: Mapping[str, float] = field(default_factory=dict)
    oxygen: Mapping[str, float] = field(default_factory=dict)
    by_stage: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    rule: str = ""
    signals: tuple[Trace, ...] = ()

    @property
    def statistics(self) -> dict[str, float]:
        """Every number of heart, breath and oxygen, for files."""
        return {**self.heart, **self.breathing, **self.oxygen}


def body_report(
    hypnogram: Hypnogram,
    body: Body,
    *,
    events: Sequence[Event] = (),
    rule: Rule = "asleep",
) -> BodyReport:
    """Compute what a report shows of heart and breath.

    Parameters
    ----------
    hypnogram : Hypnogram
        Tells when sleep was.
    body : Body
        Beats, breaths and oxygen on the clock of the recording.
    events : sequence of Event
        Scored events of any type. Without any of breathing or arousal no index is shown: nobody
        scored them, or there were none, and the file does not tell which.
    rule : str
        Which apneas and hypopneas count.
    """
    n_epochs, onset_s = hypnogram.n_epochs, hypnogram.onset_s
    courses: list[Course] = []
    by_stage: dict[str, dict[str, float]] = {}
    heart: dict[str, float] = {}
    breathing: dict[str, float] = {}
    oxygen: dict[str, float] = {}
    if body.beats_from:
        heart = heart_statistics(body.beats_s, hypnogram)
        rate = heart_rate(body.beats_s - onset_s, n_epochs)
        courses.append(Course("Heart rate", rate, "1/min", body.beats_from))
        by_stage["Heart rate, 1/min"] = mean_by_stage(rate, hypnogram)
        sway = rmssd(body.beats_s - onset_s, n_epochs)
        by_stage["RMSSD, ms"] = mean_by_stage(sway, hypnogram)
    if body.breaths_from:
        rate = breathing_rate(body.breaths_s - onset_s, n_epochs)
        courses.append(Course("Breaths", rate, "1/min", body.breaths_from))
        by_stage["Breaths, 1/min"] = mean_by_stage(rate, hypnogram)
    if body.oxygen_from:
        oxygen = oxygen_statistics(body.spo2, body.spo2_hz, hypnogram)
        lowest = _lowest_oxygen(body, hypnogram)
        courses.append(Course("Lowest SpO2", lowest, "%", body.oxygen_from))
        by_stage["Lowest SpO2 of an epoch, %"] = mean_by_stage(lowest, hypnogram)
    found: list[Event] = []
    if breathing_scored(events):
        breathing = respiratory_statistics(events, hypnogram, rule=rule)
        found = counted(events, hypnogram, BREATHING, rule=rule)
        by_stage["Apneas and hypopneas per hour"] = ahi_by_stage(events, hypnogram)
    sources = {"heart": body.beats_from, "breath": body.breaths_from, "oxygen": body.oxygen_from}
    return BodyReport(
        courses=tuple(courses),
        sources={what: channel for what, channel in sources.items() if channel},
        heart=heart,
        breathing=breathing,
        oxygen=oxygen,
        by_stage=by_stage,
        events=tuple(found),
        rule=RULES[rule] if breathing else "",
    )


def examples(events: Sequence[Event], n: int = DRAWN) -> list[Event]:
    """Choose events to draw: the longest of each type, then the longest of the rest, by onset."""
    longest = sorted(events, key=lambda event: -event.duration_s)
    first_of_type = list({event.type: event for event in reversed(longest)}.values())
    chosen = sorted(first_of_type, key=lambda event: -event.duration_s)[:n]
    chosen += [event for event in longest if event not in chosen][: n - len(chosen)]
    return sorted(chosen)


def _lowest_oxygen(body: Body, hypnogram: Hypnogram) -> np.ndarray:
    """Return the lowest saturation of each epoch (E,), NaN where there is none."""
    second = oxygen_per_second(body.spo2, body.spo2_hz)
    epoch = ((np.arange(len(second)) - hypnogram.onset_s) // hypnogram.epoch_s).astype(np.int64)
    inside = (epoch >= 0) & (epoch < hypnogram.n_epochs) & np.isfinite(second)
    lowest = np.full(hypnogram.n_epochs, np.inf)
    np.minimum.at(lowest, epoch[inside], second[inside])
    return np.where(np.isfinite(lowest), lowest, np.nan)
