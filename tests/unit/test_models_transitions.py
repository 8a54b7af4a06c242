"""Transition tables: counts by hand, longest context there is, probabilities that sum to one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import models
from models.transitions import BIN_EDGES, Duration, DurationConfig, Markov, MarkovConfig

NIGHT = np.array([0, 0, 1, 2, 2, 2, 0])


def test_a_first_order_table_is_the_smoothed_counts() -> None:
    table = Markov(MarkovConfig(order=1, strength=2.0)).fit([NIGHT])
    shares = (np.array([2, 1, 3, 0, 0]) + 2 / 5) / (6 + 2)  # what came after the first epoch
    wanted = (np.array([1, 1, 0, 0, 0]) + 2 * shares) / (2 + 2)  # after 0: once 0, once 1
    found = table.next_log_probs(torch.tensor([[3, 0]])).exp()[0]
    assert found.numpy() == pytest.approx(wanted, abs=1e-6)


def test_a_context_never_seen_falls_back_on_the_shorter_one() -> None:
    table = Markov(MarkovConfig(order=2)).fit([NIGHT])
    unseen, shorter = table.next_log_probs(torch.tensor([[4, 2], [4, 4]])), table.tables
    assert torch.allclose(unseen[0], shorter[1][2])
    assert torch.allclose(unseen[1], shorter[0][0])


def test_counts_never_run_from_one_sequence_into_the_next() -> None:
    apart = Markov(MarkovConfig(order=1)).fit([np.array([0, 0]), np.array([3, 3])])
    after_wake, shares = apart.tables[1][0].exp(), apart.tables[0][0].exp()
    assert after_wake[3].item() == pytest.approx(20 / 21 * shares[3].item())


def test_a_sequence_shorter_than_the_order_counts_for_the_shorter_contexts() -> None:
    table = Markov(MarkovConfig(order=5)).fit([np.array([0, 3])])
    assert table.contexts(np.array([0, 3]))[:, :3].tolist() == [[0, 0, -1], [0, 3, 3 + 5 * 0]]
    assert table.next_log_probs(torch.tensor([[0]])).argmax() == 3


def test_duration_knows_the_time_in_the_stage_and_the_stage_before() -> None:
    table = Duration(DurationConfig())
    # stage, time bin and stage before: 2 for the third epoch, after 1
    contexts = table.contexts(NIGHT)
    n_bins = len(BIN_EDGES)
    assert contexts[5].tolist() == [0, 2, 2 + 5 * 2, 2 + 5 * 2 + 5 * n_bins * 1]
    assert contexts[1].tolist() == [0, 0, 5, 5 + 5 * n_bins * 5]  # nothing before
    assert table.contexts(np.zeros(500, dtype=int))[-1, 2] == 5 * (n_bins - 1)


@pytest.mark.parametrize("name", ["markov", "duration"])
def test_tables_are_probabilities_and_read_the_same_along_a_night(name: str) -> None:
    stages = np.random.default_rng(0).integers(0, 5, 80)
    table = models.create(name).fit([stages])
    for level in table.tables:
        assert torch.allclose(level.exp().sum(dim=1), torch.ones(len(level)), atol=1e-5)
    along = table.running_log_probs(stages)
    ends = [table.next_log_probs(torch.from_numpy(stages[None, : i + 1]))[0] for i in range(80)]
    assert torch.allclose(along, torch.stack(ends))
