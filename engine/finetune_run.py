"""Weights tuned to a centre, fold by fold, and what that gains: behind `main_finetune.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

import models
from command_line import dump
from engine import distributed, weights
from engine.checkpoint import load_weights
from engine.log import RunFolder
from engine.recipes import finetune_recipe
from engine.spectra import own_statistics
from engine.staging_fit import begin, changed, chosen, fit, logger, stage_nights
from engine.staging_nights import StoredNight, drawn_folds, parts_of, stored_split
from engine.staging_results import SIMULATED, judged
from engine.staging_settings import Tuning
from evaluation.metrics import compare
from evaluation.outputs import NightOutput, read_outputs, write_outputs
from evaluation.paired import paired_gain
from nights.atomic import write_text
from nights.splits import Split
from recordings.views import VIEWS

SCORES = ("accuracy", "kappa", "macro_f1")
# The other modes are the model's, by name: `finetune_parts`
MODES = {"all": ("",), "head": ("head.",)}


def finetune_stager(cfg: Tuning) -> dict[str, Any]:
    """Tune weights to a centre in folds by person; every person is tested once, before and after.

    `cfg.out` gets config.json and results.json, and for each fold a run folder `fold<N>` with
    before.npz and after.npz. With `cfg.resume` finished folds are left alone and begun ones go on.

    Returns
    -------
    dict
        `before`, `after`: figures pooled over the folds; `gain`: after minus before, with 95 %
        intervals by person. Empty in all processes but the first.

    Raises
    ------
    ValueError
        If the weights are of another view than the nights, or the model has no such mode.
    """
    with distributed.processes(cfg.device) as device:
        begin(cfg)
        model, card = _weights(cfg)
        nights = chosen(cfg, model)
        check_view(cfg.init, card, nights)
        split = _folds(cfg, card["model"], nights)
        if distributed.is_first():
            dump(cfg, cfg.out / "config.json")
        numbers = cfg.fold or range(1 if cfg.dry_run else len(split.folds))
        folders = {number: cfg.out / f"fold{number}" for number in numbers}
        for number, folder in folders.items():
            if not (cfg.resume and (folder / "after.npz").exists()):
                logger.info("fold %d of %d", number, len(split.folds))
                _tune_fold(cfg, nights, split, number, folder, device)
        if not distributed.is_first():
            return {}
        results = {"init": cfg.init, "mode": cfg.mode, "seen_before": _seen(card, nights)}
        results |= gains(list(folders.values()), seed=cfg.seed)
        write_text(cfg.out / "results.json", json.dumps(results, indent=2) + "\n")
        return results


def _folds(cfg: Tuning, model: str, nights: Sequence[StoredNight]) -> Split:
    """Return the folds that were asked for; a dry run makes three."""
    if cfg.split:
        return stored_split(nights, cfg.split)
    share = changed(finetune_recipe(model), cfg).val_share
    n_folds = min(3, cfg.folds) if cfg.dry_run else cfg.folds
    return drawn_folds(nights, n_folds, seed=cfg.seed, val_share=share, label=cfg.label)


def _tune_fold(
    cfg: Tuning,
    nights: Sequence[StoredNight],
    split: Split,
    number: int,
    out: Path,
    device: torch.device,
) -> None:
    """Judge the weights on the fold's test people, tune them to the others, judge again."""
    begin(cfg)  # each fold from the same state, so that it can be run alone
    model, card = _weights(cfg)
    parts = parts_of(nights, split.folds[number])
    begun = (out / "last.pt").exists()
    folder = RunFolder(out, resume=cfg.resume and begun, writers=cfg.writers)
    if distributed.is_first() and not (out / "before.npz").exists():
        write_outputs(out / "before.npz", stage_nights(model.to(device), parts["test"], cfg))
    model = own_statistics(model).to(device)
    recipe = changed(finetune_recipe(card["model"]), cfg)
    about: dict[str, Any] = {"trained_by": "main_finetune.py", "init": cfg.init, "mode": cfg.mode}
    about["simulated"] = bool(card.get("simulated")) or any(night.simulated for night in nights)
    frozen = freeze(model, cfg.mode)
    fit(model, recipe, cfg, parts, folder, split=split, fold=number, about=about, frozen=frozen)
    if distributed.is_first():
        best, _ = load_weights(folder.best)
        write_outputs(out / "after.npz", stage_nights(best.to(device), parts["test"], cfg))


