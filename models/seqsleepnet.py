"""SeqSleepNet: sequence-to-sequence staging on time-frequency images (Phan et al., TNSRE 2019).

Each epoch of each channel becomes a log-magnitude spectrogram of 29 frames; a learned filterbank
per channel, a recurrent layer over the frames and attention turn it into one vector; a second
recurrent layer over the epochs of the window gives all stages of the window at once.

Input: view `seq3`, 100 Hz; the networks of the transfer-learning article (TBME 2021) share one
output layer between all positions of the window, those of the first article do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from models import Present, Signals, StagerOutput, register
from models.layers import presence
from models.published import Adapter, StateDict

FRAME, HOP = 200, 100  # samples: frames of 2 s, every second
LEAST_MAGNITUDE = 1e-8  # an all-zero frame would be -inf, and spoil every statistic


@dataclass(frozen=True)
class Config:
    """Sizes of SeqSleepNet; the defaults are those of the article with EEG, EOG and EMG."""

    channels: tuple[str, ...] = ("EEG", "EOGh", "Chin")
    window: int = 20  # epochs
    samples: int = 3000  # per epoch: 30 s at 100 Hz
    rate_hz: float = 100.0
    n_fft: int = 256
    low_hz: float = 0.0  # of the filterbank
    high_hz: float = 50.0
    n_filters: int = 32
    frame_hidden: int = 64  # of the recurrent layer over frames, per direction
    attention: int = 64
    epoch_hidden: int = 64  # of the recurrent layer over epochs, per direction
    dropout: float = 0.25  # on input and output of each recurrent direction
    shared_head: bool = True  # one output layer for all positions of the window
    # Mean and standard deviation of each frequency come from the training nights (stored with the
    # weights) or, for weights released without them, from the night that is staged.
    statistics: Literal["training", "night"] = "training"
    n_classes: int = 5

    @property
    def n_frames(self) -> int:
        """Frames of an epoch."""
        return 1 + (self.samples - FRAME) // HOP

    @property
    def n_bins(self) -> int:
        """Frequencies of a frame."""
        return self.n_fft // 2 + 1


PRESETS = {
    "paper": Config(shared_head=False),
    "paper-10": Config(window=10, shared_head=False),
    "paper-30": Config(window=30, shared_head=False),
    "transfer-eeg": Config(channels=("EEG",), statistics="night"),
    "transfer-eog": Config(channels=("EOGh",), statistics="night"),
    "transfer-eeg-eog": Config(channels=("EEG", "EOGh"), statistics="night"),
}


class LogSpectrum(nn.Module):
    """Normalised log-magnitude spectrograms; absent epochs become the mean spectrum, zero."""

    taper: torch.Tensor
    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, config: Config) -> None:
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

    def decibel(self, x: torch.Tensor) -> torch.Tensor:
        """Return 20 log10 |X|, (..., F, bins), of epochs (..., T); float64 inside, as published."""
        frames = x.double().unfold(-1, FRAME, HOP) * self.taper
        magnitude = torch.fft.rfft(frames, self.config.n_fft).abs()
        return 20 * magnitude.clamp(min=LEAST_MAGNITUDE).log10().float()


class TriangularFilterbank(nn.Module):
    """Frequencies -> filters: free weights between 0 and 1 under fixed triangles."""

    triangles: torch.Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(config.n_filters, config.n_bins))
        self.register_buffer("triangles", _triangles(config), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., bins) -> (..., filters)."""
        return F.linear(x, self.weight.sigmoid() * self.triangles)


def _triangles(config: Config) -> torch.Tensor:
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


class StepNorm(nn.Module):
    """Batch normalisation with statistics of its own for every time step.

    Notes
    -----
    Scale and offset are shared by the steps. The running variance takes the biased variance of
    the batch, where PyTorch's own layer takes the unbiased one. Sequences longer than `n_steps`
    use the statistics of the last step.
    """

    momentum, eps = 0.05, 1e-5
    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, n_steps: int, width: int, *, offset: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((width,), 0.1))
        self.bias = nn.Parameter(torch.zeros(width)) if offset else None
        self.register_buffer("running_mean", torch.zeros(n_steps, width))
        self.register_buffer("running_var", torch.ones(n_steps, width))

    def forward(self, x: torch.Tensor, step: int | None = None) -> torch.Tensor:
        """Normalise one step (N, width), or all of them, (N, T, width), over the batch."""
        steps = torch.arange(x.shape[1]) if step is None else torch.tensor(step)
        steps = steps.clamp(max=len(self.running_mean) - 1).to(x.device)
        if self.training:
            mean, var = x.mean(dim=0), x.var(dim=0, correction=0)
            with torch.no_grad():
                for running, now in ((self.running_mean, mean), (self.running_var, var)):
                    running[steps] = torch.lerp(running[steps], now, self.momentum)
        else:
            mean, var = self.running_mean[steps], self.running_var[steps]
        x = (x - mean) * (self.weight * torch.rsqrt(var + self.eps))
        return x if self.bias is None else x + self.bias


