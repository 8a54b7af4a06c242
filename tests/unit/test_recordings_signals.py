"""Filter, resample, normalise: against SciPy, against NumPy, against sines of known frequency."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from recordings.responses import (
    NONE,
    Response,
    butter2,
    butter_sections,
    edge_gain,
    fir2,
    fir2_stop,
    mne_fir,
)
from recordings.signals import (
    CausalScaling,
    filter_both_ways,
    filter_resample,
    interpolate_endpoints,
    interpolate_time,
    log_spectrogram,
    mean_and_std,
    quantiles,
    robust_score,
    running_moments,
    z_score,
    z_score_causal,
    z_score_padded,
)

EEG = butter2(4, 0.3, 35)
RATES = [100, 125, 128, 200, 250, 256, 500, 512, 1000]
TARGET = Fraction(100)
MASS_RATE = Fraction(2560164, 10000)  # a true rate that is no whole number


def sine(rate_hz: Fraction | int, frequency_hz: float, seconds: float) -> np.ndarray:
    """Return a sine of amplitude 1."""
    t = np.arange(int(seconds * rate_hz)) / float(rate_hz)
    return np.sin(2 * np.pi * frequency_hz * t + 0.3)


def steep_noise(rate_hz: int, seconds: int, rng: np.random.Generator) -> np.ndarray:
    """Return noise of 1/f^2 power above 0.1 Hz, like the background of the EEG."""
    n = rate_hz * seconds
    frequency = np.fft.rfftfreq(n, 1 / rate_hz)
    shape = 1 / np.maximum(frequency, 0.1)
    return np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * shape, n)


def inner(x: np.ndarray, rate_hz: float, away_s: float = 60) -> np.ndarray:
    """Return `x` without the stretches near its ends."""
    return x[int(away_s * rate_hz) : len(x) - int(away_s * rate_hz)]


@pytest.mark.parametrize("rate", RATES)
def test_the_double_pass_equals_sosfiltfilt_away_from_the_ends(
    rate: int, rng: np.random.Generator
) -> None:
    x = steep_noise(rate, 500, rng)
    ours = filter_resample(x, Fraction(rate), Fraction(rate), EEG)
    theirs = signal.sosfiltfilt(signal.butter(4, (0.3, 35), "bandpass", fs=rate, output="sos"), x)
    assert np.abs(inner(ours - theirs, rate)).max() < 1e-5 * theirs.std()


@pytest.mark.parametrize("rate", RATES)
def test_filtering_and_resampling_at_once_equals_one_after_the_other(
    rate: int, rng: np.random.Generator
) -> None:
    x = steep_noise(rate, 500, rng)
    ours = filter_resample(x, Fraction(rate), TARGET, EEG)
    filtered = signal.sosfiltfilt(butter_sections(rate, 4, 0.3, 35), x)
    if rate != 100:  # exact resampling of the whole signal, with the same edge
        spectrum = np.fft.rfft(filtered) * edge_gain(len(x), Fraction(rate), TARGET)
        filtered = np.fft.irfft(spectrum[: 500 * 50 + 1], 500 * 100) * 100 / rate
    assert np.abs(inner(ours - filtered, 100)).max() < 1e-5 * filtered.std()


@pytest.mark.parametrize("rate", [128, 256, 500, Fraction(25601, 100), MASS_RATE])
@pytest.mark.parametrize("frequency", [0.31, 5.0, 20.0, 44.0])
def test_tones_stay_what_and_when_they_were(rate: Fraction | int, frequency: float) -> None:
    ours = filter_resample(sine(rate, frequency, 400), Fraction(rate), TARGET)
    error = ours - sine(100, frequency, 401)[: len(ours)]
    assert np.abs(inner(error, 100)).max() < 2e-5


@pytest.mark.parametrize("frequency", [51.0, 53.0, 60.0, 100.0, 120.0])
def test_images_are_below_minus_100_db(frequency: float) -> None:
    ours = filter_resample(sine(256, frequency, 400), Fraction(256), TARGET)
    assert np.abs(inner(ours, 100)).max() < 1e-5


def test_a_slower_signal_is_raised_without_images() -> None:
    ours = filter_resample(sine(50, 20, 400), Fraction(50), TARGET)
    assert np.abs(inner(ours - sine(100, 20, 400), 100)).max() < 2e-6


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 3000),
    rate=st.sampled_from([25, 100, 128, 256, 1000, MASS_RATE]),
    target=st.sampled_from([Fraction(100), Fraction(1024, 30), Fraction(256, 30)]),
)
def test_short_and_odd_lengths_have_the_right_length_and_keep_a_constant(
    n: int, rate: Fraction | int, target: Fraction
) -> None:
    ours = filter_resample(np.full(n, 7.5), Fraction(rate), target)
    assert len(ours) == -(-n * target // Fraction(rate))
    assert np.abs(ours - 7.5).max() < 1e-4


def test_a_recording_shorter_than_a_block_is_filtered_as_part_of_a_longer_one() -> None:
    x = sine(256, 10.0, 100)
    ours = filter_resample(x, Fraction(256), TARGET, EEG)
    assert np.abs(inner(ours - sine(100, 10.0, 100), 100, away_s=20)).max() < 1e-3


def test_an_offset_costs_no_precision(rng: np.random.Generator) -> None:
    x = 100 * steep_noise(256, 400, rng)
    with_offset = filter_resample(x + 5000, Fraction(256), TARGET, EEG)
    without = filter_resample(x, Fraction(256), TARGET, EEG)
    assert np.abs(with_offset - without).max() < 1e-4 * without.std()


def test_equal_rates_without_a_filter_change_nothing(rng: np.random.Generator) -> None:
    x = rng.standard_normal(1000).astype(np.float32)
    assert np.array_equal(filter_resample(x, TARGET, TARGET), x)


@pytest.mark.parametrize("rate", [128, 256, 500])
@pytest.mark.parametrize(
    ("response", "kernel"),
    [
        (fir2(100, 0.3, 40), {"cutoff": (0.3, 40), "pass_zero": "bandpass"}),
        (fir2(100, 10, None), {"cutoff": 10, "pass_zero": "highpass"}),
        (fir2_stop(100, 49, 51), {"cutoff": (49, 51), "pass_zero": "bandstop"}),
    ],
)
def test_double_pass_fir_equals_filtfilt(
    rate: int, response: Response, kernel: dict, rng: np.random.Generator
) -> None:
    x = rng.standard_normal(rate * 300)
    ours = filter_resample(x, Fraction(rate), Fraction(rate), response)
    theirs = signal.filtfilt(signal.firwin(101, fs=rate, **kernel), [1], x)
    assert np.abs(inner(ours - theirs, rate, away_s=10)).max() < 1e-5 * theirs.std()


def test_the_band_pass_of_seqsleepnet_keeps_slow_components() -> None:
    gain = fir2(100, 0.3, 40).gain(65536, Fraction(256), Fraction(256), 65536)
    assert gain[[0, 2 * 256, 40 * 256]] == pytest.approx([0.763, 0.86, 0.25], abs=0.005)


@pytest.mark.parametrize(("low", "high"), [(0.5, 40), (3, 30), (25, 49), (0.05, 1)])
def test_the_fir_of_mne_is_mne_s(low: float, high: float) -> None:
    filters = pytest.importorskip("mne.filter")
    taps = filters.create_filter(None, 100, low, high, verbose="error")
    n = 20000
    centred = np.zeros(n)
    centred[: len(taps)] = taps
    theirs = np.fft.rfft(np.roll(centred, -(len(taps) // 2))).real
    ours = mne_fir(low, high).gain(n, TARGET, TARGET, n)
    assert np.abs(ours - theirs).max() < 1e-12


@pytest.mark.parametrize("response", [mne_fir(0.05, 1), mne_fir(25, 49)])
def test_long_kernels_get_the_overlap_they_need(
    response: Response, rng: np.random.Generator
) -> None:
    x = rng.standard_normal(100 * 900)
    ours = filter_resample(x, TARGET, TARGET, response)
    spectrum = np.fft.rfft(x) * response.gain(len(x), TARGET, TARGET, len(x))
    whole = np.fft.irfft(spectrum, len(x))
    assert np.abs(inner(ours - whole, 100, away_s=80)).max() < 2e-5 * whole.std()


def test_a_product_of_responses_is_one_filter_after_the_other(rng: np.random.Generator) -> None:
    x = rng.standard_normal(256 * 300)
    one = fir2_stop(100, 49, 51)
    both = filter_resample(x, Fraction(256), Fraction(256), one * fir2(100, 10, None))
    first = filter_resample(x, Fraction(256), Fraction(256), one)
    second = filter_resample(first, Fraction(256), Fraction(256), fir2(100, 10, None))
    assert np.abs(inner(both - second, 256, away_s=30)).max() < 1e-5


def test_an_upper_edge_above_nyquist_is_ignored_and_a_lower_one_refused() -> None:
    rate = Fraction(64)
    high_passed = butter2(4, 0.3, None).gain(1024, rate, rate, 1024)
    assert np.array_equal(EEG.gain(1024, rate, rate, 1024), high_passed)
    assert butter2(4, 10, None).refusal(Fraction(1))
    with pytest.raises(ValueError, match="nothing above 10 Hz"):
        filter_resample(np.zeros(100), Fraction(1), TARGET, butter2(4, 10, None))


def test_running_both_ways_equals_scipy_s_filtfilt_to_the_ends(rng: np.random.Generator) -> None:
    x = rng.standard_normal(256 * 75)
    for response, edges, kind in (
        (EEG, (0.3, 35), "bandpass"),
        (butter2(4, 10, None), 10, "highpass"),
    ):
        theirs = signal.filtfilt(*signal.butter(4, edges, kind, fs=256), x)
        ours = filter_both_ways(x, Fraction(256), response)
        assert np.abs(ours - theirs).max() < 1e-5 * theirs.std()
    with pytest.raises(ValueError, match="mne_fir"):
        filter_both_ways(x, Fraction(256), mne_fir(0.5, 40))


@pytest.mark.parametrize("rate", [100, 128, 200, 256, 500])
def test_end_points_are_kept(rate: int, rng: np.random.Generator) -> None:
    x = rng.standard_normal(rate * 400 + 7)
    ours = interpolate_endpoints(x, Fraction(rate), TARGET)
    m = round(100 / rate * len(x))
    theirs = np.interp(np.linspace(0, len(x) - 1, m), np.arange(len(x)), x)
    assert len(ours) == m
    assert np.abs(ours - theirs).max() < 1e-6
    assert (ours[0], ours[-1]) == (np.float32(x[0]), np.float32(x[-1]))


@pytest.mark.parametrize("rate", [10, 25, 32, 75, 100, 125, 128, 200, 250, 256, 500])
@pytest.mark.parametrize("samples", [256, 1024, 4096])
def test_interpolation_in_time_is_numpy_s_to_the_last_bit(
    rate: int, samples: int, rng: np.random.Generator
) -> None:
    x = rng.standard_normal(rate * 100 + 3)
    n_out = 5 * samples
    at_s = np.arange(1, n_out + 1) * 30 / samples
    theirs = np.interp(at_s, np.arange(len(x)) / rate, x, left=0, right=0)
    ours = interpolate_time(x, Fraction(rate), Fraction(samples, 30), n_out)
    assert np.array_equal(ours, theirs.astype(np.float32))
    assert (ours[int(101 * samples / 30) :] == 0).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=300))
def test_quartiles_are_numpy_s(values: list[float]) -> None:
    x = np.array(values, dtype=np.float32)
    expected = np.quantile(x.astype(np.float64), [0.25, 0.5, 0.75])
    assert quantiles(x) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_mean_and_std_survive_a_large_offset(rng: np.random.Generator) -> None:
    x = rng.standard_normal(300_000).astype(np.float32) + np.float32(1000)
    exact = x.astype(np.float64)
    assert mean_and_std(x) == pytest.approx((exact.mean(), exact.std()), rel=1e-6)


def test_z_score_and_robust_score(rng: np.random.Generator) -> None:
    x = rng.standard_normal((10, 3000)).astype(np.float32) * 18 + 4
    assert mean_and_std(z_score(x)) == pytest.approx((0, 1), abs=1e-5)
    first, median, third = quantiles(robust_score(x))
    assert (median, third - first) == pytest.approx((0, 1), abs=1e-6)
    assert not z_score(np.full(50, 3.0)).any()


@pytest.mark.parametrize("n_padded", [800, 1000, 2500])
def test_the_padded_z_score_counts_the_zeros_and_cuts_what_is_beyond(
    n_padded: int, rng: np.random.Generator
) -> None:
    x = rng.standard_normal(1000) + 3
    night = np.zeros(n_padded)
    night[: min(1000, n_padded)] = x[:n_padded]
    expected = (x - night.mean()) / night.std(ddof=1)
    assert np.abs(z_score_padded(x, n_padded) - expected).max() < 1e-6


def plain_running_moments(
    x: np.ndarray, rate: float, scaling: CausalScaling
) -> tuple[np.ndarray, np.ndarray]:
    """Run wav2sleep's recursion sample by sample."""
    share_mean, share = 1 / (rate * scaling.mean_tau_s), 1 / (rate * scaling.variance_tau_s)
    warm = x[: max(1, min(int(scaling.mean_tau_s * rate), len(x) // 10))]
    floor = scaling.min_sigma**2
    mean, variance = [warm.mean()], [max(warm.var(), floor, 1e-6)]
    for value in x[1:]:
        mean.append(share_mean * value + (1 - share_mean) * mean[-1])
        limit = scaling.clip_sigma * np.sqrt(max(variance[-1], floor))
        rest = np.clip(value - mean[-1], -limit, limit)
        variance.append(share * rest**2 + (1 - share) * variance[-1])
    return np.array(mean), np.array(variance)


def test_running_moments_equal_the_plain_recursion(rng: np.random.Generator) -> None:
    x = rng.standard_normal(6000) * 0.4 + np.linspace(0, 3, 6000)
    x[rng.integers(1000, 6000, 40)] += 30
    mean, variance, clipped = running_moments(x, Fraction(1024, 30), CausalScaling())
    plain_mean, plain_variance = plain_running_moments(x, 1024 / 30, CausalScaling())
    assert np.abs(mean - plain_mean).max() < 1e-12
    assert np.abs(variance - plain_variance).max() < 1e-12
    assert len(clipped) >= 38


def test_the_future_cannot_change_the_causal_past(rng: np.random.Generator) -> None:
    x = rng.standard_normal(60_000)
    changed = x.copy()
    changed[30_000:] += 20
    before, after = (z_score_causal(y, Fraction(1024, 30))[:30_000] for y in (x, changed))
    assert np.array_equal(before, after)


def test_a_spectrogram_has_29_frames_of_129_bins_and_a_floor() -> None:
    images = log_spectrogram(np.stack([sine(100, 12.5, 30), np.zeros(3000)]))
    assert images.shape == (2, 29, 129)
    assert images[0].mean(axis=0).argmax() == 32  # 12.5 Hz of 256 bins at 100 Hz
    assert (images[1] == -160).all()


def test_a_spectrogram_is_scipy_s_without_detrending(rng: np.random.Generator) -> None:
    x = rng.standard_normal(3000) * 20 + 5
    window = np.hamming(200)
    options = {"noverlap": 100, "nfft": 256, "detrend": False, "mode": "complex"}
    options["scaling"] = "spectrum"
    _, _, theirs = signal.spectrogram(x, 100, window=window, **options)
    expected = 20 * np.log10(np.abs(theirs * window.sum())).T
    assert np.abs(log_spectrogram(x) - expected).max() < 1e-4


def test_no_response_is_the_identity() -> None:
    assert NONE * EEG == EEG
    assert (NONE.gain(100, TARGET, TARGET, 100) == 1).all()
