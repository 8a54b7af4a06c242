"""SynthSleepNet: several modalities fused without labels (Lee et al., arXiv 2502.17481).

Each channel has a NeuroNet encoder that was trained before: frozen, with adapters of low rank. A
transformer reads the visible frames of all channels together; a decoder per channel predicts its
hidden ones, and the whole shall be alike to each channel.

Channels that were not recorded make no tokens, in training as in use, so any of the channels may be
missing from any epoch.

Input: view `shhs7`, in interquartile ranges of the night, 100 Hz.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional as F

from models import Present, Signals, register
from models.layers import presence
from models.lora import adapt, take_over, train_adapters_only
from models.masked_tokens import (
    NORM_EPS,
    Draw,
    MaskedOutput,
    Masking,
    Transformer,
    initialise,
    position_table,
    projection,
    with_mask_tokens,
)
from models.neuronet import (
    BLOCK_NAMES,
    ENCODER_NAMES,
    EncoderConfig,
    NeuroNet,
    NeuroNetEncoder,
    encoder_sizes,
    known_channels,
    published_sizes,
    without_batch_axis,
)
from models.published import Adapter, StateDict

CHANNELS = ("C4", "C3", "E1", "E2", "ECG", "Chin")
PUBLISHED_CHANNELS = {
    **{"EEG_C4": "C4", "EEG_C3": "C3", "EOG_Left": "E1", "EOG_Right": "E2"},
    **{"ECG": "ECG", "EMG_Chin": "Chin"},
}


@dataclass(frozen=True)
class FusionConfig(EncoderConfig):
    """Sizes of the channel encoders and of what fuses them."""

    channels: tuple[str, ...] = ("C4", "E1", "ECG", "Chin")
    fused_width: int = 64
    fused_heads: int = 4
    fused_blocks: int = 2
    adapter_rank: int = 4  # 0 = encoders stay as they are
    adapter_alpha: float = 16.0
    adapter_dropout: float = 0.05


@dataclass(frozen=True)
class Config(FusionConfig):
    """Sizes of the whole network of the pre-training."""

    decoder_width: int = 32
    decoder_heads: int = 4
    decoder_blocks: int = 1
    projection: tuple[int, ...] = (64, 32)
    decoder_split: Literal["own", "upstream"] = "own"  # upstream: the tokens the public code reads


FUSED: dict[str, Any] = published_sizes(fused_width=512, fused_heads=8, fused_blocks=4)
_PUBLISHED: dict[str, Any] = FUSED | {
    "decoder_width": 256,
    "decoder_heads": 8,
    "decoder_blocks": 3,
    "projection": (512, 256),
}
PRESETS = {
    "paper": Config(**_PUBLISHED),  # one channel of each modality
    "paper-eeg": Config(**_PUBLISHED, channels=("C4", "C3")),  # the set of the published script
    "small": Config(),
}


class Fusion(nn.Module):
    """Channel encoders and the transformer over their frames."""

    positions: torch.Tensor

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        self.config = config
        width, n_frames = config.fused_width, config.n_frames
        self.encoders = nn.ModuleDict({name: NeuroNetEncoder(config) for name in config.channels})
        places = [f"transformer.blocks.{i}.attention.out" for i in range(config.n_blocks)]
        for encoder in self.encoders.values():
            adapt(
                encoder,
                places,
                rank=config.adapter_rank,
                alpha=config.adapter_alpha,
                dropout=config.adapter_dropout,
            )
        self.embeddings = nn.ModuleDict(
            {name: projection((config.width, width, width)) for name in config.channels}
        )
        self.modality_tokens = nn.ParameterDict(
            {name: nn.Parameter(torch.randn(n_frames, width) * 0.02) for name in config.channels}
        )
        self.register_buffer("positions", position_table(width, n_frames), persistent=False)
        self.transformer = Transformer(width, config.fused_heads, config.fused_blocks)
        initialise(self.embeddings, self.transformer)  # what was trained before is left alone

    def train(self, mode: bool = True) -> Fusion:
        """Keep the frozen encoders, batch norms above all, in evaluation mode."""
        super().train(mode)
        train_adapters_only(self.encoders, mode)
        return self

    def unimodal(
        self, signals: Signals, present: Present
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Encode every recorded epoch of every channel by itself.

        Returns
        -------
        dict
            {channel: tokens (n, 1 + F, D)} of the epochs that have it.
        bool tensor (C, N)
            Which of the N epochs have the channel; in the order of the dict.
        """
        names = known_channels(self.config.channels, signals)
        there = presence(signals, present, names).flatten(0, 1).T  # (C, N)
        tokens = {
            name: self._encode(name, signals[name].flatten(0, 1)[rows])
            for name, rows in zip(names, there, strict=True)
        }
        return tokens, there

    def _encode(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """Epochs (n, T) of a channel -> tokens (n, 1 + F, D)."""
        if len(x):
            return self.encoders[name](x)
        return x.new_zeros(0, 1 + self.config.n_frames, self.config.width)

    def placed(self, name: str, tokens: torch.Tensor) -> torch.Tensor:
        """Turn the tokens of a channel (n, 1 + F, D) into tokens of the fusion (n, F, D')."""
        if not len(tokens):
            return tokens.new_zeros(0, self.config.n_frames, self.config.fused_width)
        rows = self.embeddings[name](tokens.flatten(0, 1)).unflatten(0, tokens.shape[:2])
        return rows[:, 1:] + self.modality_tokens[name] + self.positions

    def fuse(self, tokens: list[torch.Tensor], there: torch.Tensor) -> torch.Tensor:
        """Let the tokens of all channels of an epoch see each other.

        Parameters
        ----------
        tokens : list of C tensors (n, k, D')
            Of the epochs that have the channel.
        there : bool tensor (C, N)

        Returns
        -------
        tensor (N, C, k, D')
            Zeros where an epoch lacks the channel.
        """
        n_channels, n_epochs = there.shape
        k, width = tokens[0].shape[1:]
        packed = torch.cat(tokens).new_zeros(n_epochs, n_channels, k, width)
        for column, (rows, own) in enumerate(zip(there, tokens, strict=True)):
            packed[rows, column] = own
        some = there.any(dim=0)
        if there.all():
            return self.transformer(packed.flatten(1, 2)).unflatten(1, (n_channels, k))
        seen = there.T[some].repeat_interleave(k, dim=1)[:, None, None]  # (n, 1, 1, C k)
        fused = torch.zeros_like(packed)
        fused[some] = self.transformer(packed[some].flatten(1, 2), seen).unflatten(
            1, (n_channels, k)
        )
        return fused * there.T[..., None, None]

    def read(self, signals: Signals, present: Present) -> torch.Tensor:
        """Return one vector per epoch (B, L, D'): the mean of its fused tokens, nothing hidden.

        An epoch without any channel is a vector of zeros.
        """
        shape = next(iter(signals.values())).shape[:2]
        tokens, there = self.unimodal(signals, present)
        fused = self.fuse([self.placed(name, own) for name, own in tokens.items()], there)
        return mean_of_present(fused, there).unflatten(0, shape)

    def embed(self, signals: Signals, present: Present, *, at_once: int = 64) -> torch.Tensor:
        """Return `read`, computed for few epochs at a time where no gradient is kept."""
        names = known_channels(self.config.channels, signals)
        there = presence(signals, present, names)
        shape = there.shape[:2]
        if torch.is_grad_enabled() or shape.numel() <= at_once:
            return self.read(signals, present)
        flat = {name: signals[name].flatten(0, 1)[:, None] for name in names}
        marks = {name: there[..., i].flatten()[:, None] for i, name in enumerate(names)}
        parts = [
            self.read(
                {name: x[first : first + at_once] for name, x in flat.items()},
                {name: x[first : first + at_once] for name, x in marks.items()},
            )
            for first in range(0, shape.numel(), at_once)
        ]
        return torch.cat(parts).view(*shape, -1)


def mean_of_present(fused: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """Return the mean token (N, D') of the channels that an epoch has; zeros without any."""
    return fused.mean(dim=2).sum(dim=1) / there.sum(dim=0).clamp(min=1)[:, None]


class ChannelDecoder(nn.Module):
    """Predicts the tokens of one channel's encoder."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.decoder_width
        self.blocks = Transformer(width, config.decoder_heads, config.decoder_blocks).blocks
        self.predict = nn.Linear(width, config.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, F, Dd) -> (n, F, Dd)."""
        for block in self.blocks:
            x = block(x)
        return x


class Decoders(nn.Module):
    """Decoders of all channels; they share all but their blocks and their last layer."""

    positions: torch.Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.decoder_width
        self.embed = nn.Linear(config.fused_width, width)
        self.mask_token = nn.Parameter(torch.randn(width) * 0.02)
        self.register_buffer("positions", position_table(width, config.n_frames), persistent=False)
        self.channels = nn.ModuleDict({name: ChannelDecoder(config) for name in config.channels})
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        initialise(self)

    def hidden(self, name: str, tokens: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
        """Fused tokens (n, k, D') that were seen -> vectors of all frames (n, F, Dd)."""
        x = with_mask_tokens(self.embed(tokens), place, self.mask_token) + self.positions
        return self.norm(self.channels[name](x))

    def predict(self, name: str, hidden: torch.Tensor) -> torch.Tensor:
        """Vectors of frames (..., Dd) -> the tokens they stand for (..., D)."""
        return self.channels[name].predict(hidden)  # type: ignore[operator]


@dataclass
class Pass:
    """A masked pass, step by step: per channel what it saw, what is hidden, what was predicted."""

    tokens: dict[str, torch.Tensor]  # (n, 1 + F, D) of the channel encoders
    there: torch.Tensor  # bool (C, N)
    maskings: dict[str, Masking]
    fused: torch.Tensor  # (N, C, k, D')


def published_fusion(state_dict: StateDict, prefix: str = "") -> dict[str, Any]:
    """Read the sizes that shapes tell; frames and heads are not."""
    start = f"{prefix}backbone_networks."
    found = dict.fromkeys(
        k.removeprefix(start).split(".")[0] for k in state_dict if k.startswith(start)
    )
    first = f"{start}{next(iter(found), '')}.base_model.model."
    fused = {k for k in state_dict if k.startswith(f"{prefix}multimodal_encoder_block.")}
    plain = {k.replace(".base_layer", ""): v for k, v in state_dict.items()}
    adapters = [v for k, v in state_dict.items() if k.startswith(first) and "attn.proj.lora_A" in k]
    return {
        **encoder_sizes(plain, first, first),
        "channels": tuple(PUBLISHED_CHANNELS.get(name, name) for name in found),
        "fused_width": len(state_dict[f"{prefix}multimodal_encoder_norm.weight"]),
        "fused_blocks": len({k.removeprefix(prefix).split(".")[1] for k in fused}),
        "adapter_rank": len(adapters[0]) if adapters else 0,
    }


def _published_config(state_dict: StateDict) -> dict[str, Any]:
    """Read the sizes of the fusion and its decoders."""
    sizes = published_fusion(state_dict)
    blocks = {k.split(".")[2] for k in state_dict if k.startswith("multimodal_decoder_block_dict.")}
    hidden = [state_dict[f"fusion_projector.{i}.weight"].shape[0] for i in (0, 3)]
    return sizes | {
        "decoder_width": len(state_dict["multimodal_decoder_norm.weight"]),
        "decoder_blocks": len(blocks),
        "projection": tuple(hidden),
    }


FUSION_NAMES = (
    *((rf"\.{published}\b", f".{ours}") for published, ours in PUBLISHED_CHANNELS.items()),
    (r"^fusion\.backbone_networks\.(\w+)\.base_model\.model\.", r"fusion.encoders.\1.encoder."),
    (r"\.base_layer\.", "."),
    (r"\.lora_A\.default\.weight$", ".down"),
    (r"\.lora_B\.default\.weight$", ".up"),
    *ENCODER_NAMES,
    (r"^fusion\.encoders\.(\w+)\.encoder\.", r"fusion.encoders.\1."),
    (r"^fusion\.backbone_embedded\.(\w+)\.2\.", r"fusion.embeddings.\1.1."),
    (r"^fusion\.backbone_embedded\.(\w+)\.5\.", r"fusion.embeddings.\1.3."),
    (r"^fusion\.backbone_embedded\.", "fusion.embeddings."),
    (r"^fusion\.modal_token_dict\.", "fusion.modality_tokens."),
    (r"^fusion\.multimodal_encoder_block\.", "fusion.transformer.blocks."),
    (r"^fusion\.multimodal_encoder_norm\.", "fusion.transformer.norm."),
    *BLOCK_NAMES,
)


@register("synthsleepnet")
class SynthSleepNet(nn.Module):
    """Masked prediction across channels, and contrast of the whole with each channel.

    Parameters
    ----------
    config : Config
        `PRESETS["paper"]` is the published size with one channel of each modality.

    Notes
    -----
    The published constructor draws the frozen encoders anew after loading them, and its decoders
    read tokens of other channels. Neither is done here; `decoder_split="upstream"` gives the
    published decoding for comparison.
    """

    published = Adapter(
        config=_published_config,
        constants=(r"cls_token", r"multimodal_(en|de)coder_pos_embed"),  # never trained
        renames=(
            (r"^mask_token$", "decoders.mask_token"),
            (r"^decoder_embed\.", "decoders.embed."),
            (r"^multimodal_decoder_norm\.", "decoders.norm."),
            (r"^multimodal_decoder_block_dict\.(\w+)\.", r"decoders.channels.\1.blocks."),
            (r"^multimodal_decoder_pred_dict\.(\w+)\.", r"decoders.channels.\1.predict."),
            (r"^backbone_projector_dict\.", "projections."),
            (r"^fusion_projector\.", "projection."),
            (r"^(backbone|modal_token|multimodal_encoder)", r"fusion.\1"),
            *FUSION_NAMES,
        ),
        tensor=without_batch_axis,
    )

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.fusion = Fusion(config)
        self.decoders = Decoders(config)
        self.projections = nn.ModuleDict(
            {name: projection((config.width, *config.projection)) for name in config.channels}
        )
        self.projection = projection((config.fused_width, *config.projection))
        initialise(self.projections, self.projection)

    @property
    def channels(self) -> dict[str, int]:
        """Channels it can read, with samples per epoch."""
        return dict.fromkeys(self.config.channels, self.config.samples)

    def take_encoder(self, channel: str, unimodal: NeuroNet) -> None:
        """Give a channel the encoder of a NeuroNet that was trained on its modality.

        Raises
        ------
        ValueError
            If that encoder has other sizes.
        """
        take_over(self.fusion.encoders[channel], unimodal.encoder, f"encoder of {channel}")

    def forward(
        self, signals: Signals, present: Present, *, mask_ratio: float, draw: Draw = torch.rand
    ) -> MaskedOutput:
        """Hide frames of every channel, each by its own draw, and predict them from all channels.

        Parameters
        ----------
        signals, present : {channel: (B, L, T)}, {channel: (B,) or (B, L)}
        mask_ratio : float
            Share of frames to hide.
        draw : callable
            Called for the noise (n, F) of one channel after the other.
        """
        done = self.masked(signals, present, mask_ratio=mask_ratio, draw=draw)
        guesses, wanted = [], []
        for column, (name, tokens) in enumerate(done.tokens.items()):
            if len(tokens):
                hidden = done.maskings[name].hidden
                frames = self.decoded(done, column, name)
                guesses.append(self.decoders.predict(name, frames[hidden]))
                wanted.append(tokens[:, 1:][hidden])
        return MaskedOutput([(torch.cat(guesses), torch.cat(wanted))], self.views(done))

    def masked(self, signals: Signals, present: Present, *, mask_ratio: float, draw: Draw) -> Pass:
        """Encode, hide, fuse."""
        tokens, there = self.fusion.unimodal(signals, present)
        maskings = {
            name: Masking.of(draw(len(own), self.config.n_frames).to(own.device), mask_ratio)
            for name, own in tokens.items()
        }
        kept = [maskings[name].pick(self.fusion.placed(name, own)) for name, own in tokens.items()]
        return Pass(tokens, there, maskings, self.fusion.fuse(kept, there))

    def decoded(self, done: Pass, column: int, name: str) -> torch.Tensor:
        """Return what the decoder of a channel makes of every frame, (n, F, Dd)."""
        seen = done.fused[done.there[column], column]  # (n, k, D')
        if self.config.decoder_split == "upstream":
            if not done.there.all():
                raise ValueError("decoder_split 'upstream' wants every channel in every epoch")
            every = done.fused.flatten(1, 2)
            count = (every.shape[1] - 1) // len(done.tokens)
            seen = every[:, column : column + count]
        return self.decoders.hidden(name, seen, done.maskings[name].place)

    def views(self, done: Pass) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Project the fused mean and each channel's mean, for the epochs that have the channel."""
        some = done.there.any(dim=0)
        if some.sum() < 2:
            return []
        whole = F.pad(done.fused.new_zeros(len(some), 0), (0, self.config.projection[-1]))
        whole[some] = self.projection(mean_of_present(done.fused, done.there)[some])
        return [
            (whole[rows], self.projections[name](tokens.mean(dim=1)))
            for (name, tokens), rows in zip(done.tokens.items(), done.there, strict=True)
            if len(tokens) > 1  # one epoch has nothing to be told apart from
        ]

    def embed(self, signals: Signals, present: Present) -> torch.Tensor:
        """Return one vector per epoch (B, L, D'): the mean of its fused tokens."""
        return self.fusion.embed(signals, present)
