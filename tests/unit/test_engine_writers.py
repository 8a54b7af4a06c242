"""Rows reach TensorBoard and MLflow, whose absence is said, and nothing reaches a network."""

from __future__ import annotations

import importlib.util
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from engine.log import RunFolder
from engine.writers import numbers, open_writer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Refuse every connection, and note who wanted one."""
    wanted: list[object] = []

    def refused(self: socket.socket, address: object) -> None:
        wanted.append(address)
        raise OSError(f"no network in this test: {address}")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket.socket, "connect_ex", refused)
    return wanted


def logged_twice(path: Path, writer: str) -> None:
    """Log two rows, as a run that stops and repeats the second."""
    folder = RunFolder(path, writers=(writer,))
    (path / "config.json").write_text(json.dumps({"model": "lpsgm", "lr": 0.1}))
    folder.log({"pass": 1, "step": 10, "loss": 0.5, "note": "no number"})
    folder.log({"pass": 2, "step": 20, "loss": 0.3})
    folder.last.touch()
    RunFolder(path, resume=True, writers=(writer,)).log({"pass": 2, "step": 20, "loss": 0.25})


def test_only_finite_numbers_are_passed_on() -> None:
    row = {"step": 3, "pass": 1, "loss": 0.5, "worst": float("nan"), "name": "x", "per": [1]}
    assert numbers(row) == {"pass": 1.0, "loss": 0.5}


@pytest.mark.parametrize("writer", ["tensorboard", "mlflow"])
def test_a_writer_without_its_package_names_the_file_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install -r requirements-tracking\.txt") as error:
        RunFolder(tmp_path / "run", writers=(writer,))
    assert writer in str(error.value)
    assert not (tmp_path / "run").exists()
    assert (ROOT / "requirements-tracking.txt").is_file()


def test_an_unknown_writer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there are tensorboard, mlflow"):
        open_writer("wandb", tmp_path)


def test_tensorboard_shows_each_step_once(tmp_path: Path, offline: list[object]) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logged_twice(tmp_path / "run", "tensorboard")
    read = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert set(read.Tags()["scalars"]) == {"pass", "loss"}
    told = [(event.step, event.value) for event in read.Scalars("loss")]
    assert told == [(10, 0.5), (20, 0.25)]
    assert not offline


def test_mlflow_keeps_one_run_in_a_local_folder(tmp_path: Path, offline: list[object]) -> None:
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    logged_twice(tmp_path / "runs" / "first", "mlflow")
    logged_twice(tmp_path / "runs" / "second", "mlflow")
    client = MlflowClient(tracking_uri=(tmp_path / "runs" / "mlruns").as_uri())
    experiment = client.get_experiment_by_name("runs")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {"first", "second"}
    run = runs["first"]
    assert run.data.params == {"model": "lpsgm", "lr": "0.1"}
    assert run.data.metrics == {"pass": 2.0, "loss": 0.25}
    history = client.get_metric_history(run.info.run_id, "loss")
    assert {metric.step for metric in history} == {10, 20}
    assert not offline


def test_no_writer_is_imported_unasked() -> None:
    code = "import sys, engine.log; print({'mlflow', 'tensorboard'} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "set()"
