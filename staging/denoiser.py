"""Correction by a denoiser: generic, or fitted to one stager (or several) on scored nights.

Generic: the shipped network, trained on artificial stagers, for any stager without any scored night
of it. Fitted: the same network taught on further on nights of *other persons* that the stager
staged and somebody scored. A fit keeps several members, each with other persons left out to stop
by, so that fitted persons also have a result by members that did not see the night: on these the
decision to change anything at all can be made.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy.special import log_softmax, logsumexp

from engine.checkpoint import load_weights
from engine.denoising import DenoisingTask, JudgedNight, JudgedSource, denoised_log_probs
from engine.log import RunFolder
from engine.optim import Plan
from engine.train import train
from models.denoiser import Denoiser
from nights.sequences import StageNight, stretches
from nights.stages import UNSCORED
from staging.noise import ArtificialStager

CONFIDENCE = 0.75  # mean largest probability that every night's output is brought to
N_MEMBERS, N_PASSES, BATCHES_PER_PASS = 3, 8, 20  # of a fit
GROUPS = 5  # of the people of a fit; a member does without one of them
BLOCK, BATCH_SIZE = 128, 32  # epochs, blocks
SILENCED = 0.3  # share of the epochs a stager says nothing about while a fit learns
AVERAGED = 0.98  # decay per step of the running average of the weights, which is what is kept


def temperature(log_probs: np.ndarray, confidence: float = CONFIDENCE) -> float:
    """Return the temperature that brings an output to a given mean confidence.

    Stagers differ more in how sure they sound than in how often they are right; a network trained
    with cross-entropy on few persons is far too sure of others. Found without any scoring.

    Parameters
    ----------
    log_probs : float array (E, 5)
        Of one night or of many; NaN rows are left out.
    confidence : float
        Mean of the largest probability to reach.
    """
    known = log_probs[np.isfinite(log_probs).all(axis=1)]
    low, high = np.log(0.02), np.log(200.0)  # bounds of the logarithm of the temperature
    for _ in range(16 if len(known) else 0):
        middle = (low + high) / 2
        sure = np.exp(log_softmax(known / np.exp(middle), axis=1)).max(axis=1).mean()
        low, high = (middle, high) if sure > confidence else (low, middle)
    return float(np.exp((low + high) / 2))


def tempered(log_probs: np.ndarray) -> np.ndarray:
    """Return an output (E, 5) as float32 at the one confidence all are read at."""
    return log_softmax(log_probs / temperature(log_probs), axis=1).astype(np.float32)


def fused(evidence: np.ndarray, temperatures: Sequence[float] = ()) -> np.ndarray:
    """Return the outputs (E, S, 5) of the stagers of one night at their temperatures.

    Without temperatures each is tempered by itself, as one must whose stager is not known.
    """
    if not temperatures:
        return np.stack([tempered(said) for said in evidence.swapaxes(0, 1)], axis=1)
    scaled = evidence / np.array(temperatures)[:, None]
    return log_softmax(scaled, axis=2).astype(np.float32)


def as_one(evidence: np.ndarray) -> np.ndarray:
    """Return what the stagers of one night say together, log-probabilities float32 (E, 5).

    The mean of their log-probabilities (E, S, 5), each brought to one confidence; who says nothing
    of an epoch has no vote there. One stager alone is left as it is.
    """
    if evidence.shape[1] == 1:
        return evidence[:, 0]
    heard = fused(evidence)
    votes = np.isfinite(heard).all(axis=2).sum(axis=1)[:, None]  # (E, 1)
    mean = np.nansum(heard, axis=1) / np.maximum(votes, 1)
    return np.where(votes > 0, log_softmax(mean, axis=1), np.nan).astype(np.float32)


def filled(told: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    """Return a posterior (E, 5), with what the stagers (E, S, 5) say together where it has none."""
    silent = ~np.isfinite(told).all(axis=1)
    return np.where(silent[:, None], as_one(evidence), told)


def spoiled(
    nights: Sequence[StageNight], n_stagers: int, rng: np.random.Generator
) -> list[JudgedNight]:
    """Return every scored night as `n_stagers` artificial stagers, each another, give it."""
    made = []
    for night in nights:
        for number in range(n_stagers):
            stager = ArtificialStager.draw(rng)
            evidence = np.full((len(night.stages), 1, 5), np.nan, dtype=np.float32)
            for piece in stretches(night.stages != UNSCORED):
                evidence[piece, 0] = stager.stage(night.stages[piece], rng)
            evidence[:, 0] = tempered(evidence[:, 0])
            made.append(JudgedNight(f"{night.name}#{number}", night.owner, evidence, night.stages))
    return made


@dataclass(frozen=True, eq=False)
class Committee:
    """Denoisers that speak together: the mean of their probabilities.

    Parameters
    ----------
    members : tuple of Denoiser
    persons : frozenset of str
        People whose scored nights taught it the stager; none for the generic denoiser. It refuses
        their nights.
    unseen : dict of str to float32 array (E, 5)
        For each of those nights what the members said that had not seen the person.
    temperatures : tuple of float
        Of the stagers it was fitted to: how sure one of their nights is among others tells how hard
        it is. Empty for the generic denoiser, which tempers each night by itself.
    """

    members: tuple[Denoiser, ...]
    persons: frozenset[str] = frozenset()
    unseen: dict[str, np.ndarray] = field(default_factory=dict)
    temperatures: tuple[float, ...] = ()

    @property
    def n_stagers(self) -> int:
        """How many stagers it listens to."""
        return self.members[0].config.n_stagers

    def log_probs(self, evidence: np.ndarray, person: str = "") -> np.ndarray:
        """Return the log posterior, float32 (E, 5), for the outputs (E, S, 5) of one night.

        A generic denoiser takes what several stagers say together (`as_one`). Where one of several
        said nothing, a fitted one leaves what the others say together.

        Raises
        ------
        ValueError
            If the night is of a person it was fitted on, or of other stagers.
        """
        if person in self.persons:
            raise ValueError(f"{person} is among the people this denoiser was fitted on")
        if self.temperatures and evidence.shape[1] != self.n_stagers:
            raise ValueError(
                f"this denoiser was fitted to {self.n_stagers} stagers heard together, the night "
                f"has {evidence.shape[1]}: name a file of scored nights for each of --stager a,b"
            )
        if evidence.shape[1] != self.n_stagers:
            evidence = as_one(evidence)[:, None]
        read = fused(evidence, self.temperatures)
        told = [denoised_log_probs(member, read) for member in self.members]
        mean = logsumexp(told, axis=0) - np.log(len(told))
        return filled(mean.astype(np.float32), read)


def fit(
    nights: Sequence[JudgedNight],
    generic: Denoiser,
    folder: Path,
    *,
    n_members: int = N_MEMBERS,
    n_passes: int = N_PASSES,
    lr: float = 3e-3,
    seed: int = 0,
) -> Committee:
    """Teach a denoiser one stager's noise (or that of several together).

    Parameters
    ----------
    nights : sequence of JudgedNight
        Scored nights with the stager's output, from people other than those to be corrected.
    generic : Denoiser
        Where to start; it reads one stager.
    folder : Path
        Gets one run folder per member.
    n_members : int
        Members, each with another fifth of the persons held out to stop by. One person alone makes
        one member; nothing is then known of people it has not seen.
    n_passes, lr, seed
        Of each member's training.

    Raises
    ------
    ValueError
        If there is no night.
    """
    persons = sorted({night.person for night in nights})
    if not persons:
        raise ValueError("no scored night to learn the stager's noise from")
    said = np.concatenate([night.evidence for night in nights])
    temperatures = tuple(temperature(one) for one in said.swapaxes(0, 1))
    nights = [replace(night, evidence=fused(night.evidence, temperatures)) for night in nights]
    order = np.random.default_rng(seed).permutation(len(persons)).tolist()
    n_groups = max(GROUPS, n_members)
    group = {persons[person]: place % n_groups for place, person in enumerate(order)}
    members: list[Denoiser] = []
    unseen: dict[str, np.ndarray] = {}
    for number in range(min(n_members, len(persons))):
        left_out = [night for night in nights if group[night.person] == number]
        taught = [night for night in nights if group[night.person] != number]
        run = folder / f"member{number}"
        member = _taught(generic, taught or left_out, left_out, run, n_passes, lr, seed)
        members.append(member)
        if taught:
            told = {n.night: denoised_log_probs(member, n.evidence) for n in left_out}
            unseen |= {n.night: filled(told[n.night], n.evidence) for n in left_out}
    return Committee(tuple(members), frozenset(persons), unseen, temperatures)


def _taught(
    generic: Denoiser,
    taught: Sequence[JudgedNight],
    held_out: Sequence[JudgedNight],
    folder: Path,
    n_passes: int,
    lr: float,
    seed: int,
) -> Denoiser:
    """Return a copy of the generic denoiser after further training, the best of its passes."""
    n_stagers = taught[0].evidence.shape[1]
    member = copy.deepcopy(generic) if n_stagers == 1 else generic.widened(n_stagers)
    source = JudgedSource(
        taught,
        length=BLOCK,
        batch_size=BATCH_SIZE,
        n_batches=BATCHES_PER_PASS,
        silenced=SILENCED,
    )
    run = RunFolder(folder)
    plan = Plan(n_passes, lr=lr, weight_decay=1e-2, schedule="constant", ema=AVERAGED)
    train(member, DenoisingTask(), source, held_out, plan, run, seed=seed)
    return load_weights(run.best)[0].eval()  # type: ignore[return-value]
