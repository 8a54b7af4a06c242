"""Stagers that read epochs with NeuroNet or SynthSleepNet: probes, and contexts of many epochs.

A probe looks at one epoch at a time through a frozen encoder. A context lets Mamba read the
sequence of epochs (causal: an epoch sees those before it) and adapts a part of the encoder. Apnea
and hypopnea differ from staging by `n_classes` and labels alone.

References
----------
SynthSleepNet: arXiv 2502.17481. NeuroNet: arXiv 2404.17585.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from models import Present, Signals, StagerOutput, register
from models.frame_encoder import PlaceNorm
from models.layers import batch_of_one
from models.lora import adapt, adapters, take_over
from models.mamba import Mamba, Mamba2
from models.neuronet import (
    MODALITIES,
    PUBLISHED_WIDTHS,
    EncoderConfig,
    NeuroNet,
    NeuroNetEncoder,
    embed_modality,
    published_sizes,
)
from models.published import Adapter, StateDict
from models.synthsleepnet import (
    FUSED,
    FUSION_NAMES,
    Fusion,
    FusionConfig,
    SynthSleepNet,
    published_fusion,
    without_batch_axis,
)

BACKBONE = "backbone.base_model.model."  # where the published fine-tuning keeps the fusion


@dataclass(frozen=True)
class ProbeConfig(FusionConfig):
    """Sizes of the fused encoder and of the classifier behind it."""

    n_classes: int = 5
    hidden: int = 256
    dropout: float = 0.5
    window: int | None = None  # epochs at once; None = any number


@dataclass(frozen=True)
class ContextConfig(ProbeConfig):
    """Sizes of the fine-tuned model; a night is read in windows, or whole."""

    overlap: int = 0  # first epochs of a window that only give context (but in the first window)
    state: int = 16  # states of Mamba
    tuning_rank: int = 4  # of the second adapters
    tuning_alpha: float = 8.0
    tuning_dropout: float = 0.05
    train_first_adapters: bool = True  # those of the pre-training learn on, as published


@dataclass(frozen=True)
class ModalityProbeConfig(EncoderConfig):
    """Sizes of one modality's encoder and of the classifier behind it."""

    channels: tuple[str, ...] = MODALITIES["eeg"]
    readout: Any = "mean"
    n_classes: int = 5
    hidden: int = 192
    dropout: float = 0.5
    window: int | None = None


@dataclass(frozen=True)
class ModalityContextConfig(ModalityProbeConfig):
    """Sizes of NeuroNet's own temporal context."""

    hidden: int = 64
    overlap: int = 0
    state: int = 16


_ONE_MODALITY: dict[str, Any] = published_sizes(widths=PUBLISHED_WIDTHS)
PRESETS = {
    "paper-probe": ProbeConfig(**FUSED),
    "paper": ContextConfig(**FUSED, window=20),
    "paper-overlap": ContextConfig(**FUSED, window=20, overlap=10),  # every epoch sees ten or more
    "paper-modality-probe": ModalityProbeConfig(**_ONE_MODALITY, hidden=1536),
    "paper-modality": ModalityContextConfig(**_ONE_MODALITY, hidden=256, window=20),
}


def fused_head(width: int, config: Any) -> nn.Sequential:
    """Return the classifier behind SynthSleepNet: the published "linear probe" has three layers."""
    layers: list[nn.Module] = []
    for before in (width, config.hidden):
        layers += [nn.Linear(before, config.hidden), nn.BatchNorm1d(config.hidden), nn.ELU()]
        layers += [nn.Dropout(config.dropout)]
    return nn.Sequential(*layers, nn.Linear(config.hidden, config.n_classes))


def modality_head(width: int, config: Any) -> nn.Sequential:
    """Return the classifier of NeuroNet's own probe."""
    layers = (nn.Linear(width, config.hidden), nn.BatchNorm1d(config.hidden), nn.ELU())
    return nn.Sequential(
        *layers, nn.Dropout(config.dropout), nn.Linear(config.hidden, config.n_classes)
    )


class ProbeReader(nn.Module):
    """A classifier on each epoch by itself."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, epochs: torch.Tensor) -> StagerOutput:
        """(B, L, D) -> logits (B, L, K); the features are the epochs as they came."""
        logits = self.head(epochs.flatten(0, 1)).unflatten(0, epochs.shape[:2])
        return StagerOutput(logits, epochs)


class ContextReader(nn.Module):
    """Norm, Mamba-2 beside a shortcut, classifier: reads a sequence of fused epochs."""

    def __init__(self, width: int, config: Any) -> None:
        super().__init__()
        self.apart = getattr(config, "frame_norm", "pooled") == "per_frame"
        self.norm = PlaceNorm(width)
        self.mamba = Mamba2(width, config.state)
        self.head = fused_head(width, config)

    def forward(self, epochs: torch.Tensor) -> StagerOutput:
        """(B, L, D) -> logits (B, L, K) and features (B, L, D)."""
        self.norm.n_places = epochs.shape[1] if self.apart else 1
        rows = self.norm(epochs.flatten(0, 1)[..., None, None])[..., 0, 0]
        normed = rows.unflatten(0, epochs.shape[:2])
        features = normed + self.mamba(normed)
        logits = self.head(features.flatten(0, 1)).unflatten(0, epochs.shape[:2])
        return StagerOutput(logits, features)


class ModalityContextReader(nn.Module):
    """Two layers per epoch, Mamba without a shortcut, a linear classifier: NeuroNet's own."""

    def __init__(self, width: int, config: Any) -> None:
        super().__init__()
        hidden = config.hidden
        layers = (nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.ELU())
        self.embed = nn.Sequential(*layers, nn.Linear(hidden, hidden))
        self.mamba = Mamba(hidden, config.state)
        self.head = nn.Linear(hidden, config.n_classes)

    def forward(self, epochs: torch.Tensor) -> StagerOutput:
        """(B, L, D) -> logits (B, L, K) and features (B, L, hidden)."""
        embedded = self.embed(epochs.flatten(0, 1)).unflatten(0, epochs.shape[:2])
        features = self.mamba(embedded)
        return StagerOutput(self.head(features), features)


