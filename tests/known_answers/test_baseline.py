"""The 46 features of SleepGPT's baseline, against YASA's statistics and by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from evaluation.baseline import FEATURES, boosted_trees, night_features
from nights.hypnogram import Hypnogram

YASA = (  # in the published order
    *("TIB", "SPT", "WASO", "TST", "N1", "N2", "N3", "REM", "NREM", "SOL"),
    *("Lat_N1", "Lat_N2", "Lat_N3", "Lat_REM", "%N1", "%N2", "%N3", "%REM", "%NREM", "SE", "SME"),
)


def night(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    stages = np.repeat(rng.integers(0, 5, 120), rng.integers(1, 15, 120))
    return np.concatenate([np.zeros(20, int), stages, np.zeros(5, int)])


def test_statistics_are_those_of_yasa_in_the_published_order() -> None:
    import yasa

    stages = night()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the form the published baseline calls
        theirs = yasa.sleep_statistics(stages, 1 / 30)
    assert tuple(theirs) == YASA
    ours = dict(zip(FEATURES, night_features(Hypnogram(stages)), strict=True))
    for name, feature in zip(YASA, FEATURES, strict=False):
        assert ours[feature] == pytest.approx(theirs[name], abs=0.01), name


def test_transitions_are_row_shares_in_the_order_of_stages() -> None:
    features = night_features(Hypnogram(np.array([0, 0, 1, 2, 2, 2, 0])))
    assert len(features) == len(FEATURES) == 46
    found = features[21:].reshape(5, 5)
    assert found[0].tolist() == [0.5, 0.5, 0, 0, 0]
    assert found[2].tolist() == pytest.approx([1 / 3, 0, 2 / 3, 0, 0])
    assert found[3].tolist() == [0] * 5
    assert np.isnan(features[FEATURES.index("rem_latency_min")])


def test_trees_tell_short_nights_from_long_ones() -> None:
    rng = np.random.default_rng(0)
    nights = [night(seed)[: 300 + 300 * (seed % 2) + rng.integers(50)] for seed in range(40)]
    x = np.stack([night_features(Hypnogram(stages)) for stages in nights])
    label = np.arange(40) % 2
    trees = boosted_trees().fit(x[:30], label[:30])
    assert trees.score(x[30:], label[30:]) == 1
