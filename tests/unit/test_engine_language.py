"""Training a language model: what it begins with, and that seen nights are never judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import models
from engine.checkpoint import save_weights
from engine.language import Start, build, judge_weights, tables, told, unseen
from models.sleepgpt import resized
from nights.sequences import StageNight


def night(name: str, seed: int) -> StageNight:
    rng = np.random.default_rng(seed)
    stages = np.repeat(rng.integers(0, 5, 60), rng.integers(1, 9, 60))
    return StageNight("a", name, name, stages)


NIGHTS = [night(f"n{i}", i) for i in range(4)]


def test_more_positions_leave_what_was_learned_as_it_is() -> None:
    torch.manual_seed(0)
    small = models.create("sleepgpt", n_positions=30).eval()
    long = resized(small, models.sleepgpt.Config(n_positions=100)).eval()
    ids = torch.from_numpy(NIGHTS[0].stages[None, :30].astype(np.int64))
    assert torch.equal(long(ids), small(ids))
    assert long.positions.weight.abs().sum(dim=1).min() > 0


def test_four_classes_begin_with_the_rows_of_five() -> None:
    five = models.create("sleepgpt")
    four = resized(five, models.sleepgpt.Config(vocab_size=5))
    assert torch.equal(four.tokens.weight, five.tokens.weight[[0, 2, 3, 4, 5]])


def test_the_whole_night_begins_as_the_weights_it_starts_from(tmp_path: Path) -> None:
    first = models.create("sleepgpt", n_positions=20)
    save_weights(tmp_path / "first.safetensors", first, {})
    started = build(Start(str(tmp_path / "first.safetensors"), "night"), seed=0)
    assert torch.equal(started.language.tokens.weight, first.tokens.weight)
    assert started.config.n_positions == 20


def test_conditions_need_the_model_that_hears_them() -> None:
    with pytest.raises(ValueError, match="only a model of --preset night"):
        Start(conditions=("age",))
    with pytest.raises(ValueError, match="no preset 'big'"):
        Start(preset="big")


def test_nights_of_the_training_are_left_out_by_name_and_by_content(tmp_path: Path) -> None:
    table = tables(NIGHTS[:1], 5)["markov-1"]
    renamed = StageNight("b", "other", "p", np.concatenate([[0] * 40, NIGHTS[1].stages]))
    card = {"split": {"train": ["a/n0"]}, "seen": [NIGHTS[1].without_long_wake().fingerprint]}
    save_weights(tmp_path / "t.safetensors", table, card)
    left = unseen([*NIGHTS, renamed], card)
    assert [n.name for n in left] == ["a/n2", "a/n3"]
    found = judge_weights([str(tmp_path / "t.safetensors")], [*NIGHTS, renamed])
    assert found["left_out"] == ["a/n0", "a/n1", "b/other"]
    (scores,) = found["results"].values()
    assert scores["interval"][0] <= scores["nll"] <= scores["interval"][1]
    assert "left out 3" in told(found)
    with pytest.raises(ValueError, match="all 1 nights were in the training"):
        judge_weights([str(tmp_path / "t.safetensors")], NIGHTS[:1])


def test_weights_of_different_classes_are_not_compared(tmp_path: Path) -> None:
    names = []
    for k in (4, 5):
        names.append(str(tmp_path / f"{k}.safetensors"))
        save_weights(Path(names[-1]), models.create("markov", n_stages=k), {})
    with pytest.raises(ValueError, match="different classes"):
        judge_weights(names, NIGHTS)
