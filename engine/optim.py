"""The optimizer and the learning rate of every training here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

Schedule = Literal["smooth", "constant", "exponential", "cos", "step", "lpsgm"]
Precision = Literal["fp32", "bf16", "fp16"]
HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}  # of `Plan.precision`
BY_PASS = ("cos", "step", "lpsgm")  # schedules that change from pass to pass


@dataclass(frozen=True)
class Plan:
    """How long, how fast and how precisely to train.

    Parameters
    ----------
    n_passes : int
        Runs over the training data.
    lr, min_lr : float
        Learning rate at its height and at its least.
    warmup : float
        Share of all steps in which the learning rate rises from zero.
    warmup_steps : int
        The same as a number of steps; used instead of `warmup` when it is not 0.
    weight_decay : float
        By `decay`: `matrices` spares biases and norms (tensors of fewer than two dimensions) and
        what a model names in `undecayed`; `all` spares nothing, as many papers trained.
    optimizer : str
        `adamw`, or `adam`, whose decay is a term of the gradient.
    betas, eps : (float, float), float
        Of the optimizer.
    clip : float
        Largest norm of the gradient; 0 = as it comes.
    patience : int
        Evaluations in a row without a better headline metric after which to stop; 0 = never.
    min_steps : int
        Steps before which patience stops nothing.
    max_steps : int
        Steps after which to stop in any case; 0 = when the passes are done.
    evaluate_every : int
        Steps between evaluations, each a row of the log; 0 = one after each pass.
    save_every : int
        Steps between two writings of last.pt; 0 = one after each evaluation.
    accumulate : int
        Batches per step and process. Their gradient is that of one batch of all of them.
    precision : str
        `fp32`; `bf16` or `fp16` run matrix products in half precision and keep float32 weights.
        Models are judged in float32, as they are saved.
    compile : bool
        Train a compiled copy of the forward pass; a minute at the beginning, faster steps.
    ema : float
        Decay per step of the running average of the weights, which is then what is judged and
        saved as best; 0 = none.
    ema_start : int
        Step from which on weights are averaged.
    schedule : str
        After a linear rise, step by step: `smooth` falls on half a cosine to `min_lr`, `constant`
        stays, `exponential` falls by a factor e in `decay_steps`. `cos` and `step` (SleepGPT) and
        `lpsgm` are as published and change from pass to pass: see `published_rate`.
    decay_steps : float
        Of the exponential schedule; wav2sleep's second release took 10 000, its first 6000.
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
    optimizer: Literal["adamw", "adam"] = "adamw"
    eps: float = 1e-8
    decay: Literal["matrices", "all"] = "matrices"
    warmup_steps: int = 0
    decay_steps: float = 10_000
    accumulate: int = 1
    precision: Precision = "fp32"
    compile: bool = False
    ema: float = 0.0
    ema_start: int = 0
    max_steps: int = 0
    min_steps: int = 0
    evaluate_every: int = 0
    save_every: int = 0

    def __post_init__(self) -> None:
        if self.n_passes < 1:
            raise ValueError(f"n_passes must be at least 1, found {self.n_passes}")
        if not 0 <= self.min_lr <= self.lr:
            raise ValueError(f"min_lr must lie between 0 and lr, found {self.min_lr} and {self.lr}")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup is a share of the steps, 0 to 1, found {self.warmup}")
        if self.accumulate < 1:
            raise ValueError(f"accumulate must be at least 1, found {self.accumulate}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema is a decay per step, 0 to 1, found {self.ema}")
        if self.schedule in BY_PASS and (self.max_steps or self.warmup_steps):
            raise ValueError(
                f"max_steps and warmup_steps go with a schedule by steps, found {self.schedule!r}"
            )

    def n_steps(self, steps_per_pass: int) -> int:
        """Return the steps of the whole training."""
        n_steps = self.n_passes * steps_per_pass
        return min(n_steps, self.max_steps) if self.max_steps else n_steps


def make_optimizer(model: nn.Module, plan: Plan) -> torch.optim.Optimizer:
    """Return the optimizer of the plan over the trainable parameters.

    Each group holds its `factor` of the learning rate, which `set_rate` applies.
    """
    fresh = tuple(f"{part}." for part in getattr(model, "fresh", ()))
    undecayed = getattr(model, "undecayed", ())
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            spared = parameter.ndim < 2 or name.rpartition(".")[2] in undecayed
            decays = plan.decay == "all" or not spared
            key = (decays, bool(fresh) and name.startswith(fresh))
            groups.setdefault(key, []).append(parameter)
    kind = torch.optim.Adam if plan.optimizer == "adam" else torch.optim.AdamW
    return kind(
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
        eps=plan.eps,
    )


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its share of the learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


def learning_rate(step: int, n_steps: int, plan: Plan) -> float:
    """Return the learning rate of step 0..n_steps-1 by the schedule of the plan."""
    if plan.schedule in BY_PASS:
        n_pass = step * plan.n_passes // n_steps
        n_warmup = round(plan.warmup * plan.n_passes)
        return published_rate(n_pass, plan, n_warmup=n_warmup)
    n_warmup = plan.warmup_steps or int(plan.warmup * n_steps)
    if step < n_warmup:
        return plan.lr * (step + 1) / n_warmup
    if plan.schedule == "constant":
        return plan.lr
    if plan.schedule == "exponential":
        # wav2sleep counts steps from 1, so that the step after the height already falls
        gone = (step + 1 - n_warmup) / plan.decay_steps
        return max(plan.min_lr, plan.lr * math.exp(-gone))
    return _cosine((step - n_warmup) / max(1, n_steps - n_warmup), plan)


def published_rate(n_pass: int, plan: Plan, *, n_warmup: int = 10) -> float:
    """Return the learning rate of pass 0..n_passes-1 as SleepGPT or LPSGM set it.

    SleepGPT: a rise from pass to pass, so that pass 0 runs at the least rate; then half a cosine
    (`cos`), or a tenth of the rate from each of 60 and 80 percent of the passes on (`step`). With
    no warm-up `cos` is what SynthSleepNet was pre-trained with.
    """
    if plan.schedule == "lpsgm":
        return _lpsgm_rate(n_pass, plan, n_warmup)
    if n_pass < n_warmup:
        return max(plan.min_lr, plan.lr * n_pass / n_warmup)
    if plan.schedule == "step":
        drops = (int(share * plan.n_passes) for share in (0.6, 0.8))
        return plan.lr * 0.1 ** sum(n_pass >= drop for drop in drops)
    return _cosine((n_pass - n_warmup) / (plan.n_passes - n_warmup), plan)


def _lpsgm_rate(n_pass: int, plan: Plan, n_warmup: int) -> float:
    """Return LPSGM's rate: pass 0 at rate 0, a cosine begun where the rise ended, below `lr`.

    Its class chains a warm-up to PyTorch's recursive cosine, whose phase counts from pass 0.
    """
    if n_pass < n_warmup:
        return plan.lr * n_pass / n_warmup
    height, first = plan.lr, 0
    if n_warmup:
        height, first = plan.lr * (n_warmup - 1) / n_warmup, n_warmup - 1
    now, then = (1 + math.cos(math.pi * p / plan.n_passes) for p in (n_pass, first))
    return plan.min_lr + (height - plan.min_lr) * now / then


def _cosine(done: float, plan: Plan) -> float:
    """Return the rate on half a cosine, from `lr` at 0 down to `min_lr` at 1."""
    return plan.min_lr + (plan.lr - plan.min_lr) * 0.5 * (1 + math.cos(math.pi * done))
