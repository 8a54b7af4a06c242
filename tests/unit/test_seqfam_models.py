"""The family: sizes, training statistics, parts to tune, and the two steps of DeepSleepNet."""

from __future__ import annotations

import pytest
import torch

import models
from models.raw_branches import DecayNorm, SamePool, TwoScales


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("e2e-arnn", 79_013),
        ("multitask-arnn", 80_303),
        # 22,877,957 as published, with two columns of the first kernels that never meet data
        ("e2e-deepsleepnet", 22_877_957 - 2 * 64 * 3 * (50 + 400)),
    ],
)
def test_the_published_sizes_have_the_published_numbers_of_parameters(
    name: str, count: int
) -> None:
    assert sum(p.numel() for p in models.create(name).parameters()) == count


@pytest.mark.parametrize(("name", "n_features"), [("deepsleepnet", 3072), ("tinysleepnet", 2048)])
def test_the_branches_leave_as_many_features_as_published(name: str, n_features: int) -> None:
    model = models.create(name)
    assert model.config.n_features == n_features
    assert model.encoder(torch.randn(2, 1, 3000)).shape == (2, n_features)


def test_features_of_deepsleepnet_are_counted_step_by_step() -> None:
    encoder = TwoScales(2, norm=torch.nn.BatchNorm1d, dropout=0.0).eval()
    x = torch.randn(3, 2, 3000)
    steps = encoder(x).unflatten(1, (24, 128))
    torch.testing.assert_close(steps[:, :16], encoder.small(x))
    torch.testing.assert_close(steps[:, 16:], encoder.large(x))


def test_incomplete_pieces_at_both_ends_are_pooled() -> None:
    x = -torch.arange(1.0, 12.0).view(1, 1, 11)  # one sample is missing: it stands on the right
    assert SamePool(4)(x).flatten().tolist() == [-1.0, -5.0, -9.0]
    x = -torch.arange(1.0, 11.0).view(1, 1, 10)  # two are missing: one on each side
    assert SamePool(4)(x).flatten().tolist() == [-1.0, -4.0, -8.0]


def test_slow_statistics_begin_with_the_last_tenth_of_the_batches() -> None:
    norm = DecayNorm(1, decay=0.999, eps=1e-3)
    pair = torch.tensor([[-1.0], [1.0]])
    for level in range(1, 101):  # filters that learn give other numbers in every step
        norm(pair + level)
        assert 0.85 * level <= norm.running_mean.item() <= level
    assert norm.running_var.item() == pytest.approx(2.0)
    norm.num_batches_tracked.fill_(20_000)
    before = norm.running_mean.item()
    norm(pair + 1100)
    assert norm.running_mean.item() - before == pytest.approx(0.001 * (1100 - before), rel=1e-3)


def test_frozen_normalisation_never_looks_at_a_batch() -> None:
    model = models.create("tinysleepnet", frozen_bn=True, dropout=0.0)
    signals = {"FpzCz": torch.randn(3, 4, 3000)}
    trained = model.train()(signals, {}).logits
    torch.testing.assert_close(trained, model.eval()(signals, {}).logits)
    statistics = [v for k, v in model.state_dict().items() if k.endswith("running_mean")]
    assert statistics
    assert not any(v.any() for v in statistics)


def test_tinysleepnet_counts_n1_more_and_divides_by_epochs() -> None:
    model = models.create("tinysleepnet", kernel_l2=0.0).eval()
    output = models.StagerOutput(torch.zeros(1, 4, 5), torch.zeros(1, 4, 128))
    loss = model.loss(output, torch.tensor([[1, 0, 2, -1]]))
    assert loss.item() == pytest.approx(torch.tensor(5.0).log().item() * (1.5 + 1 + 1) / 3)


def test_tinysleepnet_carries_its_state_along_the_night() -> None:
    model = models.create("tinysleepnet").eval()
    night = {"FpzCz": torch.randn(9, 3000)}
    first = model.night_proba(night)
    louder = {"FpzCz": torch.cat([30 * night["FpzCz"][:1], night["FpzCz"][1:]])}
    changed = (model.night_proba(louder) - first).abs().amax(dim=1)
    assert changed[4] > 0  # later epochs know of earlier ones,
    later = {"FpzCz": torch.cat([night["FpzCz"][:8], 30 * night["FpzCz"][8:]])}
    torch.testing.assert_close(model.night_proba(later)[:8], first[:8])  # not the other way round


