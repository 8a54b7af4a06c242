"""E2E-ARNN, its multitask form, and the layers they are made of."""

from __future__ import annotations

import re

import torch
from torch.nn import functional as F

from models import published
from models.tensorflow_cells import GRU, BothWays
from models.time_frequency import AttentionPool, SpectralConfig, TriangularFilterbank
from tests.parity.recipes import Arrays, Meta, draw, weights
from tests.parity.runners.models_seqsleepnet import spectral_options

NAMES = {"E2E-ARNN": "e2e-arnn", "Multitask E2E-ARNN": "multitask-arnn"}


def matches(meta: Meta) -> bool:
    """Know both networks and the fixture of their layers."""
    model = meta.get("model", "")
    return model in NAMES or model.startswith("layers: triangular filter shapes")


@torch.inference_mode()
def run(meta: Meta, arrays: Arrays) -> Arrays:
    """Return every output of the fixture."""
    outputs = _network(meta, arrays) if meta["model"] in NAMES else _layers(meta, arrays)
    return {name: output.numpy() for name, output in outputs.items()}


def _network(meta: Meta, arrays: Arrays) -> dict[str, torch.Tensor]:
    """Logits, epoch vectors, attention weights and both losses."""
    options = spectral_options(meta, meta["config"]["channels"])
    model = published.load(NAMES[meta["model"]], weights(meta), **options)
    vectors, alpha = model.encode(torch.from_numpy(draw(meta, "x", arrays))[:, None])
    several = hasattr(model, "decisions")
    logits = (model.decisions(vectors) if several else model.stage(vectors).logits)[:, 0]
    labels = torch.from_numpy(arrays["labels"]).long().flatten()
    loss = F.cross_entropy(logits.flatten(0, -2), labels, reduction="sum")
    told = {"logits": logits, "attention_out": vectors[:, 0], "alpha": alpha[:, 0]}
    return told | {"output_loss": loss, "total_loss": loss + model.penalty()}


def _layers(meta: Meta, arrays: Arrays) -> dict[str, torch.Tensor]:
    """Triangles of each number of filters; the recurrent layer, and attention on its output."""
    told, filled = meta["config"], weights(meta)
    for name, factor in re.findall(r"(\S+) is fill\(\.\.\.\) \* ([\d.]+)", meta["notes"]):
        filled[name] *= float(factor)
    ways = [GRU(told["input"], told["hidden"]) for _ in range(2)]
    parts = {
        "frame_rnn": BothWays(*ways, dropout=0.0),
        "attention": AttentionPool(2 * told["hidden"], told["attention_size"]),
    }
    torch.nn.ModuleDict(parts).load_state_dict(filled)
    out = parts["frame_rnn"](torch.from_numpy(draw(meta, "x", arrays)))
    pooled, alpha = parts["attention"](out)
    shapes = {f"shape_{n}": _triangles(told, n) for n in told["n_filters"]}
    return shapes | {"gru_out": out, "attention_out": pooled, "alpha": alpha}


def _triangles(told: Meta, n_filters: int) -> torch.Tensor:
    """Return the fixed triangles, (bins, filters)."""
    config = SpectralConfig(
        n_filters=n_filters,
        n_fft=told["n_fft"],
        rate_hz=told["fs"],
        low_hz=told["low_freq"],
        high_hz=told["high_freq"],
    )
    return TriangularFilterbank(config).triangles.T
