"""How a pre-trained encoder learns from labels: as published, and as a trial on a processor."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.optim import Plan
from engine.pretraining_recipes import ADAMW
from engine.probing_task import Headline


@dataclass(frozen=True)
class ProbingRecipe:
    """Settings of one training on labels.

    Parameters
    ----------
    plan : Plan
    batch_epochs : int
        Epochs per batch, in sequences of the context.
    headline : str
        Metric on the labels of the validation persons that chooses the weights.
    val_share : float
        Share of the persons not tested in a fold that validate.
    """

    plan: Plan
    batch_epochs: int
    headline: Headline
    val_share: float = 0.2


_CONSTANT = Plan(
    100,
    lr=2e-4,
    min_lr=2e-4,
    warmup=0.0,
    weight_decay=0.01,
    betas=ADAMW,
    clip=2.0,
    decay="all",
    schedule="constant",
)
# Few labels make short passes: the same number of steps whatever the fraction. Chosen by nll,
# because with a dozen labels of the validation persons every other figure comes in large steps.
_TRIAL = Plan(
    10_000,
    lr=1e-3,
    min_lr=1e-5,
    warmup=0.1,
    weight_decay=0.01,
    betas=ADAMW,
    clip=2.0,
    max_steps=300,
    evaluate_every=20,
)
_TUNED = replace(_CONSTANT, n_passes=30, lr=2.5e-4, min_lr=2.5e-4)
RECIPES = {
    "paper": {
        "probe": ProbingRecipe(_CONSTANT, 512, "macro_f1"),
        # 32 sequences of 20, four batches a step
        "tune": ProbingRecipe(replace(_TUNED, accumulate=4), 640, "macro_f1"),
        "whole": ProbingRecipe(_TUNED, 640, "macro_f1"),  # not published: the rates of tuning
    },
    "trial": {
        "probe": ProbingRecipe(_TRIAL, 64, "nll"),
        "tune": ProbingRecipe(replace(_TRIAL, max_steps=150), 32, "nll"),
        "whole": ProbingRecipe(replace(_TRIAL, max_steps=150), 32, "nll"),
    },
}
