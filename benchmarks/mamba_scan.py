"""The selective scans of Mamba: in chunks, against one step after another.

Step by step, with autograd through every step, is what the reference of `mamba_ssm` and the
`transformers` library do on a CPU. Forward and backward together; the layer's projections, which
are the same either way, are left out.

    python -m benchmarks.mamba_scan [--short]

The limit of SSD is its matrix products at the speed of a 1024 x 1024 one. S6 has none: its limit is
one exponential per step, channel and state, and the passes over arrays of that size that no
order of work can spare: write and read the decay and the state, forward and again backward.
"""

from __future__ import annotations

import sys
from functools import partial

import torch

from benchmarks.measure import cpu_seconds, matmul_gflop_per_s, measure, table
from models.selective_scan import S6_CHUNK, SSD_CHUNK, s6, ssd

LENGTHS = (1, 2, 4, 8, 20, 64, 128, 512, 1000)
HEADS, HEAD_WIDTH, STATES, CHANNELS = 16, 64, 16, 512  # of the fine-tuning models
GOAL = 2.0  # SSD at 512 steps


def ssd_inputs(batch: int, length: int) -> list[torch.Tensor]:
    """Return x, delta, rate, write, read as leaves that want a gradient."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tensors = [
        torch.randn(batch, length, HEADS, HEAD_WIDTH),
        torch.rand(batch, length, HEADS) * 0.1,
        -torch.rand(HEADS) * 15 - 1,
        torch.randn(batch, length, 1, STATES),
        torch.randn(batch, length, 1, STATES),
    ]
    return [tensor.requires_grad_() for tensor in tensors]


def s6_inputs(batch: int, length: int) -> list[torch.Tensor]:
    """Return x, delta, rate, write, read as leaves that want a gradient."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tensors = [
        torch.randn(batch, length, CHANNELS),
        torch.rand(batch, length, CHANNELS) * 0.1,
        -torch.arange(1.0, STATES + 1).repeat(CHANNELS, 1),
        torch.randn(batch, length, STATES),
        torch.randn(batch, length, STATES),
    ]
    return [tensor.requires_grad_() for tensor in tensors]


def ssd_steps(
    x: torch.Tensor,
    delta: torch.Tensor,
    rate: torch.Tensor,
    write: torch.Tensor,
    read: torch.Tensor,
) -> torch.Tensor:
    """Run SSD one step after another, as its definition says."""
    state, y = x.new_zeros(*x.shape[:1], *x.shape[2:], write.shape[-1]), []
    for t in range(x.shape[1]):
        kept = (delta[:, t] * rate).exp()[..., None, None]
        state = kept * state + (delta[:, t, :, None] * x[:, t])[..., None] * write[:, t, :, None]
        y.append((state * read[:, t, :, None]).sum(dim=-1))
    return torch.stack(y, dim=1)


def s6_steps(
    x: torch.Tensor,
    delta: torch.Tensor,
    rate: torch.Tensor,
    write: torch.Tensor,
    read: torch.Tensor,
) -> torch.Tensor:
    """Run S6 one step after another, as its definition says."""
    state, y = x.new_zeros(*x.shape[:1], *x.shape[2:], write.shape[-1]), []
    for t in range(x.shape[1]):
        kept = (delta[:, t, :, None] * rate).exp()
        state = kept * state + (delta[:, t] * x[:, t])[..., None] * write[:, t, None]
        y.append((state @ read[:, t, :, None]).squeeze(-1))
    return torch.stack(y, dim=1)


WAYS = {"SSD": (ssd_inputs, ssd, ssd_steps), "S6": (s6_inputs, s6, s6_steps)}


def run(scan: str, chunked: bool, batch: int, length: int, times: int) -> None:
    """Scan forward and backward `times` times."""
    inputs, ours, steps = WAYS[scan]
    tensors = inputs(batch, length)
    for _ in range(times):
        (ours if chunked else steps)(*tensors).sum().backward()


def ssd_limit_s(batch: int, length: int, gflop_per_s: float) -> float:
    """Return the seconds of the matrix products alone, forward and twice that backward."""
    size = min(SSD_CHUNK, length)
    scores = 2 * size * STATES / HEADS
    inside = 2 * size * HEAD_WIDTH
    carried = 4 * HEAD_WIDTH * STATES if length > size else 0
    return 3 * batch * length * HEADS * (scores + inside + carried) / gflop_per_s / 1e9


def s6_limit_s(batch: int, length: int) -> float:
    """Return the seconds of what S6 cannot do without, on blocks that stay in the cache."""
    block = torch.full((min(S6_CHUNK, length), batch, CHANNELS, STATES), -0.1)
    out, n_blocks = torch.empty_like(block), -(-length // S6_CHUNK)

    def work() -> None:
        for _ in range(2):  # forward, and again in the backward pass
            torch.exp(block, out=out)
            torch.addcmul(block, block, block, out=out)
        torch.addcmul(block, block, block, out=out)  # the gradient's own recurrence

    return n_blocks * min(cpu_seconds(work) for _ in range(5))


def rows(scan: str, lengths: tuple[int, ...], gflop_per_s: float) -> list[list[object]]:
    """Measure one scan at every length, with 32 sequences up to 20 steps and 2 beyond."""
    found: list[list[object]] = []
    for length in lengths:
        batch = 32 if length <= 20 else 2
        times = max(1, 60 // (batch * length // 32 + 1))
        ours, theirs = (
            measure(partial(run, scan, way, batch, length, times)) for way in (True, False)
        )
        limit = (
            ssd_limit_s(batch, length, gflop_per_s) if scan == "SSD" else s6_limit_s(batch, length)
        )
        found.append(
            [
                *(length, batch, 1e3 * ours.cpu_s / times, 1e3 * theirs.cpu_s / times),
                *(theirs.cpu_s / ours.cpu_s, limit * times / ours.cpu_s),
                *(f"{ours.peak_mb:.0f}", f"{theirs.peak_mb:.0f}"),
            ]
        )
    return found


def main() -> None:
    """Print both tables."""
    lengths = (1, 20, 512) if "--short" in sys.argv else LENGTHS
    speed = matmul_gflop_per_s()
    head = ["steps", "batch", "ours ms", "step by step ms", "times faster", "share of limit"]
    for scan in WAYS:
        title = f"{scan}, forward and backward, 1 thread (matmul {speed:.0f} GFLOP/s)"
        print(table(title, [*head, "MB", "MB step by step"], rows(scan, lengths, speed)))


if __name__ == "__main__":
    main()
