"""The report of one night: a single HTML file that needs nothing else and prints well.

Alarms stand first, then the picture, the numbers, what the correction changed, the epochs a person
should look at, the channels and where everything came from. No script runs in it, nothing is
loaded from elsewhere, and every text that came from a file is escaped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from evaluation.alarm import SEVERITIES, Alarm, gravest_first
from evaluation.body import DEFINITIONS as BODY_DEFINITIONS
from evaluation.body import BodyReport
from evaluation.event_epochs import DEFINITIONS as EVENT_DEFINITIONS
from evaluation.event_epochs import NO_INDEX, EventEpochs
from evaluation.event_epochs import RULES as EVENT_RULES
from evaluation.healthy import SOURCES, Healthy, beside_healthy
from evaluation.page import epoch_place, number, png_address, render_page, svg_address
from evaluation.plots import (
    changed,
    confidence,
    encode,
    epoch_figure,
    matrix_figure,
    night_figure,
    small_png,
)
from evaluation.report_events import event_pictures, probable_events
from evaluation.statistics import in_bed, transition_matrix
from evaluation.surprisal import improbable_epochs
from evaluation.traces import Trace
from nights.atomic import write_text
from nights.hypnogram import Hypnogram

__all__ = ["Alarm", "ChannelRow", "ReferenceScoring", "NightReport", "render", "write_report"]

REVIEW_LISTED, REVIEW_DRAWN = 20, 6
REVIEW_IMPROBABLE = 5  # of those listed, at most so many for their surprisal alone
REVIEW_BYTES = 330_000  # for all drawn epochs together: the file stays below 1 MB
VERDICTS = {
    "": "No alarm. Nothing in this night or its signals broke a limit.",
    "note": "No warning. The notes below say what to keep in mind.",
    "warning": "Look before use: something in this night broke a limit.",
    "distrust": "Do not trust this result before a person has looked at the signals.",
}
# What a reader looks for first, in everyday words; shown when the statistic is there.
HEADLINES = {
    "tst_min": "Total sleep time",
    "se_percent": "Sleep efficiency",
    "sol_min": "Sleep onset latency",
    "waso_min": "Wake after sleep onset",
    "rem_latency_min": "REM latency",
    "awakenings_per_h": "Awakenings",
}
# The same of heart and breath.
BODY_HEADLINES = {
    "ahi_per_h": "Apnea-hypopnea index (AHI)",
    "arousals_per_h": "Arousal index",
    "odi3_per_h": "Oxygen desaturation index (3 %)",
    "spo2_lowest_percent": "Lowest SpO2 asleep",
    "heart_asleep_bpm": "Heart rate asleep",
    "rmssd_ms": "RMSSD",
}
# Statistics `<stage>_<column>` are one table with a row for each stage.
STAGE_COLUMNS = {
    "min": "Minutes",
    "percent": "% of sleep",
    "latency_min": "Latency, min",
    "bouts": "Bouts",
    "bout_mean_min": "Mean bout, min",
}


class Described(Protocol):
    """What a statistic means: its unit and its definition in words."""

    @property
    def unit(self) -> str: ...  # noqa: D102

    @property
    def text(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class ChannelRow:
    """One line of the channel decision: what was wanted, what was taken, how good it is."""

    wanted: str
    found: str
    how: str = ""
    referenced: bool | None = None
    quality: str = ""


@dataclass(frozen=True, eq=False)
class ReferenceScoring:
    """Another scoring of the same epochs, and how well the result agrees with it.

    `metrics` are those of `evaluation.metrics.metrics_from`: numbers, and `per_stage_<what>` as
    {stage: number}. `confusion` (K, K) counts epochs: rows are the reference, columns the result.
    """

    reference: Hypnogram
    metrics: Mapping[str, Any]
    confusion: np.ndarray


@dataclass(frozen=True)
class Explanation:
    """What made a stager give its stages: how it was found, and (caption, PNG) of each picture."""

    words: str
    pictures: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, eq=False)
class NightReport:
    """Everything a report shows, as plain data.

    Parameters
    ----------
    name : str
        Name of the recording: the stem of its file, never text from its header.
    hypnogram : Hypnogram
        The result.
    raw : Hypnogram or None
        The same night before correction; None when nothing was corrected.
    alarms : tuple of Alarm
        Shown first, the gravest on top.
    statistics : mapping of str to float
        Sleep statistics; NaN is shown as a dash.
    definitions : mapping of str to object with `unit` and `text`
        What each statistic means.
    ranges : mapping of str to (float, float)
        Where a statistic lay in nearly all nights that `ranges_source` names.
    channels : tuple of ChannelRow
        The channel decision.
    eeg : Trace or None
        The EEG of the spectrogram.
    signals : tuple of Trace
        Signals drawn around the epochs to review.
    comparison : ReferenceScoring or None
        A scoring of the same night to compare with.
    provenance : mapping of str to str
        Versions, hashes, weights, command: one line each.
    surprisal : float array (E,) or None
        Nats of each epoch under a language model of sleep: the most improbable are listed too.
    simulated : tuple of str
        Why this is not a result of a real night or of real weights; shown as a loud banner.
    notes : tuple of str
        Repairs of the file and other things to know.
    body : BodyReport or None
        Heart, breath and oxygen: courses under the hypnogram, a summary, a few events drawn.
    event_epochs : tuple of EventEpochs
        What networks say of apnea and hypopnea: courses under the hypnogram, the number of epochs,
        the most probable ones drawn.
    explanation : Explanation or None
        What spoke for the stages.
    """

    name: str
    hypnogram: Hypnogram
    raw: Hypnogram | None = None
    alarms: tuple[Alarm, ...] = ()
    statistics: Mapping[str, float] = field(default_factory=dict)
    definitions: Mapping[str, Described] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    ranges_source: str = ""
    channels: tuple[ChannelRow, ...] = ()
    eeg: Trace | None = None
    signals: tuple[Trace, ...] = ()
    comparison: ReferenceScoring | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    surprisal: np.ndarray | None = None
    simulated: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    body: BodyReport | None = None
    event_epochs: tuple[EventEpochs, ...] = ()
    explanation: Explanation | None = None


def write_report(report: NightReport, path: Path) -> None:
    """Write the report as one HTML file, whole or not at all."""
    write_text(path, render(report))


def render(report: NightReport) -> str:
    """Return the report as the text of one HTML page; the same report gives the same text."""
    return render_page(
        "report.html.j2",
        report=report,
        alarms=gravest_first(report.alarms),
        verdict=_verdict(report.alarms),
        facts=_facts(report),
        picture=_picture(report),
        picture_text=describe(report.hypnogram),
        matrices=_matrices(report),
        headlines={words: name for name, words in HEADLINES.items() if name in report.statistics},
        stage_columns=STAGE_COLUMNS,
        stages=_stages(report),
        overall=_overall(report),
        healthy=_healthy(report),
        healthy_sources=SOURCES,
        body_definitions=BODY_DEFINITIONS,
        body_headlines=_body_headlines(report.body),
        event_pictures=event_pictures(report.body, report.hypnogram),
        probable=probable_events(report.event_epochs, report.body, report.hypnogram),
        no_index=NO_INDEX,
        event_definitions=EVENT_DEFINITIONS,
        event_rules=EVENT_RULES,
        agreement=_agreement(report.comparison),
        changes=change_rows(report),
        change_counts=_change_counts(report),
        review=review_rows(report),
        explained=_explained(report.explanation),
    )


def _healthy(report: NightReport) -> list[tuple[float, Healthy]]:
    """Return what papers found in healthy adults; nothing where no ranges of nights apply."""
    body = report.body.statistics if report.body else {}
    return beside_healthy({**report.statistics, **body}) if report.ranges else []


# ---------------------------------------------------------------------------------- what is said


def describe(hypnogram: Hypnogram) -> str:
    """Return the hypnogram in one sentence, for those who cannot see the picture."""
    scored = hypnogram.stages[hypnogram.scored]
    if not scored.size:
        return f"Hypnogram of {hypnogram.n_epochs} epochs, none of them scored."
    shares = (
        f"{name} {100 * np.mean(scored == code):.0f} %"
        for code, name in enumerate(hypnogram.classes)
    )
    return f"Hypnogram of {hypnogram.n_epochs} epochs, {len(scored)} scored: {', '.join(shares)}."


def change_rows(report: NightReport) -> list[dict[str, Any]]:
    """List every epoch the correction changed: from what, to what, with what probabilities."""
    raw, result = report.raw, report.hypnogram
    if raw is None:
        return []
    rows = []
    for epoch in np.flatnonzero(changed(raw, result)).tolist():
        rows.append(
            epoch_place(result, epoch)
            | {
                "before": raw.names[epoch],
                "after": result.names[epoch],
                "before_proba": _proba(raw, epoch, int(raw.stages[epoch])),
                "after_proba": _proba(result, epoch, int(result.stages[epoch])),
            }
        )
    return rows


def review_rows(report: NightReport) -> list[dict[str, Any]]:
    """List the epochs to look at, the most doubtful first, the first of them with signals.

    Doubt is one minus the probability of the stage given; equals stand in the order of the night.
    At the end stand epochs whose stage is improbable where it is, sure as the stager may be.
    """
    result = report.hypnogram
    listed = _to_review(report)
    rows: list[dict[str, Any]] = []
    pictures = _review_pictures(report, listed[:REVIEW_DRAWN])
    for epoch in listed:
        ranked = sorted(enumerate(result.proba[epoch]), key=lambda pair: -pair[1])  # type: ignore[index]
        row = epoch_place(result, epoch) | {
            "stage": result.names[epoch],
            "before": report.raw.names[epoch] if report.raw is not None else "",
            "probabilities": [(result.classes[code], float(p)) for code, p in ranked if p >= 0.005],
            "picture": pictures.get(epoch, ""),
            "surprise": "" if report.surprisal is None else number(report.surprisal[epoch]),
        }
        rows.append(row)
    return rows


def _to_review(report: NightReport) -> list[int]:
    """Return the epochs to list: doubtful ones, then improbable ones that are not among them."""
    sure = confidence(report.hypnogram)
    order = np.argsort(np.where(np.isnan(sure), np.inf, sure), kind="stable")
    doubtful = order[np.isfinite(sure[order])].tolist()
    if report.surprisal is None or not doubtful:
        return doubtful[:REVIEW_LISTED]
    first = doubtful[: REVIEW_LISTED - REVIEW_IMPROBABLE]
    improbable = [epoch for epoch in improbable_epochs(report.surprisal) if epoch not in first]
    return [*first, *improbable[:REVIEW_IMPROBABLE]]


# -------------------------------------------------------------------------------------- pieces


def _verdict(alarms: tuple[Alarm, ...]) -> tuple[str, str]:
    """Return the gravest severity among the alarms and the sentence that goes with it."""
    worst = max((SEVERITIES.index(alarm.severity) for alarm in alarms), default=-1)
    severity = SEVERITIES[worst] if worst >= 0 else ""
    return severity, VERDICTS[severity]


def _facts(report: NightReport) -> list[tuple[str, str]]:
    """Return what the head of the page says about the recording (clock time, never the date)."""
    night = report.hypnogram
    hours, minutes = divmod(round(night.n_epochs * night.epoch_s / 60), 60)
    unscored = night.n_epochs - int(night.scored.sum())
    start = "unknown" if night.start is None else f"{night.start:%H:%M:%S}"
    return [
        ("Starts at", start),
        ("Length", f"{hours} h {minutes:02d} min, {night.n_epochs} epochs of {night.epoch_s:g} s"),
        ("Unscored", f"{unscored} epochs"),
        ("Scored by", night.scorer or "not said"),
    ]


def _picture(report: NightReport) -> str:
    """Return the figure of the night as the address of an image inside the page."""
    reference = report.comparison.reference if report.comparison else None
    courses = report.body.courses if report.body else ()
    figure = night_figure(
        report.hypnogram,
        raw=report.raw,
        reference=reference,
        eeg=report.eeg,
        courses=courses,
        events=report.event_epochs,
    )
    return svg_address(encode(figure, "svg"))


def _review_pictures(report: NightReport, epochs: list[int]) -> dict[int, str]:
    """Draw the signals around epochs, in order, as long as they fit into `REVIEW_BYTES`."""
    pictures: dict[int, str] = {}
    room = REVIEW_BYTES
    for epoch in epochs if report.signals else []:
        address = png_address(small_png(epoch_figure(report.signals, epoch)))
        room -= len(address)
        if room < 0:
            break
        pictures[epoch] = address
    return pictures


def _body_headlines(body: BodyReport | None) -> dict[str, str]:
    """Return {everyday words: name} of the numbers of heart and breath that are there."""
    known = body.statistics if body else {}
    return {words: name for name, words in BODY_HEADLINES.items() if name in known}


def _explained(explanation: Explanation | None) -> list[tuple[str, str]]:
    """Return (caption, image) of what explains the stages."""
    pictures = explanation.pictures if explanation else ()
    return [(caption, png_address(png)) for caption, png in pictures]


def _matrices(report: NightReport) -> list[tuple[str, str]]:
    """Return (caption, image) of the stage transitions and of the confusion with a reference."""
    night = report.hypnogram
    counts, _ = transition_matrix(in_bed(night))
    figure = matrix_figure(counts, night.classes, rows="From", columns="To")
    caption = "Which stage followed which: count, and share of the stage it came from"
    pictures = [(caption, svg_address(encode(figure, "svg")))]
    if report.comparison is not None:
        confusion = report.comparison.confusion
        figure = matrix_figure(confusion, night.classes, rows="Reference", columns="Result")
        caption = "Result against the reference: epochs, and share of the stage in the reference"
        pictures.append((caption, svg_address(encode(figure, "svg"))))
    return pictures


def _stages(report: NightReport) -> list[str]:
    """Return the stages that have statistics of their own, as they are named there."""
    return [name.removesuffix("_bouts") for name in report.statistics if name.endswith("_bouts")]


def _overall(report: NightReport) -> dict[str, float]:
    """Return the statistics that are not of one stage."""
    of_stages = {f"{stage}_{column}" for stage in _stages(report) for column in STAGE_COLUMNS}
    return {name: x for name, x in report.statistics.items() if name not in of_stages}


def _agreement(comparison: ReferenceScoring | None) -> dict[str, dict[str, Any]]:
    """Sort metrics into numbers `overall` and `{what: {stage: number}}` by `stage`."""
    metrics = comparison.metrics if comparison is not None else {}
    by_stage = {
        _words(name.removeprefix("per_stage_")): values
        for name, values in metrics.items()
        if isinstance(values, Mapping)
    }
    overall = {_words(name): x for name, x in metrics.items() if not isinstance(x, Mapping)}
    return {"overall": overall, "stage": by_stage}


def _words(name: str) -> str:
    """Return the name of a metric as it is printed."""
    return name.replace("_", " ").replace("f1", "F1")


def _change_counts(report: NightReport) -> list[tuple[str, int]]:
    """Count the changes by kind, the most frequent first."""
    counts = Counter(f"{row['before']} → {row['after']}" for row in change_rows(report))
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _proba(hypnogram: Hypnogram, epoch: int, stage: int) -> float:
    """Return the probability of a stage in an epoch, NaN where there is none."""
    if hypnogram.proba is None or stage < 0:
        return float("nan")
    return float(hypnogram.proba[epoch, stage])
