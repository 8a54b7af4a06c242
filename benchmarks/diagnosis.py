"""Diagnosis: five folds on 800 simulated hypnograms, and LPSGM's backbone on nights of noise.

Encoders run the protocol of `main_diagnose_cv.py` once (random folds). `htn, all trained` is the
published way: a pass over 48 nights is measured and scaled to the passes and folds of the published
recipe. LPSGM encodes each night once and keeps what the head reads; the published way encodes each
epoch in every window of stride 1 (measured on 16 windows) in every pass of every fold. Random
weights: times do not depend on them.

    python -m benchmarks.diagnosis                        # about 15 minutes of one core
    python -m benchmarks.diagnosis --persons 100 --lpsgm 2   # the same table from less
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

import models
from benchmarks.lpsgm_night import as_published
from benchmarks.measure import Timing, matmul_gflop_per_s, measure, table
from engine.diagnosis.encoder import Encoder
from engine.diagnosis.hypnogram_networks import PUBLISHED_PLAN, HypnogramNetwork, NightRecipe
from engine.diagnosis.protocol import random_schemes, run_fold
from engine.diagnosis.questions import simulated_cases
from engine.diagnosis.tabular import Tabular, statistics
from models.lpsgm_night import night_features

FOLDS, TRAIN_SHARE = 5, 0.6  # of the persons, a quarter of the others validates
SCALED_NIGHTS, WINDOWS_MEASURED, N_CHANNELS, HOURS, STRIDE = 48, 16, 2, 8, 5
LPSGM_PASSES = 5  # of the published second form


def frozen(name: str) -> Encoder:
    """Return a network whose language model reads each night once."""
    return HypnogramNetwork(name, 2, NightRecipe("sleepgpt-open", "frozen"))


def plain(kind: str) -> Encoder:
    """Return a baseline on sleep statistics."""
    return Tabular(f"statistics-{kind}", statistics, "trees" if kind == "trees" else "logistic")


def five_folds(make: Callable[[str], Encoder], name: str, n_persons: int) -> None:
    """Draw the nights and run all folds of one encoder."""
    torch.set_num_threads(1)
    cases = simulated_cases("simulated-narcolepsy", n_persons, strength=0.5, seed=0)
    (scheme,) = random_schemes(cases, FOLDS, n_repeats=1, val_share=0.25, seed=0)
    encoder = make(name)
    with tempfile.TemporaryDirectory() as folder:
        for number, fold in enumerate(scheme.split.folds):
            run_fold(encoder, cases, fold, Path(folder) / str(number), seed=0, resume=False)


def one_pass(n_nights: int) -> None:
    """Train all of HTN for one pass."""
    torch.set_num_threads(1)
    cases = simulated_cases("simulated-narcolepsy", n_nights + 2, strength=0.5, seed=0)
    recipe = NightRecipe("sleepgpt-open", "full", replace(PUBLISHED_PLAN, n_passes=1))
    with tempfile.TemporaryDirectory() as folder:
        encoder = HypnogramNetwork("htn", 2, recipe)
        encoder.fit(cases[:-2], cases[-2:], Path(folder), seed=0)


def encode_once(n_nights: int) -> None:
    """Read nights of noise as the frozen LPSGM encoder does."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = models.create("lpsgm").eval()
    night = {name: torch.randn(HOURS * 120, 3000) for name in model.config.channels[:N_CHANNELS]}
    for _ in range(n_nights):
        night_features(model, night, {}, stride=STRIDE)


def hypnogram_rows(n_persons: int) -> list[list]:
    """Measure every encoder of hypnograms."""
    runs: dict[str, tuple[Callable[[str], Encoder], str]] = {
        "statistics, logistic regression": (plain, "logistic"),
        "statistics, boosted trees": (plain, "trees"),
        "htn, language model frozen": (frozen, "htn"),
        "htn-lstm, language model frozen": (frozen, "htn-lstm"),
    }
    rows = [
        _row(words, measure(five_folds, make, name, n_persons, repeat=1))
        for words, (make, name) in runs.items()
    ]
    timing = measure(one_pass, SCALED_NIGHTS, repeat=1)
    scale = FOLDS * PUBLISHED_PLAN.n_passes * TRAIN_SHARE * n_persons / SCALED_NIGHTS
    scaled = Timing(timing.cpu_s * scale, timing.wall_s * scale, timing.peak_mb)
    return [*rows, _row(f"htn, all trained, {PUBLISHED_PLAN.n_passes} passes (scaled)", scaled)]


def lpsgm_rows(n_nights: int, n_persons: int) -> list[list]:
    """Measure LPSGM's backbone and scale it to the nights of the study."""
    once = measure(encode_once, n_nights, repeat=1)
    own = Timing(*(x * n_persons / n_nights for x in (once.cpu_s, once.wall_s)), once.peak_mb)
    window = measure(as_published, N_CHANNELS, WINDOWS_MEASURED, repeat=1)
    n_windows = (HOURS * 120 - 19) * n_persons
    # training passes run forward and backward (three forwards) at stride 1, and testing once
    scale = n_windows / WINDOWS_MEASURED * FOLDS * (TRAIN_SHARE * LPSGM_PASSES * 3 + 0.4)
    theirs = Timing(window.cpu_s * scale, window.wall_s * scale, window.peak_mb)
    return [
        _row(f"{n_nights} nights encoded once (measured)", once),
        _row(f"{n_persons} nights encoded once (scaled)", own),
        _row("five folds as published, stride 1 (scaled)", theirs),
    ]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--persons", type=int, default=800, help="simulated people, a night each")
    parser.add_argument("--lpsgm", type=int, default=20, help="nights LPSGM encodes")
    given = parser.parse_args()
    head = ["", "CPU s", "wall s", "peak MB more"]
    title = f"Five folds, {given.persons} simulated hypnograms"
    print(table(title, head, hypnogram_rows(given.persons)), flush=True)
    title = f"LPSGM's backbone, {HOURS} h of {N_CHANNELS} derivations"
    print(table(title, head, lpsgm_rows(given.lpsgm, given.persons)))
    print(f"One matrix product: {matmul_gflop_per_s():.0f} GFLOP/s on one thread.")


def _row(words: str, timing: Timing) -> list:
    """Return a row of the table, and say it at once: all of them take a while."""
    sys.stderr.write(f"{words}: {timing.cpu_s:.0f} CPU s\n")
    return [words, timing.cpu_s, timing.wall_s, timing.peak_mb]


if __name__ == "__main__":
    main()
