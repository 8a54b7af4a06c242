"""Posterior decoding: how probable each stage is given the whole stretch, before and after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from models.transitions import BIN_EDGES, Markov, TransitionTable
from staging.decoding import Decoded, Settings
from staging.lattice import lattice_posterior
from staging.prior import StagePrior

MAX_ORDER = 4  # 625 states; a longer table is cut to this


def posterior(
    evidence: Sequence[np.ndarray], prior: StagePrior, settings: Settings
) -> list[Decoded]:
    """Return the posterior of each epoch by the forward-backward recursions, and its mode.

    Parameters
    ----------
    evidence : sequence of float32 arrays (n, K)
        Log-probabilities of the stager, one array per stretch.
    prior : StagePrior
        The language model, asked once for every state.
    settings : Settings
        `weight` and `context`.

    Returns
    -------
    list of Decoded
        The hypnodensity is the posterior of the product of both, raised to their shares; each
        epoch's stage is its most probable one, which makes the fewest errors to be expected.

    Notes
    -----
    The state is what the model goes by: the last stages for a transition table (exact up to order
    4), the stage, the time in it and the stage before for a duration table (exact, a hidden
    semi-Markov model). Any other language model goes by more than a chain can hold; see
    `staging.lattice`.

    References
    ----------
    Rabiner, Proc. IEEE 77 (1989), sections III.A and IV.D.
    """
    if not isinstance(prior.model, TransitionTable):
        return lattice_posterior(evidence, prior, settings)
    chain = _chain(prior, _shortened(prior.model))
    return [_smoothed(rows, chain, settings.weight) for rows in evidence]


@dataclass(frozen=True, eq=False)
class _Chain:
    """States of a chain: log-probabilities (S, K), where each stage leads (S, K), stage of each."""

    log_probs: np.ndarray
    leads_to: np.ndarray
    stage: np.ndarray


def _shortened(model: TransitionTable) -> Callable[[bytes], bytes]:
    """Return the rule that cuts a history to what is kept of it."""
    if isinstance(model, Markov):
        order = min(MAX_ORDER, max(1, model.config.order))
        return lambda history: history[-order:]
    longest = int(BIN_EDGES[-1])  # beyond it a duration table does not count

    def run_and_before(history: bytes) -> bytes:
        rest = history.rstrip(history[-1:])
        return rest[-1:] + history[len(rest) :][:longest]

    return run_and_before


def _chain(prior: StagePrior, shortened: Callable[[bytes], bytes]) -> _Chain:
    """Find every state that can be reached; the first K are those of the first epoch."""
    histories = [bytes([stage]) for stage in range(prior.n_stages)]
    number = {history: place for place, history in enumerate(histories)}
    leads_to: list[list[int]] = []
    for history in histories:  # grows while it is walked
        row = []
        for stage in range(prior.n_stages):
            after = shortened(history + bytes([stage]))
            if after not in number:
                number[after] = len(histories)
                histories.append(after)
            row.append(number[after])
        leads_to.append(row)
    told = prior.log_probs(histories).astype(np.float64)
    return _Chain(told, np.array(leads_to), np.array([history[-1] for history in histories]))


def _smoothed(rows: np.ndarray, chain: _Chain, weight: float) -> Decoded:
    """Return posterior and mode of one stretch, scaled per epoch against underflow."""
    likelihood = np.exp((1 - weight) * (rows - rows.max(axis=1, keepdims=True)).astype(np.float64))
    step = np.exp(weight * chain.log_probs)  # (S, K)
    n, n_states = len(rows), len(step)
    forward = np.zeros((n, n_states))
    forward[0, : rows.shape[1]] = likelihood[0] / likelihood[0].sum()
    for epoch in range(1, n):
        flow = forward[epoch - 1][:, None] * step
        reached = np.bincount(chain.leads_to.ravel(), flow.ravel(), minlength=n_states)
        reached *= likelihood[epoch, chain.stage]
        forward[epoch] = reached / reached.sum()
    both, backward = forward, np.ones(n_states)
    for epoch in range(n - 2, -1, -1):
        backward = (step * (likelihood[epoch + 1] * backward[chain.leads_to])).sum(axis=1)
        backward /= backward.max()
        both[epoch] *= backward
    proba = np.stack([both[:, chain.stage == s].sum(axis=1) for s in range(rows.shape[1])], axis=1)
    proba /= proba.sum(axis=1, keepdims=True)
    return Decoded(proba.argmax(axis=1).astype(np.int8), proba.astype(np.float32))
