"""The rearranged language model says what the plain one says."""

from __future__ import annotations

import pytest
import torch

import models
from models.sleepgpt_next import NextStage


@pytest.mark.parametrize("n_layers", [1, 3])
@pytest.mark.parametrize("n_places", [1, 2, 30, 90])
def test_every_context_gets_the_answer_of_the_model(n_layers: int, n_places: int) -> None:
    torch.manual_seed(n_layers)
    model = models.create("sleepgpt", n_layers=n_layers).eval()
    for name, parameter in model.named_parameters():
        scale = 8.0 if parameter.ndim == 2 else 0.5
        parameter.data.mul_(scale).add_(0.3 * torch.randn_like(parameter) * ("bias" in name))
    ids = torch.randint(0, 6, (7, n_places))
    with torch.inference_mode():
        wanted = model.double().next_log_probs(ids)
    assert torch.allclose(NextStage(model.float())(ids).double(), wanted, atol=1e-4)


def test_more_epochs_than_places_are_refused() -> None:
    model = models.create("sleepgpt", n_positions=8)
    with pytest.raises(ValueError, match="9 epochs given, the model sees 8"):
        NextStage(model)(torch.zeros(1, 9, dtype=torch.long))
