"""Every stager of the registry learns, on short simulated nights.

The models are those that are registered, the nights are made in the views these read, so a new
model is tested without an edit here. The default suite takes two small ones.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import models
from benchmarks.stager_trials import (
    LARGEST,
    Nights,
    logistic_regression,
    loss_falls,
    majority,
    n_parameters,
    open_nights,
    trial,
    view_of,
)
from recordings.simulate.cohort import Cohort
from recordings.views import VIEWS
from tests.makers.simulated_store import simulated_store

# A smaller preset or fewer channels where the published size takes an hour
SMALLER = {"lpsgm": ("small", ("C4", "E1"))}
SMALL = (("tinysleepnet-cnn", "paper"), ("e2e-arnn", "paper"))
N_STEPS = {"tinysleepnet-cnn": 16, "e2e-arnn": 60}  # seconds
CPU_SECONDS = {
    "e2e-arnn": 15.0,
    "multitask-arnn": 15.0,
    "tinysleepnet-seq": 180.0,
}  # of the slow trainings; others: 60
HELD_OUT = ("Simulated-BAR",)


def _made(name: str, preset: str) -> torch.nn.Module:
    return models.create(name, **vars(models.presets(name)[preset]))


def _all() -> list[tuple[str, str]]:
    pairs = [(name, preset) for name in models.stagers() for preset in models.presets(name)]
    return [pair for pair in pairs if n_parameters(*pair) <= LARGEST]


PRESETS = _all()
STAGERS = [
    (name, SMALLER.get(name, (preset,))[0])
    for name, preset in {name: preset for name, preset in reversed(PRESETS)}.items()
]


def _nights(root: Path, hours: float, montage: str, n_people: int, pairs: list) -> dict:
    """Return the nights of every view that these stagers read."""
    views = {view_of(_made(*pair)).name for pair in pairs} | {"bb100"}
    cohorts = (
        Cohort(n_people, hours=hours, montage=montage),
        Cohort(2, site="BAR", hours=hours, montage=montage, mains_hz=60),
    )
    store = simulated_store(root, *cohorts, view=",".join(sorted(views)))
    return {view: open_nights(store, VIEWS[view], HELD_OUT) for view in views}


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Nights]:
    """Four people and two of another laboratory, half an hour each."""
    return _nights(tmp_path_factory.mktemp("few"), 0.5, "aasm9", 4, list(SMALL))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Nights]:
    """Six people and two of another laboratory, an hour each, in every view."""
    return _nights(tmp_path_factory.mktemp("many"), 1.0, "full", 6, PRESETS)


@pytest.mark.parametrize(("name", "preset"), SMALL)
def test_the_loss_of_small_stagers_falls(
    few: dict[str, Nights], tmp_path: Path, name: str, preset: str
) -> None:
    nights = few[view_of(_made(name, preset)).name]
    done = trial(name, preset, nights, tmp_path / "run", n_steps=N_STEPS[name])
    assert done.losses[-1] < 0.8 * done.losses[0]
    assert done.n_steps == N_STEPS[name]


def test_band_powers_tell_the_stages_of_simulated_nights_apart(few: dict[str, Nights]) -> None:
    found, guess = logistic_regression(few["bb100"], ("C4",)), majority(few["bb100"])
    assert found["kappa"] > 0.5
    assert guess["kappa"] == pytest.approx(0)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_the_loss_of_every_preset_falls(many: dict[str, Nights], name: str, preset: str) -> None:
    # noise of recurrent batch norm over two windows outweighs six small steps
    n_steps = 30 if name == "seqsleepnet" else 6
    nights = many[view_of(_made(name, preset)).name]
    first, last = loss_falls(name, preset, nights, n_steps=n_steps)
    assert last < first


@pytest.mark.slow
@pytest.mark.parametrize(("name", "preset"), STAGERS)
def test_a_stager_beats_the_majority_guess(
    many: dict[str, Nights], tmp_path: Path, name: str, preset: str
) -> None:
    nights = many[view_of(_made(name, preset)).name]
    channels = SMALLER.get(name, ("", ()))[1]
    done = trial(
        name,
        preset,
        nights,
        tmp_path / "run",
        cpu_seconds=CPU_SECONDS.get(name, 60.0),
        channels=channels,
    )
    guess, powers = majority(nights), logistic_regression(nights, done.channels)
    sys.stdout.write(
        f"{name} {preset}: accuracy {done.scores['accuracy']:.3f}, kappa "
        f"{done.scores['kappa']:.3f} after {done.n_steps} steps; majority guess "
        f"{guess['accuracy']:.3f}; band powers of {' '.join(done.channels)} kappa "
        f"{powers['kappa']:.3f}\n"
    )
    assert done.scores["accuracy"] > guess["accuracy"]
    assert done.scores["kappa"] > 0
