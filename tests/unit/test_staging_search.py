"""Beam search and posterior decoding against everything counted out by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

import models
from models.transitions import Duration, DurationConfig, Markov, MarkovConfig
from recordings.simulate.stages import draw_stages
from staging.beam import beam
from staging.decoders import viterbi
from staging.decoding import Settings
from staging.posterior import posterior
from staging.prior import StagePrior

N_EPOCHS = 6  # 15,625 paths


def fitted(model: nn.Module) -> StagePrior:
    """A table fitted to a few drawn nights."""
    rng = np.random.default_rng(3)
    return StagePrior(model.fit([draw_stages(rng, 600, age=50) for _ in range(3)]))


def evidence(seed: int, n_epochs: int = N_EPOCHS) -> np.ndarray:
    """Log-probabilities without much certainty."""
    drawn = np.random.default_rng(seed).standard_normal((n_epochs, 5))
    return torch.from_numpy(drawn).log_softmax(dim=1).numpy().astype(np.float32)


def all_paths(rows: np.ndarray, prior: StagePrior, weight: float) -> dict[bytes, float]:
    """The weighted sum of every path there is, the model asked with the whole history."""
    found = {}
    for path in itertools.product(range(5), repeat=len(rows)):
        whole = bytes(path)
        told = prior.log_probs([whole[:epoch] for epoch in range(1, len(rows))])
        prior_part = told[np.arange(len(rows) - 1), list(path[1:])].sum()
        said = rows[np.arange(len(rows)), list(path)].sum()
        found[whole] = (1 - weight) * said + weight * prior_part
    return found


MODELS = [
    Markov(MarkovConfig(order=1)),
    Markov(MarkovConfig(order=3)),
    Duration(DurationConfig()),
]


@pytest.mark.parametrize("model", MODELS)
def test_posterior_is_the_marginal_of_all_paths(model: nn.Module) -> None:
    prior, rows, weight = fitted(model), evidence(1), 0.4
    paths = all_paths(rows, prior, weight)
    stages = np.array([list(path) for path in paths])
    share = np.exp(np.array(list(paths.values())))
    share /= share.sum()
    wanted = np.stack([(share[:, None] * (stages == s)).sum(axis=0) for s in range(5)], axis=1)
    (found,) = posterior([rows], prior, Settings(weight))
    assert np.allclose(found.proba, wanted, atol=1e-5)
    assert np.array_equal(found.stages, wanted.argmax(axis=1))


@pytest.mark.parametrize("model", MODELS)
def test_a_beam_wide_enough_finds_the_best_path(model: nn.Module) -> None:
    prior, rows = fitted(model), evidence(2)
    paths = all_paths(rows, prior, 0.4)
    (found,) = beam([rows], prior, Settings(0.4, width=5**N_EPOCHS))
    assert found.stages.tolist() == list(max(paths, key=lambda path: paths[path]))


def test_a_beam_that_sees_one_epoch_back_is_viterbi() -> None:
    prior, rows = fitted(Markov(MarkovConfig(order=1))), evidence(3, 300)
    (wide,) = beam([rows], prior, Settings(0.3, context=1, min_len=1))
    (best,) = viterbi([rows], prior, Settings(0.3))
    assert np.array_equal(wide.stages, best.stages)


def test_posterior_agrees_with_the_one_viterbi_gives_along() -> None:
    prior, rows = fitted(Markov(MarkovConfig(order=1))), evidence(4, 300)
    (smoothed,) = posterior([rows], prior, Settings(0.3))
    (path,) = viterbi([rows], prior, Settings(0.3))
    assert np.allclose(smoothed.proba, path.proba, atol=1e-5)


def test_a_wider_beam_never_ends_lower() -> None:
    torch.manual_seed(0)
    model = models.create("sleepgpt", width=12, n_heads=2, n_layers=1, n_positions=40).eval()
    for parameter in model.parameters():
        parameter.data.mul_(12 if parameter.ndim == 2 else 1)
    prior, rows, weight = StagePrior(model), evidence(5, 40), 0.4

    def total(width: int) -> float:
        (found,) = beam([rows], prior, Settings(weight, context=30, width=width))
        stages = bytes(found.stages.tolist())
        told = prior.log_probs([stages[max(0, e - 30) : e] for e in range(1, len(stages))])
        said = rows[np.arange(len(stages)), found.stages].sum()
        gone_by = told[np.arange(len(told)), found.stages[1:]].sum()
        return float((1 - weight) * said + weight * gone_by)

    assert total(1) <= total(5) + 1e-4
    assert total(5) <= total(40) + 1e-4


def test_a_beam_of_no_width_is_refused() -> None:
    with pytest.raises(ValueError, match="beam width"):
        Settings(width=0)
