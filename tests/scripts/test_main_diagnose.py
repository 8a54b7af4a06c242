"""`main_diagnose_cv.py`, `main_diagnose_eval.py` and `diagnose.sh` as a person runs them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import main_diagnose_cv
import main_diagnose_eval
import models
from command_line import run
from engine.checkpoint import save_weights
from engine.diagnosis.settings import CrossValidation, External
from tests.makers.stagers import told_night

ROOT = Path(__file__).resolve().parents[2]
QUICK = ["--mode", "frozen", "--init", "", "--n-passes", "2", "--folds", "2", "--persons", "16"]


def cross_validate(*words: str) -> int:
    return run(main_diagnose_cv.main, CrossValidation, list(words))


def evaluate(*words: str) -> int:
    return run(main_diagnose_eval.main, External, list(words))


def test_a_study_leaves_everything_and_its_models_are_asked_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cv"
    encoders = ["--encoders", "htn", "statistics-logistic", "statistics-trees", "length"]
    assert cross_validate(*QUICK, *encoders, "--explain", "1", "--out", str(out)) == 0
    shown = capsys.readouterr().out
    assert "NOTE: simulated nights" in shown
    assert "AUC (95 %)" in shown
    found = json.loads((out / "results.json").read_text())
    assert "averaged" in found["aggregation"]
    one = found["schemes"]["random folds"]
    assert set(one["encoders"]) == set(encoders[1:])
    assert len(one["comparisons"]) == 6
    assert found["explained"][0]["encoder"] == "htn"
    with (out / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 16
    pictures = {path.stem for path in out.glob("*.png")}
    assert pictures == {"roc_random_folds", "reliability_random_folds", "explained_htn_0"}
    assert cross_validate(*QUICK, *encoders, "--out", str(out)) == 2  # a run is not overwritten
    assert "holds a run" in capsys.readouterr().err

    again = ["--run", str(out), "--persons", "10", "--question", "simulated-narcolepsy"]
    assert evaluate(*again, "--out", str(tmp_path / "e")) == 2
    assert "were in" in capsys.readouterr().err  # the same people
    assert evaluate(*again, "--seed", "9", "--dry-run", "--out", str(tmp_path / "f")) == 0
    table = tmp_path / "labels.csv"
    table.write_text(
        "night,label\n" + "".join(f"n{n},{'well' if n % 2 else 'ill'}\n" for n in range(6))
    )
    for n in range(6):
        told_night(tmp_path / "psg9", f"n{n}", [0] * 5 + [2] * 20 + [4] * (1 + n), dataset="MINE")
    (tmp_path / "psg9" / "view.json").write_text("{}")
    given = ["--labels", str(table), "--classes", "well", "ill", "--nights", str(tmp_path / "psg9")]
    assert evaluate("--run", str(out), *given, "--out", str(tmp_path / "e")) == 0
    found = json.loads((tmp_path / "e" / "results.json").read_text())
    assert set(found["schemes"]["external"]["encoders"]) == set(encoders[1:])


def test_signals_features_and_a_left_out_cohort_go_the_same_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import numpy as np

    torch.manual_seed(0)
    backbone = tmp_path / "small.safetensors"
    save_weights(backbone, models.create("lpsgm", n_blocks=1), {"view": "psg9"})
    store, rng = tmp_path / "psg9", np.random.default_rng(0)
    for number in range(12):
        ill = number % 2 == 1
        told = {
            "labels": {"diagnosis": "narcolepsy type 1" if ill else "control"},
            "part": "SSC" if number < 6 else "CNC",
        }
        told_night(store, f"n{number}", [0] * 5 + [2] * 17, dataset="MNC", sidecar=told)
        features = rng.normal(2 * ill, 1, (22, 4))
        (tmp_path / "features" / "MNC").mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "features" / "MNC" / f"n{number}.npy", features)
    words = ["--question", "mnc", "--merge_NT1", "--nights", str(store / "MNC"), "--folds", "2"]
    words += ["--encoders", "lpsgm", "lpsgm-logistic", "features-logistic", "--explain", "0"]
    words += ["--backbone", str(backbone), "--backbone-passes", "1", "--stride", "10"]
    words += ["--features", str(tmp_path / "features"), "--out", str(tmp_path / "out")]
    assert cross_validate(*words) == 0
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert set(found["schemes"]) == {"random folds", "cohort left out"}
    left_out = found["schemes"]["cohort left out"]["encoders"]
    assert left_out["features-logistic"]["auc"]["value"] > 0.8
    assert set(left_out["lpsgm"]["confusion_by_cohort"]) == {"SSC", "CNC"}
    assert any("cohort and diagnosis are confounded" in text for text in found["warnings"])
    kept = list((tmp_path / "out" / "features").rglob("*.npy"))
    assert len(kept) == 12  # each night encoded once, for both encoders and all folds
    assert "type 1 told type 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--question", "gout"], "no question 'gout'"),
        (["--question", "mnc"], "--nights PATH is wanted"),
        (["--question", "cap", "--merge_NT1"], "goes with --question mnc"),
        (["--encoders", "features-trees"], "--features DIR is wanted"),
        (["--joint", "1"], "goes with --backbone-mode full"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    words: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = cross_validate(*words, "--out", str(tmp_path))
    except SystemExit as stopped:
        status = int(stopped.code or 0)
    assert status == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize("script", ["main_diagnose_cv.py", "main_diagnose_eval.py"])
def test_help_answers_at_once(script: str) -> None:
    begun = time.process_time()
    done = subprocess.run(
        [sys.executable, "-X", "importtime", script, "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert "--encoders" in done.stdout
    assert "torch" not in done.stderr
    assert time.process_time() - begun < 5


@pytest.mark.slow
def test_the_trial_of_the_shell_script_runs(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHON": sys.executable, "OUT": str(tmp_path)}
    done = subprocess.run(
        ["bash", str(ROOT / "diagnose.sh"), "dry"],
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "dry-elsewhere" / "summary.html").exists()


def test_an_unknown_study_is_refused_with_those_there_are() -> None:
    command = ["bash", str(ROOT / "diagnose.sh"), "gout"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there are simulated dry open" in done.stderr
