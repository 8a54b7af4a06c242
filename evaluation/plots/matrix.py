"""Square matrices as heat maps: confusions and transitions."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.plots.style import INK, STYLE


def matrix_figure(
    matrix: np.ndarray, classes: Sequence[str], *, rows: str, columns: str, title: str = ""
) -> Figure:
    """Return a heat map of a square matrix (K, K), shaded by the share of its row.

    Serves the confusion of two scorings (`rows="Reference"`, `columns="Result"`) and the stage
    transitions of a night (`rows="From"`, `columns="To"`). Each cell shows its count and share.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.4, 4.1), facecolor="white")
        axes = figure.add_axes((0.15, 0.14, 0.82, 0.76 if title else 0.83))
        draw_matrix(axes, matrix, classes)
        axes.set(xlabel=columns, ylabel=rows, title=title)
    return figure


def draw_matrix(axes: Axes, matrix: np.ndarray, classes: Sequence[str]) -> None:
    """Draw a square matrix (K, K): counts and shares of the row, shaded by the share."""
    matrix = np.asarray(matrix, dtype=np.float64)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1e-12)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(*matrix.shape):
        text = f"{matrix[row, column]:.10g}\n{100 * share[row, column]:.0f} %"
        colour = "white" if share[row, column] > 0.55 else INK
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    axes.tick_params(length=0)
