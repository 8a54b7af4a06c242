"""Heart rate and its variability: of an epoch, of a stage, of a night, each with its definition.

Everything is of NN intervals: from one normal beat to the next (`recordings.beats`). Intervals that
are no such are left out; nothing is invented in their place. Of a pulse wave the same numbers are
pulse rate variability: close to that of the heart at rest, larger when the body moves.

References
----------
.. [1] Task Force of the European Society of Cardiology and the North American Society of Pacing and
   Electrophysiology (1996). Heart rate variability: standards of measurement. Circulation 93(5),
   1043-1065. Definitions, bands, five-minute stretches.
.. [2] Clifford and Tarassenko (2005). Quantifying errors in spectral estimates of HRV due to beat
   replacement and resampling. IEEE Trans Biomed Eng 52(4), 630-638.
"""

from __future__ import annotations

import numpy as np

from evaluation.statistics import Definition
from nights.hypnogram import Hypnogram
from nights.stages import EPOCH_S, W
from recordings.beats import normal_intervals

LF_HZ, HF_HZ = (0.04, 0.15), (0.15, 0.4)  # [1]_, table 2
STRETCH_S = 300.0  # [1]_: short-term spectra are of five minutes
_STRETCH_HZ = 4.0  # more than twice the highest band, and faster than any heart
# Of a stretch; with more interpolated the spectrum is of the interpolation [2]_
_NORMAL_SHARE = 0.8
_FEWEST = 5  # NN intervals that give an epoch a rate

HEART_DEFINITIONS: dict[str, Definition] = {
    "heart_bpm": Definition("1/min", "60 / mean NN interval of the whole recording"),
    "heart_asleep_bpm": Definition("1/min", "mean over the epochs of sleep of their heart rate"),
    "heart_lowest_bpm": Definition("1/min", "lowest heart rate of an epoch"),
    "heart_highest_bpm": Definition("1/min", "highest heart rate of an epoch"),
    "sdnn_ms": Definition("ms", "standard deviation of all NN intervals"),
    "sdnn_index_ms": Definition("ms", "mean over 5 min stretches of the deviation within each"),
    "rmssd_ms": Definition("ms", "root mean square of the differences of successive NN intervals"),
    "lf_ms2": Definition("ms²", "power of the NN intervals, 0.04 to 0.15 Hz, median of 5 min"),
    "hf_ms2": Definition("ms²", "power of the NN intervals, 0.15 to 0.4 Hz, median of 5 min"),
    "lf_hf": Definition("", "LF / HF, median over 5 min stretches"),
    "beats": Definition("", "beats found"),
    "artefact_percent": Definition("%", "intervals that are not from one normal beat to the next"),
}


def heart_rate(beats_s: np.ndarray, n_epochs: int) -> np.ndarray:
    """Return the heart rate of each epoch.

    Parameters
    ----------
    beats_s : float array (n,)
        Times of the beats in seconds from the start of epoch 0, ascending.
    n_epochs : int
        Number of epochs E.

    Returns
    -------
    float32 array (E,)
        60 / the mean of the NN intervals that end in the epoch; NaN with fewer than 5.
    """
    rr_s, normal = normal_intervals(beats_s)
    count, total = _per_epoch(np.asarray(beats_s)[1:][normal], rr_s[normal], n_epochs)
    rate = np.divide(60 * count, total, where=count >= _FEWEST, out=np.full(n_epochs, np.nan))
    return rate.astype(np.float32)


def rmssd(beats_s: np.ndarray, n_epochs: int) -> np.ndarray:
    """Return the RMSSD of each epoch in ms, float32 (E,); NaN with fewer than 5 pairs of beats.

    Parameters are those of `heart_rate`; a difference counts where its second interval ends.
    """
    rr_s, normal = normal_intervals(beats_s)
    pairs = normal[1:] & normal[:-1]
    squared = (1e3 * np.diff(rr_s)[pairs]) ** 2
    count, total = _per_epoch(np.asarray(beats_s)[2:][pairs], squared, n_epochs)
    mean = np.divide(total, count, where=count >= _FEWEST, out=np.full(n_epochs, np.nan))
    return np.sqrt(mean).astype(np.float32)