class Direction(nn.Module):
    """One direction of an LSTM with recurrent batch normalisation (Cooijmans et al. 2017)."""

    def __init__(self, n_steps: int, n_inputs: int, hidden: int) -> None:
        super().__init__()
        self.weight_xh = nn.Parameter(torch.empty(4 * hidden, n_inputs))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden, hidden))
        for weight in (self.weight_xh, self.weight_hh):
            nn.init.orthogonal_(weight)
        self.bn_xh = StepNorm(n_steps, 4 * hidden, offset=False)
        self.bn_hh = StepNorm(n_steps, 4 * hidden)
        self.bn_c = StepNorm(n_steps, hidden)
        assert self.bn_hh.bias is not None
        nn.init.ones_(self.bn_hh.bias[:hidden])  # remember at first: the forget gate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, T, inputs) -> (N, T, hidden)."""
        hidden = self.weight_hh.shape[1]
        driven = self.bn_xh(F.linear(x, self.weight_xh))  # all steps at once
        h = c = x.new_zeros(len(x), hidden)
        outputs = []
        for step in range(x.shape[1]):
            gates = driven[:, step] + self.bn_hh(F.linear(h, self.weight_hh), step)
            forget, write, out, candidate = gates.chunk(4, dim=-1)
            c = forget.sigmoid() * c + write.sigmoid() * candidate.tanh()
            h = out.sigmoid() * self.bn_c(c, step).tanh()  # the plain c is what is carried on
            outputs.append(h)
        return torch.stack(outputs, dim=1)


