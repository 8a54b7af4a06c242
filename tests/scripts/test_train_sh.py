"""`train.sh` as a person runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str, **variables: str) -> subprocess.CompletedProcess:
    """Run the script."""
    command = ["bash", str(ROOT / "train.sh"), *words]
    env = {**os.environ, "PYTHON": sys.executable, **variables}
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


@pytest.mark.data("real/ucddb")
def test_the_recipe_of_the_best_weights_runs_as_a_trial(shared_data: Path, tmp_path: Path) -> None:
    done = run("whole-night", "--dry-run", DATA=str(shared_data), OUT=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "slm-night" / "results.json").exists()


@pytest.mark.slow
@pytest.mark.data("real/ucddb")
def test_every_recipe_runs_as_a_trial(shared_data: Path) -> None:
    done = run("dry", DATA=str(shared_data))
    assert done.returncode == 0, done.stderr


def test_an_unknown_step_is_refused_with_those_there_are() -> None:
    done = run("everything")
    assert done.returncode == 2
    assert "there are language whole-night four scratch lag2" in done.stderr


@pytest.mark.slow
def test_wav2sleep_is_tried_on_simulated_nights_from_the_recordings_on(tmp_path: Path) -> None:
    folders = {"RAW": str(tmp_path / "raw"), "STORE": str(tmp_path / "data")}
    made = run("simulated-heart", NIGHTS="3", HOURS="0.2", **folders)
    assert made.returncode == 0, made.stderr
    done = run("trial-wav2sleep", "--dry-run", OUT=str(tmp_path), **folders)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "trial-wav2sleep" / "subsets.npz").exists()
