"""E2E-DeepSleepNet with filled weights."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from models import published
from tests.parity.recipes import Arrays, Meta, draw, weights

L2 = 0.001  # of the article, added to a loss that is summed over the batch


def matches(meta: Meta) -> bool:
    """Know the sequence-to-sequence baseline."""
    return meta.get("model", "").startswith("E2E-DeepSleepNet")


@torch.inference_mode()
def run(meta: Meta, arrays: Arrays) -> Arrays:
    """Return every output of the fixture."""
    told, filled = meta["config"], weights(meta)
    x = torch.from_numpy(draw(meta, "x", arrays))  # (B, L, T, C)
    channels = tuple(f"channel {i}" for i in range(told["channels"]))
    options = {"channels": channels, "window": told["seq_len"], "samples": told["samples"]}
    model = published.load("e2e-deepsleepnet", filled, **options)
    output = model(dict(zip(channels, x.unbind(-1), strict=True)), {})
    n_epochs, _, width = arrays["features_first_two"].shape
    features = model.encoder(x.flatten(0, 1)[:n_epochs].mT).unflatten(1, (-1, width))
    labels = torch.from_numpy(arrays["labels"]).long()
    loss = F.cross_entropy(output.logits.flatten(0, 1), labels.flatten(), reduction="sum")
    loss = loss / told["seq_len"]
    # The published kernels have columns that never meet data, but are counted
    squares = [v.square().sum() for k, v in filled.items() if "running" not in k]
    outputs = {
        "logits": output.logits,
        "features_first_two": features,
        "sum_vector": output.features,
        "output_loss": loss,
        "total_loss": loss + L2 * 0.5 * torch.stack(squares).sum(),
    }
    return {name: value.numpy() for name, value in outputs.items()}
