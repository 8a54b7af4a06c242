"""Stage sequences: what a language model of sleep reads, cut at gaps and split by person.

An epoch nobody scored breaks a sequence. Dropping it instead would put stages side by side that were
never neighbours, and teach a model transitions that do not exist.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nights.stages import R, W, check_stages

PARTS = ("train", "val", "test")


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
    """

    source: str
    night: str
    person: str
    stages: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", check_stages(self.stages))

    @property
    def owner(self) -> str:
        """Name of the person across all sources."""
        return f"{self.source}/{self.person}"


def stretches(scored: np.ndarray) -> list[slice]:
    """Return the slices of a bool array (E,) in which every epoch is True, in order."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(scored, dtype=np.int8), [0]])))
    return [slice(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def sequences(nights: Iterable[StageNight], min_epochs: int = 2) -> list[np.ndarray]:
    """Return every scored stretch of at least `min_epochs` as an int8 array without -1."""
    return [
        night.stages[stretch]
        for night in nights
        for stretch in stretches(night.stages >= 0)
        if stretch.stop - stretch.start >= min_epochs
    ]


def trim_wake(night: StageNight, margin_epochs: int = 60) -> StageNight:
    """Keep the epochs from `margin_epochs` before the first sleep to as many after the last.

    Recordings of a whole day (Sleep-EDF) are otherwise mostly daytime wake. Sleep means stages N1 to
    R: an unscored tail must not defeat the trimming. A night without sleep comes back empty.
    """
    asleep = np.flatnonzero((night.stages > W) & (night.stages <= R))
    if not len(asleep):
        return replace(night, stages=night.stages[:0])
    first = max(0, int(asleep[0]) - margin_epochs)
    return replace(night, stages=night.stages[first : int(asleep[-1]) + 1 + margin_epochs])


def split_by_person(
    nights: Sequence[StageNight],
    shares: tuple[float, float, float] = (0.7, 0.1, 0.2),
    *,
    seed: int = 0,
    test_persons: Iterable[str] = (),
) -> dict[str, list[StageNight]]:
    """Split nights into `train`, `val` and `test` so that no person stands in two of them.

    The part of a person follows from the person's name and `seed` alone: more nights, or another
    order of them, move nobody.

    Parameters
    ----------
    shares : tuple of float
        Expected shares of persons in train, val and test.
    test_persons : iterable of str
        `StageNight.owner` of people who are kept for testing whatever the draw says.

    Raises
    ------
    ValueError
        If the shares do not sum to 1.
    """
    if abs(sum(shares) - 1) > 1e-9:
        raise ValueError(f"shares of train, val and test must sum to 1, found {shares}")
    kept = frozenset(test_persons)
    parts: dict[str, list[StageNight]] = {part: [] for part in PARTS}
    for night in nights:
        drawn = _draw(night.owner, seed)
        part = "train" if drawn < shares[0] else "val" if drawn < shares[0] + shares[1] else "test"
        parts["test" if night.owner in kept else part].append(night)
    return parts


def _draw(name: str, seed: int) -> float:
    """Return a number in [0, 1) that depends on `name` and `seed` alone."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
