"""SleepGPT's hierarchical transformer: a diagnosis from the hypnogram of a whole night.

A night is cut into segments of 60 epochs. The stage language model reads each segment; what it
holds at the segment's last scored epoch stands for the segment. A transformer over the segments, or
an LSTM, turns them into the classes of the night. A third classifier, used by no published task,
reads one segment alone.

Yu et al., medRxiv 2024.10.26.24316166.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from models import register
from models.published import Adapter, StateDict
from models.sleepgpt import Config as LanguageConfig
from models.sleepgpt import StageLanguageModel, published_layout, published_sizes

TIMESCALE = 10_000.0  # of the sine table (Vaswani et al. 2017)


@dataclass(frozen=True)
class SegmentConfig(LanguageConfig):
    """Sizes of the language model inside, and the number of classes."""

    n_positions: int = 60  # epochs of a segment
    n_classes: int = 2
    # What stands for a segment: its last scored epoch, as published, or the mean of all of them
    segment_readout: Literal["last", "mean"] = "last"


@dataclass(frozen=True)
class HTNConfig(SegmentConfig):
    """Sizes of the transformer over segments."""

    segment_width: int = 192
    segment_layers: int = 1
    segment_heads: int = 6
    segment_dropout: float = 0.0
    max_segments: int = 512
    mlp_ratio: float = 4.0  # times the width of the language model, as published, not of a segment
    readout: Literal["token", "mean"] = "token"  # token: of the whole night, as published


@dataclass(frozen=True)
class HTNLSTMConfig(SegmentConfig):
    """Sizes of the LSTM over segments."""

    segment_width: int = 192
    segment_layers: int = 1
    segment_dropout: float = 0.0
    bidirectional: bool = True
    readout: Literal["last", "mean"] = "last"  # last: at the last segment with a stage


PRESETS = {"paper": HTNConfig(), "paper-lstm": HTNLSTMConfig(), "paper-segment": SegmentConfig()}


@dataclass
class NightClasses:
    """Logits (B, classes) of nights, and where the network looked.

    `attention` holds one map (B, S + 1, S + 1) per layer, averaged over the heads: row and column 0
    belong to the night as a whole. Rows of segments without a scored epoch mean nothing.
    """

    logits: torch.Tensor
    attention: list[torch.Tensor]


def _language_config(config: SegmentConfig) -> LanguageConfig:
    """Return the sizes of the language model inside."""
    own = {field.name: getattr(config, field.name) for field in fields(LanguageConfig)}
    return LanguageConfig(**own)


def _published_language(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Projections of the language model alone are stored (in, out)."""
    return published_layout(name, tensor) if name.startswith("language.") else tensor


def _adapter(config: Any, *renames: tuple[str, str]) -> Adapter:
    """Return the adapter of one classifier: the language model inside, and its own parts."""
    language = StageLanguageModel.published
    inside = tuple(
        (pattern, f"language.{name}" if pattern.startswith("^") else name)
        for pattern, name in language.renames
    )
    return Adapter(
        config=config,
        renames=(*inside, *renames),
        constants=(*language.constants, r"pos_embed\.pe"),
        tensor=_published_language,
    )


