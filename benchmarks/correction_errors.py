"""Where the errors lie that correction leaves: by stage, by transition, and beside the scorers'.

    python -m benchmarks.correction_errors --out runs/correction_quality

Reads the trials that `benchmarks/correction_quality.py` has finished. The ceiling puts each of the
five scorers of the Dreem material to the consensus of the other four.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.correction_quality import ROOT, ROWS
from benchmarks.measure import table
from evaluation.ceiling import scorer_ceiling
from nights.stages import STAGES

N_KINDS = 6  # kinds of transition that hold the most errors
Facts = Mapping[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "correction_quality")
    options = parser.parse_args(argv)
    scorers = ceiling(options.data)
    found = {"five scorers, each against the others": scorers} | trials(options.out)
    head = ("who", "accuracy", "kappa", *STAGES, "stage goes on", "at a change")
    sys.stdout.write(
        table("Percent right, F1 by stage", head, [_row(*one) for one in found.items()])
    )
    for name, facts in found.items():
        rows = [_kind(kind, facts) for kind in most_errors(facts)]
        head = ("transition of the truth", "epochs", "right, percent", "share of all errors")
        sys.stdout.write(table(name, head, rows))
    return 0


def ceiling(data: Path) -> dict[str, Any]:
    """Return how well one scorer of five foretells the others' consensus, summed."""
    with np.load(data / "real" / "dod" / "dod.npz", allow_pickle=False) as pack:
        nights = [pack[key] for key in sorted(pack.files) if key.endswith("/scorers")]
    return reduce(add, scorer_ceiling(nights)).facts()


def trials(out: Path) -> dict[str, dict[str, Any]]:
    """Return the stager alone and our way for each finished trial of the table."""
    found = {}
    for row in ROWS:
        done = out / f"{row.trial.replace(' ', '_')}.json"
        if done.exists():
            rows = json.loads(done.read_text(encoding="utf-8"))
            for way in (way for way in ("none", row.way) if way in rows):
                found[f"{row.trial}, {way}"] = rows[way] | rows[way]["where"]
    return found


def most_errors(facts: Facts) -> list[str]:
    """Return the kinds of transition with the most wrong epochs, the worst first."""
    wrong = {kind: _wrong(kind, facts) for kind in facts["per_transition_epochs"]}
    return sorted(wrong, key=lambda kind: -wrong[kind])[:N_KINDS]


def _wrong(kind: str, facts: Facts) -> float:
    """Return the number of wrong epochs of one kind."""
    n_epochs = facts["per_transition_epochs"][kind]
    return n_epochs * (1 - facts["per_transition_accuracy"][kind]) if n_epochs else 0.0


def _row(name: str, facts: Facts) -> tuple:
    """Return a line of the first table."""
    f1 = [f"{100 * facts['per_stage_f1'][stage]:.1f}" for stage in STAGES]
    parts = ("accuracy", "kappa"), ("accuracy_going_on", "accuracy_at_changes")
    before, after = ([f"{100 * facts[part]:.1f}" for part in side] for side in parts)
    return (name, *before, *f1, *after)


def _kind(kind: str, facts: Facts) -> tuple:
    """Return a line of a table of transitions."""
    n_epochs = facts["per_transition_epochs"][kind]
    everything = sum(_wrong(each, facts) for each in facts["per_transition_epochs"])
    right = f"{100 * facts['per_transition_accuracy'][kind]:.1f}"
    return (kind, n_epochs, right, f"{100 * _wrong(kind, facts) / everything:.1f}")


if __name__ == "__main__":
    raise SystemExit(main())
