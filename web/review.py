"""A person's changes to a staged night: epoch by epoch, taken back and done again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from evaluation.alarm import gravest_first
from evaluation.plots.night import changed, confidence
from evaluation.statistics import DEFINITIONS, sleep_statistics
from nights.hypnogram import Hypnogram
from staging.quality import alarms, usual_ranges
from web.work import Staged

LONGEST_QUEUE = 100  # epochs: an hour of a person's time


@dataclass(frozen=True)
class Change:
    """One epoch, its stage before and after."""

    epoch: int
    before: int
    after: int


class Review:
    """A staged night in the hands of a person.

    Parameters
    ----------
    staged : Staged
    """

    def __init__(self, staged: Staged) -> None:
        self.staged = staged
        self.stages = staged.hypnogram.stages.copy()
        self._done: list[Change] = []
        self._undone: list[Change] = []
        self.version = 0  # grows with every change: what was written before is out of date

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether a change was taken back and can be done again."""
        return bool(self._undone)

    @property
    def rescored(self) -> list[int]:
        """Epochs whose stage is another than before the review, or was confirmed by hand."""
        return sorted({change.epoch for change in self._done})

    @property
    def hypnogram(self) -> Hypnogram:
        """The night as it stands now; the hypnodensity stays the stager's."""
        night, n_rescored = self.staged.hypnogram, len(self.rescored)
        if not n_rescored:
            return night
        notes = (*night.notes, f"{n_rescored} epochs scored again by a person")
        scorer = f"{night.scorer}, reviewed by a person"
        return replace(night, stages=self.stages.copy(), scorer=scorer, notes=notes)

    def score(self, epoch: int, stage: str) -> Change:
        """Give an epoch a stage; the stage it has confirms it.

        Raises
        ------
        ValueError
            If the night has no such epoch or stage.
        """
        night = self.staged.hypnogram
        if not 0 <= epoch < night.n_epochs:
            raise ValueError(f"epoch {epoch} is outside 0..{night.n_epochs - 1}")
        if stage not in night.classes:
            raise ValueError(f"no stage {stage!r}; there are {', '.join(night.classes)}")
        change = Change(epoch, int(self.stages[epoch]), night.classes.index(stage))
        self._apply(change.epoch, change.after)
        self._done.append(change)
        self._undone.clear()
        return change

    def undo(self) -> Change | None:
        """Take the last change back and return what that changed; None when there is none."""
        if not self._done:
            return None
        change = self._done.pop()
        self._undone.append(change)
        self._apply(change.epoch, change.before)
        return Change(change.epoch, change.after, change.before)

    def redo(self) -> Change | None:
        """Do again what was taken back last and return it; None when there is nothing."""
        if not self._undone:
            return None
        change = self._undone.pop()
        self._done.append(change)
        self._apply(change.epoch, change.after)
        return change

    def summary(self) -> dict[str, Any]:
        """Return what changes with every change: statistics, alarms, what can be taken back."""
        night = self.hypnogram
        statistics = sleep_statistics(night)
        of_stages = alarms(night, raw=self.staged.uncorrected, statistics=statistics)
        ranges, source = usual_ranges(night)
        return {
            "rescored": self.rescored,
            "can_undo": self.can_undo,
            "can_redo": self.can_redo,
            "statistics": [
                {
                    "name": name,
                    "value": value,
                    "unit": DEFINITIONS[name].unit,
                    "text": DEFINITIONS[name].text,
                    "range": ranges.get(name),
                }
                for name, value in statistics.items()
            ],
            "ranges_source": source,
            "alarms": [vars(a) for a in gravest_first([*of_stages, *self.staged.signal_alarms])],
        }

    def result(self) -> dict[str, Any]:
        """Return the whole night: stages, hypnodensity, queue of doubt, and `summary`."""
        staged, night = self.staged, self.staged.hypnogram
        other, raw = staged.reference, staged.uncorrected
        return self.summary() | {
            "classes": night.classes,
            "epoch_s": night.epoch_s,
            "onset_s": night.onset_s,
            "stages": self.stages,
            "given": night.stages,
            "proba": None if night.proba is None else _rounded(night.proba),
            "uncorrected": None if raw is None else raw.stages,
            "changed": [] if raw is None else np.flatnonzero(changed(raw, night)),
            "reference": None if other is None else other.stages,
            "queue": doubtful(night),
            "facts": staged.facts,
        }

    def _apply(self, epoch: int, stage: int) -> None:
        """Set a stage."""
        self.stages[epoch] = stage
        self.version += 1


def doubtful(hypnogram: Hypnogram) -> list[int]:
    """Return the epochs to look at, the most doubtful first.

    Doubt is one minus the probability of the stage given; equals stand in the order of the night.
    """
    sure = confidence(hypnogram)
    order = np.argsort(np.where(np.isnan(sure), np.inf, sure), kind="stable")
    return order[np.isfinite(sure[order])][:LONGEST_QUEUE].tolist()


def listed(changes: Iterable[Change], classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return changes as plain data, with the names of stages."""
    names = (*classes, "?")
    return [{"epoch": c.epoch, "before": names[c.before], "after": names[c.after]} for c in changes]


def _rounded(proba: np.ndarray) -> np.ndarray:
    """Return a hypnodensity with three decimals: what a screen can show."""
    return np.round(proba.astype(np.float64), 3)
