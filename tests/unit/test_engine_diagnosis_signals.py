"""LPSGM as a diagnosis network: frozen or tuned, pooled or epoch by epoch, in one stage or two."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import models
from engine.checkpoint import save_weights
from engine.diagnosis.cases import Case, of_stored
from engine.diagnosis.explain import explain
from engine.diagnosis.signal_networks import NightReader, SignalNetwork, SignalRecipe, TwoStage
from engine.diagnosis.window_task import FeatureBatch, WindowTask
from engine.optim import Plan
from engine.staging_nights import StoredNight
from nights.night import Night
from tests.makers.diagnosis_cases import simulated
from tests.makers.stagers import told_night


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """Five short nights of five people, every second one ill by decree."""
    root, stages = tmp_path_factory.mktemp("store"), [0] * 5 + [2] * 30 + [4] * 10
    paths = [told_night(root, f"n{n}", stages, channels=("C4", "E1")) for n in range(5)]
    return [of_stored(path, number % 2) for number, path in enumerate(paths)]


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small stager with weights of its own."""
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, models.create("lpsgm", n_blocks=1), {"view": "psg9"})
    return str(path)


def network(backbone: str, cache: Path, **changes: object) -> SignalNetwork:
    recipe = SignalRecipe(backbone, plan=Plan(1, lr=1e-3), batch_size=4, stride=10)
    return SignalNetwork(2, replace(recipe, **changes), cache)


