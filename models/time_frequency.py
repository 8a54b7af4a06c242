"""What Phan's networks share: from signals to filtered log-magnitude images, and attention.

Each epoch of each channel becomes a spectrogram of frames of 2 s, one a second; every frequency is
normalised by the statistics of the training nights, which travel with the weights; a learned
filterbank per channel brings 129 frequencies to 32 (Phan et al., TNSRE 2019, section III.A).

Input: view `seq3`, 100 Hz.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from models import Present, Signals
from models.layers import PenalisedLoss, batch_of_one, half_squares, stack_channels
from models.published import StateDict

FRAME, HOP = 200, 100  # samples: frames of 2 s, every second
LEAST_MAGNITUDE = 1e-8  # an all-zero frame would be -inf, and spoil every statistic
CHUNK = 128  # epochs encoded at once in inference


@dataclass(frozen=True)
class SpectralConfig:
    """What the images are made of; the defaults are those of the articles with three channels."""

    channels: tuple[str, ...] = ("EEG", "EOGh", "Chin")
    samples: int = 3000  # per epoch: 30 s at 100 Hz
    rate_hz: float = 100.0
    n_fft: int = 256
    low_hz: float = 0.0  # of the filterbank
    high_hz: float = 50.0
    n_filters: int = 32
    frame_hidden: int = 64  # of the recurrent layer over frames, per direction
    attention: int = 64
    dropout: float = 0.25  # on input and output of each recurrent direction
    # Mean and standard deviation of each frequency come from the training nights (stored with the
    # weights) or, for weights released without them, from the night that is staged.
    statistics: Literal["training", "night"] = "training"
    # Half the squares of all parameters but the filterbanks count by it. The articles add 0.001 of
    # them to a cross entropy summed over 32 samples; here it is the mean
    l2: float = 0.001 / 32
    n_classes: int = 5

    @property
    def n_frames(self) -> int:
        """Frames of an epoch."""
        return 1 + (self.samples - FRAME) // HOP

    @property
    def n_bins(self) -> int:
        """Frequencies of a frame."""
        return self.n_fft // 2 + 1


class LogSpectrum(nn.Module):
    """Normalised log-magnitude spectrograms; absent epochs become the mean spectrum, zero."""

    taper: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, config: SpectralConfig) -> None:
        super().__init__()
        self.config = config
        ramp = torch.arange(FRAME, dtype=torch.float64) * (2 * torch.pi / (FRAME - 1))
        self.register_buffer("taper", 0.54 - 0.46 * ramp.cos(), persistent=False)  # Hamming
        self.register_buffer("mean", torch.zeros(config.n_bins, len(config.channels)))
        self.register_buffer("std", torch.ones(config.n_bins, len(config.channels)))

    def forward(self, x: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Turn epochs (B, L, C, T), recorded where `there` (B, L, C), into (B, L, F, bins, C)."""
        spectra = self.decibel(x).movedim(2, -1)  # (B, L, F, bins, C)
        spectra = spectra.masked_fill(~there[:, :, None, None], torch.nan)
        mean, std = self.mean, self.std
        if self.config.statistics == "night":
            mean = spectra.nanmean(dim=(1, 2), keepdim=True)
            std = (spectra - mean).square().nanmean(dim=(1, 2), keepdim=True).sqrt()
        return ((spectra - mean) / std).nan_to_num(nan=0.0)

    def learn(self, batches: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Take mean and deviation from all frames of batches of (epochs, where they were recorded).

        Sums are float64: all 180 nights of a fold go in.
        """
        n_frames = self.mean.new_zeros(self.mean.shape[1], dtype=torch.float64)
        total = torch.zeros_like(self.mean, dtype=torch.float64)
        squares = torch.zeros_like(total)
        for x, there in batches:
            spectra = self.decibel(x).double()  # (B, L, C, F, bins)
            spectra = spectra.masked_fill(~there[..., None, None], 0)
            n_frames += there.sum(dim=(0, 1)) * spectra.shape[3]  # (C,)
            total += spectra.sum(dim=(0, 1, 3)).mT  # (bins, C)
            squares += spectra.square().sum(dim=(0, 1, 3)).mT
        if not n_frames.all():
            raise ValueError("a channel was recorded in no training epoch: leave it out")
        mean = total / n_frames
        self.mean.copy_(mean)
        self.std.copy_((squares / n_frames - mean.square()).clamp(min=0).sqrt())

    def decibel(self, x: torch.Tensor) -> torch.Tensor:
        """Return 20 log10 |X|, (..., F, bins), of epochs (..., T); float64 inside, as published."""
        frames = x.double().unfold(-1, FRAME, HOP) * self.taper
        magnitude = torch.fft.rfft(frames, self.config.n_fft).abs()
        return 20 * magnitude.clamp(min=LEAST_MAGNITUDE).log10().float()


class TriangularFilterbank(nn.Module):
    """Frequencies -> filters: free weights between 0 and 1 under fixed triangles."""

    triangles: torch.Tensor

    def __init__(self, config: SpectralConfig) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(config.n_filters, config.n_bins))
        self.register_buffer("triangles", _triangles(config), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., bins) -> (..., filters)."""
        return F.linear(x, self.weight.sigmoid() * self.triangles)


def _triangles(config: SpectralConfig) -> torch.Tensor:
    """Return the triangles (filters, bins), evenly spaced, peak 1.

    The edges count n_fft + 1 bins up to the sampling rate, as in the published code.
    """
    edges_hz = np.linspace(config.low_hz, config.high_hz, config.n_filters + 2)
    edges = np.floor((config.n_fft + 1) * edges_hz / config.rate_hz)
    lower, peak, upper = (edges[i : i + config.n_filters, None] for i in range(3))
    bins = np.arange(config.n_bins)
    rising = (bins - lower) / np.maximum(peak - lower, 1)  # edges that coincide leave no slope
    falling = (upper - bins) / np.maximum(upper - peak, 1)
    return torch.from_numpy(np.where(bins < peak, rising, falling).clip(min=0)).float()


class AttentionPool(nn.Module):
    """Weighted mean over time; the weights tell where the network looked."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, size)
        self.context = nn.Parameter(torch.empty(size))
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, T, width) -> (N, width) and the weights (N, T)."""
        alpha = (self.proj(x).tanh() @ self.context).softmax(dim=-1)
        return (alpha[:, None] @ x)[:, 0], alpha


class SpectralStager(PenalisedLoss, nn.Module):
    """Stager on images: filterbanks, a recurrent layer over the frames, attention.

    Parameters
    ----------
    config : SpectralConfig
        Channels and sizes.
    frame_rnn : Module
        (N, frames, filters of all channels) -> (N, frames, 2 frame_hidden).
    """

    # Settings of the articles, by the names of the training plan; no clipping, no schedule
    training_plan: ClassVar[Mapping[str, Any]] = {
        **{"optimizer": "adam", "lr": 1e-4, "betas": (0.9, 0.999), "eps": 1e-8},
        **{"schedule": "constant", "warmup": 0.0, "weight_decay": 0.0, "clip": 0.0},
        "batch_size": 32,
    }

    def __init__(self, config: Any, frame_rnn: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.spectrum = LogSpectrum(config)
        self.filterbank = nn.ModuleList(TriangularFilterbank(config) for _ in config.channels)
        self.frame_rnn = frame_rnn
        self.attention = AttentionPool(2 * config.frame_hidden, config.attention)

    @property
    def channels(self) -> dict[str, int]:
        """Channels it reads, with samples per epoch."""
        return dict.fromkeys(self.config.channels, self.config.samples)

    def spectra(self, signals: Signals, present: Present) -> torch.Tensor:
        """Return the normalised images (B, L, frames, bins, C); zeros where nothing is.

        Raises
        ------
        ValueError
            If none of the channels is given.
        """
        return self.spectrum(*stack_channels(signals, present, self.config.channels))

    def vectors(self, signals: Signals, present: Present) -> torch.Tensor:
        """Encode each epoch: vectors (B, L, 128).

        Raises
        ------
        ValueError
            If none of the channels is given.
        """
        return self.encode(self.spectra(signals, present))[0]

    def encode(self, spectra: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode each epoch: (B, L, frames, bins, C) -> vectors (B, L, 128), weights (B, L, F)."""
        flat = spectra.flatten(0, 1)
        filtered = [bank(flat[..., i]) for i, bank in enumerate(self.filterbank)]
        vectors, alpha = self.attention(self.frame_rnn(torch.cat(filtered, dim=-1)))
        shape = spectra.shape[:2]
        return vectors.unflatten(0, shape), alpha.unflatten(0, shape)

    @torch.no_grad()
    def attention_weights(self, signals: Signals, present: Present) -> torch.Tensor:
        """Return where it looks in each epoch, (B, L, frames), one frame a second, sum 1."""
        return self.encode(self.spectra(signals, present))[1]

    @torch.no_grad()
    def fit_statistics(self, batches: Iterable[tuple[Signals, Present]]) -> None:
        """Learn mean and deviation of each frequency from the training nights, before training.

        Parameters
        ----------
        batches : iterable of (signals, present)
            As in `forward`; every training epoch should be among them once. They are stored with
            the weights, since a staged night has to be normalised by the same numbers.

        Raises
        ------
        ValueError
            If a channel was recorded in none of the batches.
        """
        channels = self.config.channels
        self.spectrum.learn(stack_channels(*batch, channels) for batch in batches)

    def penalty(self) -> torch.Tensor:
        """Return the weighted half squares of all trained parameters but the filterbanks."""
        counted = [
            parameter
            for name, parameter in self.named_parameters()
            if parameter.requires_grad and not name.startswith("filterbank.")
        ]
        return self.config.l2 * half_squares(counted)

    def night_vectors(self, signals: Mapping, present: Mapping | None) -> torch.Tensor:
        """Encode each epoch (E, T) of a night once, in pieces: (E, 128)."""
        known = {k: v for k, v in signals.items() if k in self.config.channels}
        spectra = self.spectra(*batch_of_one(known, present, self.attention.context.device))[0]
        return torch.cat([self.encode(part[None])[0][0] for part in spectra.split(CHUNK)])


def spectral_sizes(state_dict: StateDict) -> dict[str, Any]:
    """Read the sizes from published weights; which channels they read is not among them."""
    n_filters, n_bins = state_dict["filterbank.0.weight"].shape
    n_channels = sum(key.startswith("filterbank.") for key in state_dict)
    return {
        "channels": SpectralConfig.channels[:n_channels],
        "n_filters": n_filters,
        "n_fft": 2 * (n_bins - 1),
        "frame_hidden": state_dict["attention.proj.weight"].shape[1] // 2,
        "attention": len(state_dict["attention.context"]),
        "statistics": "night",
    }


UNRELEASED = ("spectrum.mean", "spectrum.std")  # of published weights: they came without


def tensorflow_linear(n_inputs: int, n_outputs: int) -> nn.Linear:
    """Return a linear layer that begins as TensorFlow's: the bias is drawn by the weights' rule."""
    layer = nn.Linear(n_inputs, n_outputs)
    nn.init.xavier_uniform_(layer.weight)
    bound = (6 / (2 * n_outputs)) ** 0.5  # as many in as out, says that library of a vector
    nn.init.uniform_(layer.bias, -bound, bound)
    return layer
