"""One training of a stager from nights to judged weights: what stands behind `main_train.py`."""

from __future__ import annotations

import ast
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

import models
from command_line import dump
from engine import distributed, weights
from engine.checkpoint import load_weights
from engine.log import RunFolder
from engine.recipes import Recipe, recipe_for
from engine.spectra import fit_statistics, own_statistics
from engine.staging_nights import (
    StoredNight,
    card_of,
    drawn,
    gather,
    parts_of,
    stage_counts,
    stored_split,
    usable,
)
from engine.staging_settings import Settings
from engine.staging_task import StagingTask, class_weights, predict, summary
from engine.train import train
from engine.window_source import WindowSource
from evaluation.metrics import compare
from evaluation.outputs import NightOutput, write_outputs
from nights.atomic import write_text
from nights.augment import Augment
from nights.splits import Split, write_split
from nights.windows import NightWindows, crop_channels, drop_channels

DRAWS = {"none": None, "crop": crop_channels, "drop": drop_channels}
DRY_NIGHTS = {"train": 2, "val": 1, "test": 1}  # of a dry run, the shortest of each part
SIMULATED = "Simulated nights: no person slept them; the figures tell that the code learns."
logger = logging.getLogger("nightstack")


def train_stager(
    cfg: Settings,
    *,
    model: str,
    preset: str,
    fields: Sequence[str] = (),
    classes: int = 5,
    init: str = "",
    split: str = "",
    fold: int = 0,
    hold_out: Sequence[str] = (),
    test_share: float = 0.1,
    out: Path,
) -> dict[str, Any]:
    """Train a stager from scratch, test it on people it has not seen, and return the results.

    Parameters
    ----------
    cfg : Settings
    model, preset : str
        Name in the registry, and of its recipe or preset.
    fields : sequence of str
        `KEY=VALUE` fields of the model's configuration.
    classes : int
        5, or 4 for W L D R.
    init : str
        Weights of the step before, of a model that is trained in steps (`begin_from`).
    split, fold : str, int
        A stored split and the fold of it; drawn by person when empty.
    hold_out, test_share
        As in `staging_nights.drawn`.
    out : Path
        Run folder. Besides what `engine.train` writes it gets config.json (all of `cfg`), splits/,
        test.npz (`evaluation.outputs`) and results.json.
    """
    with distributed.processes(cfg.device) as device:
        begin(cfg)
        recipe = changed(recipe_for(model, preset), cfg)
        built = build(model, preset, recipe, fields=fields, channels=cfg.channels, classes=classes)
        if init:
            _begin_from(built, init)
        nights = chosen(cfg, built)
        if split:
            divided = stored_split(nights, split)
        else:
            shares = {"val_share": recipe.val_share, "test_share": test_share}
            divided = drawn(nights, seed=cfg.seed, hold_out=hold_out, **shares)
        folder = RunFolder(out, resume=cfg.resume, writers=cfg.writers)
        if distributed.is_first():
            dump(cfg, folder.config)
        parts = parts_of(nights, divided.folds[fold])
        about = {"trained_by": "main_train.py", "preset": preset, "recipe": recipe.note}
        fit(built.to(device), recipe, cfg, parts, folder, split=divided, fold=fold, about=about)
        if not distributed.is_first() or not parts["test"]:
            return {}
        best, _ = load_weights(folder.best)
        outputs = test(best.to(device), parts["test"], cfg)
        write_outputs(out / "test.npz", outputs)
        results = {"model": model, "preset": preset, **judged(outputs, seed=cfg.seed)}
        write_text(out / "results.json", json.dumps(results, indent=2) + "\n")
        return results


