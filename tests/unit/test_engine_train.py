"""The training loop: it learns, stops, resumes exactly, and never goes on with a broken loss."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import models
from engine.checkpoint import load_state, load_weights
from engine.ema import RunningAverage
from engine.log import RunFolder
from engine.optim import Plan
from engine.tasks import IGNORED, BlockSource, LanguageTask, StageBlocks
from engine.train import TrainingError, train
from nights.sequences import StageNight

LENGTH = 12
TASK = LanguageTask(LENGTH)
PARTS = ("inputs", "targets")


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


class Stopped(Exception):
    """A run is over before its end."""


def stopping(loss: Callable, after: int) -> Callable:
    """Let `loss` be taken `after` times and no more."""
    left = iter(range(after))

    def stops(*given: object) -> object:
        if next(left, None) is None:
            raise Stopped
        return loss(*given)

    return stops


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
    (tmp_path / "run" / "log.jsonl").unlink()  # as of a run that was stopped before its first row
    with pytest.raises(FileExistsError, match="--resume"):
        RunFolder(tmp_path / "run")


def test_the_run_folder_tells_versions_and_commit(tmp_path: Path) -> None:
    told = json.loads(RunFolder(tmp_path / "run").environment.read_text())
    assert told["packages"]["torch"] == torch.__version__
    assert {"python", "commit", "system", "device", "threads"} < set(told)


class Pairs:
    """Batches that are given: inputs (B, 3) and targets (B,), of which some are not scored."""

    def __init__(self, *batches: tuple[torch.Tensor, torch.Tensor]) -> None:
        self.batches = [Pair(inputs, targets) for inputs, targets in batches]
        self.drawn: list[int] = []

    def __len__(self) -> int:
        return len(self.batches)

    def draw(self, generator: torch.Generator) -> Iterator[Pair]:
        """Yield them in random order."""
        for number in torch.randperm(len(self), generator=generator).tolist():
            self.drawn.append(number)
            yield self.batches[number]


@dataclass(frozen=True)
class Pair:
    """One batch."""

    inputs: torch.Tensor
    targets: torch.Tensor
    nights: tuple[str, ...] = ("a",)


class Scores:
    """Mean cross-entropy over the scored; judges by numbers that are given, or by the weights."""

    headline, higher_is_better = "score", True

    def __init__(self, scores: Sequence[float] = ()) -> None:
        self.scores = list(scores)
        self.seen: list[torch.Tensor] = []

    def loss(self, model: nn.Module, batch: Pair) -> tuple[torch.Tensor, dict[str, float]]:
        loss = nn.functional.cross_entropy(model(batch.inputs), batch.targets)
        return loss, {"loss": loss.item()}

    def weight(self, batch: Pair) -> float:
        return float((batch.targets != IGNORED).sum())

    def evaluate(self, model: nn.Module, held_out: object) -> dict[str, float]:
        model.eval()
        self.seen.append(model.state_dict()["weight"].clone())
        return {"score": self.scores.pop(0) if self.scores else float(len(self.seen))}


def pairs(n_batches: int = 6, *, seed: int = 0) -> Pairs:
    """Batches of 4 rows with one to four scored."""
    rng = torch.Generator().manual_seed(seed)
    batches = []
    for number in range(n_batches):
        targets = torch.randint(2, (4,), generator=rng)
        targets[1 + number % 4 :] = IGNORED
        batches.append((torch.randn(4, 3, generator=rng), targets))
    return Pairs(*batches)


def line(seed: int = 0) -> nn.Linear:
    """The least model there is."""
    torch.manual_seed(seed)
    return nn.Linear(3, 2)


def fit(
    path: Path, plan: Plan, *, task: Scores | None = None, source: Pairs | None = None
) -> tuple[nn.Linear, list[dict]]:
    """Train a line in `path`; its weights are no model of the registry and are not kept."""
    model, folder = line(), RunFolder(path)
    train(model, task or Scores(), source or pairs(), None, plan, folder)
    return model, folder.rows()


@pytest.fixture
def _kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep best weights of models that are not in the registry."""
    monkeypatch.setattr("engine.train.save_weights", lambda path, model, card: None)


@pytest.mark.usefixtures("_kept")
def test_accumulated_batches_have_the_gradient_of_one_large_batch(tmp_path: Path) -> None:
    source = pairs(6)
    model, rows = fit(tmp_path / "run", Plan(1, accumulate=6, clip=0), source=source)
    whole = Pair(*(torch.cat([getattr(b, part) for b in source.batches]) for part in PARTS))
    expected = line()
    loss, parts = Scores().loss(expected, whole)
    loss.backward()
    torch.testing.assert_close(model.weight.grad, expected.weight.grad)
    assert rows[0]["loss"] == pytest.approx(parts["loss"])
    assert rows[0]["step"] == 1


@pytest.mark.usefixtures("_kept")
def test_the_running_average_is_judged_and_training_goes_on_from_the_weights(
    tmp_path: Path,
) -> None:
    plain, averaged = Scores(), Scores()
    plan = Plan(4, lr=0.1, accumulate=6)  # a step each pass
    model, _ = fit(tmp_path / "plain", plan, task=plain)
    same, _ = fit(tmp_path / "average", replace(plan, ema=0.9, ema_start=2), task=averaged)
    assert torch.equal(model.weight, same.weight)
    # Nothing is averaged before step 2, where the average begins from the weights
    average = plain.seen[1]
    assert torch.equal(averaged.seen[0], plain.seen[0])
    for weights, judged in zip(plain.seen[1:], averaged.seen[1:], strict=True):
        average = 0.9 * average + 0.1 * weights
        torch.testing.assert_close(judged, average)
    last = load_state(tmp_path / "average" / "last.pt")
    assert torch.equal(last["model"]["weight"], same.weight)
    assert torch.equal(last["average"]["weight"], averaged.seen[-1])


