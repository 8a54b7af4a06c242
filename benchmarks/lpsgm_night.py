"""LPSGM on a night of 8 h: ours, every window by itself as published, and the arithmetic limit.

The published way encodes every epoch anew in each of the 20 windows that hold it. It is measured on
one batch of windows and scaled to the night, which would take minutes; the published batches are
four times as large, and so is their memory. Both make their model and their night (random numbers)
inside what is measured.

    python -m benchmarks.lpsgm_night
"""

from __future__ import annotations

import torch

import models
from benchmarks.measure import matmul_gflop_per_s, measure, table
from models.lpsgm import LPSGM, Config

HOURS, WINDOWS_MEASURED = 8, 16
GOALS_S = {9: 45, 2: 13}  # number of channels: CPU seconds of the goal
ENCODER_MFLOP = 81.31  # one epoch of one channel, multiplications and additions


def night(n_channels: int, n_epochs: int) -> tuple[LPSGM, dict[str, torch.Tensor]]:
    """Return the published size of the model and a night of noise."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = models.create("lpsgm").eval()
    names = model.config.channels[:n_channels]
    return model, {name: torch.randn(n_epochs, 3000) for name in names}


def ours(n_channels: int, n_epochs: int) -> torch.Tensor:
    """Stage the night as a whole."""
    model, signals = night(n_channels, n_epochs)
    return model.night_proba(signals)


@torch.inference_mode()
def as_published(n_channels: int, n_windows: int) -> torch.Tensor:
    """Run each window by itself, all of them in one batch, each epoch encoded again and again."""
    model, signals = night(n_channels, n_windows + model_window() - 1)
    windows = {name: x.unfold(0, model.window, 1).movedim(-1, 1) for name, x in signals.items()}
    x = torch.stack(list(windows.values()), dim=2)  # (W, L, C, T)
    segments = x.flatten(0, 2).clamp(-10, 10)[:, None]
    encoder, sequence = model.encoder, model.sequence
    features = torch.cat([encoder.fine(segments), encoder.coarse(segments)], dim=-1)
    features = features.unflatten(0, x.shape[:3])  # (W, L, C, 512)
    data = sequence.channel_part(features, torch.arange(n_channels))
    data = data + sequence.position_part()[:, None]
    classes = sequence.placed_class_tokens().expand(n_windows, -1, -1)
    tokens = torch.cat([classes, data.flatten(1, 2)], dim=1)
    return model.head(sequence(tokens, None)[:, : model.window]).softmax(dim=-1)


def model_window() -> int:
    """Return the epochs of a window of the published size."""
    return Config().window


def least_gflop(n_channels: int, n_epochs: int) -> float:
    """Return the arithmetic left when nothing is computed twice, in GFLOP.

    A block does 12 S D^2 + 4 S^2 D on S tokens of width D; in the first one the projections of
    the tokens fall away, in the last one only L class tokens ask and go on: 12 L D^2 + 4 H L S D.
    """
    config = Config()
    window, width = config.window, config.width
    tokens = window * (n_channels + 1)
    first = 6 * tokens * width**2 + 4 * tokens**2 * width
    middle = (config.n_blocks - 2) * (12 * tokens * width**2 + 4 * tokens**2 * width)
    last = 12 * window * width**2 + 4 * config.n_heads * window * tokens * width
    n_windows = n_epochs - window + 1
    encoder = ENCODER_MFLOP * 1e6 * n_channels * n_epochs
    return (n_windows * (first + middle + last) + encoder) / 1e9


def main() -> None:
    """Print the table."""
    n_epochs = HOURS * 120
    rows, speed = [], matmul_gflop_per_s()
    for n_channels, goal_s in GOALS_S.items():
        mine = measure(ours, n_channels, n_epochs, repeat=1)
        part = measure(as_published, n_channels, WINDOWS_MEASURED, repeat=1)
        theirs_s = part.cpu_s * (n_epochs - model_window() + 1) / WINDOWS_MEASURED
        limit_s = least_gflop(n_channels, n_epochs) / speed
        cells = [f"{mine.cpu_s:.1f}", f"{mine.peak_mb:.0f}", goal_s]
        cells += [f"{theirs_s:.0f}", f"{part.peak_mb:.0f}", f"{limit_s:.1f}"]
        ratios = [f"{theirs_s / mine.cpu_s:.1f}", f"{mine.cpu_s / limit_s:.2f}"]
        rows.append([n_channels, *cells, *ratios])
    head = ["channels", "ours, CPU s", "MB", "goal s", "published way, CPU s (scaled)"]
    head += [f"MB for {WINDOWS_MEASURED} windows", "limit s", "times faster", "of the limit"]
    print(table(f"LPSGM, night of {HOURS} h, 1 thread, {speed:.0f} GFLOP/s", head, rows))


if __name__ == "__main__":
    main()
