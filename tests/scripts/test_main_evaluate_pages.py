"""Pages of pairs and of folders as a person asks for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation.export import write_csv
from main_evaluate import main
from main_stage_slm import Config
from main_stage_slm import main as stage
from nights.hypnogram import Hypnogram
from nights.stages import FOUR_CLASSES
from recordings.simulate import simulate_night
from staging.scored import read_pair


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two nights staged from somebody's predictions, and a broken file."""
    folder = tmp_path_factory.mktemp("pages")
    for name, seed in (("one", 1), ("two", 2)):
        night = simulate_night(seed, hours=0.2, montage="home")
        night.write(folder / "raw" / f"{name}.edf", scoring="none")
        write_csv(night.hypnogram, folder / "predictions" / f"{name}.csv")
    (folder / "raw" / "bad.edf").write_bytes(b"0")
    told = {"stager": str(folder / "predictions"), "out": folder / "run", "correction": False}
    assert stage(Config(paths=(folder / "raw",), **told)) == 1  # type: ignore[arg-type]
    return folder / "run"


def test_a_folder_gets_its_page_with_what_was_refused(run: Path) -> None:
    page = (run / "cohort.html").read_text(encoding="utf-8")
    assert 'href="one/report.html"' in page
    assert "bad.edf" in page
    assert "no person slept" in page


def test_the_page_of_a_folder_can_be_written_elsewhere(run: Path, tmp_path: Path) -> None:
    assert main(["cohort", str(run), "--out", str(tmp_path)]) == 0
    page = (tmp_path / "cohort.html").read_text(encoding="utf-8")
    links = [part.split('"')[0] for part in page.split('href="')[1:]]
    assert links
    assert all((tmp_path / link).resolve().exists() for link in links)
    assert main(["cohort", str(tmp_path / "nowhere")]) == 2


def test_a_result_is_laid_beside_another_scoring(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = run.parent / "predictions" / "one.csv"
    assert main(["night", str(theirs), str(run / "one"), "--out", str(tmp_path)]) == 0
    assert "kappa 1.000" in capsys.readouterr().out
    assert "Not a real result" in (tmp_path / "comparison.html").read_text(encoding="utf-8")


def test_the_second_scoring_is_laid_on_the_clock_of_the_first(tmp_path: Path) -> None:
    whole = simulate_night(4, hours=0.5, montage="home").hypnogram
    late = whole.on_grid(whole.onset_s + 10 * 30, 40)
    write_csv(late, tmp_path / "late.csv")
    write_csv(whole, tmp_path / "whole.csv")
    pair = read_pair(tmp_path / "late.csv", tmp_path / "whole.csv")
    np.testing.assert_array_equal(pair.first.stages, pair.second.stages)
    other = read_pair(tmp_path / "whole.csv", tmp_path / "late.csv")
    assert other.second.scored.sum() == 40
    assert (other.first.stages == other.second.stages)[other.second.scored].all()


@pytest.mark.parametrize("turned", [False, True])
def test_stages_are_merged_where_one_side_tells_four_apart(tmp_path: Path, turned: bool) -> None:
    five = Hypnogram(np.array([0, 1, 2, 3, 4]))
    four = replace(five, stages=np.array([0, 1, 1, 2, 3]), classes=FOUR_CLASSES)
    write_csv(five, tmp_path / "five.csv")
    write_csv(four, tmp_path / "four.csv")
    files = [tmp_path / "five.csv", tmp_path / "four.csv"][:: -1 if turned else 1]
    pair = read_pair(*files)
    assert pair.first.classes == pair.second.classes == FOUR_CLASSES
    assert pair.first.stages.tolist() == pair.second.stages.tolist() == [0, 1, 1, 2, 3]
