"""Trials of stagers: the view they read, what is beside them, the real epochs they may see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import models
from benchmarks.real_epochs import PARTIAL, ucddb, write
from benchmarks.stager_trials import view_of
from nights.night import Night
from nights.stages import UNSCORED


@pytest.mark.parametrize(
    ("name", "view"),
    [("lpsgm", "psg9"), ("seqsleepnet", "seq3"), ("tinysleepnet-cnn", "bb100")],
)
def test_the_view_of_a_stager_is_the_narrowest_that_has_its_channels(name: str, view: str) -> None:
    preset = next(iter(models.presets(name).values()))
    assert view_of(models.create(name, **vars(preset))).name == view


@pytest.mark.data("real/ucddb")
def test_people_of_two_stages_have_wake_and_deep_sleep_only(shared_data: Path) -> None:
    night, stages = ucddb(shared_data / "real" / "ucddb", PARTIAL[0])
    assert set(stages[stages != UNSCORED]) == {0, 3}
    assert len(night.gaps) == int((stages == UNSCORED).sum())


@pytest.mark.data("real/ucddb")
def test_a_stored_night_of_real_epochs_keeps_its_gaps_unscored(
    shared_data: Path, tmp_path: Path
) -> None:
    person = PARTIAL[0]
    night, stages = ucddb(shared_data / "real" / "ucddb", person)
    stored = Night.open(write(tmp_path, "seq3", person, night, stages))
    assert np.array_equal(stored.stages, stages)
    assert stored.sidecar["person"] == "svuh-ucddb002"
    assert stored.channels == ("EEG",)
