"""Posterior decoding under a language model whose memory no chain can hold.

A stage language model goes by the whole history, so the states of exact forward-backward recursions
would be histories: five to the power of thirty of them. The lattice keeps those that matter. At
every epoch histories that agree in their last stages are one, whose continuation is foretold from
the most probable of them as it really was; an improbable one joins the best that ends in the same
stage, so that no probability is lost. On what is left forward and backward sums are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from staging.decoding import Decoded, Settings
from staging.prior import StagePrior

# Epochs in which two histories must agree to be one. A table of five stages predicts within 0.01
# nat of the whole model, and what lies further back is taken from the better history.
MERGED = 5
WIDTH = 24  # histories kept at an epoch, besides the best of each stage
LEAST = 1e-2  # share of the most probable history below which one joins another


def lattice_posterior(
    evidence: Sequence[np.ndarray], prior: StagePrior, settings: Settings
) -> list[Decoded]:
    """Return the posterior of each epoch under any language model, and its mode.

    Parameters
    ----------
    evidence : sequence of float32 arrays (n, K)
        Log-probabilities of the stager, one array per stretch.
    prior : StagePrior
        The language model; it is put the histories of all stretches in one batch.
    settings : Settings
        `weight` and `context`.

    Returns
    -------
    list of Decoded
        The hypnodensity is the posterior of p(stager)^(1 - w) p(language model)^w on the lattice;
        each epoch's stage is its most probable one.

    Notes
    -----
    Merging is what keeps the past open: sampled histories (a particle smoother) share their
    ancestors after some tens of epochs and leave one guess there, a lattice does not. For a model
    that goes by the last five stages or fewer, and nothing joined, this is the forward-backward
    algorithm.

    References
    ----------
    Rabiner, Proc. IEEE 77 (1989), section III.A; Ney and Aubert, ICSLP 1994: lattices whose paths
    are told apart by their latest words alone.
    """
    lattices = [_Lattice(rows, settings) for rows in evidence]
    for epoch in range(1, max((len(rows) for rows in evidence), default=0)):
        active = [lattice for lattice in lattices if epoch < len(lattice.likelihood)]
        told = prior.log_probs([h for lattice in active for h in lattice.histories])
        first = 0
        for lattice in active:
            end = first + len(lattice.histories)
            lattice.extend(epoch, told[first:end])
            first = end
    return [lattice.decoded() for lattice in lattices]


class _Column(NamedTuple):
    """Histories at one epoch and how they go on."""

    forward: np.ndarray  # (S,)
    stages: np.ndarray  # (S,) the latest of each
    step: np.ndarray  # (S, K) share of the language model
    leads_to: np.ndarray  # (S, K) place in the next column


class _Lattice:
    """The histories of one stretch."""

    def __init__(self, rows: np.ndarray, settings: Settings) -> None:
        self.weight, self.context = settings.weight, settings.context
        scores = (1 - settings.weight) * rows.astype(np.float64)
        self.likelihood = np.exp(scores - scores.max(axis=1, keepdims=True))  # (n, K)
        self.histories = [bytes([stage]) for stage in range(rows.shape[1])]
        self.forward = self.likelihood[0] / self.likelihood[0].sum()
        self.columns: list[_Column] = []

    def extend(self, epoch: int, told: np.ndarray) -> None:
        """Go on by one epoch, given what the model says (S, K) after each history."""
        step = np.exp(self.weight * told.astype(np.float64))
        flow = self.forward[:, None] * step * self.likelihood[epoch]  # (S, K)
        ends = [
            [(history + bytes([stage]))[-MERGED:] for stage in range(flow.shape[1])]
            for history in self.histories
        ]
        found = self._worth_keeping(flow, ends)
        place = {end: number for number, end in enumerate(found)}
        of_stage = [next(end for end in found if end[-1] == s) for s in range(flow.shape[1])]
        leads_to = np.array(
            [[place.get(end, place[of_stage[s]]) for s, end in enumerate(row)] for row in ends]
        )
        forward = np.bincount(leads_to.ravel(), flow.ravel(), len(found))
        self.columns.append(_Column(self.forward, self._latest, step, leads_to))
        self.histories, self.forward = list(found.values()), forward / forward.sum()

    def _worth_keeping(self, flow: np.ndarray, ends: list[list[bytes]]) -> dict[bytes, bytes]:
        """Return {last stages: the most probable history that ends so}, the likeliest first."""
        worth = (flow > LEAST * flow.max()) | (flow == flow.max(axis=0))
        found: dict[bytes, bytes] = {}
        for place in np.argsort(-flow, axis=None, kind="stable").tolist():
            history, stage = divmod(place, flow.shape[1])
            if not worth[history, stage]:
                continue
            if len(found) < WIDTH or flow[history, stage] == flow[:, stage].max():
                whole = self.histories[history] + bytes([stage])
                found.setdefault(ends[history][stage], whole[-self.context :])
        return found

    def decoded(self) -> Decoded:
        """Go back over the columns and return posterior and mode."""
        n, n_stages = self.likelihood.shape
        proba, backward = np.zeros((n, n_stages)), np.ones(len(self.forward))
        proba[-1] = np.bincount(self._latest, self.forward, n_stages)
        for epoch in range(n - 2, -1, -1):
            column = self.columns[epoch]
            after = self.likelihood[epoch + 1] * backward[column.leads_to]
            backward = (column.step * after).sum(axis=1)
            backward /= backward.max()
            proba[epoch] = np.bincount(column.stages, column.forward * backward, n_stages)
        proba /= proba.sum(axis=1, keepdims=True)
        return Decoded(proba.argmax(axis=1).astype(np.int8), proba.astype(np.float32))

    @property
    def _latest(self) -> np.ndarray:
        """Return the last stage (S,) of each history."""
        return np.array([history[-1] for history in self.histories])
