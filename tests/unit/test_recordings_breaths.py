"""Breaths, rhythm and desaturations against the simulator's truth, and against noise."""

from __future__ import annotations

import numpy as np
import pytest

from recordings.body import epochs_with_breaths, read_body
from recordings.breaths import (
    breathing_rate,
    find_breaths,
    find_desaturations,
    oxygen_per_second,
    rhythm,
)
from recordings.formats import open_recording
from recordings.simulate import SimulatedNight, simulate_night
from recordings.simulate.breath import BODY_HZ, draw_breathing
from recordings.simulate.events import DESATURATION, make_plan
from recordings.simulate.stages import Person

SEED, AHI = 11, 20.0


@pytest.fixture(scope="module")
def night() -> SimulatedNight:
    """Two hours of a person with apnea."""
    return simulate_night(SEED, hours=2, montage="home", ahi=AHI)


@pytest.fixture(scope="module")
def phase(night: SimulatedNight) -> np.ndarray:
    """The simulator's own course of breathing: turns since the beginning, at `BODY_HZ`."""
    _, _, happens, body, _ = np.random.default_rng(SEED).spawn(5)
    plan = make_plan(happens, night.hypnogram.stages, night.person)
    assert isinstance(night.person, Person)
    return draw_breathing(body.spawn(2)[0], plan).phase


@pytest.mark.parametrize("label", ["Thor", "Abdo", "NasalP"])
def test_each_breath_is_found_once(night: SimulatedNight, phase: np.ndarray, label: str) -> None:
    signal = night.signals[label]
    found_s = find_breaths(signal.samples, signal.rate_hz).times_s
    at = np.interp(found_s, np.arange(len(phase)) / BODY_HZ, phase)
    disturbed = np.zeros(int(phase[-1]) + 2, dtype=bool)
    for event in night.events:  # breath held, the big breaths after it, a belt that slips
        from_s, to_s = event.onset_s - 5, event.onset_s + event.duration_s + 12
        first, last = (int(phase[min(int(s * BODY_HZ), len(phase) - 1)]) for s in (from_s, to_s))
        disturbed[max(first, 0) : last + 1] = True
    counts = np.bincount(np.floor(at).astype(int), minlength=len(disturbed))[: len(disturbed)]
    clear = ~disturbed
    clear[[0, -1, -2]] = False
    assert clear.sum() > 300
    assert np.mean(counts[clear] == 1) > 0.97


def test_breathing_rate_follows_the_truth(night: SimulatedNight, phase: np.ndarray) -> None:
    signal = night.signals["Thor"]
    rate = breathing_rate(find_breaths(signal.samples, signal.rate_hz).times_s, 240)
    edges = np.interp(30.0 * np.arange(241), np.arange(len(phase)) / BODY_HZ, phase)
    true = 2 * np.diff(edges)
    assert np.isfinite(rate).mean() > 0.95
    assert np.nanmedian(np.abs(rate - true)) < 0.6


def test_an_apnea_holds_no_breath() -> None:
    times_s = np.arange(0, 300, 1 / 16)
    depth = np.where((times_s >= 120) & (times_s < 160), 0.04, 1.0)
    found = find_breaths((depth * np.sin(2 * np.pi * times_s / 4)).astype(np.float32), 16).times_s
    assert not ((found > 122) & (found < 158)).any()
    rate = breathing_rate(found, 10)
    np.testing.assert_allclose(rate[[0, 1, 2, 7, 8]], 15, atol=0.1)


def test_too_few_breaths_have_no_rate() -> None:
    assert np.isnan(breathing_rate(np.array([3.0, 8.0]), 2)).all()
    assert np.isnan(breathing_rate(np.zeros(0), 2)).all()


def test_noise_has_no_rhythm_and_breathing_has(
    night: SimulatedNight, rng: np.random.Generator
) -> None:
    for label in ("Thor", "Abdo", "NasalP"):
        signal = night.signals[label]
        assert epochs_with_breaths(signal.samples, signal.rate_hz, 240).mean() > 0.95
    white = rng.standard_normal(7200 * 16)
    slope = np.maximum(np.fft.rfftfreq(len(white)), 1 / len(white)) ** -0.5
    for noise in (white, np.fft.irfft(np.fft.rfft(white) * slope)):
        assert epochs_with_breaths(noise.astype(np.float32), 16, 240).mean() < 0.1


def test_a_flat_belt_has_neither_breaths_nor_rhythm() -> None:
    flat = np.full(16 * 90, 2.0, dtype=np.float32)
    assert not len(find_breaths(flat, 16).times_s)
    np.testing.assert_array_equal(rhythm(flat, 16, 3), 0)


def test_a_rate_below_one_hertz_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.5 Hz cannot hold breathing"):
        find_breaths(np.zeros(100, np.float32), 0.5)


def test_desaturations_are_those_of_the_simulator(night: SimulatedNight) -> None:
    oxygen = night.signals["SpO2"]
    onset_s, duration_s = find_desaturations(oxygen.samples, oxygen.rate_hz)
    true = [event for event in night.events if event.text == DESATURATION]
    assert len(true) > 20
    assert abs(len(onset_s) - len(true)) <= 0.06 * len(true)
    lowest_s = onset_s + duration_s
    for event in true:
        assert np.abs(lowest_s - event.onset_s - event.duration_s).min() < 60


def test_a_sensor_that_is_off_is_no_desaturation() -> None:
    spo2 = np.full(600, 96.0)
    spo2[200:260] = 0
    spo2[400:430] = 92
    onset_s, duration_s = find_desaturations(spo2, 1)
    assert onset_s.tolist() == [399]
    assert duration_s.tolist() == [1]
    assert np.isnan(oxygen_per_second(spo2, 1)[200:260]).all()


@pytest.mark.parametrize(("fall", "n"), [(3.0, 2), (4.0, 1)])
def test_a_fall_counts_when_it_is_deep_enough(fall: float, n: int) -> None:
    spo2 = np.full(400, 97.0)
    spo2[100:120], spo2[250:270] = 94, 93
    assert len(find_desaturations(spo2, 1, fall=fall)[0]) == n


@pytest.mark.parametrize(("risen", "n"), [(2.0, 2), (1.5, 1)])  # two thirds of 3 % are 2 %
def test_a_fall_ends_when_the_oxygen_rises_by_two_thirds(risen: float, n: int) -> None:
    spo2 = np.full(300, 97.0)
    spo2[100:120], spo2[120:130], spo2[130:150] = 87, 87 + risen, 83
    assert len(find_desaturations(spo2, 1)[0]) == n


@pytest.mark.data("real/dreams_spindles")
def test_oxygen_that_was_filtered_away_is_not_taken_for_a_saturation(shared_data) -> None:
    body = read_body(open_recording(shared_data / "real/dreams_spindles/excerpt3.edf"))
    assert body.oxygen_from == ""
    assert any("is no saturation in percent" in note for note in body.notes)
    rate = breathing_rate(body.breaths_s, 60)
    assert 12 < np.nanmedian(rate) < 22
