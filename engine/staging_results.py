"""What came of a training, in figures: pooled, by data set, with intervals by person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from engine.staging_task import summary
from evaluation.metrics import compare
from evaluation.outputs import NightOutput

SIMULATED = "Simulated nights: no person slept them; the figures tell that the code learns."


def judged(outputs: Sequence[NightOutput], *, seed: int) -> dict[str, Any]:
    """Return the pooled figures with 95 % intervals by person, and those of each data set."""
    n_classes = len(outputs[0].classes)
    sides = [o.labels for o in outputs], [o.stages for o in outputs]
    persons, rng = [o.person for o in outputs], np.random.default_rng(seed)
    compared = compare(*sides, n_classes)
    intervals = {
        score: asdict(compared.interval(score, persons=persons, rng=rng))
        for score in ("accuracy", "kappa", "macro_f1")
    }
    return {
        "n_nights": len(outputs),
        "n_persons": len(set(persons)),
        "simulated": any(output.simulated for output in outputs),
        "scores": summary(outputs),
        "intervals": intervals,
    }


def table(results: Mapping[str, Any]) -> str:
    """Return results as text, in percent: pooled, and of each data set when there are several."""
    rows: dict[str, dict[str, float]] = {"all": {}}
    for name, value in results["scores"].items():
        dataset, _, score = name.rpartition("/")
        rows.setdefault(dataset or "all", {})[score] = value
    scores = list(dict.fromkeys(score for row in rows.values() for score in row))
    lines = [f"{'':<16}" + "".join(f"{score:>10}" for score in scores)]
    for name, row in rows.items():
        shown = (row.get(s, np.nan) * (1 if s == "nll" else 100) for s in scores)
        lines.append(f"{name:<16}" + "".join(f"{value:10.2f}" for value in shown))
    kappa = results["intervals"]["kappa"]
    lines.append(
        f"kappa {100 * kappa['value']:.2f} (95 % by person {100 * kappa['low']:.2f} to "
        f"{100 * kappa['high']:.2f})"
    )
    lines.append(f"{results['n_nights']} nights of {results['n_persons']} persons")
    return "\n".join([*lines, *([SIMULATED] if results["simulated"] else [])]) + "\n"
