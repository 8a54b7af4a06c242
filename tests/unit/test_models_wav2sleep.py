"""wav2sleep and SleepPPG-Net: subsets, padding, releases, the quick way through a night."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import models
from models import published
from models.wav2sleep import Config, Wav2Sleep
from tests.parity.recipes import weights

FIXTURES = Path(__file__).parents[1] / "fixtures"
EPOCHS = 6


def build(**config: Any) -> Wav2Sleep:
    """Return a network with drawn weights."""
    torch.manual_seed(4)
    model = models.create("wav2sleep", **config).eval()
    assert isinstance(model, Wav2Sleep)
    return model


def night(model: torch.nn.Module, n_epochs: int = EPOCHS, seed: int = 0) -> dict[str, torch.Tensor]:
    """Return noise for every channel."""
    generator = torch.Generator().manual_seed(seed)
    return {c: torch.randn(n_epochs, n, generator=generator) for c, n in model.channels.items()}


def released(name: str) -> dict[str, torch.Tensor]:
    """Return weights as a release has them, their values filled in."""
    return weights(json.loads((FIXTURES / f"wav2sleep_{name}.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def model() -> Wav2Sleep:
    return build()


def test_every_subset_of_the_signals_is_staged_by_one_model(model: Wav2Sleep) -> None:
    signals, seen = night(model, 3), []
    for size in range(1, 5):
        for subset in itertools.combinations(signals, size):
            seen.append(model.night_proba({c: signals[c] for c in subset}))
    assert len(seen) == 15
    assert all(proba.isfinite().all() for proba in seen)
    apart = [(one - other).abs().max() for one, other in itertools.combinations(seen, 2)]
    assert min(apart) > 1e-5  # each signal is heard


@pytest.mark.parametrize("causal", ["no", "epochs"])
def test_epochs_nobody_recorded_behind_a_night_change_nothing(causal: str) -> None:
    model = build(causal=causal)
    short = night(model)
    with torch.no_grad():
        alone = model({c: x[None] for c, x in short.items()}, {}).logits
        padded = {c: torch.nn.functional.pad(x, (0, 0, 0, 9))[None] for c, x in short.items()}
        there = {c: (torch.arange(EPOCHS + 9) < EPOCHS)[None] for c in short}
        among = model(padded, there).logits[:, :EPOCHS]
    torch.testing.assert_close(among, alone, atol=2e-5, rtol=0)


def test_nights_of_unequal_length_share_a_batch(model: Wav2Sleep) -> None:
    long, short = night(model, 9), night(model, 5, seed=1)
    batch = {
        c: torch.stack([long[c], torch.nn.functional.pad(short[c], (0, 0, 0, 4))]) for c in long
    }
    lengths = torch.tensor([9, 5])
    there = dict.fromkeys(batch, torch.arange(9) < lengths[:, None])
    with torch.no_grad():
        logits = model(batch, there).logits
        for row, alone in enumerate((long, short)):
            wanted = model({c: x[None] for c, x in alone.items()}, {}).logits[0]
            torch.testing.assert_close(logits[row, : len(wanted)], wanted, atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"channels": ("E1", "E2"), "n_classes": 5},
        {"release": "paper", "kernel": 7},
        {"causal": "epochs"},
        {"causal": "epochs", "release": "paper", "kernel": 7},
        {"norm": "batch", "activation": "leaky"},
        {"residual": False, "activation": "silu", "channels": ("THX",)},
    ],
)
def test_the_quick_way_through_a_night_gives_the_same(config: dict[str, Any]) -> None:
    model = build(**config)
    for norm in (m for m in model.modules() if isinstance(m, torch.nn.BatchNorm1d)):
        assert norm.running_mean is not None
        torch.nn.init.uniform_(norm.running_mean, -0.5, 0.5)
    signals = night(model, 21)
    for there in (torch.ones(21, dtype=torch.bool), torch.arange(21) % 7 != 3):
        present = dict.fromkeys(signals, there)
        with torch.no_grad():
            whole = model(
                {c: x[None] for c, x in signals.items()}, {c: there[None] for c in signals}
            )
        proba = model.night_proba(signals, present)
        torch.testing.assert_close(proba, whole.logits[0].softmax(dim=-1), atol=2e-5, rtol=0)


def test_a_night_of_which_nothing_was_recorded_is_refused(model: Wav2Sleep) -> None:
    signals = night(model)
    with pytest.raises(ValueError, match="nothing was recorded of"):
        model.night_proba(signals, dict.fromkeys(signals, torch.zeros(EPOCHS, dtype=torch.bool)))


def test_each_release_is_recognised_by_its_tensors() -> None:
    for name, release in (("cardio", "current"), ("v1", "paper")):
        loaded = published.load("wav2sleep", released(name))
        assert loaded.config.release == release
    eog = published.load("wav2sleep", released("eog"))
    assert (set(eog.channels), eog.config.n_classes) == ({"E1", "E2"}, 5)


@pytest.mark.parametrize(("name", "wrong"), [("cardio", "paper"), ("v1", "current")])
def test_weights_of_the_other_release_are_refused(name: str, wrong: str) -> None:
    with pytest.raises(ValueError, match="weights lack|has shape"):
        published.load("wav2sleep", released(name), release=wrong)


def test_weights_that_lack_or_add_a_tensor_are_refused() -> None:
    tensors = released("cardio")
    tensors.pop("signal_encoders.encoders.ECG.cnn.7.downsample.weight")
    with pytest.raises(ValueError, match=r"lack .*ECG\.cnn\.7\.downsample"):
        published.load("wav2sleep", tensors)
    with pytest.raises(ValueError, match="not used: .*extra"):
        published.load("wav2sleep", released("cardio") | {"extra": torch.zeros(1)})


@pytest.mark.parametrize(
    ("preset", "n_parameters"),
    [
        ("released", 2_391_172),
        ("released-eog", 2_788_229),
        ("current", 2_948_740),
        ("paper", 3_578_500),
    ],
)
def test_presets_have_the_published_sizes(preset: str, n_parameters: int) -> None:
    model = Wav2Sleep(models.presets("wav2sleep")[preset])
    assert sum(p.numel() for p in model.parameters()) == n_parameters


def test_the_baseline_has_the_published_size_and_takes_any_night() -> None:
    model = models.create("ppgnet").eval()
    assert sum(p.numel() for p in model.parameters()) == 2_266_372
    assert model.night_proba({"PPG": torch.randn(3, 1024)}).shape == (3, 4)


@pytest.mark.parametrize("norm", ["instance", "auto", "group"])
def test_networks_called_causal_that_see_the_future_are_refused(norm: Any) -> None:
    with pytest.raises(ValueError, match="see the future"):
        Config(causal="convolutions", norm=norm)
    with pytest.raises(ValueError, match="sees the whole night"):
        Config(causal="epochs", sequence_norm="instance")


def test_channels_of_unequal_rates_cannot_share_an_encoder() -> None:
    with pytest.raises(ValueError, match="shared by channels of 256 and of 1024"):
        build(channels=("THX", "ECG"), encoders=("X", "X"))


def test_a_signal_of_ones_own_needs_its_rate() -> None:
    with pytest.raises(ValueError, match="no published rate of SpO2"):
        Config(channels=("SpO2",))
    model = build(channels=("SpO2",), samples=(128,))
    assert model.night_proba({"SpO2": torch.randn(4, 128)}).shape == (4, 4)


def test_encoders_without_a_signal_get_a_gradient_of_zero() -> None:
    model = build().train()
    ecg = {"ECG": torch.randn(2, 2, 1024)}
    model(ecg, {}).logits.sum().backward()
    idle = [p.grad for p in model.encoders["THX"].parameters()]
    assert all(grad is not None and not grad.any() for grad in idle)


def test_recomputing_activations_leaves_the_gradients_alone() -> None:
    gradients = []
    for recompute in (False, True):
        model = build(channels=("THX",), dropout=0.0, recompute=recompute).train()
        x = torch.randn(1, 3, 256, generator=torch.Generator().manual_seed(1))
        model({"THX": x}, {}).logits[..., 0].sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    torch.testing.assert_close(*gradients)
