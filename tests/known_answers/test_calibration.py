"""Calibration and review against hand-worked numbers, scikit-learn, stagers of known sureness."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from evaluation.calibration import (
    calibrate,
    calibration_scores,
    fit_temperature,
    held_out_scaling,
    reliability,
    review_curve,
    scaled,
)
from evaluation.outputs import NightOutput


def sure_stager(
    rng: np.random.Generator, n: int, sharpness: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from a hypnodensity (perfectly calibrated), which is then sharpened."""
    proba = rng.dirichlet(np.full(5, 0.4), n)
    labels = (proba.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    sharper = proba**sharpness
    return sharper / sharper.sum(axis=1, keepdims=True), np.minimum(labels, 4)


def nights(rng: np.random.Generator, n: int = 8, sharpness: float = 2.0) -> list[NightOutput]:
    """Nights of `n / 2` people, two each, by a stager that is too sure."""
    made = [sure_stager(rng, 400, sharpness) for _ in range(n)]
    return [NightOutput(f"n{i}", f"p{i // 2}", y, p) for i, (p, y) in enumerate(made)]


def test_expected_calibration_error_worked_out_by_hand() -> None:
    # bins of a tenth: 0.9 (three epochs, two right), 0.6 (one epoch, wrong)
    proba = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.6, 0.4]])
    found = reliability(proba, np.array([0, 0, 0, 1]), n_bins=10)
    assert found.n_epochs.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 3, 0]
    assert found.accuracy[8] == pytest.approx(2 / 3)
    assert found.confidence[8] == pytest.approx(0.9)
    assert found.expected_error == pytest.approx((3 * (0.9 - 2 / 3) + 1 * 0.6) / 4)


def test_an_edge_belongs_to_the_bin_below_and_one_is_in_the_last() -> None:
    found = reliability(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 0]), n_bins=2)
    assert found.n_epochs.tolist() == [1, 1]


def test_scikit_learn_agrees_on_log_loss_and_brier(rng: np.random.Generator) -> None:
    proba, labels = sure_stager(rng, 500, 1.5)
    found = calibration_scores(proba, labels)
    assert found["nll"] == pytest.approx(sk.log_loss(labels, proba, labels=range(5)))
    one_hot = np.eye(5)[labels]
    assert found["brier_error"] == pytest.approx(((proba - one_hot) ** 2).sum(axis=1).mean())
    halves = [sk.brier_score_loss(one_hot[:, k], proba[:, k]) for k in range(5)]
    assert found["brier_error"] == pytest.approx(sum(halves))
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(labels, proba.argmax(axis=1)))


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_made_the_stager_too_sure(
    rng: np.random.Generator, sharpness: float
) -> None:
    proba, labels = sure_stager(rng, 20_000, sharpness)
    assert fit_temperature(proba, labels) == pytest.approx(sharpness, rel=0.05)
    better = scaled(proba, sharpness)
    assert reliability(better, labels).expected_error < 0.02
    np.testing.assert_allclose(better.sum(axis=1), 1, rtol=1e-6)


def test_a_temperature_changes_no_stage_and_one_changes_nothing(rng: np.random.Generator) -> None:
    proba, _ = sure_stager(rng, 200)
    assert (scaled(proba, 3.0).argmax(axis=1) == proba.argmax(axis=1)).all()
    np.testing.assert_allclose(scaled(proba, 1.0), proba, atol=1e-7)


def test_a_person_has_no_part_in_the_temperature_of_their_own_nights(
    rng: np.random.Generator,
) -> None:
    given = nights(rng)
    wrong = [
        NightOutput(n.night, n.person, (n.labels + 2) % 5, n.proba) if n.person == "p0" else n
        for n in given
    ]
    before, _, _ = held_out_scaling(given, n_folds=4)
    after, _, _ = held_out_scaling(wrong, n_folds=4)
    same = [a == b for a, b in zip(before, after, strict=True)]
    assert sum(same) == 1  # only the fold that tests p0 learned from the same nights
    assert max(after) > 2 * max(before)  # the others heard that the stager is often wrong


def test_scaling_by_others_mends_a_stager_that_is_too_sure(rng: np.random.Generator) -> None:
    found = calibrate(nights(rng), n_folds=4)
    assert len(found.temperatures) == 4
    assert all(1.6 < t < 2.5 for t in found.temperatures)
    for error in ("nll", "brier_error", "expected_calibration_error"):
        assert found.scaled_scores[error] < found.scores[error]
    assert found.scaled_scores["accuracy"] == found.scores["accuracy"]


def test_nights_of_one_person_are_judged_but_not_scaled(rng: np.random.Generator) -> None:
    found = calibrate(nights(rng, 2))
    assert found.temperatures == ()
    assert found.after is found.before


def test_labels_without_probabilities_cannot_be_calibrated() -> None:
    hard = NightOutput("n", "p", np.zeros(3, int), stages=np.zeros(3, int))
    with pytest.raises(ValueError, match="without probabilities"):
        calibrate([hard])


def test_review_worked_out_by_hand() -> None:
    sure = np.array([0.9, 0.3, 0.6, 0.8])
    right = np.array([True, False, False, True])
    found = review_curve(sure, right)
    assert found.share.tolist() == [0, 0.25, 0.5, 0.75]
    assert found.left.tolist() == [0.5, pytest.approx(2 / 3), 1, 1]
    assert found.whole.tolist() == [0.5, 0.75, 1, 1]
    assert found.at(0.125) == (pytest.approx((0.5 + 2 / 3) / 2), pytest.approx(0.625))


def test_equal_sureness_gains_nothing_for_the_rest(rng: np.random.Generator) -> None:
    found = review_curve(np.full(100, 0.9), np.arange(100) < 70)
    np.testing.assert_allclose(found.left, 0.7)


def test_review_of_the_unsure_beats_review_at_random(rng: np.random.Generator) -> None:
    proba, labels = sure_stager(rng, 5000)
    right = proba.argmax(axis=1) == labels
    found = review_curve(proba.max(axis=1), right)
    left, whole = found.at(0.2)
    assert left > right.mean() + 0.05
    assert whole > right.mean() + 0.2 * (1 - right.mean()) + 0.03
