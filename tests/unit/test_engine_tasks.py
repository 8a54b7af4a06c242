"""Blocks of stages: whole, never across a gap, labels moved once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import models
from engine.tasks import IGNORED, BlockSource, LanguageTask
from models.sleepgpt import Config
from nights.sequences import StageNight


class Echo(nn.Module):
    """Foretells that the present stage goes on, with certainty `sure`."""

    def __init__(self, sure: float) -> None:
        super().__init__()
        self.config = Config(n_positions=8)
        self.sure = nn.Parameter(torch.tensor(sure))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.sure * nn.functional.one_hot(ids, 6).float()


def drawn(source: BlockSource, seed: int = 0) -> list:
    """One pass of batches."""
    return list(source.draw(torch.Generator().manual_seed(seed)))


def test_what_follows_is_the_next_stage_and_nothing_crosses_a_gap() -> None:
    # Stage k is only ever followed by k + 1; 4 -> 0 happens across the gap alone
    stages = np.array([0, 1, 2, 3, 4, -1, 0, 1, 2, -1, 3])
    source = BlockSource([StageNight("a", "n", "p", stages)], 3, 2)
    for batch in drawn(source):
        real = batch.following != IGNORED
        assert (batch.following[real] == batch.tokens[real] + 1).all()
        assert batch.nights == ("a/n",)


def test_a_pass_reads_every_stretch_about_once_at_random_places() -> None:
    nights = [StageNight("a", str(i), "p", np.full(100, i)) for i in range(3)]
    source = BlockSource(nights, 30, 5)
    batches = drawn(source)
    assert len(batches) == len(source) == 3
    rows = torch.cat([batch.tokens[:, 0] for batch in batches])
    assert torch.bincount(rows).tolist() == [4, 4, 4]
    long = BlockSource([StageNight("a", "n", "p", np.arange(1000) % 5)], 30, 40)
    assert not torch.equal(drawn(long)[0].tokens, drawn(long, seed=1)[0].tokens)
    assert torch.equal(drawn(long)[0].tokens, drawn(long)[0].tokens)


def test_a_short_stretch_is_padded_and_its_padding_not_learned() -> None:
    (batch,) = drawn(BlockSource([StageNight("a", "n", "p", np.array([2, 2, 3]))], 6, 4))
    assert batch.tokens.tolist() == [[2, 2, 0, 0, 0, 0]]
    assert batch.following.tolist() == [[2, 3, *[IGNORED] * 4]]


def test_nights_without_two_scored_epochs_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing to train on"):
        BlockSource([StageNight("a", "n", "p", np.array([2, -1, 3]))], 6, 4)


def test_loss_and_judgement_are_nats_per_stage() -> None:
    stages = np.array([0, 0, 0, 1])
    model, task = Echo(3.0), LanguageTask(2)
    right = -torch.log_softmax(torch.tensor([3.0, 0, 0, 0, 0, 0]), 0)[0].item()
    wanted = (2 * right + (right + 3)) / 3
    (batch,) = drawn(BlockSource([StageNight("a", "n", "p", stages)], 3, 1))
    assert task.loss(model, batch)[0].item() == pytest.approx(wanted)
    # Every stage but the first is judged once, and none across the gap
    scores = task.evaluate(model, [StageNight("a", "n", "p", np.array([*stages, -1, 2]))])
    assert scores["nll"] == pytest.approx(wanted)
    assert scores["accuracy"] == pytest.approx(2 / 3)


def test_two_shifts_ask_for_the_stage_after_the_next() -> None:
    model, stages = Echo(3.0), np.array([0, 0, 1, 0, 1])
    (batch,) = drawn(BlockSource([StageNight("a", "n", "p", stages)], 4, 1))
    right = -torch.log_softmax(torch.tensor([3.0, 0, 0, 0, 0, 0]), 0)[0].item()
    # From places 0, 1, 2: stages 1, 0, 1 came two later; the last place asks beyond the block
    wanted = ((right + 3) + right + right) / 3
    assert LanguageTask(4, lag2=True).loss(model, batch)[0].item() == pytest.approx(wanted)


def test_conditions_are_hidden_in_some_blocks_and_heard_in_others() -> None:
    known = {"age": 50.0}
    night = StageNight("a", "n", "p", np.arange(400) % 5, known)
    describe = models.create("sleepgpt-night", conditions=("age",)).describe
    source = BlockSource([night], 10, 40, describe=describe, hide=0.3)
    (batch,) = drawn(source)
    heard = batch.described[:, 0, -1]
    assert set(heard.tolist()) == {0.0, 1.0}
    assert batch.described[heard == 1][0, 0, -2] == 0.5
