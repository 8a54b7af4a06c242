"""The staging task: what the loss counts, what weighs batches, what judges a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from engine.staging_task import StagingTask, class_weights, in_classes, predict, summary
from evaluation.outputs import NightOutput
from models import StagerOutput
from nights.windows import NightWindows
from tests.makers.stagers import TinyConfig, TinyStager, batch_of, told_night

# Stage counts of LPSGM's sources in thousands, from its paper's table, and the weights it gives
COUNTS = (8_000_000, 1_326_000, 9_450_000, 3_186_000, 3_378_000)


def gradients(model: torch.nn.Module) -> torch.Tensor:
    """Return all gradients in one vector."""
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    return torch.cat([grad.flatten() for grad in grads])


def test_the_loss_is_the_mean_cross_entropy_of_the_scored_epochs() -> None:
    torch.manual_seed(0)
    model, batch = TinyStager().eval(), batch_of([[0, 1, -1, 4], [2, -1, -1, -1]])
    loss, told = StagingTask().loss(model, batch)
    logits = model(batch.signals, batch.present).logits
    by_hand = [-logits[b, e].log_softmax(-1)[s] for b, e, s in [(0, 0, 0), (0, 1, 1), (0, 3, 4)]]
    by_hand.append(-logits[1, 0].log_softmax(-1)[2])
    assert loss.item() == pytest.approx(torch.stack(by_hand).mean().item(), rel=1e-5)
    assert told == {"loss": pytest.approx(loss.item())}
    assert StagingTask().weight(batch) == 4


@pytest.mark.parametrize("weights", [(), (0.1, 0.5, 0.1, 0.2, 0.1)])
def test_batches_weighed_together_have_the_gradient_of_one_batch(weights: tuple) -> None:
    torch.manual_seed(0)
    model, task = TinyStager().eval(), StagingTask(class_weights=weights)
    whole = batch_of([[0, 1, -1, 4], [2, -1, -1, -1], [3, 3, 1, 0]])
    parts = [rows(whole, slice(0, 1)), rows(whole, slice(1, 3))]
    task.loss(model, whole)[0].backward()
    at_once = gradients(model)
    model.zero_grad()
    total = sum(task.weight(part) for part in parts)
    assert total == pytest.approx(task.weight(whole))
    for part in parts:
        (task.loss(model, part)[0] * (task.weight(part) / total)).backward()
    torch.testing.assert_close(gradients(model), at_once)


def rows(batch: Any, part: slice) -> Any:
    """Return some windows of a batch."""
    signals = {name: x[part] for name, x in batch.signals.items()}
    present = {name: p[part] for name, p in batch.present.items()}
    kind = type(batch)
    return kind(signals, present, batch.stages[part], batch.nights[part], batch.first[part])


def test_class_weights_are_normalised_inverse_frequencies() -> None:
    assert class_weights([1, 2, 4]) == pytest.approx((4 / 7, 2 / 7, 1 / 7))
    assert class_weights([10, 0, 10]) == (0.5, 0.0, 0.5)
    found = class_weights(COUNTS)
    assert found == pytest.approx((0.0784, 0.4728, 0.0664, 0.1968, 0.1856), abs=5e-4)


def test_four_classes_merge_n1_and_n2() -> None:
    stages = torch.tensor([[-1, 0, 1, 2, 3, 4]])
    assert in_classes(stages, 4).tolist() == [[-1, 0, 1, 1, 2, 3]]
    assert in_classes(stages, 5) is stages
    model = TinyStager(TinyConfig(n_classes=4))
    loss, _ = StagingTask().loss(model, batch_of([[0, 1, 2, 4]]))
    assert loss.isfinite()


def test_frozen_parts_keep_their_running_statistics() -> None:
    model, batch = TinyStager().train(), batch_of([[0, 1, 2, 4]])
    before = model.norm.running_mean.clone()
    StagingTask(frozen=("norm",)).loss(model, batch)
    assert torch.equal(model.norm.running_mean, before)
    assert model.head.training
    model.train()
    StagingTask().loss(model, batch)
    assert not torch.equal(model.norm.running_mean, before)


def test_a_model_can_bring_its_own_loss() -> None:
    class Strict(TinyStager):
        def loss(self, output: StagerOutput, stages: Any, weight: Any) -> torch.Tensor:
            assert stages.shape == output.logits.shape[:2]
            assert weight is None
            return output.logits.square().mean() + 1

    loss, told = StagingTask().loss(Strict(), batch_of([[0, 1, 2, 4]]))
    assert loss > 1
    assert told["loss"] == pytest.approx(loss.item())


def test_a_night_is_judged_whole_with_what_was_not_scored_left_out(tmp_path: Path) -> None:
    stages = [0] * 5 + [-1] * 3 + [2] * 6
    nights = [told_night(tmp_path, "n1", stages), told_night(tmp_path, "n2", stages, dataset="B")]
    model = TinyStager()
    outputs = list(predict(model, NightWindows(nights, ["C4"], None, normalise="z")))
    assert [output.night for output in outputs] == ["SET/n1", "B/n2"]
    assert [output.person for output in outputs] == ["set-n1", "b-n2"]
    assert all(output.labels.tolist() == stages for output in outputs)
    found = StagingTask().evaluate(model, NightWindows(nights, ["C4"], None, normalise="z"))
    assert {"accuracy", "kappa", "macro_f1", "f1_W", "f1_N2", "nll"} <= set(found)
    assert found["accuracy"] == pytest.approx((found["SET/accuracy"] + found["B/accuracy"]) / 2)


def test_windows_side_by_side_cover_every_scored_epoch(tmp_path: Path) -> None:
    path = told_night(tmp_path, "n1", [0, 1, 2, 3, 4, 0, 1, 2, 3, 4])
    model = TinyStager().eval()
    windows = NightWindows([path], ["C4"], 4, keep_tail=True, normalise="z")
    whole = NightWindows([path], ["C4"], None, normalise="z")
    by_window = StagingTask().evaluate(model, windows)
    by_night = StagingTask().evaluate(model, whole)  # this model looks at single epochs
    assert by_window == pytest.approx(by_night)


def test_wake_far_from_sleep_is_not_judged(tmp_path: Path) -> None:
    path = told_night(tmp_path, "n1", [0] * 20 + [2] * 5 + [0] * 20)
    (output,) = predict(TinyStager(), NightWindows([path], ["C4"], None), trim_epochs=3)
    assert (output.labels >= 0).sum() == 3 + 5 + 3
    assert output.proba is not None
    assert np.isfinite(output.proba).all()


def test_epochs_in_a_gap_get_no_stage(tmp_path: Path) -> None:
    gaps = np.zeros(10, dtype=bool)
    gaps[4:6] = True
    path = told_night(tmp_path, "n1", [2] * 10, gaps=gaps)
    (output,) = predict(TinyStager(), NightWindows([path], ["C4"], None))
    assert np.flatnonzero(output.stages == -1).tolist() == [4, 5]


def test_the_headline_says_which_way_is_better() -> None:
    assert StagingTask(headline="kappa").higher_is_better
    assert not StagingTask(headline="nll").higher_is_better


def test_figures_of_a_known_night() -> None:
    proba = np.eye(5, dtype=np.float32)[[0, 2, 2, 4]] * 0.9 + 0.02
    output = NightOutput("n", "p", np.array([0, 2, 1, 4]), proba, dataset="SET")
    found = summary([output])
    assert found["accuracy"] == 0.75
    assert found["f1_N2"] == pytest.approx(2 / 3)
    assert "f1_N3" not in found  # on neither side
    assert found["nll"] == pytest.approx(-(3 * np.log(0.92) + np.log(0.02)) / 4, rel=1e-5)
    with pytest.raises(ValueError, match="no scored epoch"):
        summary([NightOutput("n", "p", np.full(4, -1), proba)])


def test_the_loss_of_equal_logits_is_that_of_chance() -> None:
    model = TinyStager()
    torch.nn.init.zeros_(model.head.weight)
    torch.nn.init.zeros_(model.head.bias)
    loss, _ = StagingTask(class_weights=(1.0, 2.0, 3.0, 4.0, 5.0)).loss(
        model, batch_of([[0, 1, 2, 4]])
    )
    assert loss.item() == pytest.approx(
        float(F.cross_entropy(torch.zeros(1, 5), torch.tensor([0])))
    )
