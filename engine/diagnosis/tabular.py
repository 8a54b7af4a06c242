"""Plain encoders: a row of numbers a night, logistic regression or boosted trees.

What is kept of a fitted one is what it was fitted on, and it is fitted again when it is loaded:
scikit-learn's own format is a pickle, which is never executed here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from engine.diagnosis.cases import NOT_KNOWN, Case
from evaluation.baseline import boosted_trees, night_features
from nights.atomic import atomic_path, write_text
from nights.hypnogram import Hypnogram

Kind = Literal["logistic", "trees"]
STRENGTHS = (0.01, 0.1, 1.0, 10.0)  # C of logistic regression, over the range that matters
ROUNDS = (20, 60)  # of boosting; 20 as published


def length(case: Case) -> np.ndarray:
    """Return the length of the recording: what it alone tells is no disorder."""
    return np.array([case.known.get("hours", NOT_KNOWN)])


def person(case: Case) -> np.ndarray:
    """Return age and sex."""
    return np.array([case.known.get(name, NOT_KNOWN) for name in ("age", "sex")])


def statistics(case: Case) -> np.ndarray:
    """Return the 46 sleep statistics and transitions of the night, with age and sex.

    Raises
    ------
    ValueError
        If nobody scored the night.
    """
    if not case.stages.size:
        raise ValueError(f"night {case.night!r} has no stages: the encoder reads sleep statistics")
    return np.concatenate([night_features(Hypnogram(case.stages)), person(case)])


@dataclass(frozen=True)
class FeatureFiles:
    """Features of a pre-trained model, written by whoever ran it.

    Parameters
    ----------
    folder : Path
        `<DATASET>/<rec>.npy` or `<rec>.npy` for each night: float (E, D), a row an epoch, NaN rows
        where there is none; or (D,) of the whole night. The night is told by mean and standard
        deviation over its epochs.
    """

    folder: Path

    def __call__(self, case: Case) -> np.ndarray:
        """Return the row of a night.

        Raises
        ------
        ValueError
            If there is no file, or it holds something else.
        """
        places = [self.folder / f"{case.night}.npy", self.folder / f"{Path(case.night).name}.npy"]
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            raise ValueError(f"night {case.night!r}: no {places[0]} with its features")
        found = np.load(path, allow_pickle=False)
        if found.ndim == 1:
            return found.astype(np.float64)
        known = found[np.isfinite(found).all(axis=1)] if found.ndim == 2 else found[:0]
        if found.ndim != 2 or not len(known):
            raise ValueError(f"{path}: features (E, D) are wanted, found {found.shape}")
        return np.concatenate([known.mean(axis=0), known.std(axis=0)]).astype(np.float64)


@dataclass(frozen=True)
class Tabular:
    """Logistic regression or boosted trees on a row of numbers.

    Parameters
    ----------
    name : str
    row : callable
        Case -> float array (D,), NaN where not known.
    kind : str
        `logistic`: missing numbers are filled with the median of the training nights, and that one
        was missing is a number of its own; all are scaled. `trees`: see
        `evaluation.baseline.boosted_trees`.
    """

    name: str
    row: Callable[[Case], np.ndarray]
    kind: Kind
    _rows: dict[str, np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    @property
    def candidates(self) -> Sequence[Mapping[str, Any]]:
        """Strengths of regularisation, or rounds of boosting."""
        if self.kind == "logistic":
            return [{"strength": strength} for strength in STRENGTHS]
        return [{"rounds": rounds} for rounds in ROUNDS]

    def fit(
        self, train: Sequence[Case], val: Sequence[Case], folder: Path, *, seed: int, **choice: Any
    ) -> FittedTable:
        """Fit on the training nights; nothing is stopped by validation."""
        x, labels = self._table(train), np.array([case.label for case in train])
        with atomic_path(folder / "fit.npz") as temporary, temporary.open("wb") as file:
            np.savez(file, x=x, labels=labels)
        about = {"kind": self.kind, "seed": seed, **choice}
        write_text(folder / "fit.json", json.dumps(about, indent=1) + "\n")
        return self.load(folder)

    def load(self, folder: Path) -> FittedTable:
        """Fit again on what was kept."""
        about = json.loads((folder / "fit.json").read_text(encoding="utf-8"))
        with np.load(folder / "fit.npz", allow_pickle=False) as kept:
            x, labels = kept["x"], kept["labels"]
        model, known = _model(**about), np.isfinite(x).any(axis=0)
        model.fit(np.where(known, x, 0.0), labels)
        return FittedTable(self, model, known)

    def _table(self, cases: Sequence[Case]) -> np.ndarray:
        """Return the rows (N, D) of nights, each made once."""
        for case in cases:
            if case.night not in self._rows:
                self._rows[case.night] = self.row(case)
        return np.stack([self._rows[case.night] for case in cases])


@dataclass(frozen=True)
class FittedTable:
    """A fitted model, how its rows are made, and which columns (D,) were known in training."""

    encoder: Tabular
    model: Any
    known: np.ndarray

    def proba(self, cases: Sequence[Case]) -> np.ndarray:
        """Return the probability of each class (N, K)."""
        x = self.encoder._table(cases)
        return self.model.predict_proba(np.where(self.known, x, 0.0))


def logistic(strength: float = 1.0, *, balanced: bool = False) -> Any:
    """Return untrained logistic regression on scaled numbers, missing ones filled and marked."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True),
        StandardScaler(),
        LogisticRegression(
            C=strength, max_iter=5000, class_weight="balanced" if balanced else None
        ),
    )


def _model(
    kind: Kind, seed: int, strength: float = 1.0, rounds: int = 20, balanced: bool = False
) -> Any:
    """Return the untrained model of one choice."""
    if kind == "logistic":
        return logistic(strength, balanced=balanced)
    return boosted_trees(seed).set_params(max_iter=rounds)
