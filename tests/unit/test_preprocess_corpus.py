"""A corpus from stores, scoring files and annotations.txt: on one clock, never joined at gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluation.export import write_csv
from nights.hypnogram import Hypnogram
from nights.sequences import StageNight, sequences
from nights.store import write_night
from preprocess.corpus import gather, in_classes, on_30_s, read_annotations, write_annotations

STAGES = np.array([0, 0, 1, 2, 2, 3, 3, -1, 4, 4, 0, 0])


def night(name: str, stages: np.ndarray = STAGES) -> StageNight:
    return StageNight("a", name, name, stages)


def test_an_annotations_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "annotations.txt"
    write_annotations(file, [night("x"), night("y", STAGES[:5])], gaps=True)
    read = read_annotations(file)
    assert [n.stages.tolist() for n in read] == [STAGES.tolist(), STAGES[:5].tolist()]
    assert len({n.owner for n in read}) == 2


def test_the_published_form_never_joins_stages_across_a_gap(tmp_path: Path) -> None:
    file = tmp_path / "annotations.txt"
    write_annotations(file, [night("x")])
    assert file.read_text() == "0,0,1,2,2,3,3\n4,4,0,0\n"


def test_a_line_that_holds_no_stages_is_named(tmp_path: Path) -> None:
    file = tmp_path / "annotations.txt"
    file.write_text("0,0,1\n0,7,1\n")
    with pytest.raises(ValueError, match="line 2: stage codes"):
        read_annotations(file)


def test_pages_of_20_s_are_brought_to_30_s() -> None:
    # Three pages of 20 s are two epochs; each takes the page that fills two thirds of it
    pages = Hypnogram(np.array([0, 1, 2, 3, 4, 0]), epoch_s=20)
    assert on_30_s(pages).tolist() == [0, 2, 3, 0]


def test_a_folder_gives_its_scorings_and_leaves_other_files_out(tmp_path: Path) -> None:
    write_csv(Hypnogram(STAGES), tmp_path / "P01n1.csv")
    write_csv(Hypnogram(STAGES[::-1].copy()), tmp_path / "P01n2.csv")
    (tmp_path / "readme.txt").write_text("about this folder")
    (tmp_path / "annotations.txt").write_text("0,1,2,2\n")
    found = gather([tmp_path], person=lambda file: file.name[:3])
    assert {n.night for n in found} == {"P01n1", "P01n2", "annotations-0001"}
    assert len({n.owner for n in found if n.night.startswith("P01")}) == 1
    (kept,) = (n for n in found if n.night == "P01n1")
    assert kept.stages.tolist() == STAGES.tolist()


def test_a_store_gives_its_nights_with_person_and_what_is_known(tmp_path: Path) -> None:
    signal = np.random.default_rng(0).normal(0, 20, (len(STAGES), 100)).astype(np.float32)
    hypnogram = Hypnogram(STAGES, lights_off_s=60.0)
    view = {"name": "bb100", "hash": "x"}
    about = {"age": 40, "sex": "F"}
    signals = {"sig": (["C4"], [signal])}
    write_night(tmp_path, "D", "n1", signals, hypnogram, view=view, person="p", sidecar=about)
    (tmp_path / "view.json").write_text("{}")
    (stored,) = gather([tmp_path])
    assert (stored.name, stored.person) == ("D/n1", "p")
    assert stored.known == {"age": 40.0, "sex": 0.0, "lights_off_epoch": 2.0}
    hours = stored.conditions(slice(2, 5))["lights_off_h"]
    assert np.allclose(hours, [0, 1 / 120, 2 / 120])


def test_four_classes_join_n1_and_n2() -> None:
    (four,) = in_classes([night("x")], 4)
    assert four.stages.tolist() == [0, 0, 1, 1, 1, 2, 2, -1, 3, 3, 0, 0]


def test_nothing_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no scored night"):
        gather([tmp_path])
    with pytest.raises(ValueError, match="no such file"):
        gather([tmp_path / "absent"])


def test_the_same_scoring_is_known_again_under_another_name() -> None:
    long = np.concatenate([np.zeros(50, int), STAGES, np.zeros(9, int)])
    assert night("x", long).fingerprint == night("y").fingerprint
    assert night("x").fingerprint != night("x", STAGES[::-1].copy()).fingerprint
    assert len(sequences([night("x")])) == 2
