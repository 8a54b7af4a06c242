"""Trainings from nights to judged weights, once or fold by fold: behind `main_train.py`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from command_line import dump
from engine import distributed, weights
from engine.checkpoint import load_weights
from engine.log import RunFolder
from engine.recipes import recipe_for
from engine.staging_fit import begin, build, changed, chosen, fit, logger, shortest, stage_nights
from engine.staging_nights import StoredNight, asked_folds, drawn, parts_of, stored_split
from engine.staging_results import judged
from engine.staging_settings import Training
from engine.subsets import subset_outputs
from evaluation.outputs import read_outputs, write_outputs
from nights.atomic import write_text
from nights.splits import Split


def train_stager(cfg: Training) -> dict[str, Any]:
    """Train a stager from scratch, test it on people it has not seen, and return the results.

    `cfg.out` gets config.json, results.json and test.npz (`evaluation.outputs`), and is the run
    folder of a single training; of a split with folds each has a run folder `fold<N>` of its own.
    With `cfg.resume` finished folds are left alone and begun ones go on.

    Returns
    -------
    dict
        Figures of the test nights, pooled over the folds; empty in all processes but the first, and
        where nobody is tested.

    Raises
    ------
    ValueError
        If the nights cannot be used, or the settings do not fit the model.
    """
    with distributed.processes(cfg.device) as device:
        nights = chosen(cfg, _built(cfg))
        split = _divided(cfg, nights)
        folders = {number: cfg.out / f"fold{number}" for number in asked_folds(split, cfg.fold)}
        if len(split.folds) == 1:
            folders = {0: cfg.out}
        for number, folder in folders.items():
            if len(folders) == 1 or not (cfg.resume and (folder / "test.npz").exists()):
                _train_fold(cfg, nights, split, number, folder, device)
        tested = [folder / "test.npz" for folder in folders.values()]
        if not distributed.is_first() or not all(path.exists() for path in tested):
            return {}
        outputs = [night for path in tested for night in read_outputs(path)]
        if len(tested) > 1:
            write_outputs(cfg.out / "test.npz", outputs)
            _pool_subsets(folders.values(), cfg.out)
        told = {"model": cfg.model, "preset": cfg.preset, "n_folds": len(tested)}
        results = {**told, **judged(outputs, seed=cfg.seed)}
        write_text(cfg.out / "results.json", json.dumps(results, indent=2) + "\n")
        return results


def _train_fold(
    cfg: Training,
    nights: Sequence[StoredNight],
    split: Split,
    number: int,
    out: Path,
    device: torch.device,
) -> None:
    """Train on the persons of one fold, and stage those it tests."""
    n_folds = len(split.folds)
    begun = (out / "last.pt").exists() if n_folds > 1 else True
    folder = RunFolder(out, resume=cfg.resume and begun, writers=cfg.writers)
    if distributed.is_first():
        dump(cfg, cfg.out / "config.json")
    if n_folds > 1:
        logger.info("fold %d of %d", number, n_folds)
    parts = parts_of(nights, split.folds[number])
    recipe = changed(recipe_for(cfg.model, cfg.preset), cfg)
    about = {"trained_by": "main_train.py", "preset": cfg.preset, "recipe": recipe.note}
    model = _built(cfg).to(device)
    fit(model, recipe, cfg, parts, folder, split=split, fold=number, about=about)
    if distributed.is_first() and parts["test"]:
        best, _ = load_weights(folder.best)
        best = best.to(device)
        write_outputs(out / "test.npz", stage_nights(best, parts["test"], cfg))
        if cfg.subsets:
            tested = shortest(parts)["test"] if cfg.dry_run else parts["test"]
            found = subset_outputs(best, tested, channels=cfg.channels, trim_epochs=cfg.trim_epochs)
            write_outputs(out / "subsets.npz", list(found))


def _pool_subsets(folders: Iterable[Path], out: Path) -> None:
    """Put what was said of the subsets of signals in every fold into one file."""
    found = [path for folder in folders if (path := folder / "subsets.npz").exists()]
    if found:
        write_outputs(out / "subsets.npz", [o for path in found for o in read_outputs(path)])


def _built(cfg: Training) -> Any:
    """Build the model anew, the same in every fold."""
    begin(cfg)
    recipe = recipe_for(cfg.model, cfg.preset)
    model = build(cfg, recipe)
    if cfg.init:
        if not hasattr(model, "begin_from"):
            raise ValueError(
                f"{cfg.model} is trained in one step; to tune weights: main_finetune.py --init"
            )
        model.begin_from(weights.load(cfg.init)[0].state_dict())
    return model


def _divided(cfg: Training, nights: Sequence[StoredNight]) -> Split:
    """Return the split that was asked for."""
    if cfg.split:
        return stored_split(nights, cfg.split)
    val_share = changed(recipe_for(cfg.model, cfg.preset), cfg).val_share
    shares = {"val_share": val_share, "test_share": cfg.test_share}
    return drawn(nights, seed=cfg.seed, hold_out=cfg.hold_out, **shares)
