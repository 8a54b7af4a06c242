"""Why sleep statistics beat HTN on the Dreem nights: is it in the language model, and lost later?

HTN keeps of each half hour what the language model holds at its last epoch. Here the same published
language model reads the same nights, and plain logistic regression is put to what it holds: at the
last epochs of the segments alone, as HTN sees it, or at every epoch. Beside them the statistics
and of these the transitions alone. One protocol, that of `main_diagnose_cv.py`; features go through
the files that `--features` reads.

    python -m benchmarks.diagnosis_reading --data ../shared/data
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.measure import table
from engine import weights
from engine.diagnosis.cases import Case
from engine.diagnosis.night_task import lay_out
from engine.diagnosis.protocol import random_schemes, run_fold, verdicts_of
from engine.diagnosis.questions import open_cases
from engine.diagnosis.tabular import FeatureFiles, Tabular, statistics
from evaluation.baseline import FEATURES
from evaluation.diagnosis import judge_verdicts
from evaluation.diagnosis_report import with_interval
from nights.atomic import atomic_path

FOLDS, REPEATS = 5, 3
N_TRANSITIONS = 25  # the last of the features of a night


def held_by(model: torch.nn.Module, case: Case, *, every_epoch: bool) -> np.ndarray:
    """Return what the language model holds (E, D) at every epoch, or at the segments' last."""
    night = lay_out([case], model.config.n_positions)  # type: ignore[union-attr]
    ids, valid = night.first[0], night.second[0]
    with torch.no_grad():
        hidden = model.hidden(ids, valid)  # type: ignore[operator]  # (S, L, D)
    if every_epoch:
        return hidden[valid].numpy()
    there = valid.any(dim=1)
    last = (torch.arange(1, valid.shape[1] + 1) * valid).argmax(dim=1)
    return hidden[torch.arange(len(last)), last][there].numpy()


def area(name: str, row: Callable[[Case], np.ndarray], cases: Sequence[Case]) -> str:
    """Return the cross-validated area of logistic regression on rows of numbers."""
    encoder = Tabular(name, row, "logistic")
    schemes = random_schemes(cases, FOLDS, n_repeats=REPEATS, val_share=0.25, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        results = {
            (place, number): run_fold(
                encoder, cases, fold, Path(folder) / f"{place}-{number}", seed=0, resume=False
            )
            for place, scheme in enumerate(schemes)
            for number, fold in enumerate(scheme.split.folds)
        }
    found = judge_verdicts(verdicts_of(cases, schemes, results))["auc"]
    return with_interval(vars(found))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--init", default="sleepgpt-shhs-60", help="the language model")
    given = parser.parse_args()
    torch.set_num_threads(1)
    cases = open_cases("dod-apnea", given.data)
    model = weights.load(given.init)[0].eval()
    rows = []
    for words, every_epoch in (("last epoch of each segment", False), ("every epoch", True)):
        with tempfile.TemporaryDirectory() as folder:
            for case in cases:
                with atomic_path(Path(folder) / f"{case.night}.npy") as path:
                    np.save(path, held_by(model, case, every_epoch=every_epoch))
            features = FeatureFiles(Path(folder))
            rows.append([f"language model, {words}", area(words, features, cases)])
    parts: dict[str, slice] = {
        "sleep statistics and transitions": slice(0, len(FEATURES)),
        "transitions alone": slice(len(FEATURES) - N_TRANSITIONS, len(FEATURES)),
        "sleep statistics alone": slice(0, len(FEATURES) - N_TRANSITIONS),
    }
    for words, part in parts.items():
        rows.append([words, area(words, lambda case, part=part: statistics(case)[part], cases)])
    title = f"Logistic regression, DOD-H against DOD-O, {FOLDS} folds, {REPEATS} times"
    print(table(title, ["it reads", "AUC (95 %)"], rows))


if __name__ == "__main__":
    main()
