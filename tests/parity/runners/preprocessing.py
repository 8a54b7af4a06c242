"""Fixtures of signal chains and of the arithmetic around the networks: no weights in them."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from evaluation.metrics import confusion, merge_stages, metrics_from
from evaluation.statistics import sleep_statistics
from nights.hypnogram import Hypnogram
from nights.stages import EPOCH_S
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
_VOTE = re.compile(r"softmax\(inputs\(seed, shape\) \* ([\d.]+)\); N = (\d+)")
_SAMPLES = {"ECG": 1024, "PPG": 1024, "ABD": 256, "THX": 256, "EOG-L": 4096, "EOG-R": 4096}
_FOUR, _THREE = ((0,), (1, 2), (3,), (4,)), ((0,), (1, 2, 3), (4,))


def matches(meta: Meta) -> bool:
    """Know LPSGM's operations, wav2sleep's preprocessing and SeqSleepNet's images."""
    return _runner(meta) is not None


def run(meta: Meta, arrays: Arrays) -> Arrays:
    """Return our outputs under the names of the NPZ, or under the path in the JSON."""
    runner = _runner(meta)
    assert runner is not None
    return runner(meta, arrays)


def _runner(meta: Meta) -> Callable[[Meta, Arrays], Arrays] | None:
    """Choose by content: resampled signals, chains of one channel, or images."""
    if "resample" in meta and "causal_norm" in meta:
        return _wav2sleep
    if any(_CHAIN.search(str(entry)) for entry in meta.get("inputs", {}).values()):
        return _lpsgm
    config = meta.get("config", {})
    return _images if {"n_fft", "hop", "window"} <= config.keys() else None


def _lpsgm(meta: Meta, arrays: Arrays) -> Arrays:
    """Read each signal through view `psg9c`; vote; count the labels, which stand in the file."""
    data = ("y_true", "y_pred", "hypnogram", "loss_target")
    ours = {name: arrays[name] for name in data if name in arrays}
    for name, entry in meta["inputs"].items():
        if chain := _CHAIN.search(entry["how"]):
            signal = inputs(entry["seed"], entry["shape"]).astype(np.float64) * 50 + 3
            recording = ArrayRecording({chain[1]: signal}, int(chain[2]))
            ours[name] = read_view(recording, VIEWS["psg9c"]).normalised(chain[1])
        elif vote := _VOTE.search(entry["how"]):
            logits = inputs(entry["seed"], entry["shape"]) * float(vote[1])
            ours[f"{name}_labels"] = _voted(logits, int(vote[2]))
    if "y_true" in arrays:
        ours |= _staging_metrics(meta, confusion(arrays["y_true"], arrays["y_pred"]))
    if "hypnogram_metrics" in meta:
        ours |= _hypnogram_metrics(meta["hypnogram_metrics"], arrays["hypnogram"])
    return ours


def _voted(logits: np.ndarray, n_epochs: int) -> np.ndarray:
    """Sum the probabilities of stride-1 windows (W, L, K) and take the largest, as published."""
    proba = np.exp(logits - logits.max(axis=-1, keepdims=True))
    proba /= proba.sum(axis=-1, keepdims=True)
    total = np.zeros((n_epochs, logits.shape[-1]))
    for start, window in enumerate(proba):
        total[start : start + len(window)] += window
    return total.argmax(axis=1)


def _staging_metrics(meta: Meta, five: np.ndarray) -> Arrays:
    """Return the metrics for five, four and three stages."""
    ours = {}
    for classes, merged in (("5", None), ("4", _FOUR), ("3", _THREE)):
        if classes not in meta.get("staging_metrics", {}):
            continue
        counts = five if merged is None else merge_stages(five, merged)
        scores = metrics_from(counts, [str(code) for code in range(len(counts))])
        path = f"staging_metrics/{classes}"
        ours |= {
            f"{path}/confusion": counts,
            f"{path}/acc": scores["accuracy"],
            f"{path}/macro_f1": scores["macro_f1"],
            f"{path}/per_class_f1": list(scores["per_stage_f1"].values()),
            f"{path}/kappa": scores["kappa"],
        }
    return ours


