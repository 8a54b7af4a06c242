"""The denoiser: persons apart, gaps respected, confidence levelled, noise as drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import models
from engine.denoising import DenoisingTask, JudgedNight, JudgedSource, _read, denoised_log_probs
from engine.weights import load
from models.denoiser import Denoiser
from nights.hypnogram import Hypnogram
from nights.sequences import StageNight
from recordings.simulate.stages import draw_stages
from staging.correct import denoise
from staging.denoiser import CONFIDENCE, Committee, fit, fused, spoiled, tempered
from staging.noise import ArtificialStager, hard_log_probs


def small(seed: int = 0, **config: int) -> Denoiser:
    """A denoiser whose context counts: no weight of it is zero."""
    torch.manual_seed(seed)
    model = models.create("denoiser", **{"width": 8, "n_layers": 1, **config})
    torch.nn.init.normal_(model.head.weight)
    return model.eval()


def judged(n_persons: int, rng: np.random.Generator, n_epochs: int = 200) -> list[JudgedNight]:
    """Nights of several people as one artificial stager gives them."""
    stager = ArtificialStager.draw(rng)
    nights = []
    for person in range(n_persons):
        stages = draw_stages(rng, n_epochs, age=40).astype(np.int8)
        evidence = stager.stage(stages, rng)[:, None]
        nights.append(JudgedNight(f"night{person}", f"person{person}", evidence, stages))
    return nights


@pytest.mark.parametrize("factor", [0.3, 1.0, 5.0])
def test_every_output_is_brought_to_one_confidence_whatever_it_was(
    rng: np.random.Generator, factor: float
) -> None:
    logits = torch.from_numpy(rng.standard_normal((300, 5)))
    said = (factor * logits).log_softmax(dim=1).numpy()
    levelled = tempered(said)
    assert np.exp(levelled).max(axis=1).mean() == pytest.approx(CONFIDENCE, abs=2e-3)
    assert np.array_equal(levelled.argmax(axis=1), said.argmax(axis=1))
    assert np.allclose(tempered(levelled), levelled, atol=1e-2)


def test_epochs_without_output_stay_without(rng: np.random.Generator) -> None:
    said = hard_log_probs(np.array([0, 1, -1, 2, 2]))
    assert np.isnan(tempered(said)[2]).all()
    assert np.isfinite(tempered(said)[[0, 1, 3, 4]]).all()
    assert np.isnan(tempered(np.full((3, 5), np.nan))).all()


def test_an_untrained_denoiser_returns_what_it_was_given(rng: np.random.Generator) -> None:
    said = hard_log_probs(rng.integers(0, 5, 50))
    told = denoised_log_probs(models.create("denoiser"), said[:, None])
    assert np.allclose(told, said, atol=1e-5)


def test_a_widened_denoiser_begins_as_the_old_one_of_equal_outputs() -> None:
    one = small()
    said = torch.from_numpy(hard_log_probs(np.arange(30) % 5))[None, :, None]
    three = one.widened(3).eval()
    assert torch.allclose(one(said), three(said.expand(-1, -1, 3, -1)), atol=1e-5)
    with pytest.raises(ValueError, match="already reads 3"):
        three.widened(2)


def test_nothing_crosses_a_gap(rng: np.random.Generator) -> None:
    model, said = small(), hard_log_probs(rng.integers(0, 5, 80))[:, None]
    said[30:33] = np.nan
    whole = denoised_log_probs(model, said)
    assert np.isnan(whole[30:33]).all()
    for part in (slice(0, 30), slice(33, 80)):
        assert np.allclose(whole[part], denoised_log_probs(model, said[part]), atol=1e-6)


def test_a_hypnogram_keeps_its_gaps_and_says_what_was_done(rng: np.random.Generator) -> None:
    proba = rng.dirichlet(np.ones(5), 60).astype(np.float32)
    proba[20:22] = np.nan
    found = denoise(Hypnogram.from_proba(proba, scorer="noise"), Committee((small(),)))
    assert (found.stages[20:22] == -1).all()
    assert (found.stages[:20] >= 0).all()
    assert found.scorer == "noise + denoiser"
    assert "denoiser correction" in found.notes[0]
    assert np.array_equal(found.stages[:20], found.proba[:20].argmax(axis=1))


def test_four_classes_and_bare_stages_are_refused() -> None:
    committee = Committee((small(),))
    with pytest.raises(ValueError, match="no hypnodensity"):
        denoise(Hypnogram(np.zeros(9, dtype=int)), committee)
    four = Hypnogram.from_proba(np.full((9, 4), 0.25), classes=("W", "L", "D", "R"))
    with pytest.raises(ValueError, match="W L D R"):
        denoise(four, committee)


def test_a_fitted_denoiser_refuses_the_people_it_was_fitted_on(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    nights = judged(4, rng)
    committee = fit(nights, small(), tmp_path, n_members=2, n_passes=1)
    with pytest.raises(ValueError, match="person2 is among"):
        committee.log_probs(nights[2].evidence, "person2")
    assert committee.log_probs(nights[2].evidence, "somebody else").shape == (200, 5)


def test_what_is_unseen_comes_from_members_that_did_not_see_the_person(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    nights = judged(4, rng)
    committee = fit(nights, small(), tmp_path, n_members=4, n_passes=1)
    assert set(committee.unseen) == {night.night for night in nights}
    # Without its own scoring the result of a night is the same: it cannot have been learned from
    spoilt = [
        JudgedNight(n.night, n.person, n.evidence, np.roll(n.stages, 7)) if k == 1 else n
        for k, n in enumerate(nights)
    ]
    again = fit(spoilt, small(), tmp_path / "again", n_members=4, n_passes=1)
    assert np.allclose(again.unseen["night1"], committee.unseen["night1"], atol=1e-6)


def test_one_person_is_enough_for_a_fit(rng: np.random.Generator, tmp_path: Path) -> None:
    committee = fit(judged(1, rng), small(), tmp_path, n_passes=1)
    assert len(committee.members) == 1
    assert committee.unseen == {}


def test_blocks_never_hold_both_sides_of_a_gap(rng: np.random.Generator) -> None:
    stages = np.repeat(np.array([0, 2], dtype=np.int8), 60)
    evidence = hard_log_probs(stages)[:, None]
    evidence[59:61] = np.nan
    source = JudgedSource(
        [JudgedNight("n", "p", evidence, stages)], length=50, batch_size=8, n_batches=4
    )
    for batch in source.draw(torch.Generator().manual_seed(0)):
        for row in batch.stages:
            assert len(set(row[row >= 0].tolist())) == 1


def test_a_share_of_the_epochs_is_silenced_and_the_truth_is_kept() -> None:
    stages = np.full(400, 2, dtype=np.int8)
    night = JudgedNight("n", "p", np.stack([hard_log_probs(stages)] * 2, axis=1), stages)
    size = {"length": 100, "batch_size": 8, "n_batches": 2}
    source = JudgedSource([night], **size, silenced=0.25)
    for batch in source.draw(torch.Generator().manual_seed(0)):
        silent = (batch.evidence == batch.evidence[..., :1]).all(dim=-1)  # (B, T, S)
        assert 0.2 < silent.float().mean() < 0.3
        assert (silent[..., 0] != silent[..., 1]).any()
        assert (batch.stages == 2).all()
    (whole, _) = JudgedSource([night], **size).draw(torch.Generator().manual_seed(0))
    assert not (whole.evidence == whole.evidence[..., :1]).all(dim=-1).any()


def test_training_lowers_the_loss_on_other_people(rng: np.random.Generator) -> None:
    scored = [StageNight("made", f"n{k}", f"p{k}", draw_stages(rng, 400, age=50)) for k in range(6)]
    nights = spoiled(scored, 2, rng)
    model = models.create("denoiser", width=16, n_layers=1)
    task = DenoisingTask()
    before = task.evaluate(model, nights[10:])["nll"]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    source = JudgedSource(nights[:10], length=64, batch_size=16, n_batches=40)
    for batch in source.draw(torch.Generator().manual_seed(0)):
        model.train()
        loss, _ = task.loss(model, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert task.evaluate(model, nights[10:])["nll"] < 0.9 * before


def test_a_drawn_stager_confuses_as_its_confusion_says(rng: np.random.Generator) -> None:
    stager = ArtificialStager(
        confusion=0.8 * np.eye(5) + 0.04, steadiness=1e6, blur=0, slow_share=0.5, slow=0.9,
        fast=0.2, sharpness=1.0, hard=True,
    )  # fmt: skip
    truth = np.repeat(np.arange(5), 4000)
    said = stager.stage(truth, rng).argmax(axis=1)
    shares = np.bincount(truth * 5 + said, minlength=25).reshape(5, 5) / 4000
    assert np.allclose(np.diag(shares), 0.84, atol=0.04)
    assert np.allclose(shares.sum(axis=1), 1)


@pytest.mark.parametrize("seed", range(5))
def test_a_drawn_stager_gives_log_probabilities(seed: int) -> None:
    rng = np.random.default_rng(seed)
    stages = draw_stages(rng, 300, age=60)
    said = ArtificialStager.draw(rng).stage(stages, rng)
    assert said.dtype == np.float32
    assert np.allclose(np.exp(said).sum(axis=1), 1, atol=1e-4)


def test_stagers_side_by_side_are_levelled_each(rng: np.random.Generator) -> None:
    both = np.stack([hard_log_probs(rng.integers(0, 5, 40)) for _ in range(2)], axis=1)
    levelled = fused(both)
    assert levelled.shape == (40, 2, 5)
    assert np.allclose(np.exp(levelled).max(axis=2).mean(axis=0), CONFIDENCE, atol=2e-3)


def test_a_long_night_in_windows_is_read_as_if_at_once(rng: np.random.Generator) -> None:
    model = load("denoiser-open")[0]
    stages = draw_stages(rng, 1100, age=50)
    said = fused(ArtificialStager.draw(rng).stage(stages, rng)[:, None])
    with torch.inference_mode():
        at_once = model(torch.from_numpy(said)[None])[0].argmax(dim=1).numpy()
    in_windows = denoised_log_probs(model, said).argmax(axis=1)
    assert (at_once == in_windows).mean() > 0.99


def test_windows_join_without_a_seam() -> None:
    said = np.zeros((700, 1, 5), dtype=np.float32)
    said[:, 0] = np.arange(700)[:, None]
    told = _read(lambda rows: rows[:, :, 0], torch.from_numpy(said))  # type: ignore[arg-type]
    assert np.array_equal(told[:, 0].numpy(), np.arange(700))
