"""wav2sleep: staging from any subset of heart, breath and eye signals (Carter and Tarassenko 2024).

Each signal of a whole night is turned into one vector per epoch by a convolutional encoder of its
own; a small transformer mixes the vectors of the signals that are there, epoch by epoch; dilated
convolutions mix the epochs of the night. Any number of epochs, any subset of the signals.

Two releases differ in their arithmetic: the paper's (ML4H 2024, PMLR 259:186-202) halves time by
max pooling, the current one (2026) by convolutions of stride 2. Their tensors have partly the same
names and shapes; `models.published.load` tells them apart and refuses to mix them.

Deviations: an absent signal makes no token, and absent rows are not encoded at all (the published
code encodes and then masks them; same output). Epochs of a signal that were not recorded take no
part in its convolutions and statistics, and epochs before the first and behind the last recorded
one lie outside the night: padding does not change the logits of a short night.

Input: views `cr` and `eog`, in standard deviations of the night.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from models import Present, Signals, StagerOutput, register
from models.layers import SelfAttention, presence
from models.wav2sleep_layers import (
    ACTIVATIONS,
    PAPER_WIDTHS,
    SAMPLES,
    STEPS,
    TIMELESS,
    Activation,
    DilatedBlock,
    HalvingBlock,
    Norm,
    Release,
)
from models.wav2sleep_published import ADAPTER


@dataclass(frozen=True)
class Config:
    """Sizes of wav2sleep; the defaults are those of the released cardio-respiratory weights."""

    channels: tuple[str, ...] = ("ABD", "THX", "ECG", "PPG")
    samples: tuple[int, ...] = ()  # per epoch, powers of 2; () = the published rates
    encoders: tuple[str, ...] = ()  # encoder of each channel, may be shared; () = one each
    release: Release = "current"
    width: int = 128  # of the vector of an epoch
    activation: Activation = "gelu"
    norm: Norm | Literal["auto"] = "instance"  # auto: instance in two blocks, layer in the others
    # no: the whole night is seen. epochs: each epoch is encoded alone and sees only those before
    # it. convolutions: the encoder's convolutions look back; needs a norm without statistics over
    # time, and the last 7.5 s of an epoch only reach the next one.
    causal: Literal["no", "epochs", "convolutions"] = "no"
    as_published: bool = False  # allow what the published code calls causal although it is not
    initial_channels: int = 16  # of the encoder: doubled every second block
    max_channels: int = 128
    size: Literal["large", "small"] = "large"  # of the paper release
    output_norm: bool = False
    residual: bool = True
    embed_signals: bool = False  # add a learned vector of the signal to its features
    n_blocks: int = 2  # of the transformer that mixes the signals of an epoch
    n_heads: int = 8
    feedforward: int = 512
    n_registers: int = 0  # tokens beside the one that is read
    mixer_activation: Activation = "gelu"
    dropout: float = 0.1  # in both mixers
    n_sequence_blocks: int = 2
    n_dilations: int = 5  # 1, 2, 4, ... epochs
    kernel: int = 5
    sequence_activation: Activation = "gelu"
    sequence_norm: Norm = "layer"
    recompute: bool = False  # encoder blocks again in the backward pass: a third of the memory
    n_classes: int = 4

    def __post_init__(self) -> None:
        for name, given in (("samples", self.samples), ("encoders", self.encoders)):
            if given and len(given) != len(self.channels):
                raise ValueError(f"{len(given)} {name} for {len(self.channels)} channels")
        unknown = [c for c in self.channels if c not in SAMPLES]
        if unknown and not self.samples:
            raise ValueError(f"no published rate of {', '.join(unknown)}: give `samples`")
        for n_samples in self.samples_per_epoch.values():
            if n_samples < 2 * STEPS or n_samples & (n_samples - 1):
                raise ValueError(f"{n_samples} samples per epoch: want a power of 2, 8 or more")
        self._check_causal()

    def _check_causal(self) -> None:
        """Refuse networks that are called causal and see the future."""
        if self.causal == "no" or self.as_published:
            return
        if self.sequence_norm not in TIMELESS:
            raise ValueError(f"sequence_norm {self.sequence_norm!r} sees the whole night")
        if self.causal == "convolutions" and self.norm not in TIMELESS:
            raise ValueError(
                f"norm {self.norm!r} takes its statistics from the whole night, so the network "
                f"would see the future: causal='epochs', or norm one of {', '.join(TIMELESS)}"
            )

    @property
    def samples_per_epoch(self) -> dict[str, int]:
        """Samples per epoch of each channel."""
        samples = self.samples or [SAMPLES[channel] for channel in self.channels]
        return dict(zip(self.channels, samples, strict=True))

    @property
    def encoder_of(self) -> dict[str, str]:
        """Name of the encoder of each channel."""
        return dict(zip(self.channels, self.encoders or self.channels, strict=True))


_EOG = {"channels": ("E1", "E2"), "n_classes": 5}

PRESETS = {
    "released": Config(),
    "released-eog": Config(**_EOG),  # type: ignore[arg-type]
    "current": Config(n_dilations=6, kernel=7),
    "eog": Config(**_EOG, n_dilations=6, kernel=7),  # type: ignore[arg-type]
    "causal": Config(causal="epochs", n_dilations=6, kernel=7),
    "causal-convolutions": Config(causal="convolutions", norm="layer", n_dilations=6, kernel=7),
    "shared": Config(
        encoders=("RESP", "RESP", "ECG", "PPG"), embed_signals=True, n_dilations=6, kernel=7
    ),
    "paper": Config(release="paper", n_dilations=6, kernel=7),
    "paper-small": Config(release="paper", size="small", n_dilations=6, kernel=7),
}


def encoder_widths(config: Config, n_samples: int) -> tuple[int, ...]:
    """Return the channels of each block of an encoder of `n_samples` per epoch."""
    n_blocks = int(math.log2(n_samples // STEPS))
    if config.release == "paper":
        if (config.size, n_samples) not in PAPER_WIDTHS:
            raise ValueError(f"the paper release has no encoder of {n_samples} samples per epoch")
        return PAPER_WIDTHS[config.size, n_samples]
    return tuple(
        min(config.initial_channels * 2 ** (i // 2), config.max_channels) for i in range(n_blocks)
    )


class SignalEncoder(nn.Module):
    """One signal of a night -> one vector per epoch.

    Parameters
    ----------
    config : Config
    n_samples : int
        Per epoch, a power of 2; one block halves them until 4 are left.
    """

    def __init__(self, config: Config, n_samples: int) -> None:
        super().__init__()
        self.n_samples, self.recompute = n_samples, config.recompute
        self.alone = config.causal == "epochs"
        widths = encoder_widths(config, n_samples)
        self.cnn = nn.ModuleList(
            HalvingBlock(
                before,
                after,
                pool="stride" if config.release == "current" else "max",
                residual=config.residual,
                norm=("instance" if i < 2 else "layer") if config.norm == "auto" else config.norm,
                activation=config.activation,
                release=config.release,
                instance_eps=1e-2 if config.release == "current" else 1e-5,
                causal=config.causal == "convolutions",
            )
            for i, (before, after) in enumerate(zip((1, *widths), widths, strict=False))
        )
        self.linear = nn.Linear(STEPS * widths[-1], config.width)
        self.activation = ACTIVATIONS[config.activation]
        self.output_norm = nn.LayerNorm(config.width) if config.output_norm else nn.Identity()

    def forward(self, x: torch.Tensor, recorded: torch.Tensor | None = None) -> torch.Tensor:
        """Encode epochs (N, S, T), recorded where `recorded` (N, S), as (N, S, D).

        What stands at other places is not looked at; their vectors mean nothing.
        """
        if recorded is not None and recorded.all():
            recorded = None
        if self.alone:
            return self._each_alone(x, recorded)
        there = None if recorded is None else recorded[:, None].to(x.dtype)
        if recorded is not None:
            x = x.masked_fill(~recorded[..., None], 0)
        return self.epochs(self.convolve(x.flatten(1)[:, None], there))

    def convolve(self, x: torch.Tensor, recorded: torch.Tensor | None) -> torch.Tensor:
        """Run the blocks: (N, 1, S T) -> (N, C, 4 S)."""
        for block in self.cnn:
            if self.recompute and self.training:
                x = checkpoint(block, x, recorded, use_reentrant=False)
            else:
                x = block(x, recorded)
        return x

    def epochs(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, 4 S) -> (N, S, D); the four steps of an epoch side by side."""
        steps = x.mT.unflatten(1, (-1, STEPS)).flatten(2)  # (N, S, 4 C)
        return self.output_norm(self.activation(self.linear(steps)))

    def _each_alone(self, x: torch.Tensor, recorded: torch.Tensor | None) -> torch.Tensor:
        """Encode every recorded epoch as if it were a night of its own."""
        rows = x.flatten(0, 1) if recorded is None else x[recorded]  # (M, T)
        encoded = self.epochs(self.convolve(rows[:, None], None))[:, 0]  # (M, D)
        if recorded is None:
            return encoded.unflatten(0, x.shape[:2])
        out = encoded.new_zeros(*x.shape[:2], encoded.shape[-1])
        out[recorded] = encoded
        return out


