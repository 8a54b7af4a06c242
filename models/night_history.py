"""What a night has been so far, in numbers: the part of the past a short context cannot see.

Nights differ in how long a stage lasts and how often it is left, and keep to it; the deep sleep of
the first cycles and the time since the last REM period tell what is due. Every number after an
epoch is made of that epoch and those before it.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

# How far back averages look, in epochs: 5 min, 20 min, 75 min, the whole night
MEMORIES = (10.0, 40.0, 150.0, np.inf)
EPOCHS_PER_H = 120
FAR = 2000  # epochs since a stage that never came: longer than any night


def n_features(n_stages: int) -> int:
    """Return how many numbers there are after each epoch."""
    return n_stages + 2 * (n_stages + 1) + 4 + n_stages + len(MEMORIES) * (2 * n_stages + 1)


def night_history(stages: np.ndarray, n_stages: int = 5) -> np.ndarray:
    """Describe the night up to each epoch.

    Parameters
    ----------
    stages : int array (B, T)
        Stages 0..K-1 from the beginning of each night, or of what is known of it.
    n_stages : int
        Stages K.

    Returns
    -------
    float32 array (B, T, F)
        One-hot stage, and the two different stages before it; the time in it and in the one before;
        the time since the beginning and since sleep onset; the time since each stage; and, over
        each of `MEMORIES`, the share of each stage, how often each was left, and how often stages
        changed. All are of the order of one.
    """
    stages = np.asarray(stages, dtype=np.int64)
    place = np.broadcast_to(np.arange(stages.shape[1]), stages.shape)
    is_stage = np.eye(n_stages, dtype=np.float32)[stages]  # (B, T, K)
    parts = [is_stage, *_bouts(stages, place, n_stages), *_times(stages, place, n_stages)]
    changed = np.zeros(stages.shape, dtype=np.float32)
    changed[:, 1:] = stages[:, 1:] != stages[:, :-1]
    for memory in MEMORIES:
        parts += _averages(is_stage, changed, float(np.exp(-1 / memory)))
    return np.concatenate(parts, axis=-1).astype(np.float32)


def _bouts(stages: np.ndarray, place: np.ndarray, n_stages: int) -> list[np.ndarray]:
    """Return the two stages before the present bout, and the lengths of it and the last one."""
    changed = np.ones(stages.shape, dtype=bool)
    changed[:, 1:] = stages[:, 1:] != stages[:, :-1]
    begun = np.maximum.accumulate(np.where(changed, place, 0), axis=1)
    before, before_begun = _ahead_of(begun, stages, begun, n_stages)
    second, _ = _ahead_of(before_begun, stages, begun, n_stages)
    lasted = np.log1p(place - begun)
    last_lasted = np.log1p(np.where(begun > 0, begun - before_begun, 0))
    known = np.eye(n_stages + 1, dtype=np.float32)
    return [known[before], known[second], lasted[..., None], last_lasted[..., None]]


def _ahead_of(
    first: np.ndarray, stages: np.ndarray, begun: np.ndarray, n_stages: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return stage and first epoch of the bout that ended before `first`; K and 0 if none did."""
    last = np.maximum(first - 1, 0)
    stage = np.where(first > 0, np.take_along_axis(stages, last, axis=1), n_stages)
    return stage, np.where(first > 0, np.take_along_axis(begun, last, axis=1), 0)


def _times(stages: np.ndarray, place: np.ndarray, n_stages: int) -> list[np.ndarray]:
    """Return hours since the beginning and since sleep onset, and the time since each stage."""
    n_nights, n_epochs = stages.shape
    asleep = stages > 0
    onset = np.where(asleep.any(axis=1), asleep.argmax(axis=1), n_epochs)[:, None]
    hours = np.stack([place, np.maximum(place - onset, -1)], axis=-1) / EPOCHS_PER_H
    since = [
        place - np.maximum.accumulate(np.where(stages == stage, place, -FAR), axis=1)
        for stage in range(n_stages)
    ]
    return [hours, np.log1p(np.minimum(np.stack(since, axis=-1), FAR))]


def _averages(is_stage: np.ndarray, changed: np.ndarray, keep: float) -> list[np.ndarray]:
    """Return stage shares, leaving rates and the rate of change, forgetting by `keep` an epoch."""
    left = np.zeros_like(is_stage)
    stayed = np.zeros_like(is_stage)
    left[:, 1:] = is_stage[:, :-1] * changed[:, 1:, None]
    stayed[:, 1:] = is_stage[:, :-1]
    total = _fading_sum(np.ones((1, changed.shape[1], 1)), keep)
    n_left = _fading_sum(left, keep)
    # Counts begin with a tenth of a change in one epoch: what is not known looks like most sleep
    rates = (n_left + 0.1) / (_fading_sum(stayed, keep) + 1)
    return [
        _fading_sum(is_stage, keep) / total,
        rates,
        n_left.sum(axis=-1, keepdims=True) / total,
    ]


def _fading_sum(x: np.ndarray, keep: float) -> np.ndarray:
    """Return y_t = x_t + keep * y_(t-1) along axis 1."""
    return lfilter([1.0], [1.0, -keep], x, axis=1)
