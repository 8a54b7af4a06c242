"""Several stagers heard as one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from evaluation.export import write_csv
from nights.hypnogram import Hypnogram
from recordings.formats import open_recording
from recordings.simulate import simulate_night
from staging.fusion import FusedStager
from staging.stage import Reading, Stager, load_stager, stage


@dataclass
class Fixed(Stager):
    """A stager that says the same whatever it reads."""

    said: np.ndarray
    name: str = "fixed"

    @property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("W", "N1", "N2", "N3", "R")[: self.said.shape[1]]

    def read(self, recording: object, *, overrides: object = None, vote: bool = False) -> Reading:
        return Reading(Path("night.edf"), len(self.said))

    def proba(self, reading: Reading) -> np.ndarray:
        return self.said


def fused(*said: np.ndarray) -> np.ndarray:
    """What stagers that say this say together."""
    together = FusedStager([Fixed(one.astype(np.float32)) for one in said])
    return together.proba(together.read(None))  # type: ignore[arg-type]


def test_who_agrees_is_surer_and_the_louder_voice_does_not_win(rng: np.random.Generator) -> None:
    quiet = np.full((40, 5), 0.15)
    quiet[:, 2] = 0.4
    loud = np.full((40, 5), 0.001)
    loud[:, 3] = 0.996
    heard = fused(quiet, loud)
    assert np.allclose(heard[:, 2], heard[:, 3], atol=0.02)  # both at one confidence
    assert (fused(quiet, quiet)[:, 2] > 0.7).all()


def test_a_stager_that_says_nothing_of_an_epoch_has_no_vote_there() -> None:
    one, two = np.full((10, 5), 0.05), np.full((10, 5), 0.05)
    one[:, 1], two[:, 4] = 0.8, 0.8
    one[3], two[3:5] = np.nan, np.nan
    heard = fused(one, two)
    assert np.isnan(heard[3]).all()
    assert heard[4].argmax() == 1
    assert np.allclose(np.delete(heard, 3, axis=0).sum(axis=1), 1, atol=1e-5)


def test_stagers_of_other_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="different classes"):
        FusedStager([Fixed(np.full((5, 5), 0.2)), Fixed(np.full((5, 4), 0.25))])


def test_two_files_of_predictions_are_one_stager(tmp_path: Path) -> None:
    night = simulate_night(1, hours=0.2, montage="sleepedf")
    night.write(tmp_path / "night.edf")
    recording = open_recording(tmp_path / "night.edf")
    n_epochs = int(recording.duration_s // 30)
    for name, stage_code in (("a", 2), ("b", 2)):
        write_csv(Hypnogram(np.full(n_epochs, stage_code)), tmp_path / f"{name}.csv")
    stager = load_stager(f"{tmp_path / 'a.csv'},{tmp_path / 'b.csv'}")
    found = stage(recording, stager).hypnogram
    assert found.scorer == "predictions a + predictions b"
    assert (found.stages == 2).all()
    shorter = stager.read(recording).head(3)
    assert stager.proba(shorter).shape == (3, 5)
