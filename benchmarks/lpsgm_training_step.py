"""One training step of LPSGM: only what was recorded is encoded, against padding encoded as well.

Eight windows after the channel crop of the published training, which keeps a random number of
derivations: the published code pads every window to the longest and encodes the padding too.

    python -m benchmarks.lpsgm_training_step
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

import models
from benchmarks.measure import measure, table
from models.lpsgm import CHANNELS, LPSGM

BATCH, GOAL = 8, 1.9  # windows; times faster than the published way
KEPT = (2, 1, 4, 8, 3, 2, 7, 1)  # derivations of each window: 560 real of 1,280 padded tokens


def batch() -> tuple[LPSGM, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return the published size of the model, and windows with what each of them kept."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    signals = {name: torch.randn(BATCH, 20, 3000) for name in CHANNELS[: max(KEPT)]}
    kept = torch.tensor(KEPT)
    return models.create("lpsgm").train(), signals, {c: kept > i for i, c in enumerate(signals)}


def ours() -> None:
    """Encode what is there."""
    model, signals, present = batch()
    step(model, model(signals, present).logits)


def as_published() -> None:
    """Encode every window as if it had all channels of the largest one, and mask afterwards."""
    model, signals, present = batch()
    x = torch.stack(list(signals.values()), dim=2)  # (B, L, C, T)
    features = model.encoder(x.flatten(0, 2)).unflatten(0, x.shape[:3])
    sequence = model.sequence
    data = sequence.channel_part(features, torch.arange(len(signals)))
    data = data + sequence.position_part()[:, None]
    classes = sequence.placed_class_tokens().expand(BATCH, -1, -1)
    there = torch.stack(list(present.values()), dim=1)[:, None].expand(-1, model.window, -1)
    allowed = F.pad(there.flatten(1), (model.window, 0), value=True)[:, None, None]
    tokens = torch.cat([classes, data.flatten(1, 2)], dim=1)
    step(model, model.head(sequence(tokens, allowed)[:, : model.window]))


def step(model: LPSGM, logits: torch.Tensor) -> None:
    """Loss, gradients, one move."""
    F.cross_entropy(logits.flatten(0, 1), torch.zeros(BATCH * 20, dtype=torch.long)).backward()
    torch.optim.AdamW(model.parameters()).step()


def main() -> None:
    """Print the table."""
    mine, theirs = measure(ours, repeat=2), measure(as_published, repeat=2)
    real, padded = 20 * sum(KEPT), 20 * max(KEPT) * BATCH
    rows = [
        ["ours", real, mine.cpu_s, f"{mine.peak_mb:.0f}", theirs.cpu_s / mine.cpu_s],
        ["padding encoded", padded, theirs.cpu_s, f"{theirs.peak_mb:.0f}", 1.0],
    ]
    head = ["way", "epochs encoded", "CPU s", "MB", f"times faster (goal {GOAL})"]
    print(table(f"LPSGM training step, {BATCH} windows, 1 thread", head, rows))


if __name__ == "__main__":
    main()
