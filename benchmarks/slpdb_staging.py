"""How much of sleep do heart beats alone tell? Wake, REM and NREM of real nights from RR intervals.

    python -m benchmarks.slpdb_staging --data ../shared/data
    python -m benchmarks.slpdb_staging --data ../shared/data --network runs/slpdb    and wav2sleep

The 12 open records of the MIT-BIH Polysomnographic Database (11 people, most with sleep apnea; one
scorer, Rechtschaffen and Kales). Each person is staged by models that have seen the others only.
Features: level, variability and bands of the heart rate around each epoch in three windows, in
standard deviations of the record itself, and the same of the epochs beside it. The models are small
on purpose and their settings were not chosen by these results; both are printed, and the guess of
the most frequent stage. Intervals: persons drawn with replacement.

With --network the folder gets a night store of the heart rate (view `hr`) and a small wav2sleep of
it, trained as `main_train.py --preset trial` does: six folds of one or two persons, to spare time,
in which two of the others choose the weights, so that seven train. Its four classes are merged;
four CPU minutes of one thread. A folder that was begun goes on.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import table
from evaluation.heart import HF_HZ, LF_HZ
from evaluation.metrics import Comparison, compare
from nights.atomic import write_text
from nights.hypnogram import Hypnogram
from nights.stages import EPOCH_S, UNSCORED, R, W, to_four_classes
from nights.store import write_night
from recordings.beat_reader import HEART_HZ, BeatRecording
from recordings.beats import normal_intervals
from recordings.ingest import read_view
from recordings.scoring import read_scoring
from recordings.views import VIEWS

WINDOWS_S = (30.0, 90.0, 270.0)
BESIDE_EPOCHS = (-8, -3, -1, 1, 3, 8)
SCORES = ("accuracy", "kappa", "macro_f1")
SEED = 0
# As `main_train.py` is told. The course of a heart rate is not turned over.
NETWORK: Mapping[str, Any] = {
    **{"model": "wav2sleep", "preset": "trial", "channels": ("HR",), "n_passes": 40, "flip": 0.0},
    # an hour: more steps a pass than whole nights make
    **{"window": 120, "batch_size": 4, "evaluate_every": 40},
    **{"class_weights": "balanced", "headline": "nll", "seed": SEED, "device": "cpu"},
}


@dataclass(frozen=True, eq=False)
class Record:
    """One record: features (E, D), stages (E,) of five classes, and who slept."""

    path: Path
    name: str
    person: str
    features: np.ndarray
    stages: np.ndarray


def read_record(path: Path) -> Record:
    """Read the beats and the scoring of one table."""
    recording = BeatRecording(path)
    stages = read_scoring(path, recording=recording).hypnogram.stages
    name = path.name.split(".")[0]
    person = name.rstrip("ab")  # slp01a and slp01b are one person (README of the data)
    return Record(path, name, person, record_features(recording, len(stages)), stages)


def record_features(recording: BeatRecording, n_epochs: int) -> np.ndarray:
    """Return the features (E, D) of every epoch, none of them missing."""
    own = np.hstack([_window_features(recording, n_epochs, window_s) for window_s in WINDOWS_S])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # epochs without beats are all NaN
        own = (own - np.nanmean(own, axis=0)) / np.nanstd(own, axis=0)
    own = np.nan_to_num(own)
    places = np.arange(n_epochs)
    beside = [own[np.clip(places + step, 0, n_epochs - 1)] for step in BESIDE_EPOCHS]
    return np.hstack([own, *beside])


def _window_features(recording: BeatRecording, n_epochs: int, window_s: float) -> np.ndarray:
    """Return level, spread, RMSSD and log bands of the RR intervals around each epoch (E, 8)."""
    rate_hz = float(HEART_HZ)
    rr = 60 / recording.read("HR", np.float64)
    size = round(window_s * rate_hz)
    padded = np.pad(rr, size, mode="edge")
    middle = (EPOCH_S * np.arange(n_epochs) + EPOCH_S / 2) * rate_hz + size
    first = np.clip(middle - size / 2, 0, len(padded) - size).astype(int)
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)[first]  # (E, S)
    centred = windows - windows.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(centred * np.hanning(size), axis=1)) ** 2 + 1e-9
    frequency = np.fft.rfftfreq(size, 1 / rate_hz)
    low, high = (power[:, (frequency >= a) & (frequency < b)] for a, b in (LF_HZ, HF_HZ))
    breath_hz = frequency[(frequency >= HF_HZ[0]) & (frequency < HF_HZ[1])][high.argmax(axis=1)]
    low_sum, high_sum = low.sum(axis=1), high.sum(axis=1)
    return np.stack(
        [
            windows.mean(axis=1),
            np.log(windows.std(axis=1) + 1e-4),
            windows.max(axis=1) - windows.min(axis=1),
            _log_rmssd(recording.beats_s, n_epochs, window_s),
            np.log(low_sum),
            np.log(high_sum),
            np.log(low_sum / high_sum),
            breath_hz,
        ],
        axis=1,
    )


def _log_rmssd(beats_s: np.ndarray, n_epochs: int, window_s: float) -> np.ndarray:
    """Return the logarithm of the RMSSD (ms) around each epoch (E,), NaN with too few beats."""
    rr_s, normal = normal_intervals(beats_s)
    pairs = normal[1:] & normal[:-1]
    squared = np.concatenate([[0.0], np.cumsum((1e3 * np.diff(rr_s)[pairs]) ** 2)])
    ends_s = beats_s[2:][pairs]
    middle_s = EPOCH_S * (np.arange(n_epochs) + 0.5)
    first, last = (np.searchsorted(ends_s, middle_s + side * window_s / 2) for side in (-1, 1))
    count = last - first
    mean = np.divide(
        squared[last] - squared[first], count, where=count >= 5, out=np.full(n_epochs, np.nan)
    )
    return np.log(np.sqrt(mean) + 1)


def logistic() -> Any:
    """Return a linear model; each class weighs the same, so that rare REM is not given up."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=0.003, class_weight="balanced", max_iter=500)