class EpochReader(ABC, nn.Module):
    """What these stagers share: epochs become vectors, a reader makes logits of their sequence."""

    fresh = ("reader",)  # begins from nothing, behind weights that were trained before
    undecayed = ("A_log",)  # rates of Mamba, as its authors train it
    reader: nn.Module
    config: Any

    @property
    def channels(self) -> dict[str, int]:
        """Channels it can read, with samples per epoch."""
        return dict.fromkeys(self.config.channels, self.config.samples)

    @property
    def window(self) -> int | None:
        """Epochs it takes at once, None for any number."""
        return self.config.window

    def forward(self, signals: Signals, present: Present) -> StagerOutput:
        """Return logits (B, L, K), in the order W N1 N2 N3 R for five, and features (B, L, D)."""
        return self.reader(self.embed(signals, present))

    @abstractmethod
    def embed(self, signals: Signals, present: Present) -> torch.Tensor:
        """Return one vector per epoch, (B, L, D)."""

    @torch.inference_mode()
    def night_proba(self, signals: Mapping, present: Mapping | None = None) -> torch.Tensor:
        """Classify a whole night; every epoch is encoded once, whatever the windows.

        Parameters
        ----------
        signals : {channel: array or tensor (E, T)}
        present : {channel: bool (E,)}, optional
            Where a channel was recorded; default: throughout.

        Returns
        -------
        float32 tensor (E, K)
            Probabilities; each epoch from the first window that holds it beyond the overlap.
        """
        night = batch_of_one(signals, present, next(self.parameters()).device)
        return self.epochs_proba(self.embed(*night)[0])

    @torch.inference_mode()
    def epochs_proba(self, epochs: torch.Tensor) -> torch.Tensor:
        """Classify a night whose epochs are embedded already: (E, D) -> probabilities (E, K)."""
        n_epochs = len(epochs)
        length = min(self.window or n_epochs, n_epochs)
        parts, done = [], 0
        while done < n_epochs:
            ahead = done - getattr(self.config, "overlap", 0)
            first = max(0, min(ahead, n_epochs - length))  # the last window ends with the night
            logits = self.reader(epochs[None, first : first + length]).logits[0]
            parts.append(logits[done - first :])
            done = first + length
        return torch.cat(parts).softmax(dim=-1)


class FusedReader(EpochReader):
    """A stager on SynthSleepNet's fused epochs."""

    fusion: Fusion

    def embed(self, signals: Signals, present: Present) -> torch.Tensor:
        """Return the fused vector of each epoch, (B, L, D)."""
        return self.fusion.embed(signals, present)

    def take(self, pretrained: SynthSleepNet) -> None:
        """Take over what was learnt without labels.

        Raises
        ------
        ValueError
            If the pre-trained network has other channels or sizes.
        """
        take_over(self.fusion, pretrained.fusion, "pre-trained SynthSleepNet")


def _published_probe(state_dict: StateDict) -> dict[str, Any]:
    """Read sizes from a published linear probe; frames and heads are not in the shapes."""
    return published_fusion(state_dict, "backbone.") | _head_sizes(state_dict)


def _published_context(state_dict: StateDict) -> dict[str, Any]:
    """Read sizes from a published fine-tuned model; frames and heads are not in the shapes."""
    adapter = next(v for k, v in state_dict.items() if "feature_layer.0.lora_A" in k)
    inner = len(state_dict["mamba.norm.weight"])
    return {
        **published_fusion(state_dict, BACKBONE),
        **_head_sizes(state_dict),
        "tuning_rank": len(adapter),
        "state": (len(state_dict["mamba.conv1d.weight"]) - inner) // 2,
    }


def _head_sizes(state_dict: StateDict) -> dict[str, int]:
    """Read the classifier's sizes."""
    return {"hidden": len(state_dict["fc.0.weight"]), "n_classes": len(state_dict["fc.8.weight"])}


READER_NAMES = (
    (r"^fc\.", "reader.head."),
    (r"^(mamba|norm)\.", r"reader.\1."),
)


