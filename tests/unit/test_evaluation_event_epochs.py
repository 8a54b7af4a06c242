"""Epochs that probably hold an event: counted by hand, drawn, and never called an index."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from evaluation.event_epochs import EventEpochs, event_statistics, most_probable
from evaluation.plots import night_figure
from evaluation.plots.events import event_epoch_figure
from evaluation.report import NightReport, render
from evaluation.respiration import breathing_scored
from evaluation.traces import Trace
from nights.events import Event
from nights.hypnogram import Hypnogram

# Twelve epochs: two awake, one unscored, nine of sleep
NIGHT = Hypnogram(np.array([0, 1, 2, 2, 3, 3, -1, 2, 4, 4, 2, 0]))
PROBA = np.float32([0.9, 0.5, 0.1, 0.8, 0.7, 0.2, 0.9, np.nan, 0.49, 0.6, 0.95, 0.99])
SCORED = np.zeros(12, dtype=bool)
SCORED[[0, 2, 3, 7, 10]] = True


def found(**changes: object) -> EventEpochs:
    """What weights say of the night."""
    weights = {"name": "w", "sha256": "0123456789abcdef", "simulated": False}
    told = EventEpochs("apnea", PROBA, weights, ("Airflow",), "half", SCORED)
    return replace(told, **changes)  # type: ignore[arg-type]


def test_epochs_of_sleep_with_a_probability_are_counted_and_no_others() -> None:
    told = event_statistics(found(), NIGHT)
    # Sleep: epochs 1-5 and 7-10, of which 7 has no probability: eight epochs, four minutes
    assert told["sleep_h"] == pytest.approx(8 / 120)
    assert told["epochs"] == 5  # 1, 3, 4, 9, 10: half is enough
    assert told["epochs_per_h"] == pytest.approx(5 * 120 / 8)
    assert told["scored_epochs"] == 3  # 2, 3, 10
    assert told["found_epochs"] == 2  # 3 and 10


def test_a_night_without_sleep_has_no_epochs_per_hour() -> None:
    told = event_statistics(found(scored=None), Hypnogram(np.zeros(12, dtype=int)))
    assert np.isnan(told["epochs_per_h"])
    assert told["epochs"] == 0
    assert "scored_epochs" not in told


def test_the_most_probable_epochs_are_of_sleep_and_no_neighbours() -> None:
    assert most_probable(found(), NIGHT, 3) == [1, 3, 10]  # 9 is a neighbour of 10, 4 of 3
    assert most_probable(found(), NIGHT, 9) == [1, 3, 10]  # 0.49 is not probable
    assert most_probable(found(), Hypnogram(np.zeros(12, dtype=int))) == []


def test_a_recording_without_events_of_breathing_counts_as_not_scored() -> None:
    assert not breathing_scored([Event(3, 2, "spindle"), Event(3, 9, "desaturation")])
    assert breathing_scored([Event(3, 2, "arousal")])


def page_of(*events: EventEpochs) -> str:
    """The report of the night as plain text."""
    page = render(NightReport("n", NIGHT, event_epochs=events))
    return re.sub(r"\s+", " ", re.sub(r'src="[^"]*"', "", page))


def test_the_report_says_that_epochs_are_no_index_and_whose_weights_said_so() -> None:
    airflow = Trace("Airflow", np.random.default_rng(0).normal(size=(12, 300)), "range")
    page = page_of(found(signals=(airflow,)))
    assert "this is NOT an AHI" in page
    assert "weights w (SHA-256 0123456789ab), from Airflow" in page
    assert "one event covers 10 s of the epoch, or half of the event lies in it" in page
    assert "75</strong> epochs per hour of sleep" in page
    assert page.count("Signals from 30 s before to 60 s after the epoch") == 2
    assert "N2: apnea with p 0.95, scored" in page
    assert "simulated" not in page


def test_the_report_says_what_is_simulated_and_what_nobody_scored() -> None:
    weights = {"name": "w", "simulated": True, "balanced": True}
    page = page_of(found(scored=None, weights=weights), found(kind="hypopnea", scored=None))
    assert "Trained on simulated nights." in page
    assert page.count("p is higher than the share") == 1  # of the kind whose loss was balanced
    assert "without scored events of breathing" in page
    assert "scored_epochs" not in page
    assert "Hypopnea probable" in page
    assert "probable" not in page_of()


def test_the_picture_has_a_panel_for_each_kind_and_refuses_other_lengths() -> None:
    alone, both = night_figure(NIGHT), night_figure(NIGHT, events=(found(), found(scored=None)))
    assert len(both.axes) == len(alone.axes) + 2
    assert both.axes[-1].get_ylim()[1] > 1
    with pytest.raises(ValueError, match="12 epochs was given one of 5"):
        night_figure(NIGHT, events=(found(proba=PROBA[:5]),))


def test_signals_are_drawn_around_the_epoch_with_scored_events_shaded() -> None:
    ramp = Trace("Airflow", np.arange(12 * 300.0).reshape(12, 300), "range")
    figure = event_epoch_figure([ramp], 3, [Event(95, 20, "hypopnea"), Event(300, 9, "apnea")])
    (axes,) = figure.axes
    assert axes.get_xlim() == (-30, 90)
    assert len(axes.patches) == 1  # the other event is out of sight
    edges = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 2]
    assert edges == [0, 30]
