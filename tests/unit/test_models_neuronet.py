"""NeuroNet: frames, maskings, batch norms; and what must not leak."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import models
from models.frame_encoder import PlaceNorm, Trunk, branch_lengths
from models.masked_tokens import Masking, position_table
from models.neuronet import MODALITIES, PRESETS, Config, EncoderConfig, NeuroNet

SMALL = Config(widths=(8, 8, 8, 8, 8), squeeze=4, width=32, n_heads=2, n_blocks=1)


@pytest.fixture
def net() -> NeuroNet:
    torch.manual_seed(0)
    return NeuroNet(SMALL).eval()


def epochs(*shape: int, seed: int = 1) -> torch.Tensor:
    """Noise of one channel, (B, L, 3000)."""
    return torch.randn(*shape, 3000, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("samples", "values"), [(400, 26), (300, 8), (384, 23), (500, 46), (512, 47), (1000, 139)]
)
def test_branches_leave_as_many_steps_as_published(samples: int, values: int) -> None:
    assert sum(branch_lengths(samples)) == values
    trunk = Trunk((4, 4, 4, 4, 4), 0, 1)
    assert trunk(torch.randn(2, samples)).shape == (2, 4, values)


def test_frames_too_short_for_the_poolings_are_refused() -> None:
    with pytest.raises(ValueError, match="256 samples"):
        branch_lengths(256)


def test_frames_may_last_a_fraction_of_a_second() -> None:
    assert EncoderConfig(frame_s=3.0, step_s=0.375).n_frames == 73
    assert EncoderConfig(frame_s=4.0, step_s=1.0).n_frames == 27


@pytest.mark.parametrize(
    ("ratio", "kept"), [(0.2, 21), (0.4, 16), (0.5, 13), (0.6, 10), (0.75, 6), (0.8, 5), (0.9, 2)]
)
def test_as_many_frames_are_kept_as_the_floating_point_says(ratio: float, kept: int) -> None:
    masking = Masking.of(torch.rand(3, 27), ratio)
    assert masking.kept.shape == (3, kept)
    assert (masking.hidden.sum(dim=1) == 27 - kept).all()
    assert not masking.hidden.gather(1, masking.kept).any()


def test_a_mask_that_hides_nothing_or_everything_is_refused() -> None:
    for ratio in (0.0, 0.99):
        with pytest.raises(ValueError, match="mask ratio"):
            Masking.of(torch.rand(1, 27), ratio)


def test_the_table_tells_frames_apart_and_is_zero_for_the_class_token() -> None:
    table = position_table(64, 10, class_token=True)
    assert not table[0].any()
    assert (torch.cdist(table[1:], table[1:]) + torch.eye(10)).min() > 0.1


@pytest.mark.parametrize("name", MODALITIES)
def test_the_four_modalities_differ_by_their_channels_alone(name: str) -> None:
    assert replace(PRESETS[name], channels=()) == replace(PRESETS["eeg"], channels=())
    assert PRESETS[name].channels == MODALITIES[name]


def test_published_size_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        net = NeuroNet(PRESETS["eeg"])
    assert round(sum(p.numel() for p in net.parameters()) / 1e6, 1) == 71.6
    assert round(sum(p.numel() for p in net.encoder.parameters()) / 1e6, 1) == 66.8


def test_statistics_per_frame_are_those_of_one_call_after_another() -> None:
    torch.manual_seed(0)
    apart, looped = PlaceNorm(5, n_places=4), PlaceNorm(5)
    x = torch.randn(3, 4, 5, 1, 7, requires_grad=True)
    weights = torch.randn(3, 4, 5, 1, 7)
    ours = apart(x.flatten(0, 1)).view_as(x)
    theirs = torch.stack([looped(x[:, place]) for place in range(4)], dim=1)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    gradients = [torch.autograd.grad((y * weights).sum(), x)[0] for y in (ours, theirs)]
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(apart.running_mean, looped.running_mean)
    torch.testing.assert_close(apart.running_var, looped.running_var)
    assert apart.num_batches_tracked == looped.num_batches_tracked == 4


def test_folded_norms_give_the_same_features(net: NeuroNet) -> None:
    trunk = net.encoder.frames.trunk
    for norm in (m for m in trunk.modules() if isinstance(m, PlaceNorm)):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    x = torch.randn(6, 300)
    with torch.no_grad():
        torch.testing.assert_close(trunk.folded()(x), trunk(x), atol=1e-5, rtol=1e-4)


def test_samples_of_hidden_frames_cannot_reach_the_encoder(net: NeuroNet) -> None:
    x, masking = epochs(4), Masking.of(torch.rand(4, 10), 0.6)
    spoilt = x.view(4, 10, 300).clone()
    spoilt[masking.hidden] = 7.0
    with torch.no_grad():
        clean = net.encoder.encode(net.encoder.features(x), masking)
        same = net.encoder.encode(net.encoder.features(spoilt.view(4, 3000)), masking)
    assert torch.equal(clean, same)


def test_only_predictions_of_hidden_frames_are_judged(net: NeuroNet) -> None:
    output = net({"C4": epochs(2, 3)}, {}, mask_ratio=0.8)
    for guess, wanted in output.predicted:
        assert guess.shape == wanted.shape == (6 * 9, net.encoder.frames.width)
    assert [z.shape for z in output.views[0]] == [(6, 64), (6, 64)]


def test_predictions_change_with_what_is_seen_and_not_with_what_is_hidden(net: NeuroNet) -> None:
    noise = torch.arange(10.0).expand(1, 10)  # frames 0..3 are seen
    x = epochs(1, 1)

    def first_guess(first_s: int) -> torch.Tensor:
        other = x.clone()
        other[..., first_s * 100 : first_s * 100 + 300] += 3
        with torch.no_grad():
            return net({"C4": other}, {}, mask_ratio=0.6, draw=lambda *_: noise).predicted[0][0]

    with torch.no_grad():
        plain = net({"C4": x}, {}, mask_ratio=0.6, draw=lambda *_: noise).predicted[0][0]
    assert torch.equal(first_guess(27), plain)
    assert not torch.allclose(first_guess(3), plain)


def test_absent_epochs_are_no_samples(net: NeuroNet) -> None:
    signals = {"C4": epochs(2, 2), "C3": epochs(2, 2, seed=2)}
    present = {"C3": torch.tensor([[True, False], [False, False]])}
    signals["C3"][~present["C3"]] = torch.nan
    output = net(signals, present, mask_ratio=0.8)
    assert len(output.views[0][0]) == 5
    assert all(z.isfinite().all() for z in output.views[0])


def test_an_epoch_is_the_mean_of_its_channels_and_zeros_without_any(net: NeuroNet) -> None:
    signals = {"C4": epochs(1, 3), "C3": epochs(1, 3, seed=2)}
    present = {
        "C4": torch.tensor([[True, True, False]]),
        "C3": torch.tensor([[True, False, False]]),
    }
    with torch.no_grad():
        both = net.embed(signals, present)[0]
        one, other = (net.embed({name: x}, {})[0] for name, x in signals.items())
    torch.testing.assert_close(both[0], (one[0] + other[0]) / 2)
    torch.testing.assert_close(both[1], one[1])
    assert not both[2].any()


def test_embeddings_repeat_bit_by_bit(net: NeuroNet) -> None:
    signals = {"C4": epochs(1, 70)}
    with torch.no_grad():
        assert torch.equal(net.embed(signals, {}), net.embed(signals, {}))


def test_epochs_of_another_length_and_foreign_channels_are_refused(net: NeuroNet) -> None:
    with pytest.raises(ValueError, match="2999 samples"):
        net.embed({"C4": torch.zeros(1, 1, 2999)}, {})
    with pytest.raises(ValueError, match="ECG"):
        net.embed({"ECG": torch.zeros(1, 1, 3000)}, {})


def test_every_parameter_of_the_pre_training_learns(net: NeuroNet) -> None:
    from engine.pretraining import PretrainingTask

    net.train()
    total, _ = PretrainingTask().losses(net({"C4": epochs(4, 1)}, {}, mask_ratio=0.8))
    total.backward()
    still = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still


def test_the_network_is_no_stager() -> None:
    assert "neuronet" in models.names()
    assert "neuronet" not in models.stagers()
