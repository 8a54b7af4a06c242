"""Heart beats: R peaks of an ECG, pulses of a PPG, the intervals between them, a heart-rate signal.

Pure functions of arrays. A wave that rises with every beat is made of the signal (the power of the
QRS band, the slope of the pulse), its peaks above a threshold that follows the night are the beats,
and each moment is read between the samples, so that 34 Hz are enough.

References
----------
.. [1] Pan and Tompkins (1985). A real-time QRS detection algorithm. IEEE Trans Biomed Eng 32(3),
   230-236. Band, energy in a moving window, search back for missed beats.
.. [2] Lipponen and Tarvainen (2019). A robust algorithm for heart rate variability time series
   artefact correction using novel beat classification. J Med Eng Technol 43(3), 173-181.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from nights.stages import EPOCH_S
from recordings.responses import butter2
from recordings.signals import filter_resample

ECG_HZ, PPG_HZ = Fraction(64), Fraction(32)  # where beats are looked for
SLOWEST_ECG_HZ, SLOWEST_PPG_HZ = 25.0, 12.0  # below this the QRS, the rise of a pulse, are lost
_QRS_BAND_HZ = (5.0, 20.0)  # [1]_: 5 to 11 Hz; wider, so that a moment is read to milliseconds
_PULSE_BAND_HZ = (0.5, 8.0)  # Elgendi et al. (2013), PLoS ONE 8(10), e76585
_HIGHEST_CORNER = 0.42  # of the rate: a corner nearer to its half leaves the filter no slope
_QRS_S = 0.1  # a QRS lasts 60 to 120 ms
_REFRACTORY_S = 0.28  # 214 beats a minute; shorter than any RR interval of a sleeper
_BLOCK_S, _BLOCKS = 1.6, 11  # a block holds a beat, the threshold follows 18 s of them
_STRONG, _WEAK = 0.4, 0.2  # of the usual beat; weak ones fill gaps only ([1]_ halves it too)
_GAP = 1.5  # of the usual interval: a beat may have been missed
_EDGE = 0.6  # of the usual interval: no weak beat is nearer to a strong one

SHORTEST_S, LONGEST_S = 0.3, 2.0  # 200 to 30 beats a minute
_USUAL_OF = 11  # intervals; longer than a breath, so that its sway is no artefact
_FROM_USUAL = (
    0.3  # share by which an interval may differ from the usual one: breath sways up to 25%
)
_LONGEST_HOLD_S = 10.0  # a heart rate is told so far from the next normal interval


@dataclass(frozen=True, eq=False)
class Beats:
    """Beats found in a signal.

    Parameters
    ----------
    times_s : float64 array (n,)
        Seconds from the first sample: the R peak, or the steepest rise of the pulse.
    likeness : float32 array (n,)
        Correlation of the signal around a beat with the median beat of the signal, -1 to 1. In
        noise it is low, whatever was found.
    """

    times_s: np.ndarray
    likeness: np.ndarray


@dataclass(frozen=True)
class Wave:
    """A wave that comes again and again."""

    name: str  # with its article
    slowest_hz: float  # a slower signal cannot hold it
    found_hz: Fraction  # rate at which it is looked for


def ecg_beats(ecg: np.ndarray, rate_hz: Fraction | float) -> Beats:
    """Find the R peaks of an ECG of any unit and polarity.

    Parameters
    ----------
    ecg : array (n,)
        Finite samples.
    rate_hz : Fraction or float
        `SLOWEST_ECG_HZ` or more.

    Returns
    -------
    Beats
        Empty for a flat signal.

    Raises
    ------
    ValueError
        If the rate is too low for a QRS complex.
    """
    wave = Wave("a QRS complex", SLOWEST_ECG_HZ, ECG_HZ)
    band, found_hz = band_passed(ecg, rate_hz, _QRS_BAND_HZ, wave)
    if not band.any():
        return Beats(np.zeros(0), np.zeros(0, np.float32))
    energy = _moving_rms(band, max(round(_QRS_S * found_hz), 3))
    peaks = _peaks_with_search_back(energy, found_hz)
    upright = band * _polarity(band, peaks, round(0.06 * found_hz))
    places = _refined(upright, peaks, round(0.06 * found_hz))
    likeness = _likeness(upright, places, found_hz, before_s=0.25, after_s=0.4)
    return Beats(places / found_hz, likeness)


def ppg_beats(ppg: np.ndarray, rate_hz: Fraction | float) -> Beats:
    """Find the pulses of a photoplethysmogram, upright or upside down.

    Parameters
    ----------
    ppg : array (n,)
        Finite samples.
    rate_hz : Fraction or float
        `SLOWEST_PPG_HZ` or more.

    Returns
    -------
    Beats
        At the steepest rise of each pulse: it wanders less than the peak, and comes about 0.2 s
        after the R peak.

    Raises
    ------
    ValueError
        If the rate is too low for a pulse wave.
    """
    pulse = Wave("a pulse wave", SLOWEST_PPG_HZ, PPG_HZ)
    wave, found_hz = band_passed(ppg, rate_hz, _PULSE_BAND_HZ, pulse)
    if not wave.any():
        return Beats(np.zeros(0), np.zeros(0, np.float32))
    slope = np.gradient(wave)
    if np.mean(slope.astype(np.float64) ** 3) < 0:  # a pulse rises faster than it falls
        wave, slope = -wave, -slope
    peaks = _peaks_with_search_back(np.maximum(slope, 0), found_hz)
    places = _refined(slope, peaks, 1)
    likeness = _likeness(wave, places, found_hz, before_s=0.2, after_s=0.5)
    return Beats(places / found_hz, likeness)


def normal_intervals(beats_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the intervals between beats, and which of them are from one sinus beat to the next.

    Parameters
    ----------
    beats_s : float array (n,)
        Times of the beats, ascending.

    Returns
    -------
    rr_s : float64 array (n - 1,)
        Interval that ends with beat k + 1.
    normal : bool array (n - 1,)
        False for intervals outside 0.3 to 2 s or 30 % off the median of the 11 around them: beats
        missed, found twice, or ectopic (both the short interval and the pause after it).

    Notes
    -----
    Artefacts are left out, never invented: what needs an evenly sampled rate interpolates over
    them, and differences of successive intervals take only pairs that are both normal [2]_.
    """
    from scipy.ndimage import median_filter

    rr_s = np.diff(np.asarray(beats_s, dtype=np.float64))
    if not rr_s.size:
        return rr_s, np.zeros(0, dtype=bool)
    plausible = (rr_s >= SHORTEST_S) & (rr_s <= LONGEST_S)
    within = np.clip(rr_s, SHORTEST_S, LONGEST_S)
    usual = median_filter(within, size=min(_USUAL_OF, 2 * rr_s.size - 1), mode="reflect")
    return rr_s, plausible & (np.abs(rr_s - usual) <= _FROM_USUAL * usual)


