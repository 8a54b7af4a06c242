"""Figures of how well stagers do: confusions, statistics, sureness, review, channels, pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.agreement import bland_altman
from evaluation.calibration import REVIEWED, Calibration
from evaluation.ceiling import Transitions
from evaluation.plots.matrix import draw_matrix
from evaluation.plots.style import FAINT, INK, STYLE

# Okabe and Ito (2008): eight colours that colour-blind readers tell apart; yellow is too pale
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
ACROSS = 3  # panels side by side
FEWEST = 20  # epochs behind a share that is drawn: fewer would show chance


def confusion_figure(confusions: Mapping[str, np.ndarray], classes: Mapping[str, Any]) -> Figure:
    """Return the pooled confusion of each stager, shaded by the share of the scored stage."""
    figure, panels = _panels(len(confusions), height=4.1, width=4.3)
    for axes, (name, matrix) in zip(panels, confusions.items(), strict=False):
        draw_matrix(axes, matrix, classes[name])
        axes.set(xlabel="Stager", ylabel="Scoring", title=name)
    return figure


def bland_altman_figure(statistics: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Return one panel a statistic: difference against mean, bias and limits of agreement.

    Parameters
    ----------
    statistics : {title: (scoring (N,), stager (N,))}
        NaN where undefined; what has no difference is told in the panel.
    """
    figure, panels = _panels(len(statistics), height=3.0, width=3.6)
    for axes, (title, (scoring, stager)) in zip(panels, statistics.items(), strict=False):
        _draw_bland_altman(axes, scoring, stager)
        axes.set_title(title)
    figure.supxlabel("Mean of scoring and stager", fontsize=9, color=INK)
    figure.supylabel("Stager minus scoring", fontsize=9, color=INK)
    return figure


def _draw_bland_altman(axes: Axes, scoring: np.ndarray, stager: np.ndarray) -> None:
    """Draw the nights, the bias, the limits, and say what is undefined."""
    found = bland_altman(scoring, stager)
    axes.scatter((scoring + stager) / 2, stager - scoring, s=14, alpha=0.55, color=LINES[0], lw=0)
    axes.axhline(0, color=FAINT, linewidth=0.8)
    for value, style in ((found.bias, "-"), (found.low, "--"), (found.high, "--")):
        if np.isfinite(value):
            axes.axhline(value, color=LINES[1], linestyle=style, linewidth=1.1)
            axes.text(
                1.01,
                value,
                f"{value:+.1f}",
                transform=axes.get_yaxis_transform(),
                va="center",
                fontsize=7.5,
                color=LINES[1],
            )
    told = [f"n = {found.n}"]
    told += [f"{found.only_second} in stager only"] if found.only_second else []
    told += [f"{found.only_first} in scoring only"] if found.only_first else []
    told += [f"{found.neither} in neither"] if found.neither else []
    room = axes.get_ylim()[1] - axes.get_ylim()[0]
    axes.set_ylim(top=axes.get_ylim()[1] + 0.16 * room)  # for the words above the points
    axes.text(0.02, 0.98, ", ".join(told), transform=axes.transAxes, va="top", fontsize=7.5)
    axes.spines[["top", "right"]].set_visible(False)


