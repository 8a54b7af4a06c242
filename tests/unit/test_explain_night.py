"""A staged night explained: methods, epochs, figures."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch

import models
from evaluation.plots import encode, map_figure, night_map_figure
from evaluation.traces import Trace
from explain.night import _by_second, doubtful, methods_of
from main_explain import numbered
from nights.hypnogram import Hypnogram
from staging.networks import NetworkStager
from staging.yasa import YasaStager

NAMES = ("F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2", "Chin")


def traces(*names: str, n_epochs: int = 5) -> list[Trace]:
    rng = np.random.default_rng(0)
    return [Trace(n, rng.standard_normal((n_epochs, 3000)).astype(np.float32)) for n in names]


def stager(name: str, view: str, **config: object) -> NetworkStager:
    return NetworkStager(name, models.create(name, **config), {"view": view}, "cpu")


def test_each_stager_has_the_methods_that_fit_its_network() -> None:
    assert methods_of(stager("lpsgm", "psg9c", n_blocks=1))[0] == "gradcam"
    assert methods_of(stager("e2e-arnn", "seq3"))[0] == "attention"
    assert methods_of(stager("wav2sleep", "cr"))[0] == "attention"
    assert methods_of(stager("tinysleepnet", "bb100")) == ("occlusion",)
    assert methods_of(YasaStager()) == ("occlusion",)


def test_the_most_doubtful_epochs_come_in_the_order_of_the_night() -> None:
    sure = np.array([0.9, 0.5, np.nan, 0.6, 0.8])
    proba = np.stack([sure, 1 - sure, 0 * sure, 0 * sure, 0 * sure], axis=1)
    assert doubtful(Hypnogram.from_proba(proba), 2) == [1, 3]
    assert doubtful(Hypnogram.from_proba(proba), 9) == [0, 1, 3, 4]


def test_epochs_are_named_by_numbers_from_one() -> None:
    assert numbered(("3", "5-7"), 7) == (2, 4, 5, 6)
    assert numbered(("all",), 7) is None
    assert numbered((), 7) == ()
    for wrong in ("0", "5-8", "7-5", "x", "-3", "1-x"):
        with pytest.raises(ValueError, match=f"--epochs {wrong}"):
            numbered((wrong,), 7)


def test_weights_of_frames_of_two_seconds_become_weights_of_seconds() -> None:
    frames = np.zeros((1, 29), dtype=np.float32)
    frames[0, [0, 28]] = 0.25, 0.75
    seconds = _by_second(frames)[0]
    assert seconds.shape == (30,)
    assert seconds[[0, 1, 28, 29]].tolist() == [0.125, 0.125, 0.375, 0.375]
    assert seconds.sum() == pytest.approx(1)


def test_a_figure_of_nine_signals_takes_less_than_half_a_second() -> None:
    shown, values = traces(*NAMES), np.random.default_rng(1).random((9, 3000))
    encode(map_figure(shown, 2, values), "png")  # fonts are looked up once
    spent = []
    for _ in range(3):
        begun = time.process_time()
        encode(map_figure(shown, 2, values, title="Epoch 3"), "png")
        spent.append(time.process_time() - begun)
    assert min(spent) < 0.5


def test_the_colours_of_a_map_lie_where_its_values_are() -> None:
    values = np.zeros((2, 30))
    values[1, 10:15] = 1.0
    figure = map_figure(traces("C4", "E1"), 1, values, title="$x$ is no formula")
    (image,) = figure.axes[0].images
    assert tuple(image.get_extent()) == (0.0, 30.0, -1.5, 0.5)  # type: ignore[attr-defined]
    shown = np.asarray(image.get_array())
    np.testing.assert_array_equal(shown, values)
    assert b"$x$ is no formula" in encode(figure, "svg")


def test_a_night_of_values_below_zero_is_drawn_around_zero() -> None:
    night = Hypnogram(np.array([0, 1, 2, -1]))
    values = np.array([[0.2, -0.4, np.nan, 0.1]])
    figure = night_map_figure(night, values, ["C4"], label="Absent", signed=True)
    (image,) = figure.axes[1].images
    low, high = image.get_clim()
    assert low == -high
    assert high == pytest.approx(0.4, rel=0.02)


@pytest.mark.parametrize("method", ["attention", "occlusion"])
def test_maps_of_a_network_for_any_eeg_are_drawn_on_the_derivation_it_read(
    method: str, tmp_path: Path
) -> None:
    from explain.night import explain_staged
    from recordings.formats import open_recording
    from recordings.simulate import simulate_night
    from staging.results import judge, report_of
    from staging.stage import stage

    torch.manual_seed(0)
    simulate_night(1, hours=0.1, montage="sleepedf").write(tmp_path / "n.edf")
    config = {"channels": ("EEG",), "window": 4, "statistics": "night"}
    staged = stage(open_recording(tmp_path / "n.edf"), stager("seqsleepnet", "seq3", **config))
    report = report_of(judge("n", staged, staged.hypnogram, {}))
    explained = explain_staged(staged, report.signals, method, [3, 5])  # type: ignore[arg-type]
    assert sorted(explained.epochs) == [3, 5]
    labels = [tick.get_text() for tick in explained.epochs[5]().axes[0].get_yticklabels()]
    assert labels == [report.signals[0].name]
    with pytest.raises(ValueError, match=r"--method gradcam does not serve seqsleepnet"):
        explain_staged(staged, report.signals, "gradcam", [3])
    with pytest.raises(ValueError, match=r"epochs 13 have no stage; the night has 1 to 12"):
        explain_staged(staged, report.signals, "attention", [12])
