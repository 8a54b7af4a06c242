"""Figures of stagers: what is drawn is what was found, and what is undefined is said."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.calibration import calibrate
from evaluation.ceiling import transitions
from evaluation.outputs import NightOutput
from evaluation.plots import encode, stagers


@pytest.fixture
def graded(rng: np.random.Generator) -> list[NightOutput]:
    """Nights of two people with hypnodensity."""
    found = []
    for number in range(4):
        labels = rng.integers(0, 5, 300)
        proba = rng.dirichlet(np.ones(5), 300) + 0.5 * np.eye(5)[labels]
        found.append(NightOutput(f"n{number}", f"p{number % 2}", labels, proba))
    return found


def test_bland_altman_draws_the_nights_the_bias_and_says_what_is_undefined() -> None:
    scoring, stager = np.array([60.0, 90, np.nan, 70]), np.array([50.0, 100, 80, np.nan])
    axes = stagers.bland_altman_figure({"REM latency, min": (scoring, stager)}).axes[0]
    drawn = np.ma.getdata(axes.collections[0].get_offsets())
    np.testing.assert_allclose(drawn[:2], [[55, -10], [95, 10]])
    heights = [line.get_ydata()[0] for line in axes.lines]
    sd = np.std([-10, 10], ddof=1)
    np.testing.assert_allclose(heights, [0, 0, -1.96 * sd, 1.96 * sd], atol=1e-9)
    words = {text.get_text() for text in axes.texts}
    assert "n = 2, 1 in stager only, 1 in scoring only" in words


def test_a_statistic_nobody_has_is_an_empty_panel() -> None:
    nothing = np.full(3, np.nan)
    figure = stagers.bland_altman_figure({"REM latency, min": (nothing, nothing)})
    assert "n = 0, 3 in neither" in {text.get_text() for text in figure.axes[0].texts}
    assert encode(figure, "png")


def test_reliability_draws_both_sides_with_their_errors(graded: list[NightOutput]) -> None:
    found = calibrate(graded)
    axes = stagers.reliability_figure({"net": found}).axes[0]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels[0] == f"as it came: ECE {100 * found.before.expected_error:.1f} %"
    assert labels[1].startswith("scaled: ECE")
    known = found.before.n_epochs >= stagers.FEWEST
    np.testing.assert_allclose(axes.lines[1].get_ydata(), found.before.accuracy[known])


def test_review_rises_from_the_accuracy_of_all_epochs(graded: list[NightOutput]) -> None:
    found = calibrate(graded)
    axes = stagers.review_figure({"net": found}).axes[0]
    left = axes.lines[0].get_ydata()
    assert left[0] == pytest.approx(100 * found.scores["accuracy"])
    assert left[-1] > left[0]


def test_intervals_stand_in_the_row_of_their_name() -> None:
    facts = {
        "C4": {"kappa": 0.7, "n_channels": 1, "kappa_interval": bounds(0.7)},
        "C4 E1": {"kappa": 0.8, "n_channels": 2, "kappa_interval": bounds(0.8)},
    }
    axes = stagers.channel_figure({"net": facts}).axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["C4 E1", "C4"]
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [0.8, 0.7])
    assert axes.yaxis_inverted()


def bounds(value: float) -> dict[str, float]:
    """An interval around a value."""
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def test_rare_transitions_are_a_dash() -> None:
    truth = np.array([0, 0] * 20 + [2])
    figure = stagers.transition_figure({"x": transitions(truth, truth, 3)}, "abc")
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["100", *["–"] * 8]


def test_gains_are_sorted_and_counted() -> None:
    first, second = np.array([0.5, 0.6, np.nan, 0.7]), np.array([0.6, 0.5, 0.9, 0.9])
    figure = stagers.gain_figure(first, second, ("ours", "theirs"))
    heights = [bar.get_height() for bar in figure.axes[1].patches]
    np.testing.assert_allclose(heights, [-0.1, 0.1, 0.2])
    assert figure.axes[1].get_title() == "theirs better on 2 of 3 nights"
