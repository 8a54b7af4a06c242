"""Mamba and Mamba-2 layers: outputs, and the gradients of a weighted sum of them."""

from __future__ import annotations

import re

import numpy as np
import torch

from models.mamba import Mamba, Mamba2
from tests.parity.recipes import Arrays, Meta, draw, weights

LAYERS = {"mamba": Mamba, "mamba2": Mamba2}


def matches(meta: Meta) -> bool:
    """Know the two layers by their kind."""
    return meta.get("kind") in LAYERS


def run(meta: Meta, arrays: Arrays) -> Arrays:
    """Return y, the gradients of the parameters that are asked for, and that of the input."""
    config = {key: value for key, value in meta["config"].items() if key != "dt_rank"}
    layer = LAYERS[meta["kind"]](**config)
    layer.load_state_dict(weights(meta))
    u = torch.from_numpy(draw(meta, "u", arrays)).requires_grad_()
    y = layer(u)
    (y * torch.linspace(-1, 1, y.numel()).view(y.shape)).sum().backward()
    outputs = {"y": y.detach().numpy()}
    parameters = dict(layer.named_parameters())
    for name, reference in arrays.items():
        if found := re.fullmatch(r"grad_u_sample(\d+)", name):
            outputs[name] = u.grad[int(found[1]), : len(reference)].numpy()
        elif name.startswith("grad_"):
            outputs[name] = np.asarray(parameters[name.removeprefix("grad_")].grad)
    return outputs
