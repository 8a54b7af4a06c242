"""The main job as a person runs it: files in, results, refusals and exit status out."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from evaluation.export import write_csv
from recordings.simulate import simulate_night

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "hypnogram.csv",
    "hypnogram.edf",
    "hypnogram.txt",
    "hypnogram_events.tsv",
    "hypnogram_events.json",
    "uncorrected.csv",
    "night.json",
    "night.png",
    "report.html",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two simulated nights, one of them with its scoring beside it, and a broken file."""
    folder = tmp_path_factory.mktemp("nights")
    simulate_night(1, hours=0.5, montage="sleepedf").write(folder / "inside.edf")
    beside = simulate_night(2, hours=0.5, montage="sleepedf")
    beside.write(folder / "beside.edf", scoring="beside")
    whole = (folder / "inside.edf").read_bytes()
    (folder / "broken.edf").write_bytes(whole[:300])
    return folder


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Path:
    """Somebody's predictions of the first night: cheaper to stage from than YASA."""
    night = simulate_night(1, hours=0.5, montage="sleepedf")
    path = folder.parent / "predictions" / "inside.csv"
    write_csv(night.hypnogram, path)
    return path


def stage(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the entry point."""
    command = [sys.executable, ROOT / "main_stage_slm.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_one_broken_file_leaves_the_others_whole_and_the_status_tells(
    folder: Path, tmp_path: Path
) -> None:
    done = stage(folder, "--out", tmp_path)
    assert done.returncode == 1, done.stderr
    assert "1 refused" in done.stdout
    assert "broken" in done.stdout
    for name in ("inside", "beside"):
        assert {path.name for path in (tmp_path / name).iterdir()} == FILES
    table = pd.read_csv(tmp_path / "summary.csv")
    assert sorted(table["night"]) == ["beside", "inside"]
    assert table["kappa_result"].notna().all()  # the scoring was found in and beside the file
    assert table["simulated"].all()


def test_a_rerun_skips_what_is_finished_and_deletes_nothing(
    folder: Path, theirs: Path, tmp_path: Path
) -> None:
    arguments = (folder / "inside.edf", "--out", tmp_path, "--stager", theirs)
    assert stage(*arguments).returncode == 0
    note = tmp_path / "inside" / "my_notes.txt"
    note.write_text("mine")
    before = (tmp_path / "inside" / "night.json").stat().st_mtime_ns
    assert stage(*arguments).returncode == 0
    assert (tmp_path / "inside" / "night.json").stat().st_mtime_ns == before
    assert note.read_text() == "mine"


def test_a_result_names_the_very_file_it_was_made_from(
    folder: Path, theirs: Path, tmp_path: Path
) -> None:
    assert stage(folder / "inside.edf", "--out", tmp_path, "--stager", theirs).returncode == 0
    digest = hashlib.sha256((folder / "inside.edf").read_bytes()).hexdigest()
    known = json.loads((tmp_path / "inside" / "night.json").read_text())
    assert known["source"]["sha256"] == digest
    assert digest in (tmp_path / "inside" / "report.html").read_text()


def test_results_of_other_settings_are_not_overwritten_unasked(
    folder: Path, theirs: Path, tmp_path: Path
) -> None:
    arguments = (folder / "inside.edf", "--out", tmp_path, "--stager", theirs)
    assert stage(*arguments).returncode == 0
    other = stage(*arguments, "--weight", 0.2)
    assert other.returncode == 1
    assert "weight was 0.1" in other.stdout
    assert "--force" in other.stdout
    assert stage(*arguments, "--weight", 0.2, "--force").returncode == 0


def test_strict_turns_distrust_into_failure_and_a_rerun_does_not_forget(
    theirs: Path, tmp_path: Path
) -> None:
    short = tmp_path / "inside.edf"
    simulate_night(3, hours=0.1, montage="sleepedf").write(short)
    arguments = (short, "--stager", theirs, "--out")
    assert stage(*arguments, tmp_path / "a").returncode == 0
    for _ in range(2):
        assert stage(*arguments, tmp_path / "b", "--strict").returncode == 1
    assert (tmp_path / "b" / "inside" / "report.html").exists()


def test_channels_named_by_hand_are_taken(folder: Path, tmp_path: Path) -> None:
    done = stage(
        *(folder / "inside.edf", "--out", tmp_path, "--no-correction"),
        *("--channel", "C4=EEG Pz-Oz", "E1="),
    )
    assert done.returncode == 0, done.stdout
    known = json.loads((tmp_path / "inside" / "night.json").read_text())
    taken = {channel["target"]: channel["taken"] for channel in known["channels"]}
    assert "Pz-Oz" in taken["C4"]
    assert "E1" not in taken


def test_a_wrong_channel_is_one_clear_sentence(folder: Path, tmp_path: Path) -> None:
    night = folder / "inside.edf"
    done = stage(night, "--out", tmp_path, "--no-correction", "--channel", "C4=nowhere")
    assert done.returncode == 1
    assert "inside.edf" in done.stdout
    assert "nowhere" in done.stdout


def test_someone_elses_predictions_are_corrected_as_they_stand(
    folder: Path, theirs: Path, tmp_path: Path
) -> None:
    done = stage(folder / "inside.edf", "--out", tmp_path, "--stager", theirs)
    assert done.returncode == 0, done.stdout
    given, kept = (
        pd.read_csv(path)["stage"] for path in (theirs, tmp_path / "inside/uncorrected.csv")
    )
    assert given.tolist() == kept.tolist()
    known = json.loads((tmp_path / "inside" / "night.json").read_text())
    assert known["agreement"]["uncorrected"]["accuracy"] == 1


def test_dry_run_writes_every_output_of_the_first_minutes(
    folder: Path, theirs: Path, tmp_path: Path
) -> None:
    done = stage(folder / "inside.edf", "--out", tmp_path, "--dry-run", "--stager", theirs)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in (tmp_path / "inside").iterdir()} == FILES
    assert len(pd.read_csv(tmp_path / "inside" / "hypnogram.csv")) == 20


def test_a_missing_path_is_one_line_and_status_two(tmp_path: Path) -> None:
    done = stage(tmp_path / "none.edf", "--out", tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no such file" in done.stderr
