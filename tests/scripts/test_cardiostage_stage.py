"""wav2sleep from the command line on a real recording: four classes to the last page."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import main_stage_slm
from command_line import parse
from tests.conftest import SHARED_DATA

NIGHT = "real/dreams_spindles/excerpt3.edf"


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of DREAMS excerpt 3, staged from ECG and two belts, and corrected."""
    out = tmp_path_factory.mktemp("staged")
    words = [str(SHARED_DATA / NIGHT), "--stager", "wav2sleep-small-simulated"]
    cfg = parse(main_stage_slm.Config, [*words, "--out", str(out), "--device", "cpu"])
    assert main_stage_slm.main(cfg) == 0
    return out / "excerpt3"


@pytest.mark.data(NIGHT)
def test_the_language_model_of_four_classes_corrects(result: Path) -> None:
    night = json.loads((result / "night.json").read_text())
    assert night["correction"]["language_model"] == "sleepgpt-open-4"
    rows = list(csv.DictReader((result / "hypnogram.csv").open()))
    assert len(rows) == 60
    assert {row["stage_wldr"] for row in rows} <= set("WLDR")
    assert sum(float(rows[7][f"proba_{stage}"]) for stage in "WLDR") == pytest.approx(1, abs=1e-4)
    assert "light_min" in night["statistics"]
    assert "n1_min" not in night["statistics"]


@pytest.mark.data(NIGHT)
def test_the_report_draws_heart_and_breath_and_says_who_trained_the_stager(result: Path) -> None:
    report = (result / "report.html").read_text()
    assert "trained on simulated nights" in report
    assert "heart in ECG; breath in THX" in report
    assert "Mean by stage" in report
    night = json.loads((result / "night.json").read_text())
    assert 50 < night["heart_and_breath"]["statistics"]["heart_asleep_bpm"] < 70
