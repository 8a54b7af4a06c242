"""The ceiling of scorers: transitions and leave-one-out consensus, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evaluation.ceiling import leave_one_out, scorer_ceiling, transitions


def test_transitions_worked_out_by_hand() -> None:
    truth = np.array([0, 0, 2, 2, -1, 2, 4])
    said = np.array([0, 2, 2, 3, 2, 2, 2])
    found = transitions(truth, said)
    # pairs: W>W wrong, W>N2 right, N2>N2 wrong, (after the gap: none), N2>R wrong
    assert found.n_epochs[0, 0] == found.n_epochs[0, 2] == 1
    assert found.n_epochs[2, 2] == found.n_epochs[2, 4] == 1
    assert found.n_epochs.sum() == 4
    assert found.n_right.sum() == found.n_right[0, 2] == 1
    assert found.confusion.sum() == 6
    facts = found.facts()
    assert facts["accuracy"] == pytest.approx(3 / 6)
    assert facts["accuracy_going_on"] == 0
    assert facts["accuracy_at_changes"] == 0.5
    assert facts["per_transition_accuracy"]["W>N2"] == 1
    assert math.isnan(facts["per_transition_accuracy"]["R>W"])
    assert facts["per_transition_epochs"]["N2>R"] == 1


def test_a_scorer_has_no_say_in_the_consensus_it_is_put_to() -> None:
    scorings = np.array([[0, 0, 2], [0, 2, 2], [0, 2, 4], [4, 2, 4]])
    others = leave_one_out(scorings)
    assert others[0].tolist() == [0, 2, 4]
    for scorer in range(4):
        changed = scorings.copy()
        changed[scorer] = 3
        np.testing.assert_array_equal(leave_one_out(changed)[scorer], others[scorer])


def test_scorers_who_agree_have_a_ceiling_of_one() -> None:
    night = np.tile(np.array([0, 1, 2, 3, 4, 4, 2]), (3, 1))
    found = scorer_ceiling([night, night])
    assert len(found) == 3
    assert (found[0].n_right == found[0].n_epochs).all()
    assert sum(found[1:], found[0]).facts()["accuracy"] == 1


def test_the_one_who_disagrees_is_found() -> None:
    night = np.array([[0, 2, 2, 4]] * 3 + [[0, 1, 1, 4]])
    accuracy = [one.facts()["accuracy"] for one in scorer_ceiling([night])]
    assert accuracy == [1, 1, 1, 0.5]


def test_too_few_or_other_scorers_are_refused() -> None:
    with pytest.raises(ValueError, match="three or more"):
        scorer_ceiling([np.zeros((2, 5), int)])
    with pytest.raises(ValueError, match="of 3 and of 4 scorers"):
        scorer_ceiling([np.zeros((3, 5), int), np.zeros((4, 5), int)])
    with pytest.raises(ValueError, match="no nights"):
        scorer_ceiling([])
