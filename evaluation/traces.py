"""Signals of a night as figures need them: cut into epochs; courses and spectrograms."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from nights.stages import EPOCH_S
from recordings.ingest import NightSignals


@dataclass(frozen=True, eq=False)
class Trace:
    """Samples (E, S) of one signal of a night, cut into epochs, in `unit`; NaN is left blank."""

    name: str
    samples: np.ndarray
    unit: str = "uV"

    @property
    def rate_hz(self) -> float:
        """Samples per second."""
        return self.samples.shape[1] / EPOCH_S

    def between(self, from_s: float, to_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Return seconds from epoch 0 and the samples of a stretch, as far as the night reaches."""
        first, end = (round(seconds * self.rate_hz) for seconds in (from_s, to_s))
        size = self.samples.shape[1]
        epochs = self.samples[max(first, 0) // size : -(-max(end, 0) // size)]
        samples = epochs.reshape(-1).astype(np.float32)
        places = max(first, 0) // size * size + np.arange(len(samples))
        inside = (places >= first) & (places < end)
        return places[inside] / self.rate_hz, samples[inside]

    def around(self, epoch: int, context_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Return seconds from the start of `epoch` and the samples, as far as the night reaches."""
        first = max(epoch - ceil(context_s / EPOCH_S), 0)
        last = epoch + ceil(context_s / EPOCH_S) + 1
        samples = self.samples[first:last].reshape(-1).astype(np.float32)
        time = np.arange(len(samples)) / self.rate_hz - (epoch - first) * EPOCH_S
        near = (time >= -context_s) & (time < EPOCH_S + context_s)
        return time[near], samples[near]


@dataclass(frozen=True, eq=False)
class Course:
    """One value per epoch (E,), such as a heart rate; NaN is left blank. `source`: the channel."""

    name: str
    values: np.ndarray
    unit: str
    source: str = ""


def traces_of(night: NightSignals) -> tuple[Trace, ...]:
    """Return the signals of a night as figures need them."""
    units = {record.target: record.unit for record in night.channels}
    return tuple(Trace(name, epochs, units[name]) for name, epochs in night.signals.items())


def spectrogram(eeg: Trace, highest_hz: float = 30.0) -> tuple[np.ndarray, np.ndarray]:
    """Return the spectrogram of a night, one column per epoch.

    Parameters
    ----------
    eeg : Trace
        Samples (E, S) of one signal.
    highest_hz : float
        Highest frequency returned, if the rate reaches so far.

    Returns
    -------
    frequency : float64 array (F,)
        In Hz, in steps of 0.5 Hz.
    power_db : float32 array (F, E)
        10 log10 of the power density (unit squared per Hz); NaN where an epoch is flat or missing.

    Notes
    -----
    Welch's mean of Hann windows of 2 s that overlap by half, each epoch by itself.
    """
    import scipy.fft

    size = 2 * round(eeg.rate_hz)
    windows = np.lib.stride_tricks.sliding_window_view(eeg.samples, size, axis=1)[:, :: size // 2]
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)
    bins = min(int(highest_hz * size / eeg.rate_hz), size // 2) + 1
    power = np.zeros((len(windows), bins), dtype=np.float32)
    for place in range(windows.shape[1]):  # one window of all epochs at a time keeps memory low
        cut = windows[:, place] - windows[:, place].mean(axis=1, keepdims=True)
        spectrum = scipy.fft.rfft(cut * hann, axis=1)[:, :bins]
        power += spectrum.real**2 + spectrum.imag**2
    power *= 2 / (windows.shape[1] * eeg.rate_hz * float(np.sum(hann**2)))
    with np.errstate(divide="ignore"):
        power_db = 10 * np.log10(power.T)
    power_db[:, ~(power.sum(axis=1) > 1e-9)] = np.nan  # flat: nothing was measured
    return np.arange(bins) * eeg.rate_hz / size, power_db
