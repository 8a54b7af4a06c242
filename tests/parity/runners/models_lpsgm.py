"""LPSGM: the four variants, its epoch encoder alone, and the pooled classifier."""

from __future__ import annotations

import re

import numpy as np
import torch

from models import published
from models.lpsgm import CHANNELS, Backbone, EpochEncoder
from tests.parity.recipes import Arrays, Meta, draw, weights

KINDS = ("LPSGM (", "LPSGMPooledClassifier (", "EpochEncoder (upstream model/epoch_encoder.py)")


def matches(meta: Meta) -> bool:
    """Know the stager, the pooled classifier and the encoder."""
    return meta.get("model", "").startswith(KINDS)


def run(meta: Meta, arrays: Arrays) -> Arrays:
    """Return every output of the fixture."""
    x = torch.from_numpy(draw(meta, "x", arrays))
    if meta["model"].startswith("EpochEncoder"):
        outputs = _encoder(meta, x[:, 0], arrays)
    elif meta["model"].startswith("LPSGMPooled"):
        logits, pooled = _built("lpsgm-pooled", meta)(*_signals(meta, x, arrays))
        outputs = {"logits": logits, "pooled_features": pooled}
    else:
        outputs = _stager(meta, x, arrays)
    return {name: output.detach().numpy() for name, output in outputs.items()}


def _built(name: str, meta: Meta) -> Backbone:
    """Build with the choices that shapes do not tell; the sizes come from the weights."""
    told = meta["config"]
    return published.load(
        name,
        weights(meta),
        architecture=told["architecture"],
        n_heads=told["transformer_num_heads"],
        clamp=told["clamp_value"],
    )


def _signals(
    meta: Meta, x: torch.Tensor, arrays: Arrays
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Sort published tokens (B, T, samples) into signals by channel, with what is present."""
    real = torch.from_numpy(~arrays["mask"])
    channel, epoch = torch.from_numpy(arrays["ch_idx"]), torch.from_numpy(arrays["seq_idx"])
    signals, present = {}, {}
    for index in channel[real].unique().tolist():
        sample, token = (real & (channel == index)).nonzero(as_tuple=True)
        signal = torch.full((len(x), meta["config"]["seq_len"], x.shape[-1]), torch.nan)
        signal[sample, epoch[sample, token]] = x[sample, token]
        name = CHANNELS[index]
        signals[name], present[name] = signal, ~signal.isnan().any(dim=-1)
    return signals, present


def _stager(meta: Meta, x: torch.Tensor, arrays: Arrays) -> dict[str, torch.Tensor]:
    """Outputs of a variant, with the tokens of one sample before and after the first block."""
    model, (signals, present) = _built("lpsgm", meta), _signals(meta, x, arrays)
    output, tokens = model(signals, present), model.tokenise(signals, present)
    outputs = {"logits": output.logits, "seq_features": output.features}
    for name in arrays:
        if found := re.fullmatch(r"epoch_features_first(\d+)", name):
            outputs[name] = model.encoder(x[0, : int(found[1])])
        elif found := re.fullmatch(r"(tokens_in|block0_out)_sample(\d+)", name):
            sample, told = int(found[2]), meta["outputs"][f"tokens_in_sample{found[2]}"]
            n_tokens, places = _places(model, sample, told, arrays)
            before, after = _first_block(model, tokens.x[sample, :n_tokens])
            outputs[name] = (before if found[1] == "tokens_in" else after)[places]
    return outputs


def _places(model: Backbone, sample: int, told: str, arrays: Arrays) -> tuple[int, list[int]]:
    """How many tokens we have of a sample, and where the published positions stand among them.

    Ours are sorted by epoch and channel; padding, of which we have none, comes after the last.
    """
    n_class, real = len(model.sequence.placed_class_tokens()), ~arrays["mask"][sample]
    order = np.lexsort((arrays["ch_idx"][sample][real], arrays["seq_idx"][sample][real]))
    data = np.full(len(real), n_class + real.sum())
    data[real] = n_class + np.argsort(order)
    ours = np.concatenate([np.arange(n_class), data])
    found = re.search(r"positions \[([\d, ]+)\]", told)
    positions = [int(position) for position in found[1].split(",")]
    return n_class + int(real.sum()), ours[positions].tolist()


def _first_block(model: Backbone, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Put one published padding token behind our tokens (S, D) and run the first block on them.

    Padding is a silent epoch of channel 0 at position 0 that asks but is not seen.
    """
    silence = model.encoder(torch.zeros(1, 3000))
    padding = model.sequence.channel_part(silence, torch.tensor([0]))
    padding = padding + model.sequence.position_part()[:1]
    before = torch.cat([tokens, padding])
    seen = torch.arange(len(before)) < len(tokens)
    return before, model.sequence.blocks[0](before[None], seen[None, None, None])[0]


def _encoder(meta: Meta, x: torch.Tensor, arrays: Arrays) -> dict[str, torch.Tensor]:
    """Features, activations on the way (their names say which), and one pass in train mode."""
    encoder = EpochEncoder(meta["config"]["dropout"], clamp=torch.inf).eval()
    adapter = published.entry("lpsgm")[0].published
    prefixed = {f"epoch_encoder.{name}": tensor for name, tensor in weights(meta).items()}
    named = published.ours(adapter, prefixed)
    published.fill(encoder, {k.removeprefix("encoder."): v for k, v in named.items()}, "encoder")
    outputs = {"features": encoder(x)}
    branches = {"1": encoder.fine, "2": encoder.coarse}
    for name in arrays:
        pattern = r"branch(\d)_after_(conv1_relu|pool1|pool2)_seg(\d+)(?:_first(\d+)ch)?"
        if found := re.fullmatch(pattern, name):
            steps = _steps(branches[found[1]], x)
            outputs[name] = steps[found[2]][int(found[3])][: int(found[4]) if found[4] else None]
    outputs["features_train_mode"] = encoder.train()(x)
    for name in arrays:
        if found := re.fullmatch(r"running_(mean|var)_after_branch(\d)_(\d+)", name):
            norm = branches[found[2]].layers[(int(found[3]) - 1) // 3][1]
            outputs[name] = getattr(norm, f"running_{found[1]}")
    return outputs


def _steps(branch: torch.nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Run a branch in eval mode and keep what its poolings and its first ReLU gave."""
    kept: dict[str, list[torch.Tensor]] = {"relu": [], "pool1": [], "pool2": []}
    watched = {"relu": branch.relu, "pool1": branch.pools[0], "pool2": branch.pools[1]}
    hooks = [
        module.register_forward_hook(lambda _m, _i, out, name=name: kept[name].append(out))
        for name, module in watched.items()
    ]
    branch(x[:, None])
    for hook in hooks:
        hook.remove()
    return {"conv1_relu": kept["relu"][0], "pool1": kept["pool1"][0], "pool2": kept["pool2"][0]}
