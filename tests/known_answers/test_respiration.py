"""Indices of breathing worked out by hand, and the published AHI of real nights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.ucddb_ahi import TOLERANCE, indices
from evaluation.respiration import (
    OXYGEN_DEFINITIONS,
    RESPIRATION_DEFINITIONS,
    ahi_by_position,
    ahi_by_stage,
    counted,
    oxygen_statistics,
    respiratory_statistics,
)
from nights.events import Event
from nights.hypnogram import Hypnogram
from nights.stages import FOUR_CLASSES, to_four_classes

# 10 min of wake, 30 min of N2, 20 min of R, 10 min of wake, 10 min of N3
NIGHT = Hypnogram(np.repeat([0, 2, 4, 0, 3], [20, 60, 40, 20, 20]))
EVENTS = (
    Event(100, 15, "hypopnea"),  # wholly awake
    Event(590, 20, "obstructive_apnea"),  # begins awake, ends in N2
    Event(1000, 12, "hypopnea"),
    Event(1000, 12, "hypopnea"),  # the same again
    Event(2390, 30, "central_apnea"),  # from N2 into R
    Event(2500, 40, "mixed_apnea"),
    Event(3595, 20, "hypopnea"),  # ends awake
    Event(700, 8, "arousal"),
    Event(200, 8, "arousal"),  # awake
    Event(1500, 20, "rera"),
    Event(1600, 20, "desaturation"),
)


@pytest.mark.parametrize(
    ("name", "value"),
    {
        "ahi_per_h": 5.0,
        "ai_per_h": 3.0,
        "hi_per_h": 2.0,
        "oai_per_h": 2.0,
        "cai_per_h": 1.0,
        "rdi_per_h": 6.0,
        "obstructive_apneas": 1.0,
        "mixed_apneas": 1.0,
        "central_apneas": 1.0,
        "other_apneas": 0.0,
        "hypopneas": 2.0,
        "awake_events": 1.0,
        "event_mean_s": (20 + 12 + 30 + 40 + 20) / 5,
        "event_longest_s": 40.0,
        "event_time_percent": 100 * 122 / 3600,
        "arousals": 1.0,
        "arousals_per_h": 1.0,
        "sleep_h": 1.0,
    }.items(),
)
def test_a_night_worked_out_by_hand(name: str, value: float) -> None:
    assert respiratory_statistics(EVENTS, NIGHT)[name] == pytest.approx(value)


def test_the_rule_all_counts_events_in_wake_too() -> None:
    found = respiratory_statistics(EVENTS, NIGHT, rule="all")
    assert (found["ahi_per_h"], found["awake_events"]) == (6.0, 1.0)
    with pytest.raises(ValueError, match="'some'"):
        counted(EVENTS, NIGHT, ("hypopnea",), rule="some")


def test_every_number_has_a_definition_in_its_order() -> None:
    assert list(respiratory_statistics(EVENTS, NIGHT)) == list(RESPIRATION_DEFINITIONS)


def test_an_event_belongs_to_the_stage_in_which_it_begins_asleep() -> None:
    by_stage = ahi_by_stage(EVENTS, NIGHT)
    assert by_stage == {"N1": pytest.approx(np.nan, nan_ok=True), "N2": 6, "N3": 0, "R": 6}
    hours = {"N2": 0.5, "N3": 1 / 6, "R": 1 / 3}
    assert sum(hours[s] * by_stage[s] for s in hours) == pytest.approx(5)


def test_four_classes_have_light_and_deep_and_never_n1_or_n2() -> None:
    four = replace(NIGHT, stages=to_four_classes(NIGHT.stages), classes=FOUR_CLASSES)
    assert list(ahi_by_stage(EVENTS, four)) == ["L", "D", "R"]
    assert respiratory_statistics(EVENTS, four) == respiratory_statistics(EVENTS, NIGHT)


def test_sleep_outside_lights_counts_neither_above_nor_below_the_line() -> None:
    night = replace(NIGHT, lights_off_s=1800.0, lights_on_s=3600.0)
    found = respiratory_statistics(EVENTS, night)
    assert found["sleep_h"] == pytest.approx(0.5)
    assert found["ahi_per_h"] == pytest.approx(3 / 0.5)  # the central, the mixed, the last


def test_the_clock_of_the_hypnogram_is_kept() -> None:
    later = replace(NIGHT, onset_s=45.0)
    moved = [event._replace(onset_s=event.onset_s + 45) for event in EVENTS]
    assert respiratory_statistics(moved, later) == respiratory_statistics(EVENTS, NIGHT)
    early = [Event(-40, 20, "hypopnea"), Event(-10, 20, "hypopnea"), Event(9999, 10, "hypopnea")]
    assert not counted(early, NIGHT, ("hypopnea",))


def test_nobody_slept_no_index() -> None:
    found = respiratory_statistics(EVENTS, Hypnogram(np.zeros(40, int)))
    assert np.isnan(found["ahi_per_h"])
    assert found["awake_events"] == 6


def test_positions_split_events_and_sleep() -> None:
    positions = ["supine"] * 80 + ["left"] * 60 + [""] * 20
    found = ahi_by_position(EVENTS, NIGHT, positions)
    # supine: 30 min of N2, two events there and the one that begins at its end; left: R
    assert found == {"left": pytest.approx(2 / (1 / 3)), "supine": pytest.approx(3 / 0.5)}
    with pytest.raises(ValueError, match="3 positions for 160 epochs"):
        ahi_by_position(EVENTS, NIGHT, ["supine"] * 3)


def test_oxygen_is_told_of_sleep_alone() -> None:
    spo2 = np.full(4800, 96.0)
    spo2[100:130] = 70  # awake
    spo2[1000:1030], spo2[2600:2690] = 92, 88
    found = oxygen_statistics(spo2, 1, NIGHT)
    assert list(found) == list(OXYGEN_DEFINITIONS)
    assert (found["odi3_per_h"], found["odi4_per_h"]) == (2.0, 2.0)
    assert found["spo2_lowest_percent"] == 88
    assert found["t90_percent"] == pytest.approx(100 * 90 / 3600)
    assert np.isnan(list(oxygen_statistics(np.zeros(4800), 1, NIGHT).values())).all()


@pytest.mark.data("real/ucddb")
def test_published_ahi_of_real_nights_is_met_within_one(shared_data) -> None:
    nights = list(indices(shared_data))
    close = [night for night in nights if abs(night.difference) <= TOLERANCE]
    assert len(close) >= 0.8 * len(nights)
    assert max(abs(night.difference) for night in nights) < 9
    # what is far off is explained by a table that ends before the sleep does
    far = [night for night in nights if abs(night.difference) > 5]
    assert all(abs(night.until_last - night.published) <= TOLERANCE for night in far)


@pytest.mark.data("real/ucddb")
def test_all_types_of_event_of_real_nights_are_counted(shared_data) -> None:
    from recordings.scoring import read_scoring

    scoring = read_scoring(shared_data / "real/ucddb/epochs_events/ucddb024.csv")
    found = respiratory_statistics(scoring.events, scoring.hypnogram, rule="all")
    names = ("obstructive_apneas", "central_apneas", "mixed_apneas", "other_apneas", "hypopneas")
    assert sum(found[name] for name in names) == len(scoring.events)
    assert found["other_apneas"] == 0
    assert found["rdi_per_h"] == found["ahi_per_h"]
