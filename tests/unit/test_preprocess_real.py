"""Recipes on real files, where the shared material has them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nights.night import Night
from preprocess import find_dataset
from preprocess.custom import described
from preprocess.custom.survey import survey, write_description
from preprocess.recipe import Settings, make_nights
from preprocess.recipe.workers import each
from recordings.formats import open_recording


@pytest.fixture
def cassette(tmp_path: Path, shared_data: Path) -> Path:
    """The first five minutes of SC4001 with its whole original hypnogram."""
    real, folder = shared_data / "real/sleepedf_original", tmp_path / "raw/sleep-cassette"
    folder.mkdir(parents=True)
    shutil.copy(real / "short_psg.edf", folder / "SC4001E0-PSG.edf")
    shutil.copy(real / "SC4001EC-Hypnogram.edf", folder)
    return tmp_path / "raw"


@pytest.mark.data("real/sleepedf_original")
def test_the_start_of_a_real_sleep_edf_night_is_wake(cassette: Path, tmp_path: Path) -> None:
    settings = Settings(raw=cassette, out=tmp_path / "data", view="bb100")
    make_nights(find_dataset("sleepedf"), settings, spread=each)
    night = Night.open(tmp_path / "data/bb100/SleepEDF/SC4001E0.json")
    assert night.n_epochs == 10
    assert set(night.stages.tolist()) == {0}
    assert night.channels == ("FpzCz", "PzOz", "EOGh")
    assert night.sidecar["person"] == "sleepedf-SC400"


@pytest.mark.data("real/sleepedf_original")
def test_the_real_hypnogram_holds_154_runs_142_of_them_not_wake(cassette: Path) -> None:
    hypnogram = open_recording(cassette / "sleep-cassette/SC4001EC-Hypnogram.edf")
    texts = [mark.text for mark in hypnogram.annotations]
    assert len(texts) == 154
    assert sum(text != "Sleep stage W" for text in texts) == 142


@pytest.mark.data("real/dreams_spindles")
def test_a_real_folder_runs_from_its_first_description(tmp_path: Path, shared_data: Path) -> None:
    clinic = tmp_path / "clinic"
    clinic.mkdir()
    for name in ("excerpt3.edf", "Hypnogram_excerpt3.txt", "Hypnogram_excerpt1.txt"):
        shutil.copy(shared_data / "real/dreams_spindles" / name, clinic)
    write_description(survey(clinic), clinic / "dataset.toml")
    dataset = described(clinic / "dataset.toml")
    make_nights(dataset, Settings(out=tmp_path, view="bb100"), spread=each)
    night = Night.open(tmp_path / "bb100/clinic/excerpt3.json")
    assert night.n_epochs == 60
    assert night.sidecar["stage_histogram"] == {"W": 6, "N1": 12, "N2": 39, "N3": 3}
    assert {"C3", "O1", "E1", "E2", "EOGh", "Chin", "ECG"} == set(night.channels)
