"""Fixtures of signal chains and of the arithmetic around the networks: no weights in them."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from evaluation.metrics import merge_stages, metrics_from
from recordings.ingest import read_view
from recordings.scoring import read_scoring
from recordings.signals import (
    CausalScaling,
    interpolate_time,
    log_spectrogram,
    mean_and_std,
    running_moments,
    z_score_causal,
    z_score_padded,
)
from recordings.views import VIEWS
from tests.makers.recordings import ArrayRecording
from tests.parity.recipes import Arrays, Meta, inputs

_CHAIN = re.compile(r"one channel named (\w+) sampled at (\d+) Hz")
_SAMPLES = {"ECG": 1024, "PPG": 1024, "ABD": 256, "THX": 256, "EOG-L": 4096, "EOG-R": 4096}


def matches(meta: Meta) -> bool:
    """Know LPSGM's operations, wav2sleep's preprocessing and SeqSleepNet's images."""
    return _runner(meta) is not None


def run(meta: Meta, arrays: Arrays) -> Arrays:
    """Return our outputs under the names of the NPZ."""
    runner = _runner(meta)
    assert runner is not None
    return runner(meta, arrays)


def _runner(meta: Meta):
    """Choose by content: resampled signals, chains of one channel, or images."""
    if "resample" in meta and "causal_norm" in meta:
        return _wav2sleep
    if any(_CHAIN.search(str(entry)) for entry in meta.get("inputs", {}).values()):
        return _lpsgm
    config = meta.get("config", {})
    return _images if {"n_fft", "hop", "window"} <= config.keys() else None


def _lpsgm(meta: Meta, arrays: Arrays) -> Arrays:
    """Read each signal through view `psg9c`; the rest of the file is labels to count."""
    ours = {}
    for name, entry in meta["inputs"].items():
        chain = _CHAIN.search(entry["how"])
        if chain:
            signal = inputs(entry["seed"], entry["shape"]).astype(np.float64) * 50 + 3
            recording = ArrayRecording({chain[1]: signal}, int(chain[2]))
            ours[name] = read_view(recording, VIEWS["psg9c"]).normalised(chain[1])
    return ours


def _images(meta: Meta, arrays: Arrays) -> Arrays:
    """Make the spectrograms and the statistics over all frames."""
    recipe = meta["inputs"]["x"]
    n, size = recipe["shape"]
    t, row = np.arange(size) / meta["config"]["fs"], np.arange(n)[:, None]
    signal = 15 * inputs(recipe["seed"], (n, size)).astype(np.float64)
    signal += 40 * np.sin(2 * np.pi * (1.25 + 3.1 * row) * t + row) + 10 * row + 0.5 * t
    sizes = {name: meta["config"][name] for name in ("hop", "n_fft")}
    window = int(re.search(r"(\d+) samples", meta["config"]["window"])[1])
    images = log_spectrogram(signal, window=window, **sizes)  # (n, frames, bins)
    mean, std = np.array([mean_and_std(images[..., f]) for f in range(images.shape[-1])]).T
    return {"X": images, "mean": mean, "std": std, "Z": (images[0] - mean) / std}