class Recurrent(nn.Module):
    """Both directions; the backward one counts its steps from the end of the sequence."""

    def __init__(self, n_steps: int, n_inputs: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.fw = Direction(n_steps, n_inputs, hidden)
        self.bw = Direction(n_steps, n_inputs, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, T, inputs) -> (N, T, 2 hidden)."""
        forward = self.dropout(self.fw(self.dropout(x)))
        backward = self.dropout(self.bw(self.dropout(x).flip(1))).flip(1)
        return torch.cat([forward, backward], dim=-1)


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


def _published_sizes(state_dict: StateDict) -> dict[str, object]:
    """Read the sizes from published weights; which channels they read is not among them."""
    n_filters, n_bins = state_dict["filterbank.0.weight"].shape
    n_channels = sum(key.startswith("filterbank.") for key in state_dict)
    return {
        "channels": Config.channels[:n_channels],
        "window": len(state_dict["epoch_rnn.fw.bn_c.running_mean"]),
        "n_filters": n_filters,
        "n_fft": 2 * (n_bins - 1),
        "frame_hidden": state_dict["frame_rnn.fw.weight_hh"].shape[1],
        "attention": len(state_dict["attention.context"]),
        "epoch_hidden": state_dict["epoch_rnn.fw.weight_hh"].shape[1],
        "shared_head": "head.weight" in state_dict,
        "statistics": "night",
    }


@register("seqsleepnet")
class SeqSleepNet(nn.Module):
    """Stager of all epochs of a window at once.

    Parameters
    ----------
    config : Config
        `PRESETS["paper"]` reads EEG, EOG and EMG; the `transfer-*` presets fit released weights.
    """

    published = Adapter(config=_published_sizes, unreleased=("spectrum.mean", "spectrum.std"))

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.spectrum = LogSpectrum(config)
        self.filterbank = nn.ModuleList(TriangularFilterbank(config) for _ in config.channels)
        n_inputs, width = config.n_filters * len(config.channels), 2 * config.frame_hidden
        self.frame_rnn = Recurrent(config.n_frames, n_inputs, config.frame_hidden, config.dropout)
        self.attention = AttentionPool(width, config.attention)
        self.epoch_rnn = Recurrent(config.window, width, config.epoch_hidden, config.dropout)
        sizes = 2 * config.epoch_hidden, config.n_classes
        self.head = (
            nn.Linear(*sizes)
            if config.shared_head
            else nn.ModuleList(nn.Linear(*sizes) for _ in range(config.window))
        )
        for name, parameter in self.head.named_parameters():
            if name.endswith("weight"):
                nn.init.xavier_uniform_(parameter)
            else:  # TensorFlow's default draws the bias by the same rule, K in and K out
                bound = (6 / (2 * config.n_classes)) ** 0.5
                nn.init.uniform_(parameter, -bound, bound)

    @property
    def channels(self) -> dict[str, int]:
        """Channels it reads, with samples per epoch."""
        return dict.fromkeys(self.config.channels, self.config.samples)

    @property
    def window(self) -> int:
        """Epochs it takes at once."""
        return self.config.window

    def forward(self, signals: Signals, present: Present) -> StagerOutput:
        """Return logits (B, L, 5) in the order W N1 N2 N3 R and features (B, L, 128).

        Raises
        ------
        ValueError
            If none of the channels is given, or L differs from the window of the weights.
        """
        spectra = self.spectra(signals, present)
        if spectra.shape[1] != self.window:
            raise ValueError(f"windows of {spectra.shape[1]} epochs, want {self.window}")
        return self.stage(self.encode(spectra)[0])

    def spectra(self, signals: Signals, present: Present) -> torch.Tensor:
        """Return the normalised images (B, L, frames, bins, C); zeros where nothing is."""
        given = [signals[name] for name in self.config.channels if name in signals]
        if not given:
            wanted = ", ".join(self.config.channels)
            raise ValueError(f"none of {wanted} among the signals: {', '.join(signals) or 'none'}")
        nothing = torch.zeros_like(given[0])
        every = {name: signals.get(name, nothing) for name in self.config.channels}
        there = presence(every, present, list(every))  # (B, L, C)
        there &= torch.tensor([name in signals for name in every], device=there.device)
        return self.spectrum(torch.stack(list(every.values()), dim=2), there)

    def encode(self, spectra: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode each epoch: (B, L, frames, bins, C) -> vectors (B, L, 128), weights (B, L, F)."""
        flat = spectra.flatten(0, 1)
        filtered = [bank(flat[..., i]) for i, bank in enumerate(self.filterbank)]
        vectors, alpha = self.attention(self.frame_rnn(torch.cat(filtered, dim=-1)))
        shape = spectra.shape[:2]
        return vectors.unflatten(0, shape), alpha.unflatten(0, shape)

    def stage(self, vectors: torch.Tensor) -> StagerOutput:
        """Stage the epochs of windows from their vectors (B, L, 128)."""
        features = self.epoch_rnn(vectors)
        if isinstance(self.head, nn.ModuleList):
            columns = [head(features[:, i]) for i, head in enumerate(self.head)]
            return StagerOutput(torch.stack(columns, dim=1), features)
        return StagerOutput(self.head(features), features)

    @torch.inference_mode()
    def night_proba(self, signals: Mapping, present: Mapping | None = None) -> torch.Tensor:
        """Stage a whole night: the product of the probabilities of all windows around an epoch.

        Parameters
        ----------
        signals : {channel: array or tensor (E, T)}
            As in `forward`; a night shorter than a window is padded with epochs nobody recorded.
        present : {channel: bool (E,)}, optional
            Where each channel was recorded; a channel that is not named is there throughout.

        Returns
        -------
        float32 tensor (E, 5)
            Hypnodensity: the geometric mean over windows, of the same stage as the published
            product, scaled to sum 1. Each epoch is encoded once.
        """
        device = self.attention.context.device
        known = {k: v for k, v in signals.items() if k in self.config.channels}
        batch = {k: torch.as_tensor(v).to(device, torch.float32)[None] for k, v in known.items()}
        there = {k: torch.as_tensor(v).to(device)[None] for k, v in (present or {}).items()}
        vectors = self._night_vectors(batch, there)  # (E', 128), padded to a window
        windows = vectors.unfold(0, self.window, 1).mT  # (W, L, 128)
        votes = self.stage(windows).logits.log_softmax(dim=-1)  # (W, L, K)
        starts = torch.arange(len(votes), device=device)[:, None]
        epochs = (starts + torch.arange(self.window, device=device)).flatten()
        sums = votes.new_zeros(len(vectors), votes.shape[-1])
        sums.index_add_(0, epochs, votes.flatten(0, 1))
        mean = sums / epochs.bincount(minlength=len(vectors))[:, None]
        return mean.softmax(dim=-1)[: next(iter(batch.values())).shape[1]]

    def _night_vectors(self, batch: Signals, there: Present) -> torch.Tensor:
        """Encode each epoch of a night once, in pieces; add nothing-there epochs up to a window."""
        spectra = self.spectra(batch, there)[0]
        missing = max(0, self.window - len(spectra))
        spectra = F.pad(spectra, (0, 0, 0, 0, 0, 0, 0, missing))
        return torch.cat([self.encode(part[None])[0][0] for part in spectra.split(128)])
