"""NeuroNet: one modality learnt without labels (Lee et al., arXiv 2404.17585).

An epoch is cut into overlapping frames, a CNN makes one token of each, a transformer reads the few
that are left visible, and a decoder predicts the features of the others. Two maskings of an
epoch shall give class tokens that are alike. SynthSleepNet (arXiv 2502.17481) learns one such
network per modality; this file holds both sizes.

Input: view `shhs7`, in interquartile ranges of the night, 100 Hz. Every channel of the modality is
a sample of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from models import Present, Signals, register
from models.frame_encoder import FrameEncoder
from models.layers import presence
from models.masked_tokens import (
    Draw,
    MaskedOutput,
    Masking,
    Transformer,
    initialise,
    position_table,
    projection,
    with_mask_tokens,
)
from models.published import Adapter, StateDict

EPOCH_S = 30
PUBLISHED_WIDTHS = (64, 64, 128, 128, 256)  # stem and four blocks of the frame encoder


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes of the encoder of one modality; the defaults suit one core of a laptop."""

    rate_hz: int = 100
    frame_s: float = 3.0  # 3 s at 100 Hz is the shortest frame that the poolings allow
    step_s: float = 3.0
    widths: tuple[int, ...] = (16, 16, 16, 24, 32)
    squeeze: int = 8  # squeeze-and-excitation narrows by this; 0 = none
    width: int = 96
    n_heads: int = 4
    n_blocks: int = 2
    frame_norm: Literal["pooled", "per_frame"] = "pooled"  # batch statistics of the CNN
    readout: Literal["class", "mean"] = "class"  # an epoch is its class token, or the frames' mean

    @property
    def samples(self) -> int:
        """Samples of an epoch."""
        return EPOCH_S * self.rate_hz

    @property
    def frame(self) -> int:
        """Samples of a frame."""
        return int(self.frame_s * self.rate_hz)

    @property
    def step(self) -> int:
        """Samples from one frame to the next."""
        return int(self.step_s * self.rate_hz)

    @property
    def n_frames(self) -> int:
        """Complete frames of an epoch."""
        return (self.samples - self.frame) // self.step + 1


@dataclass(frozen=True)
class Config(EncoderConfig):
    """Sizes of the whole network, and the channels of its modality."""

    channels: tuple[str, ...] = ("C4", "C3")
    decoder_width: int = 64
    decoder_heads: int = 4
    decoder_blocks: int = 1
    projection: tuple[int, ...] = (128, 64)


def published_sizes(**channels: Any) -> dict[str, Any]:
    """Return the fields of the published encoders: 4 s every second, 768 wide."""
    sizes = {"frame_s": 4.0, "step_s": 1.0, "widths": PUBLISHED_WIDTHS, "squeeze": 16}
    return sizes | {"width": 768, "n_heads": 8, "n_blocks": 4} | channels


_DECODER: dict[str, Any] = {
    "decoder_width": 256,
    "decoder_heads": 8,
    "decoder_blocks": 3,
    "projection": (1024, 512),
}
# NeuroNet's own repository: narrower, no squeeze-and-excitation, 3 s every 0.375 s
_ORIGINAL: dict[str, Any] = {
    "frame_s": 3.0,
    "step_s": 0.375,
    "widths": (32, 32, 32, 48, 64),
    "squeeze": 0,
    "n_heads": 8,
    "n_blocks": 4,
    "readout": "mean",
    "projection": (1024, 512),
    "decoder_heads": 8,
}
MODALITIES = {"eeg": ("C4", "C3"), "eog": ("E1", "E2"), "emg": ("Chin",), "ecg": ("ECG",)}
PRESETS = {
    **{
        name: Config(**published_sizes(channels=channels), **_DECODER)
        for name, channels in MODALITIES.items()
    },
    **{f"{name}-small": Config(channels=channels) for name, channels in MODALITIES.items()},
    "original-b": Config(**_ORIGINAL, width=768, decoder_width=256, decoder_blocks=3),
    "original-t": Config(**_ORIGINAL, width=512, decoder_width=192, decoder_blocks=1),
}