def test_the_average_is_what_is_saved_as_best(tmp_path: Path) -> None:
    rows = run(tmp_path / "run", Plan(n_passes=3, lr=1e-2, ema=0.9))
    kept, _ = load_weights(tmp_path / "run" / "best.safetensors")
    best = min(rows, key=lambda row: row["nll"])
    assert TASK.evaluate(kept, nights(1))["nll"] == pytest.approx(best["nll"])


def test_running_statistics_are_averaged_and_counters_copied() -> None:
    norm = nn.BatchNorm1d(2)
    average = RunningAverage(norm, decay=0.75)
    average.update(1)
    norm.running_mean += 4
    norm.num_batches_tracked += 8
    average.update(2)
    with average.applied():
        assert norm.running_mean.tolist() == [1, 1]
        assert norm.num_batches_tracked == 8
    assert norm.running_mean.tolist() == [4, 4]


@pytest.mark.usefixtures("_kept")
def test_patience_counts_evaluations_and_waits_for_the_first_steps(tmp_path: Path) -> None:
    falling = [float(-number) for number in range(99)]
    plan = Plan(20, evaluate_every=2, patience=3)
    _, rows = fit(tmp_path / "run", plan, task=Scores(falling))
    assert [row["step"] for row in rows] == [2, 4, 6, 8]  # the first is the best
    assert [row["pass"] for row in rows] == [1, 1, 1, 2]
    _, rows = fit(tmp_path / "later", replace(plan, min_steps=15), task=Scores(falling))
    assert rows[-1]["step"] == 16
    _, rows = fit(tmp_path / "short", replace(plan, patience=0, max_steps=5), task=Scores(falling))
    assert [row["step"] for row in rows] == [2, 4, 5]


@pytest.mark.usefixtures("_kept")
def test_a_metric_that_is_no_number_is_never_best_and_the_later_of_equals_is(
    tmp_path: Path,
) -> None:
    scores = [math.nan, 0.5, math.nan, 0.5, 0.4]
    model, folder = line(), RunFolder(tmp_path / "run")
    assert train(model, Scores(scores), pairs(), None, Plan(5), folder)["pass"] == 4


@pytest.mark.usefixtures("_kept")
def test_a_bar_with_the_time_left_is_shown_on_a_terminal_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, shows in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr("sys.stderr", stream)
        fit(tmp_path / str(shows), Plan(2))
        assert ("/12" in stream.getvalue()) == shows


@pytest.mark.usefixtures("_kept")
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_and_keeps_its_scale(tmp_path: Path, precision: Any) -> None:
    model, rows = fit(tmp_path / "run", Plan(9, lr=0.1, precision=precision))
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert model.weight.dtype == torch.float32
    scaler = load_state(tmp_path / "run" / "last.pt")["scaler"]
    assert bool(scaler) == (precision == "fp16")


@pytest.mark.usefixtures("_kept")
def test_a_source_can_spare_the_batches_that_are_done(tmp_path: Path) -> None:
    class Spares(Pairs):
        def part(self, generator: torch.Generator, first: int, every: int) -> Iterator[Pair]:
            asked.append((first, every))
            order = torch.randperm(len(self), generator=generator).tolist()
            return iter([self.batches[number] for number in order[first::every]])

    asked: list[tuple[int, int]] = []
    plan = Plan(2, save_every=4)
    _, whole = fit(tmp_path / "whole", plan)
    source = Spares()
    source.batches = pairs().batches
    model, folder = line(), RunFolder(tmp_path / "cut")
    task = Scores()
    task.loss = stopping(task.loss, after=5)  # type: ignore[method-assign]
    with pytest.raises(Stopped):
        train(model, task, source, None, plan, folder)
    again = RunFolder(tmp_path / "cut", resume=True)
    train(line(), Scores(), source, None, plan, again)
    assert asked == [(0, 1), (4, 1), (0, 1)]
    assert without_clock(again.rows()) == without_clock(whole)


def test_a_source_that_yields_more_than_it_promised_is_refused(tmp_path: Path) -> None:
    class Longer(Pairs):
        def __len__(self) -> int:
            return super().__len__() - 1

        def draw(self, generator: torch.Generator) -> Iterator[Pair]:
            yield from self.batches

    source = Longer()
    source.batches = pairs().batches
    with pytest.raises(ValueError, match="more than the 5 batches"):
        fit(tmp_path / "run", Plan(1), source=source)


def test_a_row_cut_short_is_none(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.log({"pass": 1, "step": 5})
    with folder.log_file.open("a") as file:
        file.write('{"pass": 2, "st')
    assert folder.rows() == [{"pass": 1, "step": 5}]
    folder.keep_rows(5)
    assert folder.log_file.read_text() == '{"pass": 1, "step": 5}\n'


@pytest.mark.slow
@pytest.mark.usefixtures("_kept")
def test_a_compiled_model_makes_the_same_steps(tmp_path: Path) -> None:
    plan = Plan(n_passes=3, lr=0.1)
    plain, rows = fit(tmp_path / "plain", plan)
    compiled, same = fit(tmp_path / "compiled", replace(plan, compile=True))
    torch.testing.assert_close(compiled.weight, plain.weight)
    for one, other in zip(without_clock(rows), without_clock(same), strict=True):
        assert one == pytest.approx(other, rel=1e-4)
