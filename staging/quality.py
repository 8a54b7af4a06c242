"""Alarms: what a reader must know before using a staged night, each with its number and its limit.

Limits are of three kinds, and every alarm names its own: ranges measured on real scored nights
(`staging/limits.json`, written by `benchmarks/stage_limits.py`), the plausible size of a signal,
and plain rules of this project where nothing could be measured. A missing piece (no signals, no
hypnodensity, no lights) means fewer alarms, never an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.alarm import Alarm, Severity, gravest_first
from evaluation.statistics import DEFINITIONS, sleep_statistics
from nights.hypnogram import Hypnogram
from nights.stages import FOUR_CLASSES, UNSCORED
from staging.quality_signals import signal_alarms

if TYPE_CHECKING:
    from recordings.ingest import NightSignals
    from recordings.recording import Recording

# Naps of a multiple sleep latency test last up to 35 min; the measured night with the least sleep
# has 170 min of it. Scorings shorter than this took no part in the ranges.
NIGHT_H = 3.0
SHORTEST_H = 0.5  # 60 epochs: twice what the language model reads before it judges an epoch
UNSCORED_PERCENT: dict[Severity, float] = {"distrust": 50.0, "warning": 20.0}  # gravest first
ONE_STAGE_PERCENT = 99.0
FAR = 0.25  # of the width of a range: so far beyond everything ever scored is taken for an error
NEED_LIGHTS = {"se_percent", "sol_min"}  # without lights off they describe the recorder
RULE = "rule of this project"


def alarms(
    hypnogram: Hypnogram,
    *,
    raw: Hypnogram | None = None,
    signals: NightSignals | None = None,
    recording: Recording | None = None,
    statistics: Mapping[str, float] | None = None,
) -> tuple[Alarm, ...]:
    """Judge a staged night.

    Parameters
    ----------
    hypnogram : Hypnogram
        The result.
    raw : Hypnogram or None
        The same night before correction.
    signals : NightSignals or None
        What the stager read.
    recording : Recording or None
        The recording itself, for what filtering hides: mains hum.
    statistics : mapping or None
        Sleep statistics of `hypnogram`; computed when not given.

    Returns
    -------
    tuple of Alarm
        The gravest first; empty for a night without complaint.
    """
    if statistics is None:
        statistics = sleep_statistics(hypnogram)
    found = [*_length(hypnogram), *_confidence(raw or hypnogram)]
    if _scored_h(hypnogram) >= NIGHT_H:
        found += [*_sleep(hypnogram, statistics), *_ranges(hypnogram, statistics)]
    if raw is not None:
        found += _lock_in(raw, hypnogram)
    if signals is not None:
        found += signal_alarms(signals, recording)
    return gravest_first(found)


@cache
def limits() -> dict[str, Any]:
    """Return what `benchmarks/stage_limits.py` measured on real nights."""
    return json.loads(Path(__file__).with_name("limits.json").read_text(encoding="utf-8"))


def usual_ranges(hypnogram: Hypnogram) -> tuple[dict[str, tuple[float, float]], str]:
    """Return where statistics lay in nearly all scored nights, and the words for a report."""
    measured = limits()
    ranges = {name: (r["low"], r["high"]) for name, r in _measured(hypnogram).items()}
    low, high = measured["percentiles"]
    return ranges, (
        f"{low:g} to {high:g} % of {measured['nights']} real nights scored by people "
        f"({', '.join(measured['sources'])}), ill and healthy. No norm of health."
    )


def judge(value: float, measured: Mapping[str, float]) -> tuple[Severity, float] | None:
    """Judge a statistic by its range.

    Parameters
    ----------
    value : float
        The statistic; NaN is never judged.
    measured : mapping
        `low`, `high` (percentiles) and `least`, `greatest` (extremes) over real nights.

    Returns
    -------
    (severity, limit) or None
        `note` outside the percentiles, `warning` outside everything ever scored, `distrust` when
        the distance to it is more than `FAR` of the range; None inside.
    """
    room = FAR * (measured["greatest"] - measured["least"])
    steps: tuple[tuple[Severity, float, float], ...] = (
        ("distrust", measured["least"] - room, measured["greatest"] + room),
        ("warning", measured["least"], measured["greatest"]),
        ("note", measured["low"], measured["high"]),
    )
    for severity, low, high in steps:
        if value < low:
            return severity, low
        if value > high:
            return severity, high
    return None


def _length(hypnogram: Hypnogram) -> Iterator[Alarm]:
    """Alarm when there is too little to judge, a nap, or much that nobody could score."""
    hours = _scored_h(hypnogram)
    if hours < SHORTEST_H:
        text = f"Only {60 * hours:.0f} minutes are scored: too little for a stager to judge."
        yield Alarm("too short", hours, SHORTEST_H, "h", RULE, text, "distrust")
    elif hours < NIGHT_H:
        text = "This is a nap or an excerpt: what is known of whole nights does not apply."
        yield Alarm("nap instead of night", hours, NIGHT_H, "h", RULE, text, "warning")
    share = 100 * float(np.mean(~hypnogram.scored)) if hypnogram.n_epochs else 0.0
    for severity, limit in UNSCORED_PERCENT.items():
        if share > limit:
            text = f"{share:.0f} % of the epochs have no stage; statistics are of the rest."
            yield Alarm("unscored epochs", share, limit, "%", RULE, text, severity)
            return


def _sleep(hypnogram: Hypnogram, statistics: Mapping[str, float]) -> Iterator[Alarm]:
    """Alarm when there is no sleep, no REM sleep, or one stage only."""
    measured = limits()
    if statistics["tst_min"] == 0:
        least = measured["statistics"]["tst_min"]["least"]
        text = "No epoch is sleep: check the channels, the units and the part of the recording."
        source = _source(measured["nights"])
        yield Alarm("no sleep", 0.0, least, "min", source, text, "distrust")
        return
    if statistics["rem_min"] == 0:
        text = f"No epoch is REM sleep, as in {measured['nights_without']['rem']} scored nights."
        source = _source(measured["nights"])
        yield Alarm("no REM sleep", 0.0, 0.5, "min", source, text, "warning")
    scored = hypnogram.stages[hypnogram.scored]
    for code, name in enumerate(hypnogram.classes):
        share = 100 * float(np.mean(scored == code))
        if share > ONE_STAGE_PERCENT:
            text = f"Nearly every epoch is {name}: the stager or the correction has collapsed."
            yield Alarm("one stage only", share, ONE_STAGE_PERCENT, "%", RULE, text, "distrust")


def _ranges(hypnogram: Hypnogram, statistics: Mapping[str, float]) -> Iterator[Alarm]:
    """Alarm for every statistic outside what was scored in real nights."""
    for name, measured in _measured(hypnogram).items():
        if hypnogram.lights_off_s is None and name in NEED_LIGHTS:
            continue
        value = statistics.get(name, np.nan)
        if (judged := judge(value, measured)) is None:
            continue
        severity, limit = judged
        side = "Below" if value < limit else "Above"
        where = {
            "note": "nearly all scored nights",
            "warning": "every scored night",
            "distrust": "every scored night by far",
        }[severity]
        meaning = DEFINITIONS[name]
        text = f"{side} {where}: {meaning.text}."
        yield Alarm(name, value, limit, meaning.unit, _source(measured["n"]), text, severity)


def _measured(hypnogram: Hypnogram) -> dict[str, dict[str, float]]:
    """Return the measured ranges for the classes of a hypnogram: merged stages shift less."""
    four = hypnogram.classes == FOUR_CLASSES
    return limits()["statistics_four_classes" if four else "statistics"]


def _source(n_nights: float) -> str:
    """Return in words where a measured range comes from."""
    low, high = limits()["percentiles"]
    return f"{n_nights} real nights scored by people ({low:g} to {high:g} %, and the extremes)"


def _confidence(hypnogram: Hypnogram) -> Iterator[Alarm]:
    """Alarm when the stager was unsure of the night as a whole."""
    if hypnogram.proba is None or not hypnogram.scored.any():
        return
    mean = float(hypnogram.proba[hypnogram.scored].max(axis=1).mean())
    people, networks = limits()["two_scorers"], limits()["stager_confidence"]
    by_people = f"agreement of two scorers of one night, lowest {{}} % of {people['pairs']} pairs"
    steps: tuple[tuple[Severity, float, str], ...] = (
        ("distrust", people["agreement_percentile_0.5"], by_people.format(0.5)),
        ("warning", people["agreement_percentile_5"], by_people.format(5)),
        (
            "note",
            networks["percentile_0.5"],
            f"lowest 0.5 % of {networks['nights']} nights staged by published networks",
        ),
    )
    for severity, limit, source in steps:
        if mean < limit:
            text = "The stager was unsure of much of the night: review the most doubtful epochs."
            yield Alarm("mean confidence", mean, limit, "", source, text, severity)
            return


def _lock_in(raw: Hypnogram, corrected: Hypnogram) -> Iterator[Alarm]:
    """Alarm when the correction gave a stage far more of the night than the stager did.

    Greedy decoding can lock into a stage: from a weight of about 0.3 on, whole nights collapse.
    """
    both = (raw.stages != UNSCORED) & (corrected.stages != UNSCORED)
    if not both.any():
        return
    before, after = raw.stages[both], corrected.stages[both]
    codes = range(len(corrected.classes))
    gains = [100 * float(np.mean(after == code) - np.mean(before == code)) for code in codes]
    stage = corrected.classes[int(np.argmax(gains))]
    people = limits()["two_scorers"]
    steps: tuple[tuple[Severity, int], ...] = (("distrust", 99), ("warning", 95))
    for severity, percentile in steps:
        limit = people[f"share_difference_percent_percentile_{percentile}"]
        if max(gains) > limit:
            source = (
                f"largest difference of a stage's share between two scorers of one night, "
                f"{percentile} % of {people['pairs']} pairs"
            )
            text = f"The correction made {stage} of much that the stager called otherwise."
            yield Alarm("correction lock-in", max(gains), limit, "points", source, text, severity)
            return


def _scored_h(hypnogram: Hypnogram) -> float:
    """Return how many hours have a stage."""
    return float(hypnogram.scored.sum()) * hypnogram.epoch_s / 3600
