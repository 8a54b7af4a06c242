"""Trials of correction: any stager's output of scored nights, persons never on both sides."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from engine.denoising import JudgedNight
from evaluation import ceiling
from evaluation.metrics import SCORES, compare
from evaluation.paired import paired_gain
from nights.atomic import write_text
from nights.stages import STAGES, UNSCORED
from staging.correct import lock_in
from staging.denoiser import N_MEMBERS, N_PASSES
from staging.outputs import raw_stages, read_judged, together
from staging.prior import StagePrior
from staging.ways import Corrected, Way, load_apart
from staging.ways import ways as named_ways


def evaluate_correction(
    outputs: Sequence[Path],
    out: Path,
    ways: Sequence[str],
    *,
    language_model: str,
    transitions: str,
    denoiser: str,
    n_folds: int = 5,
    n_members: int = N_MEMBERS,
    n_passes: int = N_PASSES,
    seed: int = 0,
    dry_run: bool = False,
) -> str:
    """Read the outputs, try each way, write results.json, and return the table.

    Parameters
    ----------
    outputs : sequence of Path
        Files of stagers' outputs of the same nights (`evaluation.outputs`).
    out : Path
        Folder of the results.
    ways, language_model, transitions, denoiser, n_members, n_passes, seed
        See `staging.ways.ways`; models by name or file. Only those that a way needs are loaded;
        without `transitions` (an empty name) none are joined to the fitted denoiser.
    n_folds : int
        Folds by person.
    dry_run : bool
        Four nights, two folds, one pass.
    """
    nights = together([read_judged(path) for path in outputs])
    nights = nights[:4] if dry_run else nights
    tried = named_ways(
        ways,
        **_models(ways, nights, language_model, transitions, denoiser),
        n_members=n_members,
        n_passes=1 if dry_run else n_passes,
        seed=seed,
    )
    results = {
        name: run(way, nights, out / name, n_folds=2 if dry_run else n_folds)
        for name, way in tried.items()
    }
    rows = judge(nights, results, seed=seed)
    write_text(out / "results.json", json.dumps(rows, indent=2) + "\n")
    return table(rows)


def _models(
    ways: Sequence[str],
    nights: Sequence[JudgedNight],
    language_model: str,
    transitions: str,
    denoiser: str,
) -> dict[str, Any]:
    """Load what the ways need, and no more: each must not know the people it is judged on."""
    needed = {
        "language_model": (language_model, {"greedy", "beam"}),
        "transitions": (transitions, {"viterbi", "posterior", "fitted"}),
        "denoiser": (denoiser, {"generic", "cautious", "fitted"}),
    }
    models = {
        part: load_apart(name, nights)
        for part, (name, who) in needed.items()
        if name and who & set(ways)
    }
    return {p: m if p == "denoiser" else StagePrior(m) for p, m in models.items()}


def run(way: Way, nights: Sequence[JudgedNight], folder: Path, *, n_folds: int = 5) -> Corrected:
    """Correct every night by what was learned from other people, fold by fold."""
    fold = folds_by_person([night.person for night in nights], n_folds)
    stages: dict[str, np.ndarray] = {}
    choices = []
    for number in range(max(fold.values()) + 1):
        tested = [night for night in nights if fold[night.person] == number]
        others = [night for night in nights if fold[night.person] != number]
        assert not {n.person for n in tested} & {n.person for n in others}
        found = way(others, tested, folder / f"fold{number}")
        stages |= {n.night: s for n, s in zip(tested, found.stages, strict=True)}
        choices.append(found.choice)
    ordered = [stages[night.night] for night in nights]
    return Corrected(ordered, _listed(choices))


def folds_by_person(persons: Sequence[str], n_folds: int, seed: int = 0) -> dict[str, int]:
    """Return the fold of each person, folds as equal in persons as can be."""
    names = sorted(set(persons))
    order = np.random.default_rng(seed).permutation(len(names))
    return {names[person]: place % n_folds for place, person in enumerate(order.tolist())}


def judge(
    nights: Sequence[JudgedNight], results: Mapping[str, Corrected], seed: int = 0
) -> dict[str, dict]:
    """Return for each way its pooled metrics, its gain over the first way, and what it decided.

    Judged are the epochs of which the first stager said something. The gains carry 95 % intervals
    by person. `where` tells the share that is right by transition; `locked_in` counts the nights in
    which one stage spread far beyond what the stager gave.
    """
    raw = [raw_stages(night) for night in nights]
    spoken = [said != UNSCORED for said in raw]  # all ways are judged on these epochs
    truths = [np.where(k, n.stages, UNSCORED) for k, n in zip(spoken, nights, strict=True)]
    persons = [n.person for n in nights]
    compared = {name: compare(truths, found.stages) for name, found in results.items()}
    base = next(iter(compared.values()))
    rows = {}
    for name, found in compared.items():
        rng = np.random.default_rng(seed)
        gains = {
            score: vars(paired_gain(base, found, score, persons=persons, rng=rng))
            for score in SCORES
        }
        warned = [
            lock_in(said, stages, STAGES)
            for said, stages in zip(raw, results[name].stages, strict=True)
        ]
        rows[name] = {
            "choice": results[name].choice,
            **found.pooled,
            "gain": gains,
            "where": where_right(truths, results[name].stages),
            "locked_in": sum(warning is not None for warning in warned),
            "n_nights": len(nights),
            "n_persons": len(set(persons)),
            "per_night": {
                n.night: m["accuracy"] for n, m in zip(nights, found.per_night, strict=True)
            },
        }
    return rows


def where_right(truths: Sequence[np.ndarray], stages: Sequence[np.ndarray]) -> dict[str, Any]:
    """Return the confusion of all nights and the share that is right by transition of the truth."""
    counted = [ceiling.transitions(truth, said) for truth, said in zip(truths, stages, strict=True)]
    whole = reduce(add, counted)
    facts = whole.facts()
    kept = [name for name in facts if "transition" in name or name.startswith("accuracy_")]
    return {"confusion": whole.confusion.tolist()} | {name: facts[name] for name in kept}


def table(rows: Mapping[str, Mapping]) -> str:
    """Return the rows of `judge` as text: percent, gains in points with their intervals."""
    lines = [
        f"{'':<26}{'accuracy':>9}{'kappa':>8}{'macro F1':>9}  {'W':>6}{'N1':>6}{'N2':>6}{'N3':>6}"
        f"{'R':>6}   gain in accuracy (95 % by person)  decided on other people"
    ]
    for name, row in rows.items():
        f1 = "".join(f"{100 * value:6.1f}" for value in row["per_stage_f1"].values())
        gain = row["gain"]["accuracy"]
        told = "{value:+.2f} ({low:+.2f} to {high:+.2f})".format(
            **{key: 100 * value for key, value in gain.items()}
        )
        locked = f"; locked in on {row['locked_in']} nights" if row["locked_in"] else ""
        scores = (row["accuracy"], row["kappa"], row["macro_f1"])
        lines.append(
            f"{name:<26}{100 * scores[0]:9.2f}{100 * scores[1]:8.2f}{100 * scores[2]:9.2f}  {f1}"
            f"   {told:<35}{row['choice']}{locked}"
        )
    return "\n".join(lines) + "\n"


def _listed(choices: Sequence[str]) -> str:
    """Return what was decided in how many folds."""
    if len(set(choices)) == 1:
        return choices[0]
    return ", ".join(f"{c} ({choices.count(c)}x)" for c in dict.fromkeys(choices))
