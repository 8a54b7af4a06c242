"""Ways of correction to put to a trial, each with what it learns from other people's nights.

A way gets the nights of some people to learn from (a weight, a stager's noise, or nothing) and
corrects the nights of others. Whether it may change anything is decided on the people it learned
from; where they gained nothing it abstains and the stager's own stages stand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engine.denoising import JudgedNight
from engine.weights import load
from evaluation.outputs import largest
from models.denoiser import Denoiser
from staging.choice import ABSTAINS, Stages, choose
from staging.denoiser import N_MEMBERS, N_PASSES, Committee
from staging.fitted import GENERIC, decoded, learn
from staging.outputs import raw_stages
from staging.prior import StagePrior

WEIGHTS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)  # of the language model; 0 = the stager alone
Nights = Sequence[JudgedNight]


class Corrected(NamedTuple):
    """Result of one way of correcting some nights: the stages, and what was decided."""

    stages: Stages
    choice: str


class NotApartError(ValueError):
    """Weights were trained with people they are to be judged on."""


Way = Callable[[Nights, Nights, Path], Corrected]  # people to learn from, nights to correct


def ways(
    names: Sequence[str],
    *,
    language_model: StagePrior | None = None,
    transitions: StagePrior | None = None,
    denoiser: Denoiser | None = None,
    n_members: int = N_MEMBERS,
    n_passes: int = N_PASSES,
    seed: int = 0,
) -> dict[str, Way]:
    """Return ways of correction by name; the first is `none`.

    Parameters
    ----------
    names : sequence of str
        `greedy` and `beam` (with the language model), `viterbi` and `posterior` (with the
        transitions), `generic`, `cautious` (generic, or nothing where that gained nothing) and
        `fitted` (with the denoiser; `fitted` joins the transitions).
    language_model, transitions, denoiser
        What the named ways need, known not to have seen the people to be judged (`load_apart`).
    n_members, n_passes, seed
        Of the fits.
    """
    made: dict[str, Way] = {"none": uncorrected}
    for name in names:
        if name == "none":
            continue  # always there
        if name in ("greedy", "beam") and language_model is not None:
            made[name] = by_decoder(language_model, name)
        elif name in ("viterbi", "posterior") and transitions is not None:
            made[name] = by_decoder(transitions, name)
        elif name in ("generic", "cautious") and denoiser is not None:
            made[name] = by_generic(denoiser, cautious=name == "cautious")
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
    NotApartError
        If the card of the weights names one of them, as `source/person` or `source/night`.
    """
    model, card = load(weights)
    split = card.get("split", {})
    seen = {*card.get("persons", ()), *split.get("train", ()), *split.get("val", ())}
    both = sorted(seen & {name for night in nights for name in (night.person, night.night)})
    if both:
        raise NotApartError(
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


def by_generic(generic: Denoiser, *, cautious: bool = False) -> Way:
    """Return a way: the generic denoiser, which needs nothing of the stager.

    A cautious one abstains where nothing was gained on the nights of other people; the bold one
    looks at no scored night at all.
    """
    committee = Committee((generic,))
    known: dict[str, np.ndarray] = {}  # a night is read once, not once a fold

    def made(nights: Nights) -> Stages:
        for night in nights:
            if night.night not in known:
                known[night.night] = largest(committee.log_probs(night.evidence))
        return [known[night.night] for night in nights]

    def way(others: Nights, nights: Nights, folder: Path) -> Corrected:
        chosen = choose(others, {GENERIC: made(others)}) if cautious else GENERIC
        if chosen == ABSTAINS:
            return uncorrected(others, nights, folder)._replace(choice=chosen)
        return Corrected(made(nights), chosen)

    return way


def by_fitted(
    generic: Denoiser,
    prior: StagePrior | None = None,
    *,
    n_members: int = N_MEMBERS,
    n_passes: int = N_PASSES,
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
        See `staging.denoiser.fit`; what is on offer: `staging.fitted`.
    """

    def way(others: Nights, nights: Nights, folder: Path) -> Corrected:
        found = learn(
            others,
            generic,
            folder,
            prior=prior,
            n_members=n_members,
            n_passes=n_passes,
            seed=seed,
        )
        return Corrected(found.stages(nights, prior), found.choice)

    return way
