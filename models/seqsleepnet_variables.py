"""Names of variables in SeqSleepNet's published TensorFlow checkpoints -> keys of a state dict."""

from __future__ import annotations

import re

import torch

from models.published import StateDict

_CHANNELS = ("eeg", "eog", "emg")  # the order in which the network reads them
_OPTIMIZER = re.compile(r".*/Adam(_1)?|beta[12]_power|global_step")
_RENAMES = (
    (r"^(frame|epoch)_rnn_layer/(fw|bw)/BNLSTMCell/", r"\1_rnn.\2."),
    (r"\.W_(xh|hh)$", r".weight_\1"),
    (r"\.(xh|hh|c)/scale$", r".bn_\1.weight"),
    (r"\.(hh|c)/offset$", r".bn_\1.bias"),
    (r"\.(xh|hh|c)/pop_(mean|var)$", r".bn_\1.running_\2"),
    (r"^frame_attention_layer/Variable$", "attention.proj.weight"),
    (r"^frame_attention_layer/Variable_1$", "attention.proj.bias"),
    (r"^frame_attention_layer/Variable_2$", "attention.context"),
    (r"^output_layer/output/", "head."),
    (r"^output_layer/output-?(\d+)/", r"head.\1."),
    (r"weights$", "weight"),
    (r"biases$", "bias"),
)


def canonical(tensors: StateDict) -> StateDict:
    """Return published tensors by the keys of a state dict, optimizer left out, matrices turned.

    Tensors that have these keys already are returned as they are. The filterbanks are numbered in
    the order of the channels that there are.
    """
    if not any(name.startswith("filterbank-layer-") for name in tensors):
        return tensors
    known = [c for c in _CHANNELS if f"filterbank-layer-{c}/Variable" in tensors]
    banks = {
        f"filterbank-layer-{c}/Variable": f"filterbank.{i}.weight" for i, c in enumerate(known)
    }
    found = {}
    for name, tensor in tensors.items():
        if _OPTIMIZER.fullmatch(name):
            continue
        key = banks.get(name, name)
        for pattern, replacement in _RENAMES:
            key = re.sub(pattern, replacement, key)
        found[key] = _turned(key, tensor)
    return found


def _turned(key: str, tensor: torch.Tensor) -> torch.Tensor:
    """Return a matrix of weights as (outputs, inputs); TensorFlow has it the other way round."""
    is_matrix = tensor.ndim == 2 and "running" not in key
    return tensor.t().contiguous() if is_matrix else tensor