def freeze(model: Any, mode: str) -> tuple[str, ...]:
    """Leave only the parameters of a mode to be trained; return the parts that hold none of them.

    Raises
    ------
    ValueError
        If the model has no such mode.
    """
    modes = {**MODES, **getattr(model, "finetune_parts", {})}
    if mode not in modes:
        kind = type(model).__name__
        raise ValueError(f"{kind} has no mode {mode!r}; there are {', '.join(modes)}")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and name.startswith(modes[mode]))
    return tuple(
        name
        for name, part in model.named_children()
        if not any(parameter.requires_grad for parameter in part.parameters())
    )


def gains(folders: Sequence[Path], *, seed: int) -> dict[str, Any]:
    """Return the figures before and after, pooled over folds, and what was gained by person."""
    sides: dict[str, list[NightOutput]] = {
        side: [night for folder in folders for night in read_outputs(folder / f"{side}.npz")]
        for side in ("before", "after")
    }
    n_classes = len(sides["after"][0].classes)
    before, after = (
        compare([o.labels for o in outputs], [o.stages for o in outputs], n_classes)
        for outputs in sides.values()
    )
    persons, rng = [output.person for output in sides["after"]], np.random.default_rng(seed)
    gained = {
        score: asdict(paired_gain(before, after, score, persons=persons, rng=rng))
        for score in SCORES
    }
    return {side: judged(outputs, seed=seed) for side, outputs in sides.items()} | {"gain": gained}


def gain_table(results: Mapping[str, Any]) -> str:
    """Return before, after and gain as text, in percent and points."""
    lines = [f"{'':<10}{'before':>9}{'after':>9}   gain (95 % by person)"]
    for score in SCORES:
        before, after = (100 * results[side]["scores"][score] for side in ("before", "after"))
        told = {name: 100 * value for name, value in results["gain"][score].items()}
        gain = "{value:+.2f} ({low:+.2f} to {high:+.2f})".format(**told)
        lines.append(f"{score:<10}{before:9.2f}{after:9.2f}   {gain}")
    after = results["after"]
    lines.append(f"{after['n_nights']} nights of {after['n_persons']} persons, each tested once")
    if n_seen := results["seen_before"]:
        lines.append(f"{n_seen} of the nights trained the weights already: before is too good")
    if after["simulated"]:
        lines.append(SIMULATED)
    return "\n".join(lines) + "\n"


def _weights(cfg: Tuning) -> tuple[Any, dict[str, Any]]:
    """Return the model of weights and their card, which names the model too.

    A model of one channel reads whichever is named.
    """
    model: Any
    model, card = weights.load(cfg.init)
    name = models.name_of(model)
    if not card.get("view"):
        raise ValueError(f"weights {cfg.init!r} are no stager: they name no view of signals")
    if cfg.channels and hasattr(model.config, "channel"):
        other = models.create(name, **{**asdict(model.config), "channel": cfg.channels[0]})
        other.load_state_dict(model.state_dict())
        model = other.eval()
    return model, {**card, "model": name}


def check_view(init: str, card: Mapping[str, Any], nights: Sequence[StoredNight]) -> None:
    """Refuse nights of another view than that of the weights."""
    wanted, view = card["view"], nights[0].view
    expected = card.get("view_hash") or VIEWS[wanted].hash
    if view["hash"] != expected:
        raise ValueError(
            f"weights {init!r} read view {wanted!r} ({expected[:8]}), the nights are of "
            f"{view['name']!r} ({view['hash'][:8]}): preprocess them with --view {wanted}"
        )


def _seen(card: Mapping[str, Any], nights: Sequence[StoredNight]) -> int:
    """Count the nights that the weights were trained or chosen with."""
    split = card.get("split", {})
    seen = {name for part in ("train", "val") for name in split.get(part, ())}
    return sum(night.name in seen for night in nights)
