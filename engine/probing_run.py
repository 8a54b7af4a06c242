"""Few labels on a pre-trained encoder, fold by fold and fraction by fraction: `main_probe.py`."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

import models
from command_line import dump
from engine import distributed
from engine.checkpoint import load_weights
from engine.features import Features, make_features, weights_file
from engine.finetune_run import check_view
from engine.log import RunFolder
from engine.probing_batches import FeatureSource, SignalSource
from engine.probing_labels import Labels, Target, limited
from engine.probing_recipes import RECIPES, ProbingRecipe
from engine.probing_results import judged
from engine.probing_settings import Probing
from engine.probing_task import EpochTask, Held
from engine.staging_fit import begin, field_of, open_windows
from engine.staging_nights import (
    StoredNight,
    card_of,
    drawn_folds,
    gather,
    parts_of,
    stored_split,
)
from engine.staging_task import class_weights
from engine.train import train
from evaluation.outputs import read_outputs, write_outputs
from models.neuronet import NeuroNet
from models.synthsleepnet import SynthSleepNet
from nights.atomic import write_text
from nights.night import Night, NightError
from nights.splits import Split, write_split

logger = logging.getLogger("nightstack")


def probe(cfg: Probing) -> dict[str, Any]:
    """Learn the task from each fraction of the labels, test on people that nothing has seen.

    `cfg.out` gets config.json, results.json and for each fraction a folder `labels<percent>` with
    test.npz (every epoch's probabilities) and a run folder `fold<N>` for each fold, whose weights
    `main_stage_slm.py --stager` takes when the task is staging.

    Returns
    -------
    dict
        `fractions` {fraction: figures of the test nights}; empty in all processes but the first.

    Raises
    ------
    ValueError
        If the nights cannot be used or all their persons have been seen by the encoder.
    """
    with distributed.processes(cfg.device) as device:
        begin(cfg)
        if not cfg.resume and any(cfg.out.glob("labels*")):
            raise FileExistsError(
                f"{cfg.out}: holds a run; continue it with --resume or name another"
            )
        run = _Run(cfg, device)
        if distributed.is_first():
            dump(cfg, cfg.out / "config.json")
            write_split(cfg.out, run.split)
        results: dict[str, Any] = {
            "task": cfg.task,
            "event_rule": cfg.event_rule if run.target.events else None,
            "mode": "scratch" if cfg.scratch else cfg.mode,
            "context": cfg.context,
            "fractions": {},
        }
        for fraction in cfg.fractions:
            found = run.fraction(fraction)
            results["fractions"][f"{fraction:g}"] = found
        if not distributed.is_first():
            return {}
        write_text(cfg.out / "results.json", json.dumps(results, indent=2) + "\n")
        return results


def export(cfg: Probing) -> Features | None:
    """Write the embedding of every epoch of all nights, and a picture of them.

    Of several processes the first does it; the others wait, and return None.
    """
    assert cfg.export is not None
    with distributed.processes(cfg.device) as device:
        begin(cfg)
        init, model, card = _pretrained(cfg)
        channels = _channels(cfg, model)
        nights = _readable(gather(cfg.nights), channels)
        check_view(cfg.init, card, nights)
        if cfg.dry_run:
            nights = nights[:3]
        features = None
        if distributed.is_first():
            features = make_features(cfg.export, init, nights, channels, device)
            if cfg.picture != "none":
                _draw(features, nights, cfg.picture, seed=cfg.seed)
        distributed.gather(0)  # a process that ends early would end the others
    return features


class _Run:
    """What all folds and fractions share."""

    def __init__(self, cfg: Probing, device: torch.device) -> None:
        init, self.pretrained, self.model_card = _pretrained(cfg)
        self.cfg, self.device, self.recipe = cfg, device, _changed(cfg)
        self.target = Target.of(cfg.task, cfg.classes, cfg.event_rule)
        self.channels = _channels(cfg, self.pretrained)
        nights = _readable(gather(cfg.nights), self.channels)
        check_view(cfg.init, self.model_card, nights)
        self.labels = _labels(nights, self.target)
        nights = [night for night in nights if night.name in self.labels]
        self.nights = {night.name: night for night in nights}
        self.split = self._divided()
        self.features: Features | None = None
        if cfg.mode == "probe":
            folder = cfg.features or cfg.out / "features"
            if distributed.is_first():
                make_features(folder, init, nights, self.channels, device)
            distributed.gather(0)  # the others wait; nothing is missing then
            self.features = make_features(folder, init, nights, self.channels, device)

    def fraction(self, fraction: float) -> dict[str, Any]:
        """Train and test every fold with this fraction of the labels; return the figures."""
        out = self.cfg.out / f"labels{100 * fraction:g}"
        numbers = list(self.cfg.fold or range(len(self.split.folds)))
        numbers = numbers[:2] if self.cfg.dry_run else numbers
        counts = []
        for number in numbers:
            folder = out / f"fold{number}"
            parts = self._parts(number)
            known = self._known(parts, fraction)
            counts.append(sum(int((own >= 0).sum()) for own in known["train"].values()))
            if not (self.cfg.resume and (folder / "test.npz").exists()):
                logger.info("%g %% of the labels, fold %d", 100 * fraction, number)
                self._fold(folder, number, parts, known)
        if not distributed.is_first():
            return {}
        folds = [read_outputs(out / f"fold{number}" / "test.npz") for number in numbers]
        write_outputs(out / "test.npz", [night for fold in folds for night in fold])
        told = {"n_labelled": round(float(np.mean(counts))), "n_folds": len(folds)}
        return told | judged(folds, seed=self.cfg.seed)

    def _fold(
        self,
        out: Path,
        number: int,
        parts: Mapping[str, list[StoredNight]],
        known: Mapping[str, Labels],
    ) -> None:
        """Train on the known labels of a fold, and test."""
        cfg = self.cfg
        begin(cfg)  # each fold from the same state, so that it can be run alone
        begun = (out / "last.pt").exists()
        folder = RunFolder(out, resume=cfg.resume and begun, writers=cfg.writers)
        model = self._model().to(self.device)
        counts = np.bincount(
            np.concatenate([own[own >= 0] for own in known["train"].values()]),
            minlength=len(self.target.classes),
        )
        weights = class_weights(counts.tolist()) if self._balanced else ()
        task = EpochTask(
            self.target.classes,
            class_weights=weights,
            headline=cfg.headline or self.recipe.headline,
            whole=cfg.mode == "whole",
        )
        rule = parts["train"][0].normalise(model)
        fold = self.split.folds[number]
        card = card_of(dict(parts), self.split, fold, list(self.channels), rule)
        card |= {"trained_by": "main_probe.py", "task": cfg.task, "mode": cfg.mode}
        card["balanced"] = self._balanced
        card |= {"event_rule": cfg.event_rule} if self.target.events else {}
        card |= {"classes": list(self.target.classes), "labels": counts.tolist()}
        card["simulated"] = bool(card["simulated"] or self.model_card.get("simulated"))
        held = [self._held(self.nights[name], own) for name, own in known["val"].items()]
        source = self._source(known["train"])
        train(model, task, source, held, self.recipe.plan, folder, seed=cfg.seed, card=card)
        if distributed.is_first():
            best = load_weights(folder.best)[0].to(self.device)
            tested = [self._held(night, self.labels[night.name]) for night in parts["test"]]
            write_outputs(out / "test.npz", task.predict(best, tested))

    @property
    def _balanced(self) -> bool:
        """Whether the loss weighs every class alike: as asked for, else where events are rare."""
        asked = self.cfg.class_weights
        return asked == "balanced" if asked else bool(self.target.events)

    def _model(self) -> Any:
        """Return the classifier on the pre-trained encoder; both drawn anew from scratch."""
        cfg = self.cfg
        model = reader_for(self.pretrained, cfg, len(self.target.classes))
        if cfg.mode == "probe":
            model.requires_grad_(False)
            model.reader.requires_grad_(True)
        elif cfg.mode == "whole":
            model.requires_grad_(True)
        return model

    def _source(self, labels: Labels) -> FeatureSource | SignalSource:
        """Return the training batches of these labels."""
        cfg = self.cfg
        length = cfg.context
        size = cfg.batch_size or max(1, self.recipe.batch_epochs // (length or 1000))
        n_batches = 2 * distributed.size() if cfg.dry_run else 0
        if self.features is not None:
            return FeatureSource(self.features, labels, length, size, n_batches=n_batches)
        windows = open_windows(
            self.pretrained,
            [self.nights[name] for name in labels],
            length or None,
            channels=self.channels,
            stride=max(1, length // 2),
            keep_tail=True,
        )
        return SignalSource(windows, labels, size, n_batches=n_batches, workers=cfg.workers)

    def _held(self, night: StoredNight, labels: np.ndarray) -> Held:
        """Return a night to be judged by these labels."""
        read = tuple(c for c in self.channels if c in night.samples)
        if self.features is not None:
            return Held(night, labels, read, features=self.features)
        windows = open_windows(
            self.pretrained, [night], None, channels=self.channels, keep_unscored=True
        )
        return Held(night, labels, read, windows=windows)

    def _divided(self) -> Split:
        """Return the folds, of the persons that the encoder has not seen."""
        cfg, nights = self.cfg, list(self.nights.values())
        if cfg.split:
            return stored_split(nights, cfg.split)
        unseen = [night for night in nights if night.group not in self._seen_persons]
        if not unseen:
            raise ValueError(
                f"the encoder has seen all {len(nights)} nights: nobody is left to be tested; keep "
                "persons away from the pre-training with --test-share, --hold-out or --split"
            )
        n_folds = min(3, cfg.folds) if cfg.dry_run else cfg.folds
        share = self.recipe.val_share
        return drawn_folds(unseen, n_folds, seed=cfg.seed, val_share=share)

    @property
    def _seen_persons(self) -> set[str]:
        """Persons whose signals the encoder was trained or chosen with."""
        seen = self.model_card.get("seen", ())
        return {self.nights[name].group for name in seen if name in self.nights}

    def _parts(self, number: int) -> dict[str, list[StoredNight]]:
        """Return the nights of a fold; with `label_seen` those the encoder saw are trained on."""
        parts = parts_of(list(self.nights.values()), self.split.folds[number])
        if self.cfg.label_seen:
            seen, placed = self._seen_persons, {n.name for own in parts.values() for n in own}
            parts["train"] += [
                n for n in self.nights.values() if n.group in seen and n.name not in placed
            ]
        return parts

    def _known(self, parts: Mapping[str, list[StoredNight]], fraction: float) -> dict[str, Labels]:
        """Return the labels that are left of those who train and those who validate."""
        known = {}
        for part in ("train", "val"):
            own = {night.name: self.labels[night.name] for night in parts[part]}
            persons = {night.name: night.group for night in parts[part]}
            how = {"by": self.cfg.label_by, "seed": self.cfg.seed}
            known[part] = limited(own, persons, fraction, **how)  # type: ignore[arg-type]
        return known


def reader_for(pretrained: Any, cfg: Probing, n_classes: int) -> Any:
    """Build the model that the mode and the context ask for, around a pre-trained encoder."""
    kind = "neuronet" if isinstance(pretrained, NeuroNet) else "synthsleepnet"
    single = cfg.mode == "probe" and cfg.context == 1
    name = f"{kind}-probe" if single else f"{kind}-context"
    known = {f.name for f in fields(models.entry(name)[1])}
    config = {k: v for k, v in vars(pretrained.config).items() if k in known}
    config |= {"n_classes": n_classes, "window": cfg.context or None}
    if kind == "neuronet":  # published: 1536 and 256 of 768
        config["hidden"] = 2 * config["width"] if single else config["width"] // 3
    model: Any = models.create(name, **config | dict(map(field_of, cfg.field)))
    if not cfg.scratch:
        model.take(pretrained)
    return model


def _pretrained(cfg: Probing) -> tuple[Path, Any, dict[str, Any]]:
    """Return the weights that `--init` means, the model in them and its card."""
    path = weights_file(cfg.init)
    model, card = load_weights(path)
    if not isinstance(model, NeuroNet | SynthSleepNet):
        raise ValueError(f"{cfg.init}: holds a {type(model).__name__}, not what main_pretrain made")
    return path, model, card


def _labels(nights: Sequence[StoredNight], target: Target) -> Labels:
    """Return the labels of every night that was scored for the target, and say which was not."""
    found = {night.name: target.labels(Night.open(night.path)) for night in nights}
    labels = {name: own for name, own in found.items() if own is not None}
    for name in found.keys() - labels.keys():
        logger.info("left out: %s: nobody scored it for %s", name, target.name)
    if not labels:
        raise NightError(f"none of the {len(nights)} nights was scored for {target.name}")
    return labels


def _changed(cfg: Probing) -> ProbingRecipe:
    """Return the recipe with what was asked for instead; a dry run takes two steps."""
    recipe, changes = RECIPES[cfg.preset][cfg.mode], cfg.plan_changes
    if "n_passes" in changes:  # a number of passes goes before the trial's number of steps
        changes = {"max_steps": 0, "evaluate_every": 0, **changes}
    if "lr" in changes:
        changes.setdefault("min_lr", min(recipe.plan.min_lr, changes["lr"]))
    if cfg.dry_run:
        changes |= {"n_passes": 1, "max_steps": 0, "evaluate_every": 0, "accumulate": 1}
    share = cfg.val_share if cfg.val_share is not None else recipe.val_share
    share = max(share, 0.5) if cfg.dry_run else share  # two persons are enough to try
    return replace(recipe, plan=replace(recipe.plan, **changes), val_share=share)


def _channels(cfg: Probing, model: Any) -> tuple[str, ...]:
    """Return the channels to read: all that the encoder knows, or fewer."""
    if unknown := [name for name in cfg.channels if name not in model.channels]:
        listed = ", ".join(model.channels)
        raise ValueError(f"--channels {' '.join(unknown)}: the encoder reads {listed}")
    return tuple(c for c in model.channels if not cfg.channels or c in cfg.channels)


def _readable(nights: Sequence[StoredNight], channels: Sequence[str]) -> list[StoredNight]:
    """Return the nights that have one of the channels, and say which have none."""
    kept, wanted = [], ", ".join(channels)
    for night in nights:
        if night.samples.keys() & set(channels):
            kept.append(night)
        else:
            logger.info("left out: %s: has none of %s", night.name, wanted)
    if not kept:
        raise NightError(f"none of the {len(nights)} nights has one of {wanted}")
    return kept


def _draw(
    features: Features,
    nights: Sequence[StoredNight],
    method: Literal["pca", "tsne"],
    *,
    seed: int,
) -> None:
    """Draw the embedded epochs of the nights, coloured by stage, beside the features."""
    from evaluation.plots.embedding import embedding_figure, projected
    from evaluation.plots.style import save_figure

    rows = np.concatenate([features.of(night.name) for night in nights]).astype(np.float32)
    stages = np.concatenate([np.asarray(Night.open(night.path).stages) for night in nights])
    rng = np.random.default_rng(seed)
    points, kept = projected(rows, method, rng=rng)
    title = f"{len(kept)} epochs of {len({night.person for night in nights})} persons"
    if features.manifest["simulated"]:
        title += ", simulated"
    figure = embedding_figure(points, stages[kept], title=title, method=method)
    save_figure(figure, features.folder / "embedding.png")
