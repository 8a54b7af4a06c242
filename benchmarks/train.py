"""A training step of every stager: ours, the published way in the same run, and the limit.

    python -m benchmarks.train
    python -m benchmarks.train --stagers lpsgm seqsleepnet

The published way of

- LPSGM pads every window of a batch to the one with most derivations and encodes the padding
  (`benchmarks.lpsgm_training_step`); ours encodes what was recorded;
- SeqSleepNet normalises inside its recurrent layers step by step, in operations of a framework
  (`benchmarks.recurrent_batch_norm`); ours has a backward pass of its own;
- the others lays the nights of a batch side by side and pads them to the longest, as the loader of
  TinySleepNet does: the first eight nights of Sleep-EDF have 841 to 1186 epochs, so that of eight
  windows one is padding. Ours cuts windows that are full: there is no padding to encode.

CPU seconds of one thread; memory is the peak that the step adds. The limit is the time of the
matrix products and convolutions of the step at the speed of a large product in the same run. With
a GPU there are further columns: nights staged per second, what bf16 and compilation gain, and the
share of the card's speed in bf16 products.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch.nn import functional as F

import models
from benchmarks import lpsgm_training_step
from benchmarks.measure import Timing, matmul_gflop_per_s, measure, table
from benchmarks.recurrent_batch_norm import PlainRecurrent
from benchmarks.stager_trials import LARGEST, n_parameters
from command_line import run
from models.recurrent_norm import Recurrent

LENGTH = 20  # epochs of a window
REAL, PADDED = 7, 8  # windows: the same epochs, full windows against nights side by side
NIGHT_EPOCHS = 960  # eight hours
GPU_BATCH, GPU_STEPS = 64, 10

Batch = tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Config:
    """Time a training step of every stager, the published way beside it."""

    stagers: tuple[str, ...] = ()  # names of the registry; default: all below 50 million parameters
    repeat: int = 2  # steps; the best counts


def main(cfg: Config) -> int:
    """Print the table, and a second one where there is a GPU."""
    names, speed = cfg.stagers or small_stagers(), matmul_gflop_per_s()
    rows = []
    for name in names:
        mine, theirs, how = compared(name, cfg.repeat)
        limit_s = measured_flop(name) / speed / 1e9
        rows.append(
            [name, mine.cpu_s, theirs.cpu_s, theirs.cpu_s / mine.cpu_s, how]
            + [
                f"{mine.peak_mb:.0f}",
                f"{theirs.peak_mb:.0f}",
                f"{100 * limit_s / mine.cpu_s:.0f} %",
            ]
        )
    head = ["stager", "ours, CPU s", "published way, CPU s", "times faster", "published way"]
    head += ["ours, MB", "published way, MB", "share of the limit"]
    sys.stdout.write(table(f"A training step, one thread, {speed:.0f} GFLOP/s", head, rows))
    if torch.cuda.is_available():
        sys.stdout.write("\n" + gpu_table(names))
    return 0


def small_stagers() -> tuple[str, ...]:
    """Return the stagers that a processor can train."""
    firsts = {name: next(iter(models.presets(name))) for name in models.stagers()}
    return tuple(name for name, preset in firsts.items() if n_parameters(name, preset) <= LARGEST)


def compared(name: str, repeat: int) -> tuple[Timing, Timing, str]:
    """Return a step of ours, one of the published way over the same epochs, and what that is."""
    if name == "lpsgm":
        ways = lpsgm_training_step.ours, lpsgm_training_step.as_published
        return *(measure(way, repeat=repeat) for way in ways), "padding encoded"  # type: ignore
    if has_recurrent_norm(name):
        ways = measure(step, name, PADDED, repeat=repeat), measure(plain, name, repeat=repeat)
        return *ways, "step by step"
    return (
        measure(step, name, REAL, repeat=repeat),
        measure(step, name, PADDED, LENGTH * (PADDED - REAL), repeat=repeat),
        "nights side by side",
    )


def made(name: str) -> Any:
    """Return a stager of its paper's size, about to be trained."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    preset = next(iter(models.presets(name).values()))
    return models.create(name, **vars(preset)).train()


def has_recurrent_norm(name: str) -> bool:
    """Tell whether a stager normalises inside its recurrent layers."""
    return any(isinstance(part, Recurrent) for part in made(name).modules())


def batch_of(model: Any, n_windows: int, n_padded: int = 0, device: str = "cpu") -> Batch:
    """Return windows of noise, the last epochs of which are padding."""
    length = model.window or LENGTH
    real = torch.ones(n_windows * length, dtype=torch.bool)
    real[len(real) - n_padded :] = False
    real = real.view(n_windows, length)
    signals = {
        name: (torch.randn(n_windows, length, size) * real[..., None]).to(device)
        for name, size in model.channels.items()
    }
    stages = torch.randint(model.config.n_classes, real.shape).masked_fill(~real, -1).to(device)
    return signals, dict.fromkeys(signals, real.to(device)), stages


