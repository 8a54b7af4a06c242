"""Figures of epochs that were told from few labels: pooled, over folds, with intervals by person.

Events are rare, so accuracy alone says little: beside it stand what the more frequent class alone
would reach, balanced accuracy, F1, the area under precision and recall, and the confusion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from engine.probing_task import scores
from engine.staging_results import SIMULATED
from evaluation.calibration import judged_rows
from evaluation.metrics import SCORES, compare, metrics_from
from evaluation.outputs import NightOutput

SHOWN = ("accuracy", "majority_accuracy", "balanced_accuracy", "macro_f1", "kappa", "auprc")


def judged(folds: Sequence[Sequence[NightOutput]], *, seed: int) -> dict[str, Any]:
    """Return the figures of test nights.

    Parameters
    ----------
    folds : sequence of sequences of NightOutput
        What was said in each fold of the nights it tests.
    seed : int
        Of the intervals.

    Returns
    -------
    dict
        `scores` of all epochs pooled, `per_class`, `confusion` (truth in rows), `intervals` (95 %,
        persons drawn with replacement), `over_folds` {score: mean, sd, n}.
    """
    outputs = [output for fold in folds for output in fold]
    classes, rng = outputs[0].classes, np.random.default_rng(seed)
    found = compare([o.labels for o in outputs], [o.stages for o in outputs], len(classes))
    matrix = found.confusions.sum(axis=0)
    about = metrics_from(matrix, classes)
    persons = [output.owner for output in outputs]
    by_fold = [_all_scores(fold) for fold in folds]
    return {
        "classes": list(classes),
        "n_nights": len(outputs),
        "n_persons": len(set(persons)),
        "simulated": any(output.simulated for output in outputs),
        "scores": _all_scores(outputs),
        "per_class": {
            name.removeprefix("per_stage_"): _plain(values)
            for name, values in about.items()
            if name.startswith("per_stage_")
        },
        "confusion": matrix.tolist(),
        "intervals": {
            score: asdict(found.interval(score, persons=persons, rng=rng)) for score in SCORES
        },
        "over_folds": {name: _spread([own[name] for own in by_fold]) for name in by_fold[0]},
    }


def ranking_scores(proba: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return areas under precision-recall and ROC, the mean over the classes that occur.

    Of two classes they are those of the second, the event. NaN where one class is all there is.

    Parameters
    ----------
    proba : float array (n, K)
    labels : int array (n,)
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    codes = [1] if proba.shape[1] == 2 else range(proba.shape[1])
    there = [c for c in codes if 0 < (labels == c).sum() < len(labels)]
    if not there:
        return {"auprc": float("nan"), "auroc": float("nan")}
    rows = [(labels == c, proba[:, c]) for c in there]
    return {
        "auprc": float(np.mean([average_precision_score(*row) for row in rows])),
        "auroc": float(np.mean([roc_auc_score(*row) for row in rows])),
    }


def table(results: Mapping[str, Any]) -> str:
    """Return the results of all fractions as text, in percent, and the confusion of the last."""
    what = f"{results['task']}, {results['mode']}, context {results['context']}"
    names = [name.replace("majority_accuracy", "majority") for name in SHOWN]
    head = f"{'labels':<10}{'epochs':>8}" + "".join(f"{name:>18}" for name in names)
    lines = [what, head + f"{'kappa over folds':>20}"]
    for fraction, found in results["fractions"].items():
        told = found["over_folds"]["kappa"]
        cells = "".join(f"{100 * found['scores'][name]:18.2f}" for name in SHOWN)
        spread = f"{100 * told['mean']:.2f} +- {100 * told['sd']:.2f} ({told['n']})"
        lines.append(f"{100 * float(fraction):<7g} % {found['n_labelled']:8}{cells}{spread:>20}")
    kappa = found["intervals"]["kappa"]
    lines.append(
        f"kappa {100 * kappa['value']:.2f} (95 % by person {100 * kappa['low']:.2f} to "
        f"{100 * kappa['high']:.2f}), {found['n_nights']} nights of {found['n_persons']} persons"
    )
    lines += ["", f"{'truth in rows':<14}" + "".join(f"{c:>12}" for c in found["classes"])]
    for name, row in zip(found["classes"], found["confusion"], strict=True):
        lines.append(f"{name:<14}" + "".join(f"{count:12}" for count in row))
    return "\n".join([*lines, *([SIMULATED] if found["simulated"] else [])]) + "\n"


def _all_scores(outputs: Sequence[NightOutput]) -> dict[str, float]:
    """Return the metrics of labels and of probabilities, epochs pooled."""
    proba, labels = judged_rows(outputs)
    most = float(np.bincount(labels).max() / len(labels))
    told = scores(outputs) | {"majority_accuracy": most} | ranking_scores(proba, labels)
    if proba.shape[1] == 2:
        said = proba.argmax(axis=1)
        told["sensitivity"] = _share(said[labels == 1] == 1)
        told["specificity"] = _share(said[labels == 0] == 0)
    return told


def _share(flags: np.ndarray) -> float:
    """Return how many are True; NaN of none."""
    return float(flags.mean()) if flags.size else float("nan")


def _spread(values: Sequence[float]) -> dict[str, float]:
    """Return mean and standard deviation over the folds in which a score is defined."""
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    mean = float(known.mean()) if known.size else float("nan")
    sd = float(known.std(ddof=1)) if known.size > 1 else float("nan")
    return {"mean": mean, "sd": sd, "n": int(known.size)}


def _plain(values: Mapping[str, float]) -> dict[str, float | None]:
    """Return values as JSON knows them: None for what is undefined."""
    return {name: float(v) if np.isfinite(v) else None for name, v in values.items()}
