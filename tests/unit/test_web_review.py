"""A person's changes: applied, taken back, done again, and always counted."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.statistics import sleep_statistics
from nights.hypnogram import Hypnogram
from web.review import Review, doubtful
from web.work import Staged


@pytest.fixture
def review(rng: np.random.Generator) -> Review:
    proba = rng.dirichlet(np.full(5, 0.3), 120).astype(np.float32)
    proba[7] = np.nan
    return Review(Staged(Hypnogram.from_proba(proba, scorer="yasa"), None, None, (), {}))


def test_the_most_doubtful_epoch_comes_first_and_unscored_ones_never(review: Review) -> None:
    night = review.staged.hypnogram
    queue = doubtful(night)
    assert 7 not in queue
    assert night.proba is not None
    sure = night.proba[queue].max(axis=1)
    assert (np.diff(sure) >= 0).all()
    assert sure[0] == np.nanmin(night.proba.max(axis=1))


def test_undo_and_redo_walk_the_same_way_back_and_forth(review: Review) -> None:
    before = review.stages.copy()
    for epoch, stage in [(3, "N3"), (4, "R"), (3, "W"), (7, "N2")]:
        review.score(epoch, stage)
    after = review.stages.copy()
    assert [after[3], after[4], after[7]] == [0, 4, 2]
    while (change := review.undo()) is not None:
        assert review.stages[change.epoch] == change.after
    assert np.array_equal(review.stages, before)
    assert not review.can_undo
    while review.redo() is not None:
        pass
    assert np.array_equal(review.stages, after)
    assert not review.can_redo


def test_a_new_change_forgets_what_was_taken_back(review: Review) -> None:
    review.score(1, "W")
    review.undo()
    review.score(2, "W")
    assert review.redo() is None


def test_the_result_says_that_a_person_changed_it(review: Review) -> None:
    assert review.hypnogram is review.staged.hypnogram
    review.score(3, "N3")
    review.score(3, "N2")
    night = review.hypnogram
    assert night.scorer == "yasa, reviewed by a person"
    assert "1 epochs scored again by a person" in night.notes
    assert np.array_equal(night.proba, review.staged.hypnogram.proba, equal_nan=True)


def test_statistics_follow_every_change(review: Review) -> None:
    for epoch in range(120):
        review.score(epoch, "N2")
    told = {row["name"]: row["value"] for row in review.summary()["statistics"]}
    assert told["tst_min"] == 60.0
    assert told == pytest.approx(sleep_statistics(review.hypnogram), nan_ok=True)


@pytest.mark.parametrize(("epoch", "stage"), [(-1, "W"), (120, "W"), (0, "N4"), (0, "")])
def test_what_is_not_in_the_night_is_refused(review: Review, epoch: int, stage: str) -> None:
    with pytest.raises(ValueError, match="epoch|stage"):
        review.score(epoch, stage)
    assert not review.can_undo
