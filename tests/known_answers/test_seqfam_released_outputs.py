"""Released outputs of Phan's networks through our aggregation and evaluation: printed numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.metrics import compare, confusion, metrics_from
from models.aggregation import Rule, votes
from preprocess.splitting.published import read_published

MASS, FOLDS = "mass_arnn_outputs.npz", "mass_20fold_splits.json"
SLEEP_EDF = "sleepedf20_stager_outputs.npz"


def read(path: Path, *names: str) -> list[np.ndarray]:
    """Some arrays of a file."""
    with np.load(path) as file:
        return [file[name] for name in names]


def decided(logits: np.ndarray, starts: np.ndarray, lengths: np.ndarray, rule: Rule) -> list:
    """Votes (n + 2, K) of the epochs of each night, and one beyond both ends, from three heads."""
    heads = torch.from_numpy(logits.astype(np.float32)).transpose(0, 1)  # (epochs, 3, K)
    nights = zip(starts, lengths, strict=True)
    return [votes(heads[at : at + int(n)], rule).numpy() for at, n in nights]


@pytest.mark.data(SLEEP_EDF)
@pytest.mark.parametrize(
    ("cnn", "rule", "accuracy", "kappa", "macro_f1"),
    [
        ("onemax_1to3_2ch", "multiplicative", 82.25, 0.7477, 74.72),
        ("onemax_1to3_2ch", "additive", 82.03, 0.7450, 74.32),
        ("onemax_1to3_1ch", "multiplicative", 81.87, 0.7430, 73.84),
        ("deepcnn_1to3_2ch", "multiplicative", 79.66, 0.7102, 71.15),
    ],
)
def test_the_aggregated_cnn_has_its_published_accuracy_on_sleep_edf(
    shared_data: Path, cnn: str, rule: Rule, accuracy: float, kappa: float, macro_f1: float
) -> None:
    logits, labels, starts, lengths = read(
        shared_data / SLEEP_EDF, f"logits_{cnn}", "labels", "record_start", "record_epochs"
    )
    nights = decided(logits, starts, lengths, rule)
    told = [night[1:-1].argmax(axis=1) for night in nights]  # all epochs decide, within the night
    true = np.split(labels.astype(np.int64), starts[1:])
    found = compare(true, told).pooled
    assert found["n_epochs"] == 38_150
    # The logits are stored in half precision, which turns some ties
    assert 100 * found["accuracy"] == pytest.approx(accuracy, abs=0.02)
    assert found["kappa"] == pytest.approx(kappa, abs=3e-4)
    assert 100 * found["macro_f1"] == pytest.approx(macro_f1, abs=0.03)


@pytest.mark.data(MASS)
def test_the_fold_accuracies_of_arnn_on_mass_pool_to_the_published_one(shared_data: Path) -> None:
    epochs, fold, single, heads = read(
        shared_data / MASS, "night_epochs", "night_fold", "arnn_acc", "mt_acc"
    )
    of_fold = np.bincount(fold, weights=epochs)[1:]
    assert len(of_fold) == 20
    right = single * of_fold
    np.testing.assert_allclose(right, right.round(), atol=1e-3)  # counts of whole epochs
    assert 100 * right.sum() / of_fold.sum() == pytest.approx(83.596, abs=5e-4)
    inner = of_fold - 2 * np.bincount(fold)[1:]  # the multitask network leaves out both ends
    pooled = 100 * (heads * inner[:, None]).sum(axis=0) / inner.sum()
    np.testing.assert_allclose(pooled, [79.61, 83.73, 80.46], atol=6e-3)


@pytest.mark.data(MASS)
def test_three_heads_on_mass_aggregate_to_the_published_decisions(shared_data: Path) -> None:
    logits, starts, epochs, want, single = read(
        shared_data / MASS,
        *("mt_logits", "mt_night_start", "night_epochs", "mt_agg_pred", "arnn_pred"),
    )
    product, added = (
        np.concatenate(decided(logits, starts, epochs.astype(int) - 2, rule)).argmax(axis=1)
        for rule in ("multiplicative", "additive")
    )
    assert (product != want).sum() <= 8  # half precision turns so many
    assert (product == added).mean() == pytest.approx(0.988, abs=1e-3)
    kappa = metrics_from(confusion(single, want))["kappa"]
    assert kappa == pytest.approx(0.858, abs=1e-3)


@pytest.mark.data(FOLDS)
def test_the_twenty_folds_of_mass_test_every_night_once(shared_data: Path) -> None:
    folds = read_published(str(shared_data / FOLDS))
    assert len(folds) == 20
    for fold in folds:
        assert {part: len(nights) for part, nights in fold.items()} == {
            "train": 180,
            "val": 10,
            "test": 10,
        }
        assert len({night for nights in fold.values() for night in nights}) == 200
    tested = [night for fold in folds for night in fold["test"]]
    assert len(set(tested)) == len(tested) == 200
