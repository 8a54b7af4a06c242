"""Alarms fire beyond their limit and not before, and each says its number, limit and source."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from evaluation.alarm import Alarm
from nights.hypnogram import Hypnogram
from nights.stages import FOUR_CLASSES, N1, N2, N3, UNSCORED, R, W, to_four_classes
from recordings.channels import Choice, Montage
from recordings.ingest import ChannelRecord, NightSignals
from recordings.recording import Channel, Recording
from recordings.simulate.stages import draw_stages
from recordings.views import VIEWS
from staging.quality import alarms, judge, limits, usual_ranges
from staging.quality_signals import hum_share, longest_run, signal_alarms


def ordinary(n_epochs: int = 960) -> np.ndarray:
    """Stages of a night nobody would wonder about: five cycles between wake at both ends."""
    cycle = np.repeat([N1, N2, N3, N2, W, N1, N2, R], [6, 50, 34, 26, 3, 5, 16, 36])
    night = np.concatenate([np.full(30, W), np.tile(cycle, 6)])[: n_epochs - 10]
    return np.concatenate([night, np.full(n_epochs - len(night), W)])


def sure(stages: np.ndarray, mean: float) -> Hypnogram:
    """A hypnogram whose every stage has the probability `mean`."""
    proba = np.full((len(stages), 5), (1 - mean) / 4)
    proba[np.arange(len(stages)), np.maximum(stages, 0)] = mean
    return Hypnogram(stages=stages, proba=proba)


def found(alarm: str, raised: tuple[Alarm, ...]) -> str:
    """The severity of the alarm with this name, empty when it was not raised."""
    return next((a.severity for a in raised if a.name == alarm), "")


def test_an_ordinary_night_raises_nothing() -> None:
    night = replace(sure(ordinary(), 0.9), lights_off_s=0.0)
    assert alarms(night, raw=night) == ()


def test_every_alarm_is_complete() -> None:
    stages = np.where(np.arange(960) % 3 == 0, UNSCORED, N2)
    raised = alarms(sure(stages, 0.3), raw=sure(np.full(960, W), 0.3))
    assert len(raised) >= 5
    for alarm in raised:
        assert alarm.message.endswith(".")
        assert alarm.source
        assert np.isfinite([alarm.value, alarm.limit]).all()


def test_the_gravest_alarm_comes_first() -> None:
    order = [alarm.severity for alarm in alarms(sure(np.full(960, N2), 0.5))]
    assert order == sorted(order, key=["distrust", "warning", "note"].index)
    assert order[0] == "distrust"


@pytest.mark.parametrize(
    ("n_epochs", "name", "severity"),
    [
        (59, "too short", "distrust"),
        (60, "too short", ""),
        (60, "nap instead of night", "warning"),
        (359, "nap instead of night", "warning"),
        (360, "nap instead of night", ""),
    ],
)
def test_length_is_judged_by_scored_time(n_epochs: int, name: str, severity: str) -> None:
    stages = np.concatenate([ordinary()[:n_epochs], np.full(900, UNSCORED)])
    assert found(name, alarms(Hypnogram(stages=stages))) == severity


def test_a_nap_is_not_judged_by_the_ranges_of_nights() -> None:
    nap = Hypnogram(stages=np.full(100, N2))
    assert [alarm.name for alarm in alarms(nap)] == ["nap instead of night"]


@pytest.mark.parametrize(("share", "severity"), [(0.20, ""), (0.21, "warning"), (0.51, "distrust")])
def test_many_unscored_epochs_raise_an_alarm(share: float, severity: str) -> None:
    stages = ordinary(2000)
    stages[: round(2000 * share)] = UNSCORED
    assert found("unscored epochs", alarms(Hypnogram(stages=stages))) == severity


def test_a_night_without_sleep_is_distrusted() -> None:
    assert found("no sleep", alarms(Hypnogram(stages=np.full(960, W)))) == "distrust"
    assert found("no sleep", alarms(Hypnogram(stages=ordinary()))) == ""


def test_a_night_without_rem_is_a_warning() -> None:
    stages = ordinary()
    assert found("no REM sleep", alarms(Hypnogram(stages=np.where(stages == R, N2, stages))))
    stages[:] = np.where(stages == R, N2, stages)
    stages[500] = R
    assert found("no REM sleep", alarms(Hypnogram(stages=stages))) == ""


@pytest.mark.parametrize(("n_other", "severity"), [(9, "distrust"), (10, "")])
def test_a_collapse_into_one_stage_is_distrusted(n_other: int, severity: str) -> None:
    stages = np.full(1000, N2)
    stages[:n_other] = W
    assert found("one stage only", alarms(Hypnogram(stages=stages))) == severity


RANGE = {"low": 10.0, "high": 40.0, "least": 5.0, "greatest": 45.0}  # a quarter of 5..45 is 10


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (10.0, None),
        (40.0, None),
        (9.9, ("note", 10.0)),
        (40.1, ("note", 40.0)),
        (5.0, ("note", 10.0)),
        (4.9, ("warning", 5.0)),
        (45.1, ("warning", 45.0)),
        (-5.0, ("warning", 5.0)),
        (-5.1, ("distrust", -5.0)),
        (55.1, ("distrust", 55.0)),
        (float("nan"), None),
    ],
)
def test_a_statistic_is_judged_by_how_far_outside_it_lies(
    value: float, expected: tuple[str, float] | None
) -> None:
    assert judge(value, RANGE) == expected


def test_ranges_are_measured_on_hundreds_of_nights_of_several_sources() -> None:
    measured = limits()
    assert measured["nights"] == sum(measured["sources"].values()) > 300
    assert len(measured["sources"]) >= 5
    for name, numbers in measured["statistics"].items():
        steps = [numbers[key] for key in ("least", "low", "high", "greatest")]
        assert steps == sorted(steps), name


def test_statistics_outside_the_measured_ranges_raise_alarms() -> None:
    numbers = limits()["statistics"]["rem_percent"]
    night = Hypnogram(stages=ordinary())
    inside = {"tst_min": 400.0, "rem_min": 50.0, "rem_percent": numbers["high"]}
    assert alarms(night, statistics=inside) == ()
    for rem_percent, severity in (
        (numbers["high"] + 0.1, "note"),
        (numbers["greatest"] + 0.1, "warning"),
        (99.0, "distrust"),
    ):
        (alarm,) = alarms(night, statistics=inside | {"rem_percent": rem_percent})
        assert (alarm.name, alarm.severity, alarm.value) == ("rem_percent", severity, rem_percent)
        assert alarm.limit < rem_percent
        assert "real nights scored by people" in alarm.source


def test_sleep_latency_is_judged_only_when_lights_off_is_known() -> None:
    stages = np.concatenate([np.full(2400, W), ordinary()])  # a recorder switched on at noon
    unknown = Hypnogram(stages=stages)
    assert found("sol_min", alarms(unknown)) == ""
    assert found("sol_min", alarms(replace(unknown, lights_off_s=0.0))) == "distrust"


def test_four_classes_are_judged_by_ranges_of_four_classes() -> None:
    night = Hypnogram(stages=to_four_classes(ordinary()), classes=FOUR_CLASSES)
    assert alarms(night) == ()
    flat = Hypnogram(stages=np.where(night.stages == W, W, 2), classes=FOUR_CLASSES)
    assert found("deep_percent", alarms(flat)) == "distrust"


@pytest.mark.parametrize(
    ("just", "severity"),
    [("agreement_percentile_0.5", "distrust"), ("agreement_percentile_5", "warning")],
)
def test_low_confidence_is_measured_against_the_agreement_of_people(
    just: str, severity: str
) -> None:
    limit = limits()["two_scorers"][just]
    assert found("mean confidence", alarms(sure(ordinary(), limit - 0.001))) == severity
    assert found("mean confidence", alarms(sure(ordinary(), limit + 0.001))) != severity


def test_confidence_below_that_of_published_stagers_is_a_note() -> None:
    limit = limits()["stager_confidence"]["percentile_0.5"]
    assert found("mean confidence", alarms(sure(ordinary(), limit - 0.001))) == "note"
    assert found("mean confidence", alarms(sure(ordinary(), limit + 0.001))) == ""


def test_confidence_is_the_stagers_own_when_the_result_was_corrected() -> None:
    sharp, unsure = sure(ordinary(), 0.95), sure(ordinary(), 0.5)
    assert found("mean confidence", alarms(sharp, raw=unsure)) == "warning"
    assert found("mean confidence", alarms(unsure, raw=sharp)) == ""


@pytest.mark.parametrize(("beyond", "severity"), [(-1, ""), (1, "warning")])
def test_lock_in_is_a_gain_beyond_what_two_people_differ_by(beyond: int, severity: str) -> None:
    limit = limits()["two_scorers"]["share_difference_percent_percentile_95"]
    raw = ordinary(1000)
    corrected = raw.copy()
    others = np.flatnonzero(raw != N2)
    corrected[others[: round(10 * limit) + beyond]] = N2
    raised = alarms(Hypnogram(stages=corrected), raw=Hypnogram(stages=raw))
    assert found("correction lock-in", raised) == severity


def test_a_night_collapsed_by_the_correction_is_distrusted() -> None:
    raised = alarms(Hypnogram(stages=np.full(960, N2)), raw=Hypnogram(stages=ordinary()))
    assert found("correction lock-in", raised) == "distrust"


def test_a_night_collapsed_by_the_stager_is_not_blamed_on_the_correction() -> None:
    flat = Hypnogram(stages=np.full(960, N2))
    assert found("correction lock-in", alarms(flat, raw=flat)) == ""


@pytest.mark.parametrize("stages", [[], [UNSCORED] * 5, [W]], ids=["none", "unscored", "one"])
def test_strange_nights_raise_alarms_and_no_error(stages: list[int]) -> None:
    night = Hypnogram(stages=np.array(stages, dtype=int))
    assert found("too short", alarms(night, raw=night)) == "distrust"


def test_most_simulated_nights_raise_no_alarm_about_their_stages() -> None:
    rng = np.random.default_rng(4)
    raised = [alarms(Hypnogram(stages=draw_stages(rng, 960))) for _ in range(20)]
    assert sum(any(a.severity == "distrust" for a in night) for night in raised) <= 1


def test_ranges_of_the_report_are_those_of_the_alarms() -> None:
    ranges, source = usual_ranges(Hypnogram(stages=ordinary()))
    measured = limits()["statistics"]["tst_min"]
    assert ranges["tst_min"] == (measured["low"], measured["high"])
    assert f"{limits()['nights']} real nights" in source


# ------------------------------------------------------------------------------------ signals


def record(target: str = "C4", **changes: object) -> ChannelRecord:
    """A lead that is as it should be."""
    usual = ChannelRecord(
        target=target,
        taken=f"EEG {target}-M1",
        referenced=True,
        rate_hz=256.0,
        unit="uV",
        flat=0.0,
        clipped=0.0,
        mean=0.0,
        std=25.0,
        median=0.0,
        iqr=24.0,
        centre=0.0,
        spread=1.0,
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def night_of(lead: ChannelRecord, signal: np.ndarray | None = None) -> NightSignals:
    """A night of 400 epochs with one lead."""
    if signal is None:
        signal = np.random.default_rng(1).normal(0, 20, (400, 50)).astype(np.float32)
    return NightSignals(
        view=VIEWS["bb100"],
        signals={lead.target: signal},
        channels=(lead,),
        dropped={},
        unscored=np.zeros(len(signal), dtype=bool),
        montage=Montage((Choice(lead.target, 0, None, lead.taken, True),)),
    )


def raised_by(lead: ChannelRecord, signal: np.ndarray | None = None) -> list[tuple[str, str]]:
    """Name and severity of the alarms about one lead."""
    return [(alarm.name, alarm.severity) for alarm in signal_alarms(night_of(lead, signal))]


@pytest.mark.parametrize("target", ["C4", "E1", "Chin", "SpO2"])
def test_a_good_lead_raises_nothing(target: str) -> None:
    assert raised_by(record(target)) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"flat": 0.05}, []),
        ({"flat": 0.051}, [("flat lead", "warning")]),
        ({"flat": 0.31}, [("flat lead", "distrust")]),
        ({"clipped": 0.005}, []),
        ({"clipped": 0.0051}, [("clipped lead", "warning")]),
        ({"clipped": 0.051}, [("clipped lead", "distrust")]),
        ({"iqr": 2.0}, []),
        ({"iqr": 1.99}, [("unlikely amplitude", "distrust")]),
        ({"iqr": 400.0}, []),
        ({"iqr": 401.0}, [("unlikely amplitude", "distrust")]),
    ],
)
def test_each_fault_of_a_lead_fires_beyond_its_limit_only(
    changes: dict[str, float], expected: list[tuple[str, str]]
) -> None:
    assert raised_by(record(**changes)) == expected


def test_millivolts_called_microvolts_are_noticed() -> None:
    assert ("unlikely amplitude", "distrust") in raised_by(record(iqr=0.024))


def test_oxygen_may_rest_at_one_value() -> None:
    assert raised_by(record("SpO2", flat=0.9, iqr=0.0)) == []


def test_a_silent_chin_is_no_lead_off_but_an_unlikely_one_is_a_warning() -> None:
    silent = np.full((400, 50), 0.1, np.float32)
    assert raised_by(record("Chin", iqr=0.3), silent) == []
    assert raised_by(record("Chin", iqr=0.1), silent) == [("unlikely amplitude", "warning")]


@pytest.mark.parametrize("loose", [0.01, 100.0], ids=["silent", "wild"])
@pytest.mark.parametrize(("n_epochs", "severity"), [(20, ""), (21, "warning"), (241, "distrust")])
def test_a_lead_that_came_off_is_noticed_by_its_longest_stretch(
    rng: np.random.Generator, loose: float, n_epochs: int, severity: str
) -> None:
    signal = rng.normal(0, 20, (400, 50)).astype(np.float32)
    signal[100 : 100 + n_epochs] *= loose
    expected = [("lead off", severity)] if severity else []
    assert raised_by(record(), signal) == expected


def test_samples_that_are_not_numbers_count_as_lead_off(rng: np.random.Generator) -> None:
    signal = rng.normal(0, 20, (400, 50)).astype(np.float32)
    signal[:30] = np.nan
    assert raised_by(record(), signal) == [("lead off", "warning")]


class Hummed(Recording):
    """A recording of one channel with noise of 10 uV and a hum of a chosen amplitude."""

    def __init__(self, mains_hz: float, amplitude_uv: float, rate_hz: int = 256) -> None:
        time = np.arange(600 * rate_hz) / rate_hz
        noise = np.random.default_rng(2).normal(0, 10, len(time))
        self.samples = noise + amplitude_uv * np.sin(2 * np.pi * mains_hz * time)
        self.path, self.start, self.duration_s = Path("hum.edf"), None, 600.0
        self.channels = (Channel(0, "C4", Fraction(rate_hz), "uV", len(time)),)
        self.annotations = self.gaps = self.notes = ()

    def read(self, which: str | int, dtype: type = np.float32) -> np.ndarray:
        return self.samples.astype(dtype)


@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
@pytest.mark.parametrize(("amplitude_uv", "expected"), [(12.0, []), (17.0, ["mains hum"])])
def test_hum_fires_when_it_is_stronger_than_everything_else(
    mains_hz: float, amplitude_uv: float, expected: list[str]
) -> None:
    recording = Hummed(mains_hz, amplitude_uv)  # equal powers at an amplitude of 14.1 uV
    raised = list(signal_alarms(night_of(record()), recording))
    assert [alarm.name for alarm in raised] == expected
    assert all(f"{mains_hz:g} Hz" in alarm.message for alarm in raised)


def test_hum_cannot_be_judged_when_the_rate_does_not_reach_it() -> None:
    assert np.isnan(hum_share(np.ones(10_000), 100.0, 50.0))
    assert list(signal_alarms(night_of(record()), Hummed(20.0, 50.0, rate_hz=100))) == []


def test_hum_share_is_the_share_of_power(rng: np.random.Generator) -> None:
    time = np.arange(256 * 300) / 256
    mixed = 3 * np.sin(2 * np.pi * 50 * time) + 4 * np.sin(2 * np.pi * 10 * time)
    assert hum_share(mixed, 256.0, 50.0) == pytest.approx(9 / 25, abs=1e-3)


@pytest.mark.parametrize(
    ("flags", "length"),
    [([], 0), ([False], 0), ([True], 1), ([True, False, True, True, False], 2)],
)
def test_longest_run_counts_unbroken_stretches(flags: list[bool], length: int) -> None:
    assert longest_run(np.array(flags, dtype=bool)) == length


@pytest.mark.data("real/dod")
def test_few_real_nights_are_distrusted(shared_data: Path) -> None:
    with np.load(shared_data / "real" / "dod" / "dod.npz") as pack:
        names = sorted(name for name in pack.files if name.endswith("/scorers"))
        nights = [Hypnogram(stages=pack[name][2]) for name in names]
    distrusted = [night for night in nights if any(a.severity == "distrust" for a in alarms(night))]
    assert len(distrusted) <= 0.05 * len(nights)
