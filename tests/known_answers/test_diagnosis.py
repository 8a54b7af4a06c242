"""Figures of diagnoses against scikit-learn, DeLong's own formulas and answers worked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluation.diagnosis import (
    Verdicts,
    auc,
    auc_draws,
    auc_influence,
    compare_verdicts,
    confusion_by_cohort,
    judge_verdicts,
    person_means,
    roc_curve,
    youden_threshold,
)


def verdicts(
    labels: np.ndarray,
    proba: np.ndarray,
    *,
    models: np.ndarray | None = None,
    repeats: np.ndarray | None = None,
    persons: np.ndarray | None = None,
    cohorts: np.ndarray | None = None,
) -> Verdicts:
    """Verdicts of one model on as many persons, unless said otherwise."""
    n = len(labels)
    proba = np.stack([1 - proba, proba], axis=1) if proba.ndim == 1 else proba
    return Verdicts(
        persons=np.array([f"p{i:03d}" for i in range(n)]) if persons is None else persons,
        cohorts=np.full(n, "A") if cohorts is None else cohorts,
        labels=labels,
        proba=proba,
        models=np.zeros(n, int) if models is None else models,
        repeats=np.zeros(n, int) if repeats is None else repeats,
        decisions=proba.argmax(axis=1),
    )


def graded(
    rng: np.random.Generator, n: int = 60, gap: float = 0.2
) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and scores with ties."""
    labels = rng.integers(0, 2, n)
    return labels, np.clip(rng.normal(0.4 + gap * labels, 0.2), 0, 1).round(2)


def test_area_of_one_model_is_that_of_scikit_learn(rng: np.random.Generator) -> None:
    from sklearn.metrics import roc_auc_score

    labels, score = graded(rng)
    assert auc(verdicts(labels, score)) == pytest.approx(roc_auc_score(labels, score))


def test_area_of_three_classes_is_the_mean_against_the_rest(rng: np.random.Generator) -> None:
    from sklearn.metrics import roc_auc_score

    labels, proba = rng.integers(0, 3, 50), rng.dirichlet(np.ones(3), 50)
    wanted = roc_auc_score(labels, proba, multi_class="ovr", average="macro")
    assert auc(verdicts(labels, proba)) == pytest.approx(wanted)


def test_models_on_other_scales_do_not_disturb_the_area() -> None:
    labels = np.tile([0, 1], 10)
    score = np.where(labels == 1, 0.3, 0.2)
    score[10:] += 0.5  # a second model that says more of everybody
    models = np.repeat([0, 1], 10)
    assert auc(verdicts(labels, score, models=models)) == 1
    assert auc(verdicts(labels, score)) == pytest.approx(0.75)


def test_weighted_draws_equal_repeated_persons(rng: np.random.Generator) -> None:
    labels, score = graded(rng, 30)
    times = rng.integers(0, 4, 30)
    drawn = auc_draws(verdicts(labels, score), times[None].astype(float))[0]
    again = verdicts(np.repeat(labels, times), np.repeat(score, times))
    assert drawn == pytest.approx(auc(again))


def test_influences_give_the_variance_of_delong(rng: np.random.Generator) -> None:
    labels, score = graded(rng)
    ill, well = score[labels == 1], score[labels == 0]
    won = (np.sign(ill[:, None] - well) + 1) / 2
    wanted = won.mean(axis=1).var(ddof=1) / len(ill) + won.mean(axis=0).var(ddof=1) / len(well)
    assert np.sum(auc_influence(verdicts(labels, score)) ** 2) == pytest.approx(wanted)


def test_the_same_people_in_two_repeats_are_no_further_people(rng: np.random.Generator) -> None:
    labels, score = graded(rng)
    once = verdicts(labels, score)
    persons = np.tile(once.persons, 2)
    twice = verdicts(
        np.tile(labels, 2),
        np.tile(score, 2),
        persons=persons,
        models=np.repeat([0, 1], len(labels)),
        repeats=np.repeat([0, 1], len(labels)),
    )
    np.testing.assert_allclose(auc_influence(twice), auc_influence(once))
    wide, narrow = (judge_verdicts(v, seed=1)["auc"] for v in (once, twice))
    assert (wide.low, wide.high) == pytest.approx((narrow.low, narrow.high))


def test_delong_of_two_equal_encoders_finds_nothing(rng: np.random.Generator) -> None:
    one = verdicts(*graded(rng))
    found = compare_verdicts(one, one)
    assert found.auc.value == 0
    assert found.auc_p == 1
    assert found.balanced_accuracy_p == 1


