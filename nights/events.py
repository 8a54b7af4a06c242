"""Scored events of a night, and how much of each epoch they cover."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from nights.hypnogram import Hypnogram

EVENT_ROWS = (  # the event types that scorings and labels give, in their order
    *("obstructive_apnea", "central_apnea", "mixed_apnea"),
    *("hypopnea", "desaturation", "arousal"),
)
Rule = Literal["any", "half", "upstream"]


class Event(NamedTuple):
    """A scored event; `onset_s` counts from the first sample of the recording.

    `text` is what the file calls it, and only ever a known spelling: free text of a scoring file
    may name a person and is not kept.
    """

    onset_s: float
    duration_s: float
    type: str
    text: str = ""


def event_types(events: Iterable[Event]) -> tuple[str, ...]:
    """Return the types that occur, sorted."""
    return tuple(sorted({event.type for event in events}))


def event_seconds(
    events: Sequence[Event], hypnogram: Hypnogram, types: Sequence[str] = EVENT_ROWS
) -> np.ndarray:
    """Return the seconds of each epoch that events of each type cover.

    Parameters
    ----------
    events : sequence of Event
        Events that overlap are counted once.
    hypnogram : Hypnogram
        Gives the epochs: E of them, their length, where the first begins.
    types : sequence of str
        The K types wanted, in the order of the rows.

    Returns
    -------
    int8 array (K, E)
        Whole seconds, 0..30; an overlap shorter than half a second counts as 1, so that "any
        overlap" stays visible.
    """
    seconds = np.zeros((len(types), hypnogram.n_epochs))
    for row, kind in enumerate(types):
        for onset_s, end_s in _merged([event for event in events if event.type == kind]):
            first, overlap_s = _overlaps(onset_s, end_s, hypnogram)
            seconds[row, first : first + len(overlap_s)] += overlap_s
    whole = np.rint(seconds).astype(np.int8)
    return np.where((seconds > 0) & (whole == 0), 1, whole).astype(np.int8)


def event_labels(
    events: Sequence[Event],
    hypnogram: Hypnogram,
    *,
    rule: Rule = "half",
    types: Sequence[str] = EVENT_ROWS,
) -> np.ndarray:
    """Return int8 (K, E): 1 where an epoch holds an event of the type.

    Parameters
    ----------
    events : sequence of Event
        On the clock of the recording; those of other types are passed over.
    hypnogram : Hypnogram
        Whose E epochs are labelled.
    types : sequence of str
        Rows of the result, K of them.
    rule : str
        `any`: some overlap. `half`: one event covers at least min(10 s, half of itself) of the
        epoch, so every event labels at least one. `upstream`: epochs round(onset / 30) up to, not
        including, round(end / 30), as SynthSleepNet's public code does; it loses every event that
        holds no middle of an epoch (two thirds of those of 10 s) and serves comparisons only.
    """
    mark = _RULES[rule]
    labels = np.zeros((len(types), hypnogram.n_epochs), dtype=np.int8)
    for event in events:
        if event.type in types:
            labels[types.index(event.type), mark(event, hypnogram)] = 1
    return labels


def _merged(events: Sequence[Event]) -> list[tuple[float, float]]:
    """Return (onset_s, end_s) of the union of the events, in order."""
    merged: list[tuple[float, float]] = []
    for onset_s, end_s in sorted((e.onset_s, e.onset_s + e.duration_s) for e in events):
        if merged and onset_s <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end_s, merged[-1][1]))
        else:
            merged.append((onset_s, end_s))
    return merged


def _overlaps(onset_s: float, end_s: float, hypnogram: Hypnogram) -> tuple[int, np.ndarray]:
    """Return the first epoch a stretch touches, and its overlap (n,) in seconds from there on."""
    n_epochs, epoch_s = hypnogram.n_epochs, hypnogram.epoch_s
    from_s, to_s = onset_s - hypnogram.onset_s, end_s - hypnogram.onset_s
    first = int(np.clip(from_s // epoch_s, 0, n_epochs))
    last = int(np.clip(-(-to_s // epoch_s), first, n_epochs))
    begins = epoch_s * np.arange(first, last)
    return first, np.clip(np.minimum(to_s, begins + epoch_s) - np.maximum(from_s, begins), 0, None)


def _any(event: Event, hypnogram: Hypnogram) -> np.ndarray:
    """Return the epochs with some overlap."""
    first, overlap_s = _overlaps(event.onset_s, event.onset_s + event.duration_s, hypnogram)
    return first + np.flatnonzero(overlap_s > 0)


def _half(event: Event, hypnogram: Hypnogram) -> np.ndarray:
    """Return the epochs of which the event covers min(10 s, half of itself) or more."""
    first, overlap_s = _overlaps(event.onset_s, event.onset_s + event.duration_s, hypnogram)
    needed_s = min(10.0, event.duration_s / 2) - 1e-9  # onsets such as 299.5 + 61.2 are inexact
    return first + np.flatnonzero((overlap_s > 0) & (overlap_s >= needed_s))


def _upstream(event: Event, hypnogram: Hypnogram) -> np.ndarray:
    """Return round(onset / 30) ... round(end / 30) - 1; halves round to even, as in Python."""
    from_s = event.onset_s - hypnogram.onset_s
    first, last = (round(s / hypnogram.epoch_s) for s in (from_s, from_s + event.duration_s))
    return np.arange(max(first, 0), min(last, hypnogram.n_epochs))


_RULES = {"any": _any, "half": _half, "upstream": _upstream}