def trees() -> Any:
    """Return boosted trees with few leaves, strongly regularised."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        learning_rate=0.15,
        max_iter=40,
        max_bins=63,
        max_leaf_nodes=8,
        min_samples_leaf=60,
        l2_regularization=10.0,
        max_features=0.3,
        class_weight="balanced",
        early_stopping=False,
        random_state=SEED,
    )


def majority() -> Any:
    """Return the guess of the most frequent class of the training persons."""
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="most_frequent")


MODELS: Mapping[str, Callable[[], Any]] = {
    "majority guess": majority, "logistic regression": logistic, "boosted trees": trees
}  # fmt: skip
TASKS: Mapping[str, tuple[tuple[str, ...], np.ndarray]] = {  # classes, and code of W N1 N2 N3 R
    "wake, sleep": (("W", "sleep"), np.array([0, 1, 1, 1, 1, UNSCORED])),
    "wake, NREM, REM": (("W", "NREM", "R"), np.array([0, 1, 1, 1, 2, UNSCORED])),
}


def cross_validate(records: Sequence[Record], task: str, model: Callable[[], Any]) -> Comparison:
    """Stage every person with a model of the others; one confusion for each record."""
    classes, codes = TASKS[task]
    predicted: dict[str, np.ndarray] = {}
    for person in sorted({record.person for record in records}):
        inside = [record for record in records if record.person != person]
        features = np.concatenate([record.features for record in inside])
        truth = np.concatenate([codes[record.stages] for record in inside])
        fitted = model().fit(features[truth >= 0], truth[truth >= 0])
        for record in (record for record in records if record.person == person):
            predicted[record.name] = fitted.predict(record.features)
    truths = [codes[record.stages] for record in records]
    return compare(truths, [predicted[record.name] for record in records], len(classes))


def network_proba(records: Sequence[Record], out: Path) -> dict[str, np.ndarray]:
    """Train wav2sleep on the heart rate, in folds by person; return {record: proba (E, 4)}."""
    from engine.staging_run import train_stager
    from engine.staging_settings import Training
    from evaluation.outputs import read_outputs

    store = out / "hr"
    for record in records:
        _store(record, store)
    persons, folds = sorted({record.person for record in records}), []
    for first in range(0, len(persons), 2):
        tested = persons[first : first + 2]
        judges = [persons[(first + step) % len(persons)] for step in (2, 3)]
        parts: dict[str, list[str]] = {"train": [], "val": [], "test": []}
        for record in records:
            part = "test" if record.person in tested else "train"
            part = "val" if record.person in judges else part
            parts[part].append(f"SLPDB/{record.name}")
        folds.append(parts)
    split = {"name": "persons", "source": "two persons a fold", "accepted": [], "folds": folds}
    write_text(out / "persons.json", json.dumps(split, indent=1) + "\n")
    begun = (out / "run" / "config.json").exists()
    train_stager(Training(nights=(store,), split=str(out / "persons.json"), out=out / "run",
                          resume=begun, **NETWORK))  # fmt: skip
    outputs = read_outputs(out / "run" / "test.npz")
    return {o.night.split("/")[1]: o.proba for o in outputs if o.proba is not None}


def _store(record: Record, store: Path) -> None:
    """Write a record as a night of its heart rate."""
    read, view = read_view(BeatRecording(record.path), VIEWS["hr"]), VIEWS["hr"]
    write_night(
        store,
        "SLPDB",
        record.name,
        {"sig": (("HR",), [read.signals["HR"]])},
        Hypnogram(record.stages),
        view={"name": view.name, "hash": view.hash, "normalise": view.normalise},
        person=record.person,
        gaps=read.unscored,
        sources=[record.path],
        channels={"HR": read.channels[0].to_json()},
    )


def judge_network(
    records: Sequence[Record], task: str, proba: Mapping[str, np.ndarray]
) -> Comparison:
    """Judge the network's W L D R, classes of one task merged; one confusion for each record.

    Its classes weigh the same, as those of the other models do. For the merged ones to weigh the
    same, each has the share in its group that it has in the nights of other persons.
    """
    classes, codes = TASKS[task]
    of_four = codes[[0, 1, 3, 4]]  # W, N1 as light, N3, R
    groups = np.stack([of_four == code for code in range(len(classes))], axis=1)  # (4, K)
    predicted = []
    for record in records:
        others = np.concatenate([r.stages for r in records if r.person != record.person])
        scored = to_four_classes(others)
        counts = np.bincount(scored[scored >= 0], minlength=4)[:, None] * groups
        merged = counts / counts.sum(axis=0)
        told = proba[record.name]
        known = np.isfinite(told).all(axis=1)
        predicted.append(np.where(known, (np.nan_to_num(told) @ merged).argmax(axis=1), UNSCORED))
    return compare([codes[record.stages] for record in records], predicted, len(classes))


def main() -> None:
    """Print what each model reaches in each task, with its interval, and what it confuses."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--network", type=Path, help="folder of the night store and the trainings")
    options = parser.parse_args()
    paths = sorted((options.data / "real/slpdb_rr").glob("*.csv.gz"))
    records = [read_record(path) for path in paths]
    stages = np.concatenate([record.stages for record in records])
    print(
        f"{len(records)} records, {len({record.person for record in records})} people, "
        f"{np.sum(stages >= 0)} scored epochs: {100 * np.mean(stages[stages >= 0] == W):.0f} % "
        f"wake, {100 * np.mean(stages[stages >= 0] == R):.0f} % REM; "
        f"{records[0].features.shape[1]} features\n"
    )
    proba = network_proba(records, options.network) if options.network else None
    for task, (classes, _) in TASKS.items():
        found = {name: cross_validate(records, task, model) for name, model in MODELS.items()}
        if proba is not None:
            found["wav2sleep, small"] = judge_network(records, task, proba)
        rows = [told(name, comparison, records) for name, comparison in found.items()]
        head = ["model", *(score.replace("_", " ") for score in SCORES)]
        print(table(f"{task}: by person", [*head, "F1 of " + " / ".join(classes)], rows))


def told(name: str, found: Comparison, records: Sequence[Record]) -> list[str]:
    """Return the row of one model."""
    rng, persons = np.random.default_rng(SEED), [record.person for record in records]
    scores = [found.interval(score, rng=rng, persons=persons) for score in SCORES]
    per_class = found.pooled["per_stage_f1"].values()
    cells = [f"{x.value:.3f} ({x.low:.2f} to {x.high:.2f})" for x in scores]
    return [name, *cells, " / ".join(f"{value:.2f}" for value in per_class)]


if __name__ == "__main__":
    main()
