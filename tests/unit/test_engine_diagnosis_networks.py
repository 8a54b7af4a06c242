"""Networks over hypnograms: read once when frozen, the same when loaded, explained by parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.diagnosis.cases import Case
from engine.diagnosis.explain import explain
from engine.diagnosis.hypnogram_networks import (
    NETWORKS,
    FittedNetwork,
    HypnogramNetwork,
    NightRecipe,
)
from engine.diagnosis.night_task import NightSource, lay_out, night_proba, read_segments, taken
from engine.optim import Plan
from nights.stages import UNSCORED, R
from tests.makers.diagnosis_cases import simulated

QUICK = NightRecipe(init="", mode="frozen", plan=Plan(2, lr=1e-3), batch_size=8)


def network(name: str, **changes: object) -> HypnogramNetwork:
    return HypnogramNetwork(name, 2, replace(QUICK, **changes))


@pytest.mark.parametrize("name", list(NETWORKS))
def test_a_loaded_network_says_the_same(name: str, tmp_path: Path) -> None:
    cases = simulated(n_persons=12)
    fitted = network(name).fit(cases[:8], cases[8:10], tmp_path, seed=0)
    proba = fitted.proba(cases[10:])
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(network(name).load(tmp_path).proba(cases[10:]), proba)
    assert not (tmp_path / "last.pt").exists()


@pytest.mark.parametrize("name", ["htn", "segments"])
def test_frozen_leaves_the_language_model_alone_and_full_trains_it(
    name: str, tmp_path: Path
) -> None:
    cases = simulated(n_persons=6)
    begun = network(name)._built(0).language.state_dict()
    for mode in ("frozen", "full"):
        encoder = network(name, mode=mode, plan=Plan(1, lr=1e-3))
        fitted = encoder.fit(cases[:4], cases[4:], tmp_path / mode, seed=0)
        after = fitted.model.language.state_dict()
        moved = any(not torch.equal(after[key], begun[key]) for key in begun)
        assert moved == (mode == "full")


def test_reading_before_gives_what_reading_at_once_gives() -> None:
    cases = simulated(n_persons=5)
    torch.manual_seed(0)
    model = network("htn-lstm")._built(0)
    nights = lay_out(cases, model.config.n_positions)
    before = night_proba(model, read_segments(model, nights))
    np.testing.assert_allclose(before, night_proba(model, nights), atol=1e-6)


def test_unscored_epochs_stay_in_their_place_and_say_nothing() -> None:
    (case,) = simulated(n_persons=1)
    stages = case.stages.copy()
    stages[70:100] = UNSCORED
    batch = lay_out([replace(case, stages=stages)], 60)
    assert not batch.second[0].flatten()[70:100].any()
    assert (batch.first[0].flatten()[70:100] == 5).all()
    assert batch.first[0].flatten()[100] == stages[100]


def test_a_night_nobody_scored_is_refused_by_name() -> None:
    (case,) = simulated(n_persons=1)
    with pytest.raises(ValueError, match="SIM0P0000N1' has no stages"):
        lay_out([replace(case, stages=case.stages[:0])], 60)


def test_batches_hold_every_night_once_and_no_empty_segments() -> None:
    cases = simulated(n_persons=7)
    cases[0] = replace(cases[0], stages=cases[0].stages[:100])
    nights = lay_out(cases, 60)
    batches = list(NightSource(nights, 3).draw(torch.Generator().manual_seed(0)))
    assert sorted(n for batch in batches for n in batch.nights) == sorted(nights.nights)
    assert taken(nights, torch.tensor([0])).first.shape == (1, 2, 60)


def test_a_language_model_is_wanted_to_begin_from(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a stage language model is wanted"):
        network("htn", init="markov-open")._built(0)


def test_weights_of_the_language_model_are_taken_over() -> None:
    from engine import weights

    model = network("htn", init="sleepgpt-open")._built(0)
    begun, _ = weights.load("sleepgpt-open")
    assert torch.equal(model.language.tokens.weight, begun.tokens.weight)
    assert model.config.n_positions == 60


class Rem(torch.nn.Module):
    """Says ill when there is any R, whatever else the night holds."""

    def __init__(self) -> None:
        super().__init__()
        self.anchor = torch.nn.Parameter(torch.zeros(1))
        self.config = type("Sizes", (), {"n_positions": 60})()

    def segments(self, ids: torch.Tensor, valid: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return (ids == R).any(dim=-1, keepdim=True).float(), valid.any(dim=-1)

    def classify(self, picked: torch.Tensor, there: torch.Tensor) -> object:
        n_rem = (picked[..., 0] * there).sum(dim=1)
        logits = torch.stack([torch.zeros_like(n_rem), 2 * n_rem - 1], dim=1)
        return type("Told", (), {"logits": logits + self.anchor})()


@pytest.mark.parametrize("part", [0, 3])
def test_the_part_that_carries_the_decision_is_found(part: int) -> None:
    stages = np.full(300, 2, np.int8)
    stages[60 * part + 20 : 60 * part + 40] = R
    case = Case("made/n", "made/p", "made", 1, stages)
    found = explain(FittedNetwork(Rem()), case)
    assert found.contributions.argmax() == part
    assert found.contributions[part] == pytest.approx(2, abs=1e-3)
    others = np.delete(found.contributions, part)
    np.testing.assert_allclose(others, 0, atol=1e-6)
    assert found.edges.tolist() == [0, 60, 120, 180, 240, 300]


def test_a_row_of_numbers_has_no_parts_to_explain() -> None:
    (case,) = simulated(n_persons=1)
    with pytest.raises(ValueError, match="no parts of the night"):
        explain(object(), case)
