"""Decay on matrices alone, and a learning rate that rises, falls and ends where it should."""

from __future__ import annotations

import pytest

import models
from engine.optim import Plan, learning_rate, make_optimizer, set_rate


def test_biases_and_norms_do_not_decay() -> None:
    model = models.create("sleepgpt")
    decayed, free = make_optimizer(model, Plan(n_passes=1, weight_decay=5e-4)).param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (5e-4, 0)
    # Published: 14 tensors decay, 26 do not
    assert (len(decayed["params"]), len(free["params"])) == (14, 26)
    assert len(decayed["params"]) + len(free["params"]) == len(list(model.parameters()))


def test_the_learning_rate_rises_to_its_height_and_falls_to_its_end() -> None:
    plan = Plan(n_passes=1, lr=1e-3, min_lr=1e-5, warmup=0.1)
    rates = [learning_rate(step, 100, plan) for step in range(101)]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == rates[9] == rates[10] == pytest.approx(1e-3)
    assert rates[55] == pytest.approx((1e-3 + 1e-5) / 2)
    assert rates[100] == pytest.approx(1e-5)
    assert sorted(rates[10:], reverse=True) == rates[10:]


@pytest.mark.parametrize("wrong", [{"n_passes": 0}, {"min_lr": 1.0}, {"warmup": 1.0}])
def test_an_impossible_plan_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="found"):
        Plan(**{"n_passes": 1, **wrong})


def test_what_begins_from_nothing_learns_faster() -> None:
    model = models.create("sleepgpt-night")
    adamw = make_optimizer(model, Plan(n_passes=1, fresh_factor=5.0))
    set_rate(adamw, 1e-3)
    rate_of = {id(p): g["lr"] for g in adamw.param_groups for p in g["params"]}
    assert rate_of[id(model.language.tokens.weight)] == 1e-3
    assert rate_of[id(model.head.weight)] == pytest.approx(5e-3)
    assert len(rate_of) == len(list(model.parameters()))


def test_published_schedules_change_from_pass_to_pass() -> None:
    plan = Plan(n_passes=10, lr=1e-3, warmup=0.2, schedule="step")
    rates = [learning_rate(step, 40, plan) for step in range(40)]
    assert rates[:4] == [plan.min_lr] * 4  # the first pass
    assert rates[4:8] == [pytest.approx(5e-4)] * 4
    assert rates[23] == pytest.approx(1e-3)
    assert rates[24] == pytest.approx(1e-4)
    assert rates[-1] == pytest.approx(1e-5)
