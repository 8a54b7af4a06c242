"""How many scored nights of a stager its noise is learned from: 0, 1, 3, 10, 30.

Called by `python -m benchmarks.correction_quality --curve`. People are apart fold by fold: the
nights learned from are drawn from the people of the other folds, as many people as there can be.
The denoiser is always used as it was fitted, without the decision to abstain, or the curve could
not show where few nights do harm.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from engine.denoising import JudgedNight
from evaluation.outputs import largest
from models.denoiser import Denoiser
from staging import trial
from staging.denoiser import Committee, fit
from staging.outputs import raw_stages
from staging.ways import Corrected

SIZES = (1, 3, 10, 30)
SCORES = {"accuracy": "accuracy", "kappa": "kappa", "macro_f1": "macro-F1"}


def curve(
    nights: Sequence[JudgedNight],
    generic: Denoiser,
    folder: Path,
    *,
    n_folds: int = 5,
    n_members: int = 2,
    n_passes: int = 2,
    seed: int = 0,
) -> dict[str, dict]:
    """Return the rows of `trial.judge` for the stager alone, the generic denoiser and every size.

    Parameters
    ----------
    nights : sequence of JudgedNight
        Of one stager.
    generic : Denoiser
        Where every fit starts.
    folder : Path
        Gets the run folders; what a broken-off run left there is removed.
    n_folds, n_members, n_passes, seed
        Folds by person, and the fits in each.
    """
    shutil.rmtree(folder, ignore_errors=True)
    fold = trial.folds_by_person([night.person for night in nights], n_folds)
    plain = Committee((generic,))
    results = {
        "none": Corrected([raw_stages(night) for night in nights], ""),
        "0 nights": Corrected([largest(plain.log_probs(n.evidence)) for n in nights], "generic"),
    }
    for size in SIZES:
        told: dict[str, np.ndarray] = {}
        used = []
        for number in range(n_folds):
            others = [night for night in nights if fold[night.person] != number]
            taught = drawn(others, size, np.random.default_rng(seed + number))
            run = folder / f"{size}_nights" / f"fold{number}"
            fitted = fit(taught, generic, run, n_members=n_members, n_passes=n_passes, seed=seed)
            used.append(len(taught))
            for night in (night for night in nights if fold[night.person] == number):
                told[night.night] = largest(fitted.log_probs(night.evidence, night.person))
        stages = [told[night.night] for night in nights]
        results[f"{size} nights"] = Corrected(stages, f"{min(used)}-{max(used)} nights used")
    return trial.judge(nights, results)


def drawn(nights: Sequence[JudgedNight], size: int, rng: np.random.Generator) -> list[JudgedNight]:
    """Return `size` nights: first one of each person, in drawn order, then the second ones."""
    return [night for night, _ in zip(_in_turn(nights, rng), range(size), strict=False)]


def _in_turn(nights: Sequence[JudgedNight], rng: np.random.Generator) -> Iterator[JudgedNight]:
    """Yield the nights, people taking turns."""
    of_person: dict[str, list[JudgedNight]] = {}
    for night in nights:
        of_person.setdefault(night.person, []).append(night)
    persons = rng.permutation(sorted(of_person)).tolist()
    for turn in range(max(map(len, of_person.values()))):
        yield from (of_person[p][turn] for p in persons if turn < len(of_person[p]))


def draw_curve(rows: dict[str, dict], path: Path, title: str) -> None:
    """Draw accuracy, kappa and macro-F1 over the nights learned from, with intervals of the gain.

    The intervals are those of the gain over the stager alone, by person.
    """
    from matplotlib.figure import Figure

    from evaluation.plots import save_figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    sizes = [0, *SIZES]
    places = np.arange(len(sizes))
    panels = figure.subplots(1, len(SCORES))
    for axes, (score, name) in zip(panels, SCORES.items(), strict=True):
        raw = 100 * rows["none"][score]
        gains = [rows[f"{size} nights"]["gain"][score] for size in sizes]
        low, value, high = (
            raw + 100 * np.array([gain[end] for gain in gains]) for end in ("low", "value", "high")
        )
        axes.fill_between(places, low, high, alpha=0.2, linewidth=0)
        axes.plot(places, value, marker="o")
        axes.axhline(raw, linestyle="--", color="0.4", linewidth=1)
        axes.annotate("stager alone", (places[-1], raw), ha="right", va="bottom", fontsize=8)
        axes.set_xticks(places, [str(size) for size in sizes])
        axes.set_xlabel("scored nights of the stager")
        axes.set_title(f"{name}, percent", fontsize=9)
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path, dpi=110)