@register("synthsleepnet-probe")
class SynthSleepNetProbe(FusedReader):
    """Frozen SynthSleepNet, a classifier on each epoch.

    Parameters
    ----------
    config : ProbeConfig
        `PRESETS["paper-probe"]` is the published size.
    """

    published = Adapter(
        config=_published_probe,
        constants=(r"backbone\.(multimodal_encoder_)?pos_embed", r"backbone\.cls_token"),
        renames=((r"^backbone\.", "fusion."), *FUSION_NAMES, *READER_NAMES),
        tensor=without_batch_axis,
    )

    def __init__(self, config: ProbeConfig) -> None:
        super().__init__()
        self.config = config
        self.fusion = Fusion(config).requires_grad_(False)
        self.reader = ProbeReader(fused_head(config.fused_width, config))

    def train(self, mode: bool = True) -> SynthSleepNetProbe:
        """Keep the encoder in evaluation mode."""
        super().train(mode)
        self.fusion.eval()
        return self

    def embed(self, signals: Signals, present: Present) -> torch.Tensor:
        """Return the fused vector of each epoch, (B, L, D); no gradient."""
        with torch.no_grad():
            return super().embed(signals, present)


@register("synthsleepnet-context")
class SynthSleepNetContext(FusedReader):
    """SynthSleepNet fine-tuned by second adapters, with Mamba-2 over the epochs.

    Parameters
    ----------
    config : ContextConfig
        `PRESETS["paper"]` is the published size: windows of 20 epochs.

    Notes
    -----
    The second adapters stand on the MLP of each frame encoder and on that of the last fusion block.
    In training only they drop out; everything else of the encoder stays in evaluation mode.
    """

    published = Adapter(
        config=_published_context,
        constants=(r"backbone\.base_model\.model\.pos_embed",),
        renames=((r"^backbone\.base_model\.model\.", "fusion."), *FUSION_NAMES, *READER_NAMES),
        tensor=without_batch_axis,
    )

    def __init__(self, config: ContextConfig) -> None:
        super().__init__()
        self.config = config
        self.fusion = Fusion(config)
        self._first = adapters(self.fusion)
        last = f"transformer.blocks.{config.fused_blocks - 1}"
        frames = [f"encoders.{name}.frames.mlp.{i}" for name in config.channels for i in (0, 2)]
        adapt(
            self.fusion,
            [*frames, f"{last}.up", f"{last}.down"],
            rank=config.tuning_rank,
            alpha=config.tuning_alpha,
            dropout=config.tuning_dropout,
        )
        for adapter in self._first:
            adapter.down.requires_grad_(config.train_first_adapters)
            adapter.up.requires_grad_(config.train_first_adapters)
        self.reader = ContextReader(config.fused_width, config)

    def train(self, mode: bool = True) -> SynthSleepNetContext:
        """Keep the encoder in evaluation mode, but for the dropout of the second adapters."""
        super().train(mode)
        self.fusion.eval()
        for adapter in adapters(self.fusion):
            adapter.train(mode and not any(adapter is first for first in self._first))
        return self


class ModalityReader(EpochReader):
    """A stager on the epochs of one modality's NeuroNet."""

    encoder: NeuroNetEncoder

    def embed(self, signals: Signals, present: Present) -> torch.Tensor:
        """Return the mean vector of each epoch over its channels, (B, L, D)."""
        return embed_modality(self.encoder, self.config.channels, signals, present)

    def take(self, pretrained: NeuroNet) -> None:
        """Take over what was learnt without labels.

        Raises
        ------
        ValueError
            If the pre-trained encoder has other sizes.
        """
        take_over(self.encoder, pretrained.encoder, "pre-trained NeuroNet")

    def train(self, mode: bool = True) -> ModalityReader:
        """Keep the encoder in evaluation mode."""
        super().train(mode)
        self.encoder.eval()
        return self


@register("neuronet-probe")
class NeuroNetProbe(ModalityReader):
    """Frozen NeuroNet, a classifier of two layers on each epoch.

    Parameters
    ----------
    config : ModalityProbeConfig
        `channels` name the modality.
    """

    def __init__(self, config: ModalityProbeConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = NeuroNetEncoder(config).requires_grad_(False)
        self.reader = ProbeReader(modality_head(config.width, config))

    def embed(self, signals: Signals, present: Present) -> torch.Tensor:
        """Return the mean vector of each epoch, (B, L, D); no gradient."""
        with torch.no_grad():
            return super().embed(signals, present)


@register("neuronet-context")
class NeuroNetContext(ModalityReader):
    """NeuroNet with Mamba over the epochs; the end of the encoder learns on.

    Parameters
    ----------
    config : ModalityContextConfig
        `PRESETS["paper-modality"]`; NeuroNet's own sizes are set through its fields.
    """

    def __init__(self, config: ModalityContextConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = NeuroNetEncoder(config).requires_grad_(False)
        transformer = self.encoder.transformer
        last = transformer.blocks[-1]
        for part in (last.norm_2, last.up, last.down, transformer.norm):
            part.requires_grad_(True)
        self.reader = ModalityContextReader(config.width, config)
