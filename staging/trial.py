"""Trials of correction: any stager's output of scored nights, persons never on both sides.

A way of correcting gets the nights of some people to learn from (a weight, a stager's noise, or
nothing) and corrects the nights of others. Whether it may change anything is decided on the people
it learned from; where they gained nothing it abstains and the stager's own stages stand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import log_softmax

from engine.denoising import JudgedNight
from engine.weights import load
from evaluation.metrics import SCORES, Comparison, compare
from evaluation.paired import paired_gain
from models.denoiser import Denoiser
from nights.hypnogram import Hypnogram
from nights.stages import UNSCORED, check_stages
from staging.correct import EPSILON, correct_many, lock_in
from staging.denoiser import Committee, fit
from staging.noise import hard_log_probs
from staging.prior import StagePrior

WEIGHTS = (0.05, 0.1, 0.2, 0.3, 0.4)  # of the language model; 0 = the stager alone
Nights = Sequence[JudgedNight]
Stages = list[np.ndarray]  # int8 (E,), one array a night


@dataclass(frozen=True, eq=False)
class Corrected:
    """Result of one way of correcting some nights: the stages, and what was decided."""

    stages: Stages
    choice: str


Way = Callable[[Nights, Nights, Path], Corrected]  # people to learn from, nights to correct


def read_outputs(path: Path) -> list[JudgedNight]:
    """Read a stager's output of scored nights from an NPZ file.

    Parameters
    ----------
    path : Path
        `proba` float (n, 5) or `stages` int (n,) (-1 = nothing said), `labels` int (n,) (-1 = not
        scored), `night` (n,) and `person` (n,): names or numbers. The epochs of a night stand
        together, in order; what was cut out must be left in as -1, or correction crosses the gap.

    Raises
    ------
    ValueError
        If an array is missing, lengths differ, or the epochs of a night are scattered.
    """
    with np.load(path, allow_pickle=False) as file:
        missing = {"labels", "night", "person"} - set(file.files)
        if missing or not {"proba", "stages"} & set(file.files):
            wanted = "labels, night, person, and proba or stages"
            raise ValueError(f"{path.name}: holds {', '.join(file.files)}; wanted {wanted}")
        content = {name: file[name] for name in file.files}
    labels, names = check_stages(content["labels"]), content["night"].astype(str)
    said = _log_probs(content["proba"]) if "proba" in content else None
    if said is None:
        said = hard_log_probs(check_stages(content["stages"]))
    persons = content["person"].astype(str)
    lengths = {
        name: len(a) for name, a in (("output", said), ("night", names), ("person", persons))
    }
    if any(length != len(labels) for length in lengths.values()):
        raise ValueError(f"{path.name}: {len(labels)} labels, but {lengths}")
    first = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
    if len(first) != len(set(names.tolist())):
        raise ValueError(f"{path.name}: the epochs of a night must stand together")
    pieces = [slice(a, b) for a, b in zip(first, [*first[1:], len(names)], strict=True)]
    return [
        JudgedNight(names[p.start], persons[p.start], said[p][:, None], labels[p]) for p in pieces
    ]


def together(outputs: Sequence[Sequence[JudgedNight]]) -> list[JudgedNight]:
    """Put the outputs of several stagers of the same nights side by side."""
    first = outputs[0]
    by_name = [{night.night: night for night in nights} for nights in outputs]
    if any(set(one) != set(by_name[0]) for one in by_name):
        raise ValueError("the stagers' files hold different nights: fusion needs the same ones")
    evidence = {
        n.night: np.concatenate([one[n.night].evidence for one in by_name], axis=1) for n in first
    }
    return [replace(night, evidence=evidence[night.night]) for night in first]


def raw_stages(night: JudgedNight, stager: int = 0) -> np.ndarray:
    """Return the stages int8 (E,) of one stager, -1 where it said nothing."""
    return _largest(night.evidence[:, stager])


def by_decoder(
    prior: StagePrior, decoder: str, weights: Sequence[float] = WEIGHTS, min_gain: float = 0.0
) -> Way:
    """Return a way: a decoder with a language model, its weight chosen on other people."""

    def way(
        others: Sequence[JudgedNight], nights: Sequence[JudgedNight], folder: Path
    ) -> Corrected:
        options = {
            f"weight {weight:g}": decoded(others, prior, decoder, weight) for weight in weights
        }
        chosen = choose(others, options, min_gain) if others else f"weight {weights[0]:g}"
        if chosen == "abstains":
            return Corrected([raw_stages(night) for night in nights], chosen)
        weight = float(chosen.split()[-1])
        return Corrected(decoded(nights, prior, decoder, weight), chosen)

    return way


def by_generic(generic: Denoiser) -> Way:
    """Return a way: the generic denoiser, which needs nothing of the stager."""
    committee = Committee((generic,))

    def way(
        others: Sequence[JudgedNight], nights: Sequence[JudgedNight], folder: Path
    ) -> Corrected:
        told = [committee.log_probs(night.evidence, night.person) for night in nights]
        return Corrected([_largest(rows) for rows in told], "generic")

    return way


def by_fitted(
    generic: Denoiser,
    prior: StagePrior | None = None,
    *,
    n_members: int = 2,
    n_passes: int = 4,
    n_nights: int = 0,
    seed: int = 0,
) -> Way:
    """Return a way: the denoiser fitted to the stager on other people, then the language model.

    Parameters
    ----------
    generic : Denoiser
        Where the fit starts.
    prior : StagePrior or None
        Joined by Viterbi on the denoiser's posterior if that helped on other people.
    n_members, n_passes, seed
        See `staging.denoiser.fit`.
    n_nights : int
        Learn from so many nights at most; 0 = all.
    """

    def way(
        others: Sequence[JudgedNight], nights: Sequence[JudgedNight], folder: Path
    ) -> Corrected:
        order = np.random.default_rng(seed).permutation(len(others))[: n_nights or None]
        taught = [others[place] for place in order]
        committee = fit(taught, generic, folder, n_members=n_members, n_passes=n_passes, seed=seed)
        judged = [night for night in taught if night.night in committee.unseen]
        said = [committee.unseen[night.night] for night in judged]
        options = {"denoiser": [_largest(rows) for rows in said]}
        denoised = [replace(n, evidence=r[:, None]) for n, r in zip(judged, said, strict=True)]
        if prior is not None and judged:
            for weight in WEIGHTS[:3]:
                name = f"denoiser, weight {weight:g}"
                options[name] = decoded(denoised, prior, "viterbi", weight)
        chosen = choose(judged, options) if judged else "denoiser"
        if chosen == "abstains":
            return Corrected([raw_stages(night) for night in nights], chosen)
        told = [committee.log_probs(night.evidence, night.person) for night in nights]
        if chosen == "denoiser" or prior is None:
            return Corrected([_largest(rows) for rows in told], chosen)
        joined = [replace(n, evidence=r[:, None]) for n, r in zip(nights, told, strict=True)]
        weight = float(chosen.split()[-1])
        return Corrected(decoded(joined, prior, "viterbi", weight), chosen)

    return way


def ways(
    names: Sequence[str],
    *,
    language_model: str,
    transitions: str,
    denoiser: str,
    n_members: int = 2,
    n_passes: int = 4,
    seed: int = 0,
) -> dict[str, Way]:
    """Return ways of correction by name: none, a decoder, generic, fitted; weights are loaded."""
    made: dict[str, Way] = {"none": uncorrected}
    chain: Any = StagePrior(load(transitions)[0])  # type: ignore[arg-type]
    for name in names:
        if name in ("greedy", "beam"):
            made[name] = by_decoder(StagePrior(load(language_model)[0]), name)  # type: ignore
        elif name in ("viterbi", "posterior"):
            made[name] = by_decoder(chain, name)
        elif name in ("generic", "fitted"):
            network: Any = load(denoiser)[0]
            fitted = by_fitted(network, chain, n_members=n_members, n_passes=n_passes, seed=seed)
            made[name] = fitted if name == "fitted" else by_generic(network)
    return made


def uncorrected(others: Nights, nights: Nights, folder: Path) -> Corrected:
    """Leave what the first stager gave: what every way is compared with."""
    return Corrected([raw_stages(night) for night in nights], "")


def decoded(
    nights: Sequence[JudgedNight], prior: StagePrior, decoder: str, weight: float
) -> Stages:
    """Return what a decoder makes of the first stager of each night."""
    hypnograms = [Hypnogram.from_proba(np.exp(night.evidence[:, 0])) for night in nights]
    corrected = correct_many(hypnograms, prior, decoder=decoder, weight=weight)
    return [hypnogram.stages for hypnogram in corrected]


def choose(
    nights: Sequence[JudgedNight], options: Mapping[str, Stages], min_gain: float = 0.0
) -> str:
    """Return the option that gains most on these nights, or `abstains`.

    An option counts if its gain in accuracy over the best single stager exceeds the standard error
    of that gain over persons (and `min_gain`), and macro-F1 does not fall: correction likes to pay
    for accuracy with N1.
    """
    persons = [night.person for night in nights]
    truths = [night.stages for night in nights]
    base = best_single(nights)
    best, gain = "abstains", min_gain
    for name, stages in options.items():
        found = compare(truths, stages)
        reached = found.pooled["accuracy"] - base.pooled["accuracy"]
        worse_f1 = found.pooled["macro_f1"] < base.pooled["macro_f1"]
        if reached > max(gain, _standard_error(base, found, persons)) and not worse_f1:
            best, gain = name, reached
    return best


def best_single(nights: Sequence[JudgedNight]) -> Comparison:
    """Return the agreement of the most accurate single stager."""
    truths = [night.stages for night in nights]
    each = [
        compare(truths, [raw_stages(night, stager) for night in nights])
        for stager in range(nights[0].evidence.shape[1])
    ]
    return max(each, key=lambda found: found.pooled["accuracy"])


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

    The gains carry 95 % intervals by person. `locked_in` counts the nights in which one stage
    spread far beyond what the stager gave.
    """
    truths, persons = [n.stages for n in nights], [n.person for n in nights]
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
            lock_in(raw_stages(night), stages, ("W", "N1", "N2", "N3", "R"))
            for night, stages in zip(nights, results[name].stages, strict=True)
        ]
        rows[name] = {
            "choice": results[name].choice,
            **found.pooled,
            "gain": gains,
            "locked_in": sum(warning is not None for warning in warned),
            "n_nights": len(nights),
            "n_persons": len(set(persons)),
            "per_night": {
                n.night: m["accuracy"] for n, m in zip(nights, found.per_night, strict=True)
            },
        }
    return rows


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


