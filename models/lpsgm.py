"""LPSGM: staging from any subset of nine derivations (Deng et al., medRxiv 2024.12.11.24318815).

One token per (epoch, derivation) from a two-branch CNN, one class token per epoch of the window,
a transformer over all tokens, a linear head on the class tokens. Derivations that are absent make
no tokens (the published code pads them and masks them: same output in eval mode, but in training
the padding enters its batch statistics).

Input: view `psg9c`, in standard deviations of the night, 100 Hz.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models import Present, Signals, StagerOutput, register
from models.layers import SelfAttention, presence
from models.published import Adapter, StateDict

CHANNELS = ("F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2", "Chin")  # order of the embedding
BRANCH_WIDTH = 256  # features that each branch of the epoch encoder gives
EPOCH_SAMPLES = 3000  # 30 s at 100 Hz

Architecture = Literal["cat_cls", "add_cls", "cat_avg", "none_cls"]


@dataclass(frozen=True)
class Config:
    """Sizes of LPSGM; the defaults are those of the released weights."""

    architecture: Architecture = "cat_cls"  # how tokens know their place, what the head reads
    channels: tuple[str, ...] = CHANNELS
    window: int = 20  # epochs
    n_blocks: int = 4
    n_heads: int = 8
    channel_width: int = 32  # of the derivation's embedding, cat_* only
    position_width: int = 64  # of the epoch's embedding, cat_* only
    encoder_dropout: float = 0.1
    dropout: float = 0.1
    attention_dropout: float = 0.1
    clamp: float = 10.0  # standard deviations
    n_classes: int = 5

    @property
    def concatenates(self) -> bool:
        """Whether the embeddings stand beside the features (cat_*) or are added to them."""
        return self.architecture.startswith("cat")

    @property
    def has_class_tokens(self) -> bool:
        """Whether the head reads class tokens (*_cls) or the mean over derivations (cat_avg)."""
        return self.architecture.endswith("_cls")

    @property
    def width(self) -> int:
        """Width D of a token."""
        beside = self.channel_width + self.position_width if self.concatenates else 0
        return EpochEncoder.width + beside


PRESETS = {
    "paper": Config(),  # section 'Implementation', and train.sh of the released code
    "small": Config(n_blocks=1),  # LPSGM-Small
}


class Branch(nn.Module):
    """One branch of the epoch encoder: four convolutions, two poolings, mean over time."""

    def __init__(
        self, stem: nn.Conv1d, kernel: int, pools: tuple[nn.MaxPool1d, ...], dropout: float
    ) -> None:
        super().__init__()
        widths = (stem.out_channels, 128, 128, BRANCH_WIDTH)
        convs = [
            nn.Conv1d(before, after, kernel, padding=kernel // 2)
            for before, after in zip(widths, widths[1:], strict=False)
        ]
        self.layers = nn.ModuleList(
            nn.Sequential(conv, nn.BatchNorm1d(conv.out_channels)) for conv in (stem, *convs)
        )
        self.relu = nn.ReLU()
        self.pools = nn.ModuleList(pools)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn epochs (N, 1, T) into features (N, 256)."""
        stem, *layers = self.layers
        x = self.dropout(self.pools[0](self.relu(stem(x))))  # (N, 64, T')
        for layer in layers:
            x = self.relu(layer(x))
        return self.pools[1](x).mean(dim=-1)


