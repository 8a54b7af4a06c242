"""The protocol of diagnosis: persons on one side, nothing chosen on those tested."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.diagnosis.cases import Case, check_cases, sleep_span, variables
from engine.diagnosis.hypnogram_networks import HypnogramNetwork, NightRecipe
from engine.diagnosis.protocol import (
    cohort_scheme,
    load_fold,
    random_schemes,
    run_fold,
    verdicts_of,
)
from engine.diagnosis.tabular import Tabular, length, person, statistics
from engine.optim import Plan
from evaluation.confounding import find_confounds, warnings_of
from evaluation.diagnosis import auc, judge_verdicts
from nights.splits import verify
from tests.makers.diagnosis_cases import judged, simulated, two_sites


@dataclass
class Watched:
    """An encoder that notes whom it was fitted with and asked about."""

    name: str = "watched"
    candidates: Sequence[dict[str, float]] = ({"shift": 0.0}, {"shift": 0.4})
    fitted: list[set[str]] = field(default_factory=list)
    asked: list[set[str]] = field(default_factory=list)
    shift: float = 0.0

    def fit(self, train: Sequence[Case], val: Sequence[Case], folder: Path, **how: Any) -> Watched:
        self.fitted.append({case.person for case in (*train, *val)})
        return replace(self, shift=how["shift"])

    def load(self, folder: Path) -> Watched:
        return self

    def proba(self, cases: Sequence[Case]) -> np.ndarray:
        self.asked.append({case.person for case in cases})
        own = np.array([0.3 + self.shift * case.label for case in cases])
        return np.stack([1 - own, own], axis=1)


def test_test_persons_are_asked_once_and_by_the_choice_of_validation(tmp_path: Path) -> None:
    cases, encoder = simulated(n_persons=20), Watched()
    (scheme,) = random_schemes(cases, 4, n_repeats=1, val_share=0.25, seed=0)
    person_of = {case.night: case.person for case in cases}
    fold = scheme.split.folds[0]
    tested = {person_of[night] for night in fold["test"]}
    result = run_fold(encoder, cases, fold, tmp_path, seed=0, resume=False)
    assert all(not tested & people for people in encoder.fitted)
    assert sum(bool(tested & people) for people in encoder.asked) == 1
    assert result.choice == {"shift": 0.4}  # the one that tells validation persons apart
    assert result.threshold == pytest.approx(0.5)
    assert set(result.proba) == set(fold["test"])


def test_every_person_is_tested_once_a_repeat_and_classes_are_divided_alike() -> None:
    cases = two_sites(simulated(n_persons=40), share=0.5)
    for scheme in random_schemes(cases, 5, n_repeats=2, val_share=0.25, seed=3):
        verify(scheme.split, {case.night: case.person for case in cases})
        by_night = {case.night: case for case in cases}
        tested = [night for fold in scheme.split.folds for night in fold["test"]]
        assert sorted(tested) == sorted(by_night)
        for fold in scheme.split.folds:
            ill = [by_night[night].label for night in fold["test"]]
            assert abs(np.mean(ill) - 0.5) <= 1 / len(ill) + 1e-9


def test_repeats_divide_otherwise() -> None:
    first, second = random_schemes(simulated(), 3, n_repeats=2, val_share=0.25, seed=0)
    assert first.split.folds[0]["test"] != second.split.folds[0]["test"]


def test_each_cohort_is_left_out_unless_a_class_goes_with_it() -> None:
    cases = two_sites(simulated(n_persons=24), share=0.5)
    scheme, notes = cohort_scheme(cases, val_share=0.25, seed=0)
    assert scheme is not None
    (fold,) = scheme.split.folds
    cohort = {case.night: case.cohort for case in cases}
    assert {cohort[night] for night in fold["test"]} == {"south"}
    assert {cohort[night] for part in ("train", "val") for night in fold[part]} == {"north"}
    assert "cohort north cannot be left out" in notes[0]  # all ill people are there


def test_a_person_of_two_cohorts_never_trains_for_either() -> None:
    cases = two_sites(simulated(n_persons=24), share=0.5)
    moved = next(case for case in cases if case.cohort == "south")
    cases.append(replace(moved, night="again", cohort="north"))
    scheme, _ = cohort_scheme(cases, val_share=0.25, seed=0)
    assert scheme is not None
    groups = {case.night: case.person for case in cases}
    verify(scheme.split, groups)
    (fold,) = scheme.split.folds
    assert moved.person not in {groups[n] for part in ("train", "val") for n in fold[part]}


def test_one_cohort_cannot_be_left_out() -> None:
    assert cohort_scheme(simulated(), val_share=0.25, seed=0) == (None, [])


def test_a_planted_site_is_told_before_any_figure() -> None:
    cases = two_sites(simulated("nothing", 40), share=0.0)
    labels, found = variables(cases)
    told = warnings_of(find_confounds(labels, found, ("one", "other")))
    assert len(told) == 1
    assert "the label goes with site" in told[0]
    labels, found = variables(two_sites(simulated("nothing", 40), share=1.0))
    assert not warnings_of(find_confounds(labels, found, ("one", "other")))


def test_a_planted_number_of_nights_is_told() -> None:
    cases = simulated("nothing", 30)
    again = [replace(case, night=f"{case.night} again") for case in cases if case.label]
    labels, found = variables([*cases, *again])
    (told,) = warnings_of(find_confounds(labels, found, ("one", "other")))
    assert "number of nights" in told


def test_a_known_effect_is_recovered(tmp_path: Path) -> None:
    encoder = Tabular("statistics-logistic", statistics, "logistic")
    for disorder in ("narcolepsy", "insomnia"):
        cases = simulated(disorder, 40)
        found, _ = judged(encoder, cases, tmp_path / disorder)
        area = judge_verdicts(found)["auc"]
        assert area.value > 0.9
        assert area.low > 0.75


def few_numbers(case: Case) -> np.ndarray:
    """Shares of the stages, changes of stage, age."""
    shares = [np.mean(case.stages == stage) for stage in range(5)]
    return np.array([*shares, np.mean(np.diff(case.stages) != 0), case.known["age"]])


def covers_chance(seed: int, folder: Path, n_folds: int) -> bool:
    """Tell whether the interval of a worthless encoder holds one half."""
    cases = simulated("nothing", 40, seed=1000 + seed)
    encoder = Tabular("few", few_numbers, "logistic")
    found, _ = judged(encoder, cases, folder / str(seed), n_folds=n_folds, seed=seed)
    area = judge_verdicts(found, seed=seed)["auc"]
    return area.low <= 0.5 <= area.high


def test_no_effect_is_not_found(tmp_path: Path) -> None:
    assert sum(covers_chance(seed, tmp_path, 3) for seed in range(4)) >= 3


@pytest.mark.slow
def test_no_effect_is_not_found_in_ninety_of_a_hundred_seeds(tmp_path: Path) -> None:
    assert sum(covers_chance(seed, tmp_path, 5) for seed in range(100)) >= 90


@pytest.mark.slow
def test_networks_find_no_effect_either(tmp_path: Path) -> None:
    plan = Plan(8, lr=1e-3, patience=4)
    recipe = NightRecipe(init="sleepgpt-open", mode="frozen", plan=plan)
    n_covered = 0
    for seed in range(6):
        cases = simulated("nothing", 40, seed=seed)
        encoder = HypnogramNetwork("htn", 2, recipe)
        found, _ = judged(encoder, cases, tmp_path / str(seed), seed=seed)
        area = judge_verdicts(found)["auc"]
        n_covered += area.low <= 0.5 <= area.high
    assert n_covered >= 5


@pytest.mark.slow
def test_networks_find_the_simulated_effects(tmp_path: Path) -> None:
    plan = Plan(30, lr=1e-3, patience=10)
    recipe = NightRecipe(init="sleepgpt-open", mode="frozen", plan=plan)
    for disorder in ("narcolepsy", "insomnia"):
        cases = simulated(disorder, 80)
        found, _ = judged(HypnogramNetwork("htn", 2, recipe), cases, tmp_path / disorder)
        assert judge_verdicts(found)["auc"].low > 0.6


@pytest.mark.parametrize("kind", ["logistic", "trees"])
def test_what_nobody_knows_tells_nothing(tmp_path: Path, kind: str) -> None:
    cases = [replace(case, known={}) for case in simulated(n_persons=20)]
    found, _ = judged(Tabular("person", person, kind), cases, tmp_path)
    assert auc(found) == 0.5


def test_a_leak_would_be_found(tmp_path: Path) -> None:
    """The same nights with an encoder that knows the people it is tested on."""
    cases = simulated("nothing", 40)
    label_of = {case.night: case.label for case in cases}

    def row(case: Case) -> np.ndarray:
        noise = np.random.default_rng(len(case.night) + int(case.night[-6:-2])).normal()
        return np.array([noise + 1.5 * label_of[case.night]])

    found, _ = judged(Tabular("leaky", row, "logistic"), cases, tmp_path)
    assert judge_verdicts(found)["auc"].low > 0.5


def test_a_finished_fold_is_taken_as_it_is(tmp_path: Path) -> None:
    cases = simulated(n_persons=16)
    (scheme,) = random_schemes(cases, 2, n_repeats=1, val_share=0.25, seed=0)
    encoder = Tabular("length", length, "logistic")
    fold = scheme.split.folds[0]
    first = run_fold(encoder, cases, fold, tmp_path, seed=0, resume=False)
    kept = json.loads((tmp_path / "fold.json").read_text())
    kept["threshold"] = 0.123
    (tmp_path / "fold.json").write_text(json.dumps(kept))
    again = run_fold(encoder, cases, fold, tmp_path, seed=0, resume=True)
    assert again.threshold == 0.123
    assert again.proba == first.proba


def test_a_loaded_fold_says_the_same(tmp_path: Path) -> None:
    cases = simulated(n_persons=16)
    (scheme,) = random_schemes(cases, 2, n_repeats=1, val_share=0.25, seed=0)
    for kind in ("logistic", "trees"):
        encoder = Tabular(f"statistics-{kind}", statistics, kind)
        fold, folder = scheme.split.folds[0], tmp_path / kind
        result = run_fold(encoder, cases, fold, folder, seed=0, resume=False)
        fitted, threshold = load_fold(encoder, folder)
        tested = [case for case in cases if case.night in result.proba]
        said = fitted.proba(tested)
        np.testing.assert_allclose(said, [result.proba[case.night] for case in tested])
        assert threshold == result.threshold


def test_nights_of_a_person_are_judged_as_one(tmp_path: Path) -> None:
    cases = simulated(n_persons=16)
    more = [replace(case, night=f"{case.night} again") for case in cases]
    found, scheme = judged(Tabular("s", statistics, "logistic"), [*cases, *more], tmp_path)
    assert len(found.persons) == 16
    assert auc(found) == auc(verdicts_of([*cases, *more], [scheme], _results(tmp_path)))


def _results(folder: Path) -> dict:
    """Read the folds back."""
    from engine.diagnosis.protocol import FoldResult

    paths = sorted(folder.glob("fold*/fold.json"))
    return {(0, n): FoldResult(**json.loads(path.read_text())) for n, path in enumerate(paths)}


def test_a_day_of_wake_does_not_lengthen_a_night() -> None:
    night = np.repeat([0, 2, 0], [1500, 700, 600]).astype(np.int8)
    span = sleep_span(night)
    assert (span.start, span.stop) == (1440, 2260)
    assert sleep_span(np.zeros(50, np.int8)) == slice(0, 50)


def test_cases_that_cannot_be_judged_are_refused() -> None:
    cases = simulated(n_persons=8)
    with pytest.raises(ValueError, match="class 'ill' has 1 persons"):
        check_cases([c for c in cases if not c.label] + [cases[1]], ("well", "ill"))
    torn = [replace(cases[0], night="other", label=1), *cases]
    with pytest.raises(ValueError, match="has nights of several classes"):
        check_cases(torn, ("well", "ill"))
    with pytest.raises(ValueError, match="stands twice"):
        check_cases([*cases, cases[0]], ("well", "ill"))
