"""`main_train.py`, `main_finetune.py` and their shell scripts as a person runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import main_finetune
import main_train
from command_line import parse
from engine.staging_settings import Training, Tuning
from evaluation.outputs import read_outputs
from recordings.simulate.cohort import Cohort
from tests.makers.simulated_store import simulated_store

ROOT = Path(__file__).resolve().parents[2]
RUN_FILES = {"config.json", "env.json", "splits", "log.jsonl", "last.pt", "results.json"}
RUN_FILES |= {"best.safetensors", "best.json", "test.npz"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five people of one laboratory and two of another, 20 minutes each."""
    cohorts = Cohort(5, hours=0.34), Cohort(2, site="BAR", hours=0.34, montage="aasm9")
    return simulated_store(tmp_path_factory.mktemp("store"), *cohorts)


@pytest.fixture(scope="module")
def trained(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a dry run of TinySleepNet's convolutions."""
    out = tmp_path_factory.mktemp("runs") / "tiny"
    train(store, out, "--hold-out", "Simulated-BAR")
    return out


def train(store: Path, out: Path, *words: str) -> None:
    """Dry-run a small stager on the store."""
    flags = ["--model", "tinysleepnet-cnn", "--channels", "C4", "--dry-run", "--preset", "trial"]
    nights = ["--nights", str(store / "bb100"), "--out", str(out)]
    assert main_train.main(parse(Training, [*flags, *nights, *words])) == 0


def test_a_dry_run_writes_every_output(trained: Path) -> None:
    assert {path.name for path in trained.iterdir()} == RUN_FILES
    results = json.loads((trained / "results.json").read_text())
    assert results["simulated"]
    assert {"accuracy", "kappa", "macro_f1", "nll"} <= set(results["scores"])
    (night,) = read_outputs(trained / "test.npz")
    assert night.simulated
    assert night.dataset == "Simulated"
    assert night.night.startswith("Simulated/BAR")  # the laboratory that was held out
    assert np.isfinite(night.proba).all()


def test_the_card_says_what_trained_the_weights(trained: Path) -> None:
    card = json.loads((trained / "best.json").read_text())
    assert (card["view"], card["channels"], card["simulated"]) == ("bb100", ["C4"], True)
    assert card["trained_by"] == "main_train.py"
    assert "held out: Simulated-BAR" in card["split_source"]
    assert all("SIM" in night for night in card["split"]["train"])


def test_the_table_says_that_nights_are_simulated(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(store, tmp_path / "run")
    printed = capsys.readouterr().out
    assert "Simulated nights: no person slept them" in printed
    assert "nights of 1 persons" in printed


def test_a_folder_that_holds_a_run_is_refused(store: Path, trained: Path) -> None:
    with pytest.raises(FileExistsError, match="--resume"):
        train(store, trained)


def test_the_largest_batch_that_fits_is_found(
    store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="nightstack"):
        train(store, tmp_path / "run", "--find-batch", "--memory-mb", "100000")
    assert "--batch-size 2 --accumulate 1 fits" in caplog.text


def test_a_written_config_reruns_the_experiment(trained: Path, tmp_path: Path) -> None:
    words = ["--config", str(trained / "config.json"), "--out", str(tmp_path / "again")]
    assert main_train.main(parse(Training, words)) == 0
    first, again = ((p / "log.jsonl").read_text() for p in (trained, tmp_path / "again"))
    assert json.loads(first)["loss"] == json.loads(again)["loss"]
    assert json.loads(first)["nll"] == json.loads(again)["nll"]


def test_every_fold_of_a_split_is_trained_and_pooled(store: Path, tmp_path: Path) -> None:
    names = [f"Simulated/SIM000{i}N1" for i in range(1, 5)]
    folds = [
        {"train": names[1:3], "val": names[3:], "test": names[:1]},
        {"train": names[2:], "val": names[:1], "test": names[1:2]},
    ]
    split = tmp_path / "two.json"
    split.write_text(
        json.dumps({"name": "two", "source": "a test", "accepted": [], "folds": folds})
    )
    train(store, tmp_path / "run", "--split", str(split))
    pooled = read_outputs(tmp_path / "run" / "test.npz")
    assert [night.night for night in pooled] == names[:2]
    assert json.loads((tmp_path / "run" / "results.json").read_text())["n_folds"] == 2
    before = (tmp_path / "run" / "fold0" / "test.npz").stat().st_mtime_ns
    train(store, tmp_path / "run", "--split", str(split), "--resume")
    assert (tmp_path / "run" / "fold0" / "test.npz").stat().st_mtime_ns == before


def test_trained_weights_stage_a_night_as_they_are(store: Path, trained: Path) -> None:
    from nights.night import Night
    from staging.stage import load_stager, stage_reading

    stager = load_stager(str(trained / "best.safetensors"), device="cpu")
    assert stager.provenance["simulated"]
    (said,) = read_outputs(trained / "test.npz")
    night = Night.open(store / "bb100" / f"{said.night}.json")
    staged = stage_reading(stager.read_stored(night), stager)
    np.testing.assert_allclose(staged.hypnogram.proba, said.proba, atol=1e-4)


def test_a_stager_reads_the_channels_its_weights_were_trained_on(
    store: Path, tmp_path: Path
) -> None:
    from staging.stage import load_stager

    flags = ["--model", "lpsgm", "--preset", "trial", "--channels", "C3", "C4", "--dry-run"]
    words = ["--nights", str(store / "psg9"), "--out", str(tmp_path / "run")]
    assert main_train.main(parse(Training, [*flags, *words])) == 0
    stager = load_stager(str(tmp_path / "run" / "best.safetensors"), device="cpu")
    assert stager.pick(("F3", "C3", "C4", "E1"), vote=False) == ("C3", "C4")  # type: ignore[attr-defined]


def test_statistics_of_the_training_nights_travel_with_the_weights(
    store: Path, tmp_path: Path
) -> None:
    from engine.checkpoint import load_weights

    flags = ["--model", "seqsleepnet", "--preset", "trial", "--dry-run"]
    words = ["--nights", str(store / "seq3"), "--out", str(tmp_path / "run")]
    assert main_train.main(parse(Training, [*flags, *words])) == 0
    model, _ = load_weights(tmp_path / "run" / "best.safetensors")
    assert model.spectrum.mean.abs().min() > 0  # type: ignore[union-attr]


def test_weights_are_tuned_and_judged_before_and_after(
    store: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tuned"
    flags = ["--init", str(trained / "best.safetensors"), "--mode", "head", "--dry-run"]
    words = ["--nights", str(store / "bb100"), "--out", str(out)]
    assert main_finetune.main(parse(Tuning, [*flags, *words])) == 0
    printed = capsys.readouterr().out
    assert "gain (95 % by person)" in printed
    assert "trained the weights already" in printed
    assert {path.name for path in (out / "fold0").iterdir()} == {
        *(RUN_FILES - {"config.json", "results.json", "test.npz"}),
        *("before.npz", "after.npz"),
    }
    sides = [read_outputs(out / "fold0" / f"{side}.npz") for side in ("before", "after")]
    assert [night.night for night in sides[0]] == [night.night for night in sides[1]]
    card = json.loads((out / "fold0" / "best.json").read_text())
    assert (card["trained_by"], card["mode"], card["simulated"]) == (
        "main_finetune.py",
        "head",
        True,
    )


def test_tuning_the_head_leaves_everything_else_as_it_was(
    store: Path, trained: Path, tmp_path: Path
) -> None:
    import torch

    from engine.checkpoint import load_weights

    flags = ["--init", str(trained / "best.safetensors"), "--mode", "head", "--dry-run"]
    words = ["--nights", str(store / "bb100"), "--out", str(tmp_path / "t"), "--lr", "0.01"]
    assert main_finetune.main(parse(Tuning, [*flags, *words])) == 0
    first = load_weights(trained / "best.safetensors")[0].state_dict()
    tuned = load_weights(tmp_path / "t" / "fold0" / "best.safetensors")[0].state_dict()
    changed = {name for name in first if not torch.equal(first[name], tuned[name])}
    assert changed == {"head.weight", "head.bias"}


def test_nights_of_another_view_are_refused(store: Path, trained: Path, tmp_path: Path) -> None:
    flags = ["--init", str(trained / "best.safetensors"), "--nights", str(store / "psg9")]
    with pytest.raises(ValueError, match="read view 'bb100'.*preprocess them with --view bb100"):
        main_finetune.main(parse(Tuning, [*flags, "--out", str(tmp_path / "t")]))


def test_an_unknown_mode_is_refused_with_those_there_are(
    store: Path, trained: Path, tmp_path: Path
) -> None:
    flags = ["--init", str(trained / "best.safetensors"), "--mode", "soft", "--dry-run"]
    words = ["--nights", str(store / "bb100"), "--out", str(tmp_path / "t")]
    with pytest.raises(ValueError, match="no mode 'soft'; there are all, head"):
        main_finetune.main(parse(Tuning, [*flags, *words]))


@pytest.mark.parametrize("script", ["main_train.py", "main_finetune.py"])
def test_help_answers_at_once_and_names_every_field(script: str) -> None:
    begun = time.perf_counter()
    command = [sys.executable, str(ROOT / script), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0
    assert all(f"--{name}" in done.stdout for name in ("nights", "balance", "precision", "resume"))
    assert time.perf_counter() - begun < 5  # far less on an idle machine: nothing is imported


def shell(script: str, *words: str, **variables: str) -> subprocess.CompletedProcess:
    """Run a shell script."""
    command = ["bash", str(ROOT / script), *words]
    env = {**os.environ, "PYTHON": sys.executable, **variables}
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def test_the_recipes_for_a_processor_run_one_after_the_other(tmp_path: Path) -> None:
    paths = {"RAW": str(tmp_path / "raw"), "STORE": str(tmp_path), "OUT": str(tmp_path / "runs")}
    made = shell("train.sh", "simulated", NIGHTS="3", HOURS="0.34", **paths)
    assert made.returncode == 0, made.stderr
    done = shell("train.sh", "trial-lpsgm", "--dry-run", **paths)
    assert done.returncode == 0, done.stderr
    done = shell("finetune.sh", "trial", "--dry-run", **paths)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "trial-tuned" / "results.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "step",
    ["trial-seqsleepnet", "trial-tinysleepnet", "lpsgm-variants", "lpsgm-script"],
)
def test_recipes_of_stagers_run_as_trials(store: Path, tmp_path: Path, step: str) -> None:
    paths = {"STORE": str(store), "OUT": str(tmp_path), "HOLD_OUT": "Simulated-BAR"}
    done = shell("train.sh", step, "--dry-run", **paths)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("*/results.json"))


@pytest.mark.parametrize("script", ["train.sh", "finetune.sh"])
def test_an_unknown_step_is_refused_with_those_there_are(script: str) -> None:
    done = shell(script, "everything")
    assert done.returncode == 2
    assert "lpsgm" in done.stderr
