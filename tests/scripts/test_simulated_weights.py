"""Weights that simulated nights trained say so wherever they are used."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from engine.weights import manifest
from main_stage_slm import Config, main
from recordings.edf.writing import write_edfplus
from recordings.formats import open_recording
from recordings.simulate import simulate_night
from staging.stage import load_stager

NAME = "seqsleepnet-eeg-simulated"
TOLD = "The stager was trained on simulated nights."


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half an hour that does not say of itself that it is simulated: only the stager does."""
    path = tmp_path_factory.mktemp("night") / "night.edf"
    night = simulate_night(5, hours=0.5)
    write_edfplus(path, {"C4-M1": night.signals["C4-M1"]}, [], start=datetime(2001, 1, 1, 23))
    assert not open_recording(path).simulated
    return path


def test_the_weights_in_the_tree_name_their_view_and_that_they_are_simulated() -> None:
    assert manifest()[NAME].in_tree
    stager = load_stager(NAME)
    assert stager.provenance["simulated"]
    assert stager.provenance["view"] == "seq3"


def test_every_output_says_so(
    night: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = Config((night,), out=tmp_path, stager=NAME, decoder="denoiser", device="cpu")
    assert main(cfg) == 0
    (folder,) = (path.parent for path in tmp_path.rglob("night.json"))
    assert TOLD in capsys.readouterr().out
    assert TOLD in json.loads((folder / "night.json").read_text("utf-8"))["simulated"]
    assert TOLD in (folder / "report.html").read_text("utf-8")
    assert pd.read_csv(tmp_path / "summary.csv")["simulated"].all()
    assert NAME in (folder / "hypnogram_events.json").read_text("utf-8")
