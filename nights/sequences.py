"""Stage sequences: what a language model of sleep reads, cut at gaps, each with its person.

An epoch nobody scored breaks a sequence. Dropping it instead would put stages side by side that
were never neighbours, and teach a model transitions that do not exist.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from nights.splits import Split, draw_split, import_split
from nights.stages import EPOCH_S, UNSCORED, W, check_stages
from nights.trimming import without_long_wake


@dataclass(frozen=True, eq=False)
class StageNight:
    """The scored stages of one night and whose night it is.

    Parameters
    ----------
    source : str
        Data set the scoring comes from.
    night, person : str
        Identifiers, unique within `source`.
    stages : int8 array (E,)
        0..4 on the 30 s clock, -1 where nobody scored.
    known : {name: float}
        What the data tell of the person and the clock: `age` in years, `sex` (1 male, 0 female),
        `lights_off_epoch`. What they do not tell is not there.
    """

    source: str
    night: str
    person: str
    stages: np.ndarray
    known: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", check_stages(self.stages))

    @property
    def name(self) -> str:
        """Name of the night across all sources."""
        return f"{self.source}/{self.night}"

    @property
    def owner(self) -> str:
        """Name of the person across all sources."""
        return f"{self.source}/{self.person}"

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits of the stages from the first to the last epoch of sleep.

        The same scoring is known again under another name and with other wake around it.
        """
        asleep = np.flatnonzero(self.stages > W)
        kept = self.stages[asleep[0] : asleep[-1] + 1] if asleep.size else self.stages[:0]
        return f"{zlib.crc32(kept.tobytes()):08x}"

    def conditions(self, stretch: slice) -> dict[str, np.ndarray | float]:
        """Return what is known in a stretch of epochs, as conditional language models ask it."""
        found: dict[str, np.ndarray | float] = {
            name: self.known[name] for name in ("age", "sex") if name in self.known
        }
        if "lights_off_epoch" in self.known:
            epochs = np.arange(stretch.start, stretch.stop) - self.known["lights_off_epoch"]
            found["lights_off_h"] = epochs * (EPOCH_S / 3600)
        return found

    def without_long_wake(self) -> StageNight:
        """Mark as unscored what `nights.trimming` leaves out.

        Recordings of a whole day (Sleep-EDF) are otherwise mostly daytime wake.
        """
        return replace(self, stages=without_long_wake(self.stages))


def stretches(scored: np.ndarray) -> list[slice]:
    """Return the slices of a bool array (E,) in which every epoch is True, in order."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(scored, dtype=np.int8), [0]])))
    return [slice(int(first), int(end)) for first, end in edges.reshape(-1, 2)]


def sequences(nights: Iterable[StageNight], min_epochs: int = 2) -> list[np.ndarray]:
    """Return every scored stretch of at least `min_epochs` as an int8 array without -1."""
    return [
        night.stages[stretch]
        for night in nights
        for stretch in stretches(night.stages != UNSCORED)
        if stretch.stop - stretch.start >= min_epochs
    ]


def split_nights(
    nights: Sequence[StageNight], *, seed: int, test_persons: Iterable[str] = ()
) -> Split:
    """Divide the persons of every source into train 70, val 10 and test 20 percent.

    Parameters
    ----------
    nights : sequence of StageNight
        All nights.
    seed : int
        Of the draw.
    test_persons : iterable of str
        `StageNight.owner` of people who are tested whatever the draw says.
    """
    kept = frozenset(test_persons)
    owners = {night.name: night.owner for night in nights}
    drawn = [night for night in nights if night.owner not in kept]
    split = draw_split(
        "hypnograms",
        {night.name: night.owner for night in drawn},
        {"train": 0.7, "val": 0.1, "test": 0.2},
        seed=seed,
        labels={night.name: night.source for night in drawn},
    )
    (fold,) = split.folds
    tested = {night.name for night in nights} - {name for part in fold.values() for name in part}
    fold = {**fold, "test": tuple(sorted({*fold["test"], *tested}))}
    return import_split(split.name, [fold], owners, source=split.source)


def part_of(nights: Iterable[StageNight], split: Split, part: str) -> list[StageNight]:
    """Return the nights in one part of a split."""
    wanted = set(split.folds[0][part])
    return [night for night in nights if night.name in wanted]
