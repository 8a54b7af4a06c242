"""wav2sleep of both releases, its signal encoder alone, and SleepPPG-Net."""

from __future__ import annotations

import re
from typing import Any

import torch

from models import published
from models.wav2sleep import Config, SignalEncoder, Wav2Sleep
from tests.parity.recipes import Arrays, Meta, draw, inputs, weights

OURS = {"EOG-L": "E1", "EOG-R": "E2"}  # names of channels


def matches(meta: Meta) -> bool:
    """Know the three networks by name."""
    return meta.get("model", "").startswith(("Wav2Sleep", "SignalEncoder", "SleepPPGNet"))


@torch.no_grad()
def run(meta: Meta, arrays: Arrays) -> Arrays:
    """Return every output of the fixture."""
    if meta["model"].startswith("Wav2Sleep"):
        outputs = _stager(meta, arrays)
    elif meta["model"].startswith("SleepPPGNet"):
        outputs = _ppgnet(meta, arrays)
    else:
        outputs = {}
        for number, variant in enumerate(meta["variants"]):
            outputs |= _encoder(number, variant, meta, arrays)
    return {name: output.numpy() for name, output in outputs.items()}


def _causal(told: Meta) -> str:
    """Name the kind of causality that the published switches ask for."""
    if not told.get("causal"):
        return "no"
    return "epochs" if told["chunk_causal"] else "convolutions"


def _encoder_settings(told: Meta) -> dict[str, Any]:
    """Translate the settings of the signal encoders."""
    settings = {
        "width": told["feature_dim"],
        "activation": told["activation"],
        "norm": told["norm"] or "none",
        "causal": _causal(told),
        "as_published": True,
    }
    names = {"initial_channels": "initial_channels", "max_channels": "max_channels"}
    names |= {"output_norm": "output_norm", "use_residual": "residual", "size": "size"}
    names |= {"embed_signals": "embed_signals"}
    return settings | {ours: told[name] for name, ours in names.items() if name in told}


def _built(meta: Meta) -> Wav2Sleep:
    """Build with the choices that shapes do not tell; the release is left to be recognised."""
    told = meta["config"]
    signal_map = told["signal_encoders"]["signal_map"]
    model = published.load(
        "wav2sleep",
        weights(meta),
        **_encoder_settings(told["signal_encoders"]),
        channels=tuple(OURS.get(name, name) for name in signal_map),
        encoders=tuple(OURS.get(name, name) for name in signal_map.values()),
        samples=tuple(meta["samples_per_epoch"][name] for name in signal_map),
        n_heads=told["epoch_mixer"]["nhead"],
        mixer_activation=told["epoch_mixer"]["activation"],
        sequence_activation=told["sequence_mixer"]["activation"],
        sequence_norm=told["sequence_mixer"]["norm"],
    )
    assert isinstance(model, Wav2Sleep)
    assert (model.config.release == "paper") == ("paper" in meta["model"])
    return model


def _stager(meta: Meta, arrays: Arrays) -> dict[str, torch.Tensor]:
    """Logits of every case, and what stands between the parts of the network."""
    model, outputs = _built(meta), {}
    for name, case in meta["cases"].items():
        signals, present = _case(meta, case, arrays)
        output = model(signals, present)
        outputs[f"logits__{name}"] = output.logits
        known = [channel for channel in model.config.channels if channel in signals]
        there = torch.stack([present[channel] for channel in known], dim=-1)
        encoded = [model.encode(c, signals[c], there[..., i]) for i, c in enumerate(known)]
        mixed = model.epoch_mixer(torch.stack(encoded, dim=2), there)
        between = {f"z_{c}__{name}": x for c, x in zip(known, encoded, strict=True)}
        between |= {
            f"z_{p}__{name}": between[f"z_{o}__{name}"] for p, o in OURS.items() if o in known
        }
        between[f"epoch_mixer__{name}"] = mixed
        between[f"sequence_mixer__{name}"] = output.features
        outputs |= {key: x for key, x in between.items() if key in arrays}
    return outputs


def _case(
    meta: Meta, case: Meta, arrays: Arrays
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Make the signals (B, S, T) of a case, and which rows are there (B, S)."""
    signals, present = {}, {}
    for name in case["signals"]:
        x = torch.from_numpy(draw(meta, name, arrays))
        x = x.unflatten(1, (-1, meta["samples_per_epoch"][name])).clone()
        if case["pad_from_epoch"] is not None:
            x[:, case["pad_from_epoch"] :] = 0
        there = torch.ones(x.shape[:2], dtype=torch.bool)
        for row, missing in case["missing"]:
            if missing == name:
                there[row], x[row] = False, -torch.inf
        signals[OURS.get(name, name)], present[OURS.get(name, name)] = x, there
    return signals, present


def _encoder(number: int, variant: Meta, meta: Meta, arrays: Arrays) -> dict[str, torch.Tensor]:
    """Features of one variant, and the first time steps of its blocks."""
    told = variant["config"]
    n_samples = told["samples_per_epoch"]
    config = Config(channels=("ECG",), samples=(n_samples,), **_encoder_settings(told))
    encoder = SignalEncoder(config, n_samples).eval()
    filled = weights({"state_dict": variant["state_dict"], "constant": meta["constant"]})
    published.fill(encoder, filled, "encoder")
    recipe = variant["inputs"]["x"]
    x = torch.from_numpy(inputs(recipe["seed"], tuple(recipe["shape"])))
    outputs = {f"out_{number}": encoder(x.unflatten(1, (-1, n_samples)))}
    y = x[:, None]
    for i, block in enumerate(encoder.cnn):
        y = block(y)
        key = f"out_{number}_block_{i}"
        if key in arrays:
            outputs[key] = y[0, :, : arrays[key].shape[1]]
    return outputs


def _ppgnet(meta: Meta, arrays: Arrays) -> dict[str, torch.Tensor]:
    """Logits, and the first steps behind the convolutions and behind the dense layer."""
    pool = "max" if "max pooling" in meta["model"] else "stride"
    model = published.load("ppgnet", weights(meta), pool=pool)
    kept: dict[str, torch.Tensor] = {}
    model.blocks[-1].register_forward_hook(lambda _m, _i, out: kept.update(conv_block=out[0]))
    model.dense.register_forward_hook(
        lambda _m, _i, out: kept.update(dense=model.activation(out)[0].T)
    )
    x = torch.from_numpy(draw(meta, "x", arrays)).unflatten(1, (-1, 1024))
    outputs = {"logits": model({"PPG": x}, {}).logits}
    for name in arrays:
        if found := re.fullmatch(r"(conv_block|dense)_first(\d+)", name):
            outputs[name] = kept[found[1]][:, : int(found[2])]
    return outputs
