"""Building blocks of every simulated signal: shaped noise, pulses at exact times, slow drifts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import fft

FRAME_S = 4.0  # two frames overlap everywhere, so a spectrum changes within two seconds
HOP_S = FRAME_S / 2


def frame_times(duration_s: float) -> np.ndarray:
    """Return the centre (s) of each frame that `shaped_noise` needs for a signal that long."""
    return HOP_S * np.arange(int(np.ceil(duration_s / HOP_S)) + 1)


def frame_frequencies(rate_hz: float) -> np.ndarray:
    """Return the frequencies (Hz) at which `shaped_noise` wants the spectrum."""
    return fft.rfftfreq(_frame_samples(rate_hz), 1 / rate_hz)


def shaped_noise(rng: np.random.Generator, density: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return Gaussian noise whose power spectrum changes over time.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the noise.
    density : float array (F, B)
        One-sided power density (unit squared per Hz) in each frame of `frame_times`, at the first
        B frequencies of `frame_frequencies`; nothing is added above them.
    rate_hz : float
        Sampling rate; a frame must hold a whole even number of samples.

    Returns
    -------
    float32 array ((F - 1) * 2 s * rate_hz,)
        Overlapping frames of random phase under sine windows: their squares add up to 1, so the
        power is that of `density` everywhere.
    """
    n_samples = _frame_samples(rate_hz)
    n_frames, n_bins = density.shape
    pairs = rng.standard_normal((n_frames, 2 * n_bins), dtype=np.float32)
    spectrum = pairs.view(np.complex64)  # (F, B)
    spectrum *= np.sqrt(density * (rate_hz * n_samples / 4), dtype=np.float32)
    spectrum[:, 0] = 0
    window = np.sin(np.pi * (np.arange(n_samples, dtype=np.float32) + 0.5) / n_samples)
    frames = fft.irfft(spectrum, n_samples, axis=1, overwrite_x=True)
    frames *= window.astype(np.float32)
    hop = n_samples // 2
    return (frames[1:, :hop] + frames[:-1, hop:]).reshape(-1)


def add_pulses(
    signal: np.ndarray,
    rate_hz: float,
    times_s: np.ndarray,
    shape: Callable[[np.ndarray], np.ndarray],
    *,
    before_s: float,
    after_s: float,
    height: np.ndarray | float = 1.0,
) -> None:
    """Add one waveform per time to `signal`, in place and exact to a fraction of a sample.

    Parameters
    ----------
    signal : float32 array (n,)
        What is added to.
    rate_hz : float
        Its samples per second.
    times_s : float array (P,)
        Moment of each pulse; parts outside the signal are left out.
    shape : callable
        Turns seconds from the moment, float32 (P, m), into values (P, m).
    before_s, after_s : float
        How far a pulse reaches before and after its moment.
    height : float array (P,) or float
        Factor of each pulse.
    """
    reach = np.arange(-int(before_s * rate_hz), int(after_s * rate_hz) + 1)
    centre = np.round(np.asarray(times_s, float) * rate_hz).astype(np.int64)
    index = centre[:, None] + reach  # (P, m)
    seconds = (reach / rate_hz + (centre / rate_hz - times_s)[:, None]).astype(np.float32)
    values = (shape(seconds) * np.reshape(height, (-1, 1))).astype(np.float32)
    inside = (index >= 0) & (index < len(signal))
    np.add.at(signal, index[inside], values[inside])


def bell(
    seconds: np.ndarray, centre_s: float | np.ndarray, width_s: float | np.ndarray
) -> np.ndarray:
    """Return a Gaussian bell of height 1 and standard deviation `width_s`."""
    return np.exp(-0.5 * ((seconds - centre_s) / width_s) ** 2)


def drift(rng: np.random.Generator, n_samples: int, rate_hz: float, period_s: float) -> np.ndarray:
    """Return a slow random curve (n_samples,) of variance near 1 that turns every `period_s`."""
    knots = int(np.ceil(n_samples / (rate_hz * period_s))) + 2
    values = rng.standard_normal(knots) * 1.22  # linear interpolation leaves 2/3 of the variance
    return np.interp(np.arange(n_samples) / (rate_hz * period_s), np.arange(knots), values)


def add_bump(
    curve: np.ndarray,
    rate_hz: float,
    height: float,
    *,
    from_s: float,
    to_s: float,
    rise_s: float,
    fall_s: float,
) -> None:
    """Add a plateau from `from_s` to `to_s` with straight flanks to `curve` (n,), in place."""
    first = max(0, int((from_s - rise_s) * rate_hz))
    last = min(len(curve), int((to_s + fall_s) * rate_hz) + 1)
    times = np.arange(first, last) / rate_hz
    knots = (from_s - rise_s, from_s, to_s, to_s + fall_s)
    curve[first:last] += np.interp(times, knots, (0, height, height, 0))


def _frame_samples(rate_hz: float) -> int:
    """Return the samples of one frame."""
    return round(FRAME_S * rate_hz)
