"""SynthSleepNet and the stagers on it: frozen encoders, missing channels, contexts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.pretraining import PretrainingTask
from models import create, published
from models.lora import AdaptedLinear, adapters
from models.neuronet import Config as NeuroNetConfig
from models.neuronet import NeuroNet
from models.synthsleepnet import Config, SynthSleepNet
from models.temporal_context import ContextConfig, SynthSleepNetContext
from tests.parity.recipes import weights

SIZES = {"widths": (8, 8, 8, 8, 8), "squeeze": 4, "width": 32, "n_heads": 2, "n_blocks": 1}
CHANNELS = ("C4", "E1", "ECG")
SMALL = Config(**SIZES, channels=CHANNELS)
FIXTURE = Path(__file__).parents[1] / "fixtures" / "synthsleepnet_fine_tune_full_small.json"


@pytest.fixture
def net() -> SynthSleepNet:
    torch.manual_seed(0)
    return SynthSleepNet(SMALL).eval()


def night(n_epochs: int = 4, seed: int = 1) -> dict[str, torch.Tensor]:
    """Noise on every channel, (1, L, 3000)."""
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(1, n_epochs, 3000, generator=generator) for name in CHANNELS}


def test_an_encoder_taken_over_stays_as_it_was_and_its_adapters_add_nothing_yet() -> None:
    torch.manual_seed(1)
    unimodal = NeuroNet(NeuroNetConfig(**SIZES)).eval()
    net = SynthSleepNet(SMALL)
    net.take_encoder("C4", unimodal)
    adapted = net.fusion.encoders["C4"].eval()
    assert len(adapters(adapted)) == SMALL.n_blocks
    for name, tensor in unimodal.encoder.state_dict().items():
        assert torch.equal(adapted.state_dict()[name], tensor)
    x = night()["C4"][0]
    with torch.no_grad():
        assert torch.equal(adapted(x), unimodal.encoder(x))


def test_an_encoder_of_other_sizes_is_refused(net: SynthSleepNet) -> None:
    other = NeuroNet(NeuroNetConfig(**{**SIZES, "width": 64}))
    with pytest.raises(ValueError, match="encoder of C4"):
        net.take_encoder("C4", other)


def test_of_the_encoders_only_adapters_learn(net: SynthSleepNet) -> None:
    learning = [n for n, p in net.fusion.encoders.named_parameters() if p.requires_grad]
    assert learning
    assert all(name.endswith((".down", ".up")) for name in learning)
    frozen = SynthSleepNet(replace(SMALL, adapter_rank=0)).fusion.encoders
    assert not any(p.requires_grad for p in frozen.parameters())


def test_a_training_step_leaves_the_frozen_parts_alone(net: SynthSleepNet) -> None:
    before = {n: t.clone() for n, t in net.fusion.encoders.state_dict().items()}
    net.train()
    total, _ = PretrainingTask(mask_ratio=0.4).loss(net, _Batch(night()))
    total.backward()
    torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1).step()
    after = net.fusion.encoders.state_dict()
    moved = {name for name, tensor in before.items() if not torch.equal(after[name], tensor)}
    assert moved
    assert all(name.endswith((".down", ".up")) for name in moved)


def test_every_trainable_parameter_gets_a_gradient(net: SynthSleepNet) -> None:
    for adapter in adapters(net):
        torch.nn.init.normal_(adapter.up)
    net.train()
    PretrainingTask(mask_ratio=0.4).loss(net, _Batch(night()))[0].backward()
    trained = {n: p for n, p in net.named_parameters() if p.requires_grad}
    assert not [n for n, p in trained.items() if p.grad is None or not p.grad.any()]


def test_an_absent_channel_changes_nothing_in_pre_training(net: SynthSleepNet) -> None:
    signals = night()
    present = {"E1": torch.tensor([[True, False, True, False]])}
    noise = torch.rand(4, 10, generator=torch.Generator().manual_seed(2))
    spoilt = signals["E1"].clone()
    spoilt[~present["E1"]] = torch.nan

    def losses(e1: torch.Tensor) -> dict[str, float]:
        output = net({**signals, "E1": e1}, present, mask_ratio=0.4, draw=lambda n, _: noise[:n])
        return PretrainingTask().losses(output)[1]

    assert losses(signals["E1"]) == losses(spoilt)


def test_epochs_with_other_channels_missing_do_not_disturb_each_other(net: SynthSleepNet) -> None:
    signals = night()
    present = {"E1": torch.tensor([[True, False, True, False]])}
    with torch.no_grad():
        mixed, whole = net.embed(signals, present)[0], net.embed(signals, {})[0]
        without = net.embed({k: x for k, x in signals.items() if k != "E1"}, {})[0]
    torch.testing.assert_close(mixed[[0, 2]], whole[[0, 2]], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(mixed[[1, 3]], without[[1, 3]], atol=1e-5, rtol=1e-4)


def test_an_epoch_without_any_channel_is_zeros_and_trains_nothing(net: SynthSleepNet) -> None:
    there = torch.tensor([[True, True, False, True]])
    present = dict.fromkeys(CHANNELS, there)
    with torch.no_grad():
        assert not net.embed(night(), present)[0, 2].any()
    total, parts = PretrainingTask(mask_ratio=0.4).losses(
        net.train()(night(), present, mask_ratio=0.4)
    )
    assert total.isfinite()
    total.backward()
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)
    assert parts["contrastive"] > 0


def test_frames_hidden_in_one_channel_cannot_reach_the_fused_tokens(net: SynthSleepNet) -> None:
    """The channel encoders read all frames of their own channel, as published; the fusion not."""
    signals = night(1)
    noises = {name: torch.rand(1, 10) for name in CHANNELS}
    given = iter(noises.values())
    done = net.masked(signals, {}, mask_ratio=0.4, draw=lambda *_: next(given))
    tokens = dict(done.tokens)
    hidden = done.maskings["E1"].hidden
    spoilt = tokens["E1"].clone()
    spoilt[:, 1:][hidden] = 5.0
    kept = [
        done.maskings[n].pick(net.fusion.placed(n, spoilt if n == "E1" else t))
        for n, t in tokens.items()
    ]
    assert torch.equal(net.fusion.fuse(kept, done.there), done.fused)


def test_each_decoder_reads_its_own_channel_and_the_published_ones_do_not(
    net: SynthSleepNet,
) -> None:
    noises = torch.rand(3, 4, 10)

    def guesses(split: str) -> torch.Tensor:
        net.config = replace(SMALL, decoder_split=split)
        given = iter(noises)
        with torch.no_grad():
            return net(night(), {}, mask_ratio=0.4, draw=lambda *_: next(given)).predicted[0][0]

    assert not torch.allclose(guesses("own"), guesses("upstream"))
    with pytest.raises(ValueError, match="upstream"):
        net(night(), {"E1": torch.zeros(1, dtype=torch.bool)}, mask_ratio=0.4)


def test_the_adapter_is_scaled_by_the_root_of_its_rank() -> None:
    adapted = AdaptedLinear(torch.nn.Linear(3, 2), rank=4, alpha=16, dropout=0.0)
    torch.nn.init.ones_(adapted.down)
    torch.nn.init.ones_(adapted.up)
    x = torch.ones(1, 3)
    plain = torch.nn.functional.linear(x, adapted.weight, adapted.bias)
    torch.testing.assert_close(adapted(x) - plain, torch.full((1, 2), 8.0 * 4 * 3))


def context(**fields: object) -> SynthSleepNetContext:
    """A small fine-tuned model."""
    torch.manual_seed(3)
    return SynthSleepNetContext(ContextConfig(**SIZES, channels=CHANNELS, **fields)).eval()


def test_fine_tuning_begins_where_pre_training_ended(net: SynthSleepNet) -> None:
    for adapter in adapters(net):
        torch.nn.init.normal_(adapter.up)
    stager = context()
    stager.take(net)
    with torch.no_grad():
        torch.testing.assert_close(stager.embed(night(), {}), net.embed(night(), {}))


def test_in_fine_tuning_only_the_second_adapters_drop_out() -> None:
    stager = context().train()
    active = [n for n, m in stager.fusion.named_modules() if m.training]
    assert active
    assert all(".frames.mlp." in n or n.endswith((".up", ".down")) for n in active)


def test_first_adapters_learn_on_unless_told_otherwise() -> None:
    def first(stager: SynthSleepNetContext) -> set[bool]:
        names = stager.fusion.encoders.named_parameters()
        return {p.requires_grad for n, p in names if "attention.out.up" in n}

    assert first(context()) == {True}
    assert first(context(train_first_adapters=False)) == {False}


def test_windows_of_a_night_count_every_epoch_once_with_the_wanted_context() -> None:
    epochs = {name: x[0] for name, x in night(11).items()}
    whole, windows = context(), context(window=4)
    overlapping = context(window=4, overlap=2)
    for stager in (windows, overlapping):
        stager.load_state_dict(whole.state_dict())
        assert stager.night_proba(epochs).shape == (11, 5)
    with torch.no_grad():
        h = whole.embed({k: x[None] for k, x in epochs.items()}, {})
        proba = {s: whole.reader(h[:, s : s + 4]).logits[0].softmax(-1) for s in range(8)}
    side_by_side = torch.cat([proba[0], proba[4], proba[7][1:]])
    torch.testing.assert_close(windows.night_proba(epochs), side_by_side)
    half = torch.cat([proba[0], *(proba[s][2:] for s in (2, 4, 6)), proba[7][3:]])
    torch.testing.assert_close(overlapping.night_proba(epochs), half)


def test_an_epoch_is_staged_from_those_before_it_alone() -> None:
    stager, signals = context(), night(8)
    with torch.no_grad():
        plain = stager(signals, {}).logits
        signals["C4"][:, 5] += 2
        other = stager(signals, {}).logits
    torch.testing.assert_close(plain[:, :5], other[:, :5], atol=1e-6, rtol=0)
    assert not torch.allclose(plain[:, 5], other[:, 5])


@pytest.mark.parametrize("name", ["synthsleepnet-probe", "synthsleepnet-context"])
def test_apnea_differs_from_staging_by_the_number_of_classes(name: str) -> None:
    stager = create(name, **SIZES, channels=CHANNELS, n_classes=2).eval()
    assert stager(night(), {}).logits.shape == (1, 4, 2)


def test_a_published_probe_loads_strictly() -> None:
    meta = json.loads(FIXTURE.read_text(encoding="utf-8"))
    whole, probe = weights(meta), {}
    for name, tensor in whole.items():
        second = "feature_layer" in name or "multimodal_encoder_block.3.mlp" in name
        if name.startswith("fc."):
            probe[name] = tensor
        elif name.startswith("backbone.") and not (second and "lora_" in name):
            name = name.replace("backbone.base_model.model.", "backbone.", 1)
            probe[name.replace(".base_layer", "") if second else name] = tensor
    stager = published.load("synthsleepnet-probe", probe, fused_heads=4)
    assert stager.config.channels == CHANNELS
    key = "backbone.backbone_networks.ECG.base_model.model.encoder_block.2.attn.proj.lora_B"
    ours = stager.fusion.encoders["ECG"].transformer.blocks[2].attention.out.up
    assert torch.equal(ours, probe[f"{key}.default.weight"])


class _Batch:
    """What the task takes of a batch."""

    nights = ("SIM/1",)

    def __init__(self, signals: dict[str, torch.Tensor]) -> None:
        self.signals = signals
        self.present = {n: torch.ones(x.shape[:2], dtype=torch.bool) for n, x in signals.items()}
