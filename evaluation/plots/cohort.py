"""How sleep statistics are spread over the nights of a folder."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from evaluation.plots.style import FAINT, INK, STYLE

COLUMNS = 3
DOT = "#5b9bd0"


def spread_figure(values: Mapping[str, np.ndarray]) -> Figure:
    """Return a panel for each statistic: a dot a night, the median and the middle half.

    Parameters
    ----------
    values : {words: float array (N,)}
        What a statistic was in each night; NaN is left out and counted.
    """
    n_rows = -(-len(values) // COLUMNS)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, 1.15 * n_rows + 0.1), facecolor="white")
        grid = figure.add_gridspec(
            n_rows, COLUMNS, hspace=1.5, wspace=0.16, left=0.02, right=0.98, top=0.86, bottom=0.16
        )
        for place, (words, numbers) in enumerate(values.items()):
            axes = figure.add_subplot(grid[place // COLUMNS, place % COLUMNS])
            known = np.sort(numbers[np.isfinite(numbers)])
            title = words if len(known) == len(numbers) else f"{words} (in {len(known)} nights)"
            axes.set_title(title, fontsize=9, loc="left", color=INK, parse_math=False)
            if known.size:
                low, middle, high = np.percentile(known, [25, 50, 75])
                axes.axvspan(low, high, color="#eef0f3", zorder=0, linewidth=0)
                axes.axvline(middle, color=INK, linewidth=1.2)
            axes.scatter(known, _heights(len(known)), s=14, color=DOT, alpha=0.7, linewidths=0)
            axes.set_ylim(-1.3, 1.3)
            axes.set_yticks([])
            axes.spines[["top", "right", "left"]].set_visible(False)
            axes.tick_params(length=2.5, labelsize=8, color=FAINT)
    return figure


def _heights(count: int) -> np.ndarray:
    """Return heights that keep neighbours apart: the golden ratio spreads any number evenly."""
    return 2 * ((np.arange(count) * 0.6180339887) % 1) - 1
