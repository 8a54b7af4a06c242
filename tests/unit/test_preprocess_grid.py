"""Signals cut where the scoring's epochs begin."""

from __future__ import annotations

import numpy as np
import pytest

from nights.hypnogram import Hypnogram
from preprocess.recipe.grid import grid_of, groups_of
from preprocess.recipe.joined import JoinedRecording
from recordings.ingest import read_view
from recordings.recording import RecordingError
from recordings.views import VIEWS
from tests.makers.recordings import ArrayRecording

RATE = 10
SECONDS = 150
RAMP = np.arange(SECONDS * RATE, dtype=np.float32)


def recording(**options: object) -> ArrayRecording:
    """Return 150 s of a ramp at 10 Hz."""
    return ArrayRecording({"C4": RAMP}, RATE, **options)  # type: ignore[arg-type]


def cut(hypnogram: Hypnogram | None, **options: object) -> tuple[np.ndarray, np.ndarray]:
    """Return the windows of the ramp, in seconds of their first sample, and the stages."""
    grid = grid_of(recording(), hypnogram, **options)  # type: ignore[arg-type]
    windows = grid.cut(RAMP.reshape(5, 30 * RATE))
    assert windows.shape[1] == 30 * RATE
    assert (np.diff(windows, axis=1) == 1).all()
    return windows[:, 0] / RATE, grid.hypnogram.stages


def read_windows(seconds: float, hypnogram: Hypnogram) -> np.ndarray:
    """Return the windows (E, 3000) of a recording whose signal is the second it was made at."""
    clock = ArrayRecording({"C4": np.arange(round(seconds * 100)) / 100}, 100)
    read = read_view(clock, VIEWS["bb100"], unfinished=True)
    return grid_of(clock, hypnogram).cut(read.signals["C4"])


def test_a_scoring_from_the_first_sample_takes_the_epochs_as_they_are() -> None:
    begins, stages = cut(Hypnogram(np.array([0, 1, 2, 3, 4])))
    assert begins.tolist() == [0, 30, 60, 90, 120]
    assert stages.tolist() == [0, 1, 2, 3, 4]


def test_a_scoring_that_begins_later_moves_the_windows() -> None:
    begins, stages = cut(Hypnogram(np.array([0, 1, 2, 3, 4]), onset_s=7.5))
    assert begins.tolist() == [7.5, 37.5, 67.5, 97.5]
    assert stages.tolist() == [0, 1, 2, 3]


def test_epochs_before_the_first_sample_are_left_out() -> None:
    begins, stages = cut(Hypnogram(np.array([0, 1, 2]), onset_s=-12))
    assert begins.tolist() == [18, 48]
    assert stages.tolist() == [1, 2]


def test_pages_of_20_s_get_windows_of_30_s_around_them() -> None:
    pages = Hypnogram(np.array([0, 1, 2, 3, 4, 0, 1]), onset_s=2, epoch_s=20)
    begins, stages = cut(pages)
    assert begins.tolist() == [0, 17, 37, 57, 77, 97, 117]
    assert stages.tolist() == [0, 1, 2, 3, 4, 0, 1]
    begins, stages = cut(pages, edge="drop")
    assert begins.tolist() == [17, 37, 57, 77, 97, 117]
    assert stages.tolist() == [1, 2, 3, 4, 0, 1]


@pytest.mark.parametrize("seconds", [120, 125, 139, 147.5])
def test_every_page_lies_within_its_window_to_the_end_of_the_recording(seconds: float) -> None:
    pages = Hypnogram(np.ones(int((seconds - 3.25) / 20)), onset_s=3.25, epoch_s=20)
    windows = read_windows(seconds, pages)
    assert len(windows) == pages.n_epochs
    assert (windows.min(axis=1) <= pages.onsets_s + 0.02).all()
    assert (windows.max(axis=1) >= pages.onsets_s + 19.97).all()


def test_the_last_epoch_of_a_late_scoring_is_kept_while_its_signal_is_there() -> None:
    late = Hypnogram(np.array([0, 2, 4]), onset_s=3.25)
    np.testing.assert_allclose(read_windows(94, late)[:, 0], late.onsets_s, atol=0.02)
    assert len(read_windows(93, late)) == 2


def test_without_a_scoring_nothing_is_scored() -> None:
    _, stages = cut(None)
    assert stages.tolist() == [-1] * 5


def test_windows_that_touch_a_pause_are_marked() -> None:
    grid = grid_of(recording(gaps=((60.0, 61.0),)), Hypnogram(np.zeros(5), onset_s=7.5))
    assert grid.gaps.tolist() == [False, True, False, False]


def test_a_scoring_outside_the_recording_is_refused() -> None:
    with pytest.raises(RecordingError, match="no epoch of the scoring"):
        grid_of(recording(), Hypnogram(np.zeros(2), onset_s=600))


def test_the_fastest_signals_are_the_first_group() -> None:
    windows = {"ABD": np.zeros((2, 256)), "ECG": np.zeros((2, 1024)), "THX": np.zeros((2, 256))}
    assert {name: names for name, (names, _) in groups_of(windows).items()} == {
        "sig": ["ECG"],
        "sig_256": ["ABD", "THX"],
    }


def test_files_of_one_night_are_read_as_one() -> None:
    eeg, eyes = recording(), ArrayRecording({"E1": RAMP + 1, "E2": RAMP + 2}, RATE)
    joined = JoinedRecording([eeg, eyes])
    assert joined.labels == ("C4", "E1", "E2")
    assert joined.read("E2")[0] == 2
    assert joined.read(0)[0] == 0


def test_files_of_different_length_are_no_night() -> None:
    short = ArrayRecording({"E1": RAMP[:-50]}, RATE)
    with pytest.raises(RecordingError, match="not the same night"):
        JoinedRecording([recording(), short])
