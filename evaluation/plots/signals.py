"""Signals around an epoch, each with a scale bar of its own."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.plots.style import INK, STYLE, shown
from evaluation.traces import Trace
from nights.stages import EPOCH_S


def draw_signals(
    axes: Axes, traces: Sequence[Trace], epoch: int, *, context_s: float = 15.0
) -> None:
    """Draw several signals around one epoch, each with a scale bar of its own.

    Parameters
    ----------
    axes : Axes
        Where to draw.
    traces : sequence of Trace
        Signals of the whole night, top to bottom.
    epoch : int
        The epoch to show, counted from 0.
    context_s : float
        Seconds shown before and after it, shaded.
    """
    draw_lines(axes, traces, epoch, context_s=context_s)
    for edges in ((-context_s, 0), (EPOCH_S, EPOCH_S + context_s)):
        axes.axvspan(*edges, color="#eef0f3", zorder=0, linewidth=0)
    axes.set_ylim(-len(traces) + 0.25, 0.75)
    axes.grid(axis="x", color="#dfe2e7", linewidth=0.5)


def draw_lines(axes: Axes, traces: Sequence[Trace], epoch: int, *, context_s: float) -> None:
    """Draw one line a signal, its name left and its scale bar right, on an axis in seconds.

    The parameters are those of `draw_signals`.
    """
    for place, trace in enumerate(traces):
        time, samples = trace.around(epoch, context_s)
        centre, bar = _scale(samples)
        height = np.clip((samples - centre) / (4 * bar), -0.75, 0.75) - place
        axes.plot(time, height, color=INK, linewidth=0.55)
        bar_s = EPOCH_S + 1.01 * context_s + 0.2
        axes.plot([bar_s] * 2, [-place - 0.125, -place + 0.125], color=INK, lw=1.6, clip_on=False)
        text = f" {bar:g} {shown(trace.unit)}"
        axes.text(bar_s, -place, text, va="center", fontsize=7.5, parse_math=False)
    axes.set_yticks([-place for place in range(len(traces))], [_short(t.name) for t in traces])
    for tick in axes.get_yticklabels():
        tick.set_parse_math(False)
    axes.set_xlim(-context_s, EPOCH_S + context_s)
    axes.set_xticks(np.arange(-context_s, EPOCH_S + context_s + 1, 5))
    axes.tick_params(length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel("Seconds from the start of the epoch")


def epoch_figure(traces: Sequence[Trace], epoch: int, *, context_s: float = 15.0) -> Figure:
    """Return a figure of the signals around one epoch (see `draw_signals`)."""
    with matplotlib.rc_context(STYLE):
        inches = 0.6 + 0.55 * len(traces)
        figure = Figure(figsize=(11, inches), facecolor="white")
        axes = figure.add_axes((0.09, 0.45 / inches, 0.85, 1 - 0.5 / inches))
        draw_signals(axes, traces, epoch, context_s=context_s)
    return figure


def _scale(samples: np.ndarray) -> tuple[float, float]:
    """Return the centre of a signal and a round bar length of about its robust half range."""
    known = samples[np.isfinite(samples)]
    if not known.size:
        return 0.0, 1.0
    low, centre, high = np.percentile(known, [1, 50, 99])
    half = max(float(high - low) / 2, 1e-6)
    decade = 10 ** np.floor(np.log10(half))
    return float(centre), float(decade * max(m for m in (1, 2, 5) if m * decade <= half))


def _short(name: str, longest: int = 12) -> str:
    """Return a channel name that fits beside its trace."""
    return name if len(name) <= longest else name[: longest - 1] + "…"
