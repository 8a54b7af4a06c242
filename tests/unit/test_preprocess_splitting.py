"""Splits of a store: by person, by label, and published lists taken over."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nights.hypnogram import Hypnogram
from nights.ledger import read_manifest, write_manifest
from nights.splits import SplitError, leaks, read_groups, read_split
from nights.store import write_night
from preprocess.overview import verify
from preprocess.splitting import make_split
from preprocess.splitting.published import known_nights, read_published

PERSONS = 12


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve persons with two nights each; every third one is ill."""
    root = tmp_path_factory.mktemp("store")
    signal = np.random.default_rng(0).normal(0, 20, (2, 30)).astype(np.float32)
    for person in range(PERSONS):
        for night in (1, 2):
            write_night(
                root,
                "DS",
                f"p{person:02}n{night}",
                {"sig": (["C4"], [signal])},
                Hypnogram(np.array([0, 2])),
                view={"name": "v", "hash": "0"},
                person=f"ds-p{person:02}",
                sidecar={
                    "labels": {"diagnosis": "ill" if person % 3 == 0 else "well"},
                    "part": "DS-first" if person < 4 else "DS-other",
                },
            )
    write_manifest(root)
    return root


def saved(store: Path, name: str) -> list[dict[str, list[str]]]:
    """Return the folds of a written split."""
    return json.loads((store / f"splits/{name}.json").read_text())["folds"]


def test_persons_stay_on_one_side(store: Path) -> None:
    text = make_split(store, "plain", shares=("train=0.5", "test=0.5"), seed=3)
    assert "train 12 nights of 6 persons, test 12 nights of 6 persons" in text
    groups = read_groups(store)
    assert not leaks(read_split(store / "splits/plain.json", groups), groups)


def test_a_part_of_a_data_set_can_be_divided_alone(store: Path) -> None:
    make_split(store, "part", dataset=["DS-first"], folds=2, val_share=0)
    told = {night for fold in saved(store, "part") for night in fold["test"]}
    assert sorted(told) == [f"DS/p{person:02}n{night}" for person in range(4) for night in (1, 2)]
    with pytest.raises(ValueError, match="no nights of DS-second"):
        make_split(store, "part", dataset=["DS-second"])


def test_each_label_is_divided_alike(store: Path) -> None:
    make_split(store, "even", folds=4, val_share=0, label="diagnosis")
    for fold in saved(store, "even"):
        ill = [night for night in fold["test"] if int(night[4:6]) % 3 == 0]
        assert (len(ill), len(fold["test"])) == (2, 6)


def test_a_label_nobody_has_is_refused_with_those_there_are(store: Path) -> None:
    with pytest.raises(ValueError, match="no label 'age'; there are: diagnosis"):
        make_split(store, "x", label="age")


def test_published_lists_are_taken_over_and_leaks_are_told(store: Path, tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("# comment\np00n1\np01n1\nnobody\n")
    (tmp_path / "test.txt").write_text("p00n2\n")
    with pytest.raises(SplitError, match="1 persons on two sides of a fold: ds-p00"):
        make_split(store, "pub", published=str(tmp_path))
    text = make_split(store, "pub", published=str(tmp_path), accept_leaks=True)
    assert "1 of 4 recordings of the lists are not in the store" in text
    assert "| 0 | train + test | 1 | 2 |" in text
    assert json.loads((store / "splits/pub.json").read_text())["accepted"] == ["ds-p00"]


def test_a_page_in_place_of_lists_is_refused(store: Path, tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("<html>\n<body>gone</body>\n</html>\n")
    with pytest.raises(ValueError, match="none of the 3 recordings"):
        make_split(store, "html", published=str(tmp_path))


@pytest.mark.data("mass_20fold_splits.json")
def test_the_twenty_folds_of_mass_are_read(shared_data: Path) -> None:
    folds = read_published(str(shared_data / "mass_20fold_splits.json"))
    assert len(folds) == 20
    assert all(
        [len(fold[part]) for part in ("train", "val", "test")] == [180, 10, 10] for fold in folds
    )
    tested = sorted(rec for fold in folds for rec in fold["test"])
    assert len(set(tested)) == 200
    assert tested[0] == "01-01-0001"


@pytest.mark.data("wav2sleep_splits/shhs")
def test_88_validation_nights_of_wav2sleep_belong_to_persons_in_train(shared_data: Path) -> None:
    lists = read_published(str(shared_data / "wav2sleep_splits/shhs"))
    nights = [rec for part in lists[0].values() for rec in part]
    groups = {f"SHHS/{rec}": rec.split("-")[1] for rec in nights}
    known, told = known_nights(lists, groups)
    assert told == ""
    train = {groups[night] for night in known[0]["train"]}
    assert sum(groups[night] in train for night in known[0]["val"]) == 88
    assert not any(groups[night] in train for night in known[0]["test"])


def test_verify_finds_a_changed_byte(store: Path, tmp_path: Path) -> None:
    text, sound = verify(store)
    assert sound
    assert "DS: 24 nights of 12 persons, 48 epochs (W 24, N1 0, N2 24" in text
    path = store / "DS/p03n1.sig.npy"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    text, sound = verify(store)
    path.write_bytes(content)
    assert not sound
    assert "p03n1.sig.npy" in text


def test_the_manifest_lists_every_night(store: Path) -> None:
    assert len(read_manifest(store)) == 24