def heart_rate_signal(beats_s: np.ndarray, n_epochs: int, rate_hz: float = 4.0) -> np.ndarray:
    """Return the heart rate as an evenly sampled signal, ready to be staged like any other.

    Parameters
    ----------
    beats_s : float array (n,)
        Times of the beats in seconds from the start of epoch 0, ascending.
    n_epochs : int
        Number of epochs E.
    rate_hz : float
        Samples per second; 30 s must hold a whole number of them.

    Returns
    -------
    float32 array (E, 30 * rate_hz)
        Beats per minute: 60 / interval, placed in the middle of each normal interval and
        interpolated linearly. NaN more than 10 s away from every normal interval.

    Raises
    ------
    ValueError
        If an epoch does not hold a whole number of samples.
    """
    size = round(EPOCH_S * rate_hz)
    if size < 1 or not math.isclose(size, EPOCH_S * rate_hz):
        raise ValueError(f"an epoch of {EPOCH_S} s holds no whole number of samples at {rate_hz}")
    beats_s = np.asarray(beats_s, dtype=np.float64)
    rr_s, normal = normal_intervals(beats_s)
    if not normal.any():
        return np.full((n_epochs, size), np.nan, dtype=np.float32)
    middle_s = (beats_s[1:] - rr_s / 2)[normal]
    times_s = np.arange(n_epochs * size) / rate_hz
    rate = np.interp(times_s, middle_s, 60 / rr_s[normal])
    after = np.searchsorted(middle_s, times_s).clip(1, max(len(middle_s) - 1, 1))
    ends = middle_s[np.stack([after - 1, np.minimum(after, len(middle_s) - 1)])]
    rate[np.abs(ends - times_s).min(axis=0) > _LONGEST_HOLD_S] = np.nan
    return rate.astype(np.float32).reshape(n_epochs, size)


