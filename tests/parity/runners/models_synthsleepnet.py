"""SynthSleepNet: fused embedding, masked pass with both ways of decoding, contrast."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from engine.pretraining import nt_xent
from models import published
from models.synthsleepnet import PUBLISHED_CHANNELS, SynthSleepNet, mean_of_present
from tests.parity.recipes import Arrays, Meta, draw, weights

SIZES = {
    "fs": "rate_hz",
    "time_window": "frame_s",
    "time_step": "step_s",
    "encoder_heads": "n_heads",
}


def matches(meta: Meta) -> bool:
    """Know the pre-training model."""
    return meta.get("model") == "SynthSleepNet"


def told(meta: Meta) -> dict[str, object]:
    """Return what shapes do not tell of encoders, fusion and adapters."""
    sizes = {ours: meta["unimodal"][name] for name, ours in SIZES.items()}
    fused = meta.get("multimodal", meta["config"])
    return sizes | {
        "fused_heads": fused["encoder_heads"],
        "adapter_alpha": meta["lora"]["alpha"],
        "adapter_dropout": meta["lora"]["dropout"],
        "channels": tuple(PUBLISHED_CHANNELS[name] for name in meta["channels"]),
    }


@torch.inference_mode()
def run(meta: Meta, arrays: Arrays) -> Arrays:
    """Return every output of the fixture."""
    names = {PUBLISHED_CHANNELS[name]: name for name in meta["channels"]}
    options = told(meta) | {"decoder_heads": meta["config"]["decoder_heads"]}
    model = published.load("synthsleepnet", weights(meta), **options)
    assert isinstance(model, SynthSleepNet)
    signals = {k: torch.from_numpy(draw(meta, f"x_{v}", arrays))[:, None] for k, v in names.items()}
    tokens, there = model.fusion.unimodal(signals, {})
    fused = model.fusion.fuse([model.fusion.placed(k, v) for k, v in tokens.items()], there)
    outputs = {
        "embed": model.embed(signals, {})[:, 0],
        "fused_tokens_sample0": fused[0].flatten(0, 1)[::4],
        **{f"unimodal_tokens_mean_{names[k]}": v.mean(dim=1) for k, v in tokens.items()},
        **_masked(model, meta, signals, names, arrays),
    }
    return {name: np.asarray(value) for name, value in outputs.items() if name in arrays}


def _masked(
    model: SynthSleepNet,
    meta: Meta,
    signals: dict[str, torch.Tensor],
    names: dict[str, str],
    arrays: Arrays,
) -> dict[str, torch.Tensor]:
    """Outputs of the masked pass with the given noise."""
    noises = iter([torch.from_numpy(arrays[f"noise_{name}"]) for name in names.values()])
    done = model.masked(signals, {}, mask_ratio=meta["mask_ratio"], draw=lambda *_: next(noises))
    outputs = {"fused_masked_sample0": done.fused[0].flatten(0, 1)}
    outputs |= {f"mask_{names[k]}": m.hidden.float() for k, m in done.maskings.items()}
    for split, label in (("own", "corrected"), ("upstream", "upstream")):
        model.config = replace(model.config, decoder_split=split)  # type: ignore[arg-type]
        guesses = {
            name: model.decoders.predict(name, model.decoded(done, column, name))
            for column, name in enumerate(names)
        }
        shown = torch.cat(list(guesses.values()), dim=1)
        errors = [
            (guesses[name] - done.tokens[name][:, 1:])[done.maskings[name].hidden].square()
            for name in names
        ]
        outputs[f"pred_{label}"] = shown[:2, :, :: shown.shape[-1] // 12]
        outputs[f"recon_loss_{label}"] = torch.cat(errors).mean()
    return outputs | _contrast(model, meta, done, names)


def _contrast(
    model: SynthSleepNet, meta: Meta, done: object, names: dict[str, str]
) -> dict[str, torch.Tensor]:
    """Projections, the loss of each channel, and their means."""
    whole = model.projection(mean_of_present(done.fused, done.there))
    outputs, found = {"proj_fusion": whole}, []
    for name, (_, own) in zip(names.values(), model.views(done), strict=True):
        loss, right = nt_xent(whole, own, meta["config"]["temperature"])
        outputs |= {f"proj_{name}": own, f"contrastive_loss_{name}": loss}
        found.append((loss, right))
    losses, rights = zip(*found, strict=True)
    outputs["contrastive_loss"] = torch.stack(losses).mean()
    outputs["contrastive_accuracy"] = torch.stack(rights).mean()
    return outputs
