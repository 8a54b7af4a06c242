"""Pre-training step and embedding of NeuroNet, against the published way of computing the same.

The published code runs its CNN once per frame position in a Python loop, reads each masking in a
pass of its own, and spreads the contrast out over tensors of (2B, 2B, D). Both ways use the same
weights, the same data and the same noise; the outputs are compared before anything is timed. Batch
statistics are taken per frame position in both, which is what the published loop means; ours with
statistics over all frames (the default) stands in a row of its own, since it is another model.

    python -m benchmarks.synthsleepnet [--batch N]

The limit is the multiply-adds of convolutions and linear layers at the speed of a 1024 x 1024
product measured in the same run: forward, and twice that backward.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.measure import matmul_gflop_per_s, measure, table
from engine.pretraining import PretrainingTask, embedded, linear_probe
from models.frame_encoder import PlaceNorm
from models.masked_tokens import Masking
from models.neuronet import PRESETS, NeuroNet
from nights.windows import Windows

STEP_GOAL, EMBED_GOAL, PROBE_GOAL = 1.3, 1.15, 50
GFLOP_CNN, GFLOP_MLP, GFLOP_ENCODER = 5.36, 1.79, 1.72  # per epoch and channel, one embedding
GFLOP_MASKED = 1.0  # transformer, decoder and heads of both maskings, forward
TASK = PretrainingTask()


def network(frame_norm: str = "per_frame") -> NeuroNet:
    """Return the published size with the same weights every time."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return NeuroNet(replace(PRESETS["eeg"], frame_norm=frame_norm))


def epochs(batch: int) -> torch.Tensor:
    """Return noise (B, 3000)."""
    return torch.randn(batch, 3000, generator=torch.Generator().manual_seed(1))


def noise(batch: int) -> list[torch.Tensor]:
    """Return the noise of both maskings."""
    return list(torch.rand(2, batch, 27, generator=torch.Generator().manual_seed(2)))


class Published:
    """The published computation on our modules: same numbers, its own order of work."""

    def __init__(self, net: NeuroNet) -> None:
        self.net, self.frames = net, net.encoder.frames
        for norm in (m for m in net.modules() if isinstance(m, PlaceNorm)):
            norm.n_places = 1  # the loop gives each frame statistics of its own

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Run the frame encoder once per frame, in (N, C, T) as published."""
        cut = self.net.encoder.cut(x)
        return torch.stack([self.frame(cut[:, i]) for i in range(cut.shape[1])], dim=1)

    def frame(self, x: torch.Tensor) -> torch.Tensor:
        """Encode frame i of every epoch, (B, samples) -> (B, P)."""
        trunk = self.frames.trunk
        x = F.max_pool1d(F.elu(_conv(trunk.stem, x[:, None])), 3, 2, padding=1)
        ends = [
            F.avg_pool1d(self.branch(branch, x), pool, 1)
            for branch, pool in zip(trunk.branches, (16, 11, 6), strict=True)
        ]
        return self.frames.mlp(torch.cat(ends, dim=-1).flatten(1))

    @staticmethod
    def branch(blocks: nn.Module, x: torch.Tensor) -> torch.Tensor:
        """Residual blocks over (N, C, T)."""
        for block in blocks:  # type: ignore[attr-defined]
            y = _conv(block.conv_2, F.elu(_conv(block.conv_1, x)))
            y = y * block.excite(y[:, :, None])[..., 0]
            x = x if block.shortcut is None else _conv(block.shortcut, x)
            x = F.elu(x[..., : y.shape[-1]] + y)
        return x

    def loss(self, x: torch.Tensor, noises: list[torch.Tensor]) -> torch.Tensor:
        """One pass per masking, predictions of all frames, contrast over spread-out tensors."""
        net, features = self.net, self.features(x)
        errors, views = [], []
        for drawn in noises:
            masking = Masking.of(drawn, TASK.mask_ratio)
            embedded_frames = net.encoder.embed(features) + net.encoder.positions[1:]
            first = (net.encoder.class_token + net.encoder.positions[0]).expand(len(x), 1, -1)
            seen = net.encoder.transformer(torch.cat([first, masking.pick(embedded_frames)], dim=1))
            guess = net.decoder.predict(net.decoder(seen, masking))
            hidden = masking.hidden.float()
            errors.append((((guess - features) ** 2).mean(dim=-1) * hidden).sum() / hidden.sum())
            views.append(net.projection(seen[:, 0]))
        return errors[0] + errors[1] + published_contrast(*views, TASK.temperature)

    def latent(self, x: torch.Tensor) -> torch.Tensor:
        """Class token of every epoch."""
        return self.net.encoder.encode(self.features(x))[:, 0]


def _conv(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Convolution over (N, C, T), then batch norm."""
    norm = layer.norm
    y = layer.conv(x)
    return F.batch_norm(
        y, norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.training, norm.momentum
    )


def published_contrast(z1: torch.Tensor, z2: torch.Tensor, temperature: float) -> torch.Tensor:
    """Cosines by broadcasting (2B, 2B, D), the mask in a loop, positives in column 0."""
    both, n = torch.cat([z1, z2]), len(z1)
    scores = F.cosine_similarity(both[:, None], both[None], dim=-1)
    partners = torch.cat([torch.diag(scores, n), torch.diag(scores, -n)])[:, None]
    mask = torch.ones(2 * n, 2 * n, dtype=torch.bool)
    for i in range(2 * n):
        mask[i, i] = mask[i, (i + n) % (2 * n)] = False
    logits = torch.cat([partners, scores[mask].view(2 * n, -1)], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(2 * n, dtype=torch.long), reduction="sum") / (2 * n)


