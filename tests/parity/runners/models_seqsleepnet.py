"""SeqSleepNet: filled weights, one step of training, and the released weights."""

from __future__ import annotations

import re

import numpy as np
import torch
from torch.nn import functional as F

from engine.checkpoint import read_foreign
from models import published
from models.seqsleepnet import SeqSleepNet
from tests.parity.recipes import Arrays, Meta, draw, inputs, published_file, weights


def matches(meta: Meta) -> bool:
    """Know Phan's network, not the wrapper of the same name nor the aggregation of outputs."""
    return bool(re.match(r"SeqSleepNet (\(one softmax|training step)", meta.get("model", "")))


def run(meta: Meta, arrays: Arrays) -> Arrays:
    """Return every output of the fixture."""
    if "models" in meta:
        outputs = _released(meta, arrays)
    elif "steps" in meta["config"]:
        outputs = _trained(meta, arrays)
    else:
        outputs = _filled(meta, arrays)
    return {name: output.detach().numpy() for name, output in outputs.items()}


def spectral_options(meta: Meta, n_channels: int) -> dict[str, object]:
    """Return what shapes do not tell; the channels stand for themselves."""
    told = meta["config"]
    return {
        "l2": told.get("l2", 0.001),  # the articles add it to a loss summed over the batch
        "channels": tuple(f"channel {i}" for i in range(n_channels)),
        "samples": 100 * (told["n_frames"] + 1),
        "rate_hz": told["fs"],
        "low_hz": told["low_freq"],
        "high_hz": told["high_freq"],
        "dropout": 1 - told.get("keep_prob", 0.75),
    }


def _filled(meta: Meta, arrays: Arrays) -> dict[str, torch.Tensor]:
    """Logits, epoch vectors, attention weights and both losses."""
    options = spectral_options(meta, meta["config"]["channels"])
    model = published.load("seqsleepnet", weights(meta), **options)
    outputs = _outputs(model, torch.from_numpy(draw(meta, "x", arrays)))
    labels = torch.from_numpy(arrays["labels"]).long()
    outputs["output_loss"] = _loss(outputs["logits"], labels)
    outputs["total_loss"] = outputs["output_loss"] + model.penalty()
    return outputs


def _released(meta: Meta, arrays: Arrays) -> dict[str, torch.Tensor]:
    """The same of each released model, its outputs under its name."""
    outputs = {}
    for name, entry in meta["models"].items():
        path = published_file("sleep_transfer_learning", {"path": entry["weights"]})
        options = spectral_options(meta, entry["channels"])
        model = published.load("seqsleepnet", read_foreign(path), **options)
        x = torch.from_numpy(_smooth_spectra(entry["inputs"]["x"]))
        outputs |= {f"{name}/{key}": value for key, value in _outputs(model, x).items()}
    return {key: value[: len(arrays[key])] for key, value in outputs.items()}  # some: beginnings


@torch.inference_mode()
def _outputs(model: SeqSleepNet, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Logits, epoch vectors and attention weights of spectra."""
    vectors, alpha = model.encode(x)
    logits = model.stage(vectors).logits
    return {"logits": logits, "attention_out": vectors.flatten(0, 1), "alpha": alpha.flatten(0, 1)}


def _smooth_spectra(recipe: Meta) -> np.ndarray:
    """Noise plus a random parabola over the bins, the same in all frames of an epoch."""
    noise, curve = re.search(
        r"([\d.]+)\*inputs\(seed,.*a = ([\d.]+)\*inputs\(", recipe["how"]
    ).groups()
    seed, (batch, epochs, _, bins, channels) = recipe["seed"], recipe["shape"]
    z = np.linspace(-1, 1, bins, dtype=np.float32)
    basis = np.stack([np.ones_like(z), z, z * z - np.float32(1 / 3)])  # (3, bins)
    drawn = np.float32(curve) * inputs(seed + 1, (batch, epochs, 1, len(basis), channels))
    smooth = np.einsum("blfkc,kn->blfnc", drawn, basis)
    return np.float32(noise) * inputs(seed, tuple(recipe["shape"])) + smooth


def _trained(meta: Meta, arrays: Arrays) -> dict[str, torch.Tensor]:
    """Gradients and running statistics of the first step, weights after the last."""
    told = meta["config"]
    model = published.load("seqsleepnet", weights(meta), **spectral_options(meta, told["channels"]))
    x, labels = torch.from_numpy(draw(meta, "x", arrays)), torch.from_numpy(arrays["labels"]).long()
    adam = torch.optim.Adam(
        model.parameters(), lr=told["lr"], betas=tuple(told["betas"]), eps=told["eps"]
    )
    model.train()
    outputs, losses = {}, []
    for step in range(told["steps"]):
        logits = model.stage(model.encode(x)[0]).logits
        loss = _loss(logits, labels) + model.penalty()
        adam.zero_grad()
        loss.backward()
        if step == 0:
            outputs["train_logits"] = logits
            outputs |= {f"grad/{k}": p.grad.clone() for k, p in model.named_parameters()}
            outputs |= {f"after_forward/{k}": v.clone() for k, v in _own(model) if "running" in k}
        losses.append(loss.detach())
        adam.step()
    outputs["losses"] = torch.stack(losses)
    outputs |= {f"after_steps/{k}": v for k, v in _own(model)}
    outputs["eval_logits_after_steps"] = _outputs(model.eval(), x)["logits"]
    return outputs


def _own(model: SeqSleepNet) -> list[tuple[str, torch.Tensor]]:
    """Tensors that are published: all but the statistics of the spectra."""
    unreleased = SeqSleepNet.published.unreleased
    return [(k, v) for k, v in model.state_dict().items() if k not in unreleased]


def _loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy, summed over the batch and averaged over the positions."""
    return (
        F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum") / logits.shape[1]
    )
