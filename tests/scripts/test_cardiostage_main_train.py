"""`main_train.py` with wav2sleep: whole nights, mixed signals, subsets, and the same in staging."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import main_train
from command_line import parse
from engine.checkpoint import load_weights
from engine.staging_nights import gather
from engine.staging_settings import Training
from engine.subsets import subset_outputs
from evaluation.outputs import read_outputs
from nights.hypnogram import Hypnogram
from nights.night import Night
from nights.store import write_night
from recordings.simulate.cohort import Cohort
from recordings.views import VIEWS
from staging.stage import load_stager, stage_reading
from tests.makers.simulated_store import simulated_store

SMALL = (
    *("width=8", "feedforward=8", "n_heads=2", "initial_channels=2", "max_channels=2"),
    *("n_blocks=1", "n_sequence_blocks=1", "n_dilations=2"),
)
FOUR = "ABD THX ECG PPG"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four nights of home tests with all signals, of unequal length, and three with belts alone."""
    cohorts = Cohort(2, hours=0.34, montage="home"), Cohort(2, site="B", hours=0.2, montage="home")
    root = simulated_store(tmp_path_factory.mktemp("store"), *cohorts, view="cr")
    for number in range(3):
        _belts(root / "cr", f"belts{number}", seed=number)
    return root / "cr"


def _belts(root: Path, rec: str, seed: int) -> None:
    """Write a night of noise with two belts, 20 epochs long, two of them lost."""
    rng, stages, lost = np.random.default_rng(seed), np.arange(20) // 5, np.arange(20) // 2 == 4
    belts = [rng.standard_normal((20, 256)).astype(np.float32) for _ in range(2)]
    view = VIEWS["cr"]
    write_night(
        root,
        "Belts",
        rec,
        {"sig": (("ABD", "THX"), belts)},
        Hypnogram(stages),
        view={"name": "cr", "hash": view.hash, "normalise": view.normalise},
        person=rec,
        gaps=lost,
        channels={name: _facts(name) for name in ("ABD", "THX")},
    )


def _facts(name: str) -> dict[str, object]:
    """Return a record as reading a channel leaves it."""
    numbers = dict.fromkeys(("flat", "clipped", "mean", "median", "centre"), 0.0)
    told = {"target": name, "taken": name, "referenced": True, "unit": "range", "rate_hz": 10.0}
    return told | numbers | dict.fromkeys(("std", "iqr", "spread"), 1.0)


def train(store: Path, out: Path, *words: str, preset: str = "trial") -> Path:
    """Dry-run a wav2sleep of a few hundred weights."""
    flags = ["--model", "wav2sleep", "--preset", preset, "--dry-run", "--test-share", "0.4"]
    fields = ["--field", *SMALL]
    nights = ["--nights", str(store / "Simulated"), str(store / "Belts"), "--out", str(out)]
    assert main_train.main(parse(Training, [*flags, *fields, *nights, *words])) == 0
    return out


@pytest.fixture(scope="module")
def trained(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "w2s"
    return train(store, out, "--subsets", "--writers", "tensorboard", "mlflow", preset="current")


def test_data_sets_with_other_signals_are_trained_together(trained: Path) -> None:
    card = json.loads((trained / "best.json").read_text())
    assert set(card["datasets"]) == {"Belts", "Simulated"}
    assert card["channels"] == FOUR.split()
    assert card["normalisation"] == "z_recorded"
    config = json.loads((trained / "config.json").read_text())
    assert config["classes"] is None  # four, as the preset says
    (row,) = (json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines())
    assert np.isfinite(row["loss"])
    assert row["lr"] == pytest.approx(2 * 1e-3 / 2000)  # the second step of the warm-up


def test_every_subset_of_the_signals_is_judged_on_the_nights_that_have_it(
    store: Path, trained: Path
) -> None:
    (shortest,) = read_outputs(trained / "test.npz")
    written = read_outputs(trained / "subsets.npz")
    assert {night.night for night in written} == {shortest.night}
    model, _ = load_weights(trained / "best.safetensors")
    found = list(subset_outputs(model, gather([store])))
    subsets = dict.fromkeys(night.channels for night in found)
    assert list(subsets) == [
        " ".join(s) for n in (4, 3, 2, 1) for s in combinations(FOUR.split(), n)
    ]
    of_belts = {night.channels for night in found if night.dataset == "Belts"}
    assert of_belts == {"ABD THX", "ABD", "THX"}
    assert len(found) == 15 * 4 + 3 * 3
    (same,) = (o for o in found if (o.night, o.channels) == (shortest.night, shortest.channels))
    np.testing.assert_allclose(same.proba, shortest.proba, atol=1e-6)


def test_the_run_is_recorded_for_tensorboard_and_mlflow(trained: Path) -> None:
    assert any((trained / "tensorboard").iterdir())
    assert (trained / "mlflow_run.txt").exists()


@pytest.mark.parametrize("causal", ["no", "epochs"])
def test_a_night_is_staged_as_it_was_judged(store: Path, tmp_path: Path, causal: str) -> None:
    out = train(store, tmp_path / "run", "--field", *SMALL, f"causal={causal}")
    stager = load_stager(str(out / "best.safetensors"), device="cpu")
    rule = "z_recorded" if causal == "no" else "z_running"
    assert stager.normalise == rule  # type: ignore[attr-defined]
    (said,) = read_outputs(out / "test.npz")
    night = Night.open(store / f"{said.night}.json")
    staged = stage_reading(stager.read_stored(night), stager).hypnogram
    np.testing.assert_allclose(staged.proba, said.proba, atol=1e-4)


def test_the_largest_batch_is_tried_on_the_longest_night_with_all_signals(
    store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="nightstack"):
        train(store, tmp_path / "run", "--find-batch", "--memory-mb", "100000")
    assert "--batch-size 2 --accumulate 1 fits" in caplog.text


def test_the_baseline_of_one_signal_is_trained_the_same_way(store: Path, tmp_path: Path) -> None:
    flags = ["--model", "ppgnet", "--preset", "trial", "--dry-run", "--channels", "ECG"]
    fields = ["--field", "width=8", "n_sequence_blocks=1", "n_dilations=2"]
    words = ["--nights", str(store / "Simulated"), "--out", str(tmp_path / "run")]
    assert main_train.main(parse(Training, [*flags, *fields, *words])) == 0
    card = json.loads((tmp_path / "run" / "best.json").read_text())
    assert (card["channels"], card["normalisation"]) == (["ECG"], "z_recorded")
