"""Posteriors of language models that no chain can hold, against everything counted out by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

import models
from models.transitions import Markov, MarkovConfig
from recordings.simulate.stages import draw_stages
from staging import lattice
from staging.decoding import Settings
from staging.lattice import lattice_posterior
from staging.posterior import posterior
from staging.prior import StagePrior


class Unknown(nn.Module):
    """A language model that does not tell what it goes by."""

    def __init__(self, inside: Markov) -> None:
        super().__init__()
        self._inside = inside

    def next_log_probs(self, ids: torch.Tensor) -> torch.Tensor:
        """What the model inside says."""
        return self._inside.next_log_probs(ids)

    def max_log_odds(self) -> torch.Tensor:
        """What the model inside says."""
        return self._inside.max_log_odds()


def markov(order: int) -> Markov:
    """A table fitted to a few drawn nights."""
    rng = np.random.default_rng(3)
    return Markov(MarkovConfig(order=order)).fit([draw_stages(rng, 600, age=50) for _ in range(3)])


def evidence(seed: int, n_epochs: int, sharpness: float = 1.0) -> np.ndarray:
    """Log-probabilities of a stager."""
    drawn = sharpness * np.random.default_rng(seed).standard_normal((n_epochs, 5))
    return torch.from_numpy(drawn).log_softmax(dim=1).numpy().astype(np.float32)


def small_gpt() -> nn.Module:
    """A stage language model with opinions."""
    torch.manual_seed(0)
    model = models.create("sleepgpt", width=12, n_heads=2, n_layers=1, n_positions=40).eval()
    for parameter in model.parameters():
        parameter.data.mul_(6 if parameter.ndim == 2 else 1)
    return model


def counted_out(rows: np.ndarray, prior: StagePrior, weight: float) -> np.ndarray:
    """The marginals (n, 5) over every path there is."""
    share = np.zeros(rows.shape)
    for path in itertools.product(range(5), repeat=len(rows)):
        told = prior.log_probs([bytes(path[:epoch]) for epoch in range(1, len(rows))])
        gone_by = told[np.arange(len(rows) - 1), list(path[1:])].sum()
        score = (1 - weight) * rows[np.arange(len(rows)), list(path)].sum() + weight * gone_by
        share[np.arange(len(rows)), list(path)] += np.exp(score)
    return share / share.sum(axis=1, keepdims=True)


def test_with_nothing_joined_it_is_the_marginal_of_all_paths_of_a_gpt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lattice, "LEAST", 0.0)
    monkeypatch.setattr(lattice, "WIDTH", 5**5)
    prior, rows = StagePrior(small_gpt()), evidence(1, 5)
    (found,) = lattice_posterior([rows], prior, Settings(0.5))
    wanted = counted_out(rows, prior, 0.5)
    assert np.allclose(found.proba, wanted, atol=1e-5)
    assert np.array_equal(found.stages, wanted.argmax(axis=1))


@pytest.mark.parametrize("order", [1, 3])
def test_of_a_markov_model_that_hides_it_is_forward_backward(
    order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lattice, "MERGED", 3)
    monkeypatch.setattr(lattice, "LEAST", 0.0)
    monkeypatch.setattr(lattice, "WIDTH", 5**3)
    table, rows = markov(order), evidence(2, 100)
    (exact,) = posterior([rows], StagePrior(table), Settings(0.4))
    (found,) = lattice_posterior([rows], StagePrior(Unknown(table)), Settings(0.4))
    assert np.allclose(found.proba, exact.proba, atol=1e-4)


def test_joining_the_improbable_changes_little() -> None:
    """On a stager as doubtful as this one joins most of all histories."""
    table, rows = markov(3), evidence(2, 300, sharpness=2)
    (exact,) = posterior([rows], StagePrior(table), Settings(0.3))
    (found,) = lattice_posterior([rows], StagePrior(Unknown(table)), Settings(0.3))
    assert np.abs(found.proba - exact.proba).mean() < 0.01
    assert (found.stages == exact.stages).mean() > 0.98


def test_posterior_asks_a_gpt_with_its_histories_as_they_were() -> None:
    prior, rows = StagePrior(small_gpt()), evidence(3, 40)
    (found,) = posterior([rows], prior, Settings(0.4))
    (wanted,) = lattice_posterior([rows], prior, Settings(0.4))
    assert np.array_equal(found.proba, wanted.proba)


def test_no_stage_is_ever_impossible_and_rows_sum_to_one() -> None:
    """A stager that is far too sure must not make what it missed impossible."""
    rows = evidence(4, 200, sharpness=15)
    (found,) = lattice_posterior([rows], StagePrior(small_gpt()), Settings(0.3))
    assert np.allclose(found.proba.sum(axis=1), 1, atol=1e-5)
    assert (found.proba.astype(np.float64) > 0).mean() > 0.99


def test_stretches_are_decoded_as_if_each_were_alone() -> None:
    prior, parts = StagePrior(small_gpt()), [evidence(5, 30), evidence(6, 1), evidence(7, 12)]
    together = lattice_posterior(parts, prior, Settings(0.3))
    for rows, found in zip(parts, together, strict=True):
        (alone,) = lattice_posterior([rows], prior, Settings(0.3))
        assert np.allclose(found.proba, alone.proba, atol=1e-6)


def test_what_comes_later_counts() -> None:
    """One doubtful epoch inside a certain stage is that stage."""
    rows = np.full((41, 5), np.log(0.02), dtype=np.float32)
    rows[:, 2] = np.log(0.92)
    rows[20] = np.log([0.05, 0.2, 0.35, 0.05, 0.35])
    (found,) = lattice_posterior([rows], StagePrior(Unknown(markov(3))), Settings(0.5))
    assert found.proba[20, 2] > 0.8