class NeuroNetEncoder(nn.Module):
    """One channel's epochs (N, T) -> tokens, a class token first."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        n_frames, width = config.n_frames, config.width
        apart = n_frames if config.frame_norm == "per_frame" else 1
        self.frames = FrameEncoder(config.frame, config.widths, config.squeeze, apart)
        self.embed = nn.Linear(self.frames.width, width)
        self.class_token = nn.Parameter(torch.randn(width) * 0.02)
        self.positions = nn.Parameter(position_table(width, n_frames, class_token=True))
        self.transformer = Transformer(width, config.n_heads, config.n_blocks)
        initialise(self.embed, self.transformer)

    def cut(self, x: torch.Tensor) -> torch.Tensor:
        """Epochs (N, T) -> frames (N, F, samples)."""
        if x.shape[-1] != self.config.samples:
            raise ValueError(
                f"epochs of {x.shape[-1]} samples, the network reads {self.config.samples}"
            )
        return x.unfold(-1, self.config.frame, self.config.step)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Epochs (N, T) -> frame features (N, F, P)."""
        return self.frames(self.cut(x))

    def encode(self, features: torch.Tensor, masking: Masking | None = None) -> torch.Tensor:
        """Frame features (N, F, P) -> tokens (N, 1 + k, D) of the frames that are seen."""
        if masking is None:
            tokens = self.embed(features) + self.positions[1:]
        else:
            places = self.positions[1:].expand(len(features), -1, -1)
            tokens = self.embed(masking.pick(features)) + masking.pick(places)
        first = (self.class_token + self.positions[0]).expand(len(tokens), 1, -1)
        return self.transformer(torch.cat([first, tokens], dim=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Epochs (N, T) -> all tokens (N, 1 + F, D)."""
        return self.encode(self.features(x))

    def read(self, x: torch.Tensor) -> torch.Tensor:
        """Epochs (N, T) -> one vector each, (N, D)."""
        tokens = self(x)
        return tokens[:, 0] if self.config.readout == "class" else tokens[:, 1:].mean(dim=1)


class Decoder(nn.Module):
    """Predicts the features of every frame from the tokens that were seen."""

    def __init__(self, config: Config, target_width: int) -> None:
        super().__init__()
        width = config.decoder_width
        self.embed = nn.Linear(config.width, width)
        self.mask_token = nn.Parameter(torch.randn(width) * 0.02)
        self.positions = nn.Parameter(position_table(width, config.n_frames))
        self.transformer = Transformer(width, config.decoder_heads, config.decoder_blocks)
        self.predict = nn.Linear(width, target_width)
        initialise(self)

    def forward(self, tokens: torch.Tensor, masking: Masking) -> torch.Tensor:
        """Tokens (N, 1 + k, D), class token first -> hidden vectors of all frames (N, F, Dd)."""
        seen = self.embed(tokens[:, 1:])
        return self.transformer(
            with_mask_tokens(seen, masking.place, self.mask_token) + self.positions
        )


def _published_config(state_dict: StateDict) -> dict[str, Any]:
    """Read the sizes that shapes tell; length and step of a frame, heads and channels are not."""
    shapes = {name: tuple(tensor.shape) for name, tensor in state_dict.items()}
    hidden = sorted(name for name in shapes if re.fullmatch(r"projectors\.\d+\.weight", name))
    return encoder_sizes(state_dict, "autoencoder.") | {
        "decoder_width": shapes["autoencoder.decoder_embed.weight"][0],
        "decoder_blocks": len(
            {n.split(".")[2] for n in shapes if n.startswith("autoencoder.decoder_block.")}
        ),
        "projection": tuple(shapes[name][0] for name in hidden if len(shapes[name]) == 2),
    }


def encoder_sizes(state_dict: StateDict, prefix: str = "", trunk: str = "") -> dict[str, Any]:
    """Read the sizes of an encoder whose transformer stands at `prefix`, its CNN at `trunk`."""
    shapes = {name: tuple(tensor.shape) for name, tensor in state_dict.items()}
    cnn = f"{trunk}frame_backbone.model."
    blocks = [shapes[f"{cnn}layer3x3_{number}.0.conv1.weight"][0] for number in (1, 2, 3, 4)]
    squeeze = shapes.get(f"{cnn}layer3x3_1.0.se.fc.0.weight")
    layers = {
        n
        for n in shapes
        if re.fullmatch(rf"{re.escape(prefix)}encoder_block\.\d+\.norm1\.weight", n)
    }
    return {
        "widths": (shapes[f"{cnn}conv1.weight"][0], *blocks),
        "squeeze": squeeze[1] // squeeze[0] if squeeze else 0,
        "width": shapes[f"{prefix}encoder_norm.weight"][0],
        "n_blocks": len(layers),
    }


BLOCK_NAMES = (  # of every transformer block, published -> ours
    (r"\.norm([12])\.", r".norm_\1."),
    (r"\.attn\.qkv\.", ".attention.qkv."),
    (r"\.attn\.proj\.", ".attention.out."),
    (r"\.mlp\.fc1\.", ".up."),
    (r"\.mlp\.fc2\.", ".down."),
)
CNN_NAMES = (
    (r"frame_backbone\.feature_layer\.", "frames.mlp."),
    (r"frame_backbone\.model\.conv1\.", "frames.trunk.stem.conv."),
    (r"frame_backbone\.model\.bn1\.", "frames.trunk.stem.norm."),
    *(
        (
            rf"frame_backbone\.model\.layer{kernel}x{kernel}_{number + 1}\.0\.",
            f"frames.trunk.branches.{branch}.{number}.",
        )
        for branch, kernel in enumerate((3, 5, 7))
        for number in range(4)
    ),
    (r"(branches\.\d\.\d)\.conv([12])\.", r"\1.conv_\2.conv."),
    (r"(branches\.\d\.\d)\.bn([12])\.", r"\1.conv_\2.norm."),
    (r"\.se\.fc\.0\.", ".excite.down."),
    (r"\.se\.fc\.2\.", ".excite.up."),
    (r"\.downsample\.0\.", ".shortcut.conv."),
    (r"\.downsample\.1\.", ".shortcut.norm."),
)
ENCODER_NAMES = (  # behind the path of an encoder, which each adapter puts first
    *CNN_NAMES,
    (r"encoder\.(.*)\bpatch_embed\.", r"encoder.\1embed."),
    (r"encoder\.(.*)\bencoder_block\.", r"encoder.\1transformer.blocks."),
    (r"encoder\.(.*)\bencoder_norm\.", r"encoder.\1transformer.norm."),
    (r"encoder\.(.*)\bcls_token$", r"encoder.\1class_token"),
    (r"encoder\.(.*)\bpos_embed$", r"encoder.\1positions"),
    *BLOCK_NAMES,
)


def without_batch_axis(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Published tokens and tables carry an axis of length 1 for the batch."""
    table = name.endswith(("positions", "_token")) or "modality_tokens." in name
    if not table:
        return tensor
    return tensor.reshape(-1) if name.endswith("_token") else tensor[0]


@register("neuronet")
class NeuroNet(nn.Module):
    """Masked prediction and contrast over one modality.

    Parameters
    ----------
    config : Config
        `PRESETS["eeg"]`, "eog", "emg" and "ecg" are the published size; "-small" runs on a laptop.

    Notes
    -----
    The features to be predicted are not held fixed: a gradient flows into them, as published. The
    pre-training task can cut it.
    """

    published = Adapter(
        config=_published_config,
        constants=(r"projectors_bn\..*",),  # made by the published code, never read
        renames=(
            (r"^autoencoder\.decoder_embed\.", "decoder.embed."),
            (r"^autoencoder\.decoder_block\.", "decoder.transformer.blocks."),
            (r"^autoencoder\.decoder_norm\.", "decoder.transformer.norm."),
            (r"^autoencoder\.decoder_pred\.", "decoder.predict."),
            (r"^autoencoder\.decoder_pos_embed$", "decoder.positions"),
            (r"^autoencoder\.mask_token$", "decoder.mask_token"),
            (r"^autoencoder\.", "encoder."),
            (r"^frame_backbone\.", "encoder.frame_backbone."),
            *ENCODER_NAMES,
            (r"^projectors\.", "projection."),
        ),
        tensor=without_batch_axis,
    )

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = NeuroNetEncoder(config)
        self.decoder = Decoder(config, self.encoder.frames.width)
        self.projection = projection((config.width, *config.projection))

    @property
    def channels(self) -> dict[str, int]:
        """Channels of the modality, with samples per epoch."""
        return dict.fromkeys(self.config.channels, self.config.samples)

    def forward(
        self, signals: Signals, present: Present, *, mask_ratio: float, draw: Draw = torch.rand
    ) -> MaskedOutput:
        """Hide frames of every epoch and channel that was recorded, twice, and predict them.

        Parameters
        ----------
        signals, present : {channel: (B, L, T)}, {channel: (B,) or (B, L)}
            Each recorded epoch of a channel is one of the N samples.
        mask_ratio : float
            Share of frames to hide.
        draw : callable
            Called for the noise (N, F) of the first masking, then of the second.
        """
        x, _ = recorded(self.config.channels, signals, present)
        features = self.encoder.features(x)
        maskings = [
            Masking.of(draw(*features.shape[:2]).to(x.device), mask_ratio) for _ in range(2)
        ]
        both = Masking(*(torch.cat(parts) for parts in zip(*map(_tensors, maskings), strict=True)))
        twice = torch.cat([features, features])  # both maskings pass through in one batch
        tokens = self.encoder.encode(twice, both)
        hidden = both.hidden
        guesses = self.decoder.predict(self.decoder(tokens, both)[hidden]).chunk(2)
        wanted = twice[hidden].chunk(2)
        first, second = tokens[:, 0].chunk(2)
        views = [(self.projection(first), self.projection(second))]
        return MaskedOutput(list(zip(guesses, wanted, strict=True)), views)

    def embed(self, signals: Signals, present: Present) -> torch.Tensor:
        """Return one vector per epoch (B, L, D): the mean over the channels that were recorded.

        An epoch without any is a vector of zeros.
        """
        return embed_modality(self.encoder, self.config.channels, signals, present)


def embed_modality(
    encoder: NeuroNetEncoder, channels: tuple[str, ...], signals: Signals, present: Present
) -> torch.Tensor:
    """Return one vector per epoch (B, L, D): the mean over its channels that were recorded."""
    x, there = recorded(channels, signals, present)
    rows = x.new_zeros(*there.shape, encoder.config.width)
    rows[there] = in_parts(encoder.read, x)
    return rows.sum(dim=2) / there.sum(dim=2).clamp(min=1)[..., None]


def recorded(
    channels: tuple[str, ...], signals: Signals, present: Present
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the epochs (N, T) that were recorded, and where they lie: bool (B, L, C).

    Raises
    ------
    ValueError
        If no channel of the modality is among the signals.
    """
    known = known_channels(channels, signals)
    there = presence(signals, present, known)
    x = torch.stack([signals[name] for name in known], dim=2)
    return x[there], there


def _tensors(masking: Masking) -> tuple[torch.Tensor, torch.Tensor]:
    """Return both tensors of a masking."""
    return masking.kept, masking.place


def known_channels(wanted: tuple[str, ...], signals: Signals) -> list[str]:
    """Return which of the wanted channels there are, in their order; at least one."""
    channels = [name for name in wanted if name in signals]
    if not channels:
        found = ", ".join(signals) or "none"
        raise ValueError(f"none of {', '.join(wanted)} among the signals: {found}")
    return channels


def in_parts(work: Any, x: torch.Tensor, size: int = 64) -> torch.Tensor:
    """Apply `work` to rows of `x`, a few at a time where no gradient is kept: a night is long."""
    if torch.is_grad_enabled() or len(x) <= size:
        return work(x)
    return torch.cat([work(part) for part in x.split(size)])