def begin(cfg: Settings) -> None:
    """Set what holds for a whole process: threads, the log on the console, the seed of models."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(cfg.threads)
    torch.manual_seed(cfg.seed)


def changed(recipe: Recipe, cfg: Settings) -> Recipe:
    """Return the recipe with what was asked for instead; a dry run takes two steps."""
    plan = replace(recipe.plan, **cfg.plan_changes)
    if cfg.min_lr is None:
        plan = replace(plan, min_lr=min(plan.min_lr, plan.lr))
    recipe = replace(recipe, plan=plan, **cfg.recipe_changes)
    if not cfg.dry_run:
        return recipe
    short = replace(plan, n_passes=1, max_steps=0, evaluate_every=0, save_every=0, accumulate=1)
    # of three people one validates, so that a handful of nights will do
    return replace(recipe, plan=short, batch_size=2, val_share=1 / 3)


def build(
    name: str,
    preset: str,
    recipe: Recipe,
    *,
    fields: Sequence[str] = (),
    channels: Sequence[str] = (),
    classes: int = 5,
) -> Any:
    """Build a stager as its preset and recipe say, but for the fields and channels named.

    Raises
    ------
    ValueError
        For a model that is no stager, an unknown field, or several channels for a model of one.
    """
    if name not in models.stagers():
        raise ValueError(f"no stager {name!r}; there are {', '.join(models.stagers())}")
    presets = models.presets(name)
    config = asdict(presets.get(preset, next(iter(presets.values()))))
    config |= {**recipe.config, **dict(map(_field, fields)), "n_classes": classes}
    if channels and "channels" in config:
        config["channels"] = tuple(channels)
    elif channels:
        if len(channels) > 1:
            raise ValueError(f"{name} reads one channel, found {' '.join(channels)}")
        config["channel"] = channels[0]
    return own_statistics(models.create(name, **config))


def _begin_from(model: Any, init: str) -> None:
    """Give a model that is trained in steps what the step before has learned."""
    if not hasattr(model, "begin_from"):
        kind = type(model).__name__
        raise ValueError(f"{kind} is trained in one step; to tune weights: main_finetune.py --init")
    model.begin_from(weights.load(init)[0].state_dict())


def chosen(cfg: Settings, model: Any) -> list[StoredNight]:
    """Return the nights that can be used, and say which cannot."""
    nights, left_out = usable(gather(cfg.nights), reads(model, cfg))
    for name, why in left_out.items():
        logger.info("left out: %s: %s", name, why)
    return nights


def reads(model: Any, cfg: Settings) -> dict[str, int]:
    """Return {channel: samples per epoch} of what the model is given: all it knows, or fewer."""
    if unknown := [name for name in cfg.channels if name not in model.channels]:
        listed = ", ".join(model.channels)
        raise ValueError(f"--channels {' '.join(unknown)}: the model reads {listed}")
    return {c: n for c, n in model.channels.items() if not cfg.channels or c in cfg.channels}


def fit(
    model: Any,
    recipe: Recipe,
    cfg: Settings,
    parts: dict[str, list[StoredNight]],
    folder: RunFolder,
    *,
    split: Split,
    fold: int,
    about: Mapping[str, Any],
    frozen: tuple[str, ...] = (),
) -> None:
    """Train the model on `parts["train"]`, chosen by `parts["val"]`; the best lies in `folder`."""
    if cfg.dry_run:
        parts = shortest(parts)
    if distributed.is_first():
        write_split(folder.path, split)
    length, channels = model.window or recipe.window, reads(model, cfg)
    windows = open_windows(
        channels,
        parts["train"],
        length,
        stride=recipe.stride or length,
        seed=cfg.seed,
        trim_epochs=cfg.trim_epochs,
        channel_draw=DRAWS[recipe.channel_draw],
        augment=Augment(recipe.shift_s, recipe.gain, recipe.swap),
    )
    n_batches = 2 * distributed.size() if cfg.dry_run else 0
    source = WindowSource(
        windows,
        recipe.batch_size,
        n_batches=n_batches,
        balance=cfg.balance,
        by_stage=getattr(model, "balanced", False),
        workers=cfg.workers,
    )
    by_window = recipe.validate == "windows" and model.window is not None
    held_out = open_windows(
        channels,
        parts["val"],
        model.window if by_window else None,
        keep_tail=True,
        trim_epochs=cfg.trim_epochs if by_window else None,
    )
    task = StagingTask(
        class_weights=loss_weights(recipe, parts["train"], model.config.n_classes),
        frozen=frozen,
        trim_epochs=cfg.trim_epochs,
        headline=recipe.headline,
    )
    if not folder.last.exists():  # a resumed run has them among its weights
        every = {"keep_tail": True, "keep_unscored": True}
        fit_statistics(model, open_windows(channels, parts["train"], 20, **every))
    card = {**card_of(parts, split, split.folds[fold], windows.channels), **about}
    train(model, task, source, held_out, recipe.plan, folder, seed=cfg.seed, card=card)


def open_windows(
    channels: Iterable[str], nights: Sequence[StoredNight], n_epochs: int | None, **options: Any
) -> NightWindows:
    """Return windows of nights with those of `channels` that any of them has."""
    channels = [name for name in channels if any(name in night.samples for night in nights)]
    paths = [night.path for night in nights]
    return NightWindows(paths, channels, n_epochs, normalise=nights[0].normalise, **options)


def loss_weights(recipe: Recipe, nights: Sequence[StoredNight], n_classes: int) -> Sequence[float]:
    """Return the weight of each class in the loss; of five stages they do not fit four classes."""
    if recipe.class_weights == "none":
        return ()
    if recipe.class_weights == "balanced" or len(recipe.class_weights) != n_classes:
        return class_weights(stage_counts(nights, n_classes))
    return cast("tuple[float, ...]", recipe.class_weights)


def test(model: Any, nights: Sequence[StoredNight], cfg: Settings) -> list[NightOutput]:
    """Stage nights as in use, every stride-1 window of them."""
    if cfg.dry_run:
        nights = shortest({"test": list(nights)})["test"]
    windows = open_windows(reads(model, cfg), nights, None)
    return list(predict(model, windows, trim_epochs=cfg.trim_epochs))


def judged(outputs: Sequence[NightOutput], *, seed: int) -> dict[str, Any]:
    """Return the pooled figures with 95 % intervals by person, and those of each data set."""
    n_classes = len(outputs[0].classes)
    sides = [o.labels for o in outputs], [o.stages for o in outputs]
    persons, rng = [o.person for o in outputs], np.random.default_rng(seed)
    compared = compare(*sides, n_classes)
    intervals = {
        score: asdict(compared.interval(score, persons=persons, rng=rng))
        for score in ("accuracy", "kappa", "macro_f1")
    }
    return {
        "n_nights": len(outputs),
        "n_persons": len(set(persons)),
        "simulated": any(output.simulated for output in outputs),
        "scores": summary(outputs),
        "intervals": intervals,
    }


def table(results: Mapping[str, Any]) -> str:
    """Return results as text, in percent: pooled, and of each data set when there are several."""
    rows: dict[str, dict[str, float]] = {"all": {}}
    for name, value in results["scores"].items():
        dataset, _, score = name.rpartition("/")
        rows.setdefault(dataset or "all", {})[score] = value
    scores = list(dict.fromkeys(score for row in rows.values() for score in row))
    lines = [f"{'':<16}" + "".join(f"{score:>10}" for score in scores)]
    for name, row in rows.items():
        shown = (row.get(s, np.nan) * (1 if s == "nll" else 100) for s in scores)
        lines.append(f"{name:<16}" + "".join(f"{value:10.2f}" for value in shown))
    kappa = results["intervals"]["kappa"]
    lines.append(
        f"kappa {100 * kappa['value']:.2f} (95 % by person {100 * kappa['low']:.2f} to "
        f"{100 * kappa['high']:.2f})"
    )
    lines.append(f"{results['n_nights']} nights of {results['n_persons']} persons")
    return "\n".join([*lines, *([SIMULATED] if results["simulated"] else [])]) + "\n"


def shortest(parts: Mapping[str, list[StoredNight]]) -> dict[str, list[StoredNight]]:
    """Return one or two short nights of each part, for a dry run."""
    return {
        part: sorted(nights, key=lambda night: night.n_epochs)[: DRY_NIGHTS[part]]
        for part, nights in parts.items()
    }


def _field(text: str) -> tuple[str, Any]:
    """Read `KEY=VALUE`."""
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"field {text!r}: KEY=VALUE is wanted, such as n_blocks=6")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value