class MixerBlock(nn.Module):
    """Pre-norm transformer block over the tokens of one epoch."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.width
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = SelfAttention(width, config.n_heads, config.dropout)
        self.linear1 = nn.Linear(width, config.feedforward)
        self.linear2 = nn.Linear(config.feedforward, width)
        self.activation = ACTIVATIONS[config.mixer_activation]
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: torch.Tensor, allowed: torch.Tensor | None) -> torch.Tensor:
        """(M, tokens, D) -> the same shape."""
        return self.finish(x, self.attention(self.norm1(x), allowed))

    def first(self, x: torch.Tensor, allowed: torch.Tensor | None) -> torch.Tensor:
        """Return the first token alone after the block: (M, tokens, D) -> (M, 1, D)."""
        q, k, v = self.attention.qkv.weight.chunk(3)
        q_bias, k_bias, v_bias = self.attention.qkv.bias.chunk(3)
        normed = self.norm1(x)
        asked = F.linear(normed[:, :1], q, q_bias)
        keys, values = F.linear(normed, k, k_bias), F.linear(normed, v, v_bias)
        return self.finish(x[:, :1], self.attention.mix(asked, keys, values, allowed))

    def finish(self, x: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """Add what was seen, then the feed-forward part."""
        x = x + self.dropout(seen)
        hidden = self.dropout(self.activation(self.linear1(self.norm2(x))))
        return x + self.dropout(self.linear2(hidden))


class EpochMixer(nn.Module):
    """The vectors of the signals of an epoch -> one vector, read from a token of its own.

    The tokens bear no place, so the order of the signals does not matter.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.tokens = nn.Parameter(torch.randn(1 + config.n_registers, config.width))
        self.blocks = nn.ModuleList(MixerBlock(config) for _ in range(config.n_blocks))

    def forward(self, features: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Mix features (B, L, C, D), which are there where `there` (B, L, C), into (B, L, D)."""
        signals = features.flatten(0, 1).masked_fill(~there.flatten(0, 1)[..., None], 0)
        tokens = torch.cat([self.tokens.expand(len(signals), -1, -1), signals], dim=1)
        allowed = None
        if not there.all():
            seen = F.pad(there.flatten(0, 1), (len(self.tokens), 0), value=True)
            allowed = seen[:, None, None]  # (B L, 1, 1, tokens)
        *before, last = self.blocks
        for block in before:
            tokens = block(tokens, allowed)
        return last.first(tokens, allowed)[:, 0].unflatten(0, features.shape[:2])  # type: ignore[operator]


class SequenceMixer(nn.Module):
    """Dilated convolutions over the epochs of a night."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.dilated_convs = nn.ModuleList(
            DilatedBlock(
                config.width,
                kernel=config.kernel,
                n_dilations=config.n_dilations,
                dropout=config.dropout,
                activation=config.sequence_activation,
                norm=config.sequence_norm,
                release=config.release,
                causal=config.causal != "no",
            )
            for _ in range(config.n_sequence_blocks)
        )

    def forward(self, x: torch.Tensor, inside: torch.Tensor | None = None) -> torch.Tensor:
        """(B, L, D) -> the same shape; epochs that are not `inside` (B, L) are no epochs."""
        recorded = None if inside is None else inside[:, None].to(x.dtype)
        y = x.mT if recorded is None else x.mT * recorded
        for block in self.dilated_convs:
            y = block(y, recorded)
        return y.mT


