"""The windows of a scoring that does not begin with the signal hold the signal they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from nights.hypnogram import Hypnogram
from preprocess.grid import grid_of
from recordings.ingest import read_view
from recordings.views import VIEWS
from tests.makers.recordings import ArrayRecording

RATE_HZ = 100


def clock(seconds: float) -> ArrayRecording:
    """Return a recording whose only signal is the second it was recorded at."""
    at_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return ArrayRecording([("C4", at_s)], RATE_HZ)


def windows(recording: ArrayRecording, hypnogram: Hypnogram) -> np.ndarray:
    """Return the windows (E, 3000) of the view that changes nothing."""
    read = read_view(recording, VIEWS["bb100"], unfinished=True)
    return grid_of(recording, hypnogram).cut(read.signals["C4"])


def test_the_last_epoch_of_a_late_scoring_is_kept_while_its_signal_is_there() -> None:
    late = Hypnogram(np.array([0, 2, 4], dtype=np.int8), onset_s=3.25)
    cut = windows(clock(94), late)
    assert cut.shape == (3, 3000)
    np.testing.assert_allclose(cut[:, 0], late.onsets_s, atol=0.02)
    assert len(windows(clock(93), late)) == 2


@pytest.mark.parametrize("seconds", [120, 125, 139, 147.5])
def test_every_page_lies_within_its_window_to_the_end_of_the_recording(seconds: float) -> None:
    n_pages = int((seconds - 3.25) / 20)
    pages = Hypnogram(np.ones(n_pages, dtype=np.int8), onset_s=3.25, epoch_s=20)
    cut = windows(clock(seconds), pages)
    assert len(cut) == n_pages
    assert (cut.min(axis=1) <= pages.onsets_s + 0.02).all()
    assert (cut.max(axis=1) >= pages.onsets_s + 19.97).all()
    assert cut[-1, -1] == pytest.approx(min(seconds, pages.onsets_s[-1] + 25), abs=0.03)


def test_pages_at_the_edge_may_be_left_out() -> None:
    pages = Hypnogram(np.array([0, 1, 2, 3], dtype=np.int8), onset_s=1, epoch_s=20)
    grid = grid_of(clock(82), pages, edge="drop")
    assert grid.hypnogram.stages.tolist() == [1, 2]
    assert grid.onsets_s.tolist() == [16, 36]
