"""Timing for every benchmark: CPU seconds, peak memory, and what this machine could do at best.

Machines are shared and noisy, so every table gives ratios taken in one run, CPU seconds rather than
wall time, and the best of several repeats.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Timing:
    """Best CPU and wall seconds of the repeats, and the peak memory a fresh process added in MB."""

    cpu_s: float
    wall_s: float
    peak_mb: float


def measure(work: Callable[..., Any], *args: Any, repeat: int = 3) -> Timing:
    """Time `work(*args)` in a process of its own, so that its peak memory is its own.

    `work` and `args` must be importable (the process starts fresh); the first call warms up imports
    and the page cache and is not counted unless `repeat` is 1.
    """
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_timed, (work, args, repeat))


def _timed(work: Callable[..., Any], args: tuple, repeat: int) -> Timing:
    """Run `work` in this process: warm-up first, then the best of `repeat`."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if repeat > 1:
        work(*args)
    cpu, wall = [], []
    for _ in range(repeat):
        cpu_start, wall_start = time.process_time(), time.perf_counter()
        work(*args)
        cpu.append(time.process_time() - cpu_start)
        wall.append(time.perf_counter() - wall_start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return Timing(min(cpu), min(wall), peak / 1024)


def copy_gb_per_s(megabytes: int = 256) -> float:
    """Return the measured speed of one memory copy, in GB/s of bytes copied."""
    source = np.ones(megabytes << 17)
    target = np.empty_like(source)
    best = min(cpu_seconds(np.copyto, target, source) for _ in range(5))
    return source.nbytes / best / 1e9


def matmul_gflop_per_s(size: int = 1024) -> float:
    """Return the measured speed of a float32 matrix product on one thread, in GFLOP/s."""
    import torch

    torch.set_num_threads(1)
    left, right = torch.randn(size, size), torch.randn(size, size)
    best = min(cpu_seconds(torch.mm, left, right) for _ in range(8))
    return 2 * size**3 / best / 1e9


def cpu_seconds(work: Callable[..., Any], *args: Any) -> float:
    """Return the CPU seconds of one call."""
    start = time.process_time()
    work(*args)
    return time.process_time() - start


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a Markdown table; floats are shown with three significant digits."""
    shown = [[f"{x:.3g}" if isinstance(x, float) else str(x) for x in row] for row in rows]
    lines = [f"## {title}", "", _row(head), _row(["---"] * len(head)), *map(_row, shown)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    """Return one line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"
