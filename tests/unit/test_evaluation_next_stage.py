"""Next-stage scores: counted by hand, and the same window a correction sees."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import models
from evaluation.next_stage import next_stage_scores, running_log_probs


def test_scores_are_means_over_epochs_with_five_before() -> None:
    table = models.create("markov", order=0)
    table.tables[0].copy_(torch.tensor([[0.5, 0.2, 0.1, 0.1, 0.1]]).log())
    scores = next_stage_scores(table, [np.array([4, 4, 4, 4, 4, 0, 1]), np.array([0, 0, 0])])
    assert scores["n_epochs"] == 2
    assert scores["nll"] == pytest.approx(-(math.log(0.5) + math.log(0.2)) / 2)
    assert scores["accuracy"] == 0.5
    with pytest.raises(ValueError, match="nothing to judge"):
        next_stage_scores(table, [np.array([0, 0, 0])])


def test_a_language_model_sees_its_last_epochs_only() -> None:
    torch.manual_seed(0)
    model = models.create("sleepgpt", width=12, n_heads=2, n_layers=1, n_positions=20).eval()
    stages = np.random.default_rng(0).integers(0, 5, 50)
    with torch.inference_mode():
        found = running_log_probs(model, stages, context=8)
        wanted = [
            model.next_log_probs(torch.from_numpy(stages[None, max(0, i - 7) : i + 1]))[0]
            for i in range(50)
        ]
    assert torch.allclose(found, torch.stack(wanted), atol=1e-5)
