"""The whole night behind a language model: it begins as that model, and never looks ahead."""

from __future__ import annotations

import numpy as np
import torch

import models
from evaluation.next_stage import running_log_probs
from models.night_history import n_features, night_history


def stages(n: int = 200, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.repeat(rng.integers(0, 5, n), rng.integers(1, 9, n))[:n]


def model(**config: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return models.create("sleepgpt-night", n_positions=30, dropout=0.0, **config).eval()


def test_history_is_made_of_the_past_alone_and_of_each_night_alone() -> None:
    night, other = stages(), stages(seed=1)
    whole = night_history(np.stack([night, other]))
    assert whole.shape == (2, 200, n_features(5))
    assert np.array_equal(night_history(night[None, :90])[0], whole[0, :90])
    assert np.isfinite(whole).all()
    assert np.abs(whole).max() < 10


def test_history_counts_bouts_and_rates() -> None:
    night = np.array([[0, 0, 2, 2, 2, 4]])
    history = night_history(night)[0]
    assert history[-1, :5].tolist() == [0, 0, 0, 0, 1]  # R now
    assert history[-1, 5:11].tolist() == [0, 0, 1, 0, 0, 0]  # after N2
    assert history[-1, 11:17].tolist() == [1, 0, 0, 0, 0, 0]  # after W
    assert history[-1, 17] == 0  # just begun
    assert np.isclose(history[-1, 18], np.log1p(3))  # N2 lasted three epochs
    shares = history[-1, -11:-6]  # over the whole night
    assert np.allclose(shares, [2 / 6, 0, 3 / 6, 0, 1 / 6], atol=1e-6)


def test_it_begins_as_the_language_model_inside() -> None:
    night = stages()
    whole = model()
    with torch.inference_mode():
        told = running_log_probs(whole.language, night, stride=15)
    torch.testing.assert_close(
        whole.running_log_probs(night), told[:, :5].log_softmax(dim=-1), atol=1e-5, rtol=0
    )


def test_what_follows_a_night_is_what_runs_at_its_end() -> None:
    whole = model()
    torch.nn.init.normal_(whole.head.weight)
    night = stages(60)
    last = whole.next_log_probs(torch.from_numpy(night)[None].long())[0, :5].log_softmax(dim=-1)
    torch.testing.assert_close(last, whole.running_log_probs(night)[-1], atol=1e-5, rtol=0)


def test_conditions_are_heard_where_known_and_do_nothing_where_not() -> None:
    whole = model(conditions=("lights_off_h", "age"))
    torch.nn.init.normal_(whole.head.weight)
    night = stages(40)
    unknown = whole.running_log_probs(night)
    old = whole.running_log_probs(night, {"age": 80.0})
    assert torch.equal(whole.running_log_probs(night, {"age": np.nan}), unknown)
    assert (old - unknown).abs().max() > 1e-3
