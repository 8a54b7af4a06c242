"""Occlusion: what a stager would say less surely if a piece of signal were not there.

Asks nothing of a stager but its answers, so it serves each one. Two questions:

- `occlude_spans`, of a network: the probability that the stage of an epoch loses when a span of one
  channel is noise of the spectrum that the channel has around the epoch, and when the channel is
  absent from the whole window. (A flat span would be told apart from any sleep at once: networks
  that read log-spectra then lose their stage wherever it is, measured on a real night.)
- `occlude_channels`, of any stager: the same of the whole night, staged again without each channel.

Reference: Zeiler and Fergus (2014). Visualizing and understanding convolutional networks. ECCV,
section 4.2 (there the patch is grey).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from nights.stages import EPOCH_S
from recordings.channels import TARGETS
from staging.stage import Reading, Stager

SPAN_S = 3.0  # a slow wave takes up to 2 s, a spindle 0.5 to 3 s (AASM manual)
AROUND = 60  # epochs on each side for a network that takes a night of any length
DRAWS = 2  # of the noise; their mean is taken
EPOCHS_AT_ONCE = 240  # through the network together

Changed = Mapping[str, torch.Tensor]  # {channel: what is other than it was}
_NOTHING: Changed = {}


@dataclass(frozen=True, eq=False)
class Occlusion:
    """What the stages of N epochs owe to C channels.

    Parameters
    ----------
    channels : tuple of str
    epochs, stages : int64 arrays (N,)
        Which epochs of the night, and the stage whose probability is followed.
    proba : float32 array (N,)
        Probability of the stage with everything there.
    spans : float32 array (N, C, P)
        What it loses when a span of a channel is noise; NaN where not recorded.
    absent : float32 array (N, C)
        What it loses when a channel is absent from the window; NaN for the only one.
    """

    channels: tuple[str, ...]
    epochs: np.ndarray
    stages: np.ndarray
    proba: np.ndarray
    spans: np.ndarray
    absent: np.ndarray


@torch.inference_mode()
def occlude_spans(
    model: Any,
    signals: Mapping[str, Any],
    present: Mapping[str, Any] | None = None,
    *,
    epochs: np.ndarray,
    stages: np.ndarray | None = None,
    span_s: float = SPAN_S,
    seed: int = 0,
) -> Occlusion:
    """Occlude spans and channels around epochs of a night.

    Parameters
    ----------
    model : Module
        A stager of the registry, in evaluation mode. Each epoch is read in the middle of one window
        or, by a network that takes any number of epochs, of an hour.
    signals : {channel: array or tensor (E, T)}
    present : {channel: bool (E,)}, optional
        Where each channel was recorded; a channel that is not named is there throughout.
    epochs : int array (N,)
    stages : int array (E,), optional
        The stage of each epoch of the night to follow; default, and where it is -1: the likeliest.
    span_s : float
        Seconds of a span; a whole number of them must fill an epoch.
    seed : int
        Of the noise.

    Raises
    ------
    ValueError
        If the spans do not fill an epoch, or nothing was recorded in one that was asked for.
    """
    n_spans = round(EPOCH_S / span_s)
    if n_spans < 1 or abs(n_spans * span_s - EPOCH_S) > 1e-6:
        raise ValueError(f"spans of {span_s:g} s do not fill an epoch of {EPOCH_S:g} s")
    channels = tuple(name for name in model.channels if name in signals)
    found = []
    for epoch in np.asarray(epochs).tolist():
        window = _Window(model, signals, present or {}, channels, epoch, seed)
        stage = -1 if stages is None else int(stages[epoch])
        found.append(window.occluded(stage, n_spans))
    stage_of, proba, spans, absent = (np.array(part) for part in zip(*found, strict=True))
    return Occlusion(
        channels,
        np.asarray(epochs, dtype=np.int64),
        stage_of,
        *(part.astype(np.float32) for part in (proba, spans, absent)),
    )


class _Window:
    """What a network reads around one epoch, to be read again with pieces missing."""

    def __init__(
        self,
        model: Any,
        signals: Mapping[str, Any],
        present: Mapping[str, Any],
        channels: tuple[str, ...],
        epoch: int,
        seed: int,
    ) -> None:
        n_epochs = len(signals[channels[0]])
        length = model.window or min(n_epochs, 2 * AROUND + 1)
        first = int(np.clip(epoch - length // 2, 0, max(0, n_epochs - length)))
        missing = max(0, length - n_epochs)
        device = next(model.parameters()).device
        self.model, self.channels = model, channels
        self.epoch, self.place = epoch, epoch - first
        self.signals, self.present = {}, {}
        for name in channels:
            x = torch.as_tensor(signals[name][first : first + length]).to(device, torch.float32)
            there = torch.as_tensor(present.get(name, np.ones(n_epochs, dtype=bool)))
            self.signals[name] = F.pad(x, (0, 0, 0, missing))  # (L, T)
            self.present[name] = F.pad(there[first : first + length].to(device), (0, missing))
        self.at_once = max(1, EPOCHS_AT_ONCE // length)
        self.generator = torch.Generator().manual_seed(seed + epoch)
        self.spectra: dict[tuple[str, int], torch.Tensor] = {}

    def occluded(self, stage: int, n_spans: int) -> tuple[int, float, np.ndarray, np.ndarray]:
        """Return the stage, its probability, and the losses (C, P) and (C,)."""
        whole = self._proba([(_NOTHING, _NOTHING)])[0]
        stage = int(whole.argmax()) if stage < 0 else stage
        shape = len(self.channels), n_spans
        spans, absent = np.full(shape, np.nan), np.full(shape[0], np.nan)
        there = [i for i, name in enumerate(self.channels) if self.present[name][self.place]]
        if not there:
            raise ValueError(f"nothing was recorded in epoch {self.epoch + 1}: nothing to explain")
        noisy = [
            (self._replaced(self.channels[i], n_spans, place), _NOTHING)
            for i in there
            for place in range(n_spans)
            for _ in range(DRAWS)
        ]
        kept = self._proba(noisy)[:, stage].reshape(-1, n_spans, DRAWS).mean(axis=-1)
        spans[there] = whole[stage] - kept
        if len(there) > 1:
            gone = [(_NOTHING, self._without(self.channels[i])) for i in there]
            absent[there] = whole[stage] - self._proba(gone)[:, stage]
        return stage, float(whole[stage]), spans, absent

    def _replaced(self, name: str, n_spans: int, place: int) -> dict[str, torch.Tensor]:
        """Return a channel with one span of the epoch as noise of the usual spectrum."""
        changed = self.signals[name].clone()
        epoch = changed[self.place]
        first, end = (len(epoch) * edge // n_spans for edge in (place, place + 1))
        usual = self._usual_spectrum(name, end - first)
        turns = torch.rand(len(usual), generator=self.generator).to(usual.device)
        turns[0] = 0  # the mean stays
        noise = torch.fft.irfft(usual * torch.exp(2j * torch.pi * turns), n=end - first)
        epoch[first:end] = noise
        return {name: changed}

    def _usual_spectrum(self, name: str, size: int) -> torch.Tensor:
        """Return the root mean square spectrum of spans in the window, and their mean, signed."""
        if (name, size) not in self.spectra:
            spans = self.signals[name][self.present[name]].unfold(-1, size, size)  # (L, P, size)
            spectra = torch.fft.rfft(spans).flatten(0, 1)
            usual = spectra.abs().square().mean(dim=0).sqrt()
            usual[0] = spectra[:, 0].real.mean()
            self.spectra[name, size] = usual
        return self.spectra[name, size]

    def _without(self, name: str) -> dict[str, torch.Tensor]:
        """Return where a channel is that is nowhere."""
        return {name: torch.zeros_like(self.present[name])}

    def _proba(self, changes: Sequence[tuple[Changed, Changed]]) -> np.ndarray:
        """Return the probabilities (N, K) of the epoch with other signals or other presence."""
        parts = []
        for begin in range(0, len(changes), self.at_once):
            some = changes[begin : begin + self.at_once]
            signals = {
                n: torch.stack([change.get(n, x) for change, _ in some])
                for n, x in self.signals.items()
            }
            present = {
                n: torch.stack([change.get(n, p) for _, change in some])
                for n, p in self.present.items()
            }
            logits = self.model(signals, present).logits[:, self.place]
            parts.append(logits.softmax(dim=-1).float().cpu().numpy())
        return np.concatenate(parts)


def occlude_channels(
    stager: Stager, reading: Reading, proba: np.ndarray, stages: np.ndarray
) -> dict[str, np.ndarray]:
    """Stage a night again without each of its channels.

    Parameters
    ----------
    stager : Stager
        Any that reads signals.
    reading : Reading
        What it read.
    proba : array (E, K)
        What it said with everything there.
    stages : int array (E,)
        The stage of each epoch to follow; -1 where there is none.

    Returns
    -------
    dict of str to float32 array (E,)
        What the probability of the stage loses; empty if there is one channel only.
    """
    if reading.signals is None:
        return {}
    rows, chosen = np.arange(len(stages)), np.maximum(stages, 0)
    lost = {}
    for name, fewer in _fewer(stager, reading):
        without = stager.proba(fewer)[rows, chosen]
        loss = proba[rows, chosen] - without
        lost[name] = np.where(stages < 0, np.nan, loss).astype(np.float32)
    return lost


def _fewer(stager: Stager, reading: Reading) -> Iterator[tuple[str, Reading]]:
    """Yield each channel that a stager can do without, and what was read but for it.

    A stager that is no network of the house asks for an EEG.
    """
    assert reading.signals is not None
    names = list(reading.signals.signals)
    eeg = [name for name in names if TARGETS[name].kind == "eeg"]
    needed = eeg if len(eeg) == 1 and not hasattr(stager, "model") else []
    for name in names:
        if len(names) > 1 and name not in needed:
            kept = {n: x for n, x in reading.signals.signals.items() if n != name}
            yield name, replace(reading, signals=replace(reading.signals, signals=kept))