@pytest.mark.parametrize("head", ["pooled", "epochwise"])
def test_a_frozen_backbone_stays_and_reads_each_night_once(
    cases: list[Case], backbone: str, tmp_path: Path, head: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = network(backbone, tmp_path / "features", head=head)
    fitted = encoder.fit(cases[:3], cases[3:], tmp_path / "fold0", seed=0)
    begun = encoder.build().sequence.state_dict()
    after = fitted.model.sequence.state_dict()
    assert all(torch.equal(after[key], begun[key]) for key in begun)
    assert not torch.equal(fitted.model.head.weight, encoder.build().head.weight)
    proba = fitted.proba(cases[3:])
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    monkeypatch.setattr(NightReader, "_read", lambda *_: pytest.fail("a night was read again"))
    again = encoder.load(tmp_path / "fold0")
    np.testing.assert_array_equal(again.proba(cases[3:]), proba)


def test_both_heads_are_the_same_network_in_use(cases: list[Case], backbone: str) -> None:
    model = network(backbone, Path()).build().eval()
    epochs, mean = (NightReader(10, pooled=pooled)(model, cases[0]) for pooled in (False, True))
    with torch.no_grad():
        one, other = (model.heads(torch.from_numpy(x).float()).logits for x in (epochs, mean))
    torch.testing.assert_close(one, other, atol=2e-3, rtol=0)  # kept in float16


def test_tuning_changes_the_backbone_a_little_and_the_head_more(
    cases: list[Case], backbone: str, tmp_path: Path
) -> None:
    plan = Plan(1, lr=1e-5, fresh_factor=100.0, warmup=0.0)
    encoder = network(backbone, tmp_path, mode="full", joint=0.5, plan=plan)
    begun = encoder.build()
    fitted = encoder.fit(cases[:3], cases[3:], tmp_path / "fold0", seed=0)
    moved = {
        part: max(
            (after - before).abs().max().item()
            for (_, after), (_, before) in zip(
                fitted.model.get_submodule(part).named_parameters(),
                begun.get_submodule(part).named_parameters(),
                strict=True,
            )
        )
        for part in ("sequence", "head", "stage_head")
    }
    assert 0 < moved["sequence"] < 1e-3
    assert moved["head"] > 10 * moved["sequence"]
    assert moved["stage_head"] > 0  # the staging loss took part


def test_two_stages_put_logistic_regression_on_the_mean_feature(
    cases: list[Case], backbone: str, tmp_path: Path
) -> None:
    encoder = TwoStage(network(backbone, tmp_path / "features"))
    folder = tmp_path / "lpsgm-logistic" / "random-folds-0" / "fold0"
    fitted = encoder.fit(cases[:4], cases[4:], folder, seed=0)
    model = encoder.network.build()
    wanted = NightReader(10)(model, cases[0]).astype(np.float64).mean(axis=(0, 1))
    np.testing.assert_allclose(fitted.encoder.row(cases[0]), wanted)
    np.testing.assert_allclose(encoder.load(folder).proba(cases), fitted.proba(cases))


def test_two_stages_take_the_backbone_that_was_tuned_in_the_fold(
    cases: list[Case], backbone: str, tmp_path: Path
) -> None:
    first = network(backbone, tmp_path, mode="full", plan=Plan(1, lr=1e-2))
    folder = Path("random-folds-0") / "fold0"
    tuned = first.fit(cases[:4], cases[4:], tmp_path / "lpsgm" / folder, seed=0)
    second = TwoStage(first).fit(cases[:4], cases[4:], tmp_path / "lpsgm-logistic" / folder, seed=0)
    wanted = NightReader(10)(tuned.model, cases[0]).astype(np.float64).mean(axis=(0, 1))
    np.testing.assert_allclose(second.encoder.row(cases[0]), wanted)


def test_the_loss_of_each_head_by_hand(cases: list[Case]) -> None:
    from torch.nn import functional as F

    torch.manual_seed(0)
    model = models.create("lpsgm-diagnosis", n_blocks=1)
    features = torch.randn(2, 20, model.config.width)
    batch = FeatureBatch(features, (cases[0].night, cases[1].night))
    labels, weights = torch.tensor([0, 1]), torch.tensor([3 / 4, 3 / 2])  # of 2 and 1 persons
    told = model.head(features)
    wanted = {
        "pooled": F.cross_entropy(told.mean(dim=1), labels, weight=weights),
        "epochwise": F.cross_entropy(told.flatten(0, 1), labels.repeat_interleave(20), weights),
    }
    for head, loss in wanted.items():
        task = WindowTask(cases[:3], cases[3:], 2, head=head, joint=0.0, proba=lambda *_: None)
        torch.testing.assert_close(task.loss(model, batch)[0], loss)


def test_the_features_of_a_night_are_those_of_its_windows(cases: list[Case], backbone: str) -> None:
    model = network(backbone, Path()).build().eval()
    case = cases[0]
    read = NightReader(10, pooled=False)(model, case)
    night = Night.open(case.path)
    shared = [name for name in model.channels if name in night.channels]
    assert case.path is not None
    normalise = StoredNight.read(case.path).normalise(model)
    signals = night.read(shared, case.first + 10, 20, normalise=normalise)
    window = {name: torch.from_numpy(x)[None] for name, x in signals.items()}
    present = {name: torch.ones(1, 20, dtype=torch.bool) for name in shared}
    with torch.no_grad():
        wanted = model.features(window, present)[0]
    np.testing.assert_allclose(read[1].astype(np.float32), wanted.numpy(), atol=2e-2)


def test_a_part_of_the_night_is_explained_by_the_windows_without_it(
    cases: list[Case], backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.diagnosis.explain.PART_EPOCHS", 15)
    fitted = network(backbone, tmp_path).fit(cases[:3], cases[3:], tmp_path / "fold0", seed=0)
    found = explain(fitted, cases[0])
    assert found.edges.tolist() == [0, 15, 30, 45]
    proba = fitted.window_proba(cases[0])[:, 1]  # windows begin at 0, 10 and 20
    odds = np.log(proba / (1 - proba))
    mean = np.log(proba.mean() / (1 - proba.mean()))
    assert found.contributions[0] == pytest.approx(mean - odds[2])
    assert np.isnan(found.contributions[1])  # every window touches the middle


def test_stages_alone_are_refused() -> None:
    (case,) = simulated(n_persons=1)
    with pytest.raises(ValueError, match="has stages alone"):
        NightReader(5)(models.create("lpsgm-diagnosis", n_blocks=1), case)
