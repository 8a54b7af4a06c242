"""Beats against the simulator's truth, against a second sensor, and against noise."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from recordings.beats import Beats, ecg_beats, heart_rate_signal, normal_intervals, ppg_beats
from recordings.body import epochs_with_beats, read_body
from recordings.formats import open_recording
from recordings.signals import filter_resample
from recordings.simulate import SimulatedNight, simulate_night

MS = 1e-3


@pytest.fixture(scope="module")
def night() -> SimulatedNight:
    """One hour of a person with apnea: arousals and movements disturb the heart."""
    return simulate_night(7, hours=1, montage="home", ahi=30)


def missed_and_extra(found_s: np.ndarray, true_s: np.ndarray, within_s: float) -> tuple[int, int]:
    """Count true beats without a found one nearby, and found ones without a true one."""
    nearest = np.abs(found_s[:, None] - true_s[None])
    return int((nearest.min(axis=0) > within_s).sum()), int((nearest.min(axis=1) > within_s).sum())


def test_r_peaks_are_found_to_milliseconds(night: SimulatedNight) -> None:
    ecg = night.signals["ECG"]
    found = ecg_beats(ecg.samples, ecg.rate_hz).times_s
    assert missed_and_extra(found, night.beats_s, 0.05) == (0, 0)
    assert np.abs(found - night.beats_s).mean() < 2 * MS


def test_upside_down_and_in_another_unit_the_beats_are_the_same(night: SimulatedNight) -> None:
    ecg = night.signals["ECG"]
    upright = ecg_beats(ecg.samples, ecg.rate_hz)
    turned = ecg_beats(-1000 * ecg.samples, ecg.rate_hz)
    np.testing.assert_allclose(turned.times_s, upright.times_s, atol=1 * MS)


def test_34_hz_of_a_staging_view_are_enough(night: SimulatedNight) -> None:
    ecg = night.signals["ECG"]
    slow = Fraction(1024, 30)
    found = ecg_beats(filter_resample(ecg.samples, ecg.rate_hz, slow), slow).times_s
    assert missed_and_extra(found, night.beats_s, 0.05) == (0, 0)


@pytest.mark.parametrize("sign", [1, -1])
def test_pulses_follow_the_beats_at_a_constant_delay(night: SimulatedNight, sign: int) -> None:
    ppg = night.signals["Pleth"]
    found = ppg_beats(sign * ppg.samples, ppg.rate_hz).times_s
    delay_s = 0.28  # 0.22 s to the foot of the pulse, and on to its steepest rise
    missed, extra = missed_and_extra(found - delay_s, night.beats_s, 0.05)
    assert missed + extra <= 0.002 * len(night.beats_s)


def test_no_epoch_of_noise_has_beats_and_every_epoch_of_a_heart_has(
    night: SimulatedNight, rng: np.random.Generator
) -> None:
    ecg, ppg = night.signals["ECG"], night.signals["Pleth"]
    assert epochs_with_beats(ecg_beats(ecg.samples, ecg.rate_hz), 120).all()
    assert epochs_with_beats(ppg_beats(ppg.samples, ppg.rate_hz), 120).all()
    white = rng.standard_normal(3600 * 64).astype(np.float32)
    for noise in (white, np.cumsum(white).astype(np.float32)):
        assert epochs_with_beats(ecg_beats(noise, 64), 120).mean() < 0.2
        assert epochs_with_beats(ppg_beats(noise, 64), 120).mean() < 0.3


def test_a_flat_signal_has_no_beats() -> None:
    for find in (ecg_beats, ppg_beats):
        found = find(np.full(64 * 60, 3.0, dtype=np.float32), 64)
        assert isinstance(found, Beats)
        assert not len(found.times_s)
        assert not epochs_with_beats(found, 2).any()


def test_one_second_of_signal_is_no_error(night: SimulatedNight) -> None:
    assert len(ecg_beats(night.signals["ECG"].samples[:200], 200).times_s) <= 3


def test_a_rate_that_cannot_hold_a_beat_is_refused() -> None:
    with pytest.raises(ValueError, match="10 Hz cannot hold a QRS complex"):
        ecg_beats(np.zeros(100, np.float32), 10)


def test_missed_doubled_and_ectopic_beats_are_no_normal_intervals() -> None:
    beats_s = np.arange(60.0)
    assert normal_intervals(beats_s)[1].all()
    missed = np.delete(beats_s, 30)
    np.testing.assert_array_equal(np.flatnonzero(~normal_intervals(missed)[1]), [29])
    doubled = np.insert(beats_s, 31, 30.4)
    np.testing.assert_array_equal(np.flatnonzero(~normal_intervals(doubled)[1]), [30, 31])
    early = beats_s.copy()
    early[30] -= 0.4  # a premature beat and the pause after it
    np.testing.assert_array_equal(np.flatnonzero(~normal_intervals(early)[1]), [29, 30])


def test_the_sway_of_breath_is_normal() -> None:
    sway = 1 + 0.2 * np.sin(2 * np.pi * np.arange(300) / 5)  # 20 % within a breath of five beats
    assert normal_intervals(np.cumsum(sway))[1][5:-5].all()


def test_heart_rate_signal_is_sixty_over_the_interval_and_unknown_where_nothing_beats() -> None:
    beats_s = np.concatenate([np.arange(0, 60, 0.75), np.arange(120, 180, 1.5)])
    rate = heart_rate_signal(beats_s, 6, rate_hz=4.0)
    assert rate.shape == (6, 120)
    assert rate.dtype == np.float32
    np.testing.assert_allclose(rate[0], 80, atol=1e-4)
    np.testing.assert_allclose(rate[5], 40, atol=1e-4)
    assert np.isnan(rate[2:4]).mean() > 0.6
    assert np.isnan(heart_rate_signal(np.zeros(0), 2, 1.0)).all()


def test_a_heart_rate_stands_in_the_middle_of_its_interval() -> None:
    beats_s = np.concatenate([np.arange(20.0), np.arange(20.0, 40.0, 0.8)])
    rate = heart_rate_signal(beats_s, 1, rate_hz=4.0)[0]
    # at 20 s, between 60 a minute at 19.5 s and 75 at 20.4 s
    assert rate[20 * 4] == pytest.approx(60 + 15 * 0.5 / 0.9, abs=1e-4)


def test_an_uneven_rate_of_the_heart_rate_signal_is_refused() -> None:
    with pytest.raises(ValueError, match="no whole number of samples"):
        heart_rate_signal(np.arange(10.0), 1, rate_hz=0.77)


@pytest.mark.data("real/dreams_spindles")
def test_real_ecg_and_real_pulse_give_one_plausible_heart_rate(shared_data) -> None:
    recording = open_recording(shared_data / "real/dreams_spindles/excerpt3.edf")
    rates = []
    for overrides in ({}, {"ECG": "", "PPG": "PULSE"}):
        body = read_body(recording, overrides=overrides)
        rates.append(np.nanmedian(heart_rate_signal(body.beats_s, 60, 4.0), axis=1))
        assert body.beats_from == ("PPG" if overrides else "ECG")
    ecg, pulse = rates
    assert 50 < np.median(ecg) < 65
    assert np.abs(ecg - pulse).mean() < 1
    assert np.corrcoef(ecg, pulse)[0, 1] > 0.95
