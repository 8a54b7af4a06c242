"""Correction by a denoiser: generic, or fitted to one stager (or several) on scored nights.

Generic: the shipped network, trained on artificial stagers, for any stager without any scored night
of it. Fitted: the same network taught on further on nights of *other persons* that the stager
staged and somebody scored. A fit keeps several members, each with other persons left out to stop
by, so that every fitted person also has a judgement by members that did not see the night: from
these comes the decision to change anything at all.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import log_softmax, logsumexp

from engine.checkpoint import load_weights
from engine.denoising import DenoisingTask, StagedNight, StagedSource, denoised_log_probs
from engine.log import RunFolder
from engine.optim import Plan
from engine.train import train
from evaluation.metrics import confusion, metrics_from
from models.denoiser import Denoiser
from nights.sequences import StageNight, stretches
from nights.stages import UNSCORED
from staging.noise import ArtificialStager

CONFIDENCE = 0.75  # mean largest probability that every night's output is brought to
BATCHES_PER_PASS = 30
BLOCK, BATCH_SIZE = 128, 16  # epochs, blocks


def tempered(log_probs: np.ndarray, confidence: float = CONFIDENCE) -> np.ndarray:
    """Bring a night's output to a given mean confidence by one temperature.

    Stagers differ more in how sure they sound than in how often they are right; a network trained
    with cross-entropy on few persons is far too sure of others. Found without any scoring.

    Parameters
    ----------
    log_probs : float array (E, 5)
        NaN rows are left as they are.
    confidence : float
        Mean of the largest probability to reach.

    Returns
    -------
    float32 array (E, 5)
    """
    known = np.isfinite(log_probs).all(axis=1)
    if not known.any():
        return log_probs.astype(np.float32)
    low, high = np.log(0.02), np.log(200.0)  # of the temperature
    for _ in range(16):
        middle = (low + high) / 2
        sure = np.exp(log_softmax(log_probs[known] / np.exp(middle), axis=1)).max(axis=1).mean()
        low, high = (middle, high) if sure > confidence else (low, middle)
    return log_softmax(log_probs / np.exp(high), axis=1).astype(np.float32)


def fused(log_probs: Sequence[np.ndarray]) -> np.ndarray:
    """Return the outputs (E, 5) of stagers of one night, each tempered, side by side (E, S, 5)."""
    lengths = {len(said) for said in log_probs}
    if len(lengths) != 1:
        raise ValueError(f"stagers of one night gave {sorted(lengths)} epochs: bring to one clock")
    return np.stack([tempered(said) for said in log_probs], axis=1)


def spoiled(
    nights: Sequence[StageNight], n_stagers: int, rng: np.random.Generator
) -> list[StagedNight]:
    """Return every scored night as `n_stagers` artificial stagers, each another, give it."""
    made = []
    for night in nights:
        for number in range(n_stagers):
            stager = ArtificialStager.draw(rng)
            evidence = np.full((len(night.stages), 1, 5), np.nan, dtype=np.float32)
            for piece in stretches(night.stages != UNSCORED):
                evidence[piece, 0] = stager.stage(night.stages[piece], rng)
            evidence[:, 0] = tempered(evidence[:, 0])
            made.append(StagedNight(f"{night.name}#{number}", night.owner, evidence, night.stages))
    return made


@dataclass(frozen=True, eq=False)
class Committee:
    """Denoisers that speak together: the mean of their probabilities.

    Parameters
    ----------
    members : tuple of Denoiser
    n_persons : int
        People whose scored nights taught it the stager; 0 for the generic denoiser.
    gain : float
        Accuracy gained on those people by members that had not seen them.
    gain_f1 : float
        Macro-F1 gained there.
    """

    members: tuple[Denoiser, ...]
    n_persons: int = 0
    gain: float = 0.0
    gain_f1: float = 0.0

    @property
    def abstains(self) -> bool:
        """Whether correction did not help on other persons, so that nothing should be changed."""
        return self.n_persons > 0 and (self.gain <= 0 or self.gain_f1 <= 0)

    def log_probs(self, evidence: np.ndarray) -> np.ndarray:
        """Return the log posterior, float32 (E, 5), for evidence (E, S, 5).

        A generic denoiser of one stager takes the mean of several.
        """
        if evidence.shape[1] != self.members[0].config.n_stagers:
            evidence = tempered(evidence.sum(axis=1))[:, None]
        told = [denoised_log_probs(member, evidence) for member in self.members]
        return (logsumexp(told, axis=0) - np.log(len(told))).astype(np.float32)


def fit(
    nights: Sequence[StagedNight],
    generic: Denoiser,
    folder: Path,
    *,
    n_members: int = 3,
    n_passes: int = 4,
    lr: float = 1e-3,
    seed: int = 0,
) -> Committee:
    """Teach a denoiser one stager's noise (or that of several together).

    Parameters
    ----------
    nights : sequence of StagedNight
        Scored nights with the stager's output, from people other than those to be corrected.
    generic : Denoiser
        Where to start; it reads one stager.
    folder : Path
        Gets one run folder per member.
    n_members : int
        Members, each with other persons held out; with one person there is a single member that
        takes a fixed number of passes and no gain can be known.
    n_passes, lr, seed
        Of each member's training.

    Returns
    -------
    Committee

    Raises
    ------
    ValueError
        If there is no night.
    """
    persons = sorted({night.person for night in nights})
    if not persons:
        raise ValueError("no scored night to learn the stager's noise from")
    order = np.random.default_rng(seed).permutation(len(persons))
    n_members = min(n_members, len(persons))
    group = {persons[person]: place % max(2, n_members) for place, person in enumerate(order)}
    n_stagers = nights[0].evidence.shape[1]
    members: list[Denoiser] = []
    before, after = np.zeros((n_stagers, 5, 5), dtype=int), np.zeros((5, 5), dtype=int)
    for number in range(n_members):
        left_out = [night for night in nights if group[night.person] == number]
        taught = [night for night in nights if group[night.person] != number] or left_out
        member = _taught(generic, taught, left_out, folder / f"member{number}", n_passes, lr, seed)
        members.append(member)
        if taught is not left_out:
            for night in left_out:
                before += [_confusion(night, said) for said in night.evidence.swapaxes(0, 1)]
                after += _confusion(night, denoised_log_probs(member, night.evidence))
    gain, gain_f1 = _gains(before, after)
    return Committee(tuple(members), len(persons), gain, gain_f1)


def _taught(
    generic: Denoiser,
    taught: Sequence[StagedNight],
    held_out: Sequence[StagedNight],
    folder: Path,
    n_passes: int,
    lr: float,
    seed: int,
) -> Denoiser:
    """Return a copy of the generic denoiser after further training, the best of its passes."""
    n_stagers = taught[0].evidence.shape[1]
    member = copy.deepcopy(generic) if n_stagers == 1 else generic.widened(n_stagers)
    source = StagedSource(taught, length=BLOCK, batch_size=BATCH_SIZE, n_batches=BATCHES_PER_PASS)
    run = RunFolder(folder)
    best = train(member, DenoisingTask(), source, held_out, Plan(n_passes, lr=lr), run, seed=seed)
    if best["pass"] != n_passes:
        member = load_weights(run.best)[0]
    return member.eval()


def _confusion(night: StagedNight, told: np.ndarray) -> np.ndarray:
    """Return the confusion (5, 5) of a night with the most probable stages of `told` (E, 5)."""
    known = np.isfinite(told).all(axis=1)
    stages = np.where(known, np.nan_to_num(told).argmax(axis=1), UNSCORED)
    return confusion(night.stages, stages)


def _gains(before: Sequence[np.ndarray], after: np.ndarray) -> tuple[float, float]:
    """Return what was gained in accuracy and macro-F1 over the best single stager."""
    if not after.sum():
        return 0.0, 0.0
    best = max((metrics_from(one) for one in before), key=lambda found: found["accuracy"])
    reached = metrics_from(after)
    return tuple(reached[name] - best[name] for name in ("accuracy", "macro_f1"))  # type: ignore
