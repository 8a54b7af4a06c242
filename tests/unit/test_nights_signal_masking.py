"""Signals left out in training, with the published probabilities."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from nights.signal_masking import SignalMasking, wav2sleep_draw

# The exact distribution for a night with all four signals, as published (section 4.1 of the code).
PUBLISHED = {
    "PPG": 0.2328,
    "ECG PPG": 0.2205,
    "ABD PPG": 0.0945,
    "PPG THX": 0.0945,
    "ABD ECG PPG": 0.0945,
    "ECG PPG THX": 0.0945,
    "ABD PPG THX": 0.0405,
    "ABD ECG PPG THX": 0.0405,
    "ECG": 0.0368,
    "ABD": 0.0105,
    "THX": 0.0105,
    "ABD ECG": 0.0105,
    "ECG THX": 0.0105,
    "ABD THX": 0.0045,
    "ABD ECG THX": 0.0045,
}


def shares(
    channels: list[str], n: int = 20_000, masking: SignalMasking = wav2sleep_draw
) -> dict[str, float]:
    """Return how often each subset is drawn."""
    rng = np.random.default_rng(6)
    drawn = Counter(" ".join(sorted(masking(rng, channels))) for _ in range(n))
    return {subset: count / n for subset, count in drawn.items()}


def test_subsets_come_as_often_as_published() -> None:
    found = shares(["ABD", "THX", "ECG", "PPG"])
    assert set(found) == set(PUBLISHED)
    for subset, share in PUBLISHED.items():
        assert found[subset] == pytest.approx(share, abs=4.5 * (share / 20_000) ** 0.5)


def test_without_a_pulse_the_heart_stands_in() -> None:
    found = shares(["ABD", "THX", "ECG"])
    assert found["ECG"] == pytest.approx(0.49, abs=0.02)  # drawn alone, or kept when all are gone
    assert found["ABD THX"] == pytest.approx(0.045, abs=0.01)


def test_belts_alone_keep_one_of_them() -> None:
    found = shares(["ABD", "THX"])
    assert set(found) == {"ABD", "THX", "ABD THX"}
    assert found["ABD"] == pytest.approx(found["THX"], abs=0.02)


def test_nothing_stays_nothing_and_what_always_drops_is_kept_last() -> None:
    rng = np.random.default_rng(0)
    assert wav2sleep_draw(rng, []) == []
    assert SignalMasking({"THX": 1.0}, ())(rng, ["THX"]) == ["THX"]


def test_without_a_fallback_one_is_kept_as_likely_as_it_is_not_left_out() -> None:
    found = shares(["ABD", "THX"], masking=SignalMasking({"ABD": 0.9, "THX": 0.6}, ()))
    # alone by its draw, or one of the 54 % in which nothing was left, in proportion 0.1 to 0.4
    assert found["ABD"] == pytest.approx(0.1 * 0.6 + 0.54 * 0.2, abs=0.01)
    assert found["THX"] == pytest.approx(0.4 * 0.9 + 0.54 * 0.8, abs=0.01)


def test_a_channel_without_a_probability_stays() -> None:
    found = shares(["ABD", "C4"], n=200)
    assert set(found) == {"ABD C4", "C4"}
