"""The only training loop: it knows no task, no model and no data set by name."""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Protocol

import torch
from torch import nn

from engine.checkpoint import load_state, save_state, save_weights
from engine.log import RunFolder, peak_memory_mb
from engine.optim import Plan, adamw, learning_rate, set_rate
from engine.tasks import Batch, Task
from nights.atomic import write_text


class TrainingError(RuntimeError):
    """Training cannot go on; the message says at which step and on which nights."""


class Source(Protocol):
    """Where training batches come from."""

    def __len__(self) -> int:
        """Return the number of batches in one pass."""

    def draw(self, generator: torch.Generator) -> Iterator[Batch]:
        """Yield the batches of one pass; every choice is drawn from `generator`."""


def train(
    model: nn.Module,
    task: Task,
    source: Source,
    held_out: Any,
    plan: Plan,
    folder: RunFolder,
    *,
    seed: int = 0,
    card: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Train, keep the best weights by the task's headline metric, and return the best pass.

    Parameters
    ----------
    model : Module
        A model of the registry, on the device to train on.
    task : Task
        What the loss is and how the model is judged.
    source : Source
        Training batches.
    held_out : object
        Whatever `task.evaluate` judges on: other persons than the source's.
    plan : Plan
        Passes, learning rate, decay, patience.
    folder : RunFolder
        Gets log.jsonl, last.pt, best.safetensors and best.json. If it holds a last.pt the run goes
        on from there, with the same losses as if it had never stopped.
    seed : int
        Of batches and dropout.
    card : dict or None
        What to say of the weights in best.safetensors, besides the metrics.

    Returns
    -------
    dict
        The row of log.jsonl of the best pass.

    Raises
    ------
    TrainingError
        If a loss is not finite.
    """
    state = _State(model, plan, seed)
    if folder.last.exists():
        state.restore(folder)
    while not state.finished(plan):
        begun = time.perf_counter()
        means = _one_pass(model, task, source, plan, state)
        state.n_passes += 1
        metrics = task.evaluate(model, held_out)
        row = {"pass": state.n_passes, "step": state.step, **means, **metrics}
        row |= {"seconds": time.perf_counter() - begun, "memory_mb": peak_memory_mb()}
        if state.is_best(row, task):
            about = {**(card or {}), "metrics": metrics, "pass": state.n_passes}
            save_weights(folder.best, model, about)
            write_text(folder.card, json.dumps(about, indent=2) + "\n")
        folder.log(row)
        state.save(folder)
    return state.best


def _one_pass(
    model: nn.Module, task: Task, source: Source, plan: Plan, state: _State
) -> dict[str, float]:
    """Go once over the training batches and return the mean of every loss."""
    model.train()
    sums: defaultdict[str, float] = defaultdict(float)
    n_batches, n_steps = 0, plan.n_passes * len(source)
    for batch in source.draw(state.generator):
        rate = learning_rate(state.step, n_steps, plan)
        for name, value in _step(model, task, batch, plan, state, rate).items():
            sums[name] += value
        n_batches += 1
    return {name: value / n_batches for name, value in sums.items()} | {"lr": rate}


def _step(
    model: nn.Module, task: Task, batch: Batch, plan: Plan, state: _State, rate: float
) -> dict[str, float]:
    """Take one step and return its losses."""
    loss, parts = task.loss(model, batch)
    if not math.isfinite(loss.item()):
        nights = ", ".join(batch.nights) or "unnamed nights"
        raise TrainingError(f"loss is {loss.item()} at step {state.step}, on {nights}")
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if plan.clip:
        nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
    set_rate(state.optimizer, rate)
    state.optimizer.step()
    state.step += 1
    return parts


class _State:
    """All that a stopped run needs to go on as if it had not stopped."""

    def __init__(self, model: nn.Module, plan: Plan, seed: int) -> None:
        self.model, self.plan = model, plan
        self.optimizer = adamw(model, plan)
        self.generator = torch.Generator().manual_seed(seed)  # batches
        torch.manual_seed(seed)  # dropout
        self.n_passes, self.step = 0, 0
        self.best: dict[str, Any] = {}

    def finished(self, plan: Plan) -> bool:
        """Tell whether all passes are done or patience has run out."""
        waited = self.n_passes - self.best.get("pass", 0)
        return self.n_passes >= plan.n_passes or bool(plan.patience and waited >= plan.patience)

    def is_best(self, row: dict[str, Any], task: Task) -> bool:
        """Remember `row` if its headline metric is the best so far."""
        name = task.headline
        if self.best and (row[name] <= self.best[name]) == task.higher_is_better:
            return False
        self.best = row
        return True

    def save(self, folder: RunFolder) -> None:
        """Write last.pt, whole or not at all."""
        content = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generators": {"batches": self.generator.get_state(), "torch": torch.get_rng_state()},
            "done": {"n_passes": self.n_passes, "step": self.step, "best": self.best},
            "plan": asdict(self.plan),
        }
        save_state(folder.last, content)

    def restore(self, folder: RunFolder) -> None:
        """Take up the run in `folder`."""
        content = load_state(folder.last)
        if content["plan"] != asdict(self.plan):
            raise ValueError(f"{folder.path}: was begun with another plan: {content['plan']}")
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.generator.set_state(content["generators"]["batches"])
        torch.set_rng_state(content["generators"]["torch"])
        self.n_passes, self.step = content["done"]["n_passes"], content["done"]["step"]
        self.best = content["done"]["best"]
        folder.keep_rows(self.n_passes)