def heart_statistics(beats_s: np.ndarray, hypnogram: Hypnogram | None = None) -> dict[str, float]:
    """Return the statistics of `HEART_DEFINITIONS` for one recording.

    Parameters
    ----------
    beats_s : float array (n,)
        Times of the beats in seconds from the first sample, ascending.
    hypnogram : Hypnogram or None
        Which epochs are sleep; without it nothing is said of sleep.

    Returns
    -------
    dict of str to float
        In the order of the definitions; NaN where there are too few beats.
    """
    beats_s = np.asarray(beats_s, dtype=np.float64)
    rr_s, normal = normal_intervals(beats_s)
    nn_ms = 1e3 * rr_s[normal]
    n_epochs = hypnogram.n_epochs if hypnogram else int(beats_s.max(initial=0) // EPOCH_S)
    rate = heart_rate(beats_s - (hypnogram.onset_s if hypnogram else 0.0), n_epochs)
    known = rate[np.isfinite(rate)]
    asleep = rate[hypnogram.stages > W] if hypnogram else rate[:0]
    pairs = normal[1:] & normal[:-1]
    steps_ms = 1e3 * np.diff(rr_s)[pairs]
    within, lf, hf = _stretches(beats_s, rr_s, normal)
    return {
        "heart_bpm": 6e4 / _mean(nn_ms),
        "heart_asleep_bpm": _mean(asleep[np.isfinite(asleep)]),
        "heart_lowest_bpm": float(min(known, default=np.nan)),
        "heart_highest_bpm": float(max(known, default=np.nan)),
        "sdnn_ms": float(nn_ms.std(ddof=1)) if nn_ms.size > 1 else np.nan,
        "sdnn_index_ms": _mean(within),
        "rmssd_ms": float(np.sqrt(_mean(steps_ms**2))),
        "lf_ms2": _median(lf),
        "hf_ms2": _median(hf),
        "lf_hf": _median(lf / hf) if hf.size and (hf > 0).all() else np.nan,
        "beats": float(beats_s.size),
        "artefact_percent": 100 * _mean(~normal),
    }


def mean_by_stage(values: np.ndarray, hypnogram: Hypnogram) -> dict[str, float]:
    """Return the mean of a value per epoch (E,) over the epochs of each stage, NaN left out."""
    known = np.isfinite(values)
    return {
        name: _mean(values[known & (hypnogram.stages == code)])
        for code, name in enumerate(hypnogram.classes)
    }


def _stretches(
    beats_s: np.ndarray, rr_s: np.ndarray, normal: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return SDNN (ms), LF and HF (ms²) of every five minutes with enough normal beats."""
    from scipy.interpolate import CubicSpline

    ends_s, nn_s = beats_s[1:][normal], rr_s[normal]
    n = int(beats_s.max(initial=0) // STRETCH_S)
    bounds = np.searchsorted(ends_s, STRETCH_S * np.arange(n + 1))
    covered = np.array([nn_s[a:b].sum() for a, b in zip(bounds, bounds[1:], strict=False)])
    used = np.flatnonzero(covered >= _NORMAL_SHARE * STRETCH_S)
    within = np.array([1e3 * nn_s[bounds[k] : bounds[k + 1]].std(ddof=1) for k in used])
    if not used.size:
        return within, np.zeros(0), np.zeros(0)
    size = round(STRETCH_S * _STRETCH_HZ)
    times_s = np.arange(n * size) / _STRETCH_HZ
    within_s = np.clip(times_s, ends_s[0], ends_s[-1])
    # A line between beats would take a quarter of the power at 0.25 Hz.
    even_ms = 1e3 * CubicSpline(ends_s, nn_s)(within_s).reshape(n, size)[used]
    return within, _band_power(even_ms, LF_HZ), _band_power(even_ms, HF_HZ)


def _band_power(even_ms: np.ndarray, band_hz: tuple[float, float]) -> np.ndarray:
    """Return the power in a band of each row (n, S), trend removed, under a Hann window."""
    from scipy.signal import detrend

    size = even_ms.shape[1]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    power = np.abs(np.fft.rfft(detrend(even_ms, axis=1) * hann, axis=1)) ** 2
    frequency = np.fft.rfftfreq(size, 1 / _STRETCH_HZ)
    inside = (frequency >= band_hz[0]) & (frequency < band_hz[1])
    return 2 * power[:, inside].sum(axis=1) / (size * np.sum(hann**2))


def _per_epoch(
    moments_s: np.ndarray, values: np.ndarray, n_epochs: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return how many values fall into each epoch and their sum, both (E,)."""
    epoch = (moments_s // EPOCH_S).astype(np.int64)
    inside = (epoch >= 0) & (epoch < n_epochs)
    epoch, values = epoch[inside], values[inside]
    return (
        np.bincount(epoch, minlength=n_epochs),
        np.bincount(epoch, values, minlength=n_epochs),
    )


def _mean(values: np.ndarray) -> float:
    """Return the mean, NaN of nothing."""
    return float(np.mean(values)) if len(values) else float("nan")


def _median(values: np.ndarray) -> float:
    """Return the median, NaN of nothing."""
    return float(np.median(values)) if len(values) else float("nan")
