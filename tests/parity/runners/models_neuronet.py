"""NeuroNet: all four modalities, the original variant, its probe and its temporal context."""

from __future__ import annotations

import re

import numpy as np
import torch

from engine.pretraining import PretrainingTask, similarities
from models import published
from models.masked_tokens import Masking, position_table
from models.neuronet import NeuroNet
from tests.parity.recipes import Arrays, Meta, draw, weights

OPTIONS = {  # published arguments that shapes do not tell -> ours
    "fs": "rate_hz",
    "time_window": "frame_s",
    "time_step": "step_s",
    "encoder_heads": "n_heads",
    "decoder_heads": "decoder_heads",
}


def matches(meta: Meta) -> bool:
    """Know the network by the name of its model."""
    model = meta.get("model", "")
    return model.startswith("NeuroNet") and "head" not in model


def run(meta: Meta, arrays: Arrays) -> Arrays:
    """Return every output of the fixture."""
    x = torch.from_numpy(draw(meta, "x", arrays))
    noises = [torch.from_numpy(arrays[name]) for name in ("noise1", "noise2")]
    model = built(meta)
    with torch.no_grad():
        outputs = _evaluated(model, meta, x, noises, arrays)
    if any(name.startswith("train_") for name in arrays):
        outputs |= _trained(model, meta, x, noises)
    return {k: np.asarray(v.detach()) for k, v in outputs.items() if k in arrays}


def built(meta: Meta) -> NeuroNet:
    """Build from the published weights; tables stand where the fixture says they are constant."""
    told = {ours: meta["config"][name] for name, ours in OPTIONS.items() if name in meta["config"]}
    tensors = weights(meta)
    for name in meta["constant"]:
        _, length, width = meta["state_dict"][name]
        has_class = name.endswith(".pos_embed")
        table = position_table(width, length - has_class, class_token=has_class)
        tensors[name] = table[None]
    model = published.load("neuronet", tensors, **told, frame_norm="per_frame")
    assert isinstance(model, NeuroNet)
    return model


def _evaluated(
    model: NeuroNet,
    meta: Meta,
    x: torch.Tensor,
    noises: list[torch.Tensor],
    arrays: Arrays,
) -> dict[str, torch.Tensor]:
    """Outputs in evaluation mode."""
    encoder, ratio = model.encoder, meta["mask_ratio"]
    features = encoder.features(x)
    tokens, frames = encoder.encode(features), encoder.cut(x)
    count, step = features.shape[1], meta["outputs"]["frame_features"]["shape"][-1]
    outputs = {
        "frame_features": features[:, [0, count // 2, count - 1], :: features.shape[2] // step],
        "cnn_out_frame0": encoder.frames.convolved(frames[:, :1])[:, 0, ::32],
        "latent": tokens[:, 0],
        "encoder_tokens_sample0": tokens[0],
        "semantic_mean": tokens[:, 1:].mean(dim=1),
    }
    views = []
    for number, noise in enumerate(noises, start=1):
        masking = Masking.of(noise, ratio)
        seen = encoder.encode(features, masking)
        guess = model.decoder.predict(model.decoder(seen, masking))
        hidden = masking.hidden
        views.append(model.projection(seen[:, 0]))
        outputs |= {
            f"latent_masked{number}": seen,
            f"latent_masked{number}_sample0": seen[0],
            f"pred{number}": guess,
            f"pred{number}_sample0": guess[0],
            f"mask{number}": hidden.float(),
            f"recon_loss{number}": (guess - features)[hidden].square().mean(),
            f"proj{number}": views[-1],
        }
    _, parts = _losses(model, meta, x, noises)
    outputs |= {name: torch.tensor(value) for name, value in parts.items()}
    outputs["contrastive_logits"] = _positive_first(similarities(*views, _tau(meta)))
    for name, reference in arrays.items():  # outputs of which a part was kept
        if re.match(r"(latent_masked|pred)\d", name) and name in outputs:
            every = outputs[name].shape[-1] // reference.shape[-1]
            outputs[name] = outputs[name][..., ::every][: len(reference)]
    return outputs


def _losses(
    model: NeuroNet, meta: Meta, x: torch.Tensor, noises: list[torch.Tensor]
) -> tuple[torch.Tensor, dict[str, float]]:
    """Total loss and its parts, under their published names, for given noise."""
    given = iter(noises)
    task = PretrainingTask(mask_ratio=meta["mask_ratio"], temperature=_tau(meta))
    output = model({"C4": x[:, None]}, {}, mask_ratio=task.mask_ratio, draw=lambda *_: next(given))
    total, parts = task.losses(output)
    named = {"recon_loss": "reconstruction", "contrastive_loss": "contrastive"}
    return total, {name: parts[ours] for name, ours in named.items()}


def _trained(
    model: NeuroNet, meta: Meta, x: torch.Tensor, noises: list[torch.Tensor]
) -> dict[str, torch.Tensor]:
    """One pass in training mode: losses, running statistics, gradients over their largest."""
    total, parts = _losses(model.train(), meta, x, noises)
    total.backward()
    stem, second = model.encoder.frames.trunk.stem, model.projection[1]
    gradients = {
        "train_grad_patch_embed_bias": model.encoder.embed.bias.grad,
        "train_grad_conv1_weight": stem.conv.weight.grad,
    }
    return {
        **{f"train_{name}": torch.tensor(value) for name, value in parts.items()},
        "train_bn1_running_mean": stem.norm.running_mean,
        "train_bn1_running_var": stem.norm.running_var,
        "train_projectors1_running_mean": second.running_mean[:64],
        **{name: grad / grad.abs().max() for name, grad in gradients.items()},
    }


def _tau(meta: Meta) -> float:
    """Temperature of the contrast."""
    return meta["config"]["temperature"]


def _positive_first(scores: torch.Tensor) -> torch.Tensor:
    """(2B, 2B) -> (2B, 2B - 1): the partner's column first, then the others in their order."""
    size = len(scores)
    rows = []
    for row in range(size):
        partner = (row + size // 2) % size
        others = [column for column in range(size) if column not in (row, partner)]
        rows.append(scores[row, [partner, *others]])
    return torch.stack(rows)
