"""Pre-training from nights to weights, of one modality or several: behind `main_pretrain.py`."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import models
from command_line import dump
from engine import distributed
from engine.checkpoint import load_weights
from engine.log import RunFolder
from engine.pretraining import PretrainingTask
from engine.pretraining_recipes import PretrainingRecipe, pretraining_recipe
from engine.pretraining_settings import Pretraining
from engine.staging_fit import DRAWS, begin, field_of, open_windows, shortest
from engine.staging_nights import StoredNight, card_of, drawn, gather, parts_of, stored_split
from engine.train import train
from engine.window_source import WindowSource
from models.neuronet import MODALITIES, EncoderConfig
from nights.night import NightError
from nights.splits import Split, write_split
from nights.windows import NightWindows, Windows

BEST = "best.safetensors"
logger = logging.getLogger("nightstack")


class FixedBatches:
    """The same batches of windows in every iteration, in an order drawn once.

    Neighbours in a night are alike; in one batch they would be harder to tell apart than epochs of
    many nights.
    """

    def __init__(self, windows: NightWindows, batch_size: int, *, seed: int = 0) -> None:
        order = torch.randperm(len(windows), generator=torch.Generator().manual_seed(seed))
        whole = max(1, len(order) // batch_size)  # a batch that is not full has an easier contrast
        self.windows, self.parts = windows, order.split(batch_size)[:whole]

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[Windows]:
        for part in self.parts:
            yield self.windows.__getitems__(part.tolist())


def pretrain(cfg: Pretraining) -> dict[str, Any]:
    """Learn from the signals of the training persons, choose the pass on those that validate.

    `cfg.out` is the run folder. The card of the weights lists under `seen` every night that took
    part, those of the encoders included: whoever judges the weights leaves those persons out.

    Returns
    -------
    dict
        The row of log.jsonl of the best pass; empty in all processes but the first.

    Raises
    ------
    ValueError
        If the nights cannot be used, an encoder is missing or does not fit, or an encoder has seen
        a person of whom this run keeps away.
    """
    with distributed.processes(cfg.device) as device:
        begin(cfg)
        recipe = changed(cfg)
        encoders = _encoders(cfg)
        model = build(cfg, encoders).to(device)
        nights = gather(cfg.nights)
        split = _divided(cfg, nights, recipe)
        seen = _check_unseen(nights, split, encoders)
        recorded = _recorded(nights, model.channels)
        there = {night.name for night in recorded}  # the split is of every night, for all encoders
        fold = split.folds[0].items()
        kept = {part: tuple(name for name in names if name in there) for part, names in fold}
        parts = parts_of(recorded, kept)
        if cfg.dry_run:
            parts = shortest(parts)
        folder = RunFolder(cfg.out, resume=cfg.resume, writers=cfg.writers)
        if distributed.is_first():
            dump(cfg, folder.config)
            write_split(cfg.out, split)
        card = card_of(
            parts, split, split.folds[0], list(model.channels), nights[0].normalise(model)
        )
        card |= {"trained_by": "main_pretrain.py", "preset": cfg.preset, "task": "pre-training"}
        card["encoders"] = {n: _told(p) for n, p in encoders.items() if n in model.channels}
        card["seen"] = sorted(seen | {n.name for part in ("train", "val") for n in parts[part]})
        best = _fit(model, recipe, cfg, parts, folder, card)
        return best if distributed.is_first() else {}


def changed(cfg: Pretraining) -> PretrainingRecipe:
    """Return the recipe with what was asked for instead; a dry run takes two steps."""
    recipe = pretraining_recipe(cfg.model, cfg.preset)
    names = ("batch_size", "mask_ratio", "temperature", "val_share")
    given = {name: getattr(cfg, name) for name in names if getattr(cfg, name) is not None}
    changes = cfg.plan_changes
    if "lr" not in changes:  # published: in proportion to the epochs of a step
        size = given.get("batch_size", recipe.batch_size) * (cfg.accumulate or 1)
        changes["lr"] = recipe.plan.lr * size * distributed.size() / recipe.batch_size
    changes.setdefault("min_lr", min(recipe.plan.min_lr, changes["lr"]))
    if cfg.dry_run:
        changes |= {"n_passes": 1, "max_steps": 0, "evaluate_every": 0, "accumulate": 1}
        given |= {"batch_size": 4, "val_share": 1 / 3}
    return replace(recipe, plan=replace(recipe.plan, **changes), **given)


def build(cfg: Pretraining, encoders: Mapping[str, Path]) -> Any:
    """Build the network of the preset; of several modalities around encoders trained before."""
    config = asdict(models.presets(cfg.model)[cfg.preset]) | dict(map(field_of, cfg.field))
    if cfg.channels:
        config["channels"] = cfg.channels
    if cfg.as_published:
        config["frame_norm"] = "per_frame"
        config |= {"decoder_split": "upstream"} if cfg.model == "synthsleepnet" else {}
    if cfg.model == "neuronet":
        return models.create(cfg.model, **config)
    trained = {name: load_weights(path)[0] for name, path in encoders.items()}
    if lacking := [name for name in config["channels"] if name not in trained]:
        raise ValueError(f"no encoder for {', '.join(lacking)}: name it with --encoders EEG=RUN")
    first: Any = trained[config["channels"][0]]
    config |= {f.name: getattr(first.config, f.name) for f in fields(EncoderConfig)}
    model: Any = models.create(cfg.model, **config)
    for name in config["channels"]:
        model.take_encoder(name, trained[name])
    return model


def one_channel(rng: np.random.Generator, channels: Sequence[str]) -> list[str]:
    """Keep one channel: every channel of a modality is a sample of its own.

    Two channels of one epoch in a batch would be told apart by the contrast.
    """
    return [channels[int(rng.integers(len(channels)))]] if channels else []


def _fit(
    model: Any,
    recipe: PretrainingRecipe,
    cfg: Pretraining,
    parts: Mapping[str, list[StoredNight]],
    folder: RunFolder,
    card: dict[str, Any],
) -> dict[str, Any]:
    """Train, and return the row of the best pass."""
    draw = one_channel if cfg.model == "neuronet" else DRAWS[cfg.channel_draw]

    def epochs(nights: Sequence[StoredNight], **options: Any) -> NightWindows:
        """Return windows of one epoch."""
        return open_windows(model, nights, 1, seed=cfg.seed, **options)

    source = WindowSource(
        epochs(parts["train"], keep_unscored=True, channel_draw=draw),
        recipe.batch_size,
        n_batches=2 * distributed.size() if cfg.dry_run else 0,
        workers=cfg.workers,
    )
    one = one_channel if cfg.model == "neuronet" else None
    held_out = FixedBatches(
        epochs(parts["val"], keep_unscored=not cfg.probe_nights, channel_draw=one),
        recipe.batch_size,
        seed=cfg.seed,
    )
    labelled = None
    if cfg.probe_nights:
        scored = [night for night in parts["train"] if sum(night.counts)]
        labelled = FixedBatches(epochs(scored[: cfg.probe_nights]), recipe.batch_size)
    task = PretrainingTask(
        mask_ratio=recipe.mask_ratio,
        temperature=recipe.temperature,
        alpha=cfg.alpha,
        detach_target=cfg.detach_target,
        labelled=labelled,
        seed=cfg.seed,
    )
    return train(model, task, source, held_out, recipe.plan, folder, seed=cfg.seed, card=card)


def _divided(cfg: Pretraining, nights: Sequence[StoredNight], recipe: PretrainingRecipe) -> Split:
    """Return the split; drawn from all nights, so that every modality has the same persons."""
    if cfg.split:
        return stored_split(nights, cfg.split)
    shares = {"val_share": recipe.val_share, "test_share": cfg.test_share}
    return drawn(nights, seed=cfg.seed, hold_out=cfg.hold_out, **shares)


def _recorded(nights: Sequence[StoredNight], channels: Mapping[str, int]) -> list[StoredNight]:
    """Return the nights, scored or not, that have one of the channels."""
    kept = [night for night in nights if channels.keys() & night.samples.keys()]
    logger.info("%d of %d nights have one of %s", len(kept), len(nights), ", ".join(channels))
    if not kept:
        raise NightError(f"none of the {len(nights)} nights has one of {', '.join(channels)}")
    for night in kept:
        for name in channels.keys() & night.samples.keys():
            if night.samples[name] != channels[name]:
                raise NightError(
                    f"night {night.name!r}: {name} has {night.samples[name]} samples per epoch, "
                    f"the model reads {channels[name]}: take the view it was made for (shhs7)"
                )
    return kept


def _encoders(cfg: Pretraining) -> dict[str, Path]:
    """Return {channel: weights} of what `--encoders` names by modality or by channel."""
    found: dict[str, Path] = {}
    for text in cfg.encoders:
        name, equals, where = text.partition("=")
        if not (name and equals and where):
            raise ValueError(f"--encoders {text}: NAME=RUN is wanted, such as EEG=runs/eeg")
        path = Path(where)
        path = path if path.suffix == ".safetensors" else path / BEST
        found |= dict.fromkeys(MODALITIES.get(name.lower(), (name,)), path)
    return found


def _check_unseen(
    nights: Sequence[StoredNight], split: Split, encoders: Mapping[str, Path]
) -> set[str]:
    """Return what the encoders have seen, and refuse those that have seen a person kept for later.

    Raises
    ------
    ValueError
        Naming the persons.
    """
    person = {night.name: night.group for night in nights}
    seen: set[str] = set()
    for path in set(encoders.values()):
        seen |= set(load_weights(path)[1].get("seen", ()))
    known = {person[name] for name in seen if name in person}
    kept = {person[name] for name in split.folds[0].get("test", ())}
    if both := sorted(known & kept):
        raise ValueError(
            f"the encoders have seen {len(both)} persons that this run keeps for tests, such as "
            f"{both[0]}: pre-train all on one --split, or with the same nights and --seed"
        )
    return seen


def _told(path: Path) -> dict[str, str]:
    """Return what a card says of an encoder's weights: no path of this machine."""
    return {"run": path.parent.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
