"""Few labels: what an epoch is labelled with, which labels are left, how sequences are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.features import Features
from engine.probing_batches import FeatureSource
from engine.probing_labels import Target, limited
from engine.probing_results import judged, ranking_scores, table
from engine.probing_settings import Probing
from evaluation.outputs import NightOutput, read_outputs, write_outputs
from nights.events import Event
from nights.hypnogram import Hypnogram
from nights.night import Night
from nights.store import write_night


def night_with(root: Path, events: list[Event] | None, stages: list[int] | None = None) -> Night:
    """A night of eight epochs in N2, or of the given stages, with these events."""
    given = np.array(stages or [2] * 8, dtype=np.int8)
    signal = np.random.default_rng(0).normal(size=(len(given), 300)).astype(np.float32)
    arrays = {"sig": (("C4",), [signal])}
    view = {"name": "test", "hash": "0"}
    return Night.open(
        write_night(
            root, "SET", "n1", arrays, Hypnogram(given), view=view, person="p", events=events
        )
    )


@pytest.mark.parametrize(
    ("onset_s", "duration_s", "rule", "epochs"),
    [
        (50, 12, "half", [1]),  # 10 s before the border, 2 s behind it
        (50, 12, "any", [1, 2]),
        (50, 12, "upstream", []),  # round(50 / 30) = round(62 / 30): the event is lost
        (50, 20, "half", [1, 2]),  # 10 s on both sides
        (45, 20, "upstream", []),  # 1.5 rounds to the even 2, as 65 / 30 does
        (40, 20, "upstream", [1]),  # holds the middle of epoch 1
        (25, 65, "half", [1, 2]),  # only 5 s in epoch 0
        (25, 65, "any", [0, 1, 2]),
    ],
)
def test_seconds_of_overlap_decide_which_epochs_hold_an_apnea(
    tmp_path: Path, onset_s: float, duration_s: float, rule: str, epochs: list[int]
) -> None:
    night = night_with(tmp_path, [Event(onset_s, duration_s, "central_apnea")])
    labels = Target.of("apnea", rule=rule).labels(night)  # type: ignore[arg-type]
    assert np.flatnonzero(labels).tolist() == epochs


def test_every_kind_of_apnea_counts_and_no_hypopnea_does(tmp_path: Path) -> None:
    kinds = ["obstructive_apnea", "central_apnea", "mixed_apnea", "apnea", "hypopnea", "arousal"]
    night = night_with(tmp_path, [Event(30 * i + 5, 15, kind) for i, kind in enumerate(kinds)])
    assert Target.of("apnea").labels(night).tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    assert Target.of("hypopnea").labels(night).tolist() == [0, 0, 0, 0, 1, 0, 0, 0]


def test_epochs_that_nobody_scored_have_no_label(tmp_path: Path) -> None:
    night = night_with(tmp_path, [Event(0, 30, "hypopnea")], [-1, 2, 3, 4, 0, 1, 2, -1])
    assert Target.of("hypopnea").labels(night).tolist() == [-1, 0, 0, 0, 0, 0, 0, -1]
    assert Target.of("staging", 4).labels(night).tolist() == [-1, 1, 2, 3, 0, 1, 1, -1]


def test_a_night_in_which_nobody_looked_for_events_is_left_out(tmp_path: Path) -> None:
    night = night_with(tmp_path, None)
    assert Target.of("apnea").labels(night) is None
    assert Target.of("staging").labels(night) is not None


def cohort(n: int = 10, n_epochs: int = 50) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Labels of nights with all stages, two nights a person, the last epoch unscored."""
    rng = np.random.default_rng(0)
    labels = {f"n{i}": rng.integers(0, 5, n_epochs).astype(np.int8) for i in range(n)}
    for own in labels.values():
        own[-1] = -1
    return labels, {f"n{i}": f"p{i // 2}" for i in range(n)}


@pytest.mark.parametrize("by", ["person", "epoch"])
@pytest.mark.parametrize("fraction", [0.01, 0.05, 0.1, 0.5, 1.0])
def test_a_fraction_leaves_that_many_labels_unchanged(by: str, fraction: float) -> None:
    labels, persons = cohort()
    kept = limited(labels, persons, fraction, by=by, seed=3)  # type: ignore[arg-type]
    assert sum((own >= 0).sum() for own in kept.values()) == round(fraction * 490)
    for name, own in kept.items():
        known = own >= 0
        assert known.any()
        assert (own[known] == labels[name][known]).all()


@pytest.mark.parametrize("by", ["person", "epoch"])
def test_labels_of_a_smaller_fraction_are_among_those_of_a_larger(by: str) -> None:
    labels, persons = cohort()
    few, more = (limited(labels, persons, f, by=by, seed=1) for f in (0.05, 0.4))  # type: ignore[arg-type]
    assert all((more[name][own >= 0] == own[own >= 0]).all() for name, own in few.items())


