"""The small wav2sleep of the house: what its card claims, and a signal that is noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.weights import for_classes, manifest
from evaluation.metrics import compare
from recordings.formats import open_recording
from recordings.ingest import NightSignals
from recordings.scoring import read_scoring
from recordings.simulate import simulate_night
from staging.networks import NetworkStager
from staging.quality_signals import drop_bad_signals
from staging.stage import Reading, stage_reading

NAME = "wav2sleep-small-simulated"


@pytest.fixture(scope="module")
def stager() -> NetworkStager:
    return NetworkStager.from_weights(NAME, device="cpu")


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, stager: NetworkStager) -> tuple:
    """A simulated night the weights have not seen: what the stager reads of it, and the truth."""
    path = tmp_path_factory.mktemp("night") / "night.edf"
    simulate_night(seed=20261, hours=1.5, montage="home").write(path, scoring="inside")
    recording = open_recording(path)
    scored = read_scoring(path, recording=recording).hypnogram
    return stager.read(recording), scored.on_grid(0.0, int(recording.duration_s // 30))


def kappa(stager: NetworkStager, reading: Reading, truth: object) -> float:
    """Return the agreement of the staged night with the truth, in four classes."""
    from nights.stages import to_four_classes

    staged = stage_reading(reading, stager).hypnogram
    labels = to_four_classes(truth.stages)  # type: ignore[attr-defined]
    return compare([labels], [staged.stages], 4).pooled["kappa"]


def only(night: NightSignals, targets: Sequence[str]) -> NightSignals:
    """Return the night as if nothing else had been recorded."""
    signals = {target: x for target, x in night.signals.items() if target in targets}
    records = tuple(record for record in night.channels if record.target in targets)
    return replace(night, signals=signals, channels=records)


def with_noise(signals: NightSignals, target: str) -> NightSignals:
    """Return the night with noise of the same size in the place of one signal."""
    x = signals.signals[target]
    noise = x.std() * np.random.default_rng(0).standard_normal(x.shape) + x.mean()
    return replace(signals, signals=signals.signals | {target: noise.astype(np.float32)})


def test_results_say_that_simulated_nights_trained_it(stager: NetworkStager) -> None:
    assert stager.provenance["simulated"]
    assert "simulated" in manifest()[NAME].source
    assert stager.normalise == "z_recorded"
    assert stager.classes == ("W", "L", "D", "R")


def test_a_night_of_somebody_else_is_staged_well(stager: NetworkStager, night: tuple) -> None:
    assert kappa(stager, *night) > 0.75


@pytest.mark.parametrize(
    ("recorded", "target"),
    [("ABD THX ECG PPG", "PPG"), ("ECG THX", "THX"), ("ECG THX", "ECG")],
)
def test_a_signal_that_is_noise_is_found_and_the_night_is_better_without_it(
    stager: NetworkStager, night: tuple, recorded: str, target: str
) -> None:
    reading, truth = night
    clean = only(reading.signals, recorded.split())
    noisy = replace(reading, signals=with_noise(clean, target), recording=None)
    kept = drop_bad_signals(noisy.signals)
    assert set(kept.signals) == set(recorded.split()) - {target}
    assert f"{target} " in kept.dropped[target]
    dropped = replace(noisy, signals=kept)
    assert kappa(stager, dropped, truth) > kappa(stager, noisy, truth) + 0.1


def test_a_language_model_of_four_classes_is_taken_where_there_is_one() -> None:
    assert for_classes("sleepgpt-open", 4) == "sleepgpt-open-4"
    assert for_classes("sleepgpt-open", 5) == "sleepgpt-open"
    assert for_classes("markov5-open", 4) == "markov5-open"  # refused later, with both named
    assert for_classes(str(Path("my/own.safetensors")), 4) == "my/own.safetensors"
