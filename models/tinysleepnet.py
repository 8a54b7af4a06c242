"""TinySleepNet as SleepGPT uses it: one EEG derivation, with and without a recurrent part.

`tinysleepnet-cnn` is the convolutional part alone (the released weights stage Sleep-EDF's
Fpz-Cz); `tinysleepnet-seq` runs an LSTM over the last 15 epochs. The original network
(Supratak and Guo, EMBC 2020) is another one, in `tinysleepnet_original`.

Input: view `bb100`, microvolts at 100 Hz, no normalisation of any kind: the first batch
normalisation of the released weights expects a variance near 180.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from models import Present, Signals, StagerOutput, register
from models.layers import batch_of_one, presence
from models.published import Adapter, StateDict

CHUNK = 64  # epochs encoded at once in inference: activations stay in the processor's cache


@dataclass(frozen=True)
class CNNConfig:
    """Sizes of the convolutional stager; the defaults are those of the released weights."""

    channel: str = "FpzCz"  # the released weights were trained on it; any one EEG derivation works
    samples: int = 3000  # per epoch: 30 s at 100 Hz
    first_width: int = 128
    first_kernel: int = 50
    first_stride: int = 6
    width: int = 128
    kernel: int = 8
    dropout: float = 0.5
    n_classes: int = 5

    @property
    def n_features(self) -> int:
        """Number of features of an epoch: channels times the steps that the poolings leave."""
        return self.width * (-(-self.samples // self.first_stride) // 8 // 4)


@dataclass(frozen=True)
class SeqConfig(CNNConfig):
    """Sizes of the recurrent stager: those above, and its LSTM over epochs."""

    context: int = 15  # epochs up to and with the one that is staged
    hidden: int = 128
    n_layers: int = 2
    bidirectional: bool = False
    sequence_dropout: float = 0.5


PRESETS = {"paper": CNNConfig(), "paper-seq": SeqConfig()}


class ConvBlock(nn.Module):
    """Convolution, batch normalisation, ReLU; as long as the input over `stride`.

    Padding is that of "same" convolutions with a stride: the odd sample stands on the right.
    """

    def __init__(
        self,
        before: int,
        after: int,
        kernel: int,
        stride: int = 1,
        *,
        norm: Callable[[int], nn.Module] = nn.BatchNorm1d,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(before, after, kernel, stride, bias=bias)
        self.norm = norm(after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, T) -> (N, C', ceil(T / stride))."""
        x = pad_as_same(x, self.conv.kernel_size[0], self.conv.stride[0])
        return F.relu(self.norm(self.conv(x)))


