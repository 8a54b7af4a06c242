"""Recipes: the numbers of papers and scripts, and what flags change."""

from __future__ import annotations

from pathlib import Path

import pytest

import models
from engine.recipes import DETAILS, FINETUNE, LPSGM_WEIGHTS, RECIPES, finetune_recipe, recipe_for
from engine.staging_fit import build, changed
from engine.staging_settings import Settings, Training, Tuning


def training(**given: object) -> Training:
    """Return settings with some nights."""
    return Training(nights=(Path("data"),), **given)  # type: ignore[arg-type]


def test_every_recipe_is_of_a_stager_and_every_stager_has_a_trial() -> None:
    assert {*RECIPES, *DETAILS, *FINETUNE} <= set(models.stagers())
    for name in models.stagers():
        assert recipe_for(name, "trial").plan.n_passes <= 10
        assert all(recipe_for(name, preset).batch_size for preset in models.presets(name))
        assert finetune_recipe(name).plan.lr <= 1e-4


def test_lpsgm_is_trained_as_its_paper_says() -> None:
    recipe = recipe_for("lpsgm", "paper")
    plan = recipe.plan
    assert (plan.n_passes, plan.lr, plan.min_lr, plan.weight_decay) == (35, 1e-4, 1e-6, 1e-3)
    assert round(plan.warmup * plan.n_passes) == 15
    assert (plan.optimizer, plan.betas, recipe.batch_size) == ("adam", (0.9, 0.999), 512)
    assert (recipe.channel_draw, recipe.class_weights) == ("drop", "balanced")
    model = build(training(), recipe)
    assert (len(model.channels), model.config.n_blocks, model.window) == (8, 4, 20)


def test_lpsgm_is_trained_as_its_script_does() -> None:
    recipe = recipe_for("lpsgm", "script")
    plan = recipe.plan
    assert (plan.n_passes, plan.lr, plan.min_lr, plan.weight_decay) == (25, 1e-4, 1e-8, 1e-4)
    assert round(plan.warmup * plan.n_passes) == 10
    assert (plan.optimizer, plan.clip, recipe.batch_size) == ("adamw", 1.0, 32)
    assert (recipe.channel_draw, recipe.class_weights) == ("crop", LPSGM_WEIGHTS)
    assert (recipe.shift_s, recipe.val_share, recipe.headline) == (0.0, 0.1, "accuracy")
    assert len(build(training(), recipe).channels) == 9


def test_lpsgm_is_tuned_as_its_script_does() -> None:
    recipe = finetune_recipe("lpsgm")
    assert (recipe.plan.n_passes, recipe.plan.lr, recipe.batch_size) == (100, 1e-4, 32)
    assert (recipe.val_share, recipe.class_weights) == (0.2, LPSGM_WEIGHTS)
    assert round(recipe.plan.warmup * 100) == 15


def test_seqsleepnet_is_trained_on_every_window_without_clipping_or_schedule() -> None:
    recipe = recipe_for("seqsleepnet", "paper")
    plan = recipe.plan
    assert (plan.optimizer, plan.lr, plan.schedule, plan.clip) == ("adam", 1e-4, "constant", 0)
    assert (recipe.batch_size, recipe.stride, plan.n_passes, plan.evaluate_every) == (
        32,
        1,
        10,
        100,
    )
    tuned = finetune_recipe("seqsleepnet").plan
    assert (tuned.patience, tuned.min_steps) == (50, 1000)


def test_deepsleepnet_has_a_recipe_for_each_step() -> None:
    first, second = (recipe_for("deepsleepnet", preset) for preset in ("representation", "paper"))
    assert (first.plan.lr, first.window, first.batch_size) == (1e-4, 1, 100)
    assert (second.plan.lr, second.plan.fresh_factor, second.window) == (1e-6, 100.0, 25)


def test_flags_go_before_the_recipe() -> None:
    cfg = training(lr=1e-9, batch_size=7, shift_s=1.0, ema=0.99, val_share=0.3)
    recipe = changed(recipe_for("lpsgm", "paper"), cfg)
    assert (recipe.plan.lr, recipe.plan.min_lr, recipe.plan.ema) == (1e-9, 1e-9, 0.99)
    assert (recipe.batch_size, recipe.shift_s, recipe.val_share) == (7, 1.0, 0.3)
    assert recipe.plan.n_passes == 35


def test_a_dry_run_is_short_whatever_the_recipe() -> None:
    for name in models.stagers():
        (preset, *_) = models.presets(name)
        plan = changed(recipe_for(name, preset), training(dry_run=True)).plan
        assert (plan.n_passes, plan.evaluate_every, plan.accumulate) == (1, 0, 1)


def test_fields_channels_and_classes_reach_the_model() -> None:
    cfg = training(field=("architecture=cat_avg", "n_blocks=2"), channels=("C4",), classes=4)
    config = build(cfg, recipe_for("lpsgm", "script")).config
    assert (config.architecture, config.n_blocks, config.n_classes) == ("cat_avg", 2, 4)
    assert config.channels == ("C4",)
    one = build(
        training(model="tinysleepnet-cnn", channels=("C4",)), recipe_for("mscsleepnet", "trial")
    )
    assert one.config.channel == "C4"


def test_a_preset_of_the_model_is_trained_as_the_paper_says() -> None:
    recipe = recipe_for("seqsleepnet", "paper-10")
    assert recipe == recipe_for("seqsleepnet", "paper")
    assert build(training(model="seqsleepnet", preset="paper-10"), recipe).window == 10


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"model": "yasa"}, "no stager 'yasa'; there are"),
        ({"field": ("n_blocks",)}, "KEY=VALUE is wanted"),
        ({"field": ("depth=3",)}, "has no depth"),
        ({"model": "tinysleepnet-cnn", "channels": ("C4", "C3")}, "reads one channel"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(given: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        build(training(**given), recipe_for("tinysleepnet-cnn", "trial"))


def test_an_unknown_preset_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="no preset 'best' of 'lpsgm'; there are trial, paper"):
        recipe_for("lpsgm", "best")


def test_settings_ask_for_what_they_need() -> None:
    with pytest.raises(ValueError, match="--nights PATH is wanted"):
        Settings()
    with pytest.raises(ValueError, match="--init NAME"):
        Tuning(nights=(Path("data"),))
