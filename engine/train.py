"""The only training loop: it knows no task, no model and no data set by name."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import torch
from torch import nn

from engine import distributed
from engine.checkpoint import save_weights
from engine.log import RunFolder, memory, progress
from engine.optim import HALF, Plan, learning_rate, set_rate
from engine.state import State
from engine.tasks import Batch, Task
from nights.atomic import write_text


class TrainingError(RuntimeError):
    """Training cannot go on; the message says at which step and on which nights."""


class Source(Protocol):
    """Where training batches come from.

    Notes
    -----
    Batch i of a pass goes to process i modulo the number of processes. Every process draws the same
    pass and leaves out the batches of the others, as a resumed run leaves out those it has seen. A
    source whose batches are dear to make can spare that work by a method

        part(generator, first, every) -> the same batches as islice(draw(generator), first, None,
        every), after which the generator is where `draw` would have left it.
    """

    def __len__(self) -> int:
        """Return the number of batches in one pass, over all processes."""

    def draw(self, generator: torch.Generator) -> Iterator[Batch]:
        """Yield the batches of one pass; every choice is drawn from `generator` and nothing else.

        The same state of the generator gives the same pass, in this process and in any other.
        """


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
    """Train, keep the best weights by the task's headline metric, and return the best row.

    Started by `torchrun`, every process calls this inside `distributed.processes`; the steps are
    those of one process with as many more batches a step. The first process judges and writes.

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
        Passes, learning rate, decay, precision, patience.
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
        The row of log.jsonl of the best evaluation.

    Raises
    ------
    TrainingError
        If a loss is not finite.
    ValueError
        If the folder holds a run of another plan or number of processes.
    """
    state = State(model, plan, seed)
    if folder.last.exists():
        state.restore(folder)
    steps_per_pass = -(-len(source) // (distributed.size() * plan.accumulate))
    n_steps = plan.n_steps(steps_per_pass)
    trained: Any = torch.compile(model) if plan.compile else model
    run = _Run(task, held_out, state, folder, card or {}, trained)
    with progress(n_steps, state.step) as bar:
        while not state.finished(n_steps):
            model.train()
            for batches in _rest_of_pass(source, state, steps_per_pass):
                run.step(batches, learning_rate(state.step, n_steps, plan))
                state.count_step(steps_per_pass)
                bar.update()
                run.look(is_last=state.step == n_steps)
                if state.finished(n_steps):
                    break
    return state.best


def _rest_of_pass(source: Source, state: State, steps_per_pass: int) -> Iterator[list[Batch]]:
    """Yield the batches of this process for each step of the pass that is not yet taken."""
    n_batches, n_processes = state.plan.accumulate, distributed.size()
    first = state.steps_of_pass * n_batches * n_processes + distributed.rank()
    batches = _part(source, state.generator, first, n_processes)
    for number in range(state.steps_of_pass + 1, steps_per_pass + 1):
        taken = list(islice(batches, n_batches))
        # Before its last step, so that the generator is at the end of the pass when that is saved
        if number == steps_per_pass and next(batches, None) is not None:
            raise ValueError(f"a pass has more than the {len(source)} batches its source promised")
        yield taken


def _part(source: Source, generator: torch.Generator, first: int, every: int) -> Iterator[Batch]:
    """Return batch `first` of a pass and each `every`th after it."""
    if (part := getattr(source, "part", None)) is not None:
        return iter(part(generator, first, every))
    return islice(source.draw(generator), first, None, every)


@dataclass
class _Run:
    """What the loop works with."""

    task: Task
    held_out: Any
    state: State
    folder: RunFolder
    card: dict[str, Any]
    trained: Any  # the model, or its compiled copy

    def step(self, batches: Sequence[Batch], rate: float) -> None:
        """Take one step on the batches of all processes, each weighted by its targets."""
        state, plan = self.state, self.state.plan
        weigh = getattr(self.task, "weight", _one)
        weights = [float(weigh(batch)) for batch in batches]
        whole = distributed.total(sum(weights))
        state.optimizer.zero_grad(set_to_none=True)
        for batch, weight in zip(batches, weights, strict=True):
            loss = self._loss(batch, weight)
            state.scaler.scale(loss * (weight / whole if whole else 0.0)).backward()
        distributed.sum_gradients(state.model)
        state.scaler.unscale_(state.optimizer)
        if plan.clip:
            nn.utils.clip_grad_norm_(state.model.parameters(), plan.clip)
        set_rate(state.optimizer, rate)
        state.scaler.step(state.optimizer)
        state.scaler.update()
        state.average.update(state.step + 1)
        state.rate = rate

    def _loss(self, batch: Batch, weight: float) -> torch.Tensor:
        """Return the loss of one batch, once it is found finite, and note its parts."""
        state, half = self.state, HALF.get(self.state.plan.precision)
        with torch.autocast(state.device.type, dtype=half, enabled=half is not None):
            loss, parts = self.task.loss(self.trained, batch)
        value = loss.item()
        if not math.isfinite(value):
            nights = ", ".join(batch.nights) or "unnamed nights"
            raise TrainingError(f"loss is {value} at step {state.step}, on {nights}")
        state.add(parts, weight)
        return loss

    def look(self, *, is_last: bool) -> None:
        """Judge and save after a step where the plan says so."""
        state, plan = self.state, self.state.plan
        judges = is_last or state.is_due(plan.evaluate_every)
        saves = judges or bool(plan.save_every and state.is_due(plan.save_every))
        if saves:
            # Every process has seen other batches; the running statistics of the first are kept
            distributed.spread(state.model.buffers())
        if judges:
            self._judge()
            state.model.train()
        if saves:
            state.save(self.folder)

    def _judge(self) -> None:
        """Log a row, the same for every process, and keep the weights if they are the best."""
        state, task = self.state, self.task
        row: dict[str, Any] = {"pass": state.pass_number, "step": state.step, **state.means()}
        with state.average.applied():
            metrics = {}
            if distributed.is_first():
                metrics = task.evaluate(state.model, self.held_out)
            row |= {"lr": state.rate, **metrics}
            row |= {"seconds": state.seconds_of_row(), **memory()}
            row = distributed.gather(row)[0]
            best = state.is_best(row, task.headline, higher_is_better=task.higher_is_better)
            if best and distributed.is_first():
                self._keep(metrics)
        self.folder.log(row)

    def _keep(self, metrics: dict[str, float]) -> None:
        """Write the weights the model holds as the best."""
        about = {**self.card, "metrics": metrics, "pass": self.state.pass_number}
        save_weights(self.folder.best, self.state.model, about)
        write_text(self.folder.card, json.dumps(about, indent=2) + "\n")


def _one(batch: Batch) -> float:
    """Return the weight of a batch of a task that does not weigh them."""
    return 1.0
