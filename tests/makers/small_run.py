"""A small training run as a script, to be shared between processes, killed and resumed.

    python tests/makers/small_run.py OUT [PLAN as JSON] [--resume] [--kill-at N] [--dropout P]
    torchrun --nproc-per-node 2 tests/makers/small_run.py OUT ...

`started` does the same in a process that has PyTorch imported already. In OUT is left what `train`
writes, and end.pt: the weights and the last gradient of process 0.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import models  # noqa: E402
from engine import distributed
from engine.checkpoint import save_state
from engine.log import RunFolder
from engine.optim import Plan
from engine.tasks import IGNORED, BlockSource, LanguageTask, StageBlocks
from engine.train import train
from nights.sequences import StageNight

LENGTH = 12
CLOCK = ("seconds", "memory_mb")  # what differs between two equal runs


class WeighingTask(LanguageTask):
    """The stage after the present one; batches weigh as many stages as they ask for."""

    def weight(self, batch: StageBlocks) -> float:
        """Return the number of targets."""
        return float((batch.following != IGNORED).sum())


class KilledTask(WeighingTask):
    """Kills its own process, as a machine that goes down, in place of its Nth loss."""

    def __init__(self, length: int, kill_at: int) -> None:
        super().__init__(length)
        self.__dict__["left"] = kill_at or -1

    def loss(self, model: nn.Module, batch: StageBlocks) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the loss, or not."""
        self.__dict__["left"] -= 1
        if self.__dict__["left"] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().loss(model, batch)


def nights(n_nights: int = 5) -> list[StageNight]:
    """Nights of seven epochs a stage, with gaps that leave short stretches."""
    stages = np.repeat(np.arange(25) % 5, 7)
    stages[[20, 26, 33, 70]] = -1
    return [StageNight("made", str(i), str(i), stages[i:]) for i in range(n_nights)]


def small_model(dropout: float = 0.0, seed: int = 0) -> nn.Module:
    """A small language model."""
    torch.manual_seed(seed)
    sizes = {"width": 12, "n_heads": 2, "n_layers": 1, "n_positions": LENGTH}
    return models.create("sleepgpt", dropout=dropout, **sizes)


def run(
    out: Path, plan: Plan, *, resume: bool = False, kill_at: int = 0, dropout: float = 0.0
) -> None:
    """Train in `out`, in as many processes as there are.

    In float64: sums over processes are rounded in another order, and Adam makes whole steps of the
    rounding errors of a gradient that is nothing (that of the bias of keys, for one).
    """
    with distributed.processes("cpu"):
        # Each process begins with other weights, to see that all train those of the first
        model = small_model(dropout, seed=distributed.rank()).double()
        task = KilledTask(LENGTH, kill_at)
        source = BlockSource(nights(), LENGTH, 6)
        train(model, task, source, nights(2), plan, RunFolder(out, resume=resume))
        if distributed.is_first():
            gradient = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
            save_state(out / "end.pt", {"weights": model.state_dict(), "gradient": gradient})


def started(
    *given: Any, environment: dict[str, str], what: Callable[..., None] = run, **words: Any
) -> BaseProcess:
    """Return a process that runs `what` with these variables of the environment."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torch._dynamo"])  # imported once for all
    process = context.Process(target=_run_in, args=(environment, what, *given), kwargs=words)
    process.start()
    return process


def rows(out: Path) -> list[dict[str, Any]]:
    """Return the log of a run without what differs between two equal runs."""
    lines = (out / "log.jsonl").read_text("utf-8").splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in CLOCK} for line in lines]


def _run_in(
    environment: dict[str, str], what: Callable[..., None], *given: Any, **words: Any
) -> None:
    """Run `what` on one thread with these variables of the environment."""
    os.environ.update(environment)
    torch.set_num_threads(1)
    what(*given, **words)


def main() -> int:
    """Read the command line and train."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("plan", type=json.loads)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--kill-at", type=int, default=0)
    parser.add_argument("--dropout", type=float, default=0.0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    plan = Plan(**given.plan)
    run(given.out, plan, resume=given.resume, kill_at=given.kill_at, dropout=given.dropout)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
