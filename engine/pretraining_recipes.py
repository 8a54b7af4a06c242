"""How NeuroNet and SynthSleepNet are pre-trained: as published, and small ones as a trial."""

from __future__ import annotations

from dataclasses import dataclass, replace

import models
from engine.optim import Plan

ADAMW = (0.9, 0.999)  # PyTorch's default, which the published code leaves alone


@dataclass(frozen=True)
class PretrainingRecipe:
    """Settings of one pre-training.

    Parameters
    ----------
    plan : Plan
        Its rate is that of `batch_size`; other batches change it in proportion, as published.
    batch_size : int
        Epochs per step.
    mask_ratio, temperature : float
        See `engine.pretraining.PretrainingTask`.
    val_share : float
        Share of the persons on whom the pass is chosen.
    """

    plan: Plan
    batch_size: int
    mask_ratio: float
    temperature: float
    val_share: float = 0.1


def _published(n_passes: int, lr: float, clip: float) -> Plan:
    """Return the published plan: half a cosine that changes from pass to pass, no warm-up."""
    return Plan(
        n_passes,
        lr=lr,
        min_lr=0.0,
        warmup=0.0,
        weight_decay=0.01,
        betas=ADAMW,
        clip=clip,
        decay="all",
        schedule="cos",
    )


_ONE = PretrainingRecipe(_published(20, 1e-4, 2.0), 256, mask_ratio=0.8, temperature=0.05)
_ORIGINAL = replace(_ONE, plan=_published(30, 1e-5, 0.0))
_SEVERAL = PretrainingRecipe(_published(100, 1e-4, 2.0), 256, mask_ratio=0.4, temperature=0.1)
# a processor, minutes: few steps want a higher rate
_TRIAL = Plan(10, lr=1e-3, min_lr=1e-5, warmup=0.1, weight_decay=0.01, betas=ADAMW, clip=2.0)
RECIPES = {
    "neuronet": {
        # the published EEG script is the only one that does not clip
        "eeg": replace(_ONE, plan=_published(20, 1e-4, 0.0)),
        **dict.fromkeys(("eog", "emg", "ecg"), _ONE),
        **dict.fromkeys(("original-b", "original-t"), _ORIGINAL),
    },
    "synthsleepnet": dict.fromkeys(("paper", "paper-eeg"), _SEVERAL),
}
TRIALS = {
    "neuronet": replace(_ONE, plan=_TRIAL, batch_size=64, val_share=0.2),
    "synthsleepnet": replace(_SEVERAL, plan=_TRIAL, batch_size=32, val_share=0.2),
}


def pretraining_recipe(model: str, preset: str) -> PretrainingRecipe:
    """Return how the preset of a model is pre-trained; small presets as a trial.

    Raises
    ------
    ValueError
        If the model has no such preset.
    """
    if preset not in (known := models.presets(model)):
        raise ValueError(f"no preset {preset!r} of {model!r}; there are {', '.join(known)}")
    return RECIPES[model].get(preset, TRIALS[model])
