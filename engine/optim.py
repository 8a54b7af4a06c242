"""The optimizer and the learning rate of every training here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

Schedule = Literal["smooth", "cos", "step"]


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train.

    Parameters
    ----------
    n_passes : int
        Runs over the training data.
    lr, min_lr : float
        Learning rate at its height and at the end of the cosine.
    warmup : float
        Share of all steps in which the learning rate rises from zero.
    weight_decay : float
        On tensors of two or more dimensions; biases and norms have none.
    betas : (float, float)
        Of AdamW.
    clip : float
        Largest norm of the gradient; 0 = as it comes.
    patience : int
        Passes without a better headline metric after which to stop; 0 = never.
    schedule : str
        `smooth`: a linear rise and half a cosine, step by step. `cos` and `step` are SleepGPT's,
        which change from pass to pass: see `published_rate`.
    fresh_factor : float
        Times the learning rate, for the parts a model names in `fresh`: those that stand behind
        weights trained before and begin from nothing.
    """

    n_passes: int
    lr: float = 5e-4
    min_lr: float = 1e-6
    warmup: float = 0.05
    weight_decay: float = 5e-4
    betas: tuple[float, float] = (0.9, 0.95)
    clip: float = 1.0
    patience: int = 0
    schedule: Schedule = "smooth"
    fresh_factor: float = 1.0

    def __post_init__(self) -> None:
        if self.n_passes < 1:
            raise ValueError(f"n_passes must be at least 1, found {self.n_passes}")
        if not 0 <= self.min_lr <= self.lr:
            raise ValueError(f"min_lr must lie between 0 and lr, found {self.min_lr} and {self.lr}")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup is a share of the steps, 0 to 1, found {self.warmup}")


def adamw(model: nn.Module, plan: Plan) -> torch.optim.AdamW:
    """Return AdamW over the trainable parameters, biases and norms without decay.

    Each group holds its `factor` of the learning rate, which `set_rate` applies.
    """
    fresh = tuple(f"{part}." for part in getattr(model, "fresh", ()))
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            key = (parameter.ndim >= 2, bool(fresh) and name.startswith(fresh))
            groups.setdefault(key, []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "weight_decay": plan.weight_decay if decays else 0.0,
                "factor": plan.fresh_factor if is_fresh else 1.0,
            }
            for (decays, is_fresh), parameters in groups.items()
        ],
        lr=plan.lr,
        betas=plan.betas,
    )


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its share of the learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


def learning_rate(step: int, n_steps: int, plan: Plan) -> float:
    """Return the learning rate of step 0..n_steps-1 by the schedule of the plan."""
    if plan.schedule != "smooth":
        n_pass = step * plan.n_passes // n_steps
        n_warmup = round(plan.warmup * plan.n_passes)
        return published_rate(n_pass, plan, n_warmup=n_warmup)
    n_warmup = int(plan.warmup * n_steps)
    if step < n_warmup:
        return plan.lr * (step + 1) / n_warmup
    return _cosine((step - n_warmup) / max(1, n_steps - n_warmup), plan)


def published_rate(n_pass: int, plan: Plan, *, n_warmup: int = 10) -> float:
    """Return the learning rate of pass 0..n_passes-1 as SleepGPT sets it.

    A rise from pass to pass, so that pass 0 runs at the least rate; then half a cosine (`cos`), or
    a tenth of the rate from each of 60 and 80 percent of the passes on (`step`).
    """
    if n_pass < n_warmup:
        return max(plan.min_lr, plan.lr * n_pass / n_warmup)
    if plan.schedule == "step":
        drops = (int(share * plan.n_passes) for share in (0.6, 0.8))
        return plan.lr * 0.1 ** sum(n_pass >= drop for drop in drops)
    return _cosine((n_pass - n_warmup) / (plan.n_passes - n_warmup), plan)


def _cosine(done: float, plan: Plan) -> float:
    """Return the rate on half a cosine, from `lr` at 0 down to `min_lr` at 1."""
    return plan.min_lr + (plan.lr - plan.min_lr) * 0.5 * (1 + math.cos(math.pi * done))
