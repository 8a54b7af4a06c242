"""What is used of a fit: decided on people it has not seen, nothing where nothing is gained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.correction_curve import drawn
from engine.denoising import JudgedNight
from engine.weights import load
from evaluation.outputs import largest
from models.denoiser import Denoiser
from recordings.simulate.stages import draw_stages
from staging import fitted
from staging.choice import choose
from staging.denoiser import Committee, as_one
from staging.fitted import Fitted, joined, learn
from staging.noise import ArtificialStager, hard_log_probs
from staging.outputs import raw_stages
from staging.prior import StagePrior


@pytest.fixture(scope="module")
def generic() -> Denoiser:
    """The denoiser that ships."""
    return load("denoiser-open")[0]  # type: ignore[return-value]


def judged(rng: np.random.Generator, *, perfect: bool = False) -> list[JudgedNight]:
    """Nights of six people as one stager with much passing noise gives them."""
    stager = ArtificialStager(
        confusion=0.7 * np.eye(5) + 0.06, steadiness=500, blur=0.3, slow_share=0, slow=0.9,
        fast=0.0, sharpness=1.0, hard=False,
    )  # fmt: skip
    nights = []
    for person in range(6):
        stages = draw_stages(rng, 300, age=40).astype(np.int8)
        said = hard_log_probs(stages) if perfect else stager.stage(stages, rng)
        nights.append(JudgedNight(f"n{person}", f"p{person}", said[:, None], stages))
    return nights


def fake_fit(monkeypatch: pytest.MonkeyPatch, generic: Denoiser, *, right: float) -> None:
    """Let every fit say the truth with this probability, and rubbish else."""

    def fit(nights: list[JudgedNight], *_: object, **__: object) -> Committee:
        rng = np.random.default_rng(0)
        told = {}
        for night in nights[:4]:  # of the others no member is without knowledge
            wrong = rng.integers(0, 5, len(night.stages))
            hit = rng.random(len(night.stages)) < right
            told[night.night] = hard_log_probs(np.where(hit, night.stages, wrong))
        return Committee((generic,), frozenset(n.person for n in nights), told, (1.0,))

    monkeypatch.setattr(fitted, "fit", fit)


def test_a_good_fit_is_used(
    monkeypatch: pytest.MonkeyPatch, generic: Denoiser, rng: np.random.Generator, tmp_path: Path
) -> None:
    fake_fit(monkeypatch, generic, right=0.98)
    found = learn(judged(rng), generic, tmp_path)
    assert (found.choice, found.n_persons, found.abstains) == ("denoiser", 4, False)


def test_where_the_fit_is_bad_the_generic_denoiser_stands_in(
    monkeypatch: pytest.MonkeyPatch, generic: Denoiser, rng: np.random.Generator, tmp_path: Path
) -> None:
    fake_fit(monkeypatch, generic, right=0.3)
    found = learn(judged(rng), generic, tmp_path)
    assert found.choice == "generic"
    assert not found.committee.persons  # it has learned from nobody


def test_where_nothing_is_gained_the_stages_stay(
    monkeypatch: pytest.MonkeyPatch, generic: Denoiser, rng: np.random.Generator, tmp_path: Path
) -> None:
    fake_fit(monkeypatch, generic, right=0.9)
    nights = judged(rng, perfect=True)
    found = learn(nights, generic, tmp_path)
    assert found.abstains
    for night, stages in zip(nights, found.stages(nights), strict=True):
        assert np.array_equal(stages, raw_stages(night))


def test_the_language_model_is_joined_where_that_gains_more(
    monkeypatch: pytest.MonkeyPatch, generic: Denoiser, rng: np.random.Generator, tmp_path: Path
) -> None:
    fake_fit(monkeypatch, generic, right=0.9)  # what is wrong is wrong for one epoch alone
    prior = StagePrior(load("markov-open")[0])  # type: ignore[arg-type]
    nights = judged(rng)
    found = learn(nights, generic, tmp_path, prior=prior)
    assert found.weight > 0
    assert found.choice == f"denoiser, weight {found.weight:g}"


def test_one_person_alone_teaches_nothing_that_could_be_judged(
    generic: Denoiser, rng: np.random.Generator, tmp_path: Path
) -> None:
    found = learn(judged(rng)[:1], generic, tmp_path)
    assert (found.choice, found.n_persons) == ("generic", 0)
    assert not list(tmp_path.iterdir())


def test_a_gain_that_may_be_chance_is_none(rng: np.random.Generator) -> None:
    """One person gains, five lose nothing: the standard error is as large as the gain."""
    nights = judged(rng)
    stages = [raw_stages(night) for night in nights]
    better = [nights[0].stages, *stages[1:]]
    assert choose(nights, {"one person": better}) == "abstains"
    assert choose(nights, {"all": [night.stages for night in nights]}) == "all"


def test_voices_of_one_confidence_vote_and_the_silent_have_none() -> None:
    said = np.log(np.array([[[0.8, 0.05, 0.05, 0.05, 0.05], [0.05, 0.8, 0.05, 0.05, 0.05]]] * 3))
    said[1, 1] = np.nan
    said[2] = np.nan
    heard = as_one(said)
    assert heard[0, 0] == pytest.approx(heard[0, 1], abs=1e-3)
    assert heard[1].argmax() == 0
    assert np.isnan(heard[2]).all()


def test_few_nights_are_of_many_people(rng: np.random.Generator) -> None:
    nights = [
        JudgedNight(f"{person}-{turn}", person, np.zeros((1, 1, 5)), np.zeros(1, np.int8))
        for person in "abc"
        for turn in range(2)
    ]
    assert {night.person for night in drawn(nights, 3, rng)} == {"a", "b", "c"}
    assert len(drawn(nights, 30, rng)) == 6


def test_a_language_model_is_joined_where_there_is_one_and_its_weight_was_chosen(
    generic: Denoiser, rng: np.random.Generator
) -> None:
    nights, committee = judged(rng)[:1], Committee((generic,))
    told = [committee.log_probs(night.evidence) for night in nights]
    prior = StagePrior(load("markov-open")[0])  # type: ignore[arg-type]
    without, (heard,) = largest(told[0]), joined(nights, told, prior, 1.0)
    assert (without != heard).any()
    weighed, plain = Fitted(committee, "denoiser", 5, weight=1.0), Fitted(committee, "denoiser", 5)
    assert np.array_equal(weighed.stages(nights, prior)[0], heard)
    assert np.array_equal(weighed.stages(nights)[0], without)
    assert np.array_equal(plain.stages(nights, prior)[0], without)
