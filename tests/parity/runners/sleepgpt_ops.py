"""SleepGPT's arithmetic around the networks: loss, schedules, batches, crops, resampling."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch

from engine.losses import focal_loss
from engine.optim import Plan, published_rate
from engine.tasks import block, n_blocks
from models.htn import segments_of, sine_table
from nights.trimming import sleep_stretches
from recordings.signals import interpolate_time
from tests.parity.recipes import Arrays, Meta, draw, inputs


def matches(meta: Meta) -> bool:
    """Know the fixture by its title."""
    return meta.get("model") == "small operations of SleepGPT"


def run(meta: Meta, arrays: Arrays) -> Arrays:
    """Return every output of the fixture; its inputs stand in the NPZ too and are given back."""
    given = {
        k: arrays[k] for k in arrays if k.startswith(("sequence_", "crop_in_", "focal_targets"))
    }
    return {
        **given,
        **_focal(meta, arrays),
        **_schedules(meta),
        **_batches(meta, arrays),
        **_windows(meta, arrays),
        **_resampled(meta, arrays),
        "sincos": sine_table(len(arrays["sincos"]) - 1, arrays["sincos"].shape[1]).numpy(),
    }


def _focal(meta: Meta, arrays: Arrays) -> Arrays:
    """Loss and its gradient."""
    logits = torch.from_numpy(draw(meta, "focal_logits", arrays)).requires_grad_()
    config = meta["config"]
    targets = torch.from_numpy(arrays["focal_targets"])
    loss = focal_loss(logits, targets, alpha=config["focal_alpha"], gamma=config["focal_gamma"])
    loss.backward()
    return {"focal_loss": loss.detach().numpy()[None], "focal_grad": logits.grad.numpy()}


def _schedules(meta: Meta) -> Arrays:
    """Learning rate of every pass of every schedule."""
    rates = {}
    for i, told in enumerate(meta["config"]["lr_schedules"]):
        plan = Plan(told["epochs"], lr=told["lr"], min_lr=told["min_lr"], schedule=told["schedule"])
        passes = range(told["epochs"])
        n_warmup = told["warmup_epochs"]
        rates[f"lr_{i}"] = np.array([published_rate(p, plan, n_warmup=n_warmup) for p in passes])
    return rates


def _batches(meta: Meta, arrays: Arrays) -> Arrays:
    """Nights in segments, blocks of a night, and the crop to the sleep period."""
    names = sorted(name for name in arrays if name.startswith("sequence_"))
    nights = [torch.from_numpy(arrays[name]) for name in names]
    outputs = {}
    for side in ("right", "left"):
        ids, valid = segments_of(nights, meta["config"]["seg_seqlen"], side=side)
        outputs[f"collate_{side}_ids"] = ids.numpy()
        outputs[f"collate_{side}_mask"] = valid.long().numpy()
    length = meta["config"]["block"]
    count = n_blocks(nights[0], length)
    first, last = block(nights[0], 0, length), block(nights[0], count - 1, length)
    outputs |= {"block_count": np.array([count])}
    for name, (data, label) in {"first": first, "last": last}.items():
        outputs[f"block_{name}_data"] = data.numpy()
        outputs[f"block_{name}_label"] = label.numpy()
    for name in (name for name in arrays if name.startswith("crop_in_")):
        kept = sleep_stretches(arrays[name])
        cropped = arrays[name][kept[0][0] : kept[-1][1]]
        outputs[name.replace("_in_", "_out_")] = cropped
    return outputs


def _windows(meta: Meta, arrays: Arrays) -> Arrays:
    """Epochs up to one of them, zeros before the first, as the recurrent stager reads them."""
    epochs = torch.from_numpy(draw(meta, "epochs", arrays))[:, None]
    length = meta["config"]["seqlen"]
    before = epochs.new_zeros(length - 1, *epochs.shape[1:])
    contexts = torch.cat([before, epochs]).unfold(0, length, 1).movedim(-1, 1)
    wanted = [name for name in arrays if name.startswith("epoch_window_")]
    return {name: contexts[int(name.rsplit("_", 1)[1])].numpy() for name in wanted}


def _resampled(meta: Meta, arrays: Arrays) -> Arrays:
    """Linear interpolation at k * FS / 100; ours begins with k = 1."""
    outputs = {}
    for name in (name for name in arrays if name.startswith("resample_linear_")):
        rate = int(name.rsplit("_", 1)[1])
        first_seed = int(meta["inputs"]["resample_FS"]["seed"].split()[0])
        x = inputs(first_seed + rate, (3 * rate,)).astype(np.float64)
        later = interpolate_time(x, Fraction(rate), Fraction(100), len(arrays[name]) - 1)
        outputs[name] = np.concatenate([x[:1], later]).astype(np.float32)
    return outputs
