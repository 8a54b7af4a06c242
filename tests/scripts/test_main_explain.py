"""Explaining a night as a person runs it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch

import main_evaluate
import models
from command_line import parse, run
from engine.checkpoint import save_weights
from evaluation.export import write_csv
from main_explain import Config, main
from recordings.simulate import simulate_night

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explain.md"
COMMANDS = re.findall(r"^    (python main_.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated night of nine derivations, its hypnogram, and weights nobody trained."""
    folder = tmp_path_factory.mktemp("explain")
    night = simulate_night(1, hours=0.25, montage="aasm9")
    night.write(folder / "night.edf")
    write_csv(night.hypnogram, folder / "scored.csv")
    torch.manual_seed(0)
    lpsgm = models.create("lpsgm", n_blocks=1)
    save_weights(folder / "lpsgm.safetensors", lpsgm, {"view": "psg9c"})
    save_weights(folder / "htn.safetensors", models.create("htn"), {})
    return folder


def explain(folder: Path, *arguments: object) -> int:
    """Run the entry point in this process, which has PyTorch imported already."""
    return run(main, Config, [*map(str, arguments), "--out", str(folder / "out")])


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_of_the_page_on_maps_are_known(command: str) -> None:
    script, *arguments = shlex.split(command)[1:]
    if script == "main_explain.py":
        parse(Config, arguments)
    else:
        parse(main_evaluate.COMMANDS[arguments[0]][0], arguments[1:])


def test_epochs_get_figures_numbers_and_a_section_in_the_report(folder: Path) -> None:
    weights = folder / "lpsgm.safetensors"
    assert not explain(folder, folder / "night.edf", "--stager", weights, "--epochs", 2, "29-30")
    out = folder / "out" / "night"
    assert {path.name for path in out.glob("*.png")} == {
        "epoch_0002.png",
        "epoch_0029.png",
        "epoch_0030.png",
    }
    with np.load(out / "maps.npz") as maps:
        assert maps["epochs"].tolist() == [1, 28, 29]
        assert maps["channels"].tolist() == list(models.create("lpsgm").config.channels)
        assert maps["guided"].shape == (3, 9, 3000)
    facts = json.loads((out / "explain.json").read_text())
    assert facts["method"] == "gradcam"
    report = (out / "report.html").read_text()
    assert "What spoke for these stages" in report
    assert "<script" not in report


def test_a_classifier_of_nights_is_explained_from_a_hypnogram(folder: Path) -> None:
    assert not explain(folder, folder / "scored.csv", "--stager", folder / "htn.safetensors")
    out = folder / "out" / "scored"
    assert (out / "night.png").stat().st_size > 5000
    with np.load(out / "maps.npz") as maps:
        assert maps["segments"].sum() == pytest.approx(1)


def test_a_method_that_does_not_serve_is_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = folder / "lpsgm.safetensors"
    night = folder / "night.edf"
    assert explain(folder, night, "--stager", weights, "--method", "attention", "--dry-run") == 2
    told = capsys.readouterr().err
    assert "--method attention does not serve lpsgm: gradcam, guided, occlusion do" in told