class EpochEncoder(nn.Module):
    """Two-branch CNN on one epoch of one derivation: fine detail and slow waves side by side."""

    width = 2 * BRANCH_WIDTH

    def __init__(self, dropout: float, clamp: float) -> None:
        super().__init__()
        self.clamp = clamp
        self.fine = Branch(
            nn.Conv1d(1, 64, 49, stride=6, padding=24),
            kernel=9,
            pools=(nn.MaxPool1d(8, padding=4), nn.MaxPool1d(4, padding=2)),
            dropout=dropout,
        )
        self.coarse = Branch(
            nn.Conv1d(1, 64, 400, stride=50),
            kernel=7,
            pools=(nn.MaxPool1d(4), nn.MaxPool1d(2)),
            dropout=dropout,
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn epochs (N, T) into features (N, 512)."""
        at_once = epochs_at_once(x.device)
        if len(x) > at_once and not (self.training or torch.is_grad_enabled()):
            return torch.cat([self(part) for part in x.split(at_once)])
        x = x.clamp(-self.clamp, self.clamp)[:, None]
        return torch.cat([self.fine(x), self.coarse(x)], dim=-1)

    def folded(self) -> EpochEncoder:
        """Return a copy for inference whose norms are folded into the convolutions."""
        copy = deepcopy(self)
        for branch in (copy.fine, copy.coarse):
            layers = cast("list[nn.Sequential]", list(branch.layers))
            branch.layers = nn.ModuleList(fuse_conv_bn_eval(*layer) for layer in layers)
        return copy


class Block(nn.Module):
    """Pre-norm transformer block; the hidden layer of its MLP is as wide as the tokens."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.width
        self.norm_1 = nn.LayerNorm(width)
        self.attention = SelfAttention(width, config.n_heads, config.attention_dropout)
        self.norm_2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, width)
        self.down = nn.Linear(width, width)
        self.dropout = nn.Dropout(config.dropout)
        for linear in (self.up, self.down):  # as published; the rest is PyTorch's default
            nn.init.xavier_uniform_(linear.weight)
            nn.init.normal_(linear.bias, std=1e-6)

    def forward(self, x: torch.Tensor, allowed: torch.Tensor | None = None) -> torch.Tensor:
        """Return the new tokens (B, S, D); `allowed` (B, 1, 1, S) is False where nothing is."""
        return self.finish(x, self.attention(self.norm_1(x), allowed))

    def finish(self, x: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        """Add what attention found, then the MLP; both (B, S, D)."""
        x = x + self.dropout(attended)
        hidden = self.dropout(F.gelu(self.up(self.norm_2(x))))
        return x + self.dropout(self.down(hidden))


class SequenceEncoder(nn.Module):
    """Transformer over the tokens of a window."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        beside, width = config.concatenates, config.width
        position_width = config.position_width if beside else width
        channel_width = config.channel_width if beside else width
        class_width = width - position_width if beside else width
        self.channel_embedding = nn.Parameter(torch.randn(len(config.channels), channel_width))
        self.position_embedding = nn.Parameter(torch.randn(config.window, position_width))
        self.class_tokens = nn.Parameter(torch.randn(config.window, class_width))
        # Two variants carry, as published, an embedding that they never read.
        self.channel_embedding.requires_grad_(config.architecture != "none_cls")
        self.class_tokens.requires_grad_(config.has_class_tokens)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_blocks))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: torch.Tensor, allowed: torch.Tensor | None) -> torch.Tensor:
        """Return the tokens (B, S, D) after all blocks and the final norm."""
        x = self.dropout(tokens)
        for block in self.blocks:
            x = block(x, allowed)
        return self.norm(x)

    def channel_part(self, features: torch.Tensor, channel: torch.Tensor) -> torch.Tensor:
        """Return what a data token owes to its epoch and derivation, (..., D).

        `features` are (..., 512), `channel` the positions in `config.channels`, (...) or broadcast.
        A data token is this plus the `position_part` of its epoch.
        """
        if self.config.architecture == "none_cls":
            return features
        embedding = self.channel_embedding[channel].expand(*features.shape[:-1], -1)
        if not self.config.concatenates:
            return features + embedding
        return F.pad(torch.cat([features, embedding], dim=-1), (0, self.config.position_width))

    def position_part(self) -> torch.Tensor:
        """Return what a data token owes to the position of its epoch in the window, (L, D)."""
        if self.config.architecture == "none_cls":
            return torch.zeros_like(self.position_embedding)
        before = self.config.width - self.position_embedding.shape[-1]
        return F.pad(self.position_embedding, (before, 0))

    def placed_class_tokens(self) -> torch.Tensor:
        """Return the class tokens with their position, (L, D); none, (0, D), for cat_avg."""
        if not self.config.has_class_tokens:
            return self.class_tokens.new_zeros(0, self.config.width)
        if self.config.concatenates:
            return torch.cat([self.class_tokens, self.position_embedding], dim=-1)
        return self.class_tokens + self.position_embedding


def epochs_at_once(device: torch.device) -> int:
    """Return how many epochs to encode together in inference.

    On a CPU few: their activations then stay in the cache (0.8 against 1.0 ms each, measured).
    """
    return 16 if device.type == "cpu" else 4096


@dataclass
class Tokens:
    """Tokens of a batch of windows: class tokens first, then what was recorded, padded."""

    x: torch.Tensor  # (B, S, D)
    allowed: torch.Tensor | None  # (B, 1, 1, S), False where nothing is; None: no padding
    epoch: torch.Tensor  # (B, S') epoch of each data token, L where nothing is


def _published_sizes(state_dict: StateDict) -> dict[str, object]:
    """Read the sizes from published weights.

    Equal shapes hide two choices, which are then the caller's: cat_avg is taken for cat_cls and
    none_cls for add_cls.
    """
    n_channels, channel_width = state_dict["seq_encoder.spatial_embedding"].shape
    window, position_width = state_dict["seq_encoder.temporal_embedding"].shape
    sizes: dict[str, object] = {
        "architecture": "add_cls" if position_width == EpochEncoder.width else "cat_cls",
        "channels": CHANNELS[:n_channels],
        "window": window,
        "n_blocks": sum(key.endswith("in_proj_weight") for key in state_dict),
        "n_classes": next(len(v) for k, v in state_dict.items() if k in HEAD_WEIGHTS),
    }
    if sizes["architecture"] == "cat_cls":
        sizes |= {"channel_width": channel_width, "position_width": position_width}
    return sizes


HEAD_WEIGHTS = ("classifier.ln.weight", "classifier.weight")  # of the stager, of the diagnosis
PUBLISHED = Adapter(
    config=_published_sizes,
    renames=(
        (r"^epoch_encoder\.", "encoder."),
        (r"\.encoder_branch1\.", ".fine."),
        (r"\.encoder_branch2\.", ".coarse."),
        *((rf"(fine|coarse)\.{3 * i + 2 * (i > 0)}\.", rf"\1.layers.{i}.0.") for i in range(4)),
        *((rf"(fine|coarse)\.{3 * i + 2 * (i > 0) + 1}\.", rf"\1.layers.{i}.1.") for i in range(4)),
        (r"^seq_encoder\.", "sequence."),
        (r"\.spatial_embedding$", ".channel_embedding"),
        (r"\.temporal_embedding$", ".position_embedding"),
        (r"\.cls_token$", ".class_tokens"),
        (r"^sequence\.ln\.", "sequence.norm."),
        (r"\.transformer_blocks\.", ".blocks."),
        (r"\.ln_([12])\.", r".norm_\1."),
        (r"\.self_attention\.in_proj_", ".attention.qkv."),
        (r"\.self_attention\.out_proj\.", ".attention.out."),
        (r"\.mlp\.linear_1\.", ".up."),
        (r"\.mlp\.linear_2\.", ".down."),
        (r"^classifier\.(ln\.)?", "head."),
    ),
)


class Backbone(nn.Module):
    """Epoch encoder and sequence encoder: what the stager and the diagnosis share.

    `finetune_parts` names what each mode of fine-tuning trains, by the beginnings of the names of
    parameters.
    """

    finetune_parts: ClassVar[dict[str, tuple[str, ...]]] = {
        "all": ("",),
        "sequence": ("sequence.", "head."),
        "epoch": ("encoder.", "head."),
        "head": ("head.",),
    }

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = EpochEncoder(config.encoder_dropout, config.clamp)
        self.sequence = SequenceEncoder(config)
        self.head = nn.Linear(config.width, config.n_classes)

    @property
    def channels(self) -> dict[str, int]:
        """Derivations it can read, with samples per epoch."""
        return dict.fromkeys(self.config.channels, EPOCH_SAMPLES)

    @property
    def window(self) -> int:
        """Epochs it takes at once."""
        return self.config.window

    def features(self, signals: Signals, present: Present) -> torch.Tensor:
        """Return one feature vector per epoch of the window, (B, L, D).

        Raises
        ------
        ValueError
            If a window holds no derivation at all, or its length is not that of the weights.
        """
        return self.read(self.tokenise(signals, present))

    def read(self, tokens: Tokens) -> torch.Tensor:
        """Run the transformer over tokens; return one vector per epoch of the window, (B, L, D)."""
        x = self.sequence(tokens.x, tokens.allowed)
        if self.config.has_class_tokens:
            return x[:, : self.window]
        return _mean_by_epoch(x, tokens.epoch, self.window)

    def tokenise(self, signals: Signals, present: Present) -> Tokens:
        """Encode what was recorded, and only that, into tokens."""
        channels = [name for name in self.config.channels if name in signals]
        if not channels:
            wanted = ", ".join(self.config.channels)
            raise ValueError(f"none of {wanted} among the signals: {', '.join(signals) or 'none'}")
        mask = presence(signals, present, channels)  # (B, L, C)
        self._check(mask)
        x = torch.stack([signals[name] for name in channels], dim=2)  # (B, L, C, T)
        index = torch.tensor([self.config.channels.index(name) for name in channels])
        return self.placed(self.encoder(x[mask]), mask, index.to(x.device))

    def placed(self, features: torch.Tensor, mask: torch.Tensor, index: torch.Tensor) -> Tokens:
        """Place what the encoder made of recorded epochs as the tokens of their windows.

        `features` (N, 512) belong to the N places where `mask` (B, L, C) is True, in their order;
        `index` (C,) says which channels of the model the columns are.
        """
        sample, epoch, column = mask.nonzero(as_tuple=True)  # (N,) each, epoch by epoch
        data = self.sequence.channel_part(features, index[column])
        data = data + self.sequence.position_part()[epoch]  # (N, D)
        count = mask.flatten(1).sum(dim=1)
        place = (mask.flatten(1).cumsum(dim=1) - 1)[mask.flatten(1)]
        packed = data.new_zeros(len(mask), int(count.max()), self.config.width)
        epochs = epoch.new_full(packed.shape[:2], self.window)
        packed[sample, place], epochs[sample, place] = data, epoch
        classes = self.sequence.placed_class_tokens().expand(len(mask), -1, -1)
        allowed = F.pad(epochs < self.window, (classes.shape[1], 0), value=True)
        x = torch.cat([classes, packed], dim=1)
        return Tokens(x, None if allowed.all() else allowed[:, None, None], epochs)

    def _check(self, mask: torch.Tensor) -> None:
        """Refuse windows of another length and windows without any derivation."""
        if mask.shape[1] != self.window:
            raise ValueError(f"windows of {mask.shape[1]} epochs, the weights want {self.window}")
        empty = (~mask.flatten(1).any(dim=1)).nonzero().flatten().tolist()
        if empty:
            raise ValueError(f"no derivation is present in window(s) {empty} of the batch")


@register("lpsgm")
class LPSGM(Backbone):
    """Stager for 1-9 of F3 F4 C3 C4 O1 O2 E1 E2 Chin.

    Parameters
    ----------
    config : Config
        `PRESETS["paper"]` is the published size: 4 blocks, windows of 20 epochs.

    Notes
    -----
    Input in standard deviations of the night (view `psg9c`), 100 Hz; clamped to +-10.
    """

    published = PUBLISHED

    def __init__(self, config: Config) -> None:
        super().__init__(config)

    def forward(self, signals: Signals, present: Present) -> StagerOutput:
        """Return logits (B, L, 5) in the order W N1 N2 N3 R and features (B, L, D).

        Raises
        ------
        ValueError
            If a window holds no derivation at all, or its length is not that of the weights.
        """
        features = self.features(signals, present)
        return StagerOutput(self.head(features), features)

    @torch.inference_mode()
    def night_proba(self, signals: Mapping, present: Mapping | None = None) -> torch.Tensor:
        """Stage a whole night: the mean softmax of all windows that contain an epoch.

        Parameters
        ----------
        signals : {channel: array or tensor (E, T)}
            As in `forward`; a night shorter than a window is padded with epochs nobody recorded.
        present : {channel: bool (E,)}, optional
            Where each channel was recorded; a channel that is not named is there throughout.

        Returns
        -------
        float32 tensor (E, 5)
            Hypnodensity; NaN where no window around the epoch holds any derivation.

        Notes
        -----
        Same result as `forward` on every stride-1 window, in about a seventh of the arithmetic:
        see `models.lpsgm_night`.
        """
        from models.lpsgm_night import night_proba

        return night_proba(self, signals, present or {})


@register("lpsgm-pooled")
class LPSGMPooled(Backbone):
    """Diagnosis of a window: LPSGM's features averaged over its epochs, one linear layer."""

    published = PUBLISHED

    def __init__(self, config: Config) -> None:
        super().__init__(config)

    def forward(self, signals: Signals, present: Present) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (B, K) and the pooled features (B, D)."""
        pooled = self.features(signals, present).mean(dim=1)
        return self.head(pooled), pooled


def _mean_by_epoch(x: torch.Tensor, epoch: torch.Tensor, n_epochs: int) -> torch.Tensor:
    """Average data tokens (B, S, D) over each epoch's derivations: (B, L, D), 0 where none."""
    sums = x.new_zeros(len(x), n_epochs + 1, x.shape[-1])  # one row more for the padding
    sums.scatter_add_(1, epoch[..., None].expand_as(x), x)
    counts = F.one_hot(epoch, n_epochs + 1).sum(dim=1)  # (B, L + 1)
    return (sums / counts.clamp(min=1)[..., None])[:, :-1]
