"""Heart rate variability against tachograms whose numbers are known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.heart import (
    HEART_DEFINITIONS,
    heart_rate,
    heart_statistics,
    mean_by_stage,
    rmssd,
)
from nights.hypnogram import Hypnogram


def swaying(amplitude_s: float, hz: float, *, minutes: float = 60, mean_s: float = 0.8):
    """Return beats whose interval is mean + amplitude * sin(2 pi hz t), t the time of the beat."""
    beats = [0.0]
    while beats[-1] < 60 * minutes:
        beats.append(beats[-1] + mean_s + amplitude_s * np.sin(2 * np.pi * hz * beats[-1]))
    return np.array(beats)


def test_a_metronome_has_a_rate_and_no_variability() -> None:
    found = heart_statistics(np.arange(0, 1800, 0.75))
    assert found["heart_bpm"] == pytest.approx(80)
    for name in ("sdnn_ms", "sdnn_index_ms", "rmssd_ms", "lf_ms2", "hf_ms2"):
        assert found[name] == pytest.approx(0, abs=1e-6)
    assert found["artefact_percent"] == 0


@pytest.mark.parametrize(
    ("hz", "band", "other"), [(0.1, "lf_ms2", "hf_ms2"), (0.25, "hf_ms2", "lf_ms2")]
)
def test_a_sine_has_its_power_in_its_band(hz: float, band: str, other: str) -> None:
    found = heart_statistics(swaying(0.04, hz))
    half_square = (1e3 * 0.04) ** 2 / 2  # power of a sine
    assert found["sdnn_ms"] == pytest.approx(np.sqrt(half_square), rel=0.02)
    assert found[band] == pytest.approx(half_square, rel=0.08)
    assert found[other] < 0.03 * half_square


def test_alternating_intervals_have_the_rmssd_of_their_difference() -> None:
    beats_s = np.cumsum(np.tile([0.78, 0.82], 500))
    assert heart_statistics(beats_s)["rmssd_ms"] == pytest.approx(40)
    np.testing.assert_allclose(rmssd(beats_s, 20), 40, atol=1e-3)


def test_a_missed_and_a_doubled_beat_change_nothing_but_the_count_of_artefacts() -> None:
    clean = swaying(0.03, 0.2)
    broken = np.sort(np.append(np.delete(clean, 1000), clean[2000] + 0.35))
    before, after = heart_statistics(clean), heart_statistics(broken)
    assert after["artefact_percent"] == pytest.approx(100 * 3 / len(clean), rel=0.01)
    for name in ("heart_bpm", "sdnn_ms", "rmssd_ms", "hf_ms2"):
        assert after[name] == pytest.approx(before[name], rel=0.01)


def test_rate_of_an_epoch_is_that_of_its_own_beats() -> None:
    beats_s = np.concatenate([np.arange(0, 30, 1.0), np.arange(30, 60, 0.5)])
    np.testing.assert_allclose(heart_rate(beats_s, 3)[:2], [60, 119], atol=2)
    assert np.isnan(heart_rate(beats_s, 3)[2])


def test_sleep_and_wake_are_told_apart_on_the_clock_of_the_hypnogram() -> None:
    beats_s = np.concatenate([np.arange(0, 300, 0.6), np.arange(300, 600, 1.0)])
    night = Hypnogram(np.array([0] * 9 + [2] * 10), onset_s=30.0)
    found = heart_statistics(beats_s, night)
    assert found["heart_asleep_bpm"] == pytest.approx(60, abs=0.5)
    assert found["heart_highest_bpm"] == pytest.approx(100, abs=0.5)
    by_stage = mean_by_stage(heart_rate(beats_s - 30, 19), night)
    assert by_stage["W"] == pytest.approx(100, abs=0.5)
    assert np.isnan(by_stage["R"])


@pytest.mark.parametrize("n", [0, 1, 2, 4])
def test_a_handful_of_beats_gives_no_invented_numbers(n: int) -> None:
    found = heart_statistics(np.arange(n, dtype=float))
    assert list(found) == list(HEART_DEFINITIONS)
    assert found["beats"] == n
    assert np.isnan(found["lf_hf"])
    assert np.isnan(found["heart_lowest_bpm"])