@register("wav2sleep")
class Wav2Sleep(nn.Module):
    """Stager for any subset of ABD THX ECG PPG, or of both EOGs.

    Parameters
    ----------
    config : Config
        `PRESETS["released"]` and `["released-eog"]` fit the public weights, `["paper"]` the
        article's.
    """

    window = None  # any number of epochs
    published = ADAPTER
    # what is tuned to a few nights: everything behind the vectors of the epochs
    finetune_parts: ClassVar = {
        "head": ("classifier.",),
        "sequence": ("sequence_mixer.", "classifier."),
    }

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        rates: dict[str, int] = {}
        for channel, encoder in config.encoder_of.items():
            n_samples = config.samples_per_epoch[channel]
            if rates.setdefault(encoder, n_samples) != n_samples:
                raise ValueError(
                    f"encoder {encoder!r} is shared by channels of {rates[encoder]} and of "
                    f"{n_samples} samples per epoch"
                )
        self.encoders = nn.ModuleDict({name: SignalEncoder(config, n) for name, n in rates.items()})
        self.embedding = (  # a row for each channel, sorted by name
            nn.Parameter(torch.randn(len(config.channels), config.width))
            if config.embed_signals
            else None
        )
        self.epoch_mixer = EpochMixer(config)
        self.sequence_mixer = SequenceMixer(config)
        self.classifier = nn.Linear(config.width, config.n_classes)

    @property
    def channels(self) -> dict[str, int]:
        """Channels it reads, with samples per epoch."""
        return self.config.samples_per_epoch

    def forward(self, signals: Signals, present: Present) -> StagerOutput:
        """Return logits (B, L, K) in the order W L D R, or W N1 N2 N3 R, and features (B, L, D).

        Parameters
        ----------
        signals : {channel: (B, L, T)}
            Any of the model's channels; others are not looked at.
        present : {channel: (B,) or (B, L) bool}
            Where each was recorded; one that is not named was recorded throughout.

        Raises
        ------
        ValueError
            If none of the channels is given.

        Notes
        -----
        A night of which nothing was recorded gets finite logits that say nothing of it.
        """
        known = known_channels(self.config, signals)
        there = presence(signals, present, known)  # (B, L, C)
        features = [self.encode(name, signals[name], there[..., i]) for i, name in enumerate(known)]
        mixed = self.epoch_mixer(torch.stack(features, dim=2), there)
        if self.training:
            mixed = mixed + self._nothing_of_absent(known, there)
        return self.stage(mixed, self.inside(there))

    def encode(self, name: str, signal: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Encode one channel (B, L, T), recorded where `there` (B, L), as (B, L, D).

        Rows without any of it are left out.
        """
        encoder, rows = self.encoders[self.config.encoder_of[name]], there.any(dim=1)
        features = signal.new_zeros(*signal.shape[:2], self.config.width)
        if rows.any():
            encoded = encoder(signal[rows], there[rows])
            features = features.to(encoded.dtype).index_put((rows,), encoded)
        return features if self.embedding is None else features + self.embedded(name)

    def embedded(self, name: str) -> torch.Tensor:
        """Return the learned vector of a channel (D,)."""
        assert self.embedding is not None
        return self.embedding[sorted(self.config.channels).index(name)]

    def inside(self, there: torch.Tensor) -> torch.Tensor | None:
        """Return which epochs lie in the night, bool (B, L), from (B, L, C); None for all.

        A causal model cannot know where the night ends, and needs not: nothing there is seen.
        """
        recorded = there.any(dim=-1)
        if recorded.all() or self.config.causal != "no":
            return None
        begun = recorded.cumsum(dim=1) > 0
        unfinished = recorded.flip(1).cumsum(dim=1).flip(1) > 0
        return (begun & unfinished) | ~recorded.any(dim=1, keepdim=True)

    def stage(self, mixed: torch.Tensor, inside: torch.Tensor | None) -> StagerOutput:
        """Stage the epochs of nights from their vectors (B, L, D)."""
        features = self.sequence_mixer(mixed, inside)
        return StagerOutput(self.classifier(features), features)

    def _nothing_of_absent(self, known: list[str], there: torch.Tensor) -> torch.Tensor | float:
        """Return 0, to which every encoder without a signal in this batch contributes.

        Distributed training waits for a gradient of each parameter.
        """
        used = {self.config.encoder_of[c] for i, c in enumerate(known) if there[..., i].any()}
        idle = [encoder for name, encoder in self.encoders.items() if name not in used]
        return sum((p.sum() * 0 for encoder in idle for p in encoder.parameters()), 0.0)

    @torch.inference_mode()
    def night_proba(self, signals: Mapping, present: Mapping | None = None) -> torch.Tensor:
        """Stage a whole night of any length.

        Parameters
        ----------
        signals : {channel: array or tensor (E, T)}
        present : {channel: bool (E,)}, optional
            Where each channel was recorded; a channel that is not named is there throughout.

        Returns
        -------
        float32 tensor (E, K)
            Hypnodensity.

        Raises
        ------
        ValueError
            If nothing of the model's channels was recorded.
        """
        from models.wav2sleep_night import night_logits

        return night_logits(self, signals, present or {}).softmax(dim=-1)


def known_channels(config: Config, signals: Mapping) -> list[str]:
    """Return the channels of the model among `signals`; ValueError if there is none."""
    known = [name for name in config.channels if name in signals]
    if not known:
        wanted, given = ", ".join(config.channels), ", ".join(signals) or "none"
        raise ValueError(f"none of {wanted} among the signals: {given}")
    return known