def pad_as_same(x: torch.Tensor, kernel: int, stride: int, *, value: float = 0.0) -> torch.Tensor:
    """Pad (N, C, T) so that a convolution gives ceil(T / stride) steps; the odd sample is right."""
    steps = -(-x.shape[-1] // stride)
    missing = max(0, (steps - 1) * stride + kernel - x.shape[-1])
    return F.pad(x, (missing // 2, missing - missing // 2), value=value)


class EpochEncoder(nn.Sequential):
    """Epochs (N, 1, T) -> features (N, 1920), channel by channel."""

    def __init__(self, config: CNNConfig) -> None:
        width, kernel = config.width, config.kernel
        super().__init__(
            ConvBlock(1, config.first_width, config.first_kernel, config.first_stride),
            nn.MaxPool1d(8),
            nn.Dropout(config.dropout),
            ConvBlock(config.first_width, width, kernel),
            ConvBlock(width, width, kernel),
            ConvBlock(width, width, kernel),
            nn.MaxPool1d(4),
            nn.Dropout(config.dropout),
            nn.Flatten(),
        )


def published_sizes(state_dict: StateDict, prefix: str = "") -> dict[str, int]:
    """Read the sizes of the convolutions; the length of an epoch is not among them."""
    first_width, _, first_kernel, _ = state_dict[f"{prefix}conv1.0.0.weight"].shape
    width, _, kernel, _ = state_dict[f"{prefix}conv1.3.0.weight"].shape
    sizes = {"first_width": first_width, "first_kernel": first_kernel}
    sizes |= {"width": width, "kernel": kernel}
    head = "head" if prefix else "classifier"
    return sizes | {"n_classes": len(state_dict[f"{head}.weight"])}


def _published_seq_sizes(state_dict: StateDict) -> dict[str, int | bool]:
    """Read the sizes of the recurrent stager; the length of its context is not among them."""
    layers = [key for key in state_dict if "weight_ih_l" in key]
    return published_sizes(state_dict, "encoder.") | {
        "hidden": state_dict["seq_encoder.lstm.weight_hh_l0"].shape[1],
        "n_layers": sum(not key.endswith("_reverse") for key in layers),
        "bidirectional": any(key.endswith("_reverse") for key in layers),
    }


def published_layout(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Published convolutions run over (time, 1)."""
    return tensor.squeeze(-1) if tensor.ndim == 4 else tensor


_BLOCK_NAMES = (
    (r"conv1\.(\d+)\.0\.", r"encoder.\1.conv."),
    (r"conv1\.(\d+)\.1\.", r"encoder.\1.norm."),
)


class OneChannelStager(nn.Module):
    """What the stagers share: one derivation, epochs encoded one by one.

    Parameters
    ----------
    config : dataclass
        Names the `channel` and its `samples` per epoch.
    encoder : Module
        Epochs (N, 1, T) -> features (N, F).
    """

    window = None  # any number of epochs

    def __init__(self, config: Any, encoder: nn.Module) -> None:
        super().__init__()
        self.config, self.encoder = config, encoder

    @property
    def channels(self) -> dict[str, int]:
        """The derivation it reads, with samples per epoch."""
        return {self.config.channel: self.config.samples}

    def encode(self, signals: Signals, present: Present) -> torch.Tensor:
        """Return the features (B, L, F) of each epoch; an epoch that is absent counts as zeros.

        Raises
        ------
        ValueError
            If the derivation is not among the signals.
        """
        channel = self.config.channel
        if channel not in signals:
            raise ValueError(f"channel {channel!r} is wanted; the signals are {sorted(signals)}")
        there = presence(signals, present, [channel])  # (B, L, 1)
        x = torch.where(there, signals[channel], 0.0).flatten(0, 1)[:, None]  # (B L, 1, T)
        parts = [x] if torch.is_grad_enabled() else x.split(CHUNK)
        return torch.cat([self.encoder(part) for part in parts]).unflatten(0, there.shape[:2])

    @torch.inference_mode()
    def night_proba(self, signals: Mapping, present: Mapping | None = None) -> torch.Tensor:
        """Stage a whole night.

        Parameters
        ----------
        signals : {channel: array or tensor (E, T)}
            As in `forward`.
        present : {channel: bool (E,)}, optional
            Where the derivation was recorded; default: throughout.

        Returns
        -------
        float32 tensor (E, 5)
            Hypnodensity in the order W N1 N2 N3 R.
        """
        night = batch_of_one(signals, present, next(self.parameters()).device)
        return self(*night).logits[0].softmax(dim=-1)


@register("tinysleepnet-cnn")
class TinySleepNetCNN(OneChannelStager):
    """Stager that looks at one epoch at a time.

    Parameters
    ----------
    config : CNNConfig
        `channel` names the derivation; `PRESETS["paper"]` fits the released weights.
    """

    published = Adapter(
        config=published_sizes,
        renames=(*_BLOCK_NAMES, (r"^classifier\.", "head.")),
        tensor=published_layout,
    )

    def __init__(self, config: CNNConfig) -> None:
        super().__init__(config, EpochEncoder(config))
        self.head = nn.Linear(config.n_features, config.n_classes)

    def forward(self, signals: Signals, present: Present) -> StagerOutput:
        """Return logits (B, L, 5) in the order W N1 N2 N3 R and features (B, L, 1920)."""
        features = self.encode(signals, present)
        return StagerOutput(self.head(features), features)


@register("tinysleepnet-seq")
class TinySleepNetSeq(OneChannelStager):
    """Stager of an epoch from the 15 epochs up to it, by an LSTM.

    Parameters
    ----------
    config : SeqConfig
        `PRESETS["paper-seq"]` is the published size.

    Notes
    -----
    The published network returns the stage of the last epoch of one context. Here every epoch of
    the input is staged from the context that ends with it, with epochs of zeros before the first:
    the same numbers, each epoch encoded once.
    """

    published = Adapter(
        config=_published_seq_sizes,
        renames=(
            (r"^encoder\.", ""),
            *_BLOCK_NAMES,
            (r"^seq_encoder\.lstm\.", "lstm."),
        ),
        tensor=published_layout,
    )

    def __init__(self, config: SeqConfig) -> None:
        super().__init__(config, EpochEncoder(config))
        self.config: SeqConfig = config
        self.lstm = nn.LSTM(
            config.n_features,
            config.hidden,
            config.n_layers,
            batch_first=True,
            dropout=config.sequence_dropout if config.n_layers > 1 else 0.0,
            bidirectional=config.bidirectional,
        )
        self.dropout = nn.Dropout(config.sequence_dropout)
        self.head = nn.Linear(config.hidden * (2 if config.bidirectional else 1), config.n_classes)

    def forward(self, signals: Signals, present: Present) -> StagerOutput:
        """Return logits (B, L, 5) in the order W N1 N2 N3 R and features (B, L, hidden)."""
        encoded = self.encode(signals, present)  # (B, L, F)
        before = self._silence(encoded).expand(len(encoded), self.config.context - 1, -1)
        contexts = torch.cat([before, encoded], dim=1).unfold(1, self.config.context, 1)
        sequences = contexts.flatten(0, 1).transpose(1, 2)  # (B L, context, F)
        features = self.lstm(sequences)[0][:, -1].unflatten(0, encoded.shape[:2])
        return StagerOutput(self.head(self.dropout(features)), features)

    def _silence(self, like: torch.Tensor) -> torch.Tensor:
        """Return the features (1, F) of an epoch of zeros, by the running statistics.

        A batch of zeros has no variance: half of every step would pull the statistics there.
        """
        training = self.encoder.training
        self.encoder.eval()
        silent = self.encoder(like.new_zeros(1, 1, self.config.samples))
        self.encoder.train(training)
        return silent
