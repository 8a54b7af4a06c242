"""The picture of a night: hypnogram, hypnodensity, spectrogram, confidence.

What has one value per epoch is one image of a night, not a thousand rectangles. Every time axis is
in hours from the first sample of the recording.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from math import ceil
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure

from evaluation.event_epochs import LIKELY, EventEpochs, event_statistics
from evaluation.plots.style import CHANGED, COLOURS, FAINT, INK, STYLE, TOP_TO_BOTTOM, shown
from evaluation.traces import Course, Trace, spectrogram
from nights.hypnogram import Hypnogram

DOUBT = LinearSegmentedColormap.from_list("doubt", ["#3b0f4d", "#8a4a97", "#d9bfe0", "#ffffff"])


def night_figure(
    hypnogram: Hypnogram,
    *,
    raw: Hypnogram | None = None,
    reference: Hypnogram | None = None,
    eeg: Trace | None = None,
    courses: Sequence[Course] = (),
    events: Sequence[EventEpochs] = (),
) -> Figure:
    """Compose the picture of a night; panels without data are left out.

    Parameters
    ----------
    hypnogram : Hypnogram
        The result; its hypnodensity gives two more panels.
    raw : Hypnogram or None
        The same night before correction: drawn below, every changed epoch marked.
    reference : Hypnogram or None
        Another scoring of the night, on the same epochs.
    eeg : Trace or None
        One EEG for the spectrogram, with as many epochs as the hypnogram.
    courses : sequence of Course
        Values per epoch, such as heart rate and breaths, each a panel at the bottom.
    events : sequence of EventEpochs
        How probable an apnea or a hypopnea is in each epoch, each a panel above the courses.

    Raises
    ------
    ValueError
        If the pieces differ in their number of epochs.
    """
    _check_lengths(hypnogram, raw, reference, eeg, *courses, *events)
    rows = _rows(hypnogram, raw, reference, eeg)
    rows += [(draw_event_epochs, 0.62, (found, hypnogram)) for found in events]
    rows += [(draw_course, 0.62, (course, hypnogram)) for course in courses]
    heights = [row[1] for row in rows]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, 0.9 + 1.12 * sum(heights)), facecolor="white")
        grid = figure.add_gridspec(
            len(rows), 1, height_ratios=heights, hspace=0.14, **_margins(sum(heights))
        )
        first: Axes | None = None
        for place, (draw, _, arguments) in enumerate(rows):
            axes = figure.add_subplot(grid[place], sharex=first)
            first = first or axes
            draw(axes, *arguments)
            axes.tick_params(axis="x", labelbottom=place == len(rows) - 1)
        _name_lights(figure.axes[0], hypnogram)
        time_axis(axes, hypnogram)
    return figure


def _rows(hypnogram, raw, reference, eeg) -> list[tuple]:  # type: ignore[no-untyped-def]
    """List the panels from top to bottom: (drawing function, height, its arguments)."""
    label = "Stage" if raw is None else "Corrected"
    rows: list[tuple] = [(draw_hypnogram, 1.5, (hypnogram, label))]
    if raw is not None:
        rows += [(draw_changes, 0.16, (raw, hypnogram)), (draw_hypnogram, 1.0, (raw, "Stager"))]
    if reference is not None:
        rows.append((draw_hypnogram, 1.0, (reference, "Reference")))
    if hypnogram.proba is not None:
        rows.append((draw_hypnodensity, 1.1, (hypnogram,)))
        rows.append((draw_confidence, 0.16, (hypnogram,)))
    if eeg is not None:
        rows.append((draw_spectrogram, 1.3, (eeg, hypnogram)))
    return rows


def _margins(height: float) -> dict[str, float]:
    """Return the margins as shares of the figure, for a fixed space in inches."""
    inches = 0.9 + 1.12 * height
    return {"left": 0.075, "right": 0.91, "bottom": 0.5 / inches, "top": 1 - 0.3 / inches}


def _check_lengths(
    hypnogram: Hypnogram, *others: Hypnogram | Trace | Course | EventEpochs | None
) -> None:
    """Refuse pieces of another length, naming both."""
    for other in others:
        if other is None:
            continue
        if isinstance(other, Hypnogram):
            epochs = other.n_epochs
        elif isinstance(other, EventEpochs):
            epochs = len(other.proba)
        else:
            epochs = len(other.samples if isinstance(other, Trace) else other.values)
        if epochs != hypnogram.n_epochs:
            raise ValueError(f"a figure of {hypnogram.n_epochs} epochs was given one of {epochs}")


# ------------------------------------------------------------------------------------- panels


def draw_hypnogram(axes: Axes, hypnogram: Hypnogram, label: str = "Stage") -> None:
    """Draw stages as coloured steps, REM as a thick bar, unscored epochs hatched, lights marked."""
    order = [name for name in TOP_TO_BOTTOM if name in hypnogram.classes]
    level = [order.index(name) for name in hypnogram.classes]
    edges = _edges_h(hypnogram)
    runs = [run for run in hypnogram.runs() if run[2] >= 0]
    steps = [
        [(edges[f2], level[s1]), (edges[f2], level[s2])]
        for (f1, n1, s1), (f2, _, s2) in zip(runs, runs[1:], strict=False)
        if f1 + n1 == f2
    ]
    _draw_pieces(axes, steps, FAINT, width=0.7)
    for stage, name in enumerate(hypnogram.classes):
        bars = [[(edges[f], level[s]), (edges[f + n], level[s])] for f, n, s in runs if s == stage]
        _draw_pieces(axes, bars, COLOURS[name], width=4.5 if name == "R" else 2.8)
    axes.set_yticks(range(len(order)), order)
    axes.set_ylim(len(order) - 0.45, -0.55)
    axes.grid(axis="y", color="#e8eaee", linewidth=0.6)
    _frame(axes, hypnogram, label)
    _hatch_unscored(axes, hypnogram)
    _mark_lights(axes, hypnogram)


def draw_changes(axes: Axes, raw: Hypnogram, corrected: Hypnogram) -> None:
    """Draw one strip with a mark at every epoch whose stage the correction changed."""
    marks = np.where(changed(raw, corrected), 1.0, np.nan)[None]
    black = LinearSegmentedColormap.from_list("changed", [CHANGED, CHANGED])
    draw_strip(axes, corrected, marks, cmap=black, vmin=0, vmax=1)
    axes.set_ylabel("Changed", rotation=0, ha="right", va="center")
    _say_right(axes, f"{np.nansum(marks):.0f} epochs")


def draw_hypnodensity(axes: Axes, hypnogram: Hypnogram) -> None:
    """Draw the probability of every stage, stacked with wake on top, in the stage colours."""
    image = hypnodensity_image(hypnogram)
    axes.imshow(image, extent=_extent(hypnogram, 0, 1), aspect="auto", interpolation="none")
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    _frame(axes, hypnogram, "Probability")
    order = [name for name in TOP_TO_BOTTOM if name in hypnogram.classes]
    for place, name in enumerate(order):
        height = 0.9 - 0.8 * place / max(len(order) - 1, 1)
        box: dict[str, Any] = {
            "boxstyle": "square,pad=0.35",
            "facecolor": COLOURS[name],
            "edgecolor": FAINT,
        }
        where: dict[str, Any] = {"transform": axes.transAxes, "va": "center", "fontsize": 5}
        axes.text(1.012, height, " ", bbox=box | {"linewidth": 0.4}, **where)
        axes.text(1.03, height, name, **(where | {"fontsize": 8}))
    _hatch_unscored(axes, hypnogram)


def draw_confidence(axes: Axes, hypnogram: Hypnogram) -> None:
    """Draw one strip: the probability of the stage given, white where sure, dark where not."""
    draw_strip(axes, hypnogram, confidence(hypnogram)[None], cmap=DOUBT, vmin=0.3, vmax=1.0)
    axes.set_ylabel("Doubt", rotation=0, ha="right", va="center")
    _say_right(axes, _mean_text(confidence(hypnogram)))


def draw_spectrogram(axes: Axes, eeg: Trace, hypnogram: Hypnogram) -> None:
    """Draw the spectrogram of one EEG, 0 to 30 Hz in dB, limits robust against artefacts."""
    frequency, power_db = spectrogram(eeg)
    low, high = _robust_limits(power_db)
    image = axes.imshow(
        np.ma.masked_invalid(power_db),
        extent=_extent(hypnogram, 0, frequency[-1]),
        origin="lower",
        aspect="auto",
        interpolation="none",
        cmap=matplotlib.colormaps["magma"].with_extremes(bad="#d5d8dd"),
        vmin=low,
        vmax=high,
    )
    axes.set_yticks([0, 10, 20, 30])
    _frame(axes, hypnogram, "Hz")
    name = axes.text(0.006, 0.95, eeg.name, parse_math=False, color="white", fontsize=8)
    name.set(transform=axes.transAxes, va="top", fontweight="bold")
    colourbar = axes.inset_axes((1.012, 0.05, 0.01, 0.9))
    axes.figure.colorbar(image, cax=colourbar)
    colourbar.tick_params(labelsize=7, length=2)
    colourbar.set_ylabel(f"dB ({shown(eeg.unit)}²/Hz)", fontsize=7)


def draw_course(axes: Axes, course: Course, hypnogram: Hypnogram) -> None:
    """Draw a value per epoch as a thin line, and its median; rare extremes may leave the panel."""
    middle_h = _edges_h(hypnogram)[:-1] + hypnogram.epoch_s / 7200
    axes.plot(middle_h, course.values, color=INK, linewidth=0.8)
    known = course.values[np.isfinite(course.values)]
    if known.size:
        low, middle, high = np.percentile(known, [0.2, 50, 99.8])
        room = max(0.08 * (high - low), 1.0)
        axes.set_ylim(low - room, high + room)
        axes.axhline(middle, color=FAINT, linewidth=0.6, linestyle=(0, (2, 2)))
        _say_right(axes, f"median {middle:.0f}\n{shown(course.unit)}")
    axes.locator_params(axis="y", nbins=3)
    axes.grid(axis="y", color="#e8eaee", linewidth=0.6)
    _frame(axes, hypnogram, course.name.replace(" ", "\n", 1))
    _hatch_unscored(axes, hypnogram)


def draw_event_epochs(axes: Axes, found: EventEpochs, hypnogram: Hypnogram) -> None:
    """Draw the probability of an event in each epoch, and above it where one was scored."""
    edges = _edges_h(hypnogram)
    axes.stairs(np.nan_to_num(found.proba), edges, fill=True, color=COLOURS["R"], linewidth=0)
    axes.axhline(LIKELY, color=INK, linewidth=0.6, linestyle=(0, (4, 3)))
    told = event_statistics(found, hypnogram)
    said = f"{told['epochs']:.0f} asleep\np ≥ {LIKELY:g}"
    if found.scored is not None:
        for epoch in np.flatnonzero(found.scored):
            axes.axvspan(edges[epoch], edges[epoch + 1], 0.84, 0.97, color=INK, linewidth=0)
        said += f"\n{told['scored_epochs']:.0f} scored"
    _say_right(axes, said)
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_ylim(0, 1.25)
    _frame(axes, hypnogram, f"p of\n{found.kind}")
    _hatch_unscored(axes, hypnogram)


# ----------------------------------------------------------------------------- what is drawn


def hypnodensity_image(hypnogram: Hypnogram, height: int = 96) -> np.ndarray:
    """Return the stacked hypnodensity as an image (height, E, 3) of 0..1, wake on top.

    Each pixel mixes the colours of the stages it covers by the share it covers, so that small
    probabilities are seen; unscored epochs are white.
    """
    if hypnogram.proba is None:
        raise ValueError("this hypnogram has no hypnodensity to draw")
    order = [hypnogram.classes.index(name) for name in TOP_TO_BOTTOM if name in hypnogram.classes]
    edges = np.cumsum(hypnogram.proba[:, order], axis=1)  # (E, K) lower edge of each stage
    top = np.concatenate([np.zeros((len(edges), 1)), edges[:, :-1]], axis=1)
    pixel = np.arange(height)[:, None, None] / height
    covered = np.minimum(edges, pixel + 1 / height) - np.maximum(top, pixel)  # (height, E, K)
    colours = np.array([to_rgb(COLOURS[hypnogram.classes[k]]) for k in order])
    image = np.clip(covered * height, 0, 1) @ colours
    image[:, ~np.isfinite(hypnogram.proba).all(axis=1)] = 1.0
    return np.clip(image, 0, 1)


def confidence(hypnogram: Hypnogram) -> np.ndarray:
    """Return the probability (E,) of the stage given; NaN where unscored or without one."""
    if hypnogram.proba is None:
        return np.full(hypnogram.n_epochs, np.nan)
    chosen = np.maximum(hypnogram.stages, 0).astype(np.intp)
    given = hypnogram.proba[np.arange(hypnogram.n_epochs), chosen].astype(np.float64)
    return np.where(hypnogram.scored, given, np.nan)


def changed(raw: Hypnogram, corrected: Hypnogram) -> np.ndarray:
    """Return a bool array (E,): True where the two give different stages."""
    return raw.stages != corrected.stages


# -------------------------------------------------------------------------------------- parts


def time_axis(axes: Axes, hypnogram: Hypnogram) -> None:
    """Label the time axis: clock time at whole hours when the start is known, else hours."""
    first, last = _edges_h(hypnogram)[[0, -1]]
    step = _tick_step_h(last - first)
    if hypnogram.start is None:
        axes.set_xticks(np.arange(ceil(first / step) * step, last + 1e-9, step))
        axes.set_xlabel("Hours from the start of the recording")
        return
    begin = hypnogram.start
    midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    offset = first - (begin - midnight).total_seconds() / 3600  # hours of the axis at midnight
    ticks = np.arange(ceil((first - offset) / step) * step, last - offset + 1e-9, step)
    clock = [(midnight + timedelta(hours=float(tick))).strftime("%H:%M") for tick in ticks]
    axes.set_xticks(ticks + offset, clock)
    axes.set_xlabel("Clock time")


def _tick_step_h(hours: float) -> float:
    """Return the distance between ticks that gives at most about a dozen of them."""
    return next((step for step in (0.05, 0.1, 0.25, 0.5, 1.0, 2.0) if hours / step <= 14), 4.0)


def _edges_h(hypnogram: Hypnogram) -> np.ndarray:
    """Return the E + 1 edges of the epochs in hours from the first sample of the recording."""
    return (hypnogram.onset_s + hypnogram.epoch_s * np.arange(hypnogram.n_epochs + 1)) / 3600


def _extent(hypnogram: Hypnogram, low: float, high: float) -> tuple[float, float, float, float]:
    """Return where an image with one column per epoch lies on the axes."""
    first, last = _edges_h(hypnogram)[[0, -1]]
    return float(first), float(last), float(low), float(high)


def _frame(axes: Axes, hypnogram: Hypnogram, label: str) -> None:
    """Set the time limits, the label and the plain frame of a panel."""
    first, last = _edges_h(hypnogram)[[0, -1]]
    axes.set_xlim(first, max(last, first + 1e-6))
    axes.set_ylabel(label)
    axes.tick_params(length=2.5)
    axes.spines[["top", "right"]].set_visible(False)


def draw_strip(axes: Axes, hypnogram: Hypnogram, values: np.ndarray, **colours: Any) -> None:
    """Draw values (1, E) as a thin strip of one image."""
    extent = _extent(hypnogram, 0, 1)
    axes.imshow(values, extent=extent, aspect="auto", interpolation="none", **colours)
    _frame(axes, hypnogram, "")
    axes.set_yticks([])
    axes.spines[["top", "right"]].set_visible(True)


def _robust_limits(power_db: np.ndarray) -> tuple[float, float]:
    """Return the 2nd and 98th percentile over the epochs that are no artefact by their level.

    At most 45 dB apart: the band an old recorder has cut off must not use up the colours.
    """
    measured = power_db[:, np.isfinite(power_db).all(axis=0)]
    if not measured.size:
        return 0.0, 1.0
    level = np.median(measured, axis=0)
    usual = measured[:, np.abs(level - np.median(level)) <= 15]
    low, high = np.percentile(usual, [2, 98])
    return max(float(low), float(high) - 45), float(high)


def _mean_text(probabilities: np.ndarray) -> str:
    """Return the mean probability in words, nothing when there is none."""
    known = probabilities[np.isfinite(probabilities)]
    return f"mean p {known.mean():.2f}" if known.size else ""


def _say_right(axes: Axes, text: str) -> None:
    """Write a short text to the right of a strip."""
    axes.text(1.012, 0.5, text, transform=axes.transAxes, va="center", fontsize=8, color=INK)


def _draw_pieces(axes: Axes, pieces: Sequence[Sequence], colour: str, *, width: float) -> None:
    """Draw straight pieces ((x, y), (x, y)) of one look as a single broken line."""
    gap = (np.nan, np.nan)
    points = np.array([point for piece in pieces for point in (*piece, gap)]).reshape(-1, 2)
    axes.plot(points[:, 0], points[:, 1], color=colour, linewidth=width, solid_capstyle="butt")


def _hatch_unscored(axes: Axes, hypnogram: Hypnogram) -> None:
    """Hatch the epochs without a stage over the whole height of the panel."""
    edges = _edges_h(hypnogram)
    for first, length, stage in hypnogram.runs():
        if stage < 0:
            span = (edges[first], edges[first + length])
            axes.axvspan(*span, facecolor="#f4f5f7", edgecolor=FAINT, hatch="////", linewidth=0)


def _mark_lights(axes: Axes, hypnogram: Hypnogram) -> None:
    """Mark lights off and lights on, where known, by a dashed line."""
    for seconds in (hypnogram.lights_off_s, hypnogram.lights_on_s):
        if seconds is not None:
            axes.axvline(seconds / 3600, color=INK, linestyle=(0, (4, 3)), linewidth=0.9, zorder=4)


def _name_lights(axes: Axes, hypnogram: Hypnogram) -> None:
    """Write above a panel which line is lights off and which is lights on."""
    place: dict[str, Any] = {
        "transform": axes.get_xaxis_transform(),
        "ha": "center",
        "va": "bottom",
    }
    names = {"lights off": hypnogram.lights_off_s, "lights on": hypnogram.lights_on_s}
    for name, seconds in names.items():
        if seconds is not None:
            axes.text(seconds / 3600, 1.01, name, fontsize=7.5, color=INK, **place)
