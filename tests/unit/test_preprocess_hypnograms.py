"""Scored nights: every source readable, persons right, no night twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nights.sequences import StageNight
from preprocess.hypnograms import JUDGED_ELSEWHERE, SOURCES, consensus, read_hypnograms


@pytest.fixture(scope="module")
def nights() -> list[StageNight]:
    """Every night of every source."""
    from tests.conftest import SHARED_DATA

    return read_hypnograms(SHARED_DATA, SOURCES)


def test_the_consensus_is_the_majority_and_a_tie_goes_to_the_scorer_who_agrees_most() -> None:
    scorings = np.array(
        [
            [0, 0, 2, 2, 3, -1, 3],
            [0, 0, 2, 2, 3, -1, -1],
            [0, 1, 2, 3, 3, -1, 1],
            [0, 1, 2, 1, 1, -1, -1],
        ]
    )
    assert consensus(scorings).tolist() == [0, 0, 2, 2, 3, -1, 3]


def test_only_licences_that_let_weights_be_given_away() -> None:
    licences = {source.licence for sources in SOURCES.values() for source in sources}
    assert licences <= {"CC0", "MIT", "ODC-By-1.0"}


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"source 'dod': no real/dod/dod\.npz below"):
        read_hypnograms(tmp_path, ["dod"])
    with pytest.raises(ValueError, match="no source 'dreams'; there are boas"):
        read_hypnograms(tmp_path, ["dreams"])


@pytest.mark.data("real/boas")
def test_counts_are_those_of_the_sources(nights: list[StageNight]) -> None:
    boas = [night for night in nights if night.source == "boas"]
    counts = np.bincount(np.concatenate([n.stages[n.stages >= 0] for n in boas]))
    assert counts.tolist() == [13259, 3252, 50516, 3738, 12538]
    assert len({night.owner for night in boas}) == 67
    surrey = np.concatenate([night.stages for night in nights if night.source == "surrey"])
    assert np.bincount(surrey[surrey >= 0]).tolist() == [6191, 1406, 6207, 2091, 2438]


@pytest.mark.data("real/boas")
def test_no_night_is_read_twice_and_all_judged_people_exist(nights: list[StageNight]) -> None:
    assert max(Counter(night.name for night in nights).values()) == 1
    owners = {night.owner for night in nights}
    assert len(set(JUDGED_ELSEWHERE) - owners) <= 1  # one of the twenty has no night here
    assert {night.owner for night in nights if night.person == "slp01"} == {"slpdb/slp01"}


@pytest.mark.data("sleepedf_hypnograms.npz")
def test_both_files_of_a_sleepedf_night_tell_the_same(shared_data: Path) -> None:
    (pack, table) = SOURCES["sleepedf"]
    file = shared_data / "real/sleepedf_annotations/SC4001E.csv"
    packed = {night: stages for night, _, stages in pack.read(shared_data / pack.pattern)}
    ((night, person, stages),) = table.read(file)
    assert (night, person) == ("SC4001", "SC400")
    asleep = np.flatnonzero(stages > 0)
    assert np.array_equal(stages[asleep], packed[night][asleep])
