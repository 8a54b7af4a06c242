"""The correction of a run: weight and noise learned from other people, abstention told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nights.hypnogram import Hypnogram
from recordings.simulate.stages import draw_stages
from staging.corrector import Corrector
from staging.denoiser import as_one
from staging.noise import ArtificialStager


def stager() -> ArtificialStager:
    """A stager with much passing noise, such as a language model can mend."""
    return ArtificialStager(
        confusion=0.7 * np.eye(5) + 0.06, steadiness=500, blur=0.3, slow_share=0, slow=0.9,
        fast=0.0, sharpness=1.0, hard=False,
    )  # fmt: skip


def outputs(path: Path, rng: np.random.Generator, *, perfect: bool = False) -> Path:
    """Scored nights of six people as the stager gives them."""
    truths = [draw_stages(rng, 300, age=40) for _ in range(6)]
    said = [np.exp(stager().stage(stages, rng)) for stages in truths]
    if perfect:
        said = [0.9 * np.eye(5)[stages] + 0.02 for stages in truths]
    who = np.repeat([f"p{number}" for number in range(6)], 300)
    labels = np.concatenate(truths)
    np.savez(path, proba=np.concatenate(said), labels=labels, night=who, person=who)
    return path


def one_night(rng: np.random.Generator) -> tuple[Hypnogram, np.ndarray]:
    """A night of the stager and its truth."""
    truth = draw_stages(rng, 300, age=40)
    return Hypnogram.from_proba(np.exp(stager().stage(truth, rng)), scorer="made"), truth


def test_the_weight_is_chosen_on_other_people(rng: np.random.Generator, tmp_path: Path) -> None:
    file = outputs(tmp_path / "scored.npz", rng)
    corrector = Corrector("markov-open", decoder="viterbi", weight=0.01, learn_from=[file])
    assert not corrector.abstains
    assert corrector.weight > 0.05
    assert corrector.provenance["weight"] == corrector.weight
    assert corrector.provenance["learned_from"] == "scored.npz"
    raw, truth = one_night(rng)
    assert (corrector(raw).stages == truth).mean() > (raw.stages == truth).mean()


def test_where_nothing_is_gained_the_night_stays_and_says_so(
    rng: np.random.Generator, tmp_path: Path
) -> None:
    file = outputs(tmp_path / "scored.npz", rng, perfect=True)
    corrector = Corrector("markov-open", decoder="viterbi", learn_from=[file])
    raw, _ = one_night(rng)
    found = corrector(raw)
    assert corrector.abstains
    assert np.array_equal(found.stages, raw.stages)
    assert np.array_equal(found.proba, raw.proba)
    assert "abstains" in found.notes[-1]


def test_the_generic_denoiser_mends_stagers_it_never_met() -> None:
    corrector = Corrector("", decoder="denoiser")
    right = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        truth = draw_stages(rng, 600, age=40)
        said = np.exp(ArtificialStager.draw(rng).stage(truth, rng))
        raw = Hypnogram.from_proba(said, scorer="made")
        right.append([(found.stages == truth).mean() for found in (raw, corrector(raw))])
    before, after = np.mean(right, axis=0)
    assert after > before + 0.02
    assert corrector.provenance["denoiser"] == "denoiser-open"


@pytest.mark.slow
def test_the_denoiser_can_be_fitted_to_the_stager(rng: np.random.Generator, tmp_path: Path) -> None:
    file = outputs(tmp_path / "scored.npz", rng)
    corrector = Corrector("", decoder="denoiser", learn_from=[file])
    assert corrector.committee.persons == {f"p{number}" for number in range(6)}
    raw, truth = one_night(rng)
    assert (corrector(raw).stages == truth).mean() > (raw.stages == truth).mean()


def test_stagers_heard_together_are_fitted_together(
    rng: np.random.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("staging.denoiser.BATCHES_PER_PASS", 2)
    state = rng.bit_generator.state
    one = outputs(tmp_path / "one.npz", rng)
    with np.load(one) as file:
        content = dict(file)
    truths = content["labels"].reshape(6, 300)
    again = np.concatenate([np.exp(stager().stage(stages, rng)) for stages in truths])
    np.savez(tmp_path / "two.npz", **content | {"proba": again})
    rng.bit_generator.state = state
    corrector = Corrector("", decoder="denoiser", learn_from=[one, tmp_path / "two.npz"])
    assert corrector.provenance["learned_from"] == "one.npz, two.npz"
    assert not corrector.abstains
    truth = draw_stages(rng, 300, age=40)
    voices = np.stack([np.exp(stager().stage(truth, rng)) for _ in range(2)], axis=1)
    heard = Hypnogram.from_proba(np.exp(as_one(np.log(voices))))
    voices[7, 1] = np.nan  # one of them says nothing of an epoch: it stays as it was
    found = corrector(heard, voices)
    assert (found.stages == truth).mean() > (heard.stages == truth).mean()
    if corrector.committee.n_stagers == 2:
        assert found.stages[7] == heard.stages[7]
        with pytest.raises(ValueError, match="fitted to 2 stagers"):
            corrector(heard)


def test_a_denoiser_is_no_language_model() -> None:
    with pytest.raises(ValueError, match="no language model"):
        Corrector("denoiser-open", decoder="greedy")
