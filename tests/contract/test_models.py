"""What every registered model must do, whatever it is."""

from __future__ import annotations

import dataclasses
import io

import pytest
import torch

import models
from models import Present, Signals, StagerOutput

BATCH, EPOCHS = 3, 4  # EPOCHS where the model takes any number
SEVERAL_CHANNELS = [name for name in models.stagers() if len(models.create(name).channels) > 1]
WHOLE_NIGHTS = [name for name in models.stagers() if hasattr(models.entry(name)[0], "night_proba")]


def signals_for(model: torch.nn.Module, *, n_channels: int = 3, seed: int = 0) -> Signals:
    """Noise for some channels of a stager."""
    generator = torch.Generator().manual_seed(seed)
    some = list(model.channels.items())[:n_channels]
    length = model.window or EPOCHS
    return {name: torch.randn(BATCH, length, n, generator=generator) for name, n in some}


def everywhere(signals: Signals) -> Present:
    """All channels recorded in all epochs."""
    return {
        name: torch.ones(signal.shape[:2], dtype=torch.bool) for name, signal in signals.items()
    }


@pytest.fixture(params=models.stagers())
def stager(request: pytest.FixtureRequest) -> torch.nn.Module:
    torch.manual_seed(1)
    return models.create(request.param).eval()


@pytest.mark.parametrize("name", models.names())
def test_configurations_are_frozen_and_presets_build(name: str) -> None:
    _, configuration = models.entry(name)
    assert configuration.__dataclass_params__.frozen
    assert models.presets(name), f"{name} has no preset of its paper"
    for preset in models.presets(name).values():
        with torch.device("meta"):  # published sizes without their memory
            models.create(name, **dataclasses.asdict(preset))


def test_logits_and_features_have_the_promised_shapes(stager: torch.nn.Module) -> None:
    signals = signals_for(stager)
    output = stager(signals, everywhere(signals))
    length = stager.window or EPOCHS
    assert isinstance(output, StagerOutput)
    assert output.logits.shape == (BATCH, length, stager.config.n_classes)
    assert output.features.shape[:2] == (BATCH, length)
    assert output.logits.isfinite().all()


def test_absent_epochs_cannot_change_the_output(stager: torch.nn.Module) -> None:
    signals = signals_for(stager)
    present = everywhere(signals)
    name = next(iter(signals))
    present[name][0, :2] = present[name][1, 1] = False
    spoilt = signals[name].clone()
    spoilt[~present[name]] = torch.nan
    with torch.no_grad():
        clean, same = stager(signals, present), stager({**signals, name: spoilt}, present)
    assert torch.equal(clean.logits, same.logits)


@pytest.mark.parametrize("name", SEVERAL_CHANNELS)
def test_a_channel_left_out_equals_a_channel_marked_absent(name: str) -> None:
    stager = models.create(name).eval()
    signals = signals_for(stager)
    *kept, left_out = signals
    present = {name: torch.ones(BATCH, dtype=torch.bool) for name in kept}
    with torch.no_grad():
        without = stager({name: signals[name] for name in kept}, present)
        marked = stager(signals, {**present, left_out: torch.zeros(BATCH, dtype=torch.bool)})
    torch.testing.assert_close(without.logits, marked.logits, atol=1e-5, rtol=0)


def test_a_present_channel_does_change_the_output(stager: torch.nn.Module) -> None:
    signals = signals_for(stager)
    with torch.no_grad():
        output = stager(signals, everywhere(signals)).logits
        other = stager(signals_for(stager, seed=1), everywhere(signals)).logits
    assert (output - other).abs().max() > 1e-4


def test_the_order_of_the_channels_does_not_matter(stager: torch.nn.Module) -> None:
    signals = signals_for(stager)
    turned = dict(reversed(signals.items()))
    with torch.no_grad():
        output, same = stager(signals, {}), stager(turned, {})
    torch.testing.assert_close(output.logits, same.logits, atol=1e-5, rtol=0)


def test_samples_of_a_batch_do_not_mix(stager: torch.nn.Module) -> None:
    signals = signals_for(stager)
    present = everywhere(signals)
    next(iter(present.values()))[0, -1] = False
    order = torch.tensor([2, 0, 1])
    with torch.no_grad():
        output = stager(signals, present).logits
        moved = stager(
            {name: x[order] for name, x in signals.items()},
            {name: x[order] for name, x in present.items()},
        ).logits
    torch.testing.assert_close(output[order], moved, atol=1e-5, rtol=0)


def test_the_same_input_gives_the_same_output(stager: torch.nn.Module) -> None:
    signals = signals_for(stager)
    with torch.no_grad():
        first, second = stager(signals, {}).logits, stager(signals, {}).logits
    assert torch.equal(first, second)


def test_every_trained_parameter_gets_a_gradient(stager: torch.nn.Module) -> None:
    signals = signals_for(stager, n_channels=len(stager.channels))
    for parameter in stager.parameters():  # an adapter begins at zero and hides its other half
        if parameter.requires_grad and parameter.ndim > 1 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    stager.train()
    logits = stager(signals, everywhere(signals)).logits
    logits.log_softmax(dim=-1)[..., 0].sum().backward()
    trained = {n: p for n, p in stager.named_parameters() if p.requires_grad}
    without = [n for n, p in trained.items() if p.grad is None or not p.grad.any()]
    assert not without


def test_weights_saved_and_loaded_give_the_same_output(stager: torch.nn.Module) -> None:
    signals, file = signals_for(stager), io.BytesIO()
    torch.save(stager.state_dict(), file)
    file.seek(0)
    torch.manual_seed(2)
    other = type(stager)(stager.config).eval()
    other.load_state_dict(torch.load(file, weights_only=True))
    with torch.no_grad():
        assert torch.equal(stager(signals, {}).logits, other(signals, {}).logits)


def test_signals_without_any_readable_channel_are_refused(stager: torch.nn.Module) -> None:
    with pytest.raises(ValueError, match="Nose"):
        stager({"Nose": torch.zeros(BATCH, stager.window or EPOCHS, 3000)}, {})


@pytest.mark.parametrize("name", WHOLE_NIGHTS)
def test_a_night_of_one_window_equals_the_window(name: str) -> None:
    stager = models.create(name).eval()
    signals = signals_for(stager)
    present = everywhere(signals)
    next(iter(present.values()))[0, -2:] = False
    night = stager.night_proba(
        {channel: x[0] for channel, x in signals.items()},
        {channel: x[0] for channel, x in present.items()},
    )
    with torch.no_grad():
        window = stager(signals, present).logits[0].softmax(dim=-1)
    torch.testing.assert_close(night, window, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", WHOLE_NIGHTS)
def test_a_night_shorter_than_a_window_is_staged(name: str) -> None:
    stager = models.create(name).eval()
    signals = {channel: torch.randn(2, n) for channel, n in stager.channels.items()}
    night = stager.night_proba(signals)
    assert night.shape == (2, stager.config.n_classes)
    torch.testing.assert_close(night.sum(dim=1), torch.ones(2))
