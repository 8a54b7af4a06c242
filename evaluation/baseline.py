"""The plain peer of diagnosis networks: boosted trees on sleep statistics and transitions.

SleepGPT's baseline: 21 statistics and 25 transition probabilities of a night, put to gradient
boosting. The published one uses XGBoost; scikit-learn's histogram boosting is of the same kind and
comes with this project.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from evaluation.statistics import sleep_statistics, transition_matrix
from nights.hypnogram import Hypnogram
from nights.stages import STAGES

_KEYS = ("n1", "n2", "n3", "rem")
_STATISTICS = (
    *("tib_min", "spt_min", "waso_min", "tst_min"),
    *(f"{key}_min" for key in (*_KEYS, "nrem")),
    "sol_min",
    *(f"{key}_latency_min" for key in _KEYS),
    *(f"{key}_percent" for key in (*_KEYS, "nrem")),
    *("se_percent", "sme_percent"),
)
FEATURES = (*_STATISTICS, *(f"{before}->{after}" for before in STAGES for after in STAGES))


def night_features(hypnogram: Hypnogram) -> np.ndarray:
    """Return the 46 features of a night.

    Parameters
    ----------
    hypnogram : Hypnogram
        Five classes.

    Returns
    -------
    float64 array (46,)
        In the order of `FEATURES`. Latencies of stages count from lights off, as in the published
        baseline (elsewhere here they count from sleep onset). NaN where undefined: the latency of a
        stage that never came. A stage that never came leads nowhere: its transitions are 0.

    Raises
    ------
    ValueError
        If the hypnogram tells other stages apart.
    """
    if hypnogram.classes != STAGES:
        raise ValueError(f"features want the stages {STAGES}, found {hypnogram.classes}")
    known = sleep_statistics(hypnogram)
    for key in _KEYS:
        known[f"{key}_latency_min"] += known["sol_min"]
    _, transitions = transition_matrix(hypnogram)
    return np.concatenate(
        [[known[name] for name in _STATISTICS], np.nan_to_num(transitions).ravel()]
    )


def boosted_trees(seed: int = 42) -> Any:
    """Return the untrained classifier: 20 rounds, depth 3, rate 0.1, 60 % of features a split.

    Features need no scaling. Its published peer also draws 70 % of the nights for each tree, which
    this one does not.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        learning_rate=0.1,
        max_iter=20,
        max_leaf_nodes=127,
        max_depth=3,
        max_features=0.6,
        min_samples_leaf=1,
        early_stopping=False,
        random_state=seed,
    )
