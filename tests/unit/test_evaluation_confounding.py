"""What is confounded with a label is found, and what is not is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.confounding import cramers_v, find_confounds, warnings_of

CLASSES = ("healthy", "ill")


def labels(n: int = 60) -> np.ndarray:
    return np.arange(n) % 2


def test_a_site_that_is_the_label_warns_with_its_counts() -> None:
    site = np.where(labels() == 1, "north", "south")
    (found,) = find_confounds(labels(), {"site": site}, CLASSES)
    assert found.warns
    assert found.effect == pytest.approx(1, abs=0.02)
    assert "north 0 / 30" in warnings_of([found])[0]


def test_an_age_that_differs_warns_with_its_medians(rng: np.random.Generator) -> None:
    age = rng.normal(40 + 15 * labels(), 8).round()
    (found,) = find_confounds(labels(), {"age": age}, CLASSES)
    assert found.warns
    assert found.measure == "AUC"
    assert f"ill {np.median(age[labels() == 1]):g}" in found.text


def test_balanced_variables_seldom_warn() -> None:
    n_warnings = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        variables = {"site": rng.choice(["A", "B", "C"], 60), "age": rng.normal(40, 10, 60)}
        n_warnings += len(warnings_of(find_confounds(labels(), variables, CLASSES, seed=seed)))
    assert n_warnings <= 2


def test_what_is_the_same_for_all_or_not_known_is_passed_over() -> None:
    variables = {
        "site": np.full(60, "A"),
        "age": np.full(60, np.nan),
        "sex": np.full(60, ""),
    }
    assert find_confounds(labels(), variables, CLASSES) == []


def test_number_of_nights_warns_as_in_the_published_depression_set() -> None:
    """Eighty nights of twenty healthy people, one night of each ill one."""
    own = np.repeat([0, 1], [20, 24])
    nights = np.where(own == 0, 4.0, 1.0)
    (found,) = find_confounds(own, {"number of nights": nights}, CLASSES)
    assert found.warns
    assert found.effect == 1


def test_of_three_classes_the_worst_counts(rng: np.random.Generator) -> None:
    own = np.arange(90) % 3
    rate = np.where(own == 2, 512.0, 256.0)
    (found,) = find_confounds(own, {"sampling rate": rate}, ("a", "b", "c"))
    assert found.warns
    assert found.effect == 1


def test_cramers_v_is_that_of_a_table_worked_by_hand() -> None:
    # 8 2 / 1 9: phi^2 = 3.5^2 (1/4.5 + 1/5.5) 2 / 20 = 0.49495, less 1/19 for chance, over
    # (2 - 1/19) - 1
    first, second = np.repeat([0, 1], 10), np.repeat([0, 1, 0, 1], [8, 2, 1, 9])
    assert cramers_v(first, second) == pytest.approx(0.6833, abs=1e-4)


def test_cramers_v_of_nothing_is_about_nothing(rng: np.random.Generator) -> None:
    codes = rng.integers(0, 4, 2000)
    assert cramers_v(rng.integers(0, 2, 2000), codes) < 0.06
    assert cramers_v(codes, codes) == pytest.approx(1)
