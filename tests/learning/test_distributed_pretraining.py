"""Pre-training and probing in two processes: the steps of one process, every file written once."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import main_pretrain
import main_probe
import models
from command_line import parse
from engine import distributed
from engine.checkpoint import load_state, save_state
from engine.log import RunFolder
from engine.optim import Plan
from engine.pretraining import PretrainingTask
from engine.pretraining_settings import Pretraining
from engine.probing_settings import Probing
from engine.train import train
from nights.windows import Windows
from recordings.simulate.cohort import Cohort
from tests.learning.test_distributed_training import free_port
from tests.makers.simulated_store import simulated_store
from tests.makers.small_run import rows, started

TINY = ("--field", "widths=(8, 8, 8, 8, 8)", "squeeze=4", "width=32", "n_blocks=1")
KEEP = ("--val-share", "0.2", "--test-share", "0.5", "--device", "cpu", "--dry-run")


class Noise:
    """Batches of six epochs of noise in float64, the same ones in every pass."""

    def __len__(self) -> int:
        return 4

    def draw(self, generator: torch.Generator) -> Iterator[Windows]:
        """Yield the batches."""
        for number in range(len(self)):
            own = torch.Generator().manual_seed(number)
            signal = torch.randn(6, 1, 3000, generator=own, dtype=torch.float64)
            there, stages = torch.ones(6, 1, dtype=torch.bool), torch.zeros(6, 1, dtype=torch.int64)
            names, first = ("n",) * 6, torch.full((6,), number)
            yield Windows({"C4": signal}, {"C4": there}, stages, names, first)


class SameMasks(PretrainingTask):
    """Hides the same frames of a batch in whatever process it is read."""

    def loss(self, model: torch.nn.Module, batch: Windows) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the loss with maskings drawn from the number of the batch."""
        draw = partial(torch.rand, generator=torch.Generator().manual_seed(int(batch.first[0])))
        return self.losses(
            model(batch.signals, batch.present, mask_ratio=self.mask_ratio, draw=draw)
        )


def pretrain(out: Path, plan: Plan) -> None:
    """Pre-train a small NeuroNet in as many processes as there are."""
    with distributed.processes("cpu"):
        torch.manual_seed(distributed.rank())  # all train the weights of the first
        sizes = {"widths": (8, 8, 8, 8, 8), "squeeze": 4, "width": 16, "n_blocks": 1}
        model = models.create("neuronet", channels=("C4",), **sizes).double()
        held_out = list(Noise().draw(torch.Generator()))[:1]
        train(model, SameMasks(mask_ratio=0.5), Noise(), held_out, plan, RunFolder(out))
        if distributed.is_first():
            found = {name: p.detach() for name, p in model.named_parameters()}
            slopes = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
            save_state(out / "end.pt", {"weights": found, "gradient": slopes})


def in_two_processes(what: object, *given: object) -> None:
    """Run `what` in two processes that know of each other."""
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "WORLD_SIZE": "2"}
    processes = [
        started(*given, environment=where | {"RANK": str(rank)}, what=what)  # type: ignore[arg-type]
        for rank in range(2)
    ]
    for process in processes:
        process.join(timeout=120)
    assert [process.exitcode for process in processes] == [0, 0]


def test_two_processes_make_the_steps_of_one_that_takes_two_batches_a_step(tmp_path: Path) -> None:
    """The contrast is within a batch, so the comparison is two batches, never one twice as large.

    Running statistics of batch norms are those of the first process and serve evaluation alone.
    """
    plan = {"n_passes": 3, "lr": 1e-3, "clip": 2.0}
    pretrain(tmp_path / "one", Plan(**plan, accumulate=2))  # type: ignore[arg-type]
    in_two_processes(pretrain, tmp_path / "two", Plan(**plan))  # type: ignore[arg-type]
    ends = [load_state(tmp_path / name / "end.pt") for name in ("one", "two")]
    for kind in ("gradient", "weights"):
        assert ends[0][kind].keys() == ends[1][kind].keys()
        for name, tensor in ends[0][kind].items():
            torch.testing.assert_close(ends[1][kind][name], tensor, rtol=1e-9, atol=1e-12)
    for one, two in zip(rows(tmp_path / "one"), rows(tmp_path / "two"), strict=True):
        for name in ("step", "lr", "loss", "reconstruction", "contrastive"):
            assert one[name] == pytest.approx(two[name], rel=1e-9)


def script(program: str, words: list[str], told: Path) -> None:
    """Run an entry point, what it prints into a file of its process."""
    import os

    main, settings = {
        "pretrain": (main_pretrain.main, Pretraining),
        "probe": (main_probe.main, Probing),
    }[program]
    own = told.with_suffix(f".{os.environ['RANK']}")
    with own.open("w") as file, contextlib.redirect_stdout(file):
        assert main(parse(settings, words)) == 0  # type: ignore[operator]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight people, five minutes each."""
    cohort = Cohort(8, hours=1 / 12)
    return simulated_store(tmp_path_factory.mktemp("store"), cohort, view="shhs7") / "shhs7"


@pytest.fixture(scope="module")
def encoder(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NeuroNet, dry-run in two processes."""
    out = tmp_path_factory.mktemp("encoder")
    words = ["--preset", "ecg-small", "--nights", str(store), "--out", str(out / "run")]
    in_two_processes(script, "pretrain", [*words, *KEEP, *TINY], out / "told")
    return out / "run"


def test_a_pretraining_of_two_processes_writes_and_tells_once(encoder: Path) -> None:
    told = [encoder.with_name(f"told.{rank}").read_text() for rank in range(2)]
    assert "best pass 1" in told[0]
    assert told[1] == ""
    assert len(rows(encoder)) == 1
    assert (encoder / "best.safetensors").exists()


def test_an_export_of_two_processes_writes_each_night_once_and_the_same(
    store: Path, encoder: Path, tmp_path: Path
) -> None:
    words = ["--init", str(encoder), "--nights", str(store), "--device", "cpu", "--picture", "none"]
    one, two = (tmp_path / name for name in ("one", "two"))
    assert main_probe.main(parse(Probing, [*words, "--export", str(one)])) == 0
    in_two_processes(script, "probe", [*words, "--export", str(two)], tmp_path / "told")
    assert "8 nights" in (tmp_path / "told.0").read_text()
    assert (tmp_path / "told.1").read_text() == ""
    manifests = [json.loads((out / "manifest.json").read_text()) for out in (one, two)]
    assert manifests[0] == manifests[1]
    for night in manifests[0]["nights"].values():
        np.testing.assert_array_equal(np.load(one / night["file"]), np.load(two / night["file"]))


def test_a_probe_of_two_processes_gives_its_figures_once(
    store: Path, encoder: Path, tmp_path: Path
) -> None:
    words = ["--init", str(encoder), "--nights", str(store), "--device", "cpu", "--dry-run"]
    words += ["--preset", "trial", "--task", "hypopnea", "--out", str(tmp_path / "run")]
    in_two_processes(script, "probe", words, tmp_path / "told")
    assert "hypopnea, probe, context 1" in (tmp_path / "told.0").read_text()
    assert (tmp_path / "told.1").read_text() == ""
    found = json.loads((tmp_path / "run" / "results.json").read_text())
    assert found["fractions"]["1"]["n_folds"] == 2
