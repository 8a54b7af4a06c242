"""Statistics of training nights: learned before training, carried by the weights."""

from __future__ import annotations

from pathlib import Path

import torch

import models
from engine.checkpoint import load_weights, save_weights
from engine.spectra import fit_statistics, own_statistics
from nights.windows import NightWindows
from tests.makers.stagers import told_night


def test_training_epochs_have_mean_0_and_deviation_1_in_every_frequency(tmp_path: Path) -> None:
    stages = [e % 5 for e in range(30)]
    paths = [told_night(tmp_path, f"n{i}", stages, channels=("EEG",), view="seq3") for i in (1, 2)]
    model = models.create("seqsleepnet", channels=("EEG",))
    windows = NightWindows(paths, ["EEG"], 20, keep_tail=True, keep_unscored=True)
    fit_statistics(model, windows)
    nights = NightWindows(paths, ["EEG"], None)
    spectra = torch.cat(
        [model.spectra(nights[i].signals, nights[i].present)[0] for i in range(2)]
    )  # (E, F, bins, 1)
    torch.testing.assert_close(spectra.mean(dim=(0, 1)), torch.zeros(129, 1), atol=1e-3, rtol=0)
    deviation = spectra.std(dim=(0, 1), correction=0)
    torch.testing.assert_close(deviation, torch.ones(129, 1), atol=1e-3, rtol=0)
    save_weights(tmp_path / "w.safetensors", model)
    again, _ = load_weights(tmp_path / "w.safetensors")
    assert torch.equal(again.spectrum.mean, model.spectrum.mean)


def test_a_model_without_statistics_is_left_alone(tmp_path: Path) -> None:
    path = told_night(tmp_path, "n1", [0, 1, 2])
    model = models.create("tinysleepnet-cnn", channel="C4")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fit_statistics(model, NightWindows([path], ["C4"], None))
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_weights_with_the_statistics_of_a_night_get_statistics_of_their_own() -> None:
    released = models.create("seqsleepnet", channels=("EEG",), statistics="night")
    own = own_statistics(released)
    assert own.config.statistics == "training"
    assert torch.equal(own.head.weight, released.head.weight)
    assert own_statistics(own) is own
