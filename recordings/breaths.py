"""Breaths in a belt or an airflow signal, and how rhythmic a signal is; falls of oxygen.

Pure functions of arrays. A breath is a wave that stands out from the breathing of the minutes
around it, so that an apnea holds none and a hypopnea holds small ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from nights.stages import EPOCH_S
from recordings.beats import Wave, band_passed, between_samples

BREATH_HZ = Fraction(8)  # where breaths are looked for
SLOWEST_HZ = 1.0  # a signal sampled at 1 Hz still shows 24 breaths a minute
_BREATHING = Wave("breathing", SLOWEST_HZ, BREATH_HZ)
_BAND_HZ = (0.1, 0.7)  # 6 to 42 breaths a minute: adults asleep have 8 to 25
_RHYTHM_BAND_HZ = (0.05, 2.0)  # wide: what is noise must be allowed to look like it
_BLOCK_S, _BLOCKS, _USUAL = 10, 31, 75  # usual size: upper quartile of the 10 s blocks in 5 min
_BREATH = 0.2  # of the usual breath, as share of its height; AASM: an apnea has less than 0.1
_WINDOW_S = 60.0  # rhythm is looked for in a minute around each epoch
_PERIODS_S = (1.5, 12.0)  # of a breath: 40 to 5 a minute

DESATURATION_PERCENT = 3.0  # AASM manual v3: 3 % or more (4 % in the rule for Medicare)
_FALL_S = 120.0  # the longest fall that is one event: an apnea of a minute and the delay of blood
_OXYGEN = (40.0, 100.0)  # what an oximeter can show; anything else is a sensor that is off


@dataclass(frozen=True, eq=False)
class Breaths:
    """Breaths found in a signal.

    Parameters
    ----------
    times_s : float64 array (n,)
        Seconds from the first sample to the top of each wave.
    heights : float32 array (n,)
        How far each wave stands out, in the unit of the signal.
    """

    times_s: np.ndarray
    heights: np.ndarray


def find_breaths(signal: np.ndarray, rate_hz: Fraction | float) -> Breaths:
    """Find the breaths in the effort of a belt, in airflow or in nasal pressure.

    Parameters
    ----------
    signal : array (n,)
        Finite samples of any unit and polarity.
    rate_hz : Fraction or float
        `SLOWEST_HZ` or more.

    Returns
    -------
    Breaths
        Empty for a flat signal.

    Raises
    ------
    ValueError
        If the rate is too low for breathing.
    """
    from scipy.signal import find_peaks

    wave, found_hz = band_passed(signal, rate_hz, _BAND_HZ, _BREATHING)
    if not wave.any():
        return Breaths(np.zeros(0), np.zeros(0, dtype=np.float32))
    # A sine of amplitude a deviates by a / sqrt(2) and stands 2 a above its troughs.
    lowest = _BREATH * 2 * math.sqrt(2) * _usual_deviation(wave, found_hz)
    shortest = max(round(_PERIODS_S[0] * found_hz), 1)
    reach = round(2 * _PERIODS_S[1] * found_hz)
    peaks, found = find_peaks(wave, prominence=lowest, distance=shortest, wlen=reach)
    places = between_samples(wave, peaks)
    return Breaths(places / found_hz, found["prominences"].astype(np.float32))


def breathing_rate(breaths_s: np.ndarray, n_epochs: int) -> np.ndarray:
    """Return the breaths per minute of each epoch.

    Parameters
    ----------
    breaths_s : float array (n,)
        Times of the breaths in seconds from the start of epoch 0, ascending.
    n_epochs : int
        Number of epochs E.

    Returns
    -------
    float32 array (E,)
        60 / the median interval between the breaths of an epoch and of the 15 s on both sides,
        pauses of 10 s and more (apneas, AASM) left out; NaN with fewer than 3 intervals.
    """
    interval_s = np.diff(np.asarray(breaths_s, dtype=np.float64))
    breathing = interval_s < 10
    middle_s, interval_s = (breaths_s[1:] - interval_s / 2)[breathing], interval_s[breathing]
    edges = EPOCH_S * np.arange(n_epochs)
    first = np.searchsorted(middle_s, edges - EPOCH_S / 2)
    last = np.searchsorted(middle_s, edges + 1.5 * EPOCH_S)
    rate = np.full(n_epochs, np.nan, dtype=np.float32)
    for epoch in np.flatnonzero(last - first >= 3):
        rate[epoch] = 60 / np.median(interval_s[first[epoch] : last[epoch]])
    return rate


def rhythm(signal: np.ndarray, rate_hz: Fraction | float, n_epochs: int) -> np.ndarray:
    """Return how regularly each epoch repeats itself at the pace of breathing: 0 to 1.

    Parameters
    ----------
    signal : array (n,)
        Finite samples.
    rate_hz : Fraction or float
        `SLOWEST_HZ` or more.
    n_epochs : int
        Number of epochs E.

    Returns
    -------
    float32 array (E,)
        Height of the highest rise of the autocorrelation of the minute around an epoch, between
        periods of 1.5 and 12 s, above the dip before it, halved: 1 for a pure wave, about 0.2 for
        noise, 0 where nothing repeats or the signal is flat.
    """
    wave, found_hz = band_passed(signal, rate_hz, _RHYTHM_BAND_HZ, _BREATHING)
    size = round(_WINDOW_S * found_hz)
    ahead = round((_WINDOW_S - EPOCH_S) / 2 * found_hz)
    starts = np.rint(EPOCH_S * np.arange(n_epochs) * found_hz).astype(np.int64)
    padded = np.pad(wave, (ahead, size))
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)
    likeness = _autocorrelation(windows[np.minimum(starts, len(windows) - 1)])
    first, last = (round(period * found_hz) for period in _PERIODS_S)
    dip = np.minimum.accumulate(likeness[:, : last + 1], axis=1)
    rise = (likeness[:, : last + 1] - dip)[:, first:].max(axis=1)
    return np.clip(rise / 2, 0, 1).astype(np.float32)


def find_desaturations(
    spo2: np.ndarray, rate_hz: Fraction | float, *, fall: float = DESATURATION_PERCENT
) -> tuple[np.ndarray, np.ndarray]:
    """Find falls of the oxygen saturation.

    Parameters
    ----------
    spo2 : array (n,)
        In percent; what lies outside 40 to 100 is a sensor that is off.
    rate_hz : Fraction or float
        1 Hz is enough.
    fall : float
        Smallest fall that counts, in percent.

    Returns
    -------
    onset_s, duration_s : float64 arrays (n,)
        From the last moment at the highest value to the lowest one, within 120 s.

    Notes
    -----
    The saturation has to rise again by two thirds of `fall` (or by half of its own fall) before
    another fall counts, so one apnea is one event.
    """
    second = oxygen_per_second(spo2, rate_hz)
    marks = _falls(second.tolist(), fall)
    found = np.array(marks, dtype=np.float64).reshape(-1, 2)
    return found[:, 0], found[:, 1] - found[:, 0]


def oxygen_per_second(spo2: np.ndarray, rate_hz: Fraction | float) -> np.ndarray:
    """Return the saturation of each second (n,) float64: the highest valid value of the second.

    Parameters
    ----------
    spo2 : array (n,)
        In percent; what lies outside 40 to 100 is a sensor that is off.
    rate_hz : Fraction or float
        1 Hz or more.

    Returns
    -------
    float64 array
        NaN for a second without a valid value.
    """
    n_seconds = math.ceil(len(spo2) / rate_hz)
    places = np.floor(np.arange(n_seconds) * float(rate_hz)).astype(np.int64)
    valid = np.where((spo2 >= _OXYGEN[0]) & (spo2 <= _OXYGEN[1]), spo2, -np.inf)
    highest = np.maximum.reduceat(valid, places[places < len(spo2)]) if len(spo2) else valid
    return np.where(np.isfinite(highest), highest, np.nan)


# ---------------------------------------------------------------------------------------- parts


def _usual_deviation(wave: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return for each sample the usual standard deviation of the minutes around it (n,)."""
    from scipy.ndimage import percentile_filter

    block = round(_BLOCK_S * rate_hz)
    n_blocks = -(-len(wave) // block)
    padded = np.pad(wave, (0, n_blocks * block - len(wave)), mode="edge")
    spread = padded.reshape(n_blocks, block).std(axis=1)
    size = min(_BLOCKS, 2 * n_blocks - 1)
    usual = percentile_filter(spread, _USUAL, size=size, mode="nearest")
    return np.repeat(np.maximum(usual, np.finfo(np.float32).tiny), block)[: len(wave)]


def _autocorrelation(windows: np.ndarray) -> np.ndarray:
    """Return the autocorrelation (E, S) of each window, 1 at lag 0; 0 for a flat window."""
    from scipy import fft

    size = windows.shape[1]
    centred = windows - windows.mean(axis=1, keepdims=True)
    spectra = fft.rfft(centred, 2 * size, axis=1)
    found = fft.irfft(spectra.real**2 + spectra.imag**2, 2 * size, axis=1)[:, :size]
    found *= size / (size - np.arange(size))  # each lag by the pairs it has
    return found / np.maximum(found[:, :1], np.finfo(np.float32).tiny)


def _falls(seconds: list[float], fall: float) -> list[tuple[int, int]]:
    """Return (second of the last highest value, second of the lowest) of each fall."""
    found: list[tuple[int, int]] = []
    top = bottom = 0
    for now, value in enumerate(seconds):
        if math.isnan(value) or math.isnan(seconds[top]):
            top = bottom = now
            continue
        deep = seconds[top] - seconds[bottom]
        if deep >= fall and value - seconds[bottom] >= min(2 * fall / 3, deep / 2):
            found.append((top, bottom))
            top = bottom = now
        elif value >= seconds[top] or (deep < fall and now - top > _FALL_S):
            top = bottom = now
        elif value < seconds[bottom]:
            bottom = now
    if not seconds or math.isnan(seconds[top]):
        return found
    return [*found, (top, bottom)] if seconds[top] - seconds[bottom] >= fall else found
