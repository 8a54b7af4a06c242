"""Ways of correction to put to a trial, each with what it learns from other people's nights.

A way gets the nights of some people to learn from (a weight, a stager's noise, or nothing) and
corrects the nights of others. Whether it may change anything is decided on the people it learned
from; where they gained nothing it abstains and the stager's own stages stand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engine.denoising import JudgedNight
from engine.weights import load
from evaluation.metrics import Comparison, compare
from evaluation.outputs import largest
from models.denoiser import Denoiser
from nights.hypnogram import Hypnogram
from staging.correct import correct_many
from staging.denoiser import Committee, fit
from staging.outputs import raw_stages
from staging.prior import StagePrior

ABSTAINS = "abstains"
WEIGHTS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)  # of the language model; 0 = the stager alone
Nights = Sequence[JudgedNight]
Stages = list[np.ndarray]  # int8 (E,), one array a night


class Corrected(NamedTuple):
    """Result of one way of correcting some nights: the stages, and what was decided."""

    stages: Stages
    choice: str


Way = Callable[[Nights, Nights, Path], Corrected]  # people to learn from, nights to correct


def ways(
    names: Sequence[str],
    *,
    language_model: StagePrior | None = None,
    transitions: StagePrior | None = None,
    denoiser: Denoiser | None = None,
    n_members: int = 3,
    n_passes: int = 3,
    seed: int = 0,
) -> dict[str, Way]:
    """Return ways of correction by name; the first is `none`.

    Parameters
    ----------
    names : sequence of str
        `greedy` and `beam` (with the language model), `viterbi` and `posterior` (with the
        transitions), `generic` and `fitted` (with the denoiser; `fitted` joins the transitions).
    language_model, transitions, denoiser
        What the named ways need, known not to have seen the people to be judged (`load_apart`).
    n_members, n_passes, seed
        Of the fits.
    """
    made: dict[str, Way] = {"none": uncorrected}
    for name in names:
        if name in ("greedy", "beam") and language_model is not None:
            made[name] = by_decoder(language_model, name)
        elif name in ("viterbi", "posterior") and transitions is not None:
            made[name] = by_decoder(transitions, name)
        elif name == "generic" and denoiser is not None:
            made[name] = by_generic(denoiser)
        elif name == "fitted" and denoiser is not None:
            made[name] = by_fitted(
                denoiser, transitions, n_members=n_members, n_passes=n_passes, seed=seed
            )
        else:
            raise ValueError(f"way {name!r} is unknown or lacks its weights")
    return made


def load_apart(weights: str, nights: Nights) -> Any:
    """Load weights and make sure that none of these people or nights was in their training.

    Raises
    ------
    ValueError
        If the card of the weights names one of them, as `source/person` or `source/night`.
    """
    model, card = load(weights)
    split = card.get("split", {})
    seen = {*card.get("persons", ()), *split.get("train", ()), *split.get("val", ())}
    both = sorted(seen & {name for night in nights for name in (night.person, night.night)})
    if both:
        raise ValueError(
            f"weights {weights!r} were trained with {len(both)} of these people or nights "
            f"({both[0]}, ...): judge them elsewhere, or use other weights"
        )
    return model


def uncorrected(others: Nights, nights: Nights, folder: Path) -> Corrected:
    """Leave what the first stager gave: what every way is compared with."""
    return Corrected([raw_stages(night) for night in nights], "")


def by_decoder(prior: StagePrior, decoder: str, weights: Sequence[float] = WEIGHTS) -> Way:
    """Return a way: a decoder with a language model, its weight chosen on other people."""

    known: dict[tuple[str, float], np.ndarray] = {}  # a night at a weight is decoded once

    def at(weight: float, nights: Nights) -> Stages:
        fresh = [night for night in nights if (night.night, weight) not in known]
        for night, stages in zip(fresh, decoded(fresh, prior, decoder, weight), strict=True):
            known[night.night, weight] = stages
        return [known[night.night, weight] for night in nights]

    def way(others: Nights, nights: Nights, folder: Path) -> Corrected:
        chosen = choose(others, {f"weight {w:g}": at(w, others) for w in weights})
        if chosen == ABSTAINS:
            return uncorrected(others, nights, folder)._replace(choice=chosen)
        return Corrected(at(float(chosen.split()[-1]), nights), chosen)

    return way


def by_generic(generic: Denoiser) -> Way:
    """Return a way: the generic denoiser, which needs nothing of the stager."""
    committee = Committee((generic,))

    def way(others: Nights, nights: Nights, folder: Path) -> Corrected:
        told = [committee.log_probs(night.evidence, night.person) for night in nights]
        return Corrected([largest(rows) for rows in told], "generic")

    return way


def by_fitted(
    generic: Denoiser,
    prior: StagePrior | None = None,
    *,
    n_members: int = 3,
    n_passes: int = 3,
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
    """

    def way(others: Nights, nights: Nights, folder: Path) -> Corrected:
        order = np.random.default_rng(seed).permutation(len(others))
        taught = [others[place] for place in order]
        committee = fit(taught, generic, folder, n_members=n_members, n_passes=n_passes, seed=seed)
        judged = [night for night in taught if night.night in committee.unseen]
        said = [committee.unseen[night.night] for night in judged]
        options = {"denoiser": [largest(rows) for rows in said]}
        denoised = [replace(n, evidence=r[:, None]) for n, r in zip(judged, said, strict=True)]
        if prior is not None and judged:
            for weight in WEIGHTS[:3]:
                name = f"denoiser, weight {weight:g}"
                options[name] = decoded(denoised, prior, "viterbi", weight)
        chosen = choose(judged, options) if judged else "denoiser"
        if chosen == ABSTAINS:
            return Corrected([raw_stages(night) for night in nights], chosen)
        told = [committee.log_probs(night.evidence, night.person) for night in nights]
        if chosen == "denoiser" or prior is None:
            return Corrected([largest(rows) for rows in told], chosen)
        joined = [replace(n, evidence=r[:, None]) for n, r in zip(nights, told, strict=True)]
        weight = float(chosen.split()[-1])
        return Corrected(decoded(joined, prior, "viterbi", weight), chosen)

    return way


def decoded(
    nights: Sequence[JudgedNight], prior: StagePrior, decoder: str, weight: float
) -> Stages:
    """Return what a decoder makes of the first stager of each night."""
    hypnograms = [Hypnogram.from_proba(np.exp(night.evidence[:, 0])) for night in nights]
    corrected = correct_many(hypnograms, prior, decoder=decoder, weight=weight)
    return [hypnogram.stages for hypnogram in corrected]


def choose(nights: Sequence[JudgedNight], options: Mapping[str, Stages]) -> str:
    """Return the option that gains most on these nights, or `abstains`.

    An option counts if its gain in accuracy over the best single stager exceeds the standard error
    of that gain over persons, and macro-F1 does not fall: correction likes to pay
    for accuracy with N1.
    """
    persons = [night.person for night in nights]
    truths = [night.stages for night in nights]
    base = best_single(nights)
    best, gain = ABSTAINS, 0.0
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


def _standard_error(before: Comparison, after: Comparison, persons: Sequence[str]) -> float:
    """Return the standard error of the pooled gain in accuracy, persons being the sample."""
    gained = np.trace(after.confusions - before.confusions, axis1=1, axis2=2).astype(float)
    _, of_night = np.unique(persons, return_inverse=True)
    by_person = np.bincount(of_night, gained)
    size = np.bincount(of_night, before.confusions.sum(axis=(1, 2)))
    residual = by_person - size * by_person.sum() / size.sum()
    return float(np.sqrt((residual**2).sum()) / size.sum())
