"""Files of a stager's output: what is written is read, what cannot be right is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation.outputs import NightOutput, first_nights, read_outputs, write_outputs
from nights.stages import FOUR_CLASSES


def night(
    rng: np.random.Generator, name: str = "a", n_epochs: int = 30, **about: str
) -> NightOutput:
    """A night with a hypnodensity and a few gaps on either side."""
    labels = rng.integers(-1, 5, n_epochs)
    proba = rng.dirichlet(np.ones(5), n_epochs)
    proba[3:5] = np.nan
    return NightOutput(name, about.pop("person", name), labels, proba, **about)  # type: ignore[arg-type]


def test_what_is_written_is_read(tmp_path: Path, rng: np.random.Generator) -> None:
    written = [
        night(rng, "a", 30, person="p", dataset="D", channels="C4 E1"),
        replace(night(rng, "b", 50, person="p", dataset="D", channels="C4 E1"), simulated=True),
        night(rng, "a", 30, person="p", dataset="D", channels="C4"),
    ]
    read = read_outputs(write_outputs(tmp_path / "o.npz", written))
    assert [one.key for one in read] == [one.key for one in written]
    assert [one.owner for one in read] == ["D/p", "D/p", "D/p"]
    assert [one.simulated for one in read] == [False, True, False]
    for before, after in zip(written, read, strict=True):
        np.testing.assert_array_equal(before.labels, after.labels)
        np.testing.assert_array_equal(before.stages, after.stages)
        np.testing.assert_allclose(before.proba, after.proba, rtol=1e-6)  # type: ignore[arg-type]


def test_stages_alone_and_four_classes_are_kept(tmp_path: Path) -> None:
    labels, said = np.array([0, 1, 2, 3, -1]), np.array([0, 1, 1, -1, 3])
    given = NightOutput("a", "p", labels, stages=said, classes=FOUR_CLASSES)
    (read,) = read_outputs(write_outputs(tmp_path / "o.npz", [given]))
    assert read.proba is None
    assert read.classes == FOUR_CLASSES
    assert read.stages.tolist() == said.tolist()


def test_a_file_with_an_entry_an_epoch_is_read_too(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "o.npz",
        stages=[0, 1, 2, 2, 4, 0],
        labels=[0, 1, 2, 2, 4, 4],
        night=[1, 1, 2, 2, 1, 1],
        person=[7, 7, 8, 8, 7, 7],
        channels=["C4", "C4", "C4", "C4", "C3", "C3"],
    )
    read = read_outputs(tmp_path / "o.npz")
    assert [(one.night, one.person, one.channels) for one in read] == [
        ("1", "7", "C4"),
        ("2", "8", "C4"),
        ("1", "7", "C3"),
    ]
    assert read[2].labels.tolist() == [4, 4]


def test_rows_are_normalised_and_silence_is_no_stage() -> None:
    proba = np.array([[2.0, 2, 0, 0, 0], [np.nan] * 5, [0, 0, 0, 0, 3]])
    found = NightOutput("a", "p", np.array([0, 0, 4]), proba)
    np.testing.assert_allclose(found.proba[[0, 2]].sum(axis=1), 1)  # type: ignore[index]
    assert found.stages.tolist() == [0, -1, 4]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"night": np.array(list("aabbaa"))}, "stands twice"),
        ({"dataset": np.array(["D"] * 5)}, "6 labels of 6 entries, but {'dataset': 5}"),
        ({"stages": np.zeros(5, int)}, "6 labels, but {'stages': 5}"),
        ({"labels": np.array([0, 1, 2, 3, 4, 7])}, "outside -1..4"),
        ({"n_epochs": np.array([3, 2]), "night": list("ab"), "person": [1, 2]}, "sum to 5"),
        ({"proba": np.zeros((6, 5))}, "a row of proba is 0"),
        ({"proba": np.ones((6, 4))}, r"proba must be \(n, 5\)"),
        ({"classes": np.array(["a", "b"])}, "classes"),
    ],
)
def test_a_file_that_cannot_be_right_is_refused(
    tmp_path: Path, changes: dict, message: str
) -> None:
    content = {
        "stages": np.zeros(6, int),
        "labels": np.zeros(6, int),
        "night": np.array(list("aaabbb")),
        "person": np.array([1, 1, 1, 2, 2, 2]),
    }
    np.savez(tmp_path / "o.npz", **(content | changes))
    with pytest.raises(ValueError, match=message):
        read_outputs(tmp_path / "o.npz")


def test_a_missing_array_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "o.npz", labels=np.zeros(3, int), night=np.zeros(3), proba=np.ones((3, 5)))
    with pytest.raises(ValueError, match="wanted labels, night, person"):
        read_outputs(tmp_path / "o.npz")


def test_nights_that_do_not_go_together_are_not_written(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    one = night(rng)
    with pytest.raises(ValueError, match="stands twice"):
        write_outputs(tmp_path / "o.npz", [one, one])
    with pytest.raises(ValueError, match="with and without proba"):
        write_outputs(tmp_path / "o.npz", [one, replace(one, night="b", proba=None)])
    with pytest.raises(ValueError, match="no nights"):
        write_outputs(tmp_path / "o.npz", [])
    assert not list(tmp_path.iterdir())


def test_the_first_nights_keep_their_subsets(rng: np.random.Generator) -> None:
    nights = [night(rng, name, channels=c) for name in "cab" for c in ("C4", "C3")]
    kept = [(one.night, one.channels) for one in first_nights(nights, 2)]
    assert kept == [("a", "C4"), ("a", "C3"), ("b", "C4"), ("b", "C3")]
