"""What is said of a stager: every figure agrees with scikit-learn or a sum done by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk

from evaluation.judge import facts_of, judge, measured, night_rows
from evaluation.outputs import NightOutput
from evaluation.plain import plain
from evaluation.tables import stager_tables, statistic_words
from nights.stages import FOUR_CLASSES, to_four_classes


def outputs(rng: np.random.Generator, n: int = 8, channels: str = "C4 E1") -> list[NightOutput]:
    """Nights of two data sets, two a person, with a graded stager that is right on about 70 %."""
    found = []
    for number in range(n):
        labels = np.repeat(rng.integers(0, 5, 40), 6)
        proba = rng.dirichlet(np.ones(5), len(labels)) + 0.9 * np.eye(5)[labels]
        labels[:3] = -1
        dataset = "A" if number < n // 2 else "B"
        night, person = f"n{number}", f"p{number // 2}"
        found.append(NightOutput(night, person, labels, proba, dataset=dataset, channels=channels))
    return found


def test_pooled_figures_are_those_of_scikit_learn(rng: np.random.Generator) -> None:
    nights = outputs(rng)
    found = facts_of(judge("net", nights))["agreement"]
    labels = np.concatenate([night.labels for night in nights])
    said = np.concatenate([night.stages for night in nights])[labels >= 0]
    labels = labels[labels >= 0]
    pooled = found["pooled"]
    assert pooled["accuracy"] == pytest.approx(sk.accuracy_score(labels, said))
    assert pooled["kappa"] == pytest.approx(sk.cohen_kappa_score(labels, said))
    assert pooled["macro_f1"] == pytest.approx(sk.f1_score(labels, said, average="macro"))
    parts = sk.precision_recall_fscore_support(labels, said, labels=range(5))
    for name, values in zip(("precision", "recall", "f1", "epochs"), parts, strict=True):
        assert list(pooled[f"per_stage_{name}"].values()) == pytest.approx(values)
    np.testing.assert_array_equal(found["confusion"], sk.confusion_matrix(labels, said))
    four = found["merged"]["W L D R"]
    merged = to_four_classes(labels), to_four_classes(said)
    assert four["accuracy"] == pytest.approx(sk.accuracy_score(*merged))
    assert four["macro_f1"] == pytest.approx(sk.f1_score(*merged, average="macro"))
    for score, interval in found["intervals"].items():
        assert interval["low"] <= interval["value"] <= interval["high"], score


def test_data_sets_are_told_apart_and_add_up(rng: np.random.Generator) -> None:
    found = facts_of(judge("net", outputs(rng)))
    assert list(found["datasets"]) == ["A", "B"]
    parts = sum(of["confusion"] for of in found["datasets"].values())
    np.testing.assert_array_equal(parts, found["agreement"]["confusion"])
    assert (found["n_nights"], found["n_persons"]) == (8, 4)


def test_the_same_person_name_in_two_data_sets_is_two_persons(rng: np.random.Generator) -> None:
    nights = [replace(night, person="p") for night in outputs(rng)]
    assert facts_of(judge("net", nights))["n_persons"] == 2


def test_the_most_channels_are_the_stager_and_all_subsets_stand_side_by_side(
    rng: np.random.Generator,
) -> None:
    nights = [*outputs(rng, channels="C4"), *outputs(rng, channels="C4 E1 Chin")]
    judged = judge("net", nights)
    found = facts_of(judged)
    assert found["channels"] == "C4 E1 Chin"
    assert found["n_nights"] == 8
    assert {c: of["n_channels"] for c, of in found["channel_subsets"].items()} == {
        "C4": 1,
        "C4 E1 Chin": 3,
    }
    titles = [table.title for table in stager_tables({"net": found})]
    assert "By subset of channels" in titles


def test_statistics_are_compared_over_the_epochs_that_both_have() -> None:
    labels = np.array([0, 2, 2, 4, 2, -1])
    said = np.array([0, 2, 2, 2, -1, 4])
    night = NightOutput("n", "p", labels, stages=said)
    found = measured([night])
    # epochs 4 and 5 are silent on one side: sleep is three epochs on both
    assert (found["tst_min"].scoring[0], found["tst_min"].stager[0]) == (1.5, 1.5)
    assert found["rem_latency_min"].scoring[0] == 1.0
    assert np.isnan(found["rem_latency_min"].stager[0])
    facts = facts_of(judge("net", [night]))["statistics"]["rem_latency_min"]
    assert (facts["n"], facts["only_first"], facts["only_second"], facts["neither"]) == (0, 1, 0, 0)


def test_bias_and_its_interval_by_person(rng: np.random.Generator) -> None:
    nights = []
    for number in range(10):  # the stager takes two epochs of wake for sleep, always
        labels = np.repeat([0, 2, 0, 4], [10, 100, 6, 30])
        said = labels.copy()
        said[112:114] = 2
        nights.append(NightOutput(f"n{number}", f"p{number // 2}", labels, stages=said))
    found = facts_of(judge("net", nights))["statistics"]
    for name, bias in (("tst_min", 1.0), ("waso_min", -1.0), ("rem_latency_min", 0.0)):
        of = found[name]
        assert (of["bias"], of["low"], of["high"], of["absolute_error"]) == (
            *(bias, bias, bias),
            abs(bias),
        )
        assert (of["bias_interval"]["low"], of["bias_interval"]["high"]) == (bias, bias)


def test_labels_alone_have_no_calibration_and_four_classes_are_judged_as_they_are() -> None:
    labels = np.array([0, 1, 1, 2, 3, 3])
    night = NightOutput("n", "p", labels, stages=labels[::-1].copy(), classes=FOUR_CLASSES)
    found = facts_of(judge("net", [night]))
    assert found["calibration"] is None
    assert found["agreement"]["merged"] == {}
    assert "light_percent" in found["statistics"]
    assert list(found["agreement"]["pooled"]["per_stage_f1"]) == list(FOUR_CLASSES)
    assert all(table.rows for table in stager_tables({"net": found}))


def test_facts_and_rows_are_plain_json(rng: np.random.Generator) -> None:
    judged = judge("net", outputs(rng))
    text = json.dumps(
        plain({"facts": facts_of(judged), "rows": night_rows(judged)}), allow_nan=False
    )
    rows = json.loads(text)["rows"]
    assert [row["night"] for row in rows] == [f"n{number}" for number in range(8)]
    assert set(rows[0]) >= {"kappa", "f1_N1", "tst_min_scoring", "tst_min_stager", "person"}


def test_nothing_to_judge_is_refused() -> None:
    night = NightOutput("n", "p", np.full(3, -1), stages=np.zeros(3, int))
    with pytest.raises(ValueError, match="net: no epoch is both staged and scored"):
        judge("net", [night])


def test_statistics_are_named_as_people_write_them() -> None:
    assert statistic_words("tst_min") == "TST, min"
    assert statistic_words("n3_percent") == "N3, % of sleep"
    assert statistic_words("rem_latency_min") == "REM latency, min"
    assert statistic_words("awakenings") == "awakenings"
