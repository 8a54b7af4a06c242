"""wav2sleep on a night of 10 h: ours, the published way, and the arithmetic limit.

The published way is the network written straightforwardly: convolutions over (channels, time),
instance norm and GELU as layers of their own, a mixer that carries every token to its end, all of
it through PyTorch's modules. The model and the night (random numbers) are made in the run that
warms up; the probabilities of the two ways are compared.

    python -m benchmarks.wav2sleep_night            # all cases
    python -m benchmarks.wav2sleep_night "all four"
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch.utils.flop_counter import FlopCounterMode

import models
from benchmarks.measure import matmul_gflop_per_s, measure, table
from models.wav2sleep import Wav2Sleep

HOURS = 10
CASES = {  # preset, signals, CPU seconds of the goal
    "ECG": ("released", ("ECG",), None),
    "ECG + THX": ("released", ("ECG", "THX"), None),
    "all four": ("released", ("ABD", "THX", "ECG", "PPG"), 1.8),
    "EOG pair": ("released-eog", ("E1", "E2"), None),
    "all four, causal": ("causal", ("ABD", "THX", "ECG", "PPG"), None),
}


@lru_cache(maxsize=1)
def night(preset: str, signals: tuple[str, ...]) -> tuple[Wav2Sleep, dict[str, torch.Tensor]]:
    """Return a network of the published size and a night of noise."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = Wav2Sleep(models.presets("wav2sleep")[preset]).eval()
    return model, {name: torch.randn(HOURS * 120, model.channels[name]) for name in signals}


def ours(preset: str, signals: tuple[str, ...]) -> torch.Tensor:
    """Stage the night as a whole."""
    model, x = night(preset, signals)
    return model.night_proba(x)


@torch.inference_mode()
def as_published(preset: str, signals: tuple[str, ...]) -> torch.Tensor:
    """Run the layers one after the other on the whole night, as one batch of one row."""
    model, x = night(preset, signals)
    features = [model.encoders[name](signal[None]) for name, signal in x.items()]
    mixer = model.epoch_mixer
    vectors = torch.stack(features, dim=2).flatten(0, 1)  # (E, C, D)
    tokens = torch.cat([mixer.tokens.expand(len(vectors), -1, -1), vectors], dim=1)
    for block in mixer.blocks:
        tokens = block(tokens, None)
    return model.stage(tokens[None, :, 0], None).logits[0].softmax(dim=-1)


def compared(preset: str, signals: tuple[str, ...]) -> tuple[float, float]:
    """Return the arithmetic of the published way in GFLOP, and how far the two results differ."""
    with FlopCounterMode(display=False) as counter:
        theirs = as_published(preset, signals)
    apart = (ours(preset, signals) - theirs).abs().max()
    return counter.get_total_flops() / 1e9, float(apart)


def main(names: Sequence[str]) -> None:
    """Print the table of the named cases."""
    timed = {}
    for name in names:  # all of it before this process grows: its children would start as large
        case = CASES[name][:2]
        speed = matmul_gflop_per_s()  # beside each case: the machine may be shared
        mine, theirs = (measure(way, *case, repeat=2) for way in (ours, as_published))
        timed[name] = mine, theirs, max(speed, matmul_gflop_per_s())
    rows = []
    for name, (mine, theirs, speed) in timed.items():
        preset, signals, goal_s = CASES[name]
        gflop, apart = compared(preset, signals)
        limit_s = gflop / speed
        cells = [f"{mine.cpu_s:.2f}", f"{mine.peak_mb:.0f}", goal_s or "-"]
        cells += [f"{theirs.cpu_s:.2f}", f"{theirs.peak_mb:.0f}", f"{limit_s:.2f}"]
        ratios = [f"{theirs.cpu_s / mine.cpu_s:.1f}", f"{mine.cpu_s / limit_s:.2f}"]
        ratios += [f"{theirs.cpu_s / limit_s:.1f}", f"{apart:.0e}"]
        rows.append([name, *cells, *ratios])
    head = ["signals", "ours, CPU s", "MB", "goal s", "published way, CPU s", "MB", "limit s"]
    head += ["times faster", "of the limit", "published, of the limit", "probabilities apart"]
    print(table(f"wav2sleep, night of {HOURS} h, 1 thread", head, rows))


if __name__ == "__main__":
    main(sys.argv[1:] or list(CASES))