def _hypnogram_metrics(published: Meta, stages: np.ndarray) -> Arrays:
    """Return our statistics under the published names; a null there is a stage that never came."""
    ours = sleep_statistics(Hypnogram(stages))
    named = {"wake_duration": "waso_min", "wake_episodes": "awakenings", "tst": "tst_min"}
    endings = {"latency": "latency_min", "duration": "min", "percentage": "percent"}
    for name in published:
        stage, _, ending = name.replace("sws", "n3").partition("_")
        named.setdefault(name, f"{stage}_{endings.get(ending, ending)}")
    known = [name for name, value in published.items() if value is not None]
    return {f"hypnogram_metrics/{name}": np.asarray(ours[named[name]]) for name in known}


def _wav2sleep(meta: Meta, arrays: Arrays) -> Arrays:
    """Resample, normalise, read the XML scoring, count confusions."""
    ours = {entry["output"]: _resampled(entry) for entry in meta["resample"]}
    recipe = meta["zscore"]
    x = inputs(recipe["seed"], recipe["shape"]) * np.float32(3) + np.float32(2)
    ours["zscore"] = z_score_padded(x, len(x))[: len(arrays["zscore"])]
    flat = np.full(50, 2.5, dtype=np.float32)
    ours["zscore_flat"] = z_score_padded(flat, len(flat))[: len(arrays["zscore_flat"])]
    ours |= _causal(meta["causal_norm"]) | _xml(meta["xml"]["text"])
    for classes in ("4", "5"):
        counts = ours[f"cmat{classes}"] = arrays[f"cmat{classes}"]
        scores = metrics_from(counts, list(map(str, range(len(counts)))))
        ours |= {f"stats{classes}/{key}": scores[key] for key in ("kappa", "accuracy")}
    return ours


def _resampled(entry: Meta) -> np.ndarray:
    """Interpolate one signal on the grid of a night of so many hours."""
    samples = _SAMPLES[entry["column"]]
    x = inputs(entry["seed"], entry["shape"]).astype(np.float64)
    n_out = round(entry["hours"] * 120 * samples)
    return interpolate_time(x, Fraction(entry["fs"]), Fraction(samples, EPOCH_S), n_out)


def _causal(recipe: Meta) -> Arrays:
    """Normalise a drifting signal with jumps and a flat stretch."""
    s = inputs(recipe["seed"], recipe["shape"])
    s += np.linspace(0, 5, len(s), dtype=np.float32)
    s[20000] += 50
    s[25000] -= 50
    s[40000:43000] = s[39999]
    rate_hz = Fraction(recipe["sampling_freq"]).limit_denominator(1000)
    scaling = CausalScaling(
        variance_tau_s=recipe["tau_seconds"],
        mean_tau_s=recipe["baseline_tau_seconds"],
        clip_sigma=recipe["outlier_threshold_sigma"],
        min_sigma=recipe["min_sigma"],
    )
    normalised = z_score_causal(s, rate_hz, scaling)
    return {
        "causal_norm_first256": normalised[:256],
        "causal_norm_every16": normalised[::16],
        "causal_outliers": running_moments(s, rate_hz, scaling)[2],
    }


def _xml(text: str) -> Arrays:
    """Read an NSRR scoring; labels stand at the end of their epoch, NaN where nobody scored."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "night-nsrr.xml"
        path.write_text(text, encoding="utf-8")
        stages = read_scoring(path).hypnogram.stages.astype(np.float32)
    ends_s = EPOCH_S * np.arange(1, len(stages) + 1, dtype=np.float32)
    return {"xml_seconds": ends_s, "xml_stage": np.where(stages < 0, np.nan, stages)}


def _images(meta: Meta, arrays: Arrays) -> Arrays:
    """Make the spectrograms and the statistics over all frames."""
    recipe, config = meta["inputs"]["x"], meta["config"]
    n, size = recipe["shape"]
    t, row = np.arange(size) / config["fs"], np.arange(n)[:, None]
    signal = 15 * inputs(recipe["seed"], (n, size)).astype(np.float64)
    signal += 40 * np.sin(2 * np.pi * (1.25 + 3.1 * row) * t + row) + 10 * row + 0.5 * t
    window = re.search(r"(\d+) samples", config["window"])
    assert window is not None
    images = log_spectrogram(
        signal, window=int(window[1]), hop=config["hop"], n_fft=config["n_fft"]
    )  # (n, frames, bins)
    mean, std = np.array([mean_and_std(images[..., f]) for f in range(images.shape[-1])]).T
    return {"X": images, "mean": mean, "std": std, "Z": (images[0] - mean) / std}
