"""SleepGPT's classifiers of nights: transformer and LSTM over segments, and of one sequence."""

from __future__ import annotations

import copy

import numpy as np
import torch

from models import published
from models.htn import HTN, HTNLSTM
from tests.parity.recipes import Arrays, Meta, weights

MODELS = {
    "GPTLongSeqTransformer": "htn",
    "GPTLongSeqLSTM": "htn-lstm",
    "GPTSeqClassifier": "stage-classifier",
}
OPTIONS = {  # published arguments that the shapes do not tell -> ours
    "num_heads": "n_heads",
    "num_heads_seg": "segment_heads",
}


def matches(meta: Meta) -> bool:
    """Know the three classifiers by their published names."""
    return meta.get("model") in MODELS


@torch.inference_mode()
def run(meta: Meta, arrays: Arrays) -> Arrays:
    """Return every output of the fixture."""
    options = {ours: meta["config"][k] for k, ours in OPTIONS.items() if k in meta["config"]}
    model = published.load(MODELS[meta["model"]], weights(meta), **options)
    ids = torch.from_numpy(arrays["input_ids"])
    if not isinstance(model, HTN | HTNLSTM):
        return {"logits": model(ids).logits.numpy()}
    valid = torch.from_numpy(arrays["mask"]).bool()
    feature, there = model.segments(ids, valid)
    masked = model(ids, valid)
    outputs = {
        "segment_feature": feature,
        "segment_valid": there,
        "lengths": valid.sum(dim=(1, 2)),
        "logits_full": model(torch.from_numpy(arrays["full_ids"])).logits,
    }
    if isinstance(model, HTNLSTM):
        outputs["logits_each_alone"] = masked.logits
        outputs["logits_reference"] = _with_padding(model, feature, there)
    else:
        outputs["logits_masked"] = masked.logits
        outputs["attention_masked"] = _meaningful(masked.attention[0], there)
    return {name: np.asarray(output) for name, output in outputs.items()}


def _meaningful(attention: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """Mark the rows of segments that are all padding as not to be compared."""
    rows = torch.cat([torch.ones(len(there), 1, dtype=torch.bool), there], dim=1)
    return attention.masked_fill(~rows[..., None], torch.nan)


def _with_padding(model: HTNLSTM, feature: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """Return what the original gives: padding passes through the LSTM, read at the very end.

    Its library hides every place of a segment of padding, so that all are seen alike: the same as
    attention whose queries are zero.
    """
    blind = copy.deepcopy(model)
    for block in blind.language.blocks:
        block.attention.qkv.weight[: model.config.width] = 0
        block.attention.qkv.bias[: model.config.width] = 0
    padding = torch.full((1, model.config.n_positions), model.config.vocab_size - 1)
    passed = blind.norm(blind.language.hidden(padding))[0, -1]
    outputs, _ = model.lstm(torch.where(there[..., None], feature, passed))
    return model.head(outputs[:, -1])
