"""The task of pre-training: its losses, its judgement, and that it learns in the one loop."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from engine.log import RunFolder
from engine.optim import Plan
from engine.pretraining import PretrainingTask, embedded, linear_probe, nt_xent
from engine.train import train
from models.masked_tokens import MaskedOutput
from models.neuronet import Config as NeuroNetConfig
from models.neuronet import NeuroNet
from models.synthsleepnet import Config as FusionConfig
from models.synthsleepnet import SynthSleepNet
from nights.windows import Windows

SIZES = {"widths": (8, 8, 8, 8, 8), "squeeze": 4, "width": 32, "n_heads": 2, "n_blocks": 1}


def sleepy(n_epochs: int, seed: int, channels: tuple[str, ...] = ("C4",)) -> Windows:
    """Windows of one epoch: a tone whose rate is that of its stage, in noise; the last may lack."""
    generator = torch.Generator().manual_seed(seed)
    stages = torch.randint(5, (n_epochs, 1), generator=generator)
    t = torch.arange(3000) / 100
    rates_hz = torch.tensor([10.0, 6.0, 13.0, 1.5, 4.0])[stages]
    signals = {
        name: torch.sin(2 * torch.pi * rates_hz[..., None] * t)
        + 0.5 * torch.randn(n_epochs, 1, 3000, generator=generator)
        for name in channels
    }
    present = {name: torch.ones(n_epochs, 1, dtype=torch.bool) for name in channels}
    if len(channels) > 1:
        present[channels[-1]][::4] = False
    return Windows(signals, present, stages, ("SIM/1",), torch.zeros(n_epochs, dtype=torch.long))


class Fixed:
    """A source of the same batches in every pass."""

    def __init__(self, batches: list[Windows]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def draw(self, generator: torch.Generator) -> Iterator[Windows]:
        yield from self.batches


def small(kind: str) -> tuple[nn.Module, tuple[str, ...]]:
    """A small network and its channels."""
    torch.manual_seed(0)
    if kind == "unimodal":
        return NeuroNet(NeuroNetConfig(**SIZES)), ("C4",)
    channels = ("C4", "E1")
    return SynthSleepNet(FusionConfig(**SIZES, channels=channels)), channels


def naive_contrast(z1: torch.Tensor, z2: torch.Tensor, temperature: float) -> float:
    """NT-Xent, one pair of rows after another."""
    rows = F.normalize(torch.cat([z1, z2]))
    n, total = len(z1), 0.0
    for i in range(2 * n):
        scores = torch.stack([rows[i] @ rows[j] / temperature for j in range(2 * n) if j != i])
        partner = rows[i] @ rows[(i + n) % (2 * n)] / temperature
        total += float(scores.logsumexp(dim=0) - partner)
    return total / (2 * n)


@pytest.mark.parametrize("n", [2, 5, 16])
def test_the_contrast_equals_its_definition(n: int) -> None:
    z1, z2 = torch.randn(2, n, 8, generator=torch.Generator().manual_seed(n))
    loss, _ = nt_xent(z1, z2, 0.3)
    assert float(loss) == pytest.approx(naive_contrast(z1, z2, 0.3), rel=1e-5)
    same, right = nt_xent(z1, z1, 0.02)
    assert right == 1
    assert same < loss


def test_the_losses_are_the_sum_of_what_was_told() -> None:
    guess, wanted = torch.zeros(4, 2), torch.full((4, 2), 2.0)
    views = [(torch.eye(3), torch.eye(3)), (torch.eye(3), torch.eye(3).roll(1, 0))]
    total, parts = PretrainingTask(alpha=0.5).losses(
        MaskedOutput([(guess, wanted), (guess, wanted / 2)], views)
    )
    assert parts["reconstruction"] == 4 + 1
    found = [float(nt_xent(*pair, 0.05)[0]) for pair in views]
    assert parts["contrastive"] == pytest.approx(sum(found) / 2)
    assert float(total) == pytest.approx(5 + 0.5 * parts["contrastive"])


def test_a_batch_without_pairs_has_no_contrast() -> None:
    total, parts = PretrainingTask().losses(MaskedOutput([(torch.zeros(1), torch.ones(1))], []))
    assert float(total) == 1
    assert "contrastive" not in parts


@pytest.mark.parametrize("detached", [False, True])
def test_targets_can_be_held_fixed(detached: bool) -> None:
    guess, wanted = torch.zeros(2, 2), torch.ones(2, 2, requires_grad=True)
    task = PretrainingTask(detach_target=detached)
    total, _ = task.losses(MaskedOutput([(guess.requires_grad_(), wanted)], []))
    total.backward()
    assert (wanted.grad is None) == detached


@pytest.mark.parametrize("kind", ["unimodal", "multimodal"])
def test_held_out_losses_repeat_and_touch_neither_weights_nor_training(kind: str) -> None:
    net, channels = small(kind)
    held_out, task = [sleepy(6, 1, channels)], PretrainingTask(mask_ratio=0.5)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = task.evaluate(net, held_out)
    assert torch.equal(torch.rand(1), expected)
    assert task.evaluate(net, held_out) == first
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert task.headline in first
    assert replace(task, seed=1).evaluate(net, held_out) != first


def test_without_held_out_windows_the_judgement_is_refused() -> None:
    with pytest.raises(ValueError, match="held-out"):
        PretrainingTask().evaluate(small("unimodal")[0], [])


@pytest.mark.parametrize("kind", ["unimodal", "multimodal"])
def test_losses_fall_in_the_training_loop(kind: str, tmp_path: Path) -> None:
    net, channels = small(kind)
    labelled = [sleepy(30, 3, channels)]
    task = PretrainingTask(mask_ratio=0.5, temperature=0.2, labelled=labelled)
    source = Fixed([sleepy(16, seed, channels) for seed in range(4)])
    plan = Plan(n_passes=4, lr=3e-3, warmup=0.0, clip=2.0)
    card = {"model": "small"}
    train(
        net, task, source, [sleepy(16, 9, channels)], plan, RunFolder(tmp_path / "run"), card=card
    )
    lines = (tmp_path / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    for name in ("loss", "contrastive", "held_out_loss"):
        assert rows[-1][name] < 0.9 * rows[0][name], name
    assert rows[-1]["probe_kappa"] > 0.2


def test_unscored_epochs_do_not_reach_the_probe() -> None:
    net, _ = small("unimodal")
    batch = sleepy(6, 2)
    batch.stages[:2] = -1
    features, stages = embedded(net, [batch])
    assert features.shape == (4, 32)
    assert stages.min() >= 0
    assert len(embedded(net, [batch], unscored=True)[0]) == 6


def test_the_probe_tells_apart_what_a_plane_can() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (90,), generator=generator)
    features = F.one_hot(labels, 3) + 0.1 * torch.randn(90, 3, generator=generator)
    guess = linear_probe(features[:60], labels[:60], features[60:])
    assert torch.equal(guess, labels[60:])
