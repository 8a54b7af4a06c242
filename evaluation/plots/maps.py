"""Maps on signals: what spoke for a stage, as colour behind the signals of an epoch.

One image holds the maps of all channels, and one line each channel's signal: a figure takes a
fraction of a second, where a rectangle for each sample takes half a minute.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from evaluation.plots.night import draw_hypnogram, time_axis
from evaluation.plots.signals import draw_lines
from evaluation.plots.style import STYLE
from evaluation.traces import Trace
from nights.hypnogram import Hypnogram
from nights.stages import EPOCH_S

# Pale below, so that black lines stay readable; both are ordered in lightness
FOR = LinearSegmentedColormap.from_list("for", ["#ffffff", "#fde3b0", "#f2b84b", "#d9661f"])
BOTH = LinearSegmentedColormap.from_list(
    "both", ["#3f7fbf", "#bcd7ee", "#ffffff", "#fbd394", "#d9661f"]
)
NOTHING = "#d5d8dd"  # where there is no value


def map_figure(
    traces: Sequence[Trace],
    epoch: int,
    values: np.ndarray,
    *,
    title: str = "",
    words: str = "spoke for the stage",
    signed: bool = False,
) -> Figure:
    """Return a figure of one epoch: every signal on the colours of its map.

    Parameters
    ----------
    traces : sequence of Trace
        Signals of the whole night, top to bottom.
    epoch : int
        Counted from 0.
    values : array (C, P)
        The map of each signal, P values evenly over the epoch; NaN is drawn grey.
    title : str
        Above the figure.
    words : str
        What the colours mean.
    signed : bool
        Whether values below zero mean the opposite; else colours begin at zero.
    """
    with matplotlib.rc_context(STYLE):
        inches = 0.95 + max(1.0, 0.62 * len(traces))
        figure = Figure(figsize=(11, inches), facecolor="white")
        axes = figure.add_axes((0.07, 0.45 / inches, 0.8, 1 - 0.85 / inches))
        _draw_image(axes, values, (0, EPOCH_S, 0.5 - len(traces), 0.5), words, signed)
        draw_lines(axes, traces, epoch, context_s=0.0)
        axes.set_ylim(0.5 - len(traces), 0.5)
        axes.vlines(
            np.arange(5, EPOCH_S, 5),
            *axes.get_ylim(),
            colors="#9aa1ab",
            lw=0.6,
            linestyles="dashed",
        )
        axes.set_title(title, loc="left", fontsize=10, parse_math=False)
    return figure


def night_map_figure(
    hypnogram: Hypnogram,
    values: np.ndarray,
    rows: Sequence[str],
    *,
    label: str,
    words: str = "spoke for the stage",
    signed: bool = False,
) -> Figure:
    """Return a figure of a night: its hypnogram, and below it a map with a row each.

    Parameters
    ----------
    hypnogram : Hypnogram
        Of E epochs.
    values : array (R, P)
        Values of the rows, P evenly over the night; NaN is drawn grey.
    rows : sequence of str
        Names of the rows, top to bottom; empty ones are not written.
    label, words, signed
        What the rows and the colours are; see `map_figure`.
    """
    with matplotlib.rc_context(STYLE):
        inches = 2.4 + max(0.9, min(0.3 * len(rows), 2.6))
        figure = Figure(figsize=(11, inches), facecolor="white")
        grid = figure.add_gridspec(
            2,
            1,
            height_ratios=(1.4, inches - 2.4),
            hspace=0.14,
            left=0.08,
            right=0.87,
            bottom=0.5 / inches,
            top=1 - 0.2 / inches,
        )
        top = figure.add_subplot(grid[0])
        draw_hypnogram(top, hypnogram)
        top.tick_params(axis="x", labelbottom=False)
        axes = figure.add_subplot(grid[1], sharex=top)
        first_h = hypnogram.onset_s / 3600
        last_h = first_h + hypnogram.n_epochs * hypnogram.epoch_s / 3600
        _draw_image(axes, values, (first_h, last_h, len(rows) - 0.5, -0.5), words, signed)
        named = [place for place, name in enumerate(rows) if name]
        axes.set_yticks(named, [rows[place] for place in named])
        for tick in axes.get_yticklabels():
            tick.set_parse_math(False)
        axes.set_ylabel(label)
        axes.tick_params(length=2.5)
        axes.set_xlim(first_h, max(last_h, first_h + 1e-6))
        time_axis(axes, hypnogram)
    return figure


def _draw_image(
    axes: Axes,
    values: np.ndarray,
    extent: tuple[float, float, float, float],
    words: str,
    signed: bool,
) -> None:
    """Draw the values as one image and say beside it what its colours mean."""
    known = np.abs(values[np.isfinite(values)])
    largest = max(float(np.percentile(known, 99.5)), 1e-12) if known.size else 1.0
    image = axes.imshow(
        np.ma.masked_invalid(values),
        extent=extent,
        aspect="auto",
        interpolation="none",
        cmap=(BOTH if signed else FOR).with_extremes(bad=NOTHING),
        vmin=-largest if signed else 0.0,
        vmax=largest,
    )
    bar = axes.inset_axes((1.055, 0.1, 0.012, 0.8))
    axes.figure.colorbar(image, cax=bar)
    bar.tick_params(labelsize=7, length=2)
    bar.set_ylabel(words, fontsize=7.5)