def between_samples(wave: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """Return where a wave (n,) is highest near each peak: the vertex of a parabola, in samples."""
    top = np.clip(peaks, 1, len(wave) - 2)
    left, middle, right = (wave[top + step].astype(np.float64) for step in (-1, 0, 1))
    bend = left - 2 * middle + right
    shift = np.divide(left - right, 2 * bend, where=bend < 0, out=np.zeros(len(top)))
    return top + np.clip(shift, -0.5, 0.5)


def band_passed(
    signal: np.ndarray, rate_hz: Fraction | float, band_hz: tuple[float, float], wave: Wave
) -> tuple[np.ndarray, float]:
    """Return a signal filtered to a band, at the rate its waves are looked for at.

    Parameters
    ----------
    signal : array (n,)
        Finite samples.
    rate_hz : Fraction or float
    band_hz : (float, float)
        Corners of the filter; the upper one stays below half the rate.
    wave : Wave
        What is looked for.

    Returns
    -------
    filtered : array (m,)
    found_hz : float
        Its rate: that of the wave, or the signal's own if that is lower.

    Raises
    ------
    ValueError
        If the rate is too low for the wave.
    """
    rate = Fraction(rate_hz).limit_denominator(100_000)
    if rate < wave.slowest_hz:
        needed = f"{wave.slowest_hz:g} Hz are needed"
        raise ValueError(f"{float(rate):g} Hz cannot hold {wave.name}; {needed}")
    target = min(rate, wave.found_hz)
    high_hz = min(band_hz[1], _HIGHEST_CORNER * float(rate))
    return filter_resample(signal, rate, target, butter2(2, band_hz[0], high_hz)), float(target)


# ---------------------------------------------------------------------------------------- parts


def _moving_rms(x: np.ndarray, width: int) -> np.ndarray:
    """Return the root of the mean power in a window around each sample, float32 (n,)."""
    from scipy.ndimage import uniform_filter1d

    return np.sqrt(np.maximum(uniform_filter1d(x * x, width, mode="nearest"), 0))


def _peaks_with_search_back(wave: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return the peaks of a positive wave: strong ones, and weak ones where a beat is missing."""
    from scipy.signal import find_peaks

    usual = _usual_height(wave, max(round(_BLOCK_S * rate_hz), 1))
    distance = max(round(_REFRACTORY_S * rate_hz), 1)
    peaks, _ = find_peaks(wave, height=_WEAK * usual, distance=distance)
    strong = wave[peaks] >= _STRONG * usual[peaks]
    return peaks[strong | _fills_gap(peaks, strong)]


def _usual_height(wave: np.ndarray, block: int) -> np.ndarray:
    """Return for each sample the median of the block maxima around it (n,): the usual beat."""
    from scipy.ndimage import median_filter

    n_blocks = -(-len(wave) // block)
    padded = np.pad(wave, (0, n_blocks * block - len(wave)))
    highest = padded.reshape(n_blocks, block).max(axis=1)
    usual = median_filter(highest, size=min(_BLOCKS, 2 * n_blocks - 1), mode="nearest")
    floor = np.finfo(np.float32).tiny
    return np.repeat(np.maximum(usual, floor), block)[: len(wave)]


def _fills_gap(peaks: np.ndarray, strong: np.ndarray) -> np.ndarray:
    """Return which weak peaks lie where a beat is missing: a long gap, not near its ends."""
    from scipy.ndimage import median_filter

    firm = peaks[strong]
    if len(firm) < 3:
        return np.zeros(len(peaks), dtype=bool)
    gaps = np.diff(firm)
    usual = median_filter(gaps, size=min(_USUAL_OF, 2 * len(gaps) - 1), mode="nearest")
    after = np.searchsorted(firm, peaks).clip(1, len(firm) - 1)
    gap, normal = gaps[after - 1], usual[after - 1]
    clear = np.minimum(peaks - firm[after - 1], firm[after] - peaks) >= _EDGE * normal
    return ~strong & (gap > _GAP * normal) & clear


def _polarity(band: np.ndarray, peaks: np.ndarray, reach: int) -> np.float32:
    """Return 1 when the main wave of most beats points up, -1 when it points down."""
    if not len(peaks):
        return np.float32(1)
    around = _windows(band, peaks, reach, reach)
    return np.float32(1 if np.median(around.max(axis=1) + around.min(axis=1)) >= 0 else -1)


def _refined(wave: np.ndarray, peaks: np.ndarray, reach: int) -> np.ndarray:
    """Return the place of the maximum near each peak, between the samples, each once."""
    if not len(peaks):
        return np.zeros(0)
    around = _windows(wave, peaks, reach, reach)
    places = between_samples(wave, peaks - reach + around.argmax(axis=1))
    return places[np.concatenate([[True], np.diff(places) > 0])]


def _likeness(
    wave: np.ndarray, places: np.ndarray, rate_hz: float, *, before_s: float, after_s: float
) -> np.ndarray:
    """Return the correlation of each beat's surroundings with the median beat, float32 (n,)."""
    if not len(places):
        return np.zeros(0, dtype=np.float32)
    spans = round(before_s * rate_hz), round(after_s * rate_hz)
    beats = _windows(wave, np.rint(places).astype(np.int64), *spans)
    beats = beats - beats.mean(axis=1, keepdims=True)
    usual = np.median(beats[:: 1 + len(beats) // 2000], axis=0)
    size = np.linalg.norm(beats, axis=1) * np.linalg.norm(usual)
    return (beats @ usual / np.maximum(size, np.finfo(np.float32).tiny)).astype(np.float32)


def _windows(x: np.ndarray, places: np.ndarray, before: int, after: int) -> np.ndarray:
    """Return the samples around each place, (n, before + 1 + after); beyond the ends the last."""
    return x[np.clip(places[:, None] + np.arange(-before, after + 1), 0, len(x) - 1)]
