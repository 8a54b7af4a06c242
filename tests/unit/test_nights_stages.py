"""Stage codes: what is taken, what is refused, what merging gives."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from nights.stages import check_stages, names, to_four_classes


def test_codes_become_int8() -> None:
    for given in ([0, 4, -1], np.array([0.0, 4.0, -1.0]), np.array([0, 4, -1], np.int64)):
        checked = check_stages(np.asarray(given))
        assert checked.dtype == np.int8
        assert checked.tolist() == [0, 4, -1]


def test_nothing_is_a_hypnogram_of_no_epochs() -> None:
    assert check_stages(np.array([])).shape == (0,)
    assert names(np.array([])) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([5], r"\[5\] are outside -1..4"),
        ([-2, 9, 9], r"\[-2, 9\]"),
        (np.array([255], np.uint8), "255"),
        ([2**40], "outside"),
        ([np.inf], "inf"),
        ([1e300], "outside"),
        ([0.5], "whole numbers"),
        ([np.nan], "whole numbers"),
        (["N2"], "whole numbers"),
        ([True], "whole numbers"),
        ([[0, 1]], r"one-dimensional, found shape \(1, 2\)"),
    ],
)
def test_everything_else_is_refused_in_one_sentence(given: list, said: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=said):
            check_stages(np.asarray(given))


def test_four_classes_allow_codes_up_to_three() -> None:
    assert check_stages(np.array([3]), n_classes=4).tolist() == [3]
    with pytest.raises(ValueError, match=r"outside -1\.\.3"):
        check_stages(np.array([4]), n_classes=4)


def test_n1_and_n2_merge_and_unscored_stays_unscored() -> None:
    assert to_four_classes(np.array([0, 1, 2, 3, 4, -1])).tolist() == [0, 1, 1, 2, 3, -1]


def test_names_have_a_mark_for_unscored() -> None:
    assert names(np.array([0, 1, 2, 3, 4, -1])) == ["W", "N1", "N2", "N3", "R", "?"]
    assert names(np.array([1, -1]), ("W", "L", "D", "R"), "x") == ["L", "x"]
