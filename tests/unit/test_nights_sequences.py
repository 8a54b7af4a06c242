"""Stage sequences: cut at gaps, trimmed of daytime, every person on one side."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nights.sequences import StageNight, part_of, sequences, split_nights, stretches


@given(st.lists(st.booleans(), max_size=40))
def test_stretches_cover_exactly_what_is_scored(scored: list[bool]) -> None:
    found = stretches(np.array(scored, dtype=bool))
    covered = [i for part in found for i in range(part.start, part.stop)]
    assert covered == [i for i, one in enumerate(scored) if one]
    assert all(a.stop < b.start for a, b in zip(found, found[1:], strict=False))


def test_sequences_are_cut_at_gaps_and_never_joined() -> None:
    night = StageNight("a", "n", "p", np.array([-1, 0, 1, -1, -1, 2, -1, 3, 4, 4]))
    assert [s.tolist() for s in sequences([night])] == [[0, 1], [3, 4, 4]]


def test_daytime_is_left_out_and_the_clock_stays() -> None:
    stages = np.zeros(2880, dtype=np.int8)
    stages[1000:1800] = 2
    stages[1300] = -1
    kept = StageNight("a", "n", "p", stages).without_long_wake().stages
    assert len(kept) == 2880
    assert np.flatnonzero(kept >= 0)[[0, -1]].tolist() == [940, 1859]
    assert kept[1300] == -1


def test_no_person_stands_on_two_sides_and_every_source_on_each() -> None:
    nights = [
        StageNight(source, f"{person}-{visit}", str(person), np.array([0, 1]))
        for source in ("a", "b")
        for person in range(30)
        for visit in range(1 + person % 3)
    ]
    split = split_nights(nights, seed=0, test_persons=["a/7", "b/8"])
    parts = {part: part_of(nights, split, part) for part in ("train", "val", "test")}
    assert sum(map(len, parts.values())) == len(nights)
    owners = {part: {night.owner for night in found} for part, found in parts.items()}
    assert not owners["train"] & owners["val"]
    assert not owners["train"] & owners["test"]
    assert not owners["val"] & owners["test"]
    assert {"a/7", "b/8"} <= owners["test"]
    for found in parts.values():
        assert {night.source for night in found} == {"a", "b"}


def test_the_same_seed_gives_the_same_split() -> None:
    nights = [StageNight("a", str(i), str(i), np.array([0, 1])) for i in range(40)]
    assert split_nights(nights, seed=1).folds == split_nights(nights[::-1], seed=1).folds
    assert split_nights(nights, seed=1).folds != split_nights(nights, seed=2).folds
