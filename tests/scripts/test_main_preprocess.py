"""`main_preprocess.py` as a person runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.makers.raw_folders import folders

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str | Path) -> subprocess.CompletedProcess:
    """Run the script."""
    command = [sys.executable, str(ROOT / "main_preprocess.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.mark.parametrize("command", ["", "list", "init", "check", "run", "verify", "splits"])
def test_help_answers_at_once(command: str) -> None:
    before = os.times()
    done = run(*filter(None, [command]), "--help")
    after = os.times()
    assert done.returncode == 0
    assert f"main_preprocess.py {command}".strip() in done.stdout
    busy_s = sum(after[2:4]) - sum(before[2:4])  # of the processor: other work does not count
    assert busy_s < 0.5


def test_an_unknown_command_is_told_the_known_ones() -> None:
    done = run("prepare")
    assert done.returncode == 2
    assert "commands: list, get, init, check, run, verify, splits" in done.stderr


def test_an_unknown_data_set_is_told_the_known_ones(tmp_path: Path) -> None:
    done = run("run", "SHSS", "--raw", tmp_path)
    assert done.returncode == 2
    assert "no data set 'SHSS'; there are" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_from_raw_folder_to_split(tmp_path: Path) -> None:
    raw, data = folders()["shhs"].write(tmp_path / "raw"), tmp_path / "data"
    checked = run("check", "shhs", "--raw", raw, "--view", "psg9,cr")
    assert checked.returncode == 1
    assert "2 nights of 1 persons would be made, 1 refused" in checked.stdout
    made = run("run", "SHHS", "--raw", raw, "--out", data, "--view", "psg9,cr")
    assert made.returncode == 1
    assert "SHHS cr: 2 nights made, 0 were there, 1 refused, 0 left out" in made.stdout
    again = run("run", "SHHS", "--raw", raw, "--out", data, "--view", "psg9,cr", "--skip-errors")
    assert again.returncode == 0
    assert "SHHS psg9: 0 nights made, 2 were there" in again.stdout
    assert "2 nights are as written" in run("verify", data / "psg9").stdout
    split = run("splits", data / "psg9", "--name", "all", "--shares", "train=1")
    assert "train 2 nights of 1 persons" in split.stdout
    listed = run("list", "--out", data).stdout
    assert "cr 2, psg9 2" in next(line for line in listed.splitlines() if "SHHS" in line)


def test_a_data_set_runs_alone(tmp_path: Path) -> None:
    raw = folders()["hmc"].write(tmp_path / "raw")
    words = ["-m", "preprocess.hmc", "--raw", raw, "--out", tmp_path / "data", "--dry-run"]
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "data/psg9/HMC").glob("*.json"))) == 2


def test_ones_own_folder_from_init_to_run(tmp_path: Path) -> None:
    raw = folders()["hmc"].write(tmp_path / "clinic")
    assert run("init", raw).returncode == 0
    assert run("init", raw).returncode == 2
    done = run("run", raw / "dataset.toml", "--out", tmp_path / "data", "--skip-errors")
    assert done.returncode == 0, done.stderr
    assert "nights made" in done.stdout


def test_the_shell_script_makes_what_is_there_and_skips_the_rest(tmp_path: Path) -> None:
    for name in ("HMC", "SleepEDF"):
        folders()[name.lower()].write(tmp_path / "raw" / name)
    paths = {"RAW": tmp_path / "raw", "OUT": tmp_path / "data", "PYTHON": sys.executable}
    done = subprocess.run(
        ["bash", ROOT / "preprocess.sh", "--dry-run"],
        env={**os.environ, "WORKERS": "0", **{name: str(path) for name, path in paths.items()}},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SHHS: skipped, no folder" in done.stdout
    assert "HMC psg9: 2 nights made" in done.stdout
    assert "SleepEDF bb100: 2 nights made" in done.stdout


def test_the_shell_script_has_a_line_for_every_data_set_of_the_catalog() -> None:
    catalog = json.loads((ROOT / "tests/fixtures/datasets_catalog.json").read_text("utf-8"))
    text = (ROOT / "preprocess.sh").read_text(encoding="utf-8")
    lines = re.findall(r"^(?:# )?nights (\S+)", text, re.MULTILINE)
    assert {*catalog, "Simulated"} <= set(lines)
