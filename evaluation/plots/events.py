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
from nights.stages import EPOCH_S

BEFORE_S, AFTER_S = 30.0, 60.0  # the fall of oxygen comes up to a minute after the event
SHADES = {"hypopnea": "#d7e6f3", "arousal": "#f6ddae", "desaturation": "#f3d3da"}
APNEA_SHADE = "#c4304f33"


def event_figure(
    traces: Sequence[Trace], event: Event, beside: Sequence[Event] = (), *, onset_s: float = 0.0
) -> Figure:
    """Return a figure of the signals around one event, which is shaded, between dashed lines.

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
    stretch = (event.onset_s, event.duration_s)
    return _figure(traces, stretch, [*beside, event], onset_s=onset_s, what="event")


def event_epoch_figure(
    traces: Sequence[Trace], epoch: int, scored: Sequence[Event] = (), *, onset_s: float = 0.0
) -> Figure:
    """Return a figure of the signals around one epoch, between dashed lines.

    The parameters are those of `event_figure`; `scored` events in and near the epoch are shaded.
    """
    stretch = (onset_s + EPOCH_S * epoch, float(EPOCH_S))
    return _figure(traces, stretch, scored, onset_s=onset_s, what="epoch")


def _figure(
    traces: Sequence[Trace],
    stretch: tuple[float, float],
    shaded: Sequence[Event],
    *,
    onset_s: float,
    what: str,
) -> Figure:
    """Draw signals around a stretch (onset and duration, s), which lies between dashed lines."""
    zero_s, lasts_s = stretch
    from_s, to_s = zero_s - BEFORE_S, zero_s + lasts_s + AFTER_S
    with matplotlib.rc_context(STYLE):
        inches = 0.6 + 0.5 * max(len(traces), 1)
        figure = Figure(figsize=(11, inches), facecolor="white")
        axes = figure.add_axes((0.09, 0.42 / inches, 0.89, 1 - 0.5 / inches))
        for event in shaded:
            if event.onset_s < to_s and event.onset_s + event.duration_s > from_s:
                _shade(axes, event, zero_s)
        for edge_s in (0.0, lasts_s):
            axes.axvline(edge_s, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        for place, trace in enumerate(traces):
            seconds, samples = trace.between(from_s - onset_s, to_s - onset_s)
            axes.plot(seconds + onset_s - zero_s, _height(samples) - place, color=INK, lw=0.6)
        _label(axes, traces, to_s - zero_s, what)
    return figure


def _shade(axes: Axes, event: Event, zero_s: float) -> None:
    """Shade the time of an event."""
    from_s, colour = event.onset_s - zero_s, SHADES.get(event.type, APNEA_SHADE)
    axes.axvspan(from_s, from_s + event.duration_s, color=colour, zorder=0, linewidth=0)


def _height(samples: np.ndarray) -> np.ndarray:
    """Return samples scaled to a line of height 0.8, by their robust range."""
    known = samples[np.isfinite(samples)]
    if not known.size:
        return samples
    low, middle, high = np.percentile(known, [0.5, 50, 99.5])
    return np.clip(0.8 * (samples - middle) / max(high - low, 1e-6), -0.6, 0.6)


def _label(axes: Axes, traces: Sequence[Trace], last_s: float, what: str) -> None:
    """Name the lines and the seconds."""
    axes.set_yticks([-place for place in range(len(traces))], [trace.name for trace in traces])
    for tick in axes.get_yticklabels():
        tick.set_parse_math(False)
    axes.set_xlim(-BEFORE_S, last_s)
    axes.set_ylim(-len(traces) + 0.3, 0.7)
    axes.grid(axis="x", color="#dfe2e7", linewidth=0.5)
    axes.tick_params(length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel(f"Seconds from the start of the {what}")
