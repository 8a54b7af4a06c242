"""From a recording to a view: exact to the published chains, and nothing guessed."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from recordings.channels import Montage, parse_overrides, ranked, resolve
from recordings.formats import open_recording
from recordings.ingest import NightSignals, read_view
from recordings.recording import RecordingError
from recordings.signals import z_score_causal
from recordings.views import VIEWS
from tests.makers.edf_maker import write_edf
from tests.makers.recordings import ArrayRecording

LEADS = ("F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2", "M1", "M2", "Chin1", "Chin2")
CLEAN_CR = replace(VIEWS["cr"], resample="clean")


def noise(seconds: float, rate_hz: float = 256, *, size: float = 30, seed: int = 5) -> np.ndarray:
    """Return white noise in microvolts."""
    return np.random.default_rng(seed).standard_normal(round(seconds * rate_hz)) * size


def psg(seconds: float = 200, rate_hz: int = 256) -> ArrayRecording:
    """Return twelve leads of noise."""
    signals = {lead: noise(seconds, rate_hz, seed=seed) for seed, lead in enumerate(LEADS)}
    return ArrayRecording(signals, rate_hz)


def published_lpsgm(difference: np.ndarray, rate_hz: int, target: str) -> np.ndarray:
    """Filter, resample and normalise as LPSGM does, with SciPy and NumPy."""
    edges, kind = (10, "highpass") if target == "Chin" else ((0.3, 35), "bandpass")
    filtered = signal.filtfilt(*signal.butter(4, edges, kind, fs=rate_hz), difference)
    m = round(100 / rate_hz * len(filtered))
    places = np.linspace(0, len(filtered) - 1, m)
    resampled = np.interp(places, np.arange(len(filtered)), filtered)
    scored = (resampled - resampled.mean()) / resampled.std()
    return scored[: m // 3000 * 3000].reshape(-1, 3000)


@pytest.mark.parametrize("rate", [100, 128, 200, 256])
def test_psg9c_is_the_published_chain(rate: int) -> None:
    recording = psg(200, rate)
    night = read_view(recording, VIEWS["psg9c"])
    pairs = {"C4": ("C4", "M1"), "O1": ("O1", "M2"), "E2": ("E2", "M1"), "Chin": ("Chin1", "Chin2")}
    for target, (plus, minus) in pairs.items():
        difference = recording.read(plus, np.float64) - recording.read(minus, np.float64)
        theirs = published_lpsgm(difference, rate, target)
        assert np.abs(night.normalised(target) - theirs).max() < 1e-5 * np.abs(theirs).max()


@pytest.mark.parametrize("seconds", [300, 317.3])
def test_cr_is_numpy_s_interpolation_of_the_scaled_signals(seconds: float) -> None:
    rates = {"ECG": 256, "Pleth": 75, "Abdo": 10, "Thor": 32}
    signals = {label: noise(seconds, rate, seed=rate) for label, rate in rates.items()}
    limits = {"Pleth": (-200.0, 300.0), "Abdo": (-100.0, 100.0), "Thor": (150.0, -150.0)}
    units = {"Pleth": "", "Abdo": "", "Thor": "mV/V"}
    recording = ArrayRecording(signals, rates, units, limits=limits)
    night = read_view(recording, VIEWS["cr"])
    scaled = {
        "ECG": signals["ECG"] * 1e-3,
        "PPG": (signals["Pleth"] - 50) / 250,
        "ABD": signals["Abdo"] / 100,
        "THX": signals["Thor"] / 150,
    }
    for (target, x), rate in zip(scaled.items(), rates.values(), strict=True):
        samples = VIEWS["cr"].samples[target]
        at_s = np.arange(1, 10 * samples + 1) * 30 / samples
        theirs = np.interp(at_s, np.arange(len(x)) / rate, x, left=0, right=0).astype(np.float32)
        assert np.abs(night.signals[target].ravel() - theirs).max() <= 1e-7
    assert [record.unit for record in night.channels] == ["mV", "range", "range", "range"]


def test_cr_is_normalised_over_ten_padded_hours() -> None:
    recording = ArrayRecording({"ECG": noise(600, 128) + 40}, 128)
    night = read_view(recording, VIEWS["cr"])
    padded = np.zeros(1200 * 1024)
    padded[: 20 * 1024] = night.signals["ECG"].ravel()
    expected = (night.signals["ECG"] - padded.mean()) / padded.std(ddof=1)
    assert np.abs(night.normalised("ECG") - expected).max() < 1e-4
    causal = read_view(recording, replace(VIEWS["cr"], normalise="z_causal"))
    expected = z_score_causal(night.signals["ECG"].ravel(), Fraction(1024, 30))
    assert np.array_equal(causal.normalised("ECG").ravel(), expected)


def test_clean_epochs_of_cr_are_right_closed_too() -> None:
    t = np.arange(256 * 300) / 256
    night = read_view(ArrayRecording({"ECG": 500 * np.sin(2 * np.pi * t)}, 256), CLEAN_CR)
    at_s = np.arange(1, 10 * 1024 + 1) * 30 / 1024
    error = night.signals["ECG"].ravel() - 0.5 * np.sin(2 * np.pi * at_s)
    assert np.abs(error[2048:-2048]).max() < 1e-5


def test_the_units_of_a_view_are_uv_and_mv() -> None:
    night = read_view(
        ArrayRecording({"C4-M1": noise(90), "ECG": noise(90, size=400)}), VIEWS["bb100"]
    )
    assert {record.target: record.unit for record in night.channels} == {"C4": "uV", "ECG": "mV"}
    assert night.channel("ECG").std == pytest.approx(0.4 * np.sqrt(95 / 256), rel=0.05)


def test_a_pair_at_two_rates_is_resampled_first() -> None:
    t = {rate: np.arange(rate * 120) / rate for rate in (200, 256)}
    tone = {rate: 50 * np.sin(2 * np.pi * 7 * t[rate]) for rate in t}
    recording = ArrayRecording({"C4": tone[256], "M1": tone[200]}, {"C4": 256, "M1": 200})
    night = read_view(recording, VIEWS["bb100"])
    assert np.abs(night.signals["C4"].ravel()[2000:-2000]).max() < 1e-3
    assert night.channel("C4").referenced


def test_every_lead_is_read_once() -> None:
    recording = psg(60)
    read_view(recording, VIEWS["psg9"])
    assert sorted(recording.reads) == list(range(len(LEADS)))


def test_a_shared_reference_is_not_changed_by_the_first_difference() -> None:
    together = read_view(psg(60), VIEWS["bb100"])
    for target in ("C4", "F4", "E2"):
        alone = read_view(psg(60), replace(VIEWS["bb100"], samples={target: 3000}))
        assert np.array_equal(together.signals[target], alone.signals[target])


def test_channels_come_in_the_order_of_the_view_and_epochs_are_whole() -> None:
    night = read_view(psg(95), VIEWS["psg9"])
    assert tuple(night.signals) == VIEWS["psg9"].channels
    assert night.n_epochs == 3
    assert all(x.shape == (3, 3000) and x.dtype == np.float32 for x in night.signals.values())
    assert not night.unscored.any()


def test_epochs_that_touch_a_pause_are_unscored_and_keep_their_place() -> None:
    recording = ArrayRecording({"C4-M1": noise(300)}, gaps=[(61.0, 89.0), (119.5, 150.0)])
    night = read_view(recording, VIEWS["bb100"])
    assert np.flatnonzero(night.unscored).tolist() == [2, 3, 4]
    assert night.n_epochs == 10


def one_and(label: str, samples: np.ndarray, unit: str = "uV", rate: float = 256) -> NightSignals:
    """Read `bb100` of a good C3-M2 and one other channel."""
    seconds = len(samples) / rate
    signals = {"C3-M2": noise(seconds), label: samples}
    rates = {"C3-M2": 256, label: rate}
    return read_view(ArrayRecording(signals, rates, {label: unit}), VIEWS["bb100"])


@pytest.mark.parametrize(
    ("samples", "unit", "reason"),
    [
        (np.full(256 * 60, 3.0), "uV", "flat: every sample is 3 uV"),
        (
            np.where(np.arange(256 * 60) == 99, np.nan, 1.0),
            "uV",
            "1 of 15360 samples are not finite",
        ),
        (np.where(np.arange(256 * 60) == 99, np.inf, 1.0), "uV", "not finite"),
        (noise(60, size=2e-5), "", "names no unit"),
        (noise(60), "mmHg", "mmHg, no voltage"),
    ],
)
def test_what_cannot_be_used_is_dropped_with_the_reason(
    samples: np.ndarray, unit: str, reason: str
) -> None:
    night = one_and("C4-M1", samples, unit)
    assert tuple(night.signals) == ("C3",)
    assert reason in night.dropped["C4"]


def test_a_blank_unit_is_microvolt_when_the_size_fits_whatever_the_offset() -> None:
    night = one_and("C4-M1", noise(60) + 4000, "")
    assert night.channel("C4").unit == "uV"


def test_a_flat_reference_drops_the_derivation() -> None:
    recording = ArrayRecording({"C4": noise(60), "M1": np.zeros(256 * 60), "C3-M2": noise(60)})
    assert "'M1' #1 is flat" in read_view(recording, VIEWS["bb100"]).dropped["C4"]


def test_a_chin_too_slow_for_its_filter_is_dropped() -> None:
    signals = {"C4-M1": noise(60), "EMG submental": noise(60, 1)}
    recording = ArrayRecording(signals, {"C4-M1": 256, "EMG submental": 1})
    assert "1 Hz" in read_view(recording, VIEWS["psg9"]).dropped["Chin"]


def test_a_channel_that_ends_early_is_dropped() -> None:
    signals = {"C4-M1": noise(300), "C3-M2": noise(100)}
    night = read_view(ArrayRecording(signals), VIEWS["bb100"])
    assert "ends after 100 s of 300 s" in night.dropped["C3"]


def test_no_usable_channel_is_an_error_that_names_the_labels() -> None:
    recording = ArrayRecording({"Pleth": noise(60)})
    with pytest.raises(RecordingError, match=r"psg9 .*the file has: Pleth.*--channel"):
        read_view(recording, VIEWS["psg9"])
    with pytest.raises(RecordingError, match="less than an epoch"):
        read_view(ArrayRecording({"C4-M1": noise(29)}), VIEWS["psg9"])


def test_quality_figures_tell_flat_seconds_and_clipped_samples() -> None:
    x = np.clip(noise(100), -60, 60)
    x[256 * 40 : 256 * 65] = 7.0
    recording = ArrayRecording({"C4-M1": x}, limits={"C4-M1": (-60.0, 60.0)})
    record = read_view(recording, VIEWS["bb100"]).channel("C4")
    assert record.flat == pytest.approx(0.25, abs=0.01)
    assert record.clipped == pytest.approx(np.mean(np.abs(x) == 60), abs=1e-4)


def test_the_worse_lead_of_a_difference_counts() -> None:
    flat = noise(100, seed=9)
    flat[: 256 * 50] = 1.0
    recording = ArrayRecording({"C4": noise(100), "M1": flat})
    assert read_view(recording, VIEWS["bb100"]).channel("C4").flat == pytest.approx(0.5)


def test_statistics_include_the_unfinished_last_epoch() -> None:
    x = noise(75, 100)
    record = read_view(ArrayRecording({"C4-M1": x}, 100), VIEWS["bb100"]).channel("C4")
    assert (record.mean, record.std) == pytest.approx((x.mean(), x.std()), rel=1e-4)


def test_shhs7_has_median_0_and_interquartile_range_1() -> None:
    night = read_view(psg(300), VIEWS["shhs7"])
    first, median, third = np.quantile(night.normalised("C4"), [0.25, 0.5, 0.75])
    assert (median, third - first) == pytest.approx((0, 1), abs=1e-4)


def test_overrides_and_a_montage_say_what_is_read() -> None:
    recording = psg(60)
    named = read_view(recording, VIEWS["bb100"], overrides=parse_overrides(["C4=F4-M2"]))
    montage = resolve(recording, ["C4"], overrides={"C4": ("F4", "M2")})
    given = read_view(recording, VIEWS["bb100"], montage=montage)
    assert np.array_equal(named.signals["C4"], given.signals["C4"])
    assert tuple(given.signals) == ("C4",)


def test_any_ranked_derivation_can_be_read() -> None:
    recording = ArrayRecording({"EEG7": noise(60), "F3-M2": noise(60)})
    montage = Montage(ranked(recording, "eeg"))
    assert tuple(read_view(recording, VIEWS["bb100"], montage=montage).signals) == ("F3", "EEG")


def test_a_file_is_read_in_the_units_of_the_view(tmp_path: Path) -> None:
    t = np.arange(128 * 90) / 128
    wave = np.sin(2 * np.pi * 2 * t)
    signals = {"C4-M1": (40e-6 * wave, 128), "EKG": (0.8 * wave, 128), "Thorax": (3 * wave, 128)}
    units = {"C4-M1": "V", "EKG": "mV", "Thorax": ""}
    limits = {"C4-M1": (-5e-4, 5e-4), "EKG": (-5.0, 5.0), "Thorax": (-12.0, 12.0)}
    file = write_edf(tmp_path / "night.edf", signals, unit=units, limits=limits)
    recording = open_recording(file)
    peaks = {
        target: np.abs(signal).max()
        for view in ("bb100", "cr")
        for target, signal in read_view(recording, VIEWS[view]).signals.items()
    }
    assert peaks == pytest.approx({"C4": 40, "ECG": 0.8, "THX": 0.25}, rel=0.01)


@pytest.mark.data("real")
def test_real_nights_are_read_in_their_units(shared_data: Path) -> None:
    nox = read_view(open_recording(shared_data / "real/rsleep_nox/subject1.edf"), VIEWS["psg9"])
    assert tuple(nox.signals) == VIEWS["psg9"].channels
    assert all(5 < nox.channel(target).std < 50 for target in VIEWS["psg9"].channels[:8])
    dreams = open_recording(shared_data / "real/dreams_spindles/excerpt3.edf")
    night = read_view(dreams, VIEWS["psg9"])
    assert night.n_epochs == 60
    assert tuple(night.signals) == ("C3", "O1", "E1", "E2", "Chin")
    assert "no label" in night.dropped["C4"]
