"""Aggregation of overlapping decisions, and what the networks around it promise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

import models
from models.aggregation import Rule, fused_logits, votes

SMALL = {
    "seqsleepnet": {"window": 4, "frame_hidden": 6, "epoch_hidden": 6},
    "e2e-arnn": {"frame_hidden": 6},
    "multitask-arnn": {"frame_hidden": 6},
    "e2e-deepsleepnet": {"window": 4, "hidden": 6},
    "deepsleepnet": {"hidden": 6},
    "tinysleepnet": {"hidden": 6, "width": 8},
}
RULES: tuple[Rule, ...] = ("multiplicative", "additive")
rule_drawn, seed_drawn = st.sampled_from(RULES), st.integers(0, 2**31)


def small(name: str, **config: object) -> torch.nn.Module:
    """A network of the family with few units."""
    torch.manual_seed(7)
    return models.create(name, **(SMALL[name] | config))


def signals_of(model: torch.nn.Module, n_epochs: int, batch: int = 2) -> dict[str, torch.Tensor]:
    """Noise for every channel."""
    generator = torch.Generator().manual_seed(n_epochs)
    shape = (batch, n_epochs, 3000)
    return {name: 20 * torch.randn(shape, generator=generator) for name in model.channels}


@given(w=st.integers(1, 9), length=st.integers(1, 6), rule=rule_drawn, seed=seed_drawn)
def test_windows_that_agree_are_believed(w: int, length: int, rule: Rule, seed: int) -> None:
    row = torch.randn(5, generator=torch.Generator().manual_seed(seed))
    fused = fused_logits(row.expand(w, length, 5), rule).softmax(dim=-1)
    torch.testing.assert_close(fused, row.softmax(dim=-1).expand(w + length - 1, 5))


@given(w=st.integers(1, 9), length=st.integers(1, 6), rule=rule_drawn, seed=seed_drawn)
def test_votes_are_those_of_a_loop_over_windows(w: int, length: int, rule: Rule, seed: int) -> None:
    logits = torch.randn(w, length, 5, generator=torch.Generator().manual_seed(seed))
    told = logits.log_softmax(dim=-1) if rule == "multiplicative" else logits.softmax(dim=-1)
    want = torch.zeros(w + length - 1, 5)
    for p in range(w):
        for k in range(length):
            want[p + k] += told[p, k]
    torch.testing.assert_close(votes(logits, rule), want)
    assert torch.equal(fused_logits(logits, rule).argmax(-1), votes(logits, rule).argmax(-1))


@given(rule=rule_drawn, seed=seed_drawn, shift=st.floats(-50, 50))
def test_a_constant_added_to_logits_changes_nothing(rule: Rule, seed: int, shift: float) -> None:
    logits = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(seed))
    found = votes(logits + shift, rule)
    torch.testing.assert_close(found, votes(logits, rule), atol=1e-4, rtol=0)


@given(rule=rule_drawn)
def test_certain_windows_that_contradict_each_other_give_finite_votes(rule: Rule) -> None:
    logits = torch.zeros(3, 3, 5)
    logits[:, 0, 0] = logits[:, 1, 1] = logits[:, 2, 2] = 500.0
    assert fused_logits(logits, rule).isfinite().all()
    proba = fused_logits(logits, rule).softmax(dim=-1)
    torch.testing.assert_close(proba.sum(dim=-1), torch.ones(5))


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="multiplicative or additive, found 'mean'"):
        votes(torch.zeros(2, 2, 5), "mean")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SMALL)
def test_what_stands_in_an_absent_channel_cannot_change_the_night(name: str) -> None:
    model = small(name).eval()
    *_, last = model.channels
    night = {channel: x[0] for channel, x in signals_of(model, 6).items()}
    there = torch.tensor([True, True, False, True, False, True])
    spoilt = torch.where(there[:, None], night[last], torch.nan)
    first = model.night_proba(night, {last: there})
    again = model.night_proba({**night, last: spoilt}, {last: there})
    assert torch.equal(first, again)
    assert not torch.allclose(first, model.night_proba(night), atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["seqsleepnet", "e2e-deepsleepnet"])
def test_a_night_is_fused_from_all_its_windows_by_the_rule_asked_for(name: str, rule: Rule) -> None:
    model = small(name, aggregation=rule).eval()
    night = {channel: x[0] for channel, x in signals_of(model, 7).items()}
    with torch.no_grad():
        windows = [
            model({c: x[None, at : at + 4] for c, x in night.items()}, {}).logits[0]
            for at in range(4)
        ]
    want = fused_logits(torch.stack(windows), rule).softmax(dim=-1)
    torch.testing.assert_close(model.night_proba(night), want, atol=1e-5, rtol=0)


def test_neighbours_of_the_multitask_network_vote_for_an_epoch() -> None:
    model = small("multitask-arnn").eval()
    with torch.no_grad():
        output = model(signals_of(model, 4), {})
        told = model.decisions(output.features).log_softmax(dim=-1)  # (B, L, 3, K)
    inner = (told[:, 0, 2] + told[:, 1, 1] + told[:, 2, 0]) / 3
    torch.testing.assert_close(output.logits[:, 1], inner)
    torch.testing.assert_close(output.logits[:, 0], (told[:, 0, 1] + told[:, 1, 0]) / 2)


@settings(max_examples=5)
@given(seed=seed_drawn)
def test_attention_weights_of_an_epoch_sum_to_one(seed: int) -> None:
    model = small("seqsleepnet").eval()
    generator = torch.Generator().manual_seed(seed)
    signals = {name: torch.randn(1, 3, 3000, generator=generator) for name in model.channels}
    alpha = model.attention_weights(signals, {})
    assert alpha.shape == (1, 3, 29)
    torch.testing.assert_close(alpha.sum(dim=-1), torch.ones(1, 3))


@pytest.mark.parametrize("name", SMALL)
def test_unscored_epochs_do_not_count_in_the_loss(name: str) -> None:
    model = small(name).eval()
    output = model(signals_of(model, 4), {})
    stages = torch.tensor([[0, 1, 2, -1], [4, 3, -1, 2]])
    other = models.StagerOutput(output.logits.clone(), output.features.clone())
    other.logits[stages < 0] += torch.randn(5)
    assert model.loss(output, stages) == model.loss(other, stages)
    assert model.loss(output, torch.full_like(stages, -1)).isfinite()


@pytest.mark.parametrize("name", ["seqsleepnet", "e2e-arnn", "e2e-deepsleepnet"])
def test_the_loss_is_that_of_the_article_divided_by_its_batch(name: str) -> None:
    model = small(name).eval()
    output = model(signals_of(model, 4, batch=32), {})
    stages = torch.arange(4).repeat(32, 1)
    summed = F.cross_entropy(output.logits.flatten(0, 1), stages.flatten(), reduction="sum") / 4
    counted = [p for n, p in model.named_parameters() if not n.startswith("filterbank")]
    article = summed + 0.001 * 0.5 * sum(p.square().sum() for p in counted)
    torch.testing.assert_close(model.loss(output, stages), article / 32)


def test_the_loss_of_the_multitask_network_is_the_sum_over_its_three_heads() -> None:
    model = small("multitask-arnn", l2=0.0).eval()
    output = model(signals_of(model, 5), {})
    stages = torch.tensor([[0, 1, 2, 3, 4], [4, 4, 2, 1, 0]])
    told = model.decisions(output.features)
    want = 0.0
    for head, shift in ((0, -1), (1, 0), (2, 1)):
        logits = torch.cat([told[b, t, head][None] for b in range(2) for t in (1, 2, 3)])
        wanted = torch.stack([stages[b, t + shift] for b in range(2) for t in (1, 2, 3)])
        want = want + F.cross_entropy(logits, wanted)
    torch.testing.assert_close(model.loss(output, stages), want)
    with pytest.raises(ValueError, match="windows of 2 epochs: none has both neighbours"):
        model.loss(model(signals_of(model, 2), {}), stages[:, :2])


@pytest.mark.parametrize("name", SMALL)
def test_a_few_steps_on_stages_that_show_in_the_signal_lower_the_loss(name: str) -> None:
    model = small(name, dropout=0.1)
    stages = (torch.arange(4) + torch.arange(6)[:, None]) % 4  # none at the same place always
    seconds = torch.arange(3000) / 100
    waves = torch.stack([torch.sin(2 * torch.pi * f * seconds) for f in (2.0, 6.0, 11.0, 17.0)])
    torch.manual_seed(1)
    signals = {c: 30 * waves[stages] + torch.randn(6, 4, 3000) for c in model.channels}
    if hasattr(model, "fit_statistics"):
        model.fit_statistics([(signals, {})])
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        loss = model.loss(model(signals, {}), stages)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert np.mean(losses[-3:]) < 0.95 * np.mean(losses[:3])
