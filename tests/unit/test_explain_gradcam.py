"""Grad-CAM and guided backpropagation of LPSGM over a night."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import models
from explain.gradcam import envelope, explain_night, scaled, stretched
from models.lpsgm import LPSGM

WINDOW = 4


@pytest.fixture(scope="module")
def model() -> LPSGM:
    torch.manual_seed(0)
    return models.create("lpsgm", window=WINDOW, n_blocks=1).eval()


def night(n_epochs: int, *channels: str, seed: int = 1) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return {name: torch.randn(n_epochs, 3000) for name in channels}


def straightforward(
    model: LPSGM, signals: dict[str, torch.Tensor], start: int, epoch: int
) -> tuple[int, dict[str, torch.Tensor]]:
    """Grad-CAM of the fine branch through the whole network, one window, nothing kept."""
    channels = [name for name in model.config.channels if name in signals]
    window = {n: x[start : start + WINDOW][None] for n, x in signals.items()}
    kept: list[torch.Tensor] = []
    layer = model.encoder.fine.layers[-1][0]
    hook = layer.register_forward_hook(lambda _m, _i, out: kept.append(out))
    logits = model(window, {}).logits[0, epoch - start]
    hook.remove()
    (slope,) = torch.autograd.grad(logits.max(), kept[0])
    maps = (slope.mean(-1, keepdim=True) * kept[0]).sum(1).relu()  # tokens epoch by epoch
    first = (epoch - start) * len(channels)
    return int(logits.argmax()), {n: maps[first + i] for i, n in enumerate(channels)}


@pytest.mark.parametrize(("as_published", "start"), [(False, 3), (True, 5)])
def test_a_night_gives_the_maps_of_its_windows_one_by_one(
    model: LPSGM, as_published: bool, start: int
) -> None:
    signals = night(10, "F4", "O2", "Chin")  # not the first three of the model
    stage, wanted = straightforward(model, signals, start, 5)
    found = explain_night(model, signals, epochs=np.array([5]), as_published=as_published)
    assert found.channels == ("F4", "O2", "Chin")
    assert found.stages[0] == stage
    for column, name in enumerate(found.channels):
        largest = float(wanted[name].detach().abs().max())
        assert torch.from_numpy(found.fine[0, column]) == pytest.approx(
            wanted[name].detach(), abs=1e-3 * largest + 1e-9
        )


@pytest.mark.parametrize("n_epochs", [2, WINDOW, 11])
def test_every_epoch_of_a_night_has_a_map(model: LPSGM, n_epochs: int) -> None:
    found = explain_night(model, night(n_epochs, "C4"), as_published=True)
    assert found.epochs.tolist() == list(range(n_epochs))
    assert np.isfinite(found.guided).all()
    assert (found.guided != 0).any(axis=-1).all()


def test_what_stands_in_an_absent_channel_changes_nothing(model: LPSGM) -> None:
    signals = night(6, "C4", "E1")
    present = {"E1": torch.tensor([True, True, False, False, True, True])}
    other = {"C4": signals["C4"], "E1": signals["E1"].clone()}
    other["E1"][2:4] = 7.0
    one, two = (explain_night(model, given, present) for given in (signals, other))
    assert np.isnan(one.fine[2:4, 1]).all()
    for name in ("fine", "coarse", "guided"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert np.isfinite(one.fused()[:, 0]).all()


def test_an_epoch_without_any_signal_is_left_out_and_cannot_be_asked_for(model: LPSGM) -> None:
    signals = night(5, "C4")
    present = {"C4": torch.tensor([True, False, True, True, True])}
    assert explain_night(model, signals, present).epochs.tolist() == [0, 2, 3, 4]
    with pytest.raises(ValueError, match="nothing was recorded in epoch 2"):
        explain_night(model, signals, present, epochs=np.array([1]))
    with pytest.raises(ValueError, match=r"epochs 6 asked for, the night has 1 to 5"):
        explain_night(model, signals, present, epochs=np.array([5]))


def test_a_map_speaks_for_the_stage_that_was_asked_for(model: LPSGM) -> None:
    signals = night(4, "C4")
    own = explain_night(model, signals)
    stages = np.where([False, True, True, False], (own.stages + 1) % 5, -1)
    asked = explain_night(model, signals, stages=stages)
    assert asked.stages.tolist() == np.where(stages < 0, own.stages, stages).tolist()
    assert not np.array_equal(asked.guided[1], own.guided[1])
    np.testing.assert_array_equal(asked.guided[0], own.guided[0])


def test_guided_gradients_pass_only_what_is_positive_both_ways() -> None:
    from explain.gradcam import _Guided

    x = torch.tensor([-1.0, 2.0, 3.0], requires_grad=True)
    (slope,) = torch.autograd.grad(_Guided.apply(x), x, torch.tensor([5.0, -5.0, 4.0]))
    assert slope.tolist() == [0.0, 0.0, 4.0]


def test_a_stretched_map_keeps_its_ends_and_its_steps() -> None:
    line = np.array([[0.0, 2.0, 1.0]], dtype=np.float32)
    assert stretched(line, 5)[0].tolist() == [0.0, 1.0, 2.0, 1.5, 1.0]


def test_maps_are_scaled_over_all_derivations_of_an_epoch_together() -> None:
    maps = np.array([[[1.0, 2.0], [3.0, 5.0]], [[4.0, 4.0], [4.0, 4.0]]])
    assert scaled(maps)[0].tolist() == [[0.0, 0.25], [0.5, 1.0]]
    assert (scaled(maps)[1] == 0).all()


def test_the_envelope_of_a_tone_is_its_amplitude() -> None:
    tone = 3 * np.sin(2 * np.pi * 10 * np.arange(3000) / 100)
    assert envelope(tone)[500:2500] == pytest.approx(3, abs=0.01)