def reliability_figure(calibrations: Mapping[str, Calibration]) -> Figure:
    """Return the reliability diagram of each stager, as it came and scaled, epochs below."""
    figure, panels = _panels(len(calibrations), height=3.9, width=3.7)
    for axes, (name, found) in zip(panels, calibrations.items(), strict=False):
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.9)
        sides = [("as it came", found.before, LINES[0], "o-")]
        if found.temperatures:
            sides.append(("scaled", found.after, LINES[1], "s--"))
        for words, side, colour, style in sides:
            error = f"{words}: ECE {100 * side.expected_error:.1f} %"
            known = side.n_epochs >= FEWEST
            axes.plot(
                side.confidence[known], side.accuracy[known], style, color=colour, ms=4, label=error
            )
        share = found.before.n_epochs / max(found.before.n_epochs.sum(), 1)
        edges = np.linspace(0, 1, len(share) + 1)
        axes.bar(edges[:-1], share, np.diff(edges), align="edge", color="#e3e7ec", zorder=0)
        axes.set(xlim=(0, 1), ylim=(0, 1), title=name)
        axes.set(xlabel="Probability of the stage given", ylabel="Share that was right")
        axes.legend(loc="upper left", frameon=False, fontsize=8)
        axes.text(
            0.99, 0.02, "bars: share of epochs", transform=axes.transAxes, ha="right", fontsize=7
        )
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def review_figure(calibrations: Mapping[str, Calibration]) -> Figure:
    """Return the accuracy left, and that of the whole, by the share of epochs reviewed."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4.0), facecolor="white", layout="constrained")
        axes = figure.add_subplot()
        lowest = 1.0
        for place, (name, found) in enumerate(calibrations.items()):
            review, colour = found.review, LINES[place % len(LINES)]
            shown = review.share <= 0.6
            share = 100 * review.share[shown]
            axes.plot(share, 100 * review.left[shown], color=colour, label=name)
            axes.plot(share, 100 * review.whole[shown], color=colour, linestyle=":")
            lowest = min(lowest, review.left[shown].min())
        for reviewed in REVIEWED:
            axes.axvline(100 * reviewed, color=FAINT, linewidth=0.6, zorder=0)
        axes.set(xlim=(0, 60), ylim=(np.floor(100 * lowest) - 1, 100.4))
        axes.set(xlabel="Least sure epochs reviewed, %", ylabel="Accuracy, %")
        axes.plot([], [], color=INK, label="solid: epochs not reviewed")
        axes.plot([], [], color=INK, linestyle=":", label="dotted: whole, review as the scoring")
        axes.legend(frameon=False, fontsize=8, loc="lower right")
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def channel_figure(subsets: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Figure:
    """Return kappa with its interval for each subset of channels, most channels on top.

    Parameters
    ----------
    subsets : {stager: {channels: facts}}
        See `evaluation.judge.subset_facts`.
    """
    rows = [(s, channels, f) for s, of in subsets.items() for channels, f in of.items()]
    names = list(dict.fromkeys(channels for _, channels, _ in rows))
    best = {c: max(f["kappa"] for _, other, f in rows if other == c) for c in names}
    number = {channels: f["n_channels"] for _, channels, f in rows}
    names.sort(key=lambda channels: (-number[channels], -best[channels]))
    return _interval_figure(
        names,
        {
            stager: [
                of[channels]["kappa_interval"] if channels in of else None for channels in names
            ]
            for stager, of in subsets.items()
        },
        "Kappa, epochs pooled (95 % by person)",
    )


def rater_figure(table: Mapping[str, Mapping[str, Any]], title: str = "") -> Figure:
    """Return the weighted kappa of scorers and stagers with intervals, the best on top."""
    names = sorted(table, key=lambda rater: -table[rater]["pooled"]["kappa"])
    words = {"scorer": "a scorer against the others", "stager": "a stager against the scorers"}
    kinds = {
        said: [table[name]["interval"] if table[name]["kind"] == kind else None for name in names]
        for kind, said in words.items()
    }
    return _interval_figure(names, kinds, "Weighted kappa, pooled (95 % over nights)", title)


def gain_figure(
    first: np.ndarray, second: np.ndarray, names: tuple[str, str], score: str = "Kappa"
) -> Figure:
    """Return each night's metric of two stagers against each other, and the sorted differences."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.9), facecolor="white", layout="constrained")
        left, right = figure.subplots(1, 2)
        known = np.isfinite(first) & np.isfinite(second)
        low = min(first[known].min(), second[known].min(), 0.95) - 0.03 if known.any() else 0.0
        left.plot([low, 1], [low, 1], color=FAINT, linewidth=0.9)
        left.scatter(first[known], second[known], s=16, alpha=0.6, color=LINES[0], lw=0)
        left.set(xlim=(low, 1), ylim=(low, 1), xlabel=f"{score}, {names[0]}")
        left.set(ylabel=f"{score}, {names[1]}", title="Nights")
        gained = np.sort(second[known] - first[known])
        colours = np.where(gained > 0, LINES[0], LINES[1])
        right.bar(np.arange(len(gained)), gained, width=1.0, color=colours)
        better = int((gained > 0).sum())
        words = f"{names[1]} better on {better} of {len(gained)} nights"
        right.set(xlabel="Nights, sorted", ylabel=f"{score}, difference", title=words)
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
    return figure


def transition_figure(counts: Mapping[str, Transitions], classes: Sequence[str]) -> Figure:
    """Return how often each kind of transition was right: rows the stage before, columns here."""
    figure, panels = _panels(len(counts), height=4.1, width=4.3)
    for axes, (name, found) in zip(panels, counts.items(), strict=False):
        accuracy = np.where(found.n_epochs >= FEWEST, found.accuracy, np.nan)
        axes.imshow(accuracy, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for row, column in np.ndindex(*accuracy.shape):
            value = accuracy[row, column]
            text = "–" if np.isnan(value) else f"{100 * value:.0f}"
            colour = "white" if value > 0.55 else INK
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
        axes.set_xticks(range(len(classes)), classes)
        axes.set_yticks(range(len(classes)), classes)
        axes.set(xlabel="Stage of the consensus here", ylabel="Stage before", title=name)
        axes.tick_params(length=0)
    return figure


def _interval_figure(
    names: Sequence[str],
    series: Mapping[str, Sequence[Mapping[str, float] | None]],
    label: str,
    title: str = "",
) -> Figure:
    """Draw values with intervals, a row a name and a colour a series; None is left out."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(
            figsize=(7.2, 1.2 + 0.34 * len(names)), facecolor="white", layout="constrained"
        )
        axes = figure.add_subplot()
        shared = any(
            sum(v is not None for v in row) > 1 for row in zip(*series.values(), strict=True)
        )
        shift = 0.5 / len(series) if shared else 0.0  # several on one row stand beside each other
        for place, (name, values) in enumerate(series.items()):
            rows = [(row, value) for row, value in enumerate(values) if value is not None]
            x = np.array([value["value"] for _, value in rows])
            ends = np.array([[value["low"], value["high"]] for _, value in rows]).reshape(-1, 2)
            y = np.array([row for row, _ in rows]) + shift * (place - (len(series) - 1) / 2)
            spans = np.maximum(np.abs(ends.T - x), 0)
            colour = LINES[place % len(LINES)]
            axes.errorbar(x, y, xerr=spans, fmt="o", color=colour, ms=5, capsize=2, label=name)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.grid(axis="x", color="#e8eaee", linewidth=0.6)
        axes.set(xlabel=label, title=title)
        axes.tick_params(length=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
        if len(series) > 1:
            axes.legend(frameon=False, fontsize=8)
    return figure


def _panels(n: int, *, height: float, width: float) -> tuple[Figure, list[Axes]]:
    """Return a figure of `n` panels of that size in inches, at most three across."""
    with matplotlib.rc_context(STYLE):
        across = min(max(n, 1), ACROSS)
        down = -(-n // across)
        figure = Figure(
            figsize=(width * across, height * down), facecolor="white", layout="constrained"
        )
        panels = list(figure.subplots(down, across, squeeze=False).ravel())
        for axes in panels[n:]:
            axes.set_visible(False)
    return figure, panels
