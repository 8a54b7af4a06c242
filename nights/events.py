"""Respiratory events and arousals on the grid of epochs.

An event is (onset_s, duration_s, type), seconds from the first sample of the recording.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

Event = tuple[float, float, str]


def event_types(events: Iterable[Event]) -> tuple[str, ...]:
    """Return the types that occur, sorted."""
    return tuple(sorted({kind for _, _, kind in events}))


def event_seconds(
    events: Iterable[Event], n_epochs: int, *, onset_s: float = 0.0, epoch_s: float = 30.0
) -> np.ndarray:
    """Return how many seconds of each epoch are covered by events.

    Overlapping events count once. Part seconds are rounded up, so that an epoch touched by an event
    never says 0.

    Parameters
    ----------
    events : iterable of (onset_s, duration_s, type)
        Events of one type.
    n_epochs : int
        Number of epochs E.
    onset_s, epoch_s : float
        Where epoch 0 begins in the recording, and how long an epoch is.

    Returns
    -------
    int8 array (E,)
        0..30.
    """
    covered = np.zeros(n_epochs)
    for first_s, last_s in _union(events):
        begin, end = (first_s - onset_s) / epoch_s, (last_s - onset_s) / epoch_s
        for epoch in range(max(0, int(begin // 1)), min(n_epochs, int(np.ceil(end)))):
            covered[epoch] += (min(end, epoch + 1) - max(begin, epoch)) * epoch_s
    return np.ceil(covered - 1e-6).astype(np.int8)  # 1e-6 s: rounding of the sums, not an event


def _union(events: Iterable[Event]) -> list[tuple[float, float]]:
    """Return the stretches (from_s, to_s) covered by at least one event, in order."""
    stretches: list[tuple[float, float]] = []
    for onset_s, duration_s, _ in sorted(events):
        end_s = onset_s + duration_s
        if stretches and onset_s <= stretches[-1][1]:
            stretches[-1] = (stretches[-1][0], max(stretches[-1][1], end_s))
        else:
            stretches.append((onset_s, end_s))
    return stretches
