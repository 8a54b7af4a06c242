"""Trials of correction: persons apart by code, honest abstention, the file anyone can bring."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import main_evaluate
from engine.denoising import JudgedNight
from evaluation.metrics import compare
from evaluation.paired import paired_gain
from recordings.simulate.stages import draw_stages
from staging import trial
from staging.noise import ArtificialStager, hard_log_probs
from staging.outputs import raw_stages, read_judged, together
from staging.ways import ABSTAINS, Corrected, choose, load_apart, uncorrected, ways


def nights(rng: np.random.Generator, n: int = 6, n_epochs: int = 120) -> list[JudgedNight]:
    """Nights of `n / 2` people, two each, as a stager gives them."""
    stager, found = ArtificialStager.draw(rng), []
    for number in range(n):
        stages = draw_stages(rng, n_epochs, age=40).astype(np.int8)
        said = stager.stage(stages, rng)[:, None]
        found.append(JudgedNight(f"night{number}", f"person{number // 2}", said, stages))
    return found


def write(path: Path, **changes: np.ndarray) -> Path:
    """Write a small file of outputs."""
    content = {
        "stages": np.array([0, 1, 2, 2, 4, -1]),
        "labels": np.array([0, 0, 2, 2, 4, 4]),
        "night": np.array(["a", "a", "a", "b", "b", "b"]),
        "person": np.array([1, 1, 1, 2, 2, 2]),
    }
    np.savez(path, **(content | changes))
    return path


def test_a_file_of_labels_becomes_nights(tmp_path: Path) -> None:
    first, second = read_judged(write(tmp_path / "o.npz"))
    assert (first.night, first.person) == ("a", "1")
    assert raw_stages(first).tolist() == [0, 1, 2]
    assert raw_stages(second).tolist() == [2, 4, -1]
    assert second.stages.tolist() == [2, 4, 4]


def test_a_file_of_probabilities_keeps_them(tmp_path: Path, rng: np.random.Generator) -> None:
    proba = rng.dirichlet(np.ones(5), 6)
    first, second = read_judged(write(tmp_path / "o.npz", proba=proba))
    assert np.allclose(np.exp(np.concatenate([first.evidence, second.evidence])[:, 0]), proba)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"night": np.array(list("aabbaa"))}, "must stand together"),
        ({"person": np.arange(5)}, "6 labels"),
        ({"labels": np.array([0, 1, 2, 3, 4, 7])}, "outside -1..4"),
    ],
)
def test_a_file_that_cannot_be_right_is_refused(
    tmp_path: Path, changes: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_judged(write(tmp_path / "o.npz", **changes))


def test_several_stagers_are_laid_on_the_same_nights(tmp_path: Path) -> None:
    one = read_judged(write(tmp_path / "a.npz"))
    two = read_judged(write(tmp_path / "b.npz", stages=np.array([4, 4, 4, 1, 1, 1])))
    both = together([one, two])
    assert raw_stages(both[1], 1).tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match="different nights"):
        together([one, two[:1]])


def test_no_person_is_on_both_sides(rng: np.random.Generator, tmp_path: Path) -> None:
    met: list[tuple[set[str], set[str]]] = []

    def way(others: list[JudgedNight], tested: list[JudgedNight], folder: Path) -> Corrected:
        met.append(({n.person for n in others}, {n.person for n in tested}))
        return uncorrected(others, tested, folder)

    given = nights(rng, 10)
    found = trial.run(way, given, tmp_path, n_folds=3)
    assert len(met) == 3
    assert all(not others & tested for others, tested in met)
    assert set().union(*(tested for _, tested in met)) == {n.person for n in given}
    for night, stages in zip(given, found.stages, strict=True):
        assert np.array_equal(stages, raw_stages(night))


def test_what_gains_nothing_abstains_and_what_gains_is_chosen(rng: np.random.Generator) -> None:
    given = nights(rng)
    truths = [night.stages for night in given]
    same = [raw_stages(night) for night in given]
    assert choose(given, {"same": same}) == ABSTAINS
    assert choose(given, {"same": same, "truth": truths}) == "truth"


def test_a_gain_paid_with_macro_f1_is_no_gain() -> None:
    truth = np.array([0] * 90 + [1] * 10, dtype=np.int8)
    said = truth.copy()
    said[:20] = 1  # N1 is found, and claimed too often
    night = JudgedNight("n", "p", hard_log_probs(said)[:, None], truth)
    all_wake = np.zeros_like(truth)
    assert (all_wake == truth).mean() > (said == truth).mean()
    assert choose([night], {"all wake": [all_wake]}) == ABSTAINS


def test_weights_that_know_the_people_are_refused(rng: np.random.Generator) -> None:
    (one, *_) = nights(rng)
    known = JudgedNight("n", "sleepedf/SC420", one.evidence, one.stages)
    with pytest.raises(ValueError, match="trained with 1 of these people"):
        load_apart("denoiser-open", [known])
    load_apart("denoiser-open", [JudgedNight("n", "sleepedf/SC400", one.evidence, one.stages)])


def test_a_paired_gain_is_the_difference_and_its_interval_holds_it(
    rng: np.random.Generator,
) -> None:
    given = nights(rng, 12)
    truths, persons = [n.stages for n in given], [n.person for n in given]
    raw = compare(truths, [raw_stages(n) for n in given])
    perfect = compare(truths, truths)
    gain = paired_gain(raw, perfect, "accuracy", persons=persons, rng=rng)
    assert gain.value == pytest.approx(1 - raw.pooled["accuracy"])
    assert gain.low <= gain.value <= gain.high
    nothing = paired_gain(raw, raw, "kappa", persons=persons, rng=rng)
    assert (nothing.value, nothing.low, nothing.high) == (0, 0, 0)


def test_the_command_writes_a_table_and_results(
    rng: np.random.Generator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = nights(rng)
    columns = {
        "proba": np.concatenate([np.exp(n.evidence[:, 0]) for n in given]),
        "labels": np.concatenate([n.stages for n in given]),
        "night": np.repeat([n.night for n in given], 120),
        "person": np.repeat([n.person for n in given], 120),
    }
    np.savez(tmp_path / "o.npz", **columns)
    arguments = ["correction", "--outputs", str(tmp_path / "o.npz"), "--out", str(tmp_path / "r")]
    ways = ["--ways", "viterbi", "posterior", "generic", "fitted", "--dry-run"]
    assert main_evaluate.main([*arguments, *ways]) == 0
    rows = json.loads((tmp_path / "r" / "results.json").read_text())
    assert list(rows) == ["none", "viterbi", "posterior", "generic", "fitted"]
    assert rows["none"]["gain"]["accuracy"]["value"] == 0
    assert set(rows["fitted"]["per_stage_f1"]) == {"W", "N1", "N2", "N3", "R"}
    assert "macro F1" in capsys.readouterr().out


def test_an_unknown_command_tells_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main_evaluate.main(["nonsense"]) == 2
    assert "correction" in capsys.readouterr().err
    assert main_evaluate.main(["--help"]) == 0


def test_no_correction_is_a_way_that_may_be_named() -> None:
    assert list(ways(("none",))) == ["none"]
