"""Two scorings of one night, one above the other, with what lies between them."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from evaluation.plots.night import (
    draw_confidence,
    draw_hypnodensity,
    draw_hypnogram,
    draw_strip,
    time_axis,
)
from evaluation.plots.style import CHANGED, COLOURS, INK, STYLE
from nights.hypnogram import Hypnogram

ONE_ALONE = "#c9ced6"  # epochs that one side left unscored


def pair_figure(first: Hypnogram, second: Hypnogram, names: tuple[str, str]) -> Figure:
    """Return a figure of two scorings of the same epochs.

    Between the hypnograms lies a strip: black where they differ, grey where one side gave no stage.
    Below it, in the colour of its stage, what the second says where they differ. A side with
    probabilities shows them and its doubt.
    """
    rows: list[tuple] = [(draw_hypnogram, 1.3, (first, names[0]))]
    rows += _sureness(first)
    rows += [(_draw_differences, 0.16, (first, second)), (_draw_instead, 0.16, (first, second))]
    rows += [(draw_hypnogram, 1.3, (second, names[1])), *_sureness(second)]
    height = sum(row[1] for row in rows)
    inches = 0.9 + 1.12 * height
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, inches), facecolor="white")
        grid = figure.add_gridspec(
            len(rows),
            1,
            height_ratios=[row[1] for row in rows],
            hspace=0.16,
            left=0.085,
            right=0.91,
            bottom=0.5 / inches,
            top=1 - 0.2 / inches,
        )
        axes: Axes | None = None
        for place, (draw, _, arguments) in enumerate(rows):
            axes = figure.add_subplot(grid[place], sharex=axes)
            draw(axes, *arguments)
            axes.yaxis.label.set_parse_math(False)
            axes.tick_params(axis="x", labelbottom=place == len(rows) - 1)
        assert axes is not None
        time_axis(axes, first)
    return figure


def differences(first: Hypnogram, second: Hypnogram) -> np.ndarray:
    """Return a bool array (E,): True where both gave a stage and not the same."""
    return first.scored & second.scored & (first.stages != second.stages)


def _sureness(night: Hypnogram) -> list[tuple]:
    """Return the panels of probabilities, none where a scoring has none."""
    if night.proba is None:
        return []
    return [(draw_hypnodensity, 0.7, (night,)), (draw_confidence, 0.14, (night,))]


def _draw_differences(axes: Axes, first: Hypnogram, second: Hypnogram) -> None:
    """Draw the strip of differences."""
    apart = differences(first, second)
    alone = first.scored != second.scored
    marks = np.where(apart, 1.0, np.where(alone, 0.0, np.nan))[None]
    draw_strip(axes, first, marks, cmap=ListedColormap([ONE_ALONE, CHANGED]), vmin=0, vmax=1)
    axes.set_ylabel("Differ", rotation=0, ha="right", va="center")
    words = f"{int(apart.sum())} epochs"
    axes.text(1.012, 0.5, words, transform=axes.transAxes, va="center", fontsize=8, color=INK)


def _draw_instead(axes: Axes, first: Hypnogram, second: Hypnogram) -> None:
    """Draw what the second says where they differ."""
    said = np.where(differences(first, second), second.stages, np.nan)[None]
    colours = ListedColormap([COLOURS[name] for name in first.classes])
    draw_strip(axes, first, said, cmap=colours, vmin=-0.5, vmax=len(first.classes) - 0.5)
    axes.set_ylabel("Second says", rotation=0, ha="right", va="center", fontsize=8)
