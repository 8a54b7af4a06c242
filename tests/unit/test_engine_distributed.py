"""Alone, the functions for several processes answer as one process; see tests/learning."""

from __future__ import annotations

import pytest
import torch

from engine import distributed


def test_a_process_alone_is_the_first_of_one() -> None:
    with distributed.processes("cpu") as device:
        assert device == torch.device("cpu")
        assert (distributed.rank(), distributed.size(), distributed.is_first()) == (0, 1, True)
        assert distributed.gather({"a": [1.5, None]}) == [{"a": [1.5, None]}]
        assert distributed.total(2.5) == 2.5


def test_one_process_of_a_group_answers_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    where = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    for name, value in where.items():
        monkeypatch.setenv(name, value)
    model = torch.nn.Linear(2, 1)
    model.bias.grad = torch.ones(1)
    with distributed.processes("cpu"):
        assert torch.distributed.is_initialized()
        distributed.sum_gradients(model)
    assert not torch.distributed.is_initialized()
    assert model.weight.grad is None
    assert model.bias.grad.item() == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="finds no GPU"), distributed.processes("cuda"):
        pass


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_process_without_a_gpu_of_its_own_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", str(torch.cuda.device_count()))
    with pytest.raises(ValueError, match="no GPU of its own"), distributed.processes("cuda"):
        pass
