"""A training step of SeqSleepNet's recurrent layers, against PyTorch's own layers of their size.

Forward and backward of both directions, for 32 windows of 20 epochs: the layer over the 29 frames
of 640 epochs (of three channels, of one) and the layer over the 20 epochs of 32 windows. The plain
way is written from the formulas with PyTorch's operations, the products of the inputs taken
together before the loop; `torch.nn.LSTM` does no normalisation at all.

    python -m benchmarks.recurrent_batch_norm
"""

from __future__ import annotations

import time

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.measure import matmul_gflop_per_s, table
from models.recurrent_norm import EPS, MOMENTUM, Direction, Recurrent, StepNorm

HIDDEN, REPEATS, GOAL = 64, 7, 1.5  # goal: times the seconds of an LSTM
LAYERS = {  # sequences, steps, inputs
    "29 frames, 3 channels": (640, 29, 96),
    "29 frames, 1 channel": (640, 29, 32),
    "20 epochs": (32, 20, 128),
}
WHOLE = "29 frames, 3 channels", "20 epochs"  # the layers of the published network


class PlainRecurrent(Recurrent):
    """The same layer, its formulas written down."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, T, inputs) -> (N, T, 2 hidden)."""
        backward = plain(self.bw, x.flip(1)).flip(1)
        return torch.cat([plain(self.fw, x), backward], dim=-1)


def plain(way: Direction, x: torch.Tensor) -> torch.Tensor:
    """Run one direction: (N, T, inputs) -> (N, T, hidden)."""
    driven = normal(way.bn_xh, F.linear(x, way.weight_xh), slice(None))
    h = c = x.new_zeros(len(x), HIDDEN)
    outputs = []
    for step in range(x.shape[1]):
        gates = driven[:, step] + normal(way.bn_hh, F.linear(h, way.weight_hh), step)
        forget, write, out, candidate = gates.chunk(4, dim=-1)
        c = forget.sigmoid() * c + write.sigmoid() * candidate.tanh()
        h = out.sigmoid() * normal(way.bn_c, c, step).tanh()
        outputs.append(h)
    return torch.stack(outputs, dim=1)


def normal(norm: StepNorm, x: torch.Tensor, step: int | slice) -> torch.Tensor:
    """Normalise over the batch and let the running statistics of the step follow."""
    mean, var = x.mean(dim=0), x.var(dim=0, correction=0)
    with torch.no_grad():
        norm.running_mean[step] = torch.lerp(norm.running_mean[step], mean, MOMENTUM)
        norm.running_var[step] = torch.lerp(norm.running_var[step], var, MOMENTUM)
    x = (x - mean) * (norm.weight * torch.rsqrt(var + EPS))
    return x if norm.bias is None else x + norm.bias


def seconds(layers: dict[str, nn.Module], x: torch.Tensor) -> dict[str, float]:
    """Return the CPU seconds of a step of each layer, the best of several, turn by turn."""
    best = dict.fromkeys(layers, float("inf"))
    for _ in range(REPEATS):  # turn by turn: what else the machine does falls on all of them
        for name, layer in layers.items():
            layer.zero_grad()
            begun = time.process_time()
            out = layer(x)
            (out[0] if isinstance(out, tuple) else out).sum().backward()
            best[name] = min(best[name], time.process_time() - begun)
    return best


def check(mine: Recurrent, theirs: Recurrent, x: torch.Tensor) -> None:
    """Refuse to time layers that differ."""
    theirs.load_state_dict(mine.state_dict())
    if not torch.allclose(mine(x), theirs(x), atol=1e-4):
        raise AssertionError("the two ways disagree")


def limit(n: int, n_steps: int, n_inputs: int, gflop_per_s: float) -> float:
    """Return the seconds of the matrix products alone: forward, and twice that backward."""
    flop = 3 * 2 * (2 * n * n_steps * (n_inputs + HIDDEN) * 4 * HIDDEN)
    return flop / gflop_per_s / 1e9


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    speed, found, limits = matmul_gflop_per_s(), {}, {}
    for name, (n, n_steps, n_inputs) in LAYERS.items():
        x = torch.randn(n, n_steps, n_inputs, requires_grad=True)
        both = {"batch_first": True, "bidirectional": True}
        layers: dict[str, nn.Module] = {
            "ours": Recurrent(n_steps, n_inputs, HIDDEN, 0.0),
            "plain": PlainRecurrent(n_steps, n_inputs, HIDDEN, 0.0),
            "LSTM": nn.LSTM(n_inputs, HIDDEN, **both),
            "GRU": nn.GRU(n_inputs, HIDDEN, **both),
        }
        check(layers["ours"], layers["plain"], x)  # type: ignore[arg-type]
        found[name] = seconds(layers, x)
        limits[name] = limit(n, n_steps, n_inputs, speed)
    found["both layers"] = {way: sum(found[n][way] for n in WHOLE) for way in found[WHOLE[0]]}
    limits["both layers"] = sum(limits[n] for n in WHOLE)
    rows = [
        [
            *(name, *(1000 * t[way] for way in ("ours", "plain", "LSTM", "GRU"))),
            *(1000 * limits[name], t["ours"] / t["LSTM"], t["plain"] / t["ours"]),
        ]
        for name, t in found.items()
    ]
    head = ["layer", "ours ms", "plain ms", "LSTM ms", "GRU ms", "products alone ms"]
    head += [f"ours / LSTM (goal {GOAL})", "plain / ours"]
    title = f"Recurrent batch normalisation, a step of 32 windows, 1 thread, {speed:.0f} GFLOP/s"
    print(table(title, head, rows))


if __name__ == "__main__":
    main()
