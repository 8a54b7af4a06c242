"""`main_evaluate.py language` as a person runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]


def test_anyones_annotations_are_judged(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    nights = [np.repeat(rng.integers(0, 5, 40), rng.integers(1, 20, 40)) for _ in range(2)]
    lines = [",".join(map(str, stages)) for stages in nights]
    (tmp_path / "annotations.txt").write_text("\n".join(lines))
    words = ("language", "--hypnograms", str(tmp_path / "annotations.txt"), "--out")
    command = [sys.executable, str(ROOT / "main_evaluate.py"), *words, str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert found["n_nights"] == 2
    assert set(found["results"]) == {
        *("sleepgpt-night-open", "sleepgpt-open", "markov-open", "markov5-open", "duration-open")
    }
    assert "sleepgpt-night-open" in done.stdout
