"""How each stager is trained: the settings of its paper, of its published script, and of a trial.

A recipe is data. What a flag of `main_train.py` names goes before it. Where papers leave a setting
open, the published code's stands here; where we depart from both, `note` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Literal

import models
from engine.optim import Plan

ChannelDraw = Literal["none", "crop", "drop", "wav2sleep"]

# Hard-coded in LPSGM's train.py: normalised inverse frequencies of W N1 N2 N3 R in its sources.
LPSGM_WEIGHTS = (0.07903392, 0.47365554, 0.06655968, 0.19538417, 0.18536669)
_PLAN_FIELDS = {entry.name for entry in fields(Plan)}
ADAM = (0.9, 0.999)  # PyTorch's and TensorFlow's default, which the papers' codes leave alone


@dataclass(frozen=True)
class Recipe:
    """Settings of one training.

    Parameters
    ----------
    plan : Plan
        Length, rates, optimizer.
    batch_size : int
        Windows per step.
    config : mapping
        Fields of the model's configuration that differ from its first preset.
    window, stride : int
        Epochs of a training window, for models that take any number, 0 = whole nights; epochs from
        one window to the next, 0 = its length.
    channel_draw : str
        `crop` keeps k of C channels of a window, k uniform; `drop` drops each with probability 0.5;
        `wav2sleep` each with a probability of its own (`nights.signal_masking`).
    class_weights : tuple of float or str
        In the loss; `balanced` = inverse frequencies of the training nights, `none` = all alike.
    shift_s, gain, swap, flip : float
        See `nights.augment.Augment`.
    val_share : float
        Share of the persons that validate.
    headline : str
        Metric on the validation nights that chooses the weights.
    validate : str
        `windows` side by side, or whole `nights` as in use; the final test is always on nights.
    note : str
        Where this departs from what was published.
    """

    plan: Plan
    batch_size: int
    config: Mapping[str, Any] = field(default_factory=dict)
    window: int = 20
    stride: int = 0
    channel_draw: ChannelDraw = "none"
    class_weights: tuple[float, ...] | Literal["none", "balanced"] = "none"
    shift_s: float = 0.0
    gain: float = 0.0
    swap: float = 0.0
    flip: float = 0.0
    val_share: float = 0.1
    headline: Literal["kappa", "accuracy", "macro_f1", "nll"] = "kappa"
    validate: Literal["windows", "nights"] = "windows"
    note: str = ""


_LPSGM_NOTE = (
    "warm-up and cosine change from step to step and reach the full rate (the published schedule, "
    "--schedule lpsgm, begins at rate 0 and never does); cuts are drawn anew in every pass (the "
    "published ones repeat); only what was recorded is encoded"
)
_LPSGM_SCRIPT = Plan(
    25,
    lr=1e-4,
    min_lr=1e-8,
    warmup=10 / 25,
    weight_decay=1e-4,
    betas=ADAM,
    clip=1.0,
    decay="all",
)
_TINY = Plan(
    200,
    lr=1e-4,
    min_lr=1e-4,
    warmup=0.0,
    weight_decay=0.0,
    betas=ADAM,
    clip=5.0,
    schedule="constant",
    optimizer="adam",
    patience=50,
)
# wav2sleep, second release; the first, its article's, differs in three numbers.
_WAV2SLEEP = Plan(
    50,
    lr=1e-3,
    min_lr=0.0,
    warmup=0.0,
    warmup_steps=2000,
    schedule="exponential",
    decay_steps=10_000,
    weight_decay=1e-4,
    betas=ADAM,
    clip=1.0,
    decay="all",
    patience=5,
    ema_start=2000,
)
_WAV2SLEEP_NIGHTS = Recipe(
    _WAV2SLEEP,
    batch_size=16,
    window=0,
    channel_draw="wav2sleep",
    flip=0.5,
    headline="nll",
    validate="nights",
    note=(
        "nights as long as they were recorded, scaled by what was recorded (published: all of "
        "10 h, the rest zeros)"
    ),
)
_WAV2SLEEP_PAPER = replace(
    _WAV2SLEEP_NIGHTS,
    plan=replace(_WAV2SLEEP, weight_decay=1e-2, clip=0.0, decay_steps=6000, accumulate=4),
    batch_size=4,
)
_TRIAL = Plan(8, lr=1e-3, min_lr=1e-5, warmup=0.1, weight_decay=1e-2, betas=ADAM, clip=1.0)

RECIPES: dict[str, dict[str, Recipe]] = {
    "lpsgm": {
        # section 'Implementation' of the paper; dropout and clipping are in the code alone
        "paper": Recipe(
            Plan(
                35,
                lr=1e-4,
                min_lr=1e-6,
                warmup=15 / 35,
                weight_decay=1e-3,
                betas=ADAM,
                clip=1.0,
                optimizer="adam",
                decay="all",
            ),
            batch_size=512,
            config={"channels": ("F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2")},
            channel_draw="drop",
            class_weights="balanced",
            headline="accuracy",
            note=_LPSGM_NOTE,
        ),
        # train.sh of the published code
        "script": Recipe(
            _LPSGM_SCRIPT,
            batch_size=32,
            channel_draw="crop",
            class_weights=LPSGM_WEIGHTS,
            headline="accuracy",
            note=_LPSGM_NOTE,
        ),
        # a processor, simulated nights, minutes: LPSGM-Small
        "trial": Recipe(
            Plan(8, lr=5e-4, min_lr=1e-6, warmup=0.1, weight_decay=1e-3, betas=ADAM, clip=1.0),
            batch_size=4,
            config={"n_blocks": 1},
            channel_draw="crop",
            class_weights="balanced",
        ),
    },
    "tinysleepnet-cnn": {
        "paper": Recipe(
            _TINY,
            batch_size=15,
            class_weights=(1.0, 1.5, 1.0, 1.0, 1.0),
            shift_s=1.7,  # 10 % of an epoch to either side, as a standard deviation
            headline="macro_f1",
            note="weighted loss is divided by the sum of the weights, published by the epochs",
        ),
    },
}
RECIPES["wav2sleep"] = {
    **{preset: _WAV2SLEEP_NIGHTS for preset in models.presets("wav2sleep")},
    **{preset: _WAV2SLEEP_PAPER for preset in ("paper", "paper-small")},
    # a processor, simulated nights, minutes
    "trial": replace(
        _WAV2SLEEP_NIGHTS,
        plan=Plan(10, lr=3e-3, min_lr=1e-5, warmup=0.1, weight_decay=1e-2, betas=ADAM, clip=1.0),
        batch_size=2,
        config={
            **{"initial_channels": 8, "max_channels": 32, "width": 32, "feedforward": 64},
            **{"n_heads": 4, "n_sequence_blocks": 1, "n_dilations": 5},
        },
        note="",
    ),
}
# SleepPPG-Net as the baseline of wav2sleep was trained: one signal, never left out
RECIPES["ppgnet"] = {
    preset: replace(recipe, channel_draw="none", config={})
    for preset, recipe in RECIPES["wav2sleep"].items()
    if preset in ("paper", "current", "trial")
}
# how SleepGPT's stagers were trained is not published: the settings of TinySleepNet
RECIPES |= dict.fromkeys(
    ("tinysleepnet-seq", "deepsleepnet-cnn", "mscsleepnet"), RECIPES["tinysleepnet-cnn"]
)
# What the articles say beside what these networks declare themselves (`training_plan`). Where every
# window of a night is taken, each epoch comes as often as the window is long.
_EVERY_WINDOW = {"stride": 1, "headline": "accuracy", "evaluate_every": 100}
DETAILS: dict[str, dict[str, Any]] = {
    "seqsleepnet": _EVERY_WINDOW,
    "e2e-deepsleepnet": {**_EVERY_WINDOW, "patience": 50, "min_steps": 1000},
    "e2e-arnn": {"evaluate_every": 500, "headline": "accuracy"},
    "multitask-arnn": {"evaluate_every": 500, "headline": "accuracy"},
    # 10 % of an epoch to either side, as a standard deviation
    "tinysleepnet": {"shift_s": 1.7, "headline": "macro_f1"},
    "deepsleepnet": {"headline": "macro_f1"},
}
PLAIN = {
    "trial": Recipe(_TRIAL, batch_size=8, class_weights="balanced"),
}

# The transfer article of SeqSleepNet (TBME 2021): as in training, but stop when it gets no better.
TRANSFER = {"patience": 50, "min_steps": 1000}
# What fine-tuning on a centre changes: finetune.sh of LPSGM.
FINETUNE: dict[str, Recipe] = {
    "lpsgm": Recipe(
        Plan(
            100,
            lr=1e-4,
            min_lr=1e-8,
            warmup=0.15,
            weight_decay=1e-4,
            betas=ADAM,
            clip=1.0,
            decay="all",
        ),
        batch_size=32,
        channel_draw="crop",
        class_weights=LPSGM_WEIGHTS,
        val_share=0.2,
        headline="accuracy",
        note=_LPSGM_NOTE,
    ),
    # as people with a few nights of their own do it, with --mode sequence
    "wav2sleep": replace(
        _WAV2SLEEP_NIGHTS,
        plan=replace(
            _WAV2SLEEP, lr=1e-4, min_lr=1e-4, schedule="constant", warmup_steps=0, ema_start=0
        ),
        batch_size=4,
        val_share=0.2,
        note="",
    ),
}
FINETUNE["ppgnet"] = replace(FINETUNE["wav2sleep"], channel_draw="none")
PLAIN_FINETUNE = Recipe(
    Plan(20, lr=1e-4, min_lr=1e-6, warmup=0.1, weight_decay=1e-2, betas=ADAM, patience=8),
    batch_size=16,
    class_weights="balanced",
    val_share=0.2,
)


def recipe_for(model: str, preset: str) -> Recipe:
    """Return the recipe `preset` of a stager.

    Parameters
    ----------
    model : str
        Name in the registry.
    preset : str
        Name of a recipe (`trial` is there for every stager), or of a preset of the model, which is
        then trained as the paper says, or as a trial where no paper does.

    Raises
    ------
    ValueError
        If there is none of that name; the message lists those there are.
    """
    there = {**PLAIN, **RECIPES.get(model, {}), **_declared(model, preset)}
    presets = models.presets(model)
    if preset in presets:
        return there.get(preset, there.get("paper", there["trial"]))
    if preset not in there:
        listed = ", ".join(dict.fromkeys([*there, *presets]))
        raise ValueError(f"no preset {preset!r} of {model!r}; there are {listed}")
    return there[preset]


def finetune_recipe(model: str) -> Recipe:
    """Return how weights of this stager are tuned to a centre."""
    declared = _declared(model, "paper", TRANSFER)
    return FINETUNE.get(model, declared.get("paper", PLAIN_FINETUNE))


def _declared(
    model: str, preset: str, changes: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Recipe]:
    """Return {"paper": recipe} of a model that says in `training_plan` how it was trained.

    Where that depends on the preset (the two steps of DeepSleepNet), one is built to be asked.
    """
    kind = models.entry(model)[0]
    plan: Any = getattr(kind, "training_plan", None)
    if isinstance(plan, property):
        presets = models.presets(model)
        config = presets.get(preset, next(iter(presets.values())))
        plan = models.create(model, **vars(config)).training_plan
    if plan is None:
        return {}
    told = {"n_passes": 10, **plan, **DETAILS.get(model, {}), **changes}
    told.setdefault("min_lr", min(told["lr"], Plan.min_lr))
    of_plan = {name: told.pop(name) for name in list(told) if name in _PLAN_FIELDS}
    return {"paper": Recipe(Plan(**of_plan), **told)}
