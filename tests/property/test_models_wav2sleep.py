"""Causal wav2sleep: the future changes nothing, and a stream gives what the night gives."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import models
from models.wav2sleep import Wav2Sleep
from models.wav2sleep_stream import NightStream
from nights.running_scale import RunningScale, scale_night
from recordings.signals import z_score_causal

EPOCHS = 8
CAUSAL: list[dict[str, Any]] = [
    {"causal": "epochs"},
    {"causal": "convolutions", "norm": "layer"},
    {"causal": "convolutions", "norm": "rms", "activation": "silu"},
]


@pytest.fixture(scope="module", params=CAUSAL, ids=lambda c: f"{c['causal']}-{c.get('norm')}")
def model(request: pytest.FixtureRequest) -> Wav2Sleep:
    torch.manual_seed(5)
    channels = {"channels": ("ECG", "THX"), "n_dilations": 3}
    built = models.create("wav2sleep", **channels, **request.param).eval()
    assert isinstance(built, Wav2Sleep)
    return built


def raw_night(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return two drifting signals (E, T) in some unit."""
    drift = np.linspace(0, 3, EPOCHS)[:, None]
    sizes = {"ECG": 1024, "THX": 256}
    return {
        c: (rng.standard_normal((EPOCHS, n)) + drift).astype(np.float32) for c, n in sizes.items()
    }


def proba(model: Wav2Sleep, raw: dict[str, np.ndarray], **present: torch.Tensor) -> torch.Tensor:
    """Normalise and stage a whole night."""
    return model.night_proba({c: scale_night(x) for c, x in raw.items()}, present)


@settings(max_examples=6)
@given(seed=st.integers(0, 999), known=st.integers(1, EPOCHS - 1), size=st.floats(0, 1e3))
def test_no_sample_of_the_future_changes_the_past_to_the_bit(
    model: Wav2Sleep, seed: int, known: int, size: float
) -> None:
    rng = np.random.default_rng(seed)
    raw = raw_night(rng)
    other = {c: x.copy() for c, x in raw.items()}
    for x in other.values():
        x[known:] = size * rng.standard_normal(x[known:].shape)
    assert torch.equal(proba(model, raw)[:known], proba(model, other)[:known])


def test_a_stream_gives_what_the_whole_night_gives(
    model: Wav2Sleep, rng: np.random.Generator
) -> None:
    raw, there = raw_night(rng), torch.arange(EPOCHS) % 5 != 2
    whole = proba(model, raw, THX=there)
    stream, scales = NightStream(model), {c: RunningScale() for c in raw}
    for epoch in range(EPOCHS):
        scaled = {c: scales[c](x[epoch]) for c, x in raw.items()}
        now = stream.step(scaled, {"THX": bool(there[epoch])})
        torch.testing.assert_close(now, whole[epoch], atol=1e-5, rtol=0)


def test_the_state_of_a_stream_does_not_grow(model: Wav2Sleep, rng: np.random.Generator) -> None:
    stream, sizes = NightStream(model), []
    for epoch in range(6):
        stream.step({"ECG": rng.standard_normal(1024)})
        features = sum(kept.numel() for block in stream._features for kept in block)
        sizes.append(features + sum(len(s) for s in stream._signals.values()) * (epoch > 2))
    assert sizes[3] == sizes[4] == sizes[5]


@pytest.mark.parametrize(
    "config", [{}, {"causal": "convolutions", "norm": "instance", "as_published": True}]
)
def test_a_model_that_sees_the_whole_night_stages_no_stream(config: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="sees the whole night"):
        NightStream(models.create("wav2sleep", channels=("THX",), **config))  # type: ignore[arg-type]


def test_what_the_published_code_calls_causal_sees_the_future() -> None:
    config = {"causal": "convolutions", "norm": "instance", "as_published": True}
    model = models.create("wav2sleep", channels=("THX",), **config).eval()
    x = torch.randn(6, 256, generator=torch.Generator().manual_seed(0))
    louder = x.clone()
    louder[4:] *= 100
    before, after = (model.night_proba({"THX": signal})[:4] for signal in (x, louder))
    assert not torch.equal(before, after)


def test_the_published_causal_normaliser_looks_ahead_and_ours_does_not(
    rng: np.random.Generator,
) -> None:
    x = rng.standard_normal((40, 256)).astype(np.float32)
    other = x.copy()
    other[3:] += 50
    rate_hz = Fraction(256, 30)
    published, changed = (z_score_causal(s.ravel(), rate_hz)[:256] for s in (x, other))
    assert not np.array_equal(published, changed)
    assert np.array_equal(scale_night(x)[:3], scale_night(other)[:3])
