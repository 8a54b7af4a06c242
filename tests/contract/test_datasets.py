"""Every data set keeps the contract: facts that add up, labels that resolve, nights as intended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import preprocess
from nights.night import Night
from preprocess.dataset import Counts, Dataset
from preprocess.recipe import Settings, make_nights
from preprocess.recipe.conversion import completed
from preprocess.recipe.workers import each
from recordings.channels import Candidate, resolve
from tests.makers.raw_folders import Night as Wanted
from tests.makers.raw_folders import RawFolder, folders
from tests.makers.recordings import ArrayRecording

FIXTURES = Path(__file__).parents[1] / "fixtures"
# Made from the catalog of the published data sets: what it counts, lists and names
CATALOG = json.loads((FIXTURES / "datasets_catalog.json").read_text(encoding="utf-8"))
STAGES = "W123R?"
DATASETS = {name: preprocess.find_dataset(name) for name in preprocess.names()}

PUBLISHED = {n: d for n, d in DATASETS.items() if d.spec.name in CATALOG}

each_dataset = pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS.keys())
each_published = pytest.mark.parametrize("dataset", PUBLISHED.values(), ids=PUBLISHED.keys())


@pytest.fixture(params=folders().items(), ids=lambda pair: pair[0], scope="module")
def made(request, tmp_path_factory):
    """A data set made from its miniature folder: the dataset, the folder, the output, the tally."""
    name, folder = request.param
    dataset, root = DATASETS[name], tmp_path_factory.mktemp(name)
    raw, out = folder.write(root / "raw"), root / "data"
    settings = Settings(raw=raw, out=out, view=",".join(folder.views))
    return dataset, folder, out, make_nights(dataset, settings, spread=each), settings


def test_every_data_set_has_a_miniature_folder() -> None:
    assert set(folders()) == set(DATASETS)


def test_exactly_the_nights_intended_come_out(made) -> None:
    dataset, folder, out, _, _ = made
    view = out / folder.views[0] / dataset.spec.name
    wanted = {night.night for night in folder.nights if not night.refused}
    assert {path.stem for path in view.glob("*.json")} == wanted


def test_every_night_is_as_intended(made) -> None:
    dataset, folder, out, _, _ = made
    for wanted in folder.nights:
        if not wanted.refused:
            root = out / folder.views[0] / dataset.spec.name
            night = Night.open(root / f"{wanted.night}.json")
            night.verify()
            assert_as_wanted(night, wanted)


def test_what_must_be_refused_is_refused_for_its_reason(made) -> None:
    dataset, folder, _, tally, _ = made
    reasons = {f.night.split("/", 1)[1]: f.reason for f in tally.failures.get(folder.views[0], ())}
    reasons |= tally.left_out
    wanted = {night.night: night.refused for night in folder.nights if night.refused}
    assert reasons.keys() == wanted.keys(), reasons
    for name, piece in wanted.items():
        assert piece in reasons[name]


def test_a_second_run_finds_every_night_there(made) -> None:
    _, folder, _, _, settings = made
    tally = make_nights(made[0], settings, spread=each)
    assert not any(tally.made.values())


@each_dataset
def test_every_candidate_resolves_on_a_synthetic_header(dataset: Dataset) -> None:
    for channels in dataset.spec.all_channels:
        for target, candidates in completed(channels).items():
            for candidate in candidates:
                recording = header(target, candidate)
                # Alone: the catalog lists a pair behind one of its own halves (ECG1 of CFS)
                montage = resolve(recording, [target], candidates={target: [candidate]})
                taken = montage[target]
                assert taken.plus is not None, (target, candidate)
                assert (taken.minus is None) == isinstance(candidate, str), (target, candidate)


@each_dataset
def test_every_data_set_is_found_by_its_store_folder(dataset: Dataset) -> None:
    assert preprocess.find_dataset(dataset.spec.name).spec is dataset.spec


@each_dataset
def test_every_data_set_says_where_it_comes_from(dataset: Dataset) -> None:
    source = dataset.spec.source
    assert source.page.startswith("https://") or source.kind in ("private", "simulated")
    assert source.kind != "nsrr" or source.name
    assert source.kind not in ("nsrr", "application", "private", "simulated") or source.apply


def test_every_data_set_of_the_catalog_is_there() -> None:
    assert {dataset.spec.name for dataset in PUBLISHED.values()} == set(CATALOG)


@each_published
def test_facts_are_those_of_the_catalog(dataset: Dataset) -> None:
    spec, entry = dataset.spec, CATALOG[dataset.spec.name]
    assert (spec.n_nights, spec.n_persons) == (entry.get("nights"), entry.get("persons"))
    assert spec.source.page == entry.get("page", "")
    listed = {
        target: [tuple(c) if isinstance(c, list) else c for c in candidates]
        for target, candidates in entry["channels"].items()
    }
    assert {target: list(c) for target, c in spec.channels.items()} == listed
    assert set(entry.get("bad", ())) <= set(spec.bad)


@each_published
def test_counts_are_those_of_the_catalog(dataset: Dataset) -> None:
    published, counts = CATALOG[dataset.spec.name].get("counts"), dataset.spec.counts
    if published and not published.get("wrong_map"):  # SVUH was counted with a wrong stage map
        assert counts is not None
        assert (counts.nights, counts.epochs) == (published["recordings"], published["epochs"])
        assert list(counts.stages) == published["stages"]
    if counts:
        assert_adds_up(counts)


@each_published
def test_names_of_the_catalog_give_its_ids(dataset: Dataset, tmp_path: Path) -> None:
    for example in CATALOG[dataset.spec.name]["examples"]:
        (tmp_path / example["path"]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / example["path"]).touch()
    found = {night.night: night for night in dataset.recordings(tmp_path)}
    for example in CATALOG[dataset.spec.name]["examples"]:
        night = found[example["rec"]]
        assert example["subject"] in (None, f"{dataset.spec.prefix}-{night.person}")
        assert example["visit"] in (None, night.visit)


def assert_as_wanted(night: Night, wanted: Wanted) -> None:
    """Compare one stored night with what was intended."""
    known = night.sidecar
    assert known["person"] == wanted.person
    assert known["group"] == (wanted.group or wanted.person)
    assert "".join(STAGES[code] for code in night.stages) == wanted.stages, wanted.night
    if wanted.channels is not None:
        assert set(night.channels) == wanted.channels, (wanted.night, known["dropped"])
    assert (known["event_types"] is None) == (wanted.events is None)
    if wanted.events is not None:
        found = [(event.onset_s, event.duration_s, event.type) for event in night.events]
        assert found == list(wanted.events)
    groups = [channel for group in known["groups"].values() for channel in group["channels"]]
    taken = {channel["name"]: channel["taken"] for channel in groups}
    for channel, labels in wanted.taken.items():
        assert taken[channel].startswith(labels), (wanted.night, channel, taken[channel])
    for key, value in wanted.facts.items():
        assert known[key] == value, (wanted.night, key)


def assert_adds_up(counts: Counts) -> None:
    """Check that stages sum to epochs, and parts to the whole."""
    assert sum(counts.stages) == counts.epochs
    if counts.parts:
        parts = list(counts.parts.values())
        assert sum(part.nights for part in parts) == counts.nights
        assert np.sum([part.stages for part in parts], axis=0).tolist() == list(counts.stages)
        for part in parts:
            assert_adds_up(part)


def header(target: str, candidate: Candidate) -> ArrayRecording:
    """Return a recording that has the labels of a candidate and another channel."""
    labels: Sequence[str] = (candidate,) if isinstance(candidate, str) else candidate
    units = {"SpO2": "%"}
    signals = [(label, np.zeros(2)) for label in ("unrelated", *labels)]
    return ArrayRecording(signals, units=units.get(target, "uV"))


def test_miniature_folders_are_declared_with_names_of_views() -> None:
    from recordings.views import VIEWS

    assert all(isinstance(folder, RawFolder) for folder in folders().values())
    assert {view for folder in folders().values() for view in folder.views} <= set(VIEWS)
