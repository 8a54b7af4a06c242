"""Maps of LPSGM and their figures: ours and the published way, on the same signals and weights.

python -m benchmarks.explain            40 epochs of nine derivations, untrained weights

The published way explains the first epoch of each window of 20: it runs the whole network forward
and back for every window, once for Grad-CAM and once for guided backpropagation, and draws each
figure of 3,000 rectangles a derivation. The limit counts, at the speed of a matrix product measured
in the same run, one encoding of each epoch, one transformer forward and back for each window
(without gradients of weights) and the encoder forward and back for each explained epoch.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

import models
from benchmarks.measure import matmul_gflop_per_s, measure, table
from evaluation.plots import encode, map_figure
from evaluation.traces import Trace
from explain.gradcam import _GuidedReLU, explain_night
from models.lpsgm import LPSGM

# Of an epoch of one derivation (counted: specification of LPSGM, section 13)
ENCODER_GFLOP = 0.0813
TIMED_WINDOWS = 4  # of the published way, scaled up


def make(n_epochs: int) -> tuple[LPSGM, dict[str, torch.Tensor]]:
    """Return LPSGM of the published size and noise for its derivations."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = models.create("lpsgm").eval()
    return model, {name: torch.randn(n_epochs, 3000) for name in model.config.channels}


def ours(n_epochs: int) -> None:
    """Both maps of every epoch."""
    explain_night(*make(n_epochs))


def published(n_windows: int) -> None:
    """Both maps of the first epoch of so many windows, two passes through the whole network."""
    model, night = make(model_window() + n_windows - 1)
    for start in range(n_windows):
        window = {n: x[start : start + model.window][None] for n, x in night.items()}
        for guided in (False, True):
            _straightforward(model, window, guided=guided)


def _straightforward(model: LPSGM, window: dict[str, torch.Tensor], *, guided: bool) -> None:
    """Forward and back through everything."""
    kept: list[torch.Tensor] = []
    branches = (model.encoder.fine, model.encoder.coarse)
    for branch in branches:
        branch.relu = _GuidedReLU() if guided else torch.nn.ReLU()  # type: ignore[assignment]
    hooks = [
        branch.layers[-1][0].register_forward_hook(lambda _m, _i, out: kept.append(out))  # type: ignore[index]
        for branch in branches
    ]
    x = {name: signal.clone().requires_grad_() for name, signal in window.items()}
    logits = model(x, {}).logits[0, 0]
    torch.autograd.grad(logits.max(), list(x.values()) if guided else kept)
    for hook in hooks:
        hook.remove()


def model_window() -> int:
    """Epochs of a window."""
    return models.presets("lpsgm")["paper"].window


def _shown() -> tuple[list[Trace], np.ndarray]:
    """Return nine signals of an epoch and a map of each sample."""
    rng = np.random.default_rng(0)
    names = models.presets("lpsgm")["paper"].channels
    return [Trace(n, rng.standard_normal((1, 3000))) for n in names], rng.random((9, 3000))


def figure() -> None:
    """One figure, an image for all rows."""
    traces, values = _shown()
    encode(map_figure(traces, 0, values), "png")


def rectangles() -> None:
    """The same with a rectangle for each sample."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    traces, values = _shown()
    drawn = Figure(figsize=(11, 6.5))
    for place, trace in enumerate(traces):
        axes = drawn.add_subplot(len(traces), 1, place + 1)
        for sample, value in enumerate(values[place]):
            axes.axvspan(sample, sample + 1, color=colormaps["cool"](value), linewidth=0)
        axes.plot(trace.samples[0], color="black", linewidth=0.5)
    encode(drawn, "png", dpi=120)


def limit_s(n_epochs: int) -> float:
    """Return the seconds of the least arithmetic at the speed of a matrix product."""
    config = models.presets("lpsgm")["paper"]
    tokens, width = config.window * (len(config.channels) + 1), config.width
    window = config.n_blocks * (12 * tokens * width**2 + 4 * tokens**2 * width) / 1e9
    encoder = len(config.channels) * ENCODER_GFLOP
    # encoded once; forward to the last convolutions, and forward and back to the samples
    return n_epochs * (2 * window + encoder + encoder + 2 * encoder) / matmul_gflop_per_s()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=40)
    n_epochs = parser.parse_args().epochs
    fast = measure(ours, n_epochs, repeat=1)
    slow = measure(published, TIMED_WINDOWS, repeat=1)
    scaled = slow.cpu_s / TIMED_WINDOWS * n_epochs
    rows = [
        ["ours", fast.cpu_s, fast.peak_mb, ""],
        ["published way", scaled, slow.peak_mb, f"{scaled / fast.cpu_s:.1f}x"],
        ["limit", limit_s(n_epochs), 0.0, ""],
    ]
    head = ("way", "CPU s", "peak MB", "against ours")
    print(table(f"Grad-CAM and guided maps of {n_epochs} epochs, nine derivations", head, rows))
    image, spans = measure(figure), measure(rectangles, repeat=1)
    rows = [
        ["ours", image.cpu_s, image.peak_mb, ""],
        ["a rectangle a sample", spans.cpu_s, spans.peak_mb, f"{spans.cpu_s / image.cpu_s:.0f}x"],
    ]
    print(table("one figure of nine derivations", head, rows))


if __name__ == "__main__":
    main()
