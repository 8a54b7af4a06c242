"""The training loop: it learns, stops, resumes exactly, and never goes on with a broken loss."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import models
from engine.checkpoint import load_weights
from engine.log import RunFolder
from engine.optim import Plan
from engine.tasks import BlockSource, LanguageTask, StageBlocks
from engine.train import TrainingError, train
from nights.sequences import StageNight

LENGTH = 12
TASK = LanguageTask(LENGTH)


def nights(n_nights: int = 4) -> list[StageNight]:
    """Nights that run through the stages, seven epochs each."""
    stages = np.repeat(np.arange(60) % 5, 7)
    return [StageNight("made", str(i), str(i), stages[i:]) for i in range(n_nights)]


def model(seed: int = 0) -> nn.Module:
    """A small language model with dropout."""
    torch.manual_seed(seed)
    return models.create("sleepgpt", width=12, n_heads=2, n_layers=1, n_positions=LENGTH)


def run(folder: Path, plan: Plan, *, resume: bool = False, seed: int = 0) -> list[dict]:
    """Train in `folder` and return the logged passes."""
    opened = RunFolder(folder, resume=resume)
    held_out = nights(1)
    train(model(), TASK, BlockSource(nights(), LENGTH, 16), held_out, plan, opened, seed=seed)
    return opened.rows()


def without_clock(rows: list[dict]) -> list[dict]:
    """Leave out what differs between two equal runs."""
    return [{k: v for k, v in row.items() if k not in ("seconds", "memory_mb")} for row in rows]


def test_the_loss_falls_and_the_best_pass_is_kept(tmp_path: Path) -> None:
    rows = run(tmp_path / "run", Plan(n_passes=6, lr=1e-2))
    assert rows[-1]["loss"] < rows[0]["loss"] / 2
    best = min(rows, key=lambda row: row["nll"])
    kept, card = load_weights(tmp_path / "run" / "best.safetensors")
    assert card["pass"] == best["pass"]
    assert TASK.evaluate(kept, nights(1))["nll"] == pytest.approx(best["nll"])
    assert json.loads((tmp_path / "run" / "best.json").read_text()) == card


def test_a_resumed_run_repeats_the_losses_bit_for_bit(tmp_path: Path) -> None:
    plan = Plan(n_passes=4, lr=5e-3)
    whole = run(tmp_path / "whole", plan)

    class Stopped(Exception):
        pass

    class StopsInPassThree(BlockSource):
        passes = 0

        def draw(self, generator: torch.Generator) -> Iterator[StageBlocks]:
            self.passes += 1
            for number, batch in enumerate(super().draw(generator)):
                if self.passes == 3 and number == 1:
                    raise Stopped
                yield batch

    source, held_out = StopsInPassThree(nights(), LENGTH, 16), nights(1)
    with pytest.raises(Stopped):
        train(model(), TASK, source, held_out, plan, RunFolder(tmp_path / "cut"))
    torch.manual_seed(99)  # whatever happened in between
    resumed = run(tmp_path / "cut", plan, resume=True)
    assert without_clock(resumed) == without_clock(whole)
    first, second = (load_weights(tmp_path / d / "best.safetensors")[0] for d in ("whole", "cut"))
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_seed_decides(tmp_path: Path) -> None:
    plan = Plan(n_passes=1)
    same = [without_clock(run(tmp_path / name, plan)) for name in ("a", "b")]
    assert same[0] == same[1]
    assert without_clock(run(tmp_path / "c", plan, seed=1)) != same[0]


def test_patience_ends_a_run_that_no_longer_improves(tmp_path: Path) -> None:
    class Worse(LanguageTask):
        calls = 0

        def evaluate(self, model: nn.Module, held_out: object) -> dict[str, float]:
            Worse.calls += 1
            return {"nll": float(Worse.calls)}

    folder, source = RunFolder(tmp_path / "run"), BlockSource(nights(1), LENGTH, 16)
    best = train(model(), Worse(LENGTH), source, None, Plan(n_passes=9, patience=2), folder)
    assert best["pass"] == 1
    assert len(folder.rows()) == 3


def test_a_loss_that_is_not_finite_stops_and_names_the_nights(tmp_path: Path) -> None:
    broken = model()
    broken.tokens.weight.data[3] = torch.nan
    source = BlockSource(nights(1), LENGTH, 16)
    with pytest.raises(TrainingError, match="loss is nan at step 0, on made/0"):
        train(broken, TASK, source, None, Plan(n_passes=1), RunFolder(tmp_path / "run"))
    assert not (tmp_path / "run" / "last.pt").exists()


def test_a_run_folder_is_never_used_twice(tmp_path: Path) -> None:
    plan = Plan(n_passes=1)
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        RunFolder(tmp_path / "run", resume=True)
    run(tmp_path / "run", plan)
    with pytest.raises(FileExistsError, match="--resume"):
        RunFolder(tmp_path / "run")
    with pytest.raises(ValueError, match="begun with another plan"):
        run(tmp_path / "run", Plan(n_passes=2), resume=True)


def test_the_run_folder_tells_versions_and_commit(tmp_path: Path) -> None:
    told = json.loads(RunFolder(tmp_path / "run").environment.read_text())
    assert told["packages"]["torch"] == torch.__version__
    assert {"python", "commit", "system", "device", "threads"} < set(told)