def our_loss(net: NeuroNet, batch: int) -> torch.Tensor:
    """The loss as the task computes it."""
    given = iter(noise(batch))
    output = net({"C4": epochs(batch)[:, None]}, {}, mask_ratio=0.8, draw=lambda *_: next(given))
    return TASK.losses(output)[0]


def our_step(batch: int, frame_norm: str = "per_frame") -> None:
    """One step of ours: loss, gradients, AdamW in one pass over the parameters."""
    net = _kept(frame_norm).train()
    our_loss(net, batch).backward()
    _move(net, fused=True)


def published_step(batch: int) -> None:
    """One step of the published way."""
    net = _kept("per_frame").train()
    Published(net).loss(epochs(batch), noise(batch)).backward()
    _move(net, fused=False)


@torch.inference_mode()
def our_embedding(n: int) -> None:
    """Embed epochs our way."""
    _kept("per_frame").eval().embed({"C4": epochs(n)[None]}, {})


@torch.inference_mode()
def published_embedding(n: int) -> None:
    """Embed epochs the published way."""
    Published(_kept("per_frame").eval()).latent(epochs(n))


_NETS: dict[str, NeuroNet] = {}
_OPTIMIZERS: dict[int, torch.optim.Optimizer] = {}


def _kept(frame_norm: str) -> NeuroNet:
    """Build the network once per process: building is not timed after the warm-up."""
    if frame_norm not in _NETS:
        _NETS[frame_norm] = network(frame_norm)
    return _NETS[frame_norm]


def _move(net: NeuroNet, *, fused: bool) -> None:
    """Take the step; as published one tensor after another, ours all in one kernel."""
    if id(net) not in _OPTIMIZERS:
        _OPTIMIZERS[id(net)] = torch.optim.AdamW(net.parameters(), lr=0.0, fused=fused)
    _OPTIMIZERS[id(net)].step()
    _OPTIMIZERS[id(net)].zero_grad()


def check_equal() -> tuple[float, float]:
    """Return how far apart gradients and embeddings of both ways are, over their size."""
    mine, other = network().train(), network().train()
    our_loss(mine, 2).backward()
    Published(other).loss(epochs(2), noise(2)).backward()
    gradients = [net.encoder.frames.trunk.stem.conv.weight.grad for net in (mine, other)]
    with torch.no_grad():
        embeddings = [
            network().eval().embed({"C4": epochs(2)[None]}, {})[0],
            Published(network().eval()).latent(epochs(2)),
        ]
    return _apart(*gradients), _apart(*embeddings)  # type: ignore[arg-type]


def _apart(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Return the largest difference over the largest value."""
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def probing_seconds(n_epochs: int, n_passes: int) -> tuple[float, float]:
    """Return CPU seconds of a probe on embeddings kept, and on embeddings computed each pass."""
    net = _kept("per_frame").eval()
    x, stages = epochs(n_epochs), torch.arange(n_epochs) % 5
    batch = Windows(
        {"C4": x[:, None]},
        {"C4": torch.ones(n_epochs, 1, dtype=torch.bool)},
        stages[:, None],
        ("SIM/1",),
        torch.zeros(n_epochs, dtype=torch.long),
    )
    start = time.process_time()
    features, labels = embedded(net, [batch])
    once = time.process_time() - start
    start = time.process_time()
    for _ in range(n_passes):
        linear_probe(features, labels, features)
    passes = time.process_time() - start
    return once + passes, n_passes * once + passes


def main() -> None:
    """Compare, then print the tables."""
    batch = int(sys.argv[sys.argv.index("--batch") + 1]) if "--batch" in sys.argv else 16
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # its memory is not that of a way
        gradients, embeddings = pool.apply(check_equal)
    print(f"apart: gradients {gradients:.1e}, embeddings {embeddings:.1e} of their size\n")
    speed = matmul_gflop_per_s()
    frames = GFLOP_CNN + GFLOP_MLP
    step_limit = 3 * batch * (frames + GFLOP_MASKED) / speed
    theirs, ours = measure(published_step, batch, repeat=2), measure(our_step, batch, repeat=2)
    pooled = measure(our_step, batch, "pooled", repeat=2)
    head = ["way", "CPU s", "MB", "times faster", "share of limit"]
    rows = [
        [name, t.cpu_s, f"{t.peak_mb:.0f}", theirs.cpu_s / t.cpu_s, step_limit / t.cpu_s]
        for name, t in (
            ("published", theirs),
            ("ours, same statistics", ours),
            ("ours, statistics over all frames", pooled),
        )
    ]
    print(table(f"Pre-training step, {batch} epochs (goal {STEP_GOAL})", head, rows))
    theirs, ours = (measure(way, batch) for way in (published_embedding, our_embedding))
    limit = batch * (frames + GFLOP_ENCODER) / speed
    rows = [
        [name, t.cpu_s, f"{t.peak_mb:.0f}", theirs.cpu_s / t.cpu_s, limit / t.cpu_s]
        for name, t in (("published", theirs), ("ours", ours))
    ]
    print(table(f"Embedding of {batch} epochs (goal {EMBED_GOAL})", head, rows))
    kept, anew = probing_seconds(4 * batch, 100)
    rows = [["computed in each pass", anew, 1.0], ["computed once", kept, anew / kept]]
    print(
        table(f"Probe of 100 passes (goal {PROBE_GOAL})", ["embeddings", "CPU s", "faster"], rows)
    )


if __name__ == "__main__":
    main()
