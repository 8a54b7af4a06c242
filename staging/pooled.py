"""All nights of a run together: agreement with their scorings before and after correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.metrics import SCORES, Comparison, metrics_from
from evaluation.paired import paired_gain

BOTH = ("uncorrected", "result")
PUBLISHED_ORDER = ("accuracy", "macro_f1", "kappa")  # each raw and smoothed, as SleepGPT prints


def pooled_agreement(
    nights: Sequence[Mapping[str, Any]], *, person_letters: int = 0, seed: int = 0
) -> dict[str, Any]:
    """Return the agreement of all scored nights of a run, and what correction gained.

    Parameters
    ----------
    nights : sequence of mapping
        Contents of `night.json`.
    person_letters : int
        Letters of a night's file name that name the person; 0 = every night is another person.
    seed : int
        Of the draws of persons.

    Returns
    -------
    dict
        `uncorrected` and `result` with pooled metrics, as far as there are any; where both are
        there also `gain` (result minus uncorrected) with 95 % intervals by person, on the nights
        that have both, and `n_persons`.
    """
    counts = {
        which: {
            night["night"]: np.array(night["agreement"][which]["confusion"])
            for night in nights
            if which in (night["agreement"] or {})
        }
        for which in BOTH
    }
    found: dict[str, Any] = {
        which: metrics_from(np.sum(list(of_night.values()), axis=0)) | {"n_nights": len(of_night)}
        for which, of_night in counts.items()
        if of_night
    }
    shared = [name for name in counts["uncorrected"] if name in counts["result"]]
    if shared:
        before, after = (_compared([counts[which][n] for n in shared]) for which in BOTH)
        persons = [Path(name).name[: person_letters or None] for name in shared]
        rng = np.random.default_rng(seed)
        gains = {s: paired_gain(before, after, s, persons=persons, rng=rng) for s in SCORES}
        found["gain"] = {score: vars(gain) for score, gain in gains.items()}
        found["n_persons"] = len(set(persons))
    return found


def published_line(found: Mapping[str, Any]) -> str:
    """Return the line of the published `result.txt`: accuracy, macro-F1, kappa, raw and corrected.

    References
    ----------
    Yu et al., medRxiv 2024.10.26.24316166: `accu_raw, accu_sm, mf1_raw, mf1_sm, kappa_raw,
    kappa_sm`, all recordings pooled.
    """
    numbers = [found[which][score] for score in PUBLISHED_ORDER for which in BOTH]
    return ", ".join(f"{number:.6f}" for number in numbers)


def told(found: Mapping[str, Any]) -> list[str]:
    """Return the agreement in words, a line each."""
    lines = []
    for which in BOTH:
        if which in found:
            one = found[which]
            numbers = f"accuracy {one['accuracy']:.3f}, kappa {one['kappa']:.3f}, "
            numbers += f"macro F1 {one['macro_f1']:.3f}"
            if "N1" in one["per_stage_f1"]:  # what correction likes to give up
                numbers += f", F1 of N1 {one['per_stage_f1']['N1']:.3f}"
            lines.append(f"{which:<12} {numbers} ({one['n_nights']} scored nights, epochs pooled)")
    if "gain" in found:
        gain = found["gain"]["accuracy"]
        points = [100 * gain[end] for end in ("value", "low", "high")]
        persons = found["n_persons"]
        interval = f" ({points[1]:+.2f} to {points[2]:+.2f}, 95 % by person)" if persons > 1 else ""
        lines.append(f"correction   {points[0]:+.2f} points of accuracy{interval}")
        if gain["value"] <= 0:
            lines.append("correction did not help on these nights: uncorrected.csv lies beside")
    return lines


def _compared(confusions: Sequence[np.ndarray]) -> Comparison:
    """Return the comparison that these confusions are of."""
    return Comparison(np.stack(confusions), metrics_from(np.sum(confusions, axis=0)), ())
