"""From simulated nights to weights for apnea to a new recording: they find its events."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import main_pretrain
import main_probe
from command_line import parse
from engine.pretraining_settings import Pretraining
from engine.probing_results import ranking_scores
from engine.probing_settings import Probing
from evaluation.export import write_csv
from evaluation.outputs import read_outputs
from main_stage_slm import Config, main
from nights.night import Night
from recordings.simulate import simulate_night
from recordings.simulate.cohort import Cohort
from staging.events import find_events, load_detectors, read_for_events
from tests.makers.simulated_store import simulated_store

TINY = ("--field", "widths=(8, 8, 8, 16, 16)", "squeeze=4", "width=32", "n_blocks=1")


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A store of fourteen people, an hour each, and weights for apnea from their airflow."""
    root = tmp_path_factory.mktemp("apnea")
    store = simulated_store(root, Cohort(14, hours=1), view="shhs7") / "shhs7"
    shared = ["--nights", str(store), "--device", "cpu"]
    words = ["--preset", "ecg-small", "--channels", "Airflow", "--test-share", "0.7"]
    words += ["--out", str(root / "encoder"), "--val-share", "0.2", "--dry-run"]
    assert main_pretrain.main(parse(Pretraining, [*shared, *words, *TINY])) == 0
    words = ["--init", str(root / "encoder"), "--preset", "trial", "--mode", "whole"]
    words += ["--task", "apnea", "--label-seen", "--folds", "3", "--fold", "0"]
    assert main_probe.main(parse(Probing, [*shared, *words, "--out", str(root / "probe")])) == 0
    return store, root / "probe" / "labels100" / "fold0" / "best.safetensors"


@pytest.mark.slow
def test_epochs_with_an_apnea_get_the_higher_probability(
    learnt: tuple[Path, Path], tmp_path: Path
) -> None:
    weights, night = learnt[1], simulate_night(99, hours=2, ahi=40)
    night.write(tmp_path / "night.edf")
    write_csv(night.hypnogram, tmp_path / "theirs.csv")
    stager = str(tmp_path / "theirs.csv")
    cfg = Config((tmp_path / "night.edf",), out=tmp_path / "out", stager=stager, correction=False,
                 events=(str(weights),), device="cpu")  # fmt: skip
    assert main(cfg) == 0
    known = json.loads((tmp_path / "out" / "night" / "night.json").read_text("utf-8"))
    told = known["event_epochs"]["apnea"]
    assert told["rule"] == "half"
    assert told["weights"]["simulated"]
    proba = np.array(told["proba"])
    apneas = [event for event in night.annotations if "apnea" in event.text.casefold()]
    held = np.zeros(len(proba), dtype=bool)
    for event in apneas:  # the epoch that holds the middle of an event holds half of it
        held[int((event.onset_s + event.duration_s / 2) // 30)] = True
    found = ranking_scores(np.stack([1 - proba, proba], axis=1), held.astype(int))
    assert held.sum() > 10
    assert found["auroc"] > 0.85
    assert found["auprc"] > 3 * held.mean()


@pytest.mark.slow
def test_a_stored_night_gets_what_the_probe_said_of_it(learnt: tuple[Path, Path]) -> None:
    store, weights = learnt
    (detector,) = load_detectors([str(weights)], device="cpu")
    for said in read_outputs(weights.with_name("test.npz")):
        night = Night.open(store / f"{said.night}.json")
        found = find_events(read_for_events(detector, night), night.hypnogram, night.events)
        assert found is not None
        assert said.proba is not None
        np.testing.assert_allclose(found.proba, said.proba[:, 1], atol=1e-5)
        if found.scored is not None:
            np.testing.assert_array_equal(
                found.scored[said.labels >= 0], said.labels[said.labels >= 0]
            )
