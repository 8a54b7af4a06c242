"""Apneas and hypopneas in the report: those people scored, and epochs where one is probable.

The pieces are (caption, address of an image), as the template wants them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evaluation.body import EVENT_WORDS, BodyReport, examples
from evaluation.event_epochs import EventEpochs, event_statistics, most_probable
from evaluation.page import epoch_place, epoch_words, png_address
from evaluation.plots import small_png
from evaluation.plots.events import event_epoch_figure, event_figure
from nights.hypnogram import Hypnogram


def event_pictures(body: BodyReport | None, night: Hypnogram) -> list[tuple[str, str]]:
    """Return (caption, image) of a few apneas and hypopneas with the signals around them."""
    if body is None or not body.signals:
        return []
    pictures = []
    for event in examples(body.events):
        epoch = int((event.onset_s - night.onset_s) // night.epoch_s)
        when = epoch_place(night, epoch)
        stage = night.names[epoch] if 0 <= epoch < night.n_epochs else "?"
        caption = (
            f"{EVENT_WORDS[event.type].capitalize()} of {event.duration_s:.0f} s in epoch "
            f"{when['number']} ({when['time']}, {stage})"
        )
        figure = event_figure(body.signals, event, body.events, onset_s=night.onset_s)
        pictures.append((caption, png_address(small_png(figure))))
    return pictures


def probable_events(
    events: Sequence[EventEpochs], body: BodyReport | None, night: Hypnogram
) -> list[dict[str, Any]]:
    """Return what is told of each kind of event: its numbers, its epochs with signals around."""
    return [
        {
            "found": found,
            "statistics": event_statistics(found, night),
            "pictures": _probable_pictures(found, body, night),
        }
        for found in events
    ]


def _probable_pictures(
    found: EventEpochs, body: BodyReport | None, night: Hypnogram
) -> list[tuple[str, str]]:
    """Return (caption, image) of the epochs in which an event is most probable."""
    traces, scored = (body.signals, body.events) if body else ((), ())
    traces = traces or found.signals
    pictures = []
    for epoch in most_probable(found, night):
        caption = f"{epoch_words(night, epoch)}, {night.names[epoch]}: {found.kind} with p "
        caption += f"{found.proba[epoch]:.2f}"
        if found.scored is not None:
            caption += ", scored" if found.scored[epoch] else f", no {found.kind} scored"
        figure = event_epoch_figure(traces, epoch, scored, onset_s=night.onset_s)
        pictures.append((caption, png_address(small_png(figure))))
    return pictures
