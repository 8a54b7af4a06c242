"""What is said of diagnoses: facts as JSON, tables for a screen, figures for a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from typing import Any

import numpy as np

from evaluation.bootstrap import Interval
from evaluation.calibration import calibration_scores
from evaluation.diagnosis import (
    Verdicts,
    auc,
    compare_verdicts,
    confusion_by_cohort,
    judge_verdicts,
    roc_curve,
)
from evaluation.plots.diagnosis import reliability_figure, roc_figure
from evaluation.summary import Picture, Table, fixed, percent

N_BINS = 5  # of reliability: persons are few
SHARES = ("sensitivity", "specificity", "balanced_accuracy", "macro_f1")


def facts_of(verdicts: Verdicts, classes: Sequence[str], *, seed: int = 0) -> dict[str, Any]:
    """Return everything about one encoder, as JSON can hold it."""
    figures = judge_verdicts(verdicts, seed=seed)
    labels = verdicts.labels
    facts: dict[str, Any] = {name: asdict(figure) for name, figure in figures.items()}
    facts["n_persons"] = len(np.unique(verdicts.persons))
    facts["auc_of_repeats"] = [auc(part) for part in _repeats(verdicts)]
    facts["calibration"] = calibration_scores(verdicts.proba, labels) | {
        "mean_probability": dict(zip(classes, verdicts.proba.mean(axis=0).tolist(), strict=True)),
        "share_of_persons": {n: float((labels == k).mean()) for k, n in enumerate(classes)},
    }
    facts["confusion_by_cohort"] = {
        name: table.tolist() for name, table in confusion_by_cohort(verdicts).items()
    }
    return facts


def comparisons(encoders: Mapping[str, Verdicts], *, seed: int = 0) -> list[dict[str, Any]]:
    """Return every pair of encoders compared, second minus first."""
    return [
        {"first": one, "second": two}
        | asdict(compare_verdicts(encoders[one], encoders[two], seed=seed))
        for one, two in combinations(encoders, 2)
    ]


def accuracy_table(facts: Mapping[str, Mapping[str, Any]], title: str) -> Table:
    """Return the table of encoders, the best area on top."""
    of_two = all("sensitivity" in found for found in facts.values())
    shares = [name for name in SHARES if of_two or name not in ("sensitivity", "specificity")]
    head = ["encoder", "persons", "AUC (95 %)", *(name.replace("_", " ") for name in shares)]
    head += ["Brier", "ECE"]
    rows = []
    for name in sorted(facts, key=lambda one: -np.nan_to_num(facts[one]["auc"]["value"], nan=-1)):
        found = facts[name]
        calibration = found["calibration"]
        row = [name, str(found["n_persons"]), with_interval(found["auc"])]
        row += [_share(found[share]) for share in shares]
        row += [fixed(calibration["brier_error"], 3)]
        rows.append([*row, percent(calibration["expected_calibration_error"])])
    note = (
        "Persons, not nights; the area counts pairs told apart by one model. Shares in %, decided "
        "by thresholds that validation persons chose. 95 % intervals over persons, in "
        "cross-validation wider for the persons that models share. Brier 0 to 2, ECE in %."
    )
    return Table(title, head, rows, note)


def comparison_table(pairs: Sequence[Mapping[str, Any]], title: str) -> Table:
    """Return the differences between encoders."""
    head = ["second minus first", "AUC (95 %)", "p (DeLong)", "balanced accuracy", "p (permuted)"]
    rows = [
        [
            f"{pair['second']} - {pair['first']}",
            with_interval(pair["auc"], sign=True),
            fixed(pair["auc_p"], 3),
            fixed(100 * pair["balanced_accuracy"], 1, sign=True),
            fixed(pair["balanced_accuracy_p"], 3),
        ]
        for pair in pairs
    ]
    return Table(title, head, rows)


def cohort_table(
    facts: Mapping[str, Mapping[str, Any]], classes: Sequence[str], title: str
) -> Table:
    """Return the confusion of each encoder in each cohort."""
    pairs = [(true, told) for true in classes for told in classes]
    rows = [
        [f"{name}, {cohort}", *(fixed(cell, 0) for row in table for cell in row)]
        for name, found in facts.items()
        for cohort, table in found["confusion_by_cohort"].items()
    ]
    return Table(title, ["encoder, cohort", *(f"{true} told {told}" for true, told in pairs)], rows)


def pictures(
    encoders: Mapping[str, Verdicts], facts: Mapping[str, Mapping[str, Any]], name: str, words: str
) -> list[Picture]:
    """Return ROC curves and reliability; of more than two classes there is neither."""
    if any(verdicts.n_classes != 2 for verdicts in encoders.values()):
        return []
    curves = {name: roc_curve(verdicts) for name, verdicts in encoders.items()}
    areas = {name: Interval(**facts[name]["auc"]) for name in encoders}
    bins = {name: risk_bins(verdicts) for name, verdicts in encoders.items()}
    return [
        Picture(f"roc_{name}", roc_figure(curves, areas), f"ROC curves, {words}."),
        Picture(f"reliability_{name}", reliability_figure(bins), f"Reliability, {words}."),
    ]


def risk_bins(verdicts: Verdicts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean probability, share with the disorder and persons of bins of equal numbers."""
    order = np.argsort(verdicts.proba[:, 1], kind="stable")
    parts = [part for part in np.array_split(order, N_BINS) if len(part)]
    told = np.array([verdicts.proba[part, 1].mean() for part in parts])
    had = np.array([(verdicts.labels[part] == 1).mean() for part in parts])
    return told, had, np.array([len(part) for part in parts])


def with_interval(found: Mapping[str, float], *, sign: bool = False) -> str:
    """Return a number with its interval in brackets."""
    value, low, high = (float("nan") if found[k] is None else found[k] for k in _INTERVAL)
    return (
        f"{fixed(value, 3, sign=sign)} ({fixed(low, 3, sign=sign)} to {fixed(high, 3, sign=sign)})"
    )


_INTERVAL = ("value", "low", "high")


def _share(found: Mapping[str, float]) -> str:
    """Return a share in percent with its interval."""
    return f"{percent(found['value'], 0)} ({percent(found['low'], 0)}-{percent(found['high'], 0)})"


def _repeats(verdicts: Verdicts) -> list[Verdicts]:
    """Return what was said in each repeat."""
    columns = {name: c for name, c in vars(verdicts).items() if isinstance(c, np.ndarray)}
    return [
        Verdicts(**{name: column[verdicts.repeats == number] for name, column in columns.items()})
        for number in np.unique(verdicts.repeats)
    ]
