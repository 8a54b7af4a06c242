"""Grad-CAM and guided backpropagation of LPSGM, on windows whose first epoch is explained."""

from __future__ import annotations

import torch

from explain.gradcam import GradCam, encoder_maps, feature_gradient
from models import published
from tests.parity.recipes import Arrays, Meta, draw, weights


def matches(meta: Meta) -> bool:
    """Know the maps of LPSGM."""
    return meta.get("model", "").startswith("Grad-CAM")


def run(meta: Meta, arrays: Arrays) -> Arrays:
    """Return every output of the fixture; how much of a map it holds, its shape tells."""
    told, x = meta["config"], torch.from_numpy(draw(meta, "x", arrays))
    model = published.load(
        "lpsgm",
        weights(meta),
        architecture=told["architecture"],
        n_heads=told["transformer_num_heads"],
        clamp=told["clamp_value"],
    )
    columns = told["channels"]
    windows = x.unflatten(1, (told["seq_len"], len(columns)))  # (B, L, C, T)
    maps = _maps(model, windows, columns)
    found = {
        "pred": maps.stages,
        "gradcam_branch1": maps.fine,
        "gradcam_branch2": maps.coarse,
        "guided_first_channels": maps.guided,
        "fused": maps.fused()[0],
        "guided_gradcam": maps.guided_gradcam()[0],
    }
    return {name: _part(found[name], arrays[name].shape) for name in arrays if name in found}


def _maps(model: torch.nn.Module, windows: torch.Tensor, columns: list[int]) -> GradCam:
    """Explain the first epoch of every window."""
    n_windows, n_epochs = windows.shape[:2]
    recorded = torch.zeros(n_windows, n_epochs, len(model.config.channels), dtype=torch.bool)
    recorded[..., columns] = True
    features = torch.zeros(*recorded.shape, model.encoder.width)
    with torch.no_grad():
        features[..., columns, :] = model.encoder(windows.flatten(0, 2)).unflatten(
            0, windows.shape[:3]
        )
    first = torch.zeros(n_windows, dtype=torch.int64)
    gradient, stages = feature_gradient(model, features, recorded, first)
    there = torch.ones(n_windows, len(columns), dtype=torch.bool)
    fine, coarse, guided = encoder_maps(model.encoder, windows[:, 0], gradient[:, columns], there)
    names = tuple(model.config.channels[column] for column in columns)
    return GradCam(
        names, first.numpy(), stages.numpy(), *(m.numpy() for m in (fine, coarse, guided))
    )


def _part(whole, shape):  # type: ignore[no-untyped-def]
    """Return the first windows and channels, and every so many samples."""
    if whole.ndim < 2:
        return whole
    step = whole.shape[-1] // shape[-1]
    return whole[tuple(slice(n) for n in shape[:-1])][..., ::step]
