"""Occlusion of spans and channels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

import models
from explain.occlusion import occlude_channels, occlude_spans
from models import Present, Signals, StagerOutput
from recordings.ingest import ChannelRecord, NightSignals
from recordings.views import VIEWS
from staging.stage import Reading, Stager


class Listener(nn.Module):
    """Says stage 1 the surer, the more it hears in the third span of C4 of the epoch itself."""

    def __init__(self, window: int | None) -> None:
        super().__init__()
        self.window = window
        self.gain = nn.Parameter(torch.tensor(0.7))

    channels = {"C4": 300, "E1": 300}

    def forward(self, signals: Signals, present: Present) -> StagerOutput:
        heard = signals["C4"][..., 60:90].abs().mean(dim=-1) * present["C4"]
        logits = torch.stack([torch.zeros_like(heard), self.gain * heard], dim=-1)
        return StagerOutput(logits, logits)


def night() -> dict[str, torch.Tensor]:
    """Noise, five times as loud where the network listens."""
    torch.manual_seed(0)
    signals = {"C4": torch.randn(9, 300), "E1": torch.randn(9, 300)}
    signals["C4"][:, 60:90] *= 5
    return signals


@pytest.mark.parametrize("window", [None, 4, 20])
def test_the_span_a_network_listens_to_is_the_one_that_is_found(window: int | None) -> None:
    found = occlude_spans(Listener(window), night(), epochs=np.array([0, 4, 8]))
    assert found.channels == ("C4", "E1")
    assert found.stages.tolist() == [1, 1, 1]
    assert found.spans.shape == (3, 2, 10)
    assert (found.spans[:, 0, 2] > 0.01).all()
    silent = np.delete(found.spans[:, 0], 2, axis=1)
    np.testing.assert_allclose(silent, 0, atol=1e-6)
    np.testing.assert_allclose(found.spans[:, 1], 0, atol=1e-6)
    np.testing.assert_allclose(found.absent[:, 0], found.proba - 0.5, atol=1e-6)
    np.testing.assert_allclose(found.absent[:, 1], 0, atol=1e-6)


def test_the_stage_that_is_asked_for_is_followed() -> None:
    stages = np.zeros(9, dtype=int)
    found = occlude_spans(Listener(4), night(), epochs=np.array([4]), stages=stages)
    assert found.stages.tolist() == [0]
    assert found.spans[0, 0, 2] < 0  # without what speaks against it, it is surer


def test_a_channel_that_was_not_recorded_has_no_value_and_the_only_one_is_not_taken_away() -> None:
    present = {"E1": torch.zeros(9, dtype=torch.bool)}
    found = occlude_spans(Listener(4), night(), present, epochs=np.array([4]))
    assert np.isnan(found.spans[0, 1]).all()
    assert np.isnan(found.absent).all()
    assert np.isfinite(found.spans[0, 0]).all()


def test_noise_has_the_usual_spectrum_and_mean_of_the_channel_and_a_seed() -> None:
    torch.manual_seed(0)
    tone = torch.sin(2 * torch.pi * 2 * torch.arange(300) / 30).repeat(9, 1) + 7
    heard: list[torch.Tensor] = []

    class Hearer(Listener):
        def forward(self, signals: Signals, present: Present) -> StagerOutput:
            heard.extend(signals["C4"][:, 2, 60:90])
            return super().forward(signals, present)

    for seed in (0, 0, 1):
        occlude_spans(Hearer(4), {"C4": tone}, epochs=np.array([4]), seed=seed)
    first, again, other = torch.stack(heard).unflatten(0, (3, -1))
    torch.testing.assert_close(first, again)
    changed = first[(first - tone[0, 60:90]).abs().amax(dim=1) > 1e-3]
    assert len(changed) == 2  # two draws of the third span
    assert not torch.allclose(first, other)
    torch.testing.assert_close(changed.mean(dim=1), torch.full((2,), 7.0), atol=1e-4, rtol=0)
    torch.testing.assert_close(changed.std(dim=1), tone[0, 60:90].std().repeat(2))


def test_an_epoch_without_any_signal_is_refused() -> None:
    nowhere = torch.zeros(9, dtype=torch.bool)
    with pytest.raises(ValueError, match="nothing was recorded in epoch 5"):
        occlude_spans(Listener(4), night(), {"C4": nowhere, "E1": nowhere}, epochs=np.array([4]))


def test_spans_must_fill_an_epoch() -> None:
    with pytest.raises(ValueError, match="spans of 7 s do not fill an epoch"):
        occlude_spans(Listener(4), night(), epochs=np.array([1]), span_s=7)


@dataclass
class Loud(Stager):
    """Two stages by how loud the EOG is; without it, no idea."""

    name = "loud"

    def read(self, recording, **ways):  # type: ignore[no-untyped-def]
        raise NotImplementedError

    def proba(self, reading: Reading) -> np.ndarray:
        signals = reading.signals.signals  # type: ignore[union-attr]
        assert "C4" in signals
        sure = 0.9 if "E1" in signals else 0.5
        return np.tile([sure, 1 - sure], (reading.n_epochs, 1))


def reading_of(*names: str, tmp_path) -> Reading:  # type: ignore[no-untyped-def]
    record = {"taken": "", "referenced": True, "rate_hz": 100.0, "unit": "uV", "flat": 0.0}
    record |= dict.fromkeys(("clipped", "mean", "median", "centre"), 0.0)
    record |= dict.fromkeys(("std", "iqr", "spread"), 1.0)
    signals = NightSignals(
        VIEWS["bb100"],
        {name: np.zeros((3, 3000), dtype=np.float32) for name in names},
        tuple(ChannelRecord(target=name, **record) for name in names),  # type: ignore[arg-type]
        {},
        np.zeros(3, dtype=bool),
        None,  # type: ignore[arg-type]
    )
    return Reading(tmp_path, 3, signals=signals)


def test_a_night_is_staged_again_without_each_channel_but_an_eeg_that_is_needed(tmp_path) -> None:  # type: ignore[no-untyped-def]
    stager, reading = Loud(), reading_of("C4", "E1", tmp_path=tmp_path)
    lost = occlude_channels(stager, reading, stager.proba(reading), np.array([0, 1, -1]))
    assert list(lost) == ["E1"]
    np.testing.assert_allclose(lost["E1"], [0.4, -0.4, np.nan], atol=1e-6)


@pytest.mark.parametrize("name", models.stagers())
def test_every_stager_of_the_registry_can_be_asked(name: str) -> None:
    torch.manual_seed(0)
    model = models.create(name).eval()
    channels = dict(list(model.channels.items())[:2])
    n_epochs = max(model.window or 4, 4)
    signals = {channel: torch.randn(n_epochs, size) for channel, size in channels.items()}
    found = occlude_spans(model, signals, epochs=np.array([2]), span_s=15)
    assert found.channels == tuple(channels)
    assert np.isfinite(found.spans).all()
    assert np.isfinite(found.absent).all() == (len(channels) > 1)
