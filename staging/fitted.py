"""A correction fitted to a stager (or several) on scored nights, and the decision to use it.

On offer are the generic denoiser, the one fitted to the stager, and the fitted one joined with the
language model. Each is judged on nights its weights have not seen; the best is taken if it gains
more than chance would give, else nothing is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engine.denoising import JudgedNight
from evaluation.outputs import largest
from models.denoiser import Denoiser
from nights.hypnogram import Hypnogram
from staging.choice import ABSTAINS, Stages, choose
from staging.correct import correct_many
from staging.denoiser import N_MEMBERS, N_PASSES, Committee, fit
from staging.outputs import raw_stages
from staging.prior import StagePrior

GENERIC, FITTED = "generic", "denoiser"
JOINED_WEIGHTS = (0.05, 0.1, 0.2)  # of the language model behind the fitted denoiser


@dataclass(frozen=True, eq=False)
class Fitted:
    """What was learned of a stager and decided on people that no weights had seen.

    Parameters
    ----------
    committee : Committee
        The denoiser that won; not to be asked when `choice` is `abstains`.
    choice : str
        `abstains`, `generic`, `denoiser`, or `denoiser, weight W`.
    n_persons : int
        People the decision was made on.
    weight : float
        Of the language model that is joined by Viterbi search over the denoiser's posterior.
    """

    committee: Committee
    choice: str
    n_persons: int
    weight: float = 0.0

    @property
    def abstains(self) -> bool:
        """Whether nothing was gained on other people, so that nights stay as they are."""
        return self.choice == ABSTAINS

    def stages(self, nights: Sequence[JudgedNight], prior: StagePrior | None = None) -> Stages:
        """Return the corrected stages, int8 (E,), of nights of people it was not fitted on."""
        if self.abstains:
            return [raw_stages(night) for night in nights]
        told = [self.committee.log_probs(night.evidence, night.person) for night in nights]
        if not self.weight or prior is None:
            return [largest(rows) for rows in told]
        return joined(nights, told, prior, self.weight)


def learn(
    nights: Sequence[JudgedNight],
    generic: Denoiser,
    folder: Path,
    *,
    prior: StagePrior | None = None,
    n_members: int = N_MEMBERS,
    n_passes: int = N_PASSES,
    seed: int = 0,
) -> Fitted:
    """Fit a denoiser to a stager and decide, on people it has not seen, what to use.

    Parameters
    ----------
    nights : sequence of JudgedNight
        Scored nights with the stager's output, of people other than those to be corrected.
    generic : Denoiser
        Where the fit starts.
    folder : Path
        Gets a run folder per member.
    prior : StagePrior or None
        The language model to join; None = none.
    n_members, n_passes, seed
        See `staging.denoiser.fit`.

    Notes
    -----
    With the nights of one person alone nobody is left to decide on: the generic denoiser is used. A
    fit to one night is worse than none (`docs/correction.md`, the curve).
    """
    plain = Committee((generic,))
    if len({night.person for night in nights}) == 1:
        return Fitted(plain, GENERIC, 0)
    committee = fit(nights, generic, folder, n_members=n_members, n_passes=n_passes, seed=seed)
    judged = [night for night in nights if night.night in committee.unseen]
    said = [committee.unseen[night.night] for night in judged]
    heard = {night.night: largest(plain.log_probs(night.evidence)) for night in nights}
    options = {
        GENERIC: [heard[night.night] for night in judged],
        FITTED: [largest(rows) for rows in said],
    }
    weights = {f"{FITTED}, weight {weight:g}": weight for weight in JOINED_WEIGHTS if prior}
    for name, weight in weights.items():
        options[name] = joined(judged, said, prior, weight)  # type: ignore[arg-type]
    chosen = choose(judged, options)
    if chosen == ABSTAINS:  # what was fitted to nobody can be judged on everybody
        judged = list(nights)
        chosen = choose(judged, {GENERIC: [heard[night.night] for night in judged]})
    taken = plain if chosen == GENERIC else committee
    n_persons = len({night.person for night in judged})
    return Fitted(taken, chosen, n_persons, weights.get(chosen, 0.0))


def joined(
    nights: Sequence[JudgedNight], told: Sequence[np.ndarray], prior: StagePrior, weight: float
) -> Stages:
    """Return what Viterbi search with the language model makes of log posteriors (E, 5)."""
    denoised = [replace(n, evidence=rows[:, None]) for n, rows in zip(nights, told, strict=True)]
    return decoded(denoised, prior, "viterbi", weight)


def decoded(
    nights: Sequence[JudgedNight], prior: StagePrior, decoder: str, weight: float
) -> Stages:
    """Return what a decoder makes of the first stager of each night."""
    hypnograms = [Hypnogram.from_proba(np.exp(night.evidence[:, 0])) for night in nights]
    corrected = correct_many(hypnograms, prior, decoder=decoder, weight=weight)
    return [hypnogram.stages for hypnogram in corrected]
