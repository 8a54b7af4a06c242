"""Apneas, hypopneas, desaturations and arousals of a night: how many, how often, when, how long.

The apnea-hypopnea index (AHI) is apneas and hypopneas per hour of sleep. Which events count is
said, because it moves the index by up to a quarter:

- `asleep` (the default) is the rule of the AASM manual: an event that begins or ends in an epoch of
  sleep counts, one that lies wholly in wake does not, for there is no time below the line for it.
- `all` counts every event that was scored, still per hour of sleep: what the published indices of
  some data sets (UCDDB) turn out to be.

The hours are those of sleep by the hypnogram given, lights and unscored epochs as in `statistics`.

References
----------
.. [1] Troester et al. (2023). The AASM Manual for the Scoring of Sleep and Associated Events, v3.
   Respiratory rules, and the note on events in epochs of wake.
.. [2] Berry et al. (2012). Rules for scoring respiratory events in sleep. J Clin Sleep Med 8(5),
   597-619.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import numpy as np

from evaluation.statistics import Definition, in_bed
from nights.events import Event
from nights.hypnogram import Hypnogram
from nights.stages import W
from recordings.breaths import find_desaturations, oxygen_per_second

OBSTRUCTIVE = ("obstructive_apnea", "mixed_apnea")
APNEAS = (*OBSTRUCTIVE, "central_apnea", "apnea")
BREATHING = (*APNEAS, "hypopnea")
Rule = Literal["asleep", "all"]

RULES: dict[str, str] = {
    "asleep": "apneas and hypopneas that begin or end in an epoch of sleep, per hour of sleep "
    "(AASM manual v3)",
    "all": "every apnea and hypopnea that was scored, asleep or awake, per hour of sleep",
}
LOW_OXYGEN_PERCENT = 90.0  # T90: time below, the usual measure of a low saturation

RESPIRATION_DEFINITIONS: dict[str, Definition] = {
    "ahi_per_h": Definition("1/h", "apneas and hypopneas per hour of sleep"),
    "ai_per_h": Definition("1/h", "apneas per hour of sleep"),
    "hi_per_h": Definition("1/h", "hypopneas per hour of sleep"),
    "oai_per_h": Definition("1/h", "obstructive and mixed apneas per hour of sleep"),
    "cai_per_h": Definition("1/h", "central apneas per hour of sleep"),
    "rdi_per_h": Definition("1/h", "apneas, hypopneas and RERAs per hour of sleep"),
    "obstructive_apneas": Definition("", "obstructive apneas counted"),
    "central_apneas": Definition("", "central apneas counted"),
    "mixed_apneas": Definition("", "mixed apneas counted"),
    "other_apneas": Definition("", "apneas counted whose kind was not scored"),
    "hypopneas": Definition("", "hypopneas counted, of any kind"),
    "awake_events": Definition("", "apneas and hypopneas scored wholly in wake or unscored epochs"),
    "event_mean_s": Definition("s", "mean length of the apneas and hypopneas counted"),
    "event_longest_s": Definition("s", "longest apnea or hypopnea counted"),
    "event_time_percent": Definition("%", "time in apneas and hypopneas / total sleep time"),
    "arousals": Definition("", "arousals that begin or end in an epoch of sleep"),
    "arousals_per_h": Definition("1/h", "arousals per hour of sleep"),
    "sleep_h": Definition("h", "hours of sleep below the line: total sleep time"),
}
OXYGEN_DEFINITIONS: dict[str, Definition] = {
    "odi3_per_h": Definition("1/h", "falls of SpO2 by 3 % or more in sleep, per hour of sleep"),
    "odi4_per_h": Definition("1/h", "falls of SpO2 by 4 % or more in sleep, per hour of sleep"),
    "spo2_mean_percent": Definition("%", "mean SpO2 of the seconds of sleep"),
    "spo2_lowest_percent": Definition("%", "lowest SpO2 of the seconds of sleep"),
    "t90_percent": Definition("%", "seconds of sleep with SpO2 below 90 % / those measured"),
}


def respiratory_statistics(
    events: Sequence[Event], hypnogram: Hypnogram, *, rule: Rule = "asleep"
) -> dict[str, float]:
    """Return the statistics of `RESPIRATION_DEFINITIONS` for one night.

    Parameters
    ----------
    events : sequence of Event
        Of any types; an event listed twice counts once.
    hypnogram : Hypnogram
        Of four or five classes; tells when sleep was, and how long.
    rule : str
        Which apneas and hypopneas count: `asleep` or `all` (see `RULES`).

    Returns
    -------
    dict of str to float
        In the order of the definitions; an index without an hour of sleep is NaN.

    Raises
    ------
    ValueError
        If the rule is unknown.
    """
    breathing = counted(events, hypnogram, BREATHING, rule=rule)
    counts = {kind: sum(event.type == kind for event in breathing) for kind in BREATHING}
    asleep = counted(events, hypnogram, BREATHING)
    reras = counted(events, hypnogram, ("rera",), rule=rule)
    arousals = counted(events, hypnogram, ("arousal",))
    hours = sleep_hours(hypnogram)
    lengths = [event.duration_s for event in breathing]
    n_apneas = sum(counts[kind] for kind in APNEAS)
    return {
        "ahi_per_h": _per(len(breathing), hours),
        "ai_per_h": _per(n_apneas, hours),
        "hi_per_h": _per(counts["hypopnea"], hours),
        "oai_per_h": _per(sum(counts[kind] for kind in OBSTRUCTIVE), hours),
        "cai_per_h": _per(counts["central_apnea"], hours),
        "rdi_per_h": _per(len(breathing) + len(reras), hours),
        "obstructive_apneas": float(counts["obstructive_apnea"]),
        "central_apneas": float(counts["central_apnea"]),
        "mixed_apneas": float(counts["mixed_apnea"]),
        "other_apneas": float(counts["apnea"]),
        "hypopneas": float(counts["hypopnea"]),
        "awake_events": float(len(_once(events, BREATHING)) - len(asleep)),
        "event_mean_s": float(np.mean(lengths)) if lengths else np.nan,
        "event_longest_s": max(lengths, default=np.nan),
        "event_time_percent": _per(100 * sum(lengths), 3600 * hours),
        "arousals": float(len(arousals)),
        "arousals_per_h": _per(len(arousals), hours),
        "sleep_h": hours,
    }


def counted(
    events: Sequence[Event], hypnogram: Hypnogram, types: Sequence[str], *, rule: Rule = "asleep"
) -> list[Event]:
    """Return the events of some types that count by a rule, each once, by onset."""
    if rule not in RULES:
        raise ValueError(f"no rule {rule!r} for counting events; there are {', '.join(RULES)}")
    found, asleep = _once(events, types), sleep_epochs(hypnogram)
    return found if rule == "all" else [e for e in found if _place(e, hypnogram, asleep) >= 0]


def breathing_scored(events: Sequence[Event]) -> bool:
    """Tell whether somebody looked for events of breathing: one of them, or an arousal, is there.

    Without any, nobody scored them or there were none, and a file does not tell which.
    """
    return any(event.type in (*BREATHING, "arousal") for event in events)


def ahi_by_stage(events: Sequence[Event], hypnogram: Hypnogram) -> dict[str, float]:
    """Return apneas and hypopneas per hour of each stage of sleep; NaN for a stage that never was.

    An event belongs to the epoch in which it begins, or, if that is no sleep, to the first epoch
    of sleep that it touches. The mean of these rates, weighted by the time in each stage, is the
    AHI of the rule `asleep`.
    """
    stages = np.where(sleep_epochs(hypnogram), hypnogram.stages, W)
    of_events = stages[_places(events, hypnogram)]
    return {
        name: _per(
            int((of_events == code).sum()), int((stages == code).sum()) * hypnogram.epoch_s / 3600
        )
        for code, name in enumerate(hypnogram.classes)
        if code != W
    }


def ahi_by_position(
    events: Sequence[Event], hypnogram: Hypnogram, positions: Sequence[str]
) -> dict[str, float]:
    """Return apneas and hypopneas per hour of sleep in each position of the body.

    Parameters
    ----------
    events : sequence of Event
    hypnogram : Hypnogram
    positions : sequence of str, one for each epoch
        Such as `supine`; an empty text where the position is not known.

    Raises
    ------
    ValueError
        If there is not one position for each epoch.
    """
    if len(positions) != hypnogram.n_epochs:
        raise ValueError(f"{len(positions)} positions for {hypnogram.n_epochs} epochs")
    where = np.array(positions, dtype=object)
    epochs, asleep = _places(events, hypnogram), sleep_epochs(hypnogram)
    return {
        name: _per(
            int((where[epochs] == name).sum()),
            int(((where == name) & asleep).sum()) * hypnogram.epoch_s / 3600,
        )
        for name in sorted({name for name in positions if name})
    }


def oxygen_statistics(
    spo2: np.ndarray, rate_hz: Fraction | float, hypnogram: Hypnogram
) -> dict[str, float]:
    """Return the statistics of `OXYGEN_DEFINITIONS`.

    Parameters
    ----------
    spo2 : array (n,)
        Saturation in percent from the first sample of the recording on.
    rate_hz : Fraction or float
        Its rate.
    hypnogram : Hypnogram
        Tells when sleep was.

    Returns
    -------
    dict of str to float
        A fall counts when it begins or ends in sleep; all NaN when nothing valid was measured.
    """
    second = oxygen_per_second(spo2, rate_hz)
    epoch = (np.arange(len(second)) - hypnogram.onset_s) // hypnogram.epoch_s
    inside = (epoch >= 0) & (epoch < hypnogram.n_epochs) & np.isfinite(second)
    asleep = second[inside][sleep_epochs(hypnogram)[epoch[inside].astype(np.int64)]]
    if not asleep.size:
        return dict.fromkeys(OXYGEN_DEFINITIONS, np.nan)
    hours = sleep_hours(hypnogram)
    falls = {fall: _falls(spo2, rate_hz, fall) for fall in (3.0, 4.0)}
    odi = {k: _per(len(counted(f, hypnogram, ("desaturation",))), hours) for k, f in falls.items()}
    return {
        "odi3_per_h": odi[3.0],
        "odi4_per_h": odi[4.0],
        "spo2_mean_percent": float(asleep.mean()),
        "spo2_lowest_percent": float(asleep.min()),
        "t90_percent": 100 * float(np.mean(asleep < LOW_OXYGEN_PERCENT)),
    }


def sleep_epochs(hypnogram: Hypnogram) -> np.ndarray:
    """Return bool (E,): epochs of sleep between lights off and lights on."""
    night = in_bed(hypnogram)
    first = round((night.onset_s - hypnogram.onset_s) / hypnogram.epoch_s)
    asleep = np.zeros(hypnogram.n_epochs, dtype=bool)
    asleep[first : first + night.n_epochs] = night.stages > W
    return asleep


def sleep_hours(hypnogram: Hypnogram) -> float:
    """Return the hours of sleep between lights off and lights on."""
    return int(sleep_epochs(hypnogram).sum()) * hypnogram.epoch_s / 3600


def _falls(spo2: np.ndarray, rate_hz: Fraction | float, fall: float) -> list[Event]:
    """Return the falls of the saturation as events."""
    onset_s, duration_s = find_desaturations(spo2, rate_hz, fall=fall)
    pairs = zip(onset_s.tolist(), duration_s.tolist(), strict=True)
    return [Event(onset, duration, "desaturation") for onset, duration in pairs]


def _once(events: Sequence[Event], types: Sequence[str]) -> list[Event]:
    """Return the events of some types by onset; one that is listed again counts once."""
    known = {(e.onset_s, e.duration_s, e.type): e for e in events if e.type in types}
    return [known[key] for key in sorted(known)]


def _places(events: Sequence[Event], hypnogram: Hypnogram) -> np.ndarray:
    """Return the epoch each apnea and hypopnea in sleep belongs to, int64 (n,)."""
    asleep = sleep_epochs(hypnogram)
    places = [_place(event, hypnogram, asleep) for event in _once(events, BREATHING)]
    return np.array([place for place in places if place >= 0], dtype=np.int64)


def _place(event: Event, hypnogram: Hypnogram, asleep: np.ndarray) -> int:
    """Return the first epoch of sleep that an event touches, -1 when there is none."""
    from_s = event.onset_s - hypnogram.onset_s
    first = int(from_s // hypnogram.epoch_s)
    last = max(int(-(-(from_s + event.duration_s) // hypnogram.epoch_s)), first + 1)
    touched = np.flatnonzero(asleep[max(first, 0) : max(last, 0)])
    return max(first, 0) + int(touched[0]) if touched.size else -1


def _per(count: float, hours: float) -> float:
    """Return a count per hour (or a share), NaN when there is nothing below the line."""
    return count / hours if hours else float("nan")
