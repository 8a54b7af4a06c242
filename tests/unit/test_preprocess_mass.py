"""MASS: what the published systems read of it, and pages of 20 s as windows of 30 s."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nights.night import Night
from preprocess import find_dataset
from preprocess.recipe import Settings, make_nights
from preprocess.recipe.workers import each
from tests.makers.raw_mass import FOLDER


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature folder as the published systems read it."""
    root = tmp_path_factory.mktemp("mass")
    raw = FOLDER.write(root / "raw")
    settings = Settings(raw=raw, out=root, view="seq3,bb100", as_published=True)
    make_nights(find_dataset("mass"), settings, spread=each)
    return root


def taken(out: Path, view: str, night: str) -> dict[str, str]:
    """Return what each channel of a night was made of."""
    known = Night.open(out / f"{view}-as-published/MASS/{night}.json").sidecar
    channels = (channel for group in known["groups"].values() for channel in group["channels"])
    return {channel["name"]: channel["taken"] for channel in channels}


def test_seqsleepnet_subtracts_the_mastoid_and_else_reads_c3(out: Path) -> None:
    assert taken(out, "seq3", "01-01-0001")["EEG"].startswith("'EEG C4-CLE' - 'EEG A1-CLE'")
    assert taken(out, "seq3", "01-03-0064")["EEG"].startswith("'EEG C3-LER'")


def test_sleepgpt_subtracts_the_mastoid_and_else_reads_the_lead(out: Path) -> None:
    with_ears, without = (taken(out, "bb100", night) for night in ("01-02-0001", "01-03-0064"))
    assert with_ears["C3"].startswith("'EEG C3-CLE' - 'EEG A2-CLE'")
    assert with_ears["C4"].startswith("'EEG C4-CLE' - 'EEG A1-CLE'")
    assert without["C4"].startswith("'EEG C4-LER'")


def test_windows_of_pages_overlap_by_10_s(out: Path) -> None:
    night = Night.open(out / "bb100-as-published/MASS/01-02-0001.json")
    assert night.sidecar["epoch_s"] == 20
    windows = night.stored("Chin")
    np.testing.assert_array_equal(windows[1:-1, 2000:], windows[2:, :1000])


def test_epochs_begin_where_the_scoring_says(out: Path) -> None:
    night = Night.open(out / "bb100-as-published/MASS/01-01-0001.json")
    assert night.sidecar["onset_s"] == pytest.approx(3.28, abs=0.01)
    assert night.n_epochs == 6
