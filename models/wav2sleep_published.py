"""Published tensors of wav2sleep, of both releases, under our names."""

from __future__ import annotations

import re

import torch

from models.published import Adapter, StateDict
from models.wav2sleep_layers import PAPER_WIDTHS, SAMPLES

_PUBLISHED_NAMES = {"EOG-L": "E1", "EOG-R": "E2"}


def _published_sizes(state_dict: StateDict) -> dict[str, object]:
    """Read the release and the sizes that the tensors tell.

    Not told: heads, activations, norms without tensors, causality, and which channels share an
    encoder whose name is no channel.
    """
    keys = set(state_dict)
    prefix = "signal_encoders.encoders."
    names = sorted({k.removeprefix(prefix).split(".")[0] for k in keys if k.startswith(prefix)})
    if not names:
        raise KeyError(prefix)
    first = next(k for k in keys if k.startswith(f"{prefix}{names[0]}.cnn.0.conv1.conv."))
    conv = state_dict["sequence_mixer.dilated_convs.0.conv_layers.0.conv.weight"]
    mixer, sequence = "epoch_mixer.transformer_encoder.layers.", "sequence_mixer.dilated_convs."
    widest = max(len(t) for k, t in state_dict.items() if re.search(r"\.conv1\.conv\..*\w$", k))
    paper = "sequence_mixer.dilated_convs.0.conv_layers.0.norm.norm.weight" in keys
    sizes: dict[str, object] = {
        "release": "paper" if paper else "current",
        "width": len(conv),
        "kernel": conv.shape[-1],
        "n_dilations": _count(keys, f"{sequence}0.conv_layers."),
        "n_sequence_blocks": _count(keys, sequence),
        "n_blocks": _count(keys, mixer),
        "feedforward": len(state_dict[f"{mixer}0.linear1.weight"]),
        "n_registers": state_dict["epoch_mixer.register_tokens"].shape[-1] - 1,
        "output_norm": any(".output_norm." in key for key in keys),
        "residual": any(".downsample." in key for key in keys),
        "embed_signals": "signal_encoders.embedder.weight" in keys,
        "initial_channels": len(state_dict[first]),
        "max_channels": widest,
        "size": "small" if paper and widest == PAPER_WIDTHS["small", 1024][-1] else "large",
        "n_classes": len(state_dict["classifier.weight"]),
    }
    known = tuple(_PUBLISHED_NAMES.get(name, name) for name in names)
    if all(name in SAMPLES for name in known):
        sizes["channels"] = known
    return sizes


def _count(keys: set[str], prefix: str) -> int:
    """Count the numbers that stand behind `prefix`."""
    return len({key.removeprefix(prefix).split(".")[0] for key in keys if key.startswith(prefix)})


def _tokens_first(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Turn the published tokens (1, 1, D, 1 + R) into rows."""
    return tensor[0, 0].T if name == "epoch_mixer.tokens" else tensor


_LAYER = r"^epoch_mixer\.transformer_encoder\.layers\.(\d+)\."

ADAPTER = Adapter(
    config=_published_sizes,
    renames=(
        (r"^signal_encoders\.encoders\.EOG-L\.", "encoders.E1."),
        (r"^signal_encoders\.encoders\.EOG-R\.", "encoders.E2."),
        (r"^signal_encoders\.", ""),
        (r"^embedder\.weight", "embedding"),
        (r"^epoch_mixer\.register_tokens", "epoch_mixer.tokens"),
        (_LAYER + r"self_attn\.in_proj_", r"epoch_mixer.blocks.\1.attention.qkv."),
        (_LAYER + r"self_attn\.out_proj\.", r"epoch_mixer.blocks.\1.attention.out."),
        (_LAYER, r"epoch_mixer.blocks.\1."),
    ),
    tensor=_tokens_first,
)
