"""One fit of a stager: from a recipe and parts of nights to the best weights in a run folder."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, cast

import torch

import models
from engine import distributed
from engine.batch_size import find_batch_size
from engine.learning_settings import Learning
from engine.log import RunFolder
from engine.recipes import Recipe
from engine.spectra import fit_statistics, own_statistics
from engine.staging_nights import StoredNight, card_of, gather, stage_counts, usable
from engine.staging_settings import Settings, Training
from engine.staging_task import StagingTask, class_weights, predict
from engine.train import train
from engine.window_source import WindowSource
from evaluation.outputs import NightOutput
from nights.augment import Augment
from nights.signal_masking import wav2sleep_draw
from nights.splits import Split, write_split
from nights.windows import NightWindows, Windows, crop_channels, drop_channels

DRAWS = {
    **{"none": None, "crop": crop_channels, "drop": drop_channels},
    "wav2sleep": wav2sleep_draw,
}
DRY_NIGHTS = {"train": 2, "val": 1, "test": 1}  # of a dry run, the shortest of each part
logger = logging.getLogger("nightstack")


def begin(cfg: Settings | Learning) -> None:
    """Set what holds for a whole process: threads, the log on the console, the seed of models.

    Of several processes the first one tells what all of them do.
    """
    level = logging.INFO if distributed.is_first() else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s")
    torch.set_num_threads(cfg.threads)
    torch.manual_seed(cfg.seed)


def changed(recipe: Recipe, cfg: Settings) -> Recipe:
    """Return the recipe with what was asked for instead; a dry run takes two steps."""
    changes = cfg.plan_changes
    if cfg.min_lr is None:  # a low rate is still a rate
        changes["min_lr"] = min(recipe.plan.min_lr, changes.get("lr", recipe.plan.lr))
    plan = replace(recipe.plan, **changes)
    recipe = replace(recipe, plan=plan, **cfg.recipe_changes)
    if not cfg.dry_run:
        return recipe
    short = replace(plan, n_passes=1, max_steps=0, evaluate_every=0, save_every=0, accumulate=1)
    # of three people one validates, so that a handful of nights will do
    return replace(recipe, plan=short, batch_size=2, val_share=1 / 3)


def build(cfg: Training, recipe: Recipe) -> Any:
    """Build a stager as its preset and recipe say, but for the fields and channels named.

    Raises
    ------
    ValueError
        For a model that is no stager, an unknown field, or several channels for a model of one.
    """
    name, channels = cfg.model, cfg.channels
    if name not in models.stagers():
        raise ValueError(f"no stager {name!r}; there are {', '.join(models.stagers())}")
    presets = models.presets(name)
    config = asdict(presets.get(cfg.preset, next(iter(presets.values()))))
    config |= {**recipe.config, **dict(map(field_of, cfg.field))}
    if cfg.classes is not None:
        config["n_classes"] = cfg.classes
    if channels and "channels" in config:
        config["channels"] = tuple(channels)
    elif channels:
        if len(channels) > 1:
            raise ValueError(f"{name} reads one channel, found {' '.join(channels)}")
        config["channel"] = channels[0]
    return own_statistics(models.create(name, **config))


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
    train_nights, channels = parts["train"], reads(model, cfg)
    length = model.window or recipe.window or None
    task = StagingTask(
        class_weights=loss_weights(recipe, train_nights, model.config.n_classes),
        frozen=frozen,
        trim_epochs=cfg.trim_epochs,
        headline=recipe.headline,
    )
    if cfg.find_batch:
        full = sorted(train_nights, key=lambda n: (len(channels.keys() & n.samples), n.n_epochs))
        largest = open_windows(model, full[::-1], length, channels=channels)
        recipe = fitting(recipe, model, task, largest, cfg.memory_mb)
    windows = _training_windows(model, recipe, cfg, train_nights, length)
    source = WindowSource(
        windows,
        recipe.batch_size,
        n_batches=2 * distributed.size() if cfg.dry_run else 0,
        balance=cfg.balance,
        workers=cfg.workers,
    )
    if not folder.last.exists():  # a resumed run has them among its weights
        fit_statistics(model, _every_epoch(model, cfg, train_nights))
    held_out = _held_out(model, recipe, cfg, parts["val"])
    told = card_of(parts, split, split.folds[fold], windows.channels, windows.normalise)
    card = {**told, **about}
    train(model, task, source, held_out, recipe.plan, folder, seed=cfg.seed, card=card)


def _training_windows(
    model: Any,
    recipe: Recipe,
    cfg: Settings,
    nights: Sequence[StoredNight],
    length: int | None,
) -> NightWindows:
    """Return windows that are cut, cropped and changed anew in every pass."""
    return open_windows(
        model,
        nights,
        length,
        channels=reads(model, cfg),
        stride=recipe.stride or length,
        seed=cfg.seed,
        trim_epochs=cfg.trim_epochs,
        channel_draw=DRAWS[recipe.channel_draw],
        augment=Augment(recipe.shift_s, recipe.gain, recipe.swap, recipe.flip),
    )


def _every_epoch(model: Any, cfg: Settings, nights: Sequence[StoredNight]) -> NightWindows:
    """Return windows in which every epoch of the training nights stands once."""
    options = {"keep_tail": True, "keep_unscored": True, "trim_epochs": cfg.trim_epochs}
    return open_windows(model, nights, model.window and 20, channels=reads(model, cfg), **options)


def _held_out(
    model: Any, recipe: Recipe, cfg: Settings, nights: Sequence[StoredNight]
) -> NightWindows:
    """Return the validation nights as windows side by side, or whole."""
    if recipe.validate == "nights" or model.window is None:
        return open_windows(model, nights, None, channels=reads(model, cfg))
    options = {"keep_tail": True, "trim_epochs": cfg.trim_epochs}
    return open_windows(model, nights, model.window, channels=reads(model, cfg), **options)


def fitting(
    recipe: Recipe, model: Any, task: StagingTask, windows: NightWindows, limit_mb: float
) -> Recipe:
    """Return the recipe with the largest batch that fits, and as many of them as make its batch.

    `windows` begin with those of the most channels; the batch is tried on them without any draw.
    """

    def batch_of(size: int) -> Windows:
        """Return the first windows, from the beginning again where there are too few."""
        return windows.__getitems__([place % len(windows) for place in range(size)])

    target = recipe.batch_size * recipe.plan.accumulate * distributed.size()
    found = find_batch_size(model, task, batch_of, recipe.plan, target=target, limit_mb=limit_mb)
    logger.info("--batch-size %d --accumulate %d fits", found.batch_size, found.accumulate)
    plan = replace(recipe.plan, accumulate=found.accumulate)
    return replace(recipe, batch_size=found.batch_size, plan=plan)


def open_windows(
    model: Any,
    nights: Sequence[StoredNight],
    n_epochs: int | None,
    *,
    channels: Iterable[str] = (),
    **options: Any,
) -> NightWindows:
    """Return windows of nights, scaled as the model wants them.

    Of `channels` (default: all that the model reads) they have those that any of the nights has.
    """
    there = {name for night in nights for name in night.samples}
    wanted = [name for name in channels or model.channels if name in there]
    rule = nights[0].normalise(model)
    paths = [night.path for night in nights]
    return NightWindows(paths, wanted, n_epochs, normalise=rule, **options)


def loss_weights(recipe: Recipe, nights: Sequence[StoredNight], n_classes: int) -> Sequence[float]:
    """Return the weight of each class in the loss; of five stages they do not fit four classes."""
    if recipe.class_weights == "none":
        return ()
    if recipe.class_weights == "balanced" or len(recipe.class_weights) != n_classes:
        return class_weights(stage_counts(nights, n_classes))
    return cast("tuple[float, ...]", recipe.class_weights)


def stage_nights(model: Any, nights: Sequence[StoredNight], cfg: Settings) -> list[NightOutput]:
    """Stage nights as in use, every stride-1 window of them."""
    if cfg.dry_run:
        nights = shortest({"test": list(nights)})["test"]
    windows = open_windows(model, nights, None, channels=reads(model, cfg))
    return list(predict(model, windows, trim_epochs=cfg.trim_epochs))


def shortest(parts: Mapping[str, list[StoredNight]]) -> dict[str, list[StoredNight]]:
    """Return one or two short nights of each part, for a dry run."""
    return {
        part: sorted(nights, key=lambda night: night.n_epochs)[: DRY_NIGHTS[part]]
        for part, nights in parts.items()
    }


def field_of(text: str) -> tuple[str, Any]:
    """Read `KEY=VALUE`.

    Raises
    ------
    ValueError
        If there is no `=`.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"field {text!r}: KEY=VALUE is wanted, such as n_blocks=6")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value
