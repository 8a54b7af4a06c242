"""Figures: of a night, of signals, of matrices, and of how well a stager does."""

from evaluation.plots.maps import map_figure, night_map_figure
from evaluation.plots.matrix import matrix_figure
from evaluation.plots.night import (
    changed,
    confidence,
    draw_hypnodensity,
    draw_hypnogram,
    hypnodensity_image,
    night_figure,
    time_axis,
)
from evaluation.plots.signals import draw_signals, epoch_figure
from evaluation.plots.style import COLOURS, FAINT, encode, save_figure, small_png

__all__ = [
    "COLOURS",
    "FAINT",
    "changed",
    "confidence",
    "draw_hypnodensity",
    "draw_hypnogram",
    "draw_signals",
    "encode",
    "epoch_figure",
    "hypnodensity_image",
    "map_figure",
    "matrix_figure",
    "night_figure",
    "night_map_figure",
    "save_figure",
    "small_png",
    "time_axis",
]
