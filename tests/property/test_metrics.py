"""What must hold for every pair of scorings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.agreement import consensus, majority_proba, soft_agreement
from evaluation.metrics import compare, confusion, metrics_from
from evaluation.statistics import sleep_statistics, transition_matrix
from nights.hypnogram import Hypnogram

STAGE = st.integers(-1, 4)
PAIRS = st.lists(st.tuples(STAGE, STAGE), max_size=80).map(
    lambda pairs: np.array(pairs, dtype=int).reshape(-1, 2).T
)
SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "kappa")
few = settings(max_examples=60, deadline=None)


@given(PAIRS)
@few
def test_kappa_accuracy_and_macro_f1_are_symmetric(pair: np.ndarray) -> None:
    true, predicted = pair
    one, other = (
        metrics_from(confusion(*sides)) for sides in ((true, predicted), (predicted, true))
    )
    for score in ("accuracy", "macro_f1", "kappa"):
        assert one[score] == pytest.approx(other[score], nan_ok=True)
    assert one["per_stage_precision"] == pytest.approx(other["per_stage_recall"], nan_ok=True)


@given(PAIRS, st.permutations(range(5)))
@few
def test_renaming_the_stages_changes_no_score(pair: np.ndarray, order: list[int]) -> None:
    renamed = np.array([*order, -1])[pair]
    before, after = (metrics_from(confusion(*sides)) for sides in (pair, renamed))
    for score in SCORES:
        assert before[score] == pytest.approx(after[score], nan_ok=True)


@given(PAIRS, st.randoms(use_true_random=False))
@few
def test_the_order_of_epochs_does_not_matter(pair: np.ndarray, random: object) -> None:
    order = list(range(pair.shape[1]))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert np.array_equal(confusion(*pair), confusion(*pair[:, order]))


@given(PAIRS)
@few
def test_scores_stay_in_their_bounds(pair: np.ndarray) -> None:
    found = metrics_from(confusion(*pair))
    for score in SCORES:
        assert np.isnan(found[score]) or -1 <= found[score] <= 1
    assert np.isnan(found["kappa"]) or found["kappa"] <= found["accuracy"] + 1e-12


@given(PAIRS)
@few
def test_a_scoring_agrees_with_itself(pair: np.ndarray) -> None:
    found = metrics_from(confusion(pair[0], pair[0]))
    for score in SCORES:
        assert np.isnan(found[score]) or found[score] == pytest.approx(1)


@given(st.lists(PAIRS, min_size=1, max_size=6))
@few
def test_pooled_metrics_are_those_of_all_epochs_in_one_night(pairs: list[np.ndarray]) -> None:
    found = compare([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    together = metrics_from(confusion(*np.concatenate(pairs, axis=1)))
    for score in SCORES:
        assert found.pooled[score] == pytest.approx(together[score], nan_ok=True)


@given(st.lists(st.lists(STAGE, min_size=5, max_size=5), min_size=1, max_size=40))
@few
def test_a_consensus_is_always_a_stage_somebody_gave(columns: list[list[int]]) -> None:
    scorings = np.array(columns).T
    found = consensus(scorings)
    for epoch, stage in enumerate(found.stages):
        given_here = scorings[:, epoch][scorings[:, epoch] >= 0].tolist()
        assert stage in given_here if given_here else stage == -1
        if given_here:
            assert given_here.count(stage) == max(map(given_here.count, given_here))
    agreement = soft_agreement(scorings)
    assert ((agreement >= 0) & (agreement <= 1) | np.isnan(agreement)).all()
    sums = majority_proba(scorings).sum(axis=1)
    assert (np.isclose(sums, 1) | np.isnan(sums)).all()


@given(st.lists(STAGE, max_size=200))
@few
def test_statistics_add_up_on_every_hypnogram(stages: list[int]) -> None:
    hypnogram = Hypnogram(np.array(stages, dtype=int))
    found = sleep_statistics(hypnogram)
    by_stage = sum(found[f"{key}_min"] for key in ("wake", "n1", "n2", "n3", "rem"))
    assert by_stage + found["unscored_min"] == pytest.approx(found["tib_min"])
    assert found["nrem_min"] + found["rem_min"] == pytest.approx(found["tst_min"])
    if found["tst_min"]:
        unscored_within = found["spt_min"] - found["tst_min"] - found["waso_min"]
        assert 0 <= unscored_within <= found["unscored_min"] + 1e-9
        around = found["sol_min"] + found["spt_min"]
        assert around <= found["tib_min"] + 1e-9
        assert found["awakenings"] <= found["stage_shifts"]
    counts, _ = transition_matrix(hypnogram)
    assert counts.sum() <= max(0, len(stages) - 1)
