"""Where the rows of a run go besides log.jsonl: TensorBoard and MLflow, both kept in local files.

A writer has one method, `log(step, values)`. Its package is imported when it is asked for and never
otherwise; nothing is ever sent over a network.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from nights.atomic import write_text

REQUIREMENTS = "requirements-tracking.txt"


class Writer(Protocol):
    """Somebody who is told the numbers of a run."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Take the numbers found after `step` steps."""


def open_writer(name: str, folder: Path) -> Writer:
    """Return the writer `name` for the run in `folder`.

    Raises
    ------
    ValueError
        If there is none of that name.
    ImportError
        If its package is not installed.
    """
    if name not in WRITERS:
        raise ValueError(f"no writer {name!r}; there are {', '.join(WRITERS)}")
    if importlib.util.find_spec(name) is None:
        raise ImportError(
            f"writer {name}: its package is not installed; pip install -r {REQUIREMENTS}"
        )
    return WRITERS[name](folder)


def numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """Return what is a finite number in `row`, but for the step."""
    return {
        name: float(value)
        for name, value in row.items()
        if name != "step" and isinstance(value, int | float) and math.isfinite(value)
    }


class TensorBoardWriter:
    """Event files in `<run>/tensorboard`: `tensorboard --logdir runs` shows all runs below it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "tensorboard"
        self._events: Any = None

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Take the numbers found after `step` steps."""
        from torch.utils.tensorboard import SummaryWriter

        if self._events is None:
            # A resumed run repeats steps: what an earlier process said of them no longer counts
            self._events = SummaryWriter(self.folder, purge_step=step)
        for name, value in values.items():
            self._events.add_scalar(name, value, step)
        self._events.flush()


class MlflowWriter:
    """A run in the file store `mlruns` beside the run folder, which all runs there share.

    `mlflow ui --backend-store-uri runs/mlruns` shows them. The experiment is called as the folder
    of the runs, the run as its own; config.json becomes its parameters.
    """

    def __init__(self, folder: Path) -> None:
        # Read by mlflow as it is imported. Newer releases refuse a store of plain files unless they
        # are told that it is meant; nothing may be reported to anybody
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        from mlflow.tracking import MlflowClient

        self.folder = folder.resolve()
        self.client = MlflowClient(tracking_uri=(self.folder.parent / "mlruns").as_uri())
        self._run = ""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Take the numbers found after `step` steps."""
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        metrics = [Metric(name, value, now_ms, step) for name, value in values.items()]
        self.client.log_batch(self._run or self._open(), metrics=metrics)

    def _open(self) -> str:
        """Return the id of the run, which is kept in the run folder and made if it is new."""
        kept = self.folder / "mlflow_run.txt"
        if kept.exists():
            self._run = kept.read_text("utf-8").strip()
            return self._run
        name = self.folder.parent.name
        known = self.client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else self.client.create_experiment(name)
        self._run = self.client.create_run(experiment, run_name=self.folder.name).info.run_id
        for parameter, value in self._parameters().items():
            self.client.log_param(self._run, parameter, value)
        write_text(kept, self._run + "\n")
        return self._run

    def _parameters(self) -> dict[str, Any]:
        """Return what was asked of the run."""
        config = self.folder / "config.json"
        return json.loads(config.read_text("utf-8")) if config.exists() else {}


WRITERS: dict[str, Any] = {"tensorboard": TensorBoardWriter, "mlflow": MlflowWriter}
