"""The batch that is found fits, divides the batch that is wanted, and costs the model nothing."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from engine import batch_size
from engine.batch_size import find_batch_size
from engine.optim import Plan

PLAN = Plan(n_passes=1)


@dataclass(frozen=True)
class Rows:
    """Rows of noise."""

    values: torch.Tensor
    nights: tuple[str, ...] = ()


class Squares:
    """The mean square of the output; notes the sizes it has seen."""

    headline, higher_is_better = "loss", False

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def loss(self, model: nn.Module, batch: Rows) -> tuple[torch.Tensor, dict[str, float]]:
        self.sizes.append(len(batch.values))
        loss = model(batch.values).square().mean()
        return loss, {"loss": loss.item()}

    def evaluate(self, model: nn.Module, held_out: object) -> dict[str, float]:
        return {"loss": 0.0}


def rows(n_rows: int) -> Rows:
    """So many samples of noise."""
    return Rows(torch.randn(n_rows, 4, 8))


def ones(n_rows: int) -> Rows:
    """So many samples, without drawing any."""
    return Rows(torch.ones(n_rows, 4, 8))


def model() -> nn.Module:
    """A model with running statistics and dropout."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(8, 2))


def test_the_model_and_the_generators_are_left_as_they_were() -> None:
    tried = model()
    before = {name: tensor.clone() for name, tensor in tried.state_dict().items()}
    torch.manual_seed(5)
    state = torch.get_rng_state()
    found = find_batch_size(
        tried, Squares(), lambda n: Rows(torch.ones(n, 4, 8)), PLAN, target=4, limit_mb=1e6
    )
    assert (found.batch_size, found.accumulate) == (4, 1)
    assert all(torch.equal(before[name], tensor) for name, tensor in tried.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in tried.parameters())


def test_the_largest_divisor_under_the_limit_is_found_without_trying_beyond(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = Squares()
    monkeypatch.setattr(batch_size, "_peak_held_mb", lambda device: 100 + 10 * task.sizes[-1])
    found = find_batch_size(model(), task, rows, PLAN, target=24, limit_mb=190)
    assert (found.batch_size, found.accumulate) == (8, 3)
    assert task.sizes == [1, 2, 3, 4, 6, 8]  # 12 would take 220, foreseen from 6 and 8
    assert found.peak_mb[8] == 180


def test_memory_that_a_step_takes_is_seen() -> None:
    wide = nn.Sequential(nn.Linear(8, 2000), nn.GELU(), nn.Linear(2000, 1))
    found = find_batch_size(
        wide, Squares(), lambda n: Rows(torch.randn(1000 * n, 8)), PLAN, target=16, limit_mb=1e6
    )
    # Two hidden layers of floats for each row at least
    assert found.peak_mb[16] - found.peak_mb[1] > 15_000 * 2000 * 4 * 2 / 2**20 * 0.8


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(ValueError, match="give limit_mb"):
        find_batch_size(model(), Squares(), rows, PLAN, target=8)
    with pytest.raises(ValueError, match="not even a batch of one"):
        find_batch_size(model(), Squares(), rows, PLAN, target=8, limit_mb=1)
