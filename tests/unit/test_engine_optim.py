"""Decay on matrices alone, and a learning rate that rises, falls and ends where it should."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import models
from engine.optim import Plan, learning_rate, make_optimizer, set_rate

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


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


@pytest.mark.parametrize(
    "wrong",
    [
        *({"n_passes": 0}, {"min_lr": 1.0}, {"warmup": 1.0}, {"accumulate": 0}, {"ema": 1.0}),
        {"schedule": "cos", "max_steps": 100},
    ],
)
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


def test_the_exponential_schedule_is_that_of_wav2sleep() -> None:
    published = json.loads((FIXTURES / "wav2sleep_prep.json").read_text())["lr"]
    for settings in published.values():
        plan = Plan(
            n_passes=1,
            lr=settings["lr_max"],
            min_lr=0,
            schedule="exponential",
            warmup_steps=settings["warmup_steps"],
            decay_steps=settings["tau"],
        )
        for step, rate in settings["lr_at_optimizer_step"].items():
            assert learning_rate(int(step), 20_000, plan) == pytest.approx(rate, rel=1e-12)


def test_the_lpsgm_schedule_is_the_published_one() -> None:
    # train.sh: 25 passes, 10 of them rising; values as its class gives them
    plan = Plan(n_passes=25, lr=1e-4, min_lr=1e-8, warmup=10 / 25, schedule="lpsgm")
    rates = [learning_rate(4 * n_pass, 100, plan) for n_pass in range(25)]
    assert rates[:10] == pytest.approx([n * 1e-5 for n in range(10)])
    assert rates[10:13] == pytest.approx([8.263e-5, 7.495e-5, 6.709e-5], rel=1e-3)
    assert rates[-2:] == pytest.approx([1.99e-6, 5.1e-7], rel=1e-2)
    fine = Plan(n_passes=100, lr=1e-4, min_lr=1e-8, warmup=0.15, schedule="lpsgm")
    assert max(learning_rate(n, 100, fine) for n in range(100)) == pytest.approx(9.333e-5, rel=1e-3)


def test_the_cosine_of_synthsleepnet_is_that_of_pytorch() -> None:
    plan = Plan(n_passes=20, lr=1e-4, min_lr=0, warmup=0, schedule="cos")
    adam = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1e-4)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, T_max=20)
    for n_pass in range(20):
        assert learning_rate(7 * n_pass, 140, plan) == pytest.approx(cosine.get_last_lr()[0])
        adam.step()
        cosine.step()


def test_a_constant_rate_stays_after_its_rise() -> None:
    plan = Plan(n_passes=1, lr=1e-3, warmup_steps=4, schedule="constant")
    rates = [learning_rate(step, 50, plan) for step in range(50)]
    assert rates == pytest.approx([2.5e-4, 5e-4, 7.5e-4] + [1e-3] * 47)


def test_the_end_of_all_steps_moves_the_cosine() -> None:
    assert Plan(n_passes=10).n_steps(100) == 1000
    assert Plan(n_passes=10, max_steps=250).n_steps(100) == 250


def test_papers_that_decay_everything_and_parameters_that_never_decay() -> None:
    class Scan(torch.nn.Linear):
        undecayed = ("a_log",)

        def __init__(self) -> None:
            super().__init__(2, 2)
            self.a_log = torch.nn.Parameter(torch.zeros(2, 2))

    model = Scan()
    by_decay = {
        decay: {
            id(parameter): group["weight_decay"]
            for group in make_optimizer(model, Plan(1, decay=decay)).param_groups
            for parameter in group["params"]
        }
        for decay in ("matrices", "all")
    }
    assert by_decay["matrices"] == {id(model.weight): 5e-4, id(model.bias): 0, id(model.a_log): 0}
    assert set(by_decay["all"].values()) == {5e-4}


def test_adam_and_its_epsilon_can_be_had() -> None:
    made = make_optimizer(torch.nn.Linear(2, 2), Plan(1, optimizer="adam", eps=1e-3))
    assert type(made) is torch.optim.Adam
    assert made.param_groups[0]["eps"] == 1e-3
