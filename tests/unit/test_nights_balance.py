"""Balance over data sets: shares as asked, nothing repeated before it must be."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nights.balance import drawn_order, quotas

LABELS = ["BIG"] * 90 + ["SMALL"] * 10


def order(n: int, balance: float, seed: int = 0) -> list[int]:
    """Draw `n` windows."""
    generator = torch.Generator().manual_seed(seed)
    return drawn_order(LABELS, n, generator, balance=balance).tolist()


def test_without_balance_every_window_comes_once() -> None:
    assert sorted(order(100, 0)) == list(range(100))


def test_full_balance_gives_every_data_set_the_same_number() -> None:
    counts = Counter(LABELS[i] for i in order(100, 1))
    assert counts == {"BIG": 50, "SMALL": 50}


def test_half_a_balance_goes_by_the_square_root() -> None:
    assert quotas([90, 10], 100, 0.5) == [75, 25]


def test_windows_repeat_evenly_and_only_when_all_were_taken() -> None:
    times = Counter(i for i in order(100, 1) if LABELS[i] == "SMALL")
    assert set(times.values()) == {5}
    assert len(times) == 10


@given(
    counts=st.lists(st.integers(1, 500), min_size=1, max_size=8),
    n=st.integers(1, 400),
    balance=st.floats(0, 1),
)
def test_quotas_sum_to_what_was_wanted(counts: list[int], n: int, balance: float) -> None:
    shares = quotas(counts, n, balance)
    assert sum(shares) == n
    assert min(shares) >= 0


def test_what_is_left_goes_to_the_largest_remainder() -> None:
    assert quotas([8, 1, 1], 3, 0) == [3, 0, 0]  # exact shares 2.4, 0.3, 0.3


def test_the_order_follows_from_the_generator() -> None:
    assert order(60, 0.5, seed=1) == order(60, 0.5, seed=1)
    assert order(60, 0.5, seed=1) != order(60, 0.5, seed=2)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="no window to draw from"):
        drawn_order([], 3, torch.Generator())
    with pytest.raises(ValueError, match="between 0 and 1, found 2"):
        drawn_order(LABELS, 3, torch.Generator(), balance=2)
