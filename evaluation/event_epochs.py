"""Epochs that a network says hold an apnea or a hypopnea, beside those in which one was scored.

A network gives an epoch of 30 s the probability that it holds an event. Epochs are counted here,
not events: an event may fill two epochs and an epoch may hold several, so that a number of epochs
per hour is no apnea-hypopnea index. The index needs events that somebody scored, see
`evaluation.respiration`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from evaluation.respiration import sleep_epochs
from evaluation.statistics import Definition
from evaluation.traces import Trace
from nights.hypnogram import Hypnogram

LIKELY = 0.5  # an event is more probable than none
DRAWN = 2  # epochs of each kind with their signals in the report
NO_INDEX = (
    "Epochs, not events: this is NOT an AHI. One event may fill two epochs, and one epoch may hold "
    "several."
)
# When an epoch held an event in training: the rules of `nights.events.event_labels` in words.
RULES = {
    "half": "one event covers 10 s of the epoch, or half of the event lies in it",
    "any": "any part of an event lies in the epoch",
    "upstream": "the epoch lies between the rounded ends of an event (published rule)",
}
DEFINITIONS: dict[str, Definition] = {
    "epochs": Definition("", f"epochs of sleep with a probability of {LIKELY:g} or more"),
    "epochs_per_h": Definition(
        "1/h", f"epochs of sleep with p >= {LIKELY:g} per hour of sleep (not an AHI; 120 at most)"
    ),
    "sleep_h": Definition("h", "hours of sleep below the line: epochs of sleep with a probability"),
    "scored_epochs": Definition("", "epochs of sleep that hold a scored event, by the same rule"),
    "scored_epochs_per_h": Definition("1/h", "the same per hour of sleep (not an AHI either)"),
    "found_epochs": Definition("", f"epochs with a scored event and p >= {LIKELY:g}"),
}


@dataclass(frozen=True, eq=False)
class EventEpochs:
    """How probable an event of one kind is in each epoch of a night.

    Parameters
    ----------
    kind : str
        `apnea` or `hypopnea`.
    proba : float32 array (E,)
        NaN where nothing was recorded.
    weights : mapping
        What said so: `name`, `sha256` and more; `simulated` is True when simulated nights trained,
        `balanced` when the loss weighed both kinds of epochs alike.
    channels : tuple of str
        What was read.
    rule : str
        When an epoch held an event in training, a key of `RULES`.
    scored : bool array (E,) or None
        Epochs that hold a scored event by the same rule; None when nobody scored breathing.
    signals : tuple of Trace
        What was read, to be drawn where the report has no better signals.
    """

    kind: str
    proba: np.ndarray
    weights: Mapping[str, Any]
    channels: tuple[str, ...]
    rule: str
    scored: np.ndarray | None = None
    signals: tuple[Trace, ...] = field(default=(), repr=False)

    @property
    def likely(self) -> np.ndarray:
        """Epochs in which an event is probable, bool (E,)."""
        return np.nan_to_num(self.proba) >= LIKELY


def event_statistics(found: EventEpochs, hypnogram: Hypnogram) -> dict[str, float]:
    """Return the numbers of `DEFINITIONS`; those of scored events only where there are some.

    Sleep is what `hypnogram` says, between lights off and on; its epochs without a probability are
    left out above and below the line. An index without an hour of sleep is NaN.
    """
    judged = sleep_epochs(hypnogram) & np.isfinite(found.proba)
    hours = int(judged.sum()) * hypnogram.epoch_s / 3600
    likely = found.likely & judged
    told = {
        "epochs": float(likely.sum()),
        "epochs_per_h": likely.sum() / hours if hours else float("nan"),
        "sleep_h": hours,
    }
    if found.scored is None:
        return told
    scored = found.scored & judged
    return told | {
        "scored_epochs": float(scored.sum()),
        "scored_epochs_per_h": scored.sum() / hours if hours else float("nan"),
        "found_epochs": float((scored & likely).sum()),
    }


def most_probable(found: EventEpochs, hypnogram: Hypnogram, n: int = DRAWN) -> list[int]:
    """Return up to `n` epochs of sleep in which an event is most probable, in order of the night.

    None below `LIKELY`; of neighbours one is taken, for a long event fills both.
    """
    likely = np.flatnonzero(sleep_epochs(hypnogram) & (found.proba >= LIKELY))
    chosen: list[int] = []
    for epoch in likely[np.argsort(-found.proba[likely], kind="stable")].tolist():
        if len(chosen) == n:
            break
        if all(abs(epoch - other) > 1 for other in chosen):
            chosen.append(epoch)
    return sorted(chosen)
