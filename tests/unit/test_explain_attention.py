"""Where networks with attention looked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import models
from explain.attention import frame_attention, rollout, segment_attention, signal_attention


def test_rollout_of_layers_that_look_at_themselves_is_the_token_itself() -> None:
    own = torch.eye(3)
    assert torch.equal(rollout([own, own]), own)


def test_rollout_follows_attention_through_the_layers() -> None:
    first = torch.tensor([[0.0, 1.0], [0.0, 1.0]])  # both look at the second
    assert rollout([first])[0].tolist() == [0.5, 0.5]
    assert rollout([first, first])[0].tolist() == [0.25, 0.75]


@pytest.mark.parametrize("name", ["seqsleepnet", "e2e-arnn", "multitask-arnn"])
def test_frames_of_an_epoch_share_its_attention(name: str) -> None:
    torch.manual_seed(0)
    model = models.create(name).eval()
    signals = {"EEG": torch.randn(70, 3000), "EOGh": torch.randn(70, 3000)}
    found = frame_attention(model, signals, {"EEG": torch.ones(70, dtype=torch.bool)})
    assert found.shape == (70, 29)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    batch = {k: x[None] for k, x in signals.items()}
    np.testing.assert_allclose(found, model.attention_weights(batch, {})[0], rtol=1e-4)


@pytest.fixture(scope="module")
def wav2sleep() -> torch.nn.Module:
    torch.manual_seed(0)
    return models.create("wav2sleep", channels=("THX", "ECG"), n_registers=1).eval()


def test_the_vector_of_an_epoch_is_owed_to_the_signals_that_are_there(
    wav2sleep: torch.nn.Module,
) -> None:
    signals = {"THX": torch.randn(6, 256), "ECG": torch.randn(6, 1024)}
    present = {
        "THX": torch.tensor([True, True, True, False, False, True]),
        "ECG": torch.tensor([True, True, False, True, False, True]),
    }
    channels, shares = signal_attention(wav2sleep, signals, present)
    assert channels == ("THX", "ECG")
    assert shares[2].tolist() == [1.0, 0.0]
    assert shares[3].tolist() == [0.0, 1.0]
    assert np.isnan(shares[4]).all()
    assert (shares[[0, 1, 5]] > 0).all()
    np.testing.assert_allclose(shares[[0, 1, 5]].sum(axis=1), 1, rtol=1e-5)


def test_a_signal_that_keys_are_drawn_to_has_the_larger_share(wav2sleep: torch.nn.Module) -> None:
    """Make every query point along the first axis, and the keys of the ECG too."""
    from explain.attention import attention_weights
    from models.layers import SelfAttention

    attention = SelfAttention(4, 2, 0.0)
    with torch.no_grad():
        attention.qkv.weight.copy_(torch.eye(4).repeat(3, 1))
        attention.qkv.bias.zero_()
    tokens = torch.tensor([[[2.0, 0, 2.0, 0], [0, 2.0, 0, 2.0], [2.0, 0, 2.0, 0]]])
    weights = attention_weights(attention, tokens, torch.ones(1, 3, dtype=torch.bool))[0, 0]
    likely = float(np.exp(4 / 2**0.5))
    assert weights.tolist() == pytest.approx(
        [likely / (2 * likely + 1), 1 / (2 * likely + 1), likely / (2 * likely + 1)]
    )


def test_segments_without_a_stage_have_no_share_in_a_night() -> None:
    torch.manual_seed(0)
    model = models.create("htn").eval()
    length = model.config.n_positions
    stages = np.random.default_rng(0).integers(0, 5, 4 * length - 3)
    stages[length : 2 * length] = -1
    shares = segment_attention(model, stages)
    assert shares.shape == (4,)
    assert shares[1] == 0
    assert (shares[[0, 2, 3]] > 0).all()
    assert shares.sum() == pytest.approx(1)
