"""Stagers learn: the loss falls within seconds on a few short simulated nights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.log import RunFolder
from engine.optim import Plan
from engine.recipes import Recipe
from engine.staging_fit import build, fit, loss_weights
from engine.staging_nights import drawn, gather, parts_of
from engine.staging_settings import Training
from recordings.simulate.cohort import Cohort
from tests.makers.simulated_store import simulated_store

SHORT = Plan(6, lr=1e-3, min_lr=1e-4, warmup=0.0, weight_decay=1e-3, betas=(0.9, 0.999))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four people, half an hour each."""
    cohort = Cohort(4, hours=0.5, montage="aasm9")
    return simulated_store(tmp_path_factory.mktemp("store"), cohort, view="psg9,bb100")


@pytest.mark.parametrize(
    ("model", "view", "channels", "given"),
    [
        ("lpsgm", "psg9", ("C4",), {"preset": "small"}),
        ("tinysleepnet-cnn", "bb100", ("C4",), {}),
    ],
)
def test_the_loss_falls(
    store: Path, tmp_path: Path, model: str, view: str, channels: tuple, given: dict
) -> None:
    cfg = Training(nights=(store / view,), model=model, channels=channels, **given)
    recipe = Recipe(SHORT, batch_size=2, window=20, class_weights="balanced")
    torch.manual_seed(0)
    stager, nights = build(cfg, recipe), gather(cfg.nights)
    split = drawn(nights, seed=0, val_share=0.25, test_share=0.0)
    folder, parts = RunFolder(tmp_path / "run"), parts_of(nights, split.folds[0])
    assert len(loss_weights(recipe, parts["train"], 5)) == 5
    fit(stager, recipe, cfg, parts, folder, split=split, fold=0, about={})
    losses = [row["loss"] for row in folder.rows()]
    assert losses[-1] < 0.8 * losses[0]
