"""The sequence models look where they may, and nowhere else."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import models

NIGHT = st.lists(st.integers(0, 4), min_size=2, max_size=30)


@pytest.fixture(scope="module")
def language() -> torch.nn.Module:
    torch.manual_seed(3)
    return models.create("sleepgpt", n_positions=30).eval()


@settings(max_examples=30, deadline=None)
@given(night=NIGHT, where=st.integers(0, 29), stage=st.integers(0, 5))
def test_a_later_stage_cannot_change_what_was_expected_before(
    language: torch.nn.Module, night: list[int], where: int, stage: int
) -> None:
    where %= len(night)
    changed = torch.tensor([night[:where] + [stage] + night[where + 1 :]])
    with torch.no_grad():
        before, after = language(torch.tensor([night])), language(changed)
    torch.testing.assert_close(before[:, :where], after[:, :where], atol=1e-6, rtol=0)


@settings(max_examples=30, deadline=None)
@given(night=NIGHT)
def test_the_short_way_to_the_next_stage_equals_the_last_logits(
    language: torch.nn.Module, night: list[int]
) -> None:
    ids = torch.tensor([night, night[::-1]])
    with torch.no_grad():
        plain, short = language(ids)[:, -1].log_softmax(dim=-1), language.next_log_probs(ids)
    torch.testing.assert_close(plain, short, atol=1e-5, rtol=0)


@settings(max_examples=30, deadline=None)
@given(night=NIGHT, padding=st.integers(1, 10))
def test_padding_on_the_right_changes_nothing(
    language: torch.nn.Module, night: list[int], padding: int
) -> None:
    night = night[: 30 - padding]
    ids = torch.tensor([night + [5] * padding])
    with torch.no_grad():
        alone = language.hidden(torch.tensor([night]))
        padded = language.hidden(ids, ids != 5)[:, : len(night)]
    torch.testing.assert_close(alone, padded, atol=1e-5, rtol=0)


def test_padding_on_the_left_is_seen_by_nobody(language: torch.nn.Module) -> None:
    ids = torch.tensor([[5, 5, 0, 1, 2], [3, 4, 0, 1, 2]])
    valid = torch.tensor([[False, False, True, True, True]] * 2)
    with torch.no_grad():
        hidden = language.hidden(ids, valid)[:, 2:]
    torch.testing.assert_close(hidden[0], hidden[1], atol=1e-6, rtol=0)


def test_drawn_nights_repeat_with_their_seed_and_go_beyond_the_context(
    language: torch.nn.Module,
) -> None:
    start = torch.zeros(2, 1, dtype=torch.long)
    drawn = [
        language.generate(start, 40, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    ]
    assert drawn[0].shape == (2, 41)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_more_epochs_than_positions_are_refused(language: torch.nn.Module) -> None:
    with pytest.raises(ValueError, match="31 epochs given, the model sees 30"):
        language(torch.zeros(1, 31, dtype=torch.long))


def test_every_parameter_of_the_language_model_gets_a_gradient() -> None:
    model = models.create("sleepgpt", n_positions=10)
    model(torch.randint(0, 5, (2, 10))).log_softmax(dim=-1)[..., 0].sum().backward()
    assert not [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]


def test_the_published_sizes_have_the_published_numbers_of_parameters() -> None:
    counts = {
        preset: sum(p.numel() for p in models.create("sleepgpt", **vars(config)).parameters())
        for preset, config in models.presets("sleepgpt").items()
    }
    assert counts == {
        "paper-60": 88_080,
        "paper-90": 89_520,
        "script-default": 1_359_168,
        # ours: 48 numbers more for every further position
        "paper-120": 90_960,
        "whole-night": 142_800,
    }


def test_an_epoch_is_staged_from_its_context_and_no_other_epoch() -> None:
    model = models.create("tinysleepnet-seq", context=3, dropout=0.0).eval()
    signal = torch.randn(1, 8, 3000)
    changed = signal.clone()
    changed[0, 4] *= -2
    with torch.no_grad():
        before = model({"FpzCz": signal}, {}).logits[0]
        after = model({"FpzCz": changed}, {}).logits[0]
    moved = (before - after).abs().amax(dim=-1) > 1e-6
    assert moved.tolist() == [False] * 4 + [True] * 3 + [False]


def test_the_epochs_of_zeros_before_a_night_leave_the_running_statistics_alone() -> None:
    torch.manual_seed(0)
    model = models.create("tinysleepnet-seq", dropout=0.0).train()
    alone = copy.deepcopy(model)
    signals = {"FpzCz": torch.randn(2, 3, 3000)}
    present = {"FpzCz": torch.ones(2, 3, dtype=torch.bool)}
    model(signals, present)
    alone.encode(signals, present)
    statistics = dict(alone.named_buffers())
    assert all(torch.equal(x, statistics[name]) for name, x in model.named_buffers())
