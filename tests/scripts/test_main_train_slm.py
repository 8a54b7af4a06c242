"""`main_train_slm.py` as a person runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str) -> subprocess.CompletedProcess:
    """Run the script."""
    command = [sys.executable, str(ROOT / "main_train_slm.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.mark.data("real/ucddb")
def test_a_dry_run_writes_every_output(shared_data: Path, tmp_path: Path) -> None:
    words = ("--data", str(shared_data), "--out", str(tmp_path / "run"), "--dry-run")
    done = run(*words)
    assert done.returncode == 0, done.stderr
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert written == {
        *("config.json", "env.json", "splits", "log.jsonl", "last.pt", "results.json"),
        *("best.safetensors", "best.json", "annotations.txt", "sampled.json", "sampled.png"),
        *("markov-1.safetensors", "markov-5.safetensors", "duration.safetensors"),
    }
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert {"markov-0", "markov-1", "markov-5", "duration", "this run"} <= set(results["all"])
    again = run(*words)
    assert again.returncode != 0
    assert "--resume" in again.stderr


def test_help_answers_and_names_every_field() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "--init" in done.stdout
    assert "person" in done.stdout
