"""Networks of heart and breath learn: the loss falls within seconds on short simulated nights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.log import RunFolder
from engine.optim import Plan
from engine.recipes import Recipe, recipe_for
from engine.staging_fit import build, fit
from engine.staging_nights import drawn, gather, parts_of
from engine.staging_settings import Training
from recordings.simulate.cohort import Cohort
from tests.makers.simulated_store import simulated_store

SHORT = Plan(12, lr=3e-3, min_lr=1e-4, warmup=0.1, weight_decay=1e-3, betas=(0.9, 0.999))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five people with home tests, half an hour each."""
    cohort = Cohort(5, hours=0.5, montage="home")
    return simulated_store(tmp_path_factory.mktemp("store"), cohort, view="cr")


@pytest.mark.slow
@pytest.mark.parametrize(("model", "channels"), [("wav2sleep", ()), ("ppgnet", ("PPG",))])
def test_the_loss_falls(store: Path, tmp_path: Path, model: str, channels: tuple) -> None:
    cfg = Training(nights=(store / "cr",), model=model, channels=channels, preset="trial")
    recipe = Recipe(SHORT, batch_size=2, window=0, config=recipe_for(model, "trial").config)
    torch.manual_seed(0)
    stager, nights = build(cfg, recipe), gather(cfg.nights)
    split = drawn(nights, seed=0, val_share=0.2, test_share=0.0)
    folder, parts = RunFolder(tmp_path / "run"), parts_of(nights, split.folds[0])
    fit(stager, recipe, cfg, parts, folder, split=split, fold=0, about={})
    losses = [row["loss"] for row in folder.rows()]
    assert losses[-1] < 0.8 * losses[0]