def test_delong_rejects_in_five_of_a_hundred_when_both_are_chance() -> None:
    rng = np.random.default_rng(3)
    n_rejected = 0
    for _ in range(400):
        labels = np.tile([0, 1], 25)
        pair = [verdicts(labels, rng.random(50)) for _ in range(2)]
        moved = auc_influence(pair[1]) - auc_influence(pair[0])
        z = (auc(pair[1]) - auc(pair[0])) / np.linalg.norm(moved)
        n_rejected += abs(z) > 1.96
    assert 0.025 <= n_rejected / 400 <= 0.085


def test_intervals_cover_chance_although_folds_share_people() -> None:
    """Ridge regression on noise, five folds of 40 persons, three quarters of the others train."""
    n, covered = 40, {0.0: 0, 0.75: 0}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        labels, x, score = np.tile([0, 1], n // 2), rng.normal(size=(n, 3)), np.zeros(n)
        fold = np.tile(np.repeat(np.arange(5), 2), n // 10)
        for number in range(5):
            others = rng.permutation(np.flatnonzero(fold != number))[: int(0.75 * 32)]
            known = x[others] - x[others].mean(axis=0)
            weights = np.linalg.solve(known.T @ known + np.eye(3), known.T @ (labels[others] - 0.5))
            score[fold == number] = x[fold == number] @ weights
        found = verdicts(labels, score, models=fold)
        reach = 1.96 * np.linalg.norm(auc_influence(found))
        for share in covered:
            widening = replace(found, trained_on=share).widening
            covered[share] += abs(auc(found) - 0.5) <= widening * reach
    assert covered[0.0] <= 182  # of 200: as if the models had come from elsewhere
    assert covered[0.75] >= 186


def test_encoders_of_other_folds_are_not_compared(rng: np.random.Generator) -> None:
    labels, score = graded(rng)
    other = verdicts(labels, score, models=np.arange(len(labels)) % 2)
    with pytest.raises(ValueError, match="judged on other models"):
        compare_verdicts(verdicts(labels, score), other)


def test_sensitivity_and_specificity_by_hand() -> None:
    labels = np.array([1, 1, 1, 1, 0, 0])
    score = np.array([0.9, 0.8, 0.7, 0.1, 0.2, 0.6])
    found = judge_verdicts(verdicts(labels, score))
    assert found["sensitivity"].value == pytest.approx(3 / 4)
    assert found["specificity"].value == pytest.approx(1 / 2)
    assert found["balanced_accuracy"].value == pytest.approx(5 / 8)
    assert found["macro_f1"].value == pytest.approx((6 / 8 + 2 / 4) / 2)


def test_a_cohort_of_one_class_still_has_its_confusion() -> None:
    labels, score = np.array([1, 1, 0, 0]), np.array([0.9, 0.2, 0.1, 0.7])
    cohorts = np.array(["A", "A", "B", "B"])
    tables = confusion_by_cohort(verdicts(labels, score, cohorts=cohorts))
    np.testing.assert_array_equal(tables["A"], [[0, 0], [1, 1]])
    np.testing.assert_array_equal(tables["B"], [[1, 1], [0, 0]])


def test_area_is_undefined_when_no_model_saw_both_classes() -> None:
    labels = np.array([1, 1, 0, 0])
    found = verdicts(labels, np.array([0.9, 0.2, 0.1, 0.7]), models=labels)
    assert np.isnan(auc(found))
    assert np.isnan(judge_verdicts(found)["auc"].low)


def test_nights_of_a_person_are_averaged() -> None:
    proba = np.array([[0.2, 0.8], [0.6, 0.4], [1.0, 0.0]])
    names, means, first = person_means(["b", "b", "a"], proba)
    assert names == ["a", "b"]
    np.testing.assert_allclose(means, [[1, 0], [0.4, 0.6]])
    assert first.tolist() == [2, 0]


@pytest.mark.parametrize(
    ("score", "ill", "wanted"),
    [
        ([0.1, 0.2, 0.6, 0.9], [0, 0, 1, 1], 0.4),  # midway between the two that separate
        ([0.1, 0.2, 0.6, 0.9], [1, 1, 1, 1], 0.5),  # nothing to choose by
        ([0.1, 0.3, 0.2, 0.9], [0, 1, 0, 1], 0.25),
    ],
)
def test_threshold_by_hand(score: list[float], ill: list[int], wanted: float) -> None:
    found = youden_threshold(np.array(score), np.array(ill, dtype=bool))
    assert found == pytest.approx(wanted)


def test_curve_of_perfect_scores_goes_through_the_corner() -> None:
    false, true = roc_curve(verdicts(np.array([0, 0, 1]), np.array([0.1, 0.2, 0.9])))
    assert false[0] == 0
    assert true[0] == 1
