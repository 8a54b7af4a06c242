"""LPSGM: the whole-night way equals the plain way, whatever was recorded when."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import models
from models.lpsgm import LPSGM

WINDOW = 5
ARCHITECTURES = ("cat_cls", "add_cls", "cat_avg", "none_cls")


def small(architecture: str, n_blocks: int) -> LPSGM:
    """A model with short windows and norms that are not the identity."""
    torch.manual_seed(n_blocks)
    model = models.create(
        "lpsgm", architecture=architecture, n_blocks=n_blocks, window=WINDOW
    ).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.LayerNorm | torch.nn.BatchNorm1d):
            torch.nn.init.normal_(module.weight, 1, 0.3)
            torch.nn.init.normal_(module.bias, 0, 0.3)
    return model


def plain_night(
    model: LPSGM, signals: dict[str, torch.Tensor], present: dict[str, torch.Tensor]
) -> torch.Tensor:
    """The published way: the model on every window, softmax averaged."""
    n_epochs = max(len(next(iter(signals.values()))), model.window)
    padded = n_epochs - len(next(iter(signals.values())))
    signals = {k: torch.cat([x, x.new_zeros(padded, x.shape[1])]) for k, x in signals.items()}
    present = {k: torch.cat([x, x.new_zeros(padded)]) for k, x in present.items()}
    votes, count = torch.zeros(n_epochs, model.config.n_classes), torch.zeros(n_epochs, 1)
    for start in range(n_epochs - model.window + 1):
        part = slice(start, start + model.window)
        here = {name: x[None, part] for name, x in present.items()}
        if any(x.any() for x in here.values()):
            output = model({name: x[None, part] for name, x in signals.items()}, here)
            votes[part] += output.logits[0].softmax(dim=-1)
            count[part] += 1
    return (votes / count)[: n_epochs - padded]


@settings(max_examples=12, deadline=None)
@given(
    architecture=st.sampled_from(ARCHITECTURES),
    n_blocks=st.integers(1, 3),
    n_epochs=st.integers(1, 14),
    seed=st.integers(0, 2**31),
    share=st.sampled_from([0.3, 0.8, 1.0]),
)
def test_a_night_equals_its_windows_one_by_one(
    architecture: str, n_blocks: int, n_epochs: int, seed: int, share: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    model = small(architecture, n_blocks)
    signals, present = {}, {}
    for name in ("F4", "C3", "Chin"):
        signals[name] = 4 * torch.randn(n_epochs, 3000, generator=generator)
        present[name] = torch.rand(n_epochs, generator=generator) < share
    with torch.inference_mode():
        night = model.night_proba(signals, present)
        plain = plain_night(model, signals, present)
    assert night.shape == (n_epochs, 5)
    torch.testing.assert_close(night, plain, atol=1e-5, rtol=0, equal_nan=True)


def test_an_epoch_is_unknown_only_where_no_window_around_it_holds_a_derivation() -> None:
    model, present = small("cat_cls", 1), torch.zeros(12, dtype=torch.bool)
    present[:2] = True
    proba = model.night_proba({"C3": torch.randn(12, 3000)}, {"C3": present})
    known = proba.isfinite().all(dim=1)
    assert known.tolist() == [True] * 6 + [False] * 6  # the last window that sees epoch 1: 1 to 5
    torch.testing.assert_close(proba[known].sum(dim=1), torch.ones(6))


def test_a_night_of_arrays_equals_a_night_of_tensors() -> None:
    model, signal = small("cat_cls", 1), torch.randn(8, 3000)
    from_array = model.night_proba({"E1": signal.double().numpy()})
    assert torch.equal(from_array, model.night_proba({"E1": signal}))


def test_beyond_ten_deviations_everything_is_the_same() -> None:
    model = small("cat_cls", 1)
    signal = torch.randn(1, WINDOW, 3000)
    signal[0, 0, :50], louder = 11.0, signal.clone()
    louder[0, 0, :50] = 500.0
    assert torch.equal(model({"O1": signal}, {}).logits, model({"O1": louder}, {}).logits)


def test_a_window_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="windows of 4 epochs, the weights want 5"):
        small("cat_cls", 1)({"O1": torch.zeros(1, 4, 3000)}, {})


def test_a_window_without_any_derivation_is_refused() -> None:
    present = {"O1": torch.tensor([True, False])}
    with pytest.raises(ValueError, match=r"window\(s\) \[1\]"):
        small("cat_cls", 1)({"O1": torch.zeros(2, WINDOW, 3000)}, present)
