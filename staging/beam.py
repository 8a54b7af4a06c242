"""Beam search: several histories side by side, so that a doubtful stage can still be taken back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from staging.decoding import Decoded, Settings, softmax
from staging.prior import StagePrior


def beam(evidence: Sequence[np.ndarray], prior: StagePrior, settings: Settings) -> list[Decoded]:
    """Find the best whole sequence among the histories that looked best so far.

    Parameters
    ----------
    evidence : sequence of float32 arrays (n, K)
        Log-probabilities of the stager, one array per stretch.
    prior : StagePrior
        The language model; it is put the histories of all stretches in one batch.
    settings : Settings
        `weight`, `context` and `width`.

    Returns
    -------
    list of Decoded
        Stages of the best history. It has no posterior: the hypnodensity is the sum that was
        maximised, given that history, renormalised.

    Notes
    -----
    Two histories that agree in all the model can see are one: the better is kept.

    References
    ----------
    Choi and Sung, arXiv 2302.12709: beam search with a language model of stages.
    """
    searches = [_Search(rows, settings) for rows in evidence]
    for epoch in range(1, max((len(rows) for rows in evidence), default=0)):
        active = [search for search in searches if epoch < len(search.scores)]
        told = prior.log_probs([c for search in active for c in search.contexts])
        first = 0
        for search in active:
            search.extend(epoch, told[first : first + len(search.contexts)])
            first += len(search.contexts)
    return [search.decoded() for search in searches]


class _Search:
    """The histories of one stretch."""

    def __init__(self, evidence: np.ndarray, settings: Settings) -> None:
        self.settings = settings
        self.scores = (1 - settings.weight) * evidence.astype(np.float64)  # (n, K)
        kept = np.argsort(-self.scores[0], kind="stable")[: settings.width]
        self.totals = self.scores[0, kept]
        self.contexts = [bytes([stage]) for stage in kept.tolist()]
        self._steps = [(np.zeros(len(kept), int), kept, np.tile(self.scores[0], (len(kept), 1)))]

    def extend(self, epoch: int, told: np.ndarray) -> None:
        """Go on by one epoch, given what the model says (histories, K) after each history."""
        sums = self.scores[epoch] + self.settings.weight * told
        totals = self.totals[:, None] + sums
        came_from, stages, contexts, seen = [], [], [], set()
        for place in np.argsort(-totals, axis=None, kind="stable").tolist():
            history, stage = divmod(place, totals.shape[1])
            context = (self.contexts[history] + bytes([stage]))[-self.settings.context :]
            if context in seen:
                continue
            seen.add(context)
            came_from.append(history)
            stages.append(stage)
            contexts.append(context)
            if len(contexts) == self.settings.width:
                break
        self.totals, self.contexts = totals[came_from, stages], contexts
        self._steps.append((np.array(came_from), np.array(stages), sums[came_from]))

    def decoded(self) -> Decoded:
        """Return the best history and the sums along it."""
        history, stages, sums = int(self.totals.argmax()), [], []
        for came_from, chosen, told in reversed(self._steps):
            stages.append(chosen[history])
            sums.append(told[history])
            history = came_from[history]
        proba = softmax(np.array(sums[::-1])).astype(np.float32)
        return Decoded(np.array(stages[::-1], dtype=np.int8), proba)
