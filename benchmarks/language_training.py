"""Training speed of the stage language model at 90 epochs / width 48 / 3 blocks / 6 heads.

    python benchmarks/language_training.py

Ours, the same steps with the library's attention and GELU (with and without the published dropout),
and the time the matrix products alone take at the speed of one large product in the same run. The
losses of ours and of the library's way are compared step by step.
"""

from __future__ import annotations

import sys
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.measure import matmul_gflop_per_s, measure, table

N_STEPS, BATCH, LENGTH = 10, 48, 90
GOAL, PUBLISHED = 60_000, 22_000  # tokens per CPU second: the goal, and the published code


def blocks() -> list[np.ndarray]:
    """Return batches of stages that stay for a while, as sleep does."""
    rng = np.random.default_rng(0)
    stages = np.repeat(rng.integers(0, 5, 20_000), rng.integers(1, 12, 20_000))
    starts = rng.integers(0, len(stages) - LENGTH - 1, (N_STEPS, BATCH))
    return list(stages[starts[..., None] + np.arange(LENGTH + 1)])


def steps(dropout: float, n_steps: int = N_STEPS) -> list[float]:
    """Train from scratch and return the losses."""
    import torch

    import models
    from engine.optim import Plan, make_optimizer
    from engine.tasks import LanguageTask, StageBlocks

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = models.create("sleepgpt", dropout=dropout).train()
    optimizer, task, losses = make_optimizer(model, Plan(1)), LanguageTask(LENGTH), []
    for stages in blocks()[:n_steps]:
        ids = torch.from_numpy(stages)
        loss, parts = task.loss(model, StageBlocks(ids[:, :-1], ids[:, 1:], ()))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(parts["loss"])
    return losses


def plain(dropout: float, n_steps: int = N_STEPS) -> list[float]:
    """Train the same model with the attention and the GELU of the library."""
    from functools import partial

    from torch.nn import functional as F

    library_gelu = partial(F.gelu, approximate="tanh")
    with (
        patch("models.narrow_attention.serves", return_value=False),
        patch("models.sleepgpt.gelu", library_gelu),
    ):
        return steps(dropout, n_steps)


def gflop() -> float:
    """Return the matrix products of one step, forward and backward, half of attention masked."""
    width, n_layers = 48, 3
    per_token = n_layers * (24 * width**2 + 2 * width * LENGTH) + 2 * 6 * width
    return 3 * per_token * BATCH * LENGTH / 1e9


def main() -> None:
    """Print the table."""
    ours, theirs = steps(0.0), plain(0.0)
    apart = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    ways = {
        "ours": (steps, 0.0),
        "library's attention": (plain, 0.0),
        "library's attention, dropout 0.1": (plain, 0.1),
    }
    speed, tokens = matmul_gflop_per_s(), BATCH * LENGTH
    rows: list[tuple] = []
    for name, (work, dropout) in ways.items():
        start, whole = (measure(work, dropout, n, repeat=4) for n in (1, N_STEPS))
        step_s = (whole.cpu_s - start.cpu_s) / (N_STEPS - 1)
        rows.append((name, f"{tokens / step_s:.0f}", f"{GOAL}", step_s * 1e3, whole.peak_mb))
    limit = gflop() / speed
    rows.append(("limit", f"{tokens / limit:.0f}", "", limit * 1e3, ""))
    head = ("way", "tokens / CPU s", "goal", "ms a step", "MB")
    print(table(f"Training steps of {BATCH} blocks of {LENGTH} epochs, one thread", head, rows))
    print(f"Largest difference of the losses of {N_STEPS} steps: {apart:.1e}. Matrix product")
    print(f"{speed:.0f} GFLOP/s. The published code itself: {PUBLISHED} tokens/s.")


if __name__ == "__main__":
    main()
