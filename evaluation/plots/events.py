"""Figures of single events: the signals of heart and breath around an apnea."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.plots.style import INK, STYLE
from evaluation.traces import Trace
from nights.events import Event

BEFORE_S, AFTER_S = 30.0, 60.0  # the fall of oxygen comes up to a minute after the event
SHADES = {"hypopnea": "#d7e6f3", "arousal": "#f6ddae", "desaturation": "#f3d3da"}
APNEA_SHADE = "#c4304f33"


def event_figure(
    traces: Sequence[Trace], event: Event, beside: Sequence[Event] = (), *, onset_s: float = 0.0
) -> Figure:
    """Return a figure of the signals around one event, which is shaded.

    Parameters
    ----------
    traces : sequence of Trace
        Signals of the whole night, top to bottom.
    event : Event
        The event to show.
    beside : sequence of Event
        Other events; those nearby are shaded too.
    onset_s : float
        Seconds from the first sample of the recording, from which events count, to epoch 0.
    """
    with matplotlib.rc_context(STYLE):
        inches = 0.6 + 0.5 * max(len(traces), 1)
        figure = Figure(figsize=(11, inches), facecolor="white")
        axes = figure.add_axes((0.09, 0.42 / inches, 0.89, 1 - 0.5 / inches))
        from_s, to_s = event.onset_s - BEFORE_S, event.onset_s + event.duration_s + AFTER_S
        for other in (*beside, event):
            if other.onset_s < to_s and other.onset_s + other.duration_s > from_s:
                _shade(axes, other, event.onset_s, strong=other == event)
        for place, trace in enumerate(traces):
            seconds, samples = trace.between(from_s - onset_s, to_s - onset_s)
            axes.plot(
                seconds + onset_s - event.onset_s, _height(samples) - place, color=INK, lw=0.6
            )
        _label(axes, traces, to_s - event.onset_s)
    return figure


def _shade(axes: Axes, event: Event, zero_s: float, *, strong: bool) -> None:
    """Shade the time of an event, the one that is shown with an edge."""
    colour = SHADES.get(event.type, APNEA_SHADE)
    from_s = event.onset_s - zero_s
    axes.axvspan(from_s, from_s + event.duration_s, color=colour, zorder=0, linewidth=0)
    if strong:
        for edge_s in (from_s, from_s + event.duration_s):
            axes.axvline(edge_s, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))


def _height(samples: np.ndarray) -> np.ndarray:
    """Return samples scaled to a line of height 0.8, by their robust range."""
    known = samples[np.isfinite(samples)]
    if not known.size:
        return samples
    low, middle, high = np.percentile(known, [0.5, 50, 99.5])
    return np.clip(0.8 * (samples - middle) / max(high - low, 1e-6), -0.6, 0.6)


def _label(axes: Axes, traces: Sequence[Trace], last_s: float) -> None:
    """Name the lines and the seconds."""
    axes.set_yticks([-place for place in range(len(traces))], [trace.name for trace in traces])
    for tick in axes.get_yticklabels():
        tick.set_parse_math(False)
    axes.set_xlim(-BEFORE_S, last_s)
    axes.set_ylim(-len(traces) + 0.3, 0.7)
    axes.grid(axis="x", color="#dfe2e7", linewidth=0.5)
    axes.tick_params(length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel("Seconds from the start of the event")
