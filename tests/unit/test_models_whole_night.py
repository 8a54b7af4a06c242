"""Whole nights from any stager: its own way, or every window of its length."""

from __future__ import annotations

import torch

import models
from models.whole_night import night_proba
from tests.makers.stagers import SAMPLES, TinyConfig, TinyStager


def night(n_epochs: int) -> tuple[dict, dict]:
    """Return a night of noise."""
    signal = torch.randn(n_epochs, SAMPLES, generator=torch.Generator().manual_seed(n_epochs))
    return {"C4": signal}, {"C4": torch.ones(n_epochs, dtype=torch.bool)}


class Neighbours(TinyStager):
    """A stager whose output depends on the place of an epoch in the window."""

    def forward(self, signals, present):  # type: ignore[no-untyped-def]
        output = super().forward(signals, present)
        output.logits = output.logits.cumsum(dim=1)
        return output


def test_every_window_around_an_epoch_votes() -> None:
    model = Neighbours().eval()
    signals, present = night(9)
    sums, count = torch.zeros(9, 5), torch.zeros(9, 1)
    for first in range(6):
        window = slice(first, first + 4)
        logits = model({"C4": signals["C4"][None, window]}, {}).logits[0]
        sums[window] += logits.softmax(dim=-1)
        count[window] += 1
    torch.testing.assert_close(night_proba(model, signals, present), sums / count)


def test_a_night_shorter_than_a_window_is_padded_and_cut() -> None:
    found = night_proba(Neighbours().eval(), *night(2))
    assert found.shape == (2, 5)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(2))


def test_a_model_of_any_length_gets_the_night_at_once() -> None:
    model = TinyStager(TinyConfig(window=None)).eval()
    signals, present = night(7)
    wanted = model({"C4": signals["C4"][None]}, {}).logits[0].softmax(dim=-1)
    torch.testing.assert_close(night_proba(model, signals, present), wanted)


def test_a_model_with_a_way_of_its_own_is_asked() -> None:
    model = models.create("tinysleepnet-cnn", channel="C4").eval()
    signals, present = night(3)
    with torch.no_grad():
        assert torch.equal(
            night_proba(model, signals, present), model.night_proba(signals, present)
        )
