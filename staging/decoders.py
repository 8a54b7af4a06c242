"""Decoders: stage probabilities of a night + a language model -> the corrected stages.

A decoder takes stretches of consecutive scored epochs, many at a time, and treats each alone. It is
a function in `DECODERS`; a new one needs nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from staging.beam import beam
from staging.decoding import Decoded, Decoder, Settings, softmax
from staging.posterior import posterior
from staging.prior import StagePrior

# Contexts put to the model at once. Below 16 its cost is mostly overhead; beyond, more of the
# contexts guessed ahead turn out wrong.
BATCH = 16
SHORT_CONTEXT = 5  # epochs; a table of five stages predicts within 0.01 nat of the whole model
SLACK = 1e-3  # log units kept from every bound, far above float32 rounding


def greedy(evidence: Sequence[np.ndarray], prior: StagePrior, settings: Settings) -> list[Decoded]:
    """Correct epoch after epoch, each given the corrected ones before it: the published rule.

    Parameters
    ----------
    evidence : sequence of float32 arrays (n, K)
        Log-probabilities of the stager, one array per stretch.
    prior : StagePrior
        The language model.
    settings : Settings
        `weight`, `context` and `min_len` as published: 0.1, 30, 5.

    Returns
    -------
    list of Decoded
        The stages of the published rule. It has no posterior: the hypnodensity is the sum it
        maximises, renormalised. Where no context could have changed the stage, the prior in it is
        that of the last five stages instead of the whole context. The first `min_len` epochs keep
        what the stager gave.

    Notes
    -----
    Same labels, less work than a forward pass per epoch. An epoch whose evidence outweighs the
    largest preference the model can have for any other stage is decided without asking it. The rest
    is guessed a few epochs ahead, put to the model in one batch, and kept up to the first wrong
    guess, whose own answer is right because all before it was.

    References
    ----------
    Yu et al., medRxiv 2024.10.26.24316166.
    """
    most = settings.weight * prior.max_log_odds()
    lasting = prior.log_probs([bytes([s]) * SHORT_CONTEXT for s in range(prior.n_stages)])
    stretches = [_Stretch(rows, most, settings, lasting) for rows in evidence]
    while active := [stretch for stretch in stretches if stretch.open]:
        ahead = max(1, BATCH // len(active))
        asked = [stretch.contexts(ahead) for stretch in active]
        told = prior.log_probs([context for contexts in asked for context in contexts])
        first = 0
        for stretch, contexts in zip(active, asked, strict=True):
            stretch.accept(told[first : first + len(contexts)])
            first += len(contexts)
    return [stretch.decoded(prior) for stretch in stretches]


class _Stretch:
    """One stretch of epochs under greedy correction."""

    def __init__(
        self, evidence: np.ndarray, most: np.ndarray, settings: Settings, lasting: np.ndarray
    ) -> None:
        self.weight, self.context = np.float32(settings.weight), settings.context
        self.evidence = evidence
        self.scores = np.float32(1 - settings.weight) * evidence  # (n, K)
        self.stages = evidence.argmax(axis=1).astype(np.uint8)
        self.prior = np.zeros_like(self.scores)
        self.free = min(settings.min_len, len(evidence))
        # Lead of the stager's stage over each other one, less what the model could add to that
        lead = self.scores.max(axis=1, keepdims=True) - self.scores - most[self.stages]
        lead[np.arange(len(lead)), self.stages] = np.inf
        self.asking = lead.min(axis=1, initial=np.inf) <= SLACK
        self.asking[: self.free] = False
        self.open = np.flatnonzero(self.asking).tolist()[::-1]  # next epoch last
        self.heard = self.weight * lasting  # (K before, K): what the model last said, to guess by

    def contexts(self, ahead: int) -> list[bytes]:
        """Return the contexts of the next `ahead` open epochs, later ones on guessed stages."""
        found = []
        for epoch in self.open[: -ahead - 1 : -1]:
            found.append(self.stages[max(0, epoch - self.context) : epoch].tobytes())
            before = self.stages[epoch - 1]
            self.stages[epoch] = (self.scores[epoch] + self.heard[before]).argmax()
        return found

    def accept(self, told: np.ndarray) -> None:
        """Decide the epochs just asked about, up to the first whose stage was guessed wrong."""
        epochs = self.open[: -len(told) - 1 : -1]
        best = (self.scores[epochs] + self.weight * told).argmax(axis=1)
        wrong = np.flatnonzero(best != self.stages[epochs])
        right = int(wrong[0]) + 1 if len(wrong) else len(told)
        for epoch, stage, row in zip(epochs[:right], best, told, strict=False):
            self.stages[epoch], self.prior[epoch] = stage, row
            self.heard[self.stages[epoch - 1]] = self.weight * row
        del self.open[-right:]

    def decoded(self, prior: StagePrior) -> Decoded:
        """Return the result, with the prior of the last stages where the model was not asked."""
        stages = self.stages.tobytes()
        rest = [i for i in range(self.free, len(stages)) if not self.asking[i]]
        self.prior[rest] = prior.log_probs([stages[max(0, i - SHORT_CONTEXT) : i] for i in rest])
        scores = self.scores + self.weight * self.prior
        scores[: self.free] = self.evidence[: self.free]
        return Decoded(self.stages.astype(np.int8), softmax(scores))


def viterbi(evidence: Sequence[np.ndarray], prior: StagePrior, settings: Settings) -> list[Decoded]:
    """Find the best whole sequence under the model's first-order transitions.

    Parameters
    ----------
    evidence : sequence of float32 arrays (n, K)
        Log-probabilities of the stager, one array per stretch.
    prior : StagePrior
        Asked once for what follows a single stage: for a transition table that is the table, for a
        stage language model its first-order part.
    settings : Settings
        `weight`; the other fields play no part.

    Returns
    -------
    list of Decoded
        Stages of the best path. The hypnodensity is the posterior of each epoch in the same chain
        (forward-backward), so its largest class may differ from the path.

    References
    ----------
    Rabiner, Proc. IEEE 77 (1989), sections III.A and III.B.
    """
    alone = [bytes([stage]) for stage in range(prior.n_stages)]
    moves = settings.weight * prior.log_probs(alone).astype(np.float64)  # (K from, K to)
    scores = [(1 - settings.weight) * rows.astype(np.float64) for rows in evidence]
    return [Decoded(_best_path(rows, moves), _posterior(rows, moves)) for rows in scores]


def _best_path(scores: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Return the stages (n,) of the largest sum of scores (n, K) and moves (K, K)."""
    came_from = np.zeros(scores.shape, dtype=np.int8)
    best = scores[0]
    for epoch in range(1, len(scores)):
        paths = best[:, None] + moves
        came_from[epoch] = paths.argmax(axis=0)
        best = paths.max(axis=0) + scores[epoch]
    stages = np.empty(len(scores), dtype=np.int8)
    stages[-1] = best.argmax()
    for epoch in range(len(scores) - 1, 0, -1):
        stages[epoch - 1] = came_from[epoch, stages[epoch]]
    return stages


def _posterior(scores: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """Return the marginals (n, K) of the chain, scaled per epoch against underflow."""
    likelihood = np.exp(scores - scores.max(axis=1, keepdims=True))  # (n, K)
    step = np.exp(moves)
    forward, backward = np.empty_like(likelihood), np.ones_like(likelihood)
    forward[0] = likelihood[0] / likelihood[0].sum()
    for epoch in range(1, len(scores)):
        reached = forward[epoch - 1] @ step * likelihood[epoch]
        forward[epoch] = reached / reached.sum()
    for epoch in range(len(scores) - 2, -1, -1):
        left = step @ (likelihood[epoch + 1] * backward[epoch + 1])
        backward[epoch] = left / left.sum()
    both = forward * backward
    return (both / both.sum(axis=1, keepdims=True)).astype(np.float32)


DECODERS: dict[str, Decoder] = {
    "greedy": greedy,
    "beam": beam,
    "viterbi": viterbi,
    "posterior": posterior,
}
