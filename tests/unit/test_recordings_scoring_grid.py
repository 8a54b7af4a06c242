"""Placing lines on epochs: the clock, the phase of the grid, overlaps, event seconds and labels."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from nights.events import Event, event_labels, event_seconds
from nights.hypnogram import Hypnogram
from recordings.recording import Channel, Recording, RecordingError
from recordings.scoring import read_scoring
from recordings.scoring.grid import Run, grid_of_runs, majority, replace_on, unwrap_clock

H = 3600.0


class Silence(Recording):
    """A recording that is only a start and a length."""

    def __init__(self, start: datetime | None, duration_s: float) -> None:
        self.path, self.start, self.duration_s = Path("silence.edf"), start, duration_s
        self.channels: tuple[Channel, ...] = ()
        self.annotations, self.gaps, self.notes = (), (), ()

    def read(self, which, dtype=np.float32):
        raise NotImplementedError


def table(tmp_path: Path, rows: list[tuple[float, float, str]]) -> Path:
    path = tmp_path / "events.tsv"
    lines = [f"{onset}\t{length}\tSleep stage {stage}" for onset, length, stage in rows]
    path.write_text("\n".join(["onset\tduration\tdescription", *lines]))
    return path


def test_first_line_after_midnight_lies_40_minutes_after_a_start_at_23_30():
    elapsed, disordered = unwrap_clock([600.0], 23.5 * H)
    assert (elapsed.tolist(), disordered) == ([2400.0], 0)


def test_line_up_to_an_hour_before_the_start_is_negative():
    assert unwrap_clock([22 * H - 20], 22 * H)[0].tolist() == [-20.0]
    assert unwrap_clock([21 * H + 1], 22 * H)[0].tolist() == [-3599.0]
    assert unwrap_clock([20 * H], 22 * H)[0].tolist() == [22 * H]


def test_two_midnights_are_passed():
    clock = [23 * H, 6 * H, 17 * H, 1 * H]
    assert unwrap_clock(clock, 22 * H)[0].tolist() == [1 * H, 8 * H, 19 * H, 27 * H]


def test_unordered_lines_step_back_and_are_counted():
    elapsed, disordered = unwrap_clock([23 * H, 6 * H, 22 * H + 60, 1 * H], 22 * H)
    assert elapsed.tolist() == [1 * H, 8 * H, 60.0, 3 * H]
    assert disordered == 1


def test_unordered_clock_lines_are_sorted_and_noted(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        "Start Time,Duration (seconds),Event\n"
        "23:59:30, 30, Wake\n00:01:00, 30, REM\n00:00:00, 60, Stage2\n"
    )
    scoring = read_scoring(path, start=datetime(2020, 1, 1, 23, 59, 30))
    assert scoring.hypnogram.stages.tolist() == [0, 2, 2, 4]
    assert "1 lines out of order in time" in scoring.notes


def test_no_clock_time_counts_from_the_first_stage(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("Start Time,Duration (seconds),Event\n22:00:00,3,Arousal\n22:10:00,30,REM\n")
    scoring = read_scoring(path)
    assert scoring.hypnogram.stages.tolist() == [4]
    assert scoring.hypnogram.start == datetime(1985, 1, 1, 22, 10)
    assert scoring.events[0].onset_s == -600.0


def test_grid_takes_the_phase_that_most_onsets_share(tmp_path):
    rows = [(12.5 + 30 * k, 30.0, "2") for k in range(300)] + [(9030.0, 30.0, "R")]
    scoring = read_scoring(table(tmp_path, rows))
    assert (scoring.hypnogram.onset_s, scoring.offgrid) == (12.5, False)
    assert not scoring.notes


def test_night_with_many_onsets_off_the_grid_is_marked(tmp_path):
    rows = [(30.0 * k, 30.0, "2") for k in range(50)] + [(1510.0, 30.0, "R")]
    scoring = read_scoring(table(tmp_path, rows))
    assert (scoring.hypnogram.onset_s, scoring.offgrid) == (0.0, True)
    assert any("off the grid" in note for note in scoring.notes)


def test_phase_just_below_an_epoch_is_the_same_grid():
    onsets = [29.9996, 60.0, 89.9996, 120.0]
    assert not grid_of_runs([Run(onset, 30, 2) for onset in onsets], 30.0).offgrid


def test_run_labels_the_epochs_whose_middle_it_covers():
    assert grid_of_runs([Run(0, 44, 1)], 30.0, 3).stages.tolist() == [1, -1, -1]
    assert grid_of_runs([Run(0, 46, 1)], 30.0, 3).stages.tolist() == [1, 1, -1]
    runs = [Run(0, 30, 0), Run(16, 14, 1)]
    assert grid_of_runs(runs, 30.0, 1).stages.tolist() == [0]


def test_later_line_wins_and_the_conflict_is_counted(tmp_path):
    rows = [(0, 90, "W"), (30, 60, "1"), (60, 30, "1")]
    scoring = read_scoring(table(tmp_path, rows))
    assert scoring.hypnogram.stages.tolist() == [0, 1, 1]
    assert scoring.conflicts == 2


def test_lines_without_duration_last_a_step_or_until_the_next(tmp_path):
    steps = [(30 * k, 0, stage) for k, stage in enumerate("W122R")]
    assert read_scoring(table(tmp_path, steps)).hypnogram.stages.tolist() == [0, 1, 2, 2, 4]
    changes = [(0, 0, "W"), (120, 0, "2"), (150, 0, "R"), (240, 0, "?")]
    stages = read_scoring(table(tmp_path, changes)).hypnogram.stages
    assert stages.tolist() == [0, 0, 0, 0, 2, 4, 4, 4, -1]


def test_hypnogram_covers_the_recording_and_not_more(tmp_path):
    recording = Silence(datetime(2020, 1, 1, 22), 100.0)
    scoring = read_scoring(table(tmp_path, [(10, 90, "2"), (130, 30, "R")]), recording=recording)
    # E = floor(100 / 30); the third epoch of the grid, 70-100 s, ends with the signal
    assert scoring.hypnogram.stages.tolist() == [2, 2, 2]
    assert scoring.hypnogram.start == datetime(2020, 1, 1, 22, 0, 10)
    short = read_scoring(
        table(tmp_path, [(10, 90, "2")]), recording=Silence(datetime(2020, 1, 1, 22), 95.0)
    )
    assert short.hypnogram.stages.tolist() == [2, 2, -1]


@pytest.mark.parametrize(
    ("n_codes", "surplus", "noted"), [(100, 0, 0), (102, 2, 0), (105, 5, 1), (97, -3, 1)]
)
def test_list_longer_or_shorter_than_the_signal(tmp_path, n_codes, surplus, noted):
    path = tmp_path / "a.txt"
    path.write_text("2\n" * n_codes)
    scoring = read_scoring(path, stage_map="aasm", n_epochs=100)
    assert (scoring.label_surplus, scoring.hypnogram.n_epochs) == (surplus, 100)
    assert scoring.hypnogram.scored.sum() == min(100, n_codes)
    assert sum("than the recording" in note for note in scoring.notes) == noted


@pytest.mark.parametrize("n_codes", [111, 89])
def test_list_off_by_more_than_a_tenth_is_no_scoring_of_this_signal(tmp_path, n_codes):
    path = tmp_path / "a.txt"
    path.write_text("2\n" * n_codes)
    with pytest.raises(RecordingError, match=f"{n_codes} epochs for a recording of 100"):
        read_scoring(path, n_epochs=100)


def test_code_list_with_a_step_of_its_own(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("0\n0\n0\n0\n0\n2\n" * 2)
    assert read_scoring(path, code_s=10).hypnogram.stages.tolist() == [0, 0, 0, 0]
    assert read_scoring(path, code_s=10, epoch_s=10).hypnogram.n_epochs == 12
    with pytest.raises(RecordingError, match="codes of 10 s do not fill epochs of 25 s"):
        read_scoring(path, code_s=10, epoch_s=25)


def test_majority_decides_and_of_equals_the_earlier():
    codes = np.array([3, 2, 2, 2, 3, 3, 0, 1, 1, 1, 0, 1, 4, 4])
    assert majority(codes, 6).tolist() == [3, 1]


def test_hypnogram_moves_onto_the_grid_of_the_recording():
    proba = np.eye(5, dtype=np.float32)
    start = datetime(2020, 1, 1, 23)
    moved = replace_on(Hypnogram.from_proba(proba, onset_s=70.0, start=start), 5)
    assert moved.stages.tolist() == [-1, -1, 0, 1, 2]
    assert (moved.onset_s, moved.clock(2)) == (10.0, start)
    assert np.isnan(moved.proba[:2]).all()


def test_28_s_across_two_epochs_gives_14_and_14():
    hypnogram = Hypnogram(np.zeros(4))
    events = [Event(46.0, 28.0, "hypopnea")]
    assert event_seconds(events, hypnogram)[3].tolist() == [0, 14, 14, 0]
    for rule, labels in (("any", [0, 1, 1, 0]), ("half", [0, 1, 1, 0]), ("upstream", [0] * 4)):
        assert event_labels(events, hypnogram, rule=rule)[3].tolist() == labels


def test_event_seconds_count_overlaps_once_and_never_hide_one():
    hypnogram = Hypnogram(np.zeros(3), onset_s=10.0)
    events = [Event(0, 20, "arousal"), Event(15, 10, "arousal"), Event(69.8, 0.3, "arousal")]
    assert event_seconds(events, hypnogram, ["arousal"]).tolist() == [[15, 1, 1]]


def test_whole_epochs_of_an_event_hold_30_s_and_nothing_lies_outside():
    events = [Event(-100, 1000, "hypopnea"), Event(500, 10, "central_apnea")]
    seconds = event_seconds(events, Hypnogram(np.zeros(3)))
    assert seconds.dtype == np.int8
    assert seconds[3].tolist() == [30, 30, 30]
    assert not seconds[1].any()


# Events and labels of the fixture `synthsleepnet_data`, `upstream` measured on the public code.
FIXTURE_EVENTS = (
    *(Event(5, 20, "obstructive_apnea"), Event(46, 13, "obstructive_apnea")),
    *(Event(62, 12, "central_apnea"), Event(100, 30, "hypopnea"), Event(130, 40, "desaturation")),
    *(Event(194, 22, "mixed_apnea"), Event(200, 5, "arousal"), Event(299.5, 61.2, "hypopnea")),
    *(Event(340, 10.4, "obstructive_apnea"), Event(404, 12, "central_apnea")),
    *(Event(434, 20, "hypopnea"), Event(15, 15, "desaturation")),
    Event(523.3, 30.1, "obstructive_apnea"),
)
FIXTURE_LABELS = {  # epochs with obstructive, central, mixed apnea, hypopnea, desaturation
    "any": [[0, 1, 11, 17, 18], [2, 13], [6, 7], [3, 4, 9, 10, 11, 12, 14, 15], [0, 4, 5]],
    "half": [[0, 1, 11, 17, 18], [2, 13], [6], [3, 4, 10, 11, 14], [0, 4, 5]],
    "upstream": [[0, 11, 17], [13], [6], [3, 10, 11, 14], [0, 4, 5]],
}


@pytest.mark.parametrize("rule", FIXTURE_LABELS)
def test_event_rules_give_the_labels_of_the_fixture(rule):
    labels = event_labels(FIXTURE_EVENTS, Hypnogram(np.zeros(20)), rule=rule)
    assert [np.flatnonzero(row).tolist() for row in labels[:5]] == FIXTURE_LABELS[rule]


@pytest.mark.parametrize("rule", ["any", "half"])
def test_every_event_labels_an_epoch(rng, rule):
    hypnogram = Hypnogram(np.zeros(20))
    for onset, length in zip(rng.uniform(0, 500, 200), rng.uniform(0.1, 90, 200), strict=True):
        event = Event(float(onset), float(length), "hypopnea")
        assert event_labels([event], hypnogram, rule=rule)[3].any()
