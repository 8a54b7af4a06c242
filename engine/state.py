"""All that a stopped run needs to go on as if it had not stopped."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from engine import distributed
from engine.checkpoint import load_state, save_state
from engine.ema import RunningAverage
from engine.log import RunFolder
from engine.optim import Plan, make_optimizer


class State:
    """What changes while a model is trained, in this process.

    Parameters
    ----------
    model : Module
        On the device to train on. All processes begin with the weights of the first.
    plan : Plan
    seed : int
        Of the batches, alike in all processes, and of dropout, another in each.
    """

    def __init__(self, model: nn.Module, plan: Plan, seed: int) -> None:
        self.model, self.plan = model, plan
        self.device = next(model.parameters()).device
        distributed.spread([*model.parameters(), *model.buffers()])
        self.optimizer = make_optimizer(model, plan)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=plan.precision == "fp16")
        self.average = RunningAverage(model, plan.ema, plan.ema_start)
        self.generator = torch.Generator().manual_seed(seed)
        self.pass_begun = self.generator.get_state()
        torch.manual_seed(seed + distributed.rank())
        self.n_passes, self.step, self.steps_of_pass, self.waited = 0, 0, 0, 0
        self.best: dict[str, Any] = {}
        self.rate = 0.0  # of the last step
        self._row_begun = time.perf_counter()
        self.sums: defaultdict[str, float] = defaultdict(float)  # since the last row, weighted
        self.weight = 0.0

    def finished(self, n_steps: int) -> bool:
        """Tell whether all steps are done or patience has run out."""
        plan = self.plan
        tired = bool(plan.patience) and self.waited >= plan.patience
        judged = self.is_due(plan.evaluate_every) and self.step >= plan.min_steps
        return self.step >= n_steps or (tired and judged)

    def count_step(self, steps_per_pass: int) -> None:
        """Note that a step was taken, and the end of the pass after its last."""
        self.step += 1
        self.steps_of_pass += 1
        if self.steps_of_pass == steps_per_pass:
            self.n_passes, self.steps_of_pass = self.n_passes + 1, 0
            self.pass_begun = self.generator.get_state()

    def add(self, parts: dict[str, float], weight: float) -> None:
        """Note the losses of a batch."""
        self.weight += weight
        for name, value in parts.items():
            self.sums[name] += value * weight

    def means(self) -> dict[str, float]:
        """Return the means of the losses since the last row, over all processes; begin anew."""
        summed: defaultdict[str, float] = defaultdict(float)
        told = distributed.gather([dict(self.sums), self.weight])
        for sums, _ in told:
            for name, value in sums.items():
                summed[name] += value
        weight = sum(weight for _, weight in told)
        self.sums.clear()
        self.weight = 0.0
        return {name: value / weight for name, value in summed.items()}

    @property
    def pass_number(self) -> int:
        """Number of the pass under way, from 1; at its end still the same."""
        return self.n_passes + (self.steps_of_pass > 0)

    def is_due(self, every: int) -> bool:
        """Tell whether a multiple of `every` steps is done; for 0, whether a pass is."""
        return self.step % every == 0 if every else self.steps_of_pass == 0

    def seconds_of_row(self) -> float:
        """Return the seconds since the last row; begin anew."""
        now = time.perf_counter()
        seconds, self._row_begun = now - self._row_begun, now
        return seconds

    def is_best(self, row: dict[str, Any], name: str, *, higher_is_better: bool) -> bool:
        """Remember `row` if its metric `name` is the best so far, a later one if they are equal.

        Else count the wait. What is no number (kappa of a single stage) is never better.
        """
        value, best = row[name], self.best.get(name, math.nan)
        better = value >= best if higher_is_better else value <= best
        if self.best and not better and (math.isnan(value) or not math.isnan(best)):
            self.waited += 1
            return False
        self.best, self.waited = row, 0
        return True

    def save(self, folder: RunFolder) -> None:
        """Write last.pt, whole or not at all; every process has to call this."""
        mine = {"generators": _generators(), "sums": dict(self.sums), "weight": self.weight}
        processes = distributed.gather(mine)
        if not distributed.is_first():
            return
        content = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": self.average.tensors,
            "pass_begun": self.pass_begun,
            "processes": processes,
            "done": {name: getattr(self, name) for name in _DONE},
            "plan": asdict(self.plan),
        }
        save_state(folder.last, content)

    def restore(self, folder: RunFolder) -> None:
        """Take up the run in `folder`.

        Raises
        ------
        ValueError
            If it was begun with another plan or another number of processes.
        """
        content = load_state(folder.last)
        if content["plan"] != asdict(self.plan):
            raise ValueError(f"{folder.path}: was begun with another plan: {content['plan']}")
        n_processes = len(content["processes"])
        if n_processes != distributed.size():
            raise ValueError(
                f"{folder.path}: was begun with {n_processes} processes, found "
                f"{distributed.size()}; resume with as many, so that batches are shared as before"
            )
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.scaler.load_state_dict(content["scaler"])
        self.average.load(content["average"])
        self.pass_begun = content["pass_begun"]
        self.generator.set_state(self.pass_begun)
        for name, value in content["done"].items():
            setattr(self, name, value)
        mine = content["processes"][distributed.rank()]
        self.sums.update(mine["sums"])
        self.weight = mine["weight"]
        _set_generators(mine["generators"])
        folder.keep_rows(self.step)


_DONE = ("n_passes", "step", "steps_of_pass", "waited", "best", "rate")


def _generators() -> dict[str, list[int]]:
    """Return the states of PyTorch's own generators; everything else draws from one passed in."""
    states = {"cpu": torch.get_rng_state().tolist()}
    if torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state().tolist()
    return states


def _set_generators(states: dict[str, list[int]]) -> None:
    """Set the generators to what `_generators` returned."""
    torch.set_rng_state(torch.tensor(states["cpu"], dtype=torch.uint8))
    if "cuda" in states and torch.cuda.is_initialized():
        torch.cuda.set_rng_state(torch.tensor(states["cuda"], dtype=torch.uint8))
