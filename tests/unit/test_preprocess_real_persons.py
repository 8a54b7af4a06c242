"""Real scorings and tables through the facts of their data sets: whose nights, which stages."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from nights.sequences import StageNight
from preprocess import boas, find_dataset, sleepedf
from preprocess.dataset import Dataset, RawNight
from preprocess.hypnograms import read_hypnograms
from preprocess.recipe.conversion import read_stages
from recordings.scoring import read_scoring
from tests.makers.recordings import ArrayRecording

CATALOG = Path(__file__).parents[1] / "fixtures" / "datasets_catalog.json"


def lasting(n_epochs: int) -> ArrayRecording:
    """Return a recording of so many epochs with one channel."""
    return ArrayRecording({"C4": np.zeros(30 * n_epochs)}, 1)


def counts(stages: Iterable[np.ndarray]) -> list[int]:
    """Return the epochs of unscored, W, N1, N2, N3, R."""
    return np.bincount(np.concatenate(list(stages)) + 1, minlength=6).tolist()


@pytest.fixture
def boas_nights(shared_data: Path, tmp_path: Path) -> list[RawNight]:
    """The nights of BOAS whose real tables are at hand, in the published layout."""
    real = shared_data / "real/boas"
    shutil.copy(real / "participants.tsv", tmp_path)
    for table in real.glob("sub-*_psg_events.tsv"):
        night = table.name.partition("_")[0]
        folder = tmp_path / night / "eeg"
        folder.mkdir(parents=True)
        (folder / f"{night}_task-Sleep_acq-psg_eeg.edf").touch()
        shutil.copy(table, folder / f"{night}_task-Sleep_acq-psg_events.tsv")
    return list(boas.recordings(tmp_path))


@pytest.mark.data("real/boas")
def test_boas_has_89_nights_of_67_persons_and_the_stages_of_its_consensus(
    boas_nights: list[RawNight],
) -> None:
    assert len(boas_nights) == 89
    assert len({night.person for night in boas_nights}) == 67
    assert {night.night: night.person for night in boas_nights}["sub-2"] == "89"
    found = []
    for night in boas_nights:
        assert night.scoring is not None
        n_epochs = len(night.scoring.read_text().splitlines()) - 1
        scoring = read_stages(night, boas.SPEC, lasting(n_epochs))
        assert scoring is not None
        found.append(scoring.hypnogram.stages)
    assert counts(found) == [249, 13259, 3252, 50516, 3738, 12538]


@pytest.mark.data("sleepedf_hypnograms.npz")
def test_the_subsets_of_sleep_edf_have_the_nights_and_persons_of_the_catalog(
    shared_data: Path, tmp_path: Path
) -> None:
    with np.load(shared_data / "sleepedf_hypnograms.npz", allow_pickle=False) as pack:
        names = pack["record"].tolist()
    for name in names:
        study = "sleep-cassette" if name.startswith("SC4") else "sleep-telemetry"
        (tmp_path / study).mkdir(exist_ok=True)
        (tmp_path / study / f"{name}-PSG.edf").touch()
    nights = list(sleepedf.recordings(tmp_path))
    assert {night.night for night in nights} == set(names)
    subsets = json.loads(CATALOG.read_text(encoding="utf-8"))["SleepEDF"]["subsets"]
    # Of the telemetry study the pack holds one night per person
    subsets["SleepEDF-ST"]["nights"] = 22
    for subset, members in {
        "SleepEDF-20": [n for n in nights if n.part == "SleepEDF-20"],
        "SleepEDF-78": [n for n in nights if n.part != "SleepEDF-ST"],
        "SleepEDF-ST": [n for n in nights if n.part == "SleepEDF-ST"],
    }.items():
        told = (len(members), len({night.person for night in members}))
        assert told == (subsets[subset]["nights"], subsets[subset]["persons"]), subset


@pytest.mark.data("sleepedf_hypnograms.npz")
def test_the_lost_nights_of_sleep_edf_are_lost(shared_data: Path) -> None:
    with np.load(shared_data / "sleepedf_hypnograms.npz", allow_pickle=False) as pack:
        nights = {name[:6] for name in pack["record"].tolist()}
    assert {"SC4132", "SC4361", "SC4521"}.isdisjoint(nights)
    assert {"SC4131", "SC4362", "SC4522"} <= nights


@pytest.mark.data("real/sleepedf_original")
def test_the_original_hypnogram_has_the_stages_of_its_annotations(shared_data: Path) -> None:
    real = shared_data / "real/sleepedf_original"
    night = RawNight("SC4001E0", "SC400", real, scoring=real / "SC4001EC-Hypnogram.edf")
    # The night lasts 2650 epochs, its last annotation 24 h
    scoring = read_stages(night, sleepedf.SPEC, lasting(2650))
    assert scoring is not None
    hyp = read_scoring(real / "SC4001E0-PSG.edf.hyp").hypnogram
    np.testing.assert_array_equal(scoring.hypnogram.stages, hyp.stages)
    assert counts([hyp.stages]) == [0, 1997, 58, 250, 220, 125]


@pytest.fixture(scope="module")
def others() -> dict[str, list[StageNight]]:
    """Every scored night of the sources that are no data set of their own, by source."""
    from tests.conftest import SHARED_DATA

    names = ("surrey", "eesm17", "slpdb", "ucddb", "cap")
    return {name: read_hypnograms(SHARED_DATA, [name]) for name in names}


@pytest.mark.data("real")
@pytest.mark.parametrize(
    ("source", "nights", "persons", "stages"),
    [
        ("surrey", 13, 13, [6191, 1406, 6207, 2091, 2438]),
        ("eesm17", 6, 6, [978, 353, 2197, 754, 927]),
        ("slpdb", 12, 11, [2029, 1083, 3118, 548, 463]),  # slp01a and slp01b are one person
        ("ucddb", 16, 16, None),
        ("cap", 7, 7, None),
    ],
)
def test_nights_of_other_sources_belong_to_their_persons(
    others: dict[str, list[StageNight]],
    source: str,
    nights: int,
    persons: int,
    stages: list[int] | None,
) -> None:
    found = others[source]
    assert (len(found), len({night.owner for night in found})) == (nights, persons)
    if stages:
        assert counts(night.stages for night in found)[1:] == stages


@pytest.mark.data("mass_20fold_splits.json")
def test_the_published_folds_of_mass_count_its_nights_in_the_order_of_the_recipe(
    shared_data: Path, tmp_path: Path
) -> None:
    published = json.loads((shared_data / "mass_20fold_splits.json").read_text())["subjects"]
    dataset: Dataset = find_dataset("mass")
    for entry in reversed(published):
        folder = tmp_path / entry["subset"]
        folder.mkdir(exist_ok=True)
        (folder / f"{entry['record']} PSG.edf").touch()
    nights = list(dataset.recordings(tmp_path))
    assert [night.night for night in nights] == [entry["record"] for entry in published]
    assert len({night.person for night in nights}) == dataset.spec.n_persons
    for night, entry in zip(nights, published, strict=True):
        scored_in = night.scoring_format or dataset.spec.scoring
        assert scored_in.epoch_s == entry["annotation_epoch_s"], night.night