def test_few_labels_come_from_few_persons_and_hold_every_class() -> None:
    labels, persons = cohort()
    kept = limited(labels, persons, 0.02, seed=0)  # ten epochs
    assert len({persons[name] for name in kept}) == 1
    assert {int(c) for own in kept.values() for c in own if c >= 0} == set(range(5))


def features(root: Path, lengths: dict[str, int]) -> Features:
    """Embeddings that hold the number of the epoch."""
    nights = {}
    for name, n_epochs in lengths.items():
        rows = np.repeat(np.arange(1, n_epochs + 1, dtype=np.float16)[:, None], 3, axis=1)
        np.save(root / f"{name}.npy", rows)
        nights[name] = {"file": f"{name}.npy", "person": name, "n_epochs": n_epochs}
    return Features(root, {"dim": 3, "nights": nights})


def test_sequences_hold_the_epochs_their_labels_belong_to(tmp_path: Path) -> None:
    labels = {"a": np.arange(25, dtype=np.int8) % 5, "b": np.full(7, 1, np.int8)}
    source = FeatureSource(features(tmp_path, {"a": 25, "b": 7}), labels, 10, 2)
    places = []
    for batch in source.draw(torch.Generator().manual_seed(0)):
        for row, name in enumerate(batch.nights):
            known = batch.labels[row] >= 0
            epoch = batch.features[row, :, 0].long() - 1
            assert (batch.labels[row][known] == torch.tensor(labels[name])[epoch[known]]).all()
            assert (epoch[~known] == -1).all()  # zeros behind a short night
            places.append((name, int(epoch[0])))
    assert len(set(places)) == len(places) == 4  # a: 0 5 10 15, b: 0; a batch is full
    assert len(source) == 2


def test_sequences_without_a_label_are_not_drawn(tmp_path: Path) -> None:
    labels = {"a": np.full(40, -1, np.int8)}
    labels["a"][3] = 2
    source = FeatureSource(features(tmp_path, {"a": 40}), labels, 10, 8)
    (batch,) = source.draw(torch.Generator().manual_seed(0))
    assert batch.labels.max(dim=1).values.tolist() == [2]


def binary(name: str, labels: list[int], proba: list[float]) -> NightOutput:
    """A night of epochs with a probability of an apnea."""
    rows = np.stack([1 - np.array(proba), proba], axis=1)
    classes = ("no apnea", "apnea")
    return NightOutput(name, name, np.array(labels), rows, classes=classes, simulated=True)


def test_figures_of_rare_events_stand_beside_accuracy(tmp_path: Path) -> None:
    folds = [
        [binary("a", [0, 0, 0, 1], [0.1, 0.2, 0.6, 0.9])],
        [binary("b", [0, 0, 0, 1], [0.1, 0.2, 0.3, 0.4])],
    ]
    found = judged(folds, seed=0)
    scores = found["scores"]
    assert scores["accuracy"] == scores["majority_accuracy"] == 0.75
    assert scores["sensitivity"] == 0.5
    assert scores["specificity"] == pytest.approx(5 / 6)
    assert scores["balanced_accuracy"] == pytest.approx((0.5 + 5 / 6) / 2)
    assert scores["auprc"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)  # by hand: ranks 1 and 3
    assert found["confusion"] == [[5, 1], [1, 1]]
    assert found["over_folds"]["accuracy"]["mean"] == 0.75
    path = write_outputs(tmp_path / "test.npz", [night for fold in folds for night in fold])
    assert read_outputs(path)[1].classes == ("no apnea", "apnea")
    shown = table({"task": "apnea", "mode": "probe", "context": 1,
                   "fractions": {"1": found | {"n_labelled": 4}}})  # fmt: skip
    assert "majority" in shown
    assert "Simulated nights" in shown


def test_a_class_that_never_occurs_has_no_area() -> None:
    told = ranking_scores(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 0]))
    assert np.isnan(told["auprc"])


def test_settings_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="scratch goes with --mode whole"):
        Probing(nights=(tmp_path,), init="run", scratch=True)
    with pytest.raises(ValueError, match="up to 1, found 5"):
        Probing(nights=(tmp_path,), init="run", fractions=(5.0,))
    with pytest.raises(ValueError, match="--init RUN"):
        Probing(nights=(tmp_path,))


def test_embedded_epochs_are_drawn_by_stage(tmp_path: Path) -> None:
    from evaluation.plots.embedding import embedding_figure, projected
    from evaluation.plots.style import save_figure

    rng = np.random.default_rng(0)
    stages = np.repeat(np.arange(5), 20)
    rows = rng.normal(size=(100, 8)) + 5 * stages[:, None]
    rows[7] = 0  # nothing recorded
    points, kept = projected(rows, "pca", rng=rng)
    assert points.shape == (99, 2)
    assert 7 not in kept
    assert abs(np.corrcoef(points[:, 0], stages[kept])[0, 1]) > 0.9
    figure = embedding_figure(points, stages[kept], title="t", method="pca")
    assert len(figure.axes[0].collections) == 5
    save_figure(figure, tmp_path / "a.png")
