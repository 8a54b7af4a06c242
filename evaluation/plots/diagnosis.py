"""Figures of diagnoses: ROC curves, reliability, and which part of the night carried a decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from evaluation.bootstrap import Interval
from evaluation.plots.night import draw_hypnogram
from evaluation.plots.stagers import LINES
from evaluation.plots.style import FAINT, INK, STYLE
from nights.hypnogram import Hypnogram
from nights.stages import EPOCH_S

STYLES = ("-", "--", ":", "-.")


def roc_figure(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]], areas: Mapping[str, Interval]
) -> Figure:
    """Return the ROC curve of each encoder, its area with the interval in the legend."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.4, 5.2), facecolor="white", layout="constrained")
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.9)
        for place, (name, (false, true)) in enumerate(curves.items()):
            area = areas[name]
            words = f"{name}: {area.value:.2f} ({area.low:.2f} to {area.high:.2f})"
            style = STYLES[place // len(LINES) % len(STYLES)]
            axes.plot(false, true, style, color=LINES[place % len(LINES)], label=words)
        axes.set(xlim=(0, 1), ylim=(0, 1.01), xlabel="1 - specificity", ylabel="Sensitivity")
        axes.legend(frameon=False, fontsize=7.5, loc="lower right")
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def reliability_figure(bins: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Figure:
    """Return how often persons told a probability of the disorder had it.

    Parameters
    ----------
    bins : {encoder: (mean probability, share that had it, persons)}
        See `evaluation.diagnosis_report.risk_bins`.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.4, 5.2), facecolor="white", layout="constrained")
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.9)
        for place, (name, (told, had, persons)) in enumerate(bins.items()):
            colour = LINES[place % len(LINES)]
            axes.plot(told, had, "-", color=colour, linewidth=0.9, label=name)
            axes.scatter(told, had, s=6 + 2 * persons, color=colour, alpha=0.7, lw=0)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.set(xlabel="Probability of the disorder", ylabel="Share that had it")
        axes.legend(frameon=False, fontsize=7.5, loc="upper left", title="dots: persons")
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def contribution_figure(
    stages: np.ndarray,
    edges: Sequence[int],
    contributions: np.ndarray,
    title: str,
    disorder: str,
) -> Figure:
    """Return a night with what each of its parts added to the decision.

    Parameters
    ----------
    stages : int8 array (E,)
        Empty for a night that nobody scored.
    edges : sequence of int
        S + 1 epochs between which the parts lie.
    contributions : float array (S,)
        Change of the log-odds of `disorder`; NaN where nothing was there.
    title, disorder : str
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.0, 3.4), facecolor="white", layout="constrained")
        if len(stages):
            above, axes = figure.subplots(2, 1, sharex=True, height_ratios=(1.2, 1))
            draw_hypnogram(above, Hypnogram(stages))
            above.set_title(title)
        else:
            axes = figure.add_subplot(title=title)
        hours = np.asarray(edges) * EPOCH_S / 3600
        colours = np.where(contributions > 0, LINES[1], LINES[0])
        axes.bar(hours[:-1], contributions, np.diff(hours) * 0.94, align="edge", color=colours)
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set(xlabel="Hours", ylabel=f"Log-odds of\n{disorder}", xlim=(0, hours[-1]))
        axes.spines[["top", "right"]].set_visible(False)
    return figure