@pytest.mark.parametrize("name", ["seqsleepnet", "e2e-deepsleepnet"])
def test_the_modes_of_fine_tuning_name_parts_that_exist(name: str) -> None:
    model = models.create(name)
    names = [key for key, _ in model.named_parameters()]
    chosen = {
        mode: {key for key in names if key.startswith(parts)}
        for mode, parts in model.finetune_parts.items()
    }
    assert set(chosen) == {"all", "sequence", "epoch", "head"}
    assert chosen["all"] == set(names) == chosen["sequence"] | chosen["epoch"]
    assert chosen["head"] == chosen["sequence"] & chosen["epoch"]
    assert all(key.startswith("head.") for key in chosen["head"])


def test_what_is_frozen_is_left_alone_by_training_and_not_penalised() -> None:
    torch.manual_seed(0)
    model = models.create("seqsleepnet", window=4).train()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(model.finetune_parts["sequence"]))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    whole = models.create("seqsleepnet", window=4)
    whole.load_state_dict(before)
    assert model.penalty() < whole.penalty()
    signals = {name: torch.randn(3, 4, 3000) for name in model.channels}
    adam = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    model.loss(model(signals, {}), torch.ones(3, 4, dtype=torch.long)).backward()
    adam.step()
    changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert changed
    assert all(key.startswith(("epoch_rnn.", "head.")) for key in changed)


def test_training_statistics_are_those_of_all_recorded_frames() -> None:
    torch.manual_seed(0)
    model = models.create("seqsleepnet", channels=("C4", "EOGh"), window=3)
    batches = []
    for _ in range(2):
        signals = {name: 10 * torch.randn(2, 3, 3000) for name in model.channels}
        batches.append((signals, {"EOGh": torch.rand(2, 3) < 0.6}))
    model.fit_statistics(batches)
    for at, name in enumerate(model.channels):
        epochs = [s[name][p.get(name, torch.ones(2, 3, dtype=torch.bool))] for s, p in batches]
        frames = model.spectrum.decibel(torch.cat(epochs)).flatten(0, 1).double()
        torch.testing.assert_close(model.spectrum.mean[:, at], frames.mean(dim=0).float())
        torch.testing.assert_close(
            model.spectrum.std[:, at], frames.std(dim=0, correction=0).float()
        )
    assert {"spectrum.mean", "spectrum.std"} <= set(model.state_dict())  # they travel with weights


def test_a_channel_that_no_training_night_has_is_refused() -> None:
    model = models.create("e2e-arnn", channels=("C4", "EOGh"))
    with pytest.raises(ValueError, match="recorded in no training epoch"):
        model.fit_statistics([({"C4": torch.randn(1, 2, 3000)}, {})])


def test_the_second_step_of_deepsleepnet_begins_with_the_branches_of_the_first() -> None:
    torch.manual_seed(0)
    first = models.create("deepsleepnet", sequence=False)
    second = models.create("deepsleepnet", hidden=8)
    head = second.head.weight.clone()
    second.begin_from(first.state_dict())
    for name, tensor in first.encoder.state_dict().items():
        assert torch.equal(second.encoder.state_dict()[name], tensor), name
    assert torch.equal(second.head.weight, head)
    fresh = {name for name, _ in second.named_parameters() if name.split(".")[0] in second.fresh}
    others = {name for name, _ in second.named_parameters()} - fresh
    assert others == {f"encoder.{name}" for name, _ in second.encoder.named_parameters()}
    with pytest.raises(ValueError, match="lack encoder.small.0.conv.weight in the shape"):
        second.begin_from({"encoder.other": torch.zeros(1)})


def test_epochs_are_by_themselves_until_there_is_a_sequence() -> None:
    model = models.create("deepsleepnet", sequence=False).eval()
    night = {"FpzCz": torch.randn(4, 3000)}
    turned = {"FpzCz": night["FpzCz"].flip(0)}
    torch.testing.assert_close(model.night_proba(turned).flip(0), model.night_proba(night))
