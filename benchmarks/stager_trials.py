"""Train any stager of the registry for a given time of one core on stored nights, and judge it.

What a stager is trained by here is the recipe `trial` of `engine.recipes`, the same for all; a
logistic regression on band powers of the same channels stands beside it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import models
from engine.checkpoint import load_weights
from engine.log import RunFolder
from engine.recipes import Recipe, recipe_for
from engine.spectra import fit_statistics
from engine.staging_fit import build, fit, loss_weights, open_windows, reads, stage_nights
from engine.staging_nights import StoredNight, drawn, gather, parts_of, usable
from engine.staging_settings import Training
from engine.staging_task import StagingTask, summary
from evaluation.metrics import confusion, metrics_from
from nights.splits import Split
from nights.stages import UNSCORED
from nights.windows import NightWindows, Windows
from recordings.channels import PREFERENCE
from recordings.views import VIEWS, View

# Delta, theta, alpha, sigma, beta in Hz; upper beta tells muscle from EEG
BANDS = ((0.5, 4), (4, 8), (8, 12), (12, 16), (16, 30), (30, 45))
NIGHT_EPOCHS = 960  # eight hours
# Networks of the size of a vision transformer learn by pre-training, not in a trial
LARGEST = 50_000_000
VALIDATIONS = 4  # in a trial


@dataclass(frozen=True)
class Nights:
    """The nights of one view, divided by person.

    Parameters
    ----------
    root : Path
        Store of the view.
    split : Split
    parts : dict
        Nights of train, val and test.
    """

    root: Path
    split: Split
    parts: dict[str, list[StoredNight]]


@dataclass(frozen=True)
class Trial:
    """What came of one training.

    Parameters
    ----------
    channels : tuple of str
        What the stager read.
    n_steps, step_s, cpu_s : int, float, float
        Steps taken, CPU seconds of one, and of the training with its validations.
    losses : list of float
        Mean training loss before each validation.
    scores : dict
        Of the test nights, staged as in use; see `engine.staging_task.summary`.
    night_s : float
        CPU seconds per night of eight hours.
    """

    channels: tuple[str, ...]
    n_parameters: int
    n_steps: int
    step_s: float
    cpu_s: float
    losses: list[float]
    scores: dict[str, float]
    night_s: float


def n_parameters(name: str, preset: str) -> int:
    """Return the parameters of a preset, without making them."""
    with torch.device("meta"):
        model = models.create(name, **vars(models.presets(name)[preset]))
    return sum(parameter.numel() for parameter in model.parameters())


def view_of(model: Any) -> View:
    """Return the view that a stager reads: the narrowest that has all its channels at their rate.

    Raises
    ------
    ValueError
        If no view has them.
    """
    for view in sorted(VIEWS.values(), key=lambda view: len(view.samples)):
        if all(view.samples.get(name) == n for name, n in model.channels.items()):
            return view
    raise ValueError(f"no view has {', '.join(model.channels)} at the rates of the model")


def open_nights(store: Path, view: View, hold_out: Sequence[str], *, seed: int = 0) -> Nights:
    """Divide the nights of a view below `store` by person; `hold_out` names whom to test.

    Where the view has none of them (a laboratory without belts), a quarter of the others is tested.
    """
    nights = gather([store / view.name])
    there = [name for name in hold_out if any(name in (n.dataset, n.part) for n in nights)]
    people = {n.group for n in nights if not {n.dataset, n.part} & set(there)}
    val_share = max(0.1, 1 / len(people))  # at least one of them
    split = drawn(nights, seed=seed, hold_out=there, val_share=val_share, test_share=0.25)
    return Nights(store / view.name, split, parts_of(nights, split.folds[0]))


def given_channels(model: Any, nights: Sequence[StoredNight]) -> tuple[str, ...]:
    """Return what to give a stager: what it declares, or of one derivation the best there is."""
    there = nights[0].samples
    if len(model.channels) == 1 and not model.channels.keys() & there.keys():
        return next((name,) for name in PREFERENCE["eeg"] if name in there)
    return tuple(name for name in model.channels if name in there)


def prepare(
    name: str, preset: str, nights: Nights, *, channels: Sequence[str] = (), seed: int = 0
) -> tuple[Any, Recipe, Training]:
    """Return a stager with the sizes of its preset, the recipe of a trial, and the settings."""
    recipe = replace(recipe_for(name, "trial"), config={}, channel_draw="none")
    there = nights.parts["train"]
    if not channels:
        channels = given_channels(models.create(name, **vars(models.presets(name)[preset])), there)
    cfg = Training(
        nights=(nights.root,), model=name, preset=preset, channels=tuple(channels), seed=seed
    )
    torch.manual_seed(seed)
    model = build(cfg, recipe)
    usable(there, reads(model, cfg))
    return model, recipe, cfg


def first_batch(model: Any, recipe: Recipe, cfg: Training, nights: Nights) -> Windows:
    """Return as many of the first training windows as a step takes, once statistics are learnt."""
    opened = partial(open_windows, model, nights.parts["train"], channels=reads(model, cfg))
    fit_statistics(model, opened(model.window and 20))
    windows = opened(model.window or recipe.window or None)
    return windows.__getitems__(range(min(recipe.batch_size, len(windows))))


def step_seconds(
    model: Any, recipe: Recipe, cfg: Training, nights: Nights, *, repeats: int = 2
) -> float:
    """Return the least CPU seconds of a training step; the model is moved by them."""
    batch, task = first_batch(model, recipe, cfg, nights), StagingTask()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    model.train()
    seconds = []
    for _ in range(repeats + 1):
        begun = time.process_time()
        optimizer.zero_grad(set_to_none=True)
        task.loss(model, batch)[0].backward()
        optimizer.step()
        seconds.append(time.process_time() - begun)
    return min(seconds[1:])  # the first one warms up


def trial(
    name: str,
    preset: str,
    nights: Nights,
    folder: Path,
    *,
    cpu_seconds: float = 0.0,
    n_steps: int = 0,
    channels: Sequence[str] = (),
    seed: int = 0,
) -> Trial:
    """Train a stager for so many CPU seconds (or steps) and judge it on the test nights.

    Parameters
    ----------
    name, preset : str
        Of the registry.
    nights : Nights
    folder : Path
        Run folder of the training.
    cpu_seconds : float
        Of all steps together; how many that are is measured before. Validations come on top.
    n_steps : int
        Instead.
    channels : sequence of str
        What to give the stager; default: `given_channels`.
    """
    # Measuring moves a model: it is made anew for the training
    step_s = step_seconds(*prepare(name, preset, nights, channels=channels, seed=seed), nights)
    n_steps = n_steps or max(VALIDATIONS, round(cpu_seconds / step_s))
    model, recipe, cfg = prepare(name, preset, nights, channels=channels, seed=seed)
    plan = replace(
        recipe.plan,
        n_passes=n_steps,  # more than there will be
        max_steps=n_steps,
        evaluate_every=-(-n_steps // VALIDATIONS),
    )
    run, begun = RunFolder(folder), time.process_time()
    about = {"trained_by": "benchmarks/stager_trials.py"}
    fit(
        model,
        replace(recipe, plan=plan),
        cfg,
        nights.parts,
        run,
        split=nights.split,
        fold=0,
        about=about,
    )
    cpu_s, best = time.process_time() - begun, load_weights(run.best)[0]
    begun, tested = time.process_time(), stage_nights(best, nights.parts["test"], cfg)
    n_epochs = sum(len(night.labels) for night in tested)
    return Trial(
        channels=cfg.channels,
        n_parameters=sum(parameter.numel() for parameter in best.parameters()),
        n_steps=n_steps,
        step_s=step_s,
        cpu_s=cpu_s,
        losses=[row["loss"] for row in run.rows()],
        scores=summary(tested),
        night_s=(time.process_time() - begun) * NIGHT_EPOCHS / n_epochs,
    )


def loss_falls(name: str, preset: str, nights: Nights, *, n_steps: int = 6) -> tuple[float, float]:
    """Return the loss of one batch before and after a few steps on it, without dropout."""
    model, recipe, cfg = prepare(name, preset, nights)
    batch = first_batch(model, replace(recipe, batch_size=2), cfg, nights)
    weights = loss_weights(recipe, nights.parts["train"], model.config.n_classes)
    task, losses = StagingTask(class_weights=weights), []
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.plan.lr)
    model.train()
    for _ in range(n_steps):
        loss, told = task.loss(model, batch)
        losses.append(told["loss"])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return losses[0], losses[-1]


def band_powers(nights: Sequence[StoredNight], channels: Sequence[str]) -> tuple[Any, Any]:
    """Return log band powers (N, channels x bands) of all scored epochs, and their stages (N,)."""
    windows = NightWindows([night.path for night in nights], channels, None)
    features, stages = [], []
    for index in range(len(windows)):
        night = windows[index]
        scored = night.stages[0] != UNSCORED
        columns = [_powers(night.signals[name][0, scored].numpy()) for name in channels]
        features.append(np.concatenate(columns, axis=1))
        stages.append(night.stages[0, scored].numpy())
    return np.concatenate(features), np.concatenate(stages)


def logistic_regression(nights: Nights, channels: Sequence[str]) -> dict[str, Any]:
    """Return the metrics of a logistic regression on band powers, on the test nights."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    known, told = band_powers([*nights.parts["train"], *nights.parts["val"]], channels)
    asked, true = band_powers(nights.parts["test"], channels)
    judge = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return metrics_from(confusion(true, judge.fit(known, told).predict(asked)))


def majority(nights: Nights) -> dict[str, Any]:
    """Return the metrics of saying the most frequent stage of the training nights."""
    counts = np.sum([night.counts for night in nights.parts["train"]], axis=0)
    true = np.repeat(np.arange(5), np.sum([n.counts for n in nights.parts["test"]], axis=0))
    return metrics_from(confusion(true, np.full_like(true, counts.argmax())))


def _powers(epochs: np.ndarray) -> np.ndarray:
    """Return log power (E, bands) of epochs (E, T); bands above half the rate are left out."""
    power = np.abs(np.fft.rfft(epochs - epochs.mean(axis=1, keepdims=True), axis=1)) ** 2
    hz = np.fft.rfftfreq(epochs.shape[1], 30 / epochs.shape[1])
    bands = [(low, high) for low, high in BANDS if high < hz[-1]]
    columns = [power[:, (hz >= low) & (hz < high)].mean(axis=1) for low, high in bands]
    return np.log(np.stack(columns, axis=1) + 1e-12)
