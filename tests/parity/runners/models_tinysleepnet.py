"""SleepGPT's convolutional stagers: alone, under the recurrent wrapper, released weights."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import numpy as np
import torch

from engine.checkpoint import read_foreign
from models import published
from tests.parity.recipes import Arrays, Meta, draw, published_file, weights

ALONE = {
    "TinySleepNet": "tinysleepnet-cnn",
    "DeepSleepNet": "deepsleepnet-cnn",
    "MSCSleepNet": "mscsleepnet",
}
OPTIONS = {  # published arguments that the shapes do not tell -> ours
    "n_timepoints": "samples",
    "filter_stride_1": "first_stride",
    "n_seqlen": "context",
}


def matches(meta: Meta) -> bool:
    """Know the networks alone and the wrapper around one."""
    model = meta.get("model", "")
    wrapped = meta.get("config", {}).get("encoder") == "TinySleepNet"
    alone = model in ALONE or model.startswith("TinySleepNet (CNN only")
    return wrapped or alone


@torch.inference_mode()
def run(meta: Meta, arrays: Arrays) -> Arrays:
    """Return every output of the fixture."""
    if "checkpoint" in meta:
        outputs = _trained(meta, arrays)
    elif "encoder" in meta["config"]:
        outputs = _recurrent(meta, arrays)
    else:
        outputs = _alone(meta, arrays)
    return {name: output.numpy() for name, output in outputs.items()}


def _options(meta: Meta) -> dict[str, int]:
    """Return the options that come from the fixture's configuration."""
    told = meta["config"] | meta["config"].get("encoder_args", {})
    return {ours: told[theirs] for theirs, ours in OPTIONS.items() if theirs in told}


def _signals(x: np.ndarray) -> dict[str, torch.Tensor]:
    """Published axes (B, [L,] 1, T, 1) -> {channel: (B, L, T)}."""
    x = x[..., 0].reshape(len(x), -1, x.shape[-2])
    return {"FpzCz": torch.from_numpy(np.ascontiguousarray(x))}


def _alone(meta: Meta, arrays: Arrays) -> dict[str, torch.Tensor]:
    """Logits, features and the beginning of the first block's output."""
    name = ALONE.get(meta["model"], "tinysleepnet-cnn")
    model = published.load(name, weights(meta), **_options(meta))
    signals = _signals(draw(meta, "x", arrays))
    output = model(signals, {})
    outputs = {"logits": output.logits[:, 0], "features": output.features[:, 0]}
    if "first_block" in arrays:
        records, channels, steps = arrays["first_block"].shape
        first = getattr(model.encoder, "small", model.encoder)[0]
        outputs["first_block"] = first(signals["FpzCz"])[:records, :channels, :steps]
    return outputs


def _recurrent(meta: Meta, arrays: Arrays) -> dict[str, torch.Tensor]:
    """Stage of the last epoch; epoch features thinned as the notes say."""
    model = published.load("tinysleepnet-seq", weights(meta), **_options(meta))
    signals = _signals(draw(meta, "x", arrays))
    output = model(signals, {})
    step = int(re.search(r"every (\d+)", meta["notes"]["epoch_features"])[1])
    return {
        "logits": output.logits[:, -1],
        "epoch_features": model.encode(signals, {})[..., ::step],
        "lstm_last": output.features[:, -1],
    }


def _trained(meta: Meta, arrays: Arrays) -> dict[str, torch.Tensor]:
    """Logits and thinned features under each released checkpoint."""
    noise = draw(meta, "x", arrays)[:, 0, :, 0]
    noise[-len(arrays["x_smoothed"]) :] = arrays["x_smoothed"]
    step = int(re.search(r"every (\d+)", meta["outputs"]["features_KEY"])[1])
    outputs = {}
    for entry in meta["checkpoint"]:
        path = published_file("sleepgpt", entry)
        model = published.load("tinysleepnet-cnn", read_foreign(path), **_options(meta))
        output = model({"FpzCz": torch.from_numpy(noise)[:, None]}, {})
        folder = PurePosixPath(entry["path"]).parent.name
        key = folder if folder.startswith("fold_") else "best"
        outputs[f"logits_{key}"] = output.logits[:, 0]
        outputs[f"features_{key}"] = output.features[:, 0, ::step]
    return outputs
