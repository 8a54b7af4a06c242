"""The largest batch that fits into memory, and how many of them make the batch that is wanted."""

from __future__ import annotations

import resource
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from engine import distributed
from engine.optim import HALF, Plan
from engine.tasks import Batch, Task

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Fit:
    """What was found.

    Parameters
    ----------
    batch_size, accumulate : int
        Samples per batch, batches per step and process: their product, times the processes, is the
        batch that was wanted.
    peak_mb : dict of int to float
        Memory at its peak in a step, in MB, by the batch sizes that were tried and fitted.
    """

    batch_size: int
    accumulate: int
    peak_mb: dict[int, float]


def find_batch_size(
    model: nn.Module,
    task: Task,
    batch_of: Callable[[int], Batch],
    plan: Plan,
    *,
    target: int,
    limit_mb: float = 0.0,
) -> Fit:
    """Return the largest batch that fits and divides the batch that is wanted.

    Sizes are tried from the smallest on, one step each, with the memory the optimizer and the
    running average will take; the model is left as it was.

    Parameters
    ----------
    model : Module
        On the device to train on.
    task : Task
    batch_of : callable
        Returns a batch of so many samples, of the largest kind there is.
    plan : Plan
        Its precision, optimizer and running average.
    target : int
        Samples per step, over all processes.
    limit_mb : float
        Memory this process may hold, in MB; on a GPU 0 = all there is.

    Raises
    ------
    ValueError
        If the processes cannot share `target` evenly, no limit is given on a CPU, or not even the
        smallest batch fits.
    """
    share, rest = divmod(target, distributed.size())
    if rest or share < 1:
        raise ValueError(f"a batch of {target} cannot be shared by {distributed.size()} processes")
    device = next(model.parameters()).device
    if device.type == "cpu" and not limit_mb:
        raise ValueError(
            "on a CPU the batch size is found under a limit of memory: give limit_mb "
            "(on the command line --memory-mb)"
        )
    peaks: dict[int, float] = {}
    for size in (size for size in range(1, share + 1) if share % size == 0):
        if limit_mb and _foreseen_mb(peaks, size) > limit_mb:
            break
        peak = _peak_mb(model, task, batch_of(size), plan)
        if peak is None or (limit_mb and peak > limit_mb):
            break
        peaks[size] = peak
    best = min(distributed.gather(max(peaks, default=0)))  # of machines that are not alike
    if not best:
        raise ValueError(f"not even a batch of one sample fits into memory on {device}")
    return Fit(best, share // best, peaks)


def _foreseen_mb(peaks: dict[int, float], size: int) -> float:
    """Return the peak to expect for `size`, on the line through the last two that were measured."""
    if len(peaks) < 2:
        return 0.0
    (small, less), (large, more) = list(peaks.items())[-2:]
    return more + (size - large) * max(0.0, more - less) / (large - small)


def _peak_mb(model: nn.Module, task: Task, batch: Batch, plan: Plan) -> float | None:
    """Return the peak of one step on `batch`, in MB, or None if a GPU has no room for it."""
    device = next(model.parameters()).device
    buffers = [buffer.clone() for buffer in model.buffers()]
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices):
            return _step_mb(model, task, batch, plan, device)
    except torch.OutOfMemoryError:
        return None
    finally:
        model.zero_grad(set_to_none=True)
        for buffer, kept in zip(model.buffers(), buffers, strict=True):
            buffer.copy_(kept)
        if device.type == "cuda":
            torch.cuda.empty_cache()


def _step_mb(model: nn.Module, task: Task, batch: Batch, plan: Plan, device: torch.device) -> float:
    """Return the peak of loss and gradient beside what the optimizer holds, in MB."""
    # Two moments for each parameter, and the running average; filled, so that it is really held
    n_copies = 2 + (plan.ema > 0)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    held = [torch.ones_like(parameter) for parameter in trained for _ in range(n_copies)]
    half = HALF.get(plan.precision)
    _forget_peak(device)
    model.train()
    with torch.autocast(device.type, dtype=half, enabled=half is not None):
        loss, _ = task.loss(model, batch)
    loss.backward()
    del held
    return _peak_held_mb(device)


def _forget_peak(device: torch.device) -> None:
    """Let the peak of memory begin anew where the system can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif _CLEAR.exists():
        try:
            _CLEAR.write_text("5")  # proc(5): resets the peak resident set size
        except OSError:  # not allowed in this container: the peak of the whole process stands
            return


def _peak_held_mb(device: torch.device) -> float:
    """Return the peak of memory since `_forget_peak`, in MB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    for line in _STATUS.read_text().splitlines() if _STATUS.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
