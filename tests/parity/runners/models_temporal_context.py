"""Classifiers behind NeuroNet and SynthSleepNet: on given embeddings, and one whole model."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from models import published
from models.synthsleepnet import PUBLISHED_CHANNELS
from models.temporal_context import (
    ContextReader,
    ModalityContextReader,
    ProbeReader,
    SynthSleepNetContext,
    fused_head,
    modality_head,
)
from tests.parity.recipes import Arrays, Meta, draw, weights
from tests.parity.runners.models_synthsleepnet import told


def matches(meta: Meta) -> bool:
    """Know the heads and the whole model by the beginning of their names."""
    return _runner(meta) is not None


def run(meta: Meta, arrays: Arrays) -> Arrays:
    """Return every output of the fixture."""
    runner = _runner(meta)
    assert runner is not None
    outputs = runner(meta, arrays)
    return {name: np.asarray(value.detach()) for name, value in outputs.items()}


def _runner(meta: Meta) -> Callable[[Meta, Arrays], dict[str, torch.Tensor]] | None:
    """Choose by the name of the model."""
    kinds = {
        "NeuroNet temporal context head": _modality_context,
        "NeuroNet linear-probe head": _modality_probe,
        "linear-probe classifier": _probe,
        "fine-tuning head": _context,
        "fine-tuning model": _whole,
    }
    model = meta.get("model", "")
    return next((run for start, run in kinds.items() if model.startswith(start)), None)


def _filled(module: nn.Module, meta: Meta, renames: dict[str, str]) -> Any:
    """Fill a head from its published names, of which the beginnings change."""
    tensors = {}
    for name, tensor in weights(meta).items():
        start = next((old for old in renames if name.startswith(old)), None)
        tensors[name if start is None else renames[start] + name.removeprefix(start)] = tensor
    published.fill(module, tensors, meta["model"])
    return module.eval()


def _sizes(meta: Meta, **more: Any) -> SimpleNamespace:
    """Return the fields that a reader wants of a configuration."""
    state = meta["config"].get("mamba", {}).get("d_state", 16)
    n_classes = meta["config"]["class_num"]
    return SimpleNamespace(n_classes=n_classes, state=state, dropout=0.5, **more)


def _modality_context(meta: Meta, arrays: Arrays) -> dict[str, torch.Tensor]:
    """NeuroNet's own context."""
    z, config = torch.from_numpy(draw(meta, "z", arrays)), meta["config"]
    module = ModalityContextReader(z.shape[-1], _sizes(meta, hidden=config["embed_dim"]))
    renames = {"embed_layer.": "embed.", "mamba.0.": "mamba.", "fc.": "head."}
    reader = _filled(module, meta, renames)
    return {"logits": reader(z).logits, "embedded_sample0": reader.embed(z[0])}


def _modality_probe(meta: Meta, arrays: Arrays) -> dict[str, torch.Tensor]:
    """NeuroNet's own probe."""
    z, hidden = torch.from_numpy(draw(meta, "z", arrays)), meta["state_dict"]["fc.0.weight"][0]
    head = modality_head(z.shape[-1], _sizes(meta, hidden=hidden))
    return {"logits": _filled(ProbeReader(head), meta, {"fc.": "head."})(z[None]).logits[0]}


def _head(meta: Meta, width: int, dropout: float = 0.5) -> nn.Sequential:
    """Build the classifier of SynthSleepNet with the sizes of the fixture."""
    sizes = _sizes(meta, hidden=meta["state_dict"]["fc.0.weight"][0])
    sizes.dropout = dropout
    return fused_head(width, sizes)


def _probe(meta: Meta, arrays: Arrays) -> dict[str, torch.Tensor]:
    """SynthSleepNet's probe, in evaluation and in one training step without dropout."""
    z = torch.from_numpy(draw(meta, "z", arrays))
    head = _filled(_head(meta, z.shape[-1]), meta, {"fc.": ""})
    logits = head(z)
    outputs = {"logits": logits, "hidden1": head[:4](z), "softmax": logits.softmax(dim=-1)}
    trained = _filled(_head(meta, z.shape[-1], 0.0), meta, {"fc.": ""}).train()
    logits = trained(z)
    loss = F.cross_entropy(logits, torch.tensor(meta["targets"]))
    loss.backward()
    return outputs | {
        "train_nodropout_logits": logits,
        "train_nodropout_loss": loss,
        "train_bn1_running_var": trained[1].running_var,
        "train_grad_fc8_weight": trained[8].weight.grad,
    }


def _context(meta: Meta, arrays: Arrays) -> dict[str, torch.Tensor]:
    """SynthSleepNet's context on given embeddings."""
    z, hidden = torch.from_numpy(draw(meta, "z", arrays)), meta["state_dict"]["fc.0.weight"][0]
    module = ContextReader(z.shape[-1], _sizes(meta, hidden=hidden))
    reader = _filled(module, meta, {"fc.": "head."})
    output = reader(z)
    normed = reader.norm(z[0][..., None, None])[..., 0, 0]
    return {
        "logits": output.logits,
        "mamba_out_sample0": reader.mamba(normed[None])[0],
        "predicted": output.logits.argmax(dim=-1).int(),
    }


def _whole(meta: Meta, arrays: Arrays) -> dict[str, torch.Tensor]:
    """The whole model, and which of its tensors learn."""
    tuning = meta["lora_fine_tuning"]
    options = told(meta) | {"tuning_alpha": tuning["alpha"], "tuning_dropout": tuning["dropout"]}
    model = published.load("synthsleepnet-context", weights(meta), **options)
    assert isinstance(model, SynthSleepNetContext)
    learning = {name: torch.empty(0) for name in meta["trainable"]}
    wanted = set(published.ours(SynthSleepNetContext.published, learning))
    assert wanted == {n for n, p in model.named_parameters() if p.requires_grad}
    signals = {
        PUBLISHED_CHANNELS[name]: torch.from_numpy(draw(meta, f"x_{name}", arrays))
        for name in meta["channels"]
    }
    with torch.no_grad():
        embedded = model.embed(signals, {})
        return {"logits": model(signals, {}).logits, "embed_t0": embedded[:, 0]}
