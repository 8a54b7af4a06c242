"""SeqSleepNet: its spectra, its night, and the statistics of its recurrent normalisation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import models
from models.recurrent_norm import StepNorm
from models.seqsleepnet import SeqSleepNet
from models.time_frequency import LogSpectrum


def small(**config: object) -> SeqSleepNet:
    """A network with windows of four epochs."""
    torch.manual_seed(5)
    options = {"channels": ("C4", "EOGh"), "window": 4, "frame_hidden": 8, "epoch_hidden": 8}
    return models.create("seqsleepnet", **(options | config)).eval()


@settings(max_examples=8, deadline=None)
@given(n_epochs=st.integers(4, 9), shared=st.booleans(), seed=st.integers(0, 2**31))
def test_a_night_is_the_product_of_its_windows(n_epochs: int, shared: bool, seed: int) -> None:
    generator, model = torch.Generator().manual_seed(seed), small(shared_head=shared)
    signals = {name: torch.randn(n_epochs, 3000, generator=generator) for name in model.channels}
    present = {"EOGh": torch.rand(n_epochs, generator=generator) < 0.7}
    logs = torch.zeros(n_epochs, 5)
    with torch.no_grad():
        for start in range(n_epochs - 3):
            part = slice(start, start + 4)
            window = {name: x[None, part] for name, x in signals.items()}
            here = {name: x[None, part] for name, x in present.items()}
            logs[part] += model(window, here).logits[0].log_softmax(dim=-1)
    night = model.night_proba(signals, present)
    covered = torch.tensor([min(t + 1, n_epochs - t, 4, n_epochs - 3) for t in range(n_epochs)])
    want = (logs / covered[:, None]).softmax(dim=-1)
    torch.testing.assert_close(night, want, atol=1e-5, rtol=0)


def test_spectra_follow_the_formula(rng: np.random.Generator) -> None:
    x = rng.standard_normal(3000) * 20
    taper = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(200) / 199)
    turns = np.exp(-2j * np.pi * np.outer(np.arange(129), np.arange(200)) / 256)
    frames = np.stack([x[100 * k : 100 * k + 200] * taper for k in range(29)])
    want = 20 * np.log10(np.abs(frames @ turns.T))
    found = small().spectrum.decibel(torch.from_numpy(x).float()[None])[0]
    np.testing.assert_allclose(found.numpy(), want, atol=1e-3)


def test_a_silent_epoch_has_a_finite_spectrum() -> None:
    spectrum: LogSpectrum = small(statistics="night").spectrum
    x = torch.zeros(1, 3, 2, 3000)
    assert spectrum.decibel(x).eq(-160).all()
    assert spectrum(x, torch.ones(1, 3, 2, dtype=torch.bool)).isfinite().all()


def test_the_statistics_of_a_night_make_its_scale_irrelevant() -> None:
    model = small(statistics="night")
    signals = {name: torch.randn(6, 3000) for name in model.channels}
    louder = {name: 50 * x for name, x in signals.items()}
    torch.testing.assert_close(
        model.night_proba(signals), model.night_proba(louder), atol=1e-4, rtol=0
    )


def test_steps_beyond_the_last_use_its_statistics() -> None:
    norm = StepNorm(3, 2)
    norm.running_mean.copy_(torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]))
    scale, shift = norm.affine(8)
    assert torch.equal(shift[7], shift[2])
    assert torch.equal(scale[7], scale[2])
    assert not torch.equal(shift[2], shift[1])


@pytest.mark.parametrize(
    ("config", "count"),
    [
        ({"channels": ("C4",)}, 164_133),
        ({}, 205_157),
        ({"window": 10, "shared_head": False}, 210_962),
        ({"window": 30, "shared_head": False}, 223_862),
    ],
)
def test_the_published_sizes_have_the_published_numbers_of_parameters(
    config: dict[str, object], count: int
) -> None:
    model = models.create("seqsleepnet", **config)
    assert sum(p.numel() for p in model.parameters()) == count
