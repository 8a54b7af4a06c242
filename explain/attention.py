"""Where networks looked: at frames or signals of an epoch, at segments of a night.

SeqSleepNet and the E2E-ARNNs weigh the 29 frames of an epoch by one layer: its weights are the
map. wav2sleep mixes the signals of an epoch, and HTN the segments of a night, in several layers
whose tokens have been mixed before: their weights are followed through the layers (rollout).

References
----------
.. [1] Phan et al. (2019). SeqSleepNet. IEEE TNSRE 27(3), section III-B.
.. [2] Abnar and Zuidema (2020). Quantifying attention flow in transformers. ACL, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch

from models.htn import HTN, segments_of
from models.layers import SelfAttention, batch_of_one, presence
from models.time_frequency import SpectralStager
from models.wav2sleep import MixerBlock, Wav2Sleep, known_channels

EPOCHS_AT_ONCE = 64
PAD = 5  # the token of no stage


def rollout(maps: Sequence[torch.Tensor]) -> torch.Tensor:
    """Follow attention maps (..., S, S), first layer first, to the tokens that went in.

    Half of what a token becomes is taken to be the token itself, handed on beside each layer.
    """
    own = torch.eye(maps[0].shape[-1], device=maps[0].device)
    seen = own
    for weights in maps:
        seen = (weights + own) / 2 @ seen
    return seen


def frame_attention(
    model: SpectralStager, signals: Mapping[str, Any], present: Mapping[str, Any] | None = None
) -> np.ndarray:
    """Return the weights of the frames of each epoch, float32 (E, frames); rows sum to 1.

    Parameters
    ----------
    model : SpectralStager
        SeqSleepNet, E2E-ARNN or its multitask form.
    signals : {channel: array or tensor (E, T)}
        As in `night_proba`. A frame begins every second and is two seconds long.
    present : {channel: bool (E,)}, optional
        Where each channel was recorded; a channel that is not named is there throughout.
    """
    known = {name: x for name, x in signals.items() if name in model.config.channels}
    batch, there = batch_of_one(known, present, model.attention.context.device)
    with torch.inference_mode():
        spectra = model.spectra(batch, there)[0]  # (E, frames, bins, C)
        parts = [model.encode(part[None])[1][0] for part in spectra.split(EPOCHS_AT_ONCE)]
    return torch.cat(parts).float().cpu().numpy()


@torch.inference_mode()
def signal_attention(
    model: Wav2Sleep, signals: Mapping[str, Any], present: Mapping[str, Any] | None = None
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return (channels, what the vector of each epoch owes to each of them).

    Parameters
    ----------
    model : Wav2Sleep
    signals, present
        As in `Wav2Sleep.night_proba`.

    Returns
    -------
    channels : tuple of str
    shares : float32 array (E, C)
        Rows sum to 1; 0 where a signal was not recorded, NaN where none was.
    """
    known = known_channels(model.config, signals)
    given = {name: signals[name] for name in known}
    batch, told = batch_of_one(given, present, model.classifier.weight.device)
    there = presence(batch, told, known)  # (1, E, C)
    features = [model.encode(name, batch[name], there[..., i]) for i, name in enumerate(known)]
    maps = _mixer_maps(model, torch.stack(features, dim=2), there)
    first = len(model.epoch_mixer.tokens)  # the token that is read, and registers
    shares = rollout(maps)[:, 0, first:] * there[0]
    shares = shares / shares.sum(dim=-1, keepdim=True)  # 0 / 0 = NaN
    return tuple(known), shares.float().cpu().numpy()


def _mixer_maps(
    model: Wav2Sleep, features: torch.Tensor, there: torch.Tensor
) -> list[torch.Tensor]:
    """Run the mixer over (1, E, C, D) and return the weights (E, tokens, tokens) of each block."""
    mixer, asked = model.epoch_mixer, []
    blocks = [cast("MixerBlock", block) for block in mixer.blocks]
    hooks = [b.norm1.register_forward_hook(lambda _m, _i, out: asked.append(out)) for b in blocks]
    mixer(features, there)
    for hook in hooks:
        hook.remove()
    beside = there.new_ones(there.shape[1], len(mixer.tokens))
    allowed = torch.cat([beside, there[0]], dim=1)  # (E, tokens)
    return [
        attention_weights(block.attention, tokens, allowed)
        for block, tokens in zip(blocks, asked, strict=True)
    ]


def attention_weights(
    attention: SelfAttention, x: torch.Tensor, allowed: torch.Tensor
) -> torch.Tensor:
    """Return the weights (B, S, S) of tokens `x` (B, S, D), the mean over heads.

    `allowed` (B, S) is False for tokens that none may see.
    """
    q, k, _ = attention.qkv(x).unflatten(-1, (3, attention.n_heads, -1)).unbind(dim=-3)
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / q.shape[-1] ** 0.5
    scores = scores.masked_fill(~allowed[:, None, None], -torch.inf)
    return scores.softmax(dim=-1).mean(dim=1)


@torch.inference_mode()
def segment_attention(model: HTN, stages: np.ndarray) -> np.ndarray:
    """Return what the class of a night owes to each of its segments, float32 (S,); sum 1.

    Parameters
    ----------
    model : HTN
    stages : int array (E,)
        0..4, -1 where not scored: a segment without a stage has no share.
    """
    length = model.config.n_positions
    night = torch.as_tensor(np.asarray(stages), dtype=torch.int64)
    ids, valid = segments_of([torch.where(night < 0, PAD, night)], length, padding=PAD)
    valid &= ids != PAD
    device = model.head.weight.device
    maps = model(ids.to(device), valid.to(device)).attention
    shares = rollout(maps)[0, 0, 1:].cpu() * valid[0].any(dim=-1)
    return (shares / shares.sum()).numpy()
