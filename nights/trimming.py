"""Long wake before, after and within the night, left out when windows are cut, never on disk."""

from __future__ import annotations

import numpy as np

from nights.stages import UNSCORED, W

PAD_EPOCHS = 60  # half an hour of wake on each side, as the published stagers keep


def sleep_stretches(stages: np.ndarray, pad_epochs: int = PAD_EPOCHS) -> list[tuple[int, int]]:
    """Return (first, end) of the stretches left when long wake is trimmed.

    `pad_epochs` stay before the first and after the last epoch of sleep. Wake within the night
    longer than twice the pad becomes a break with the pad left on both of its sides (the rule DCSM
    was published with: its recordings last for days). An unscored epoch counts as wake here.

    Parameters
    ----------
    stages : int array (E,)
        0 is wake, -1 unscored, everything above is sleep.
    pad_epochs : int
        Epochs of wake to keep at each border.

    Returns
    -------
    list of (int, int)
        Epochs first..end-1, in order; empty when nobody slept.
    """
    asleep = np.flatnonzero(np.asarray(stages) > W)
    if not asleep.size:
        return []
    breaks = np.flatnonzero(np.diff(asleep) - 1 > 2 * pad_epochs)
    firsts = np.concatenate([asleep[:1], asleep[breaks + 1]]) - pad_epochs
    ends = np.concatenate([asleep[breaks], asleep[-1:]]) + pad_epochs + 1
    return [
        (max(0, int(first)), min(len(stages), int(end)))
        for first, end in zip(firsts, ends, strict=True)
    ]


def without_long_wake(stages: np.ndarray, pad_epochs: int = PAD_EPOCHS) -> np.ndarray:
    """Return the stages (E,) with -1 outside of `sleep_stretches`; parameters are the same."""
    kept = np.full_like(stages, UNSCORED)
    for first, end in sleep_stretches(stages, pad_epochs):
        kept[first:end] = stages[first:end]
    return kept