class _SegmentReader(nn.Module):
    """What both networks over segments share: one vector for each segment of a night."""

    def __init__(self, config: SegmentConfig) -> None:
        super().__init__()
        self.config = config
        self.language = StageLanguageModel(_language_config(config))
        self.norm = nn.LayerNorm(config.width)

    def segments(
        self, ids: torch.Tensor, valid: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a vector for each segment (B, S, E) and which hold a scored epoch (B, S).

        The vector is the language model's at the last scored epoch, or its mean over all of them,
        normalised; zeros where there is none.
        """
        n_nights, n_segments, _ = ids.shape
        if valid is None:
            valid = torch.ones_like(ids, dtype=torch.bool)
        valid = valid.bool().flatten(0, 1)  # (B S, L)
        features = self.norm(self.language.hidden(ids.flatten(0, 1), valid))  # (B S, L, E)
        mean = self.config.segment_readout == "mean"
        picked = _mean_there(features, valid) if mean else _at_last(features, valid)
        there = valid.any(dim=1).view(n_nights, n_segments)
        return picked.unflatten(0, (n_nights, n_segments)), there


def _at_last(features: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Return the features (N, L, E) of the last valid place, (N, E); zeros where there is none."""
    places = torch.arange(1, valid.shape[1] + 1, device=valid.device)
    last = (places * valid).argmax(dim=1)  # padding may stand on either side
    picked = features[torch.arange(len(last), device=valid.device), last]
    return picked * valid.any(dim=1)[:, None]


def _mean_there(x: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """Average places (B, S, W) over those that hold a scored epoch, (B, W)."""
    weights = there[..., None].to(x.dtype)
    return (x * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


class _SegmentBlock(nn.Module):
    """One layer over segments: u = norm(x); x = u + attention(u); x += network(norm(x)).

    The residual starts from the normalised input: so the published weights were trained, although
    the paper's figure draws a usual pre-norm block.
    """

    def __init__(self, config: HTNConfig) -> None:
        super().__init__()
        width, hidden = config.segment_width, int(config.mlp_ratio * config.width)
        self.norm_1 = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, config.segment_heads, batch_first=True)
        self.norm_2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(config.segment_dropout)

    def forward(self, x: torch.Tensor, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (B, S, W) and the attention map (B, S, S); `hidden` (B, S) is seen by none."""
        x = self.norm_1(x)
        attended, weights = self.attention(x, x, x, key_padding_mask=hidden)
        x = x + attended
        return x + self.down(self.dropout(F.gelu(self.up(self.norm_2(x))))), weights


def _transformer_sizes(state_dict: StateDict) -> dict[str, int]:
    """Read the sizes of the transformer over segments; the numbers of heads are not among them."""
    layers = {key.split(".")[2] for key in state_dict if key.startswith("seg_encoder.layers.")}
    hidden = len(state_dict["seg_encoder.layers.0.ff.0.bias"])
    sizes = _classifier_sizes(state_dict, "fc.weight")
    ratio = hidden / sizes["width"]
    width = len(state_dict["proj.bias"])
    return sizes | {"segment_width": width, "segment_layers": len(layers), "mlp_ratio": ratio}


def _classifier_sizes(state_dict: StateDict, head: str) -> dict[str, Any]:
    """Read the sizes of the language model inside and the number of classes."""
    return published_sizes(state_dict) | {"n_classes": len(state_dict[head])}


def _lstm_sizes(state_dict: StateDict) -> dict[str, Any]:
    """Read the sizes of the LSTM over segments."""
    weights = [key for key in state_dict if key.startswith("seg_encoder.weight_ih_l")]
    return _classifier_sizes(state_dict, "fc.weight") | {
        "segment_width": state_dict["seg_encoder.weight_hh_l0"].shape[1],
        "segment_layers": sum(not key.endswith("_reverse") for key in weights),
        "bidirectional": any(key.endswith("_reverse") for key in weights),
    }


@register("htn")
class HTN(_SegmentReader):
    """Transformer over the segments of a night.

    Parameters
    ----------
    config : HTNConfig
        `PRESETS["paper"]` is the published size, 321,650 parameters.

    Notes
    -----
    The published code adds its mask of segments to the attention scores instead of hiding padding,
    so that a night's result there depends on what it is batched with. Here padding is hidden: a
    night gives the same result alone and in any batch.
    """

    published = _adapter(
        _transformer_sizes,
        (r"^norm_seq\.", "norm."),
        (r"^seg_encoder\.layers\.", "blocks."),
        (r"\.attn_ln\.", ".norm_1."),
        (r"\.ff_ln\.", ".norm_2."),
        (r"\.attn\.(in_proj_|out_proj)", r".attention.\1"),
        (r"\.ff\.0\.", ".up."),
        (r"\.ff\.3\.", ".down."),
        (r"^norm_seg\.", "last_norm."),
        (r"^fc\.", "head."),
        (r"^cls_token", "whole_night"),
    )

    places: torch.Tensor

    def __init__(self, config: HTNConfig) -> None:
        super().__init__(config)
        self.config: HTNConfig = config
        width = config.segment_width
        self.proj = nn.Linear(config.width, width)
        self.whole_night = nn.Parameter(torch.zeros(1, 1, width))
        places = sine_table(config.max_segments, width)
        self.register_buffer("places", places, persistent=False)
        self.blocks = nn.ModuleList(_SegmentBlock(config) for _ in range(config.segment_layers))
        self.last_norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, config.n_classes)

    def forward(self, ids: torch.Tensor, valid: torch.Tensor | None = None) -> NightClasses:
        """Classify nights.

        Parameters
        ----------
        ids : int64 tensor (B, S, L)
            Stages 0..4 in segments of L = `config.n_positions` epochs, 5 = padding.
        valid : bool tensor (B, S, L), optional
            False where there is padding; default: nowhere.
        """
        return self.classify(*self.segments(ids, valid))

    def classify(self, picked: torch.Tensor, there: torch.Tensor) -> NightClasses:
        """Classify nights from what `segments` gave of them."""
        if picked.shape[1] > self.config.max_segments:
            raise ValueError(
                f"{picked.shape[1]} segments given, the model sees {self.config.max_segments}"
            )
        first = self.whole_night.expand(len(picked), -1, -1)
        x = torch.cat([first, self.proj(picked)], dim=1)  # (B, S + 1, W)
        x = x + self.places[: x.shape[1]]
        hidden = F.pad(~there, (1, 0), value=False)  # the place of the whole night is always seen
        maps = []
        for block in self.blocks:
            x, weights = block(x, hidden)
            maps.append(weights)
        x = self.last_norm(x)
        read = x[:, 0] if self.config.readout == "token" else _mean_there(x[:, 1:], there)
        return NightClasses(self.head(read), maps)


@register("htn-lstm")
class HTNLSTM(_SegmentReader):
    """LSTM over the segments of a night.

    Notes
    -----
    The output is read at the last segment that holds a scored epoch. The published code reads it at
    the end of the padded batch, where padding has passed through.
    """

    published = _adapter(
        _lstm_sizes,
        (r"^norm_seq\.", "norm."),
        (r"^seg_encoder\.", "lstm."),
        (r"^fc\.", "head."),
    )

    def __init__(self, config: HTNLSTMConfig) -> None:
        super().__init__(config)
        self.config: HTNLSTMConfig = config
        self.lstm = nn.LSTM(
            config.width,
            config.segment_width,
            config.segment_layers,
            batch_first=True,
            dropout=config.segment_dropout if config.segment_layers > 1 else 0.0,
            bidirectional=config.bidirectional,
        )
        self.head = nn.Linear(
            config.segment_width * (2 if config.bidirectional else 1), config.n_classes
        )

    def forward(self, ids: torch.Tensor, valid: torch.Tensor | None = None) -> NightClasses:
        """Classify nights; `ids` (B, S, L) and `valid` as those of `HTN`, no attention."""
        return self.classify(*self.segments(ids, valid))

    def classify(self, picked: torch.Tensor, there: torch.Tensor) -> NightClasses:
        """Classify nights from what `segments` gave of them."""
        places = torch.arange(1, there.shape[1] + 1, device=there.device)
        lengths = (places * there).amax(dim=1).clamp(min=1)  # segments up to the last with a stage
        packed = pack_padded_sequence(picked, lengths.cpu(), batch_first=True, enforce_sorted=False)
        outputs, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        if self.config.readout == "mean":
            return NightClasses(self.head(_mean_there(outputs, there[:, : outputs.shape[1]])), [])
        last = outputs[torch.arange(len(outputs), device=there.device), lengths - 1]
        return NightClasses(self.head(last), [])


@register("stage-classifier")
class StageClassifier(nn.Module):
    """The stage language model with a head on its last epoch: one sequence, one class."""

    published = _adapter(
        lambda state_dict: _classifier_sizes(state_dict, "score.weight"), (r"^score\.", "head.")
    )

    def __init__(self, config: SegmentConfig) -> None:
        super().__init__()
        self.config = config
        self.language = StageLanguageModel(_language_config(config))
        self.head = nn.Linear(config.width, config.n_classes, bias=False)

    def forward(self, ids: torch.Tensor) -> NightClasses:
        """Classify sequences (B, T) of stages 0..4, padded with 5 on the right."""
        real = ids != self.config.vocab_size - 1
        places = torch.arange(ids.shape[1], device=ids.device)
        last = (places * real).argmax(dim=1)
        features = self.language.hidden(ids)[torch.arange(len(ids), device=ids.device), last]
        return NightClasses(self.head(features), [])

    def segments(
        self, ids: torch.Tensor, valid: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a vector for each segment (B, S, E) of nights and which hold a scored epoch.

        `ids` (B, S, L) and `valid` are those of `HTN`.
        """
        valid = torch.ones_like(ids, dtype=torch.bool) if valid is None else valid.bool()
        features = self.language.hidden(ids.flatten(0, 1), valid.flatten(0, 1))
        mean = self.config.segment_readout == "mean"
        picked = (_mean_there if mean else _at_last)(features, valid.flatten(0, 1))
        return picked.unflatten(0, ids.shape[:2]), valid.any(dim=-1)

    def classify(self, picked: torch.Tensor, there: torch.Tensor) -> NightClasses:
        """Classify nights: the mean probability of their segments, each read by itself."""
        proba = _mean_there(self.head(picked).softmax(dim=-1), there)
        return NightClasses(proba.clamp(min=1e-8).log(), [])


def sine_table(n_places: int, width: int) -> torch.Tensor:
    """Return the sine and cosine table (n_places + 1, width); row 0, of the whole night, is zero.

    Row 1 + p holds sin(p w_k) at 2k and cos(p w_k) at 2k + 1, w_k = 10000^(-2k / width).
    """
    rates = TIMESCALE ** (-torch.arange(0, width, 2) / width)
    angles = torch.arange(n_places)[:, None] * rates  # (places, width / 2)
    waves = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
    return F.pad(waves, (0, 0, 1, 0))


def segments_of(
    nights: list[torch.Tensor], length: int, *, side: str = "right", padding: int = 5
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut nights into segments, padded to the longest one rounded up to whole segments.

    Parameters
    ----------
    nights : list of int64 tensors (n,)
        Stages of each night.
    length : int
        Epochs of a segment.
    side : str
        Where padding goes: `right`, or `left`.
    padding : int
        Token that fills up.

    Returns
    -------
    ids : int64 tensor (B, S, length)
    valid : bool tensor (B, S, length)
        True at real stages.
    """
    total = -(-max(map(len, nights)) // length) * length
    ids = torch.full((len(nights), total), padding)
    valid = torch.zeros(len(nights), total, dtype=torch.bool)
    for row, night in enumerate(nights):
        place = slice(0, len(night)) if side == "right" else slice(total - len(night), total)
        ids[row, place], valid[row, place] = night, True
    return ids.unflatten(1, (-1, length)), valid.unflatten(1, (-1, length))
