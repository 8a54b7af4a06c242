"""The comparison of the parity tests must find what is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from tests.parity.recipes import draw, fill, input_names, inputs
from tests.parity.test_parity import difference, differences, runner_for

RULE = {"tol": 1e-4, "scale": "max(1,ref)"}
REFERENCE = np.array([1.0, -20.0, 3.0])


def test_the_scale_is_the_largest_reference_or_one() -> None:
    assert not difference("y", REFERENCE, REFERENCE + 1.9e-3, RULE)
    assert difference("y", REFERENCE, REFERENCE + 2.1e-3, RULE)
    assert difference("y", REFERENCE, REFERENCE + 1.9e-3, RULE | {"scale": "absolute"})
    assert difference("y", REFERENCE / 1e6, REFERENCE / 1e6 + 1e-7, RULE | {"scale": "ref"})


def test_a_pattern_overrides_the_tolerance_and_keeps_the_scale() -> None:
    loose = RULE | {"per_output": {"pre_*": {"tol": 1e-2}}}
    assert not difference("pre_C3", REFERENCE, REFERENCE + 0.19, loose)
    assert difference("post_C3", REFERENCE, REFERENCE + 0.19, loose)


@pytest.mark.parametrize("wrong", [REFERENCE[:2], REFERENCE * np.nan])
def test_another_shape_and_nan_are_differences(wrong: np.ndarray) -> None:
    assert difference("y", REFERENCE, wrong, RULE)


def test_one_wrong_integer_is_a_difference() -> None:
    assert difference("stages", np.array([0, 1, 2]), np.array([0, 1, 3]), RULE)


def test_an_output_that_is_not_computed_is_a_difference_unless_skipped() -> None:
    meta = {"inputs": {"x": {"how": "in the npz"}}, "compare": RULE}
    arrays = {"x": REFERENCE, "y": REFERENCE, "z_1": REFERENCE}
    assert differences(meta, arrays, {"y": REFERENCE}) == ["z_1: not computed"]
    meta["compare"] = RULE | {"skip": {"z_*": "no target"}}
    assert not differences(meta, arrays, {"y": REFERENCE})


def test_an_unknown_fixture_fails() -> None:
    with pytest.raises(pytest.fail.Exception, match="0 runners"):
        runner_for({"model": "a network nobody wrote"}, "unknown")


def test_numbered_inputs_and_seeded_outputs_are_told_apart() -> None:
    told = {"probs_i": "in the npz: (n, 5)", "pre": {"seed": 1, "how": "output = filtered"}}
    arrays = {name: REFERENCE for name in ("probs_0", "probs_12", "pre", "logits")}
    assert input_names({"inputs": told}, arrays) == {"probs_0", "probs_12"}


def test_inputs_are_changed_as_the_recipe_says() -> None:
    how = "x = inputs(seed, shape); then x[:, 1] *= 8.0 (clamp); then x[mask] = 0.0 (padding)"
    mask = np.array([[True, False, False], [False, False, False]])
    drawn = draw({"inputs": {"x": {"seed": 3, "shape": [2, 3], "how": how}}}, "x", {"mask": mask})
    plain = inputs(3, (2, 3))
    assert drawn[0, 0] == 0
    assert drawn[1, 0] == plain[1, 0]
    assert np.array_equal(drawn[:, 1], 8 * plain[:, 1])


def test_fill_depends_on_the_name_and_the_role() -> None:
    assert fill("a.running_var", (50,)).min() >= 0.5
    assert abs(fill("a.weight", (50,)).mean() - 1) < 0.1
    assert not np.array_equal(fill("a.weight", (4, 4)), fill("b.weight", (4, 4)))
