"""A training killed at any step and resumed ends as one that was never stopped, bit for bit."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.checkpoint import load_state, load_weights
from engine.optim import Plan
from tests.makers.small_run import CLOCK, rows, run, started

PLAN = Plan(n_passes=6, lr=5e-3, accumulate=2, ema=0.8, ema_start=3, save_every=3, evaluate_every=5)
N_LOSSES = 6 * 13


def killed_run(out: Path, kill_at: int) -> None:
    """Train in `out` in a process of its own, which dies in place of its loss `kill_at`."""
    words = {"resume": (out / "last.pt").exists(), "kill_at": kill_at, "dropout": 0.1}
    process = started(out, PLAN, environment={}, **words)
    process.join()
    assert process.exitcode == -signal.SIGKILL


def assert_same(one: Any, other: Any) -> None:
    """Compare what last.pt holds, tensor by tensor."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one.keys() - set(CLOCK):
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    else:
        assert one == other


def check(tmp_path: Path, kills: list[int]) -> None:
    """Train at once, and with a kill at each of the losses `kills` of a process."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run(whole, PLAN, dropout=0.1)
    for kill_at in kills:
        killed_run(cut, kill_at)
    torch.manual_seed(99)  # whatever happened in between
    run(cut, PLAN, resume=(cut / "last.pt").exists(), dropout=0.1)
    assert rows(cut) == rows(whole)
    assert_same(load_state(cut / "last.pt"), load_state(whole / "last.pt"))
    best, cards = zip(
        *(load_weights(out / "best.safetensors") for out in (cut, whole)), strict=True
    )
    assert_same(best[0].state_dict(), best[1].state_dict())
    assert cards[0] == cards[1]


def test_two_kills_at_random_steps_leave_no_trace(tmp_path: Path, rng: np.random.Generator) -> None:
    # The second process begins at the last save before the first kill, and dies before the end
    check(tmp_path, [int(rng.integers(8, N_LOSSES // 2)), int(rng.integers(1, N_LOSSES // 2))])


@pytest.mark.slow
def test_twenty_kills_at_random_steps_leave_no_trace(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    for number in range(4):
        # Five kills in a row, the first one anywhere: three steps are lost at most by each
        kills = [int(rng.integers(7, N_LOSSES // 3)), *rng.integers(1, 10, 4).tolist()]
        check(tmp_path / str(number), kills)
