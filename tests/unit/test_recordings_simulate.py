"""A simulated night must show what a sleep physician expects, at the moments its truth says."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, sosfiltfilt, welch

from nights.stages import N1, N2, N3, R, W
from recordings.edf.writing import Signal
from recordings.recording import Annotation
from recordings.simulate import SCORER, SimulatedNight, simulate_night
from recordings.simulate.eeg import lead_gains
from recordings.simulate.events import (
    AROUSAL,
    BREATHING_EVENTS,
    CENTRAL,
    DESATURATION,
    HYPOPNEA,
    OBSTRUCTIVE,
    make_plan,
)
from recordings.simulate.stages import Person, draw_stages

STAGES = np.repeat([W, N1, N2, N3, N2, R], 40)  # two hours in bouts of 20 minutes; N3 from 3600 s


@pytest.fixture(scope="module")
def night() -> SimulatedNight:
    """Two hours of a young person with many breathing events."""
    return simulate_night(3, stages=STAGES, age=30, ahi=30)


def band_power(night: SimulatedNight, label: str, stage: int, low: float, high: float) -> float:
    """Power (uV2) between two frequencies: median over the epochs of a stage."""
    signal = night.signals[label]
    rate_hz = float(signal.rate_hz)
    epochs = signal.samples.reshape(night.hypnogram.n_epochs, -1)[night.hypnogram.stages == stage]
    hz, density = welch(epochs, rate_hz, nperseg=round(4 * rate_hz))
    inside = (hz >= low) & (hz < high)
    return float(np.median(density[:, inside].sum(axis=1)) * hz[1])


def stretch(night: SimulatedNight, label: str, from_s: float, to_s: float) -> np.ndarray:
    """Samples of one signal between two moments."""
    signal = night.signals[label]
    return signal.samples[round(from_s * signal.rate_hz) : round(to_s * signal.rate_hz)]


# ---------------------------------------------------------------------------------------- stages


def test_n3_comes_early_and_r_comes_late() -> None:
    nights = np.array([draw_stages(np.random.default_rng(seed), 960) for seed in range(20)])
    first, second = nights[:, :480], nights[:, 480:]
    assert (first == N3).mean() > 2 * (second == N3).mean()
    assert (second == R).mean() > 1.5 * (first == R).mean()


def test_stage_shares_of_an_adult_night_are_those_of_people() -> None:
    nights = np.array([draw_stages(np.random.default_rng(seed), 960) for seed in range(20)])
    share = np.bincount(nights.ravel(), minlength=5) / nights.size
    # Ohayon et al. 2004, Sleep 27: 1255, healthy adults, widened for the share of wake in bed
    for stage, low, high in [(W, 0.05, 0.2), (N1, 0.03, 0.12), (N2, 0.4, 0.58), (N3, 0.1, 0.25)]:
        assert low < share[stage] < high, stage
    assert 0.13 < share[R] < 0.26


def test_old_people_sleep_lighter_and_wake_more() -> None:
    young, old = (
        np.array([draw_stages(np.random.default_rng(s), 960, age=age) for s in range(20)])
        for age in (20, 75)
    )
    assert (old == N3).mean() < 0.8 * (young == N3).mean()
    assert (old == W).mean() > 1.3 * (young == W).mean()


def test_given_stages_are_followed(night: SimulatedNight) -> None:
    assert np.array_equal(night.hypnogram.stages, STAGES)
    assert night.hypnogram.scorer == SCORER
    assert night.hypnogram.start == night.start


# ------------------------------------------------------------------------------------------- EEG


def test_delta_power_rises_with_depth_and_is_frontal(night: SimulatedNight) -> None:
    delta = {stage: band_power(night, "F4-M1", stage, 0.5, 4) for stage in (W, N2, N3, R)}
    assert delta[N3] > 3 * delta[N2] > 6 * delta[R]
    assert delta[N3] > 3 * delta[W]
    assert delta[N3] > 1.5 * band_power(night, "O2-M1", N3, 0.5, 4)


def test_slow_waves_of_n3_reach_75_uv_over_the_frontal_leads(night: SimulatedNight) -> None:
    slow = sosfiltfilt(
        butter(2, (0.3, 4), "bandpass", fs=256, output="sos"), stretch(night, "F4-M1", 3600, 4800)
    )
    seconds = slow.reshape(-1, 512)
    assert (np.ptp(seconds, axis=1) > 75).mean() > 0.5
    assert abs(slow.min()) > 1.1 * slow.max()  # the down-state is the sharper, deeper half


def test_sigma_belongs_to_n2_and_to_the_centre(night: SimulatedNight) -> None:
    sigma = {stage: band_power(night, "C3-M2", stage, 11.5, 15) for stage in (N1, N2, R)}
    assert sigma[N2] > 2 * sigma[R]
    assert sigma[N2] > 1.5 * sigma[N1]
    assert sigma[N2] > 1.5 * band_power(night, "O1-M2", N2, 11.5, 15)


def test_alpha_belongs_to_wake_and_to_the_back_of_the_head(night: SimulatedNight) -> None:
    alpha = {stage: band_power(night, "O1-M2", stage, 8, 12) for stage in (W, N1, N2, R)}
    assert alpha[W] > 2 * alpha[N1]
    assert alpha[W] > 4 * max(alpha[N2], alpha[R])
    assert alpha[W] > 1.5 * band_power(night, "F3-M2", W, 8, 12)


def test_the_spectrum_falls_more_steeply_the_deeper_the_sleep(night: SimulatedNight) -> None:
    ratio = [
        band_power(night, "C4-M1", stage, 1, 4) / band_power(night, "C4-M1", stage, 20, 35)
        for stage in (W, N2, N3)
    ]
    assert ratio[0] < ratio[1] / 3 < ratio[2] / 9


def test_neighbouring_leads_are_correlated_distant_ones_less(night: SimulatedNight) -> None:
    f3, c3, o2 = (stretch(night, label, 2400, 3600) for label in ("F3-M2", "C3-M2", "O2-M1"))
    assert 0.4 < np.corrcoef(f3, c3)[0, 1] < 0.95
    assert abs(np.corrcoef(f3, o2)[0, 1]) < np.corrcoef(f3, c3)[0, 1] / 2


def test_a_derivation_is_the_difference_of_its_electrodes() -> None:
    pair, plus, minus = lead_gains([("F3", "M2"), ("F3", None), ("M2", None)])
    assert np.allclose(pair, plus - minus)


# ------------------------------------------------------------------------------- eyes and muscles


def test_eye_movements_are_opposite_in_e1_and_e2_and_slow_waves_are_not(
    night: SimulatedNight,
) -> None:
    eyes = butter(2, (0.3, 5), "bandpass", fs=256, output="sos")
    correlation = {}
    for stage in (N1, N3, R):
        left, right = (
            sosfiltfilt(eyes, night.signals[label].samples).reshape(-1, 30 * 256)[stage == STAGES]
            for label in ("E1-M2", "E2-M2")
        )
        large = np.abs(left - right) > np.quantile(np.abs(left - right), 0.95)
        correlation[stage] = np.corrcoef(left[large], right[large])[0, 1]
    assert correlation[R] < -0.5
    assert correlation[N1] < -0.5
    left, right = (stretch(night, label, 60 * 60, 80 * 60) for label in ("E1-M2", "E2-M2"))
    assert np.corrcoef(left, right)[0, 1] > 0.6  # N3: both see the frontal slow waves


def test_rapid_eye_movements_come_in_r_and_slow_ones_in_n1(night: SimulatedNight) -> None:
    between = night.signals["E1-M2"].samples - night.signals["E2-M2"].samples
    jump = np.abs(between[15:] - between[:-15])  # within 0.06 s
    jumps = [(jump[: STAGES.size * 7680 - 7680].reshape(-1, 7680)[STAGES[:-1] == s] > 50).mean()
             for s in (N1, N2, N3, R)]  # fmt: skip
    assert jumps[3] > 5 * max(jumps[:3])
    pair = {"E1-E2": Signal(between, Fraction(256), "uV")}
    rolling = SimulatedNight(pair, night.hypnogram, (), night.beats_s, night.start, night.person)
    slow = {stage: band_power(rolling, "E1-E2", stage, 0.2, 0.6) for stage in (N1, N2, R)}
    fast = {stage: band_power(rolling, "E1-E2", stage, 1, 4) for stage in (N1, R)}
    assert slow[N1] > 5 * slow[N2]
    assert slow[N1] / fast[N1] > 3 * slow[R] / fast[R]


def test_chin_tone_falls_with_sleep_and_is_lowest_in_r(night: SimulatedNight) -> None:
    tone = [band_power(night, "Chin", stage, 20, 100) for stage in (W, N2, N3, R)]
    assert tone[0] > 4 * tone[1]
    assert min(tone[1:3]) > 4 * tone[3]


# ------------------------------------------------------------------------------ heart and breath


def test_every_beat_is_an_r_peak(night: SimulatedNight) -> None:
    ecg = night.signals["ECG"].samples
    beats = night.beats_s[(night.beats_s > 1) & (night.beats_s < night.hypnogram.n_epochs * 30 - 1)]
    around = ecg[np.round(beats * 256).astype(int)[:, None] + np.arange(-60, 61)]
    assert np.mean(np.abs(around.argmax(axis=1) - 60) <= 2) > 0.999


def test_heart_beats_faster_awake_than_in_n3_and_follows_the_breath(night: SimulatedNight) -> None:
    stage = STAGES[(night.beats_s[:-1] // 30).astype(int)]
    intervals = np.diff(night.beats_s)
    assert np.all((intervals > 0.4) & (intervals < 1.8))
    assert intervals[stage == W].mean() < 0.95 * intervals[stage == N3].mean()
    times = np.arange(60 * 60, 80 * 60, 0.25)  # N3
    course = np.interp(times, night.beats_s[1:], intervals)
    hz, density = welch(course, 4, nperseg=240)
    breath = night.person.breaths_per_min / 60
    respiratory = (hz > breath - 0.06) & (hz < breath + 0.06)
    assert density[respiratory].max() > 3 * density[(hz > 0.32) & (hz < 0.6)].max()


def test_a_pulse_follows_every_beat(night: SimulatedNight) -> None:
    pleth = night.signals["Pleth"]
    beats = night.beats_s[(night.beats_s > 1) & (night.beats_s < night.hypnogram.n_epochs * 30 - 2)]
    after = pleth.samples[np.round(beats * 64).astype(int)[:, None] + np.arange(48)]
    delay_s = after[:, :44].argmax(axis=1) / 64
    assert np.mean((delay_s > 0.25) & (delay_s < 0.5)) > 0.98


def test_airflow_stops_in_apneas_and_shrinks_in_hypopneas(night: SimulatedNight) -> None:
    left = {kind: [] for kind in BREATHING_EVENTS}
    for event in night.events:
        if event.text in left:
            usual = np.std(stretch(night, "Airflow", event.onset_s - 60, event.onset_s))
            end_s = event.onset_s + event.duration_s
            left[event.text].append(
                np.std(stretch(night, "Airflow", event.onset_s + 2, end_s - 2)) / usual
            )
    assert np.median(left[OBSTRUCTIVE]) < 0.1
    assert np.median(left[CENTRAL]) < 0.1
    assert 0.2 < np.median(left[HYPOPNEA]) < 0.7


def test_belts_work_against_each_other_in_obstructive_and_rest_in_central_apneas(
    night: SimulatedNight,
) -> None:
    together, effort = {OBSTRUCTIVE: [], CENTRAL: []}, {OBSTRUCTIVE: [], CENTRAL: []}
    for event in night.events:
        if event.text in together:
            span = event.onset_s + 2, event.onset_s + event.duration_s - 2
            thorax, abdomen = stretch(night, "Thorax", *span), stretch(night, "Abdomen", *span)
            together[event.text].append(np.corrcoef(thorax, abdomen)[0, 1])
            effort[event.text].append(np.std(thorax))
    assert np.median(together[OBSTRUCTIVE]) < -0.5
    assert np.median(effort[OBSTRUCTIVE]) > 0.3
    assert np.median(effort[CENTRAL]) < 0.1
    quiet = stretch(night, "Thorax", 0, 600), stretch(night, "Abdomen", 0, 600)
    assert np.corrcoef(*quiet)[0, 1] > 0.7


def test_oxygen_falls_after_breathing_events_and_stays_up_without(night: SimulatedNight) -> None:
    falls = [event for event in night.events if event.text == DESATURATION]
    assert len(falls) > 20
    for fall in falls:
        before = stretch(night, "SpO2", fall.onset_s - 3, fall.onset_s + 1).max()
        end_s = fall.onset_s + fall.duration_s
        assert before - stretch(night, "SpO2", end_s - 2, end_s + 2).min() >= 3
    healthy = simulate_night(3, stages=STAGES, ahi=0, montage="home")
    assert healthy.signals["SpO2"].samples.min() >= 93
    assert not [event for event in healthy.events if event.text in BREATHING_EVENTS]


def test_arousals_show_muscle_and_a_faster_heart(night: SimulatedNight) -> None:
    louder, faster = [], []
    for event in night.events:
        if event.text == AROUSAL:
            span = event.onset_s, event.onset_s + event.duration_s
            before = event.onset_s - 20, event.onset_s - 5
            louder.append(
                np.std(stretch(night, "Chin", *span)) / np.std(stretch(night, "Chin", *before))
            )
            faster.append(
                pulse(night, event.onset_s + 2, event.onset_s + 12) / pulse(night, *before)
            )
    assert np.median(louder) > 2
    assert np.median(faster) > 1.04


def pulse(night: SimulatedNight, from_s: float, to_s: float) -> float:
    """Mean heart rate (beats a second) between two moments."""
    beats = night.beats_s[(night.beats_s >= from_s) & (night.beats_s <= to_s)]
    return 1 / np.diff(beats).mean()


# ---------------------------------------------------------------------------------------- events


@pytest.mark.parametrize("ahi", [5.0, 30.0, 60.0])
def test_breathing_events_come_as_often_as_asked(ahi: float) -> None:
    rng = np.random.default_rng(5)
    found = []
    for _ in range(5):
        stages = draw_stages(rng, 960)
        plan = make_plan(rng, stages, Person.draw(rng, 50, ahi))
        found.append(len(plan.of(*BREATHING_EVENTS)) / (np.count_nonzero(stages != W) / 120))
    assert 0.8 * ahi < np.mean(found) < 1.1 * ahi


@settings(max_examples=60, deadline=None)
@given(
    stages=st.lists(st.integers(0, 4), min_size=1, max_size=80),
    ahi=st.floats(0, 80),
    seed=st.integers(0, 10_000),
)
def test_events_stay_inside_the_night_and_inside_sleep(
    stages: list[int], ahi: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    plan = make_plan(rng, np.array(stages), Person.draw(rng, 50, ahi))
    onsets = [event.onset_s for event in plan.events]
    assert onsets == sorted(onsets)
    for event in plan.events:
        end_s = event.onset_s + event.duration_s
        assert 0 <= event.onset_s < end_s <= plan.duration_s
        if event.text in (*BREATHING_EVENTS, AROUSAL):
            assert W not in plan.stage_at(np.array([event.onset_s, end_s]))
        if event.text in BREATHING_EVENTS:
            assert 10 <= event.duration_s <= 60
        if event.text == AROUSAL:
            assert 3 <= event.duration_s < 15


# ---------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize("mains_hz", [50, 60])
def test_mains_hum_stands_at_its_frequency_in_every_lead(mains_hz: int) -> None:
    night = simulate_night(1, stages=[N2] * 10, hum_uv=5, mains_hz=mains_hz)
    for label in ("F3-M2", "E2-M2", "Chin"):
        at_mains = band_power(night, label, N2, mains_hz - 0.5, mains_hz + 0.5)
        assert at_mains > 5 * band_power(night, label, N2, mains_hz + 2, mains_hz + 3)


def test_a_lead_that_is_off_shows_hum_only_and_is_annotated() -> None:
    quiet = simulate_night(1, stages=[N2] * 10)
    night = simulate_night(1, stages=[N2] * 10, lead_off=[("C4-M1", 60, 90), ("ECG", 30, 10)])
    assert Annotation(60, 90, "Lead off C4-M1") in night.events
    assert np.std(stretch(night, "C4-M1", 60, 150)) > 3 * np.std(stretch(quiet, "C4-M1", 60, 150))
    assert np.array_equal(stretch(night, "C4-M1", 0, 60), stretch(quiet, "C4-M1", 0, 60))
    assert not stretch(night, "ECG", 30, 40).any()


@pytest.mark.slow
def test_yasa_and_a_beat_detector_agree_with_the_truth() -> None:
    from benchmarks.simulate_yasa import confusion_of, detect_beats, kappa, match, yasa_stages

    night = simulate_night(8, ahi=15)
    assert kappa(confusion_of(night.hypnogram.stages, yasa_stages(night))) >= 0.7
    hits, surplus = match(night.beats_s, detect_beats(night.signals["ECG"]))
    assert hits / len(night.beats_s) >= 0.99
    assert surplus / len(night.beats_s) <= 0.01
