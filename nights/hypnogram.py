"""The hypnogram: a stage per epoch, the hypnodensity if there is one, and the clock.

This one object passes between stagers, decoders, statistics, plots, reports and exports.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from nights.stages import EPOCH_S, STAGES, UNSCORED, check_stages, names


@dataclass(frozen=True, eq=False)
class Hypnogram:
    """Stages of one night on a regular grid of epochs.

    Parameters
    ----------
    stages : int8 array (E,)
        0..K-1 in the order of `classes`, -1 where nobody scored.
    proba : float32 array (E, K) or None
        Hypnodensity: probability of each class per epoch, rows sum to 1; NaN rows where unscored.
    start : datetime or None
        Clock time of the beginning of epoch 0; None when the recording does not tell.
    onset_s : float
        Seconds from the first sample of the recording to the beginning of epoch 0.
    lights_off_s, lights_on_s : float or None
        Seconds from the first sample of the recording; None when unknown.
    classes : tuple of str
        Names of the classes: W N1 N2 N3 R, or W L D R for four-class stagers.
    epoch_s : float
        Length of an epoch in seconds.
    scorer : str
        Who gave the stages: a person's scoring, a stager, a stager and its correction.
    notes : tuple of str
        Anything a reader of the result should know.

    Raises
    ------
    ValueError
        If a stage code is unknown or `proba` has another shape, is negative or does not sum to 1.
    """

    stages: np.ndarray
    proba: np.ndarray | None = None
    start: datetime | None = None
    onset_s: float = 0.0
    lights_off_s: float | None = None
    lights_on_s: float | None = None
    classes: tuple[str, ...] = STAGES
    epoch_s: float = EPOCH_S
    scorer: str = ""
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", check_stages(self.stages, len(self.classes)))
        if self.proba is not None:
            object.__setattr__(self, "proba", _check_proba(self.proba, self.n_epochs, self.classes))

    @classmethod
    def from_proba(cls, proba: np.ndarray, **fields: object) -> Hypnogram:
        """Build from a hypnodensity (E, K): the stage is its largest class, -1 for NaN rows."""
        proba = np.asarray(proba, dtype=np.float32)
        known = np.isfinite(proba).all(axis=1)
        stages = np.where(known, np.argmax(np.nan_to_num(proba), axis=1), UNSCORED)
        return cls(stages=stages, proba=proba, **fields)  # type: ignore[arg-type]

    @property
    def n_epochs(self) -> int:
        """Number of epochs E."""
        return len(self.stages)

    @property
    def scored(self) -> np.ndarray:
        """Bool array (E,): True where there is a stage."""
        return self.stages != UNSCORED

    @property
    def names(self) -> list[str]:
        """Stage name of each epoch, `?` where unscored."""
        return names(self.stages, self.classes)

    @property
    def onsets_s(self) -> np.ndarray:
        """Float64 array (E,): seconds from the first sample of the recording to each epoch."""
        return self.onset_s + self.epoch_s * np.arange(self.n_epochs)

    def clock(self, epoch: int) -> datetime | None:
        """Return the clock time at which `epoch` begins, None when the start is unknown."""
        return None if self.start is None else self.start + timedelta(seconds=epoch * self.epoch_s)

    def with_stages(self, stages: np.ndarray, **changes: object) -> Hypnogram:
        """Return a copy with other stages (and other fields); the hypnodensity is dropped."""
        return replace(self, **({"stages": stages, "proba": None} | changes))  # type: ignore[arg-type]

    def on_grid(self, onset_s: float, n_epochs: int) -> Hypnogram:
        """Return the same night on a grid that begins at `onset_s` and has `n_epochs` epochs.

        Each epoch of the new grid takes the nearest epoch of this one, less than half an epoch
        away; outside of it nothing is scored.
        """
        place = np.arange(n_epochs) + round((onset_s - self.onset_s) / self.epoch_s)
        inside = (place >= 0) & (place < self.n_epochs)
        stages = np.full(n_epochs, UNSCORED, dtype=np.int8)
        stages[inside] = self.stages[place[inside]]
        proba = None
        if self.proba is not None:
            proba = np.full((n_epochs, len(self.classes)), np.nan, dtype=np.float32)
            proba[inside] = self.proba[place[inside]]
        moved = timedelta(seconds=onset_s - self.onset_s)
        start = None if self.start is None else self.start + moved
        return replace(self, stages=stages, proba=proba, start=start, onset_s=onset_s)

    def runs(self) -> list[tuple[int, int, int]]:
        """Return (first epoch, number of epochs, stage) of each stretch of one stage, in order."""
        if not self.n_epochs:
            return []
        cuts = np.flatnonzero(np.diff(self.stages)) + 1
        first = np.concatenate([[0], cuts])
        length = np.diff(np.concatenate([first, [self.n_epochs]]))
        return [(int(f), int(n), int(self.stages[f])) for f, n in zip(first, length, strict=True)]


def _check_proba(proba: np.ndarray, n_epochs: int, classes: tuple[str, ...]) -> np.ndarray:
    """Return the hypnodensity as float32 (E, K) or say what is wrong with it."""
    array = np.asarray(proba, dtype=np.float32)
    if array.shape != (n_epochs, len(classes)):
        raise ValueError(f"hypnodensity of {array.shape}, wanted {(n_epochs, len(classes))}")
    known = np.isfinite(array).all(axis=1)
    if (array[known] < -1e-6).any() or (np.abs(array[known].sum(axis=1) - 1) > 1e-3).any():
        raise ValueError("hypnodensity rows must be probabilities that sum to 1")
    return array
