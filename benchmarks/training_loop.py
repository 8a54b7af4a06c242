"""What the training loop costs beside the step itself.

    python benchmarks/training_loop.py

The smallest stage language model, so that the loop shows: the same steps through `engine.train` and
bare (loss, gradient, clipping, optimizer), in turn in one process. The published training is a
bare loop too; what ours adds is the check of the loss, shares and weights of batches, precision,
the rate of each step, sums for the log, and the bar.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import table

N_STEPS, N_ROUNDS, LENGTH, BATCH = 300, 5, 30, 4
SIZES = {"width": 24, "n_heads": 2, "n_layers": 1, "n_positions": LENGTH}


class Batches:
    """The same batches in each pass."""

    def __init__(self) -> None:
        import torch

        from engine.tasks import StageBlocks

        generator = torch.Generator().manual_seed(0)
        stages = torch.randint(5, (N_STEPS, BATCH, LENGTH + 1), generator=generator)
        self.batches = [StageBlocks(ids[:, :-1], ids[:, 1:], ("made",)) for ids in stages]

    def __len__(self) -> int:
        return len(self.batches)

    def draw(self, generator: Any) -> Any:
        """Yield them."""
        return iter(self.batches)


def bare(model: Any, task: Any, source: Batches, plan: Any) -> None:
    """Take the steps and nothing else."""
    from torch import nn

    from engine.optim import make_optimizer

    optimizer = make_optimizer(model, plan)
    model.train()
    for batch in source.batches:
        optimizer.zero_grad(set_to_none=True)
        task.loss(model, batch)[0].backward()
        nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
        optimizer.step()


def looped(model: Any, task: Any, source: Batches, plan: Any) -> None:
    """Take them as every training here does."""
    from engine.log import RunFolder
    from engine.train import train

    with tempfile.TemporaryDirectory() as folder:
        train(model, task, source, [], plan, RunFolder(Path(folder) / "run"))


def milliseconds(work: Any, plan: Any) -> float:
    """Return the CPU milliseconds per step of one round."""
    import torch

    import models
    from engine.tasks import LanguageTask

    class Unjudged(LanguageTask):
        def evaluate(self, model: Any, held_out: Any) -> dict[str, float]:
            return {"nll": 0.0}

    torch.manual_seed(0)
    model, source = models.create("sleepgpt", **SIZES), Batches()
    begun = time.process_time()
    work(model, Unjudged(LENGTH), source, plan)
    return 1000 * (time.process_time() - begun) / N_STEPS


def main() -> int:
    """Print milliseconds per step."""
    import torch

    from engine.optim import Plan

    torch.set_num_threads(1)
    plans = {
        "bare loop": (bare, Plan(1)),
        "engine.train": (looped, Plan(1)),
        "engine.train, running average": (looped, Plan(1, ema=0.999)),
    }
    for work, plan in plans.values():
        milliseconds(work, plan)  # imports
    best = {name: float("inf") for name in plans}
    for _ in range(N_ROUNDS):
        for name, (work, plan) in plans.items():
            best[name] = min(best[name], milliseconds(work, plan))
    rows = [(name, ms, ms - best["bare loop"]) for name, ms in best.items()]
    head = ("loop", "CPU ms per step", "more than bare")
    sys.stdout.write(table(f"{N_STEPS} steps, best of {N_ROUNDS} rounds", head, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