def _standard_error(before: Comparison, after: Comparison, persons: Sequence[str]) -> float:
    """Return the standard error of the pooled gain in accuracy, persons being the sample."""
    gained = np.trace(after.confusions - before.confusions, axis1=1, axis2=2).astype(float)
    _, of_night = np.unique(persons, return_inverse=True)
    by_person = np.bincount(of_night, gained)
    size = np.bincount(of_night, before.confusions.sum(axis=(1, 2)))
    residual = by_person - size * by_person.sum() / size.sum()
    return float(np.sqrt((residual**2).sum()) / size.sum())


def _listed(choices: Sequence[str]) -> str:
    """Return what was decided in how many folds."""
    if len(set(choices)) == 1:
        return choices[0]
    return ", ".join(f"{c} ({choices.count(c)}x)" for c in dict.fromkeys(choices))


def _largest(rows: np.ndarray) -> np.ndarray:
    """Return the most probable stage int8 (E,) of rows (E, 5), -1 for NaN rows."""
    known = np.isfinite(rows).all(axis=1)
    stages = np.nan_to_num(rows).argmax(axis=1)
    return np.where(known, stages, UNSCORED).astype(np.int8)


def _log_probs(proba: np.ndarray) -> np.ndarray:
    """Return float32 log-probabilities (n, 5), rows normalised."""
    if proba.ndim != 2 or proba.shape[1] != 5 or (proba < 0).any():
        raise ValueError(f"proba must be (n, 5) and not negative, found shape {proba.shape}")
    return log_softmax(np.log(proba + EPSILON), axis=1).astype(np.float32)