@cache
def prepared(name: str, n_windows: int, n_padded: int, *, plain: bool) -> tuple[Any, Batch]:
    """Return a stager and its windows; made in the first call, which is not counted."""
    model = made(name)
    for part in model.modules():
        if plain and isinstance(part, Recurrent):
            part.__class__ = PlainRecurrent
    return model, batch_of(model, n_windows, n_padded)


def step(name: str, n_windows: int, n_padded: int = 0) -> None:
    """Take a step on windows."""
    model, batch = prepared(name, n_windows, n_padded, plain=False)
    learn(model, *batch)


def plain(name: str) -> None:
    """Take a step with recurrent layers as their formulas stand."""
    model, batch = prepared(name, PADDED, 0, plain=True)
    learn(model, *batch)


def learn(
    model: Any, signals: Mapping, present: Mapping, stages: torch.Tensor, optimizer: Any = None
) -> None:
    """Loss, gradients, one move."""
    output = model(signals, present)
    if hasattr(model, "loss"):
        loss = model.loss(output, stages)
    else:
        loss = F.cross_entropy(output.logits.flatten(0, 1), stages.flatten(), ignore_index=-1)
    loss.backward()
    (optimizer or torch.optim.AdamW(model.parameters(), lr=1e-4)).step()


def measured_flop(name: str) -> float:
    """Return the operations of the products and convolutions of a step of ours."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter:
        if name == "lpsgm":
            lpsgm_training_step.ours()
        else:
            step(name, PADDED if has_recurrent_norm(name) else REAL)
    return float(counter.get_total_flops())


def gpu_table(names: Sequence[str], device: str = "cuda") -> str:
    """Return the table of steps and nights on a GPU."""
    speed, rows = gpu_flop_per_s(device), []
    for name in names:
        plain_s, half_s, both_s = (
            gpu_step_s(name, device, half=half, compiled=compiled)
            for half, compiled in ((False, False), (True, False), (True, True))
        )
        flop = gpu_flop(name, device)
        share = f"{100 * flop / min(half_s, both_s) / speed:.1f} %"
        gains = [1000 * plain_s, plain_s / half_s, half_s / both_s]
        rows.append([name, *gains, share, nights_per_s(name, device)])
    head = ["stager", "step in float32, ms", "bf16 gains", "compilation gains"]
    head += ["share of the card's limit", "nights of 8 h staged per second"]
    title = f"{GPU_BATCH} windows a step, {speed / 1e12:.0f} TFLOP/s in bf16 products"
    return table(title, head, rows)


def gpu_step_s(name: str, device: str, *, half: bool, compiled: bool) -> float:
    """Return the seconds of a training step on a GPU."""
    model: Any = made(name).to(device)
    batch = batch_of(model, GPU_BATCH, device=device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    if compiled:
        model.forward = torch.compile(model.forward)

    def one() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16, enabled=half):
            learn(model, *batch, optimizer=optimizer)

    return seconds(one, device, GPU_STEPS)


def gpu_flop(name: str, device: str) -> float:
    """Return the operations of the products and convolutions of such a step."""
    from torch.utils.flop_counter import FlopCounterMode

    model, counter = made(name).to(device), FlopCounterMode(display=False)
    with counter:
        learn(model, *batch_of(model, GPU_BATCH, device=device))
    return float(counter.get_total_flops())


def nights_per_s(name: str, device: str) -> float:
    """Return how many nights of eight hours are staged per second, as in use."""
    from models.whole_night import night_proba

    model = made(name).to(device).eval()
    signals = {
        channel: torch.randn(NIGHT_EPOCHS, size, device=device)
        for channel, size in model.channels.items()
    }
    there = torch.ones(NIGHT_EPOCHS, dtype=torch.bool, device=device)
    present = dict.fromkeys(signals, there)
    return 1 / seconds(lambda: night_proba(model, signals, present), device, 3)


def gpu_flop_per_s(device: str, size: int = 8192) -> float:
    """Return the speed of a large product in bf16."""
    left, right = (torch.randn(size, size, device=device).bfloat16() for _ in range(2))
    return 2 * size**3 / seconds(lambda: torch.mm(left, right), device, 20)


def seconds(work: Callable[[], Any], device: str, n_times: int) -> float:
    """Return the wall seconds of one call, when all are done; the first ones warm up."""
    for _ in range(3):
        work()
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    wait()
    begun = time.perf_counter()
    for _ in range(n_times):
        work()
    wait()
    return (time.perf_counter() - begun) / n_times


if __name__ == "__main__":
    raise SystemExit(run(main, Config))
