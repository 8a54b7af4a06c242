"""Zero-phase frequency responses, as data: what a filter does to each frequency, and nothing else.

Running a Butterworth filter forward and backward, or centring a symmetric FIR filter, both come to
one real gain per frequency. So a filter is a multiplication inside the transform that resamples
(`recordings/signals.py`), and a view can name its filters as plain data and hash them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from scipy import fft, signal

MIN_OVERLAP_S = 20.0  # a 0.3 Hz edge rings this long; 16 s leaves 1e-5 on steep spectra


@dataclass(frozen=True)
class Response:
    """A product of named filters; the empty product passes everything.

    Parameters
    ----------
    factors : tuple of tuple
        Each is a name and its numbers, e.g. `("butter2", 4, 0.3, 35)`. None stands for an edge that
        is not there. Build them with `butter2`, `fir2`, `fir2_stop`, `mne_fir`; `a * b` joins.
    """

    factors: tuple[tuple, ...] = ()

    def __mul__(self, other: Response) -> Response:
        """Return the response of one filter after the other."""
        return Response(self.factors + other.factors)

    def gain(self, n: int, rate_hz: Fraction, target_hz: Fraction, n_target: int) -> np.ndarray:
        """Return the gain at the frequencies that `n` samples at `rate_hz` share with the target.

        Parameters
        ----------
        n, n_target : int
            Length of the block before and after resampling.
        rate_hz, target_hz : Fraction
            Rates before and after. Filters are designed at `rate_hz`, `mne_fir` at `target_hz`,
            since its transition depends on the Nyquist frequency its authors filtered at.

        Returns
        -------
        float64 array (min(n, n_target) // 2 + 1,)

        Raises
        ------
        ValueError
            If a high-pass edge is above the Nyquist frequency: nothing would be left.
        """
        if refusal := self.refusal(rate_hz):
            raise ValueError(refusal)
        total = np.ones(min(n, n_target) // 2 + 1)
        for name, *numbers in self.factors:
            size, rate = (n_target, target_hz) if name == "mne_fir" else (n, rate_hz)
            total *= _DESIGNS[name](size, float(rate), *numbers)[: len(total)]
        return total

    def refusal(self, rate_hz: Fraction) -> str:
        """Say why a signal sampled at `rate_hz` has nothing in the band; empty when it has."""
        for name, *numbers in self.factors:
            low_hz = numbers[-2]
            if name != "fir2_stop" and low_hz is not None and low_hz >= rate_hz / 2:
                return f"sampled at {float(rate_hz):g} Hz, it holds nothing above {low_hz:g} Hz"
        return ""

    def overlap_s(self, rate_hz: Fraction, target_hz: Fraction) -> float:
        """Return the seconds at each side of a block that its edges can spoil."""
        overlaps = [MIN_OVERLAP_S]
        for name, *numbers in self.factors:
            if name == "mne_fir":
                taps = len(_mne_kernel(float(target_hz), *numbers))
                overlaps.append(taps / 2 / float(target_hz) + 3)
            elif name.startswith("fir2"):
                overlaps.append(numbers[0] / float(rate_hz) + 3)  # two passes of half a kernel
        return max(overlaps)


NONE = Response()


def butter2(order: int, low_hz: float | None, high_hz: float | None) -> Response:
    """Butterworth forward and backward; 4 means 8 poles for a band-pass, as SciPy counts."""
    return Response((("butter2", order, low_hz, high_hz),))


def fir2(order: int, low_hz: float | None, high_hz: float | None) -> Response:
    """Hamming-windowed FIR filter of `order` + 1 taps, forward and backward."""
    return Response((("fir2", order, low_hz, high_hz),))


def fir2_stop(order: int, low_hz: float, high_hz: float) -> Response:
    """Hamming-windowed FIR band-stop of `order` + 1 taps, forward and backward."""
    return Response((("fir2_stop", order, low_hz, high_hz),))


def mne_fir(low_hz: float, high_hz: float) -> Response:
    """Zero-phase band-pass with the default design of MNE-Python, applied once."""
    return Response((("mne_fir", low_hz, high_hz),))


def edge_gain(n: int, rate_hz: Fraction, target_hz: Fraction) -> np.ndarray:
    """Return the raised-cosine edge from 0.45 to 0.5 of the lower rate, at the rfft frequencies.

    It keeps images and aliases below -100 dB, and is needed in both directions.
    """
    lower = float(min(rate_hz, target_hz))
    frequency = np.fft.rfftfreq(n, 1 / float(rate_hz))
    place = np.clip((frequency - 0.45 * lower) / (0.05 * lower), 0, 1)
    return 0.5 * (1 + np.cos(np.pi * place))


def butter_sections(
    rate_hz: float, order: int, low_hz: float | None, high_hz: float | None
) -> np.ndarray:
    """Return second-order sections (S, 6); an upper edge above Nyquist is no edge.

    Second-order sections, because the polynomial form of the band-pass is unstable from 1000 Hz.
    """
    edges, kind = _edges(rate_hz, low_hz, high_hz)
    return signal.butter(order, edges, kind, fs=rate_hz, output="sos")


def _edges(
    rate_hz: float, low_hz: float | None, high_hz: float | None
) -> tuple[float | tuple[float, float], str]:
    """Return the edges that exist at this rate, and the kind of filter they make."""
    if high_hz is not None and high_hz >= rate_hz / 2:
        high_hz = None
    if low_hz is not None and high_hz is not None:
        return (low_hz, high_hz), "bandpass"
    if low_hz is not None:
        return low_hz, "highpass"
    if high_hz is not None:
        return high_hz, "lowpass"
    return 0.0, "allpass"


@lru_cache(maxsize=32)
def _butter2(n: int, rate_hz: float, order: int, low: float | None, high: float | None):
    """Return the squared magnitude of the Butterworth filter."""
    if _edges(rate_hz, low, high)[1] == "allpass":
        return np.ones(n // 2 + 1)
    total = np.ones(n // 2 + 1)
    for section in butter_sections(rate_hz, order, low, high):
        above, below = _polynomial(section[:3], n), _polynomial(section[3:], n)
        total *= above / below
    return total


def _polynomial(coefficients: np.ndarray, n: int) -> np.ndarray:
    """Return the squared magnitude of b0 + b1/z + b2/z^2 on the unit circle.

    In sin^2 of half the angle: written in cosines, the zero at 0 Hz would cancel badly.
    """
    b0, b1, b2 = coefficients
    s = np.sin(np.pi * np.arange(n // 2 + 1) / n) ** 2
    return (b0 + b1 + b2) ** 2 - 4 * (b0 * b1 + b1 * b2 + 4 * b0 * b2) * s + 16 * b0 * b2 * s**2


@lru_cache(maxsize=32)
def _fir2(n: int, rate_hz: float, order: int, low: float | None, high: float | None) -> np.ndarray:
    """Return the squared magnitude of the FIR filter."""
    edges, kind = _edges(rate_hz, low, high)
    if kind == "allpass":
        return np.ones(n // 2 + 1)
    return _amplitude(signal.firwin(order + 1, edges, pass_zero=kind, fs=rate_hz), n) ** 2


@lru_cache(maxsize=32)
def _fir2_stop(n: int, rate_hz: float, order: int, low: float, high: float) -> np.ndarray:
    """Return the squared magnitude of the FIR band-stop; a band above Nyquist is no band."""
    if _edges(rate_hz, None, high)[1] == "allpass":
        return np.ones(n // 2 + 1)
    taps = signal.firwin(order + 1, (low, high), pass_zero="bandstop", fs=rate_hz)
    return _amplitude(taps, n) ** 2


@lru_cache(maxsize=32)
def _mne_fir(n: int, rate_hz: float, low: float, high: float) -> np.ndarray:
    """Return the signed gain of MNE's band-pass."""
    return _amplitude(_mne_kernel(rate_hz, low, high), n)


@lru_cache(maxsize=32)
def _mne_kernel(rate_hz: float, low: float, high: float) -> np.ndarray:
    """Return the taps of MNE's default band-pass: one low-pass minus another, both Hamming.

    Transition widths are `mne.filter.create_filter`'s `l_trans_bandwidth` and `h_trans_bandwidth`
    "auto"; the length is 3.3 periods of the width, made odd.
    """
    width_low = min(max(0.25 * low, 2.0), low)
    width_high = min(max(0.25 * high, 2.0), rate_hz / 2 - high)
    if width_high <= 0:
        raise ValueError(f"sampled at {rate_hz:g} Hz, there is no band up to {high:g} Hz")
    upper = signal.firwin(_odd(3.3 * rate_hz / width_high), high + width_high / 2, fs=rate_hz)
    lower = signal.firwin(_odd(3.3 * rate_hz / width_low), low - width_low / 2, fs=rate_hz)
    taps = np.zeros(max(len(upper), len(lower)))
    for kernel, sign in ((upper, 1), (lower, -1)):
        start = (len(taps) - len(kernel)) // 2
        taps[start : start + len(kernel)] += sign * kernel
    return taps


def _odd(length: float) -> int:
    """Round up to an odd number."""
    return math.ceil(length) | 1


def _amplitude(taps: np.ndarray, n: int) -> np.ndarray:
    """Return the signed gain of a symmetric kernel of odd length at the rfft frequencies of n."""
    if len(taps) > n:
        raise ValueError(f"a kernel of {len(taps)} taps does not fit a block of {n} samples")
    centred = np.zeros(n)
    half = len(taps) // 2
    centred[: half + 1] = taps[half:]
    centred[n - half :] = taps[:half]
    return fft.rfft(centred).real


_DESIGNS = {"butter2": _butter2, "fir2": _fir2, "fir2_stop": _fir2_stop, "mne_fir": _mne_fir}
