"""Signal processing as pure functions of arrays: filter, resample, normalise, spectrogram.

Filtering and resampling are one pass over blocks of about 240 s: transform, multiply by the gain of
the filter, keep the bins the target rate has, transform back. The published chains interpolate
linearly instead; both forms they use stand here too, exact to the value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from scipy import fft, signal

from recordings.responses import NONE, Response, butter_sections, edge_gain

BLOCK_S = 240.0  # longer blocks leave the caches, shorter ones spend more on their overlap
BATCH = 8  # blocks per transform call: the SIMD lanes are full, the batch stays in the cache
_LONGEST_STEP_S = 8.0  # rates that meet no sooner than this are matched by phase, see `_plan`
_CHUNK = 1 << 15  # samples worked on at a time, to stay in the cache
_FIRST_RUN = 256  # samples tried at once after a clipped one: clipped samples come in groups

MIN_SIGMA = 1e-6  # wav2sleep: floor of the standard deviation
MIN_MAGNITUDE = 1e-8  # floor of the spectrogram: an all-zero frame has no logarithm


def filter_resample(
    x: np.ndarray, rate_hz: Fraction, target_hz: Fraction, response: Response = NONE
) -> np.ndarray:
    """Filter with zero phase and resample, in one pass of overlapped blocks.

    Parameters
    ----------
    x : array (n,)
        Samples at `rate_hz`, all finite; computed in float32.
    rate_hz, target_hz : Fraction
        Exact rates; they need not be whole, nor have a small ratio.
    response : Response
        Filters; `NONE` for resampling alone.

    Returns
    -------
    float32 array (ceil(n * target_hz / rate_hz),)
        Sample k is the signal at second k / target_hz.

    Notes
    -----
    Beyond both ends the signal is continued by odd reflection, and then by its last value. A sine
    between 0.31 Hz and 0.449 of the lower rate is right to 1e-6, images lie below -120 dB.
    """
    x = np.asarray(x, dtype=np.float32)
    if not len(x) or (rate_hz == target_hz and response == NONE):
        return x.copy()
    plan = _plan(rate_hz, target_hz, response.overlap_s(rate_hz, target_hz))
    gain = _gain(plan, rate_hz, target_hz, response)
    n_total = math.ceil(len(x) * target_hz / rate_hz)
    starts, rests = plan.blocks(math.ceil(n_total / plan.hop))
    offset = x[:: 1 + len(x) // 4096].mean()  # a constant only meets the gain at 0 Hz
    buffer = np.empty((BATCH, plan.n_in), dtype=np.float32)
    kept = np.empty((len(starts), plan.hop), dtype=np.float32)
    for at in range(0, len(starts), BATCH):
        rows = slice(at, at + BATCH)
        blocks = buffer[: len(starts[rows])]
        for block, start in zip(blocks, starts[rows], strict=True):
            np.subtract(_block(x, start, plan.n_in), offset, out=block)
        spectra = fft.rfft(blocks)[:, : len(gain)]
        spectra *= gain
        if any(rests[rows]):
            bins = np.arange(len(gain))
            spectra *= np.exp(2j * np.pi / plan.n_in * np.outer(rests[rows], bins))
        resampled = fft.irfft(spectra, plan.n_out, overwrite_x=True)
        kept[rows] = resampled[:, plan.skip : plan.skip + plan.hop]
    kept += offset * gain[0] * np.float32(plan.n_in / plan.n_out)
    return kept.ravel()[:n_total]


@dataclass(frozen=True)
class _Plan:
    """How the blocks of one pair of rates lie.

    `n_in` samples make `n_out`, of which `skip` at each side are thrown away and `hop` are kept;
    `step` is the number of input samples per output sample.
    """

    n_in: int
    n_out: int
    skip: int
    hop: int
    step: Fraction

    def blocks(self, count: int) -> tuple[list[int], list[float]]:
        """Return the first sample of each block and the fraction of a sample it is early."""
        times = [(k * self.hop - self.skip) * self.step for k in range(count)]
        starts = [round(time) for time in times]
        return starts, [float(time - start) for time, start in zip(times, starts, strict=True)]


@lru_cache(maxsize=64)
def _plan(rate_hz: Fraction, target_hz: Fraction, overlap_s: float) -> _Plan:
    """Lay out the blocks for two rates.

    A block must hold a whole number of samples at both rates. Rates such as 256 and 100 Hz meet
    every quarter of a second, and every block starts on a sample. Rates such as 256.0164 Hz meet
    after minutes: then the block length that comes nearest is taken (the rest is below 1e-3
    samples), and a block that starts between two samples is shifted by its phase.
    """
    step = rate_hz / target_hz
    unit = step.denominator if step.denominator <= _LONGEST_STEP_S * target_hz else 1
    skip = math.ceil(overlap_s * target_hz / unit) * unit
    length_s = max(BLOCK_S, 6 * overlap_s)
    n_out = _block_length(step, unit, float(length_s * target_hz))
    hop = (n_out - 2 * skip) // unit * unit
    return _Plan(round(n_out * step), n_out, skip, hop, step)


@lru_cache(maxsize=64)
def _gain(plan: _Plan, rate_hz: Fraction, target_hz: Fraction, response: Response) -> np.ndarray:
    """Return what the bins of a block are multiplied by: filter, edge, and ratio of the lengths."""
    gain = response.gain(plan.n_in, rate_hz, target_hz, plan.n_out)
    if rate_hz != target_hz:
        gain *= edge_gain(plan.n_in, rate_hz, target_hz)[: len(gain)]
    return (gain * (plan.n_out / plan.n_in)).astype(np.float32)


def _block_length(step: Fraction, unit: int, wanted: float) -> int:
    """Return a length near `wanted`: whole at both rates if one is, then quick to transform."""
    lengths = np.arange(int(0.75 * wanted) // unit, int(1.25 * wanted) // unit + 1) * unit
    rests = lengths * step.numerator % step.denominator
    rests = np.minimum(rests, step.denominator - rests)
    best = sorted(lengths[rests == rests.min()].tolist(), key=lambda n: abs(n - wanted))
    quick = (n for n in best if _is_quick(n) and _is_quick(round(n * step)))
    return next(quick, best[0])


def _is_quick(n: int) -> bool:
    """Tell whether a transform of `n` samples has small factors only."""
    return fft.next_fast_len(n, real=True) == n


def _block(x: np.ndarray, start: int, n: int) -> np.ndarray:
    """Return `n` samples from `start` on, continued beyond the ends of `x`.

    By odd reflection as far as there are samples to reflect, then by the last reflected value.
    """
    stop, last = start + n, len(x) - 1
    inside = x[max(start, 0) : max(stop, 0)]
    if len(inside) == n:
        return inside
    before, after = np.arange(start, min(0, stop)), np.arange(max(last + 1, start), stop)
    left = 2 * x[0] - x[np.minimum(-before, last)]
    right = 2 * x[last] - x[np.maximum(2 * last - after, 0)]
    return np.concatenate([left, inside, right])


def filter_both_ways(x: np.ndarray, rate_hz: Fraction, response: Response) -> np.ndarray:
    """Run Butterworth filters forward and backward as SciPy does, ends included.

    This is the published filter of LPSGM, whose ends differ from `filter_resample` (it reflects 27
    samples, we reflect 20 s). Recursive filters need float64: in float32 a 0.3 Hz edge is wrong by
    1.5e-3.

    Returns
    -------
    float64 array (n,)

    Raises
    ------
    ValueError
        If `response` holds anything but `butter2`.
    """
    filtered = np.asarray(x, dtype=np.float64)
    for name, *numbers in response.factors:
        if name != "butter2":
            raise ValueError(f"{name} is no recursive filter; only butter2 runs both ways")
        sections = butter_sections(float(rate_hz), *numbers)
        padding = min(6 * len(sections) + 3, len(filtered) - 1)  # SciPy's default, 27 and 15
        filtered = signal.sosfiltfilt(sections, filtered, padlen=padding)
    return filtered


def interpolate_endpoints(x: np.ndarray, rate_hz: Fraction, target_hz: Fraction) -> np.ndarray:
    """Interpolate linearly between the first and the last sample, both kept (LPSGM).

    Returns
    -------
    float32 array (round(n * target_hz / rate_hz),)

    Notes
    -----
    Time is stretched by (n - 1) / (m - 1): up to 6 ms late at the end of a night at 256 Hz.
    """
    m = round(len(x) * target_hz / rate_hz)
    if len(x) == m or m < 2:
        return np.asarray(x[:m], dtype=np.float32)
    out = np.empty(m, dtype=np.float32)
    for at in range(0, m, _CHUNK):
        place = np.arange(at, min(at + _CHUNK, m)) * ((len(x) - 1) / (m - 1))
        before = np.minimum(place.astype(np.int64), len(x) - 2)
        left = x[before].astype(np.float64)
        out[at : at + len(place)] = left + (x[before + 1] - left) * (place - before)
    return out


def interpolate_time(
    x: np.ndarray, rate_hz: Fraction, target_hz: Fraction, n_out: int
) -> np.ndarray:
    """Interpolate linearly at the seconds k / target_hz, k = 1 ... n_out; 0 beyond the last sample.

    The values of wav2sleep's table join, which are those of `numpy.interp` on the time axis to the
    last bit. There is no sample at second 0: an epoch holds (30 e, 30 e + 30].

    Parameters
    ----------
    x : float64 array (n,)
        Samples at `rate_hz`.
    n_out : int
        Samples wanted.

    Returns
    -------
    float32 array (n_out,)
    """
    out = np.zeros(n_out, dtype=np.float32)
    inside = min(n_out, last_within(len(x), rate_hz, target_hz))
    for first in range(1, inside + 1, _CHUNK):
        k = np.arange(first, min(first + _CHUNK, inside + 1))
        out[first - 1 : first - 1 + len(k)] = interpolate_at(x, k, rate_hz, target_hz)
    return out


def last_within(n: int, rate_hz: Fraction, target_hz: Fraction) -> int:
    """Return the last k of which the second k / target_hz lies within n samples at `rate_hz`."""
    return math.floor((n - 1) * target_hz / rate_hz)


def interpolate_at(
    x: np.ndarray, k: np.ndarray, rate_hz: Fraction, target_hz: Fraction, *, begin: int = 0
) -> np.ndarray:
    """Return the samples k (m,) of `interpolate_time`, float64.

    `x` holds the samples at `rate_hz` from the sample `begin` of the recording on, as far as they
    are needed.
    """
    step, rate = rate_hz / target_hz, float(rate_hz)
    before = np.minimum(k * step.numerator // step.denominator, begin + len(x) - 2)
    at_s = k * target_hz.denominator / target_hz.numerator
    left_s, right_s = before / rate, (before + 1) / rate
    left = x[before - begin].astype(np.float64)
    slope = (x[before + 1 - begin] - left) / (right_s - left_s)
    return slope * (at_s - left_s) + left


def z_score(x: np.ndarray) -> np.ndarray:
    """Return (x - mean) / std with the population standard deviation, float32; 0 where flat."""
    mean, std = mean_and_std(x)
    return standardise(x, mean, std)


def z_score_padded(x: np.ndarray, n_padded: int) -> np.ndarray:
    """Return the z-score wav2sleep trains on: of the night padded with zeros to `n_padded` samples.

    The standard deviation is the unbiased one, floored at 1e-6; samples beyond `n_padded` do not
    count. Only the samples of `x` are returned, float32.
    """
    mean, std = padded_mean_and_std(x, n_padded)
    return standardise(x, mean, max(std, MIN_SIGMA))


def z_score_recorded(x: np.ndarray, recorded: np.ndarray) -> np.ndarray:
    """Return the z-score over the epochs of `x` (E, S) that were `recorded` (E,), the others zero.

    The standard deviation is that of wav2sleep: unbiased, floored at 1e-6. Neither the length of
    the night nor what stands in its gaps changes the result.
    """
    out = np.zeros(x.shape, dtype=np.float32)
    heard = x if recorded.all() else x[recorded]
    if heard.size:
        mean, std = padded_mean_and_std(heard, heard.size)
        out[recorded] = standardise(heard, mean, max(std, MIN_SIGMA))
    return out


def robust_score(x: np.ndarray) -> np.ndarray:
    """Return (x - median) / interquartile range, float32 (SynthSleepNet); 0 where flat."""
    first, median, third = quantiles(x)
    return standardise(x, median, third - first)


def standardise(x: np.ndarray, centre: float, spread: float) -> np.ndarray:
    """Return (x - centre) / spread as float32; all zeros when the spread is zero."""
    if not spread > 0:
        return np.zeros(np.shape(x), dtype=np.float32)
    return (np.asarray(x) - x.dtype.type(centre)).astype(np.float32) * np.float32(1 / spread)


def mean_and_std(x: np.ndarray) -> tuple[float, float]:
    """Return mean and population standard deviation of all samples, accumulated in float64."""
    total, squares, n = _moments(x)
    return total / n, math.sqrt(max(squares / n, 0.0))


def padded_mean_and_std(x: np.ndarray, n_padded: int) -> tuple[float, float]:
    """Return mean and unbiased standard deviation of `x` cut or padded with zeros to a length."""
    x = x.ravel()[:n_padded]
    total, squares, n = _moments(x)
    mean = total / n_padded
    around = squares + n * (total / n - mean) ** 2 + (n_padded - n) * mean**2
    return mean, math.sqrt(around / max(n_padded - 1, 1))


def _moments(x: np.ndarray) -> tuple[float, float, int]:
    """Return the sum, the sum of squares around the mean, and the number of samples."""
    flat = x.ravel()
    centre = flat[:_CHUNK].mean()  # near enough to the mean that nothing cancels
    total = squares = 0.0
    for at in range(0, flat.size, _CHUNK):
        part = flat[at : at + _CHUNK] - centre
        total += float(part.sum())
        squares += float(part @ part)
    return total + float(centre) * flat.size, squares - total**2 / flat.size, flat.size


def quantiles(x: np.ndarray) -> tuple[float, float, float]:
    """Return the first quartile, the median and the third quartile, as `numpy.quantile` does.

    Exact, and five times quicker for a night of float32: a histogram of the leading 16 bits
    finds the few thousand samples among which each quantile lies.
    """
    flat = np.ascontiguousarray(x, dtype=np.float32).ravel()
    # Sign, exponent and 7 bits of the mantissa; contiguous, because strided comparisons are slow.
    leading = np.ascontiguousarray(flat.view(np.uint16)[1::2])
    rising = np.r_[0xFFFF:0x7FFF:-1, 0:0x8000].astype(np.uint16)
    counts = np.bincount(leading, minlength=1 << 16)[rising]
    ends = np.cumsum(counts)
    found = []
    for share in (0.25, 0.5, 0.75):
        rank = share * (flat.size - 1)
        low, high = np.searchsorted(ends, [math.floor(rank), math.ceil(rank)], side="right")
        near = leading == rising[low]
        if high != low:
            near |= leading == rising[high]
        members = np.sort(flat[near])
        below = ends[low] - counts[low]
        left, right = members[[math.floor(rank) - below, math.ceil(rank) - below]].astype(float)
        found.append(float(left + (right - left) * (rank % 1)))
    return found[0], found[1], found[2]


@dataclass(frozen=True)
class CausalScaling:
    """Settings of wav2sleep's causal normalisation; seconds, standard deviations, signal units."""

    variance_tau_s: float = 900.0
    mean_tau_s: float = 120.0
    clip_sigma: float = 4.0
    min_sigma: float = 0.1


def z_score_causal(
    x: np.ndarray, rate_hz: Fraction, scaling: CausalScaling | None = None
) -> np.ndarray:
    """Normalise by running mean and variance, so that the future cannot change the past.

    Parameters
    ----------
    x : array (n,)
        Samples in the unit of the view: mV, or a share of the header's range.
    rate_hz : Fraction
    scaling : CausalScaling, optional
        Default: the published time constants.

    Returns
    -------
    float32 array (n,)

    Notes
    -----
    The start values come from the first 120 s (at most a tenth of the night), as published, so the
    first two minutes are not strictly causal.
    """
    scaling = scaling or CausalScaling()
    mean, variance, _ = running_moments(x, rate_hz, scaling)
    sigma = np.sqrt(np.maximum(variance, scaling.min_sigma**2))
    return ((np.asarray(x, dtype=np.float64) - mean) / sigma).astype(np.float32)


def running_moments(
    x: np.ndarray, rate_hz: Fraction, scaling: CausalScaling
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return exponential mean and variance (n,) in float64 and where outliers were clipped.

    Notes
    -----
    The variance takes the residual clipped to `clip_sigma` of its own last value: a recursion that
    only depends on itself where the clip acts. So stretches between clipped samples run as a linear
    filter, and each clipped sample is done by hand.
    """
    x = np.asarray(x, dtype=np.float64)
    rate = float(rate_hz)
    warm = x[: max(1, min(int(scaling.mean_tau_s * rate), len(x) // 10))]
    mean = np.empty_like(x)
    mean[0] = warm.mean()
    mean[1:] = _smoothed(x[1:], 1 / (rate * scaling.mean_tau_s), mean[0])
    variance = np.empty_like(x)
    variance[0] = max(float(warm.var()), scaling.min_sigma**2, 1e-6)
    share = 1 / (rate * scaling.variance_tau_s)
    clipped = _smooth_clipped((x - mean) ** 2, share, variance, scaling)
    return mean, variance, clipped


def _smoothed(x: np.ndarray, share: float, start: float) -> np.ndarray:
    """Return y[t] = share x[t] + (1 - share) y[t - 1], where y[-1] is `start`."""
    return signal.lfilter([share], [1, share - 1], x, zi=[(1 - share) * start])[0]


def _smooth_clipped(
    squares: np.ndarray, share: float, variance: np.ndarray, scaling: CausalScaling
) -> np.ndarray:
    """Fill `variance` from its first value on; return where the residual was clipped."""
    clipped: list[int] = []
    at, length = 1, _FIRST_RUN
    while at < len(squares):
        part = squares[at : at + length]
        run = _smoothed(part, share, variance[at - 1])
        before = np.concatenate([variance[at - 1 : at], run[:-1]])
        limit = scaling.clip_sigma**2 * np.maximum(before, scaling.min_sigma**2)
        beyond = np.flatnonzero(part > limit)
        n = int(beyond[0]) if beyond.size else len(part)
        variance[at : at + n] = run[:n]
        at, length = at + n, min(2 * length, _CHUNK)
        if beyond.size:
            variance[at] = share * limit[n] + (1 - share) * variance[at - 1]
            clipped.append(at)
            at, length = at + 1, _FIRST_RUN
    return np.array(clipped, dtype=np.int64)


def log_spectrogram(
    x: np.ndarray, *, window: int = 200, hop: int = 100, n_fft: int = 256
) -> np.ndarray:
    """Return the log-magnitude spectrogram of SeqSleepNet.

    Parameters
    ----------
    x : array (..., T)
        Epochs, usually T = 3000 at 100 Hz; computed in float64.
    window, hop, n_fft : int
        Samples per frame (symmetric Hamming window), between frames, and per transform.

    Returns
    -------
    float32 array (..., 1 + (T - window) // hop, n_fft // 2 + 1)
        20 log10 of the magnitude: 29 x 129 for an epoch. No detrending, no window normalisation.

    Notes
    -----
    The magnitude is floored at 1e-8; the published code has -inf for an all-zero frame, which then
    spoils the statistics of the whole training set.

    References
    ----------
    Phan et al., SeqSleepNet, IEEE TNSRE 27(3), 2019, section III-A.
    """
    frames = np.lib.stride_tricks.sliding_window_view(np.asarray(x, np.float64), window, axis=-1)
    tapered = frames[..., ::hop, :] * np.hamming(window)  # (..., frames, window)
    magnitude = np.abs(fft.rfft(tapered, n_fft))
    return (20 * np.log10(np.maximum(magnitude, MIN_MAGNITUDE))).astype(np.float32)
