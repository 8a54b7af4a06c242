"""Correction: the published rule exactly, faster; nothing crosses a gap; lock-in is told."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import models
import staging.prior
from nights.hypnogram import Hypnogram
from nights.stages import FOUR_CLASSES
from staging.correct import correct, correct_many, lock_in
from staging.decoders import DECODERS, Settings, greedy, viterbi
from staging.prior import LanguageModel, StagePrior

FIXTURES = Path(__file__).parents[1] / "fixtures"
STAGES = ("W", "N1", "N2", "N3", "R")


def language_model(seed: int = 0) -> LanguageModel:
    """A small stage language model with strong opinions."""
    torch.manual_seed(seed)
    model = models.create("sleepgpt", width=12, n_heads=2, n_layers=2, n_positions=40)
    for parameter in model.parameters():
        parameter.data.mul_(12 if parameter.ndim == 2 else 1)
    return model.eval()


def transitions(stay: float = 0.9) -> LanguageModel:
    """A first-order table: the same stage again with probability `stay`."""
    model = models.create("markov", order=1)
    table = torch.full((5, 5), (1 - stay) / 4).fill_diagonal_(stay)
    model.tables[1].copy_(table.log())
    return model


def night(rng: np.random.Generator, n_epochs: int = 120, sharpness: float = 1.5) -> Hypnogram:
    """A night of noise: a hypnodensity that no model would foretell."""
    drawn = torch.from_numpy(sharpness * rng.standard_normal((n_epochs, 5)))
    return Hypnogram.from_proba(drawn.softmax(dim=1).numpy(), scorer="noise")


@torch.inference_mode()
def plain_rule(
    proba: np.ndarray, model: LanguageModel, weight: float, context: int, min_len: int
) -> np.ndarray:
    """The published rule, one forward pass per epoch."""
    evidence = F.log_softmax(torch.from_numpy(proba + np.float32(1e-8)).log(), dim=-1)
    stages = evidence[:min_len].argmax(dim=1).tolist()
    for row in evidence[min_len:]:
        told = model.next_log_probs(torch.tensor([stages[-context:]]))[0, :5]
        stages.append(int(((1 - weight) * row + weight * told).argmax()))
    return np.array(stages)


class Counting(StagePrior):
    """A prior that counts what it has to ask the model."""

    asked = 0

    def _learn(self, contexts: list[bytes]) -> None:
        self.asked += len(contexts)
        super()._learn(contexts)


@pytest.mark.parametrize("weight", [0.05, 0.1, 0.3, 0.6, 1.0])
@pytest.mark.parametrize(("context", "min_len"), [(30, 5), (5, 5), (8, 1)])
def test_greedy_gives_the_labels_of_the_published_rule(
    rng: np.random.Generator, weight: float, context: int, min_len: int
) -> None:
    model, hypnogram = language_model(), night(rng)
    found = correct(hypnogram, model, weight=weight, context=context, min_len=min_len)
    wanted = plain_rule(hypnogram.proba, model, weight, context, min_len)
    assert np.array_equal(found.stages, wanted)


def test_the_rule_is_the_same_for_a_transition_table(rng: np.random.Generator) -> None:
    model, hypnogram = transitions(), night(rng)
    found = correct(hypnogram, model, weight=0.4)
    assert np.array_equal(found.stages, plain_rule(hypnogram.proba, model, 0.4, 30, 5))
    assert not np.array_equal(found.stages, hypnogram.stages)


@pytest.mark.parametrize("model", [language_model(3), transitions()])
def test_no_context_exceeds_the_bound_that_saves_the_work(model: LanguageModel) -> None:
    contexts = torch.from_numpy(np.random.default_rng(1).integers(0, 5, (500, 12)))
    with torch.inference_mode():
        told = model.next_log_probs(contexts)[:, :5]
    odds = (told[:, None, :] - told[:, :, None]).amax(dim=0)
    bound = StagePrior(model).max_log_odds()
    assert (odds.numpy() <= bound + 1e-5).all()
    assert np.isfinite(bound).all()


def test_an_epoch_without_doubt_is_decided_without_the_model() -> None:
    sure = np.full((200, 5), 1e-7, dtype=np.float32)
    sure[np.arange(200), np.arange(200) // 7 % 5] = 1
    prior = Counting(language_model())
    correct(Hypnogram.from_proba(sure / sure.sum(1, keepdims=True)), prior)
    long_ones = [context for context in prior._rows if len(context) > 5]
    assert not long_ones


@pytest.mark.parametrize("decoder", DECODERS)
def test_nights_together_give_what_each_gives_alone(rng: np.random.Generator, decoder: str) -> None:
    model = language_model()
    nights = [night(rng, n) for n in (90, 3, 41, 1)]
    together = correct_many(nights, model, decoder=decoder, weight=0.3)
    for one, both in zip(nights, together, strict=True):
        alone = correct(one, model, decoder=decoder, weight=0.3)
        assert np.array_equal(alone.stages, both.stages)
        assert np.allclose(alone.proba, both.proba, atol=1e-5)


def test_contexts_are_asked_once_and_remembered_between_nights(rng: np.random.Generator) -> None:
    hypnogram, prior = night(rng), Counting(language_model())
    first = correct(hypnogram, prior)
    asked = prior.asked
    second = correct(hypnogram, prior)
    assert asked == prior.asked == len(prior._rows)
    assert np.array_equal(first.stages, second.stages)
    assert np.array_equal(first.proba, second.proba)


def test_forgetting_changes_nothing(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    hypnogram, model = night(rng), language_model()
    wanted = correct(hypnogram, model)
    monkeypatch.setattr(staging.prior, "MAX_REMEMBERED", 130)
    prior = Counting(model)
    found = correct(hypnogram, prior)
    assert prior.asked > len(prior._rows)  # it did forget
    assert np.array_equal(found.stages, wanted.stages)
    assert np.allclose(found.proba, wanted.proba, atol=1e-5)


def test_the_prior_holds_what_the_model_says() -> None:
    model = language_model()
    contexts = [b"\0", b"\2\2\2", b"\4\1", b"\2\2\2"]
    told = StagePrior(model).log_probs(contexts)
    with torch.inference_mode():
        wanted = [model.next_log_probs(torch.tensor([list(c)]))[0, :5].numpy() for c in contexts]
    assert np.allclose(told, wanted, atol=1e-5)


@pytest.mark.parametrize("decoder", DECODERS)
def test_nothing_crosses_an_unscored_gap(rng: np.random.Generator, decoder: str) -> None:
    model, whole = transitions(), night(rng, 100)
    proba = whole.proba.copy()
    proba[40:43] = np.nan
    found = correct(Hypnogram.from_proba(proba), model, decoder=decoder, weight=0.4)
    for part in (slice(0, 40), slice(43, 100)):
        alone = correct(Hypnogram.from_proba(proba[part]), model, decoder=decoder, weight=0.4)
        assert np.array_equal(found.stages[part], alone.stages)
        assert np.allclose(found.proba[part], alone.proba)
    assert (found.stages[40:43] == -1).all()
    assert np.isnan(found.proba[40:43]).all()


def test_weight_zero_changes_nothing(rng: np.random.Generator) -> None:
    hypnogram = night(rng)
    for decoder in DECODERS:
        found = correct(hypnogram, language_model(), decoder=decoder, weight=0)
        assert np.array_equal(found.stages, hypnogram.stages)
        assert np.allclose(found.proba, hypnogram.proba, atol=1e-5)


def test_the_first_epochs_of_a_stretch_are_the_stagers(rng: np.random.Generator) -> None:
    hypnogram = night(rng)
    found = correct(hypnogram, transitions(0.999), weight=0.9, min_len=7)
    assert np.array_equal(found.stages[:7], hypnogram.stages[:7])
    assert np.allclose(found.proba[:7], hypnogram.proba[:7], atol=1e-5)
    assert not np.array_equal(found.stages, hypnogram.stages)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("n_epochs", [0, 1, 4, 5, 6])
def test_short_nights_come_back_whole(
    rng: np.random.Generator, decoder: str, n_epochs: int
) -> None:
    proba = night(rng, 9).proba
    proba[n_epochs:] = np.nan
    found = correct(Hypnogram.from_proba(proba), transitions(), decoder=decoder)
    assert int(found.scored.sum()) == n_epochs


@pytest.mark.parametrize("weight", [0.1, 0.5])
def test_the_largest_probability_is_the_corrected_stage(
    rng: np.random.Generator, weight: float
) -> None:
    found = correct(night(rng), language_model(), weight=weight)
    assert np.array_equal(found.proba.argmax(axis=1), found.stages)
    assert np.allclose(found.proba.sum(axis=1), 1, atol=1e-5)


def test_viterbi_finds_the_best_of_all_paths_and_their_marginals(rng: np.random.Generator) -> None:
    model, weight, n_epochs = transitions(0.8), 0.4, 6
    proba = night(rng, n_epochs).proba
    (found,) = viterbi([np.log(proba)], StagePrior(model), Settings(weight))
    paths = np.array(list(itertools.product(range(5), repeat=n_epochs)))
    moves = model.tables[1].numpy()
    scores = (1 - weight) * np.log(proba)[np.arange(n_epochs), paths].sum(axis=1)
    scores += weight * moves[paths[:, :-1], paths[:, 1:]].sum(axis=1)
    assert np.array_equal(found.stages, paths[scores.argmax()])
    mass = np.exp(scores - scores.max())
    marginals = [np.bincount(column, mass, minlength=5) / mass.sum() for column in paths.T]
    assert np.allclose(found.proba, marginals, atol=1e-5)


def test_the_result_says_what_was_done(rng: np.random.Generator) -> None:
    hypnogram = night(rng)
    found = correct(hypnogram, transitions(), weight=0.4)
    changed = int((found.stages != hypnogram.stages).sum())
    assert found.scorer == "noise + greedy"
    assert f"{changed} of 120 epochs changed" in found.notes[0]
    assert "not a posterior" in found.notes[1]


def test_lock_in_is_told_and_an_ordinary_correction_is_not(rng: np.random.Generator) -> None:
    hypnogram = night(rng, sharpness=0.5)
    locked = correct(hypnogram, transitions(0.999), weight=0.6)
    assert any("locked into" in note for note in locked.notes)
    mild = correct(hypnogram, transitions(0.5), weight=0.1)
    assert not any("locked into" in note for note in mild.notes)


def test_lock_in_counts_scored_epochs_only() -> None:
    before = np.array([0, 0, 0, 2, 2, 2, 2, 0, 0, 0])
    after = np.array([0, 2, 2, 2, 2, 2, 2, -1, -1, -1])
    assert "N2: 57 % of the night by the stager, 86 % after" in lock_in(before, after, STAGES)
    assert lock_in(before, np.where(after < 0, -1, before), STAGES) is None


def test_a_night_that_cannot_be_corrected_is_refused(rng: np.random.Generator) -> None:
    model, hypnogram = transitions(), night(rng)
    with pytest.raises(ValueError, match="without hypnodensity"):
        correct(hypnogram.with_stages(hypnogram.stages), model)
    four = Hypnogram.from_proba(np.full((9, 4), 0.25), classes=("W", "L", "D", "R"))
    with pytest.raises(ValueError, match="knows 5 stages, the night has 4: W L D R"):
        correct(four, model)
    with pytest.raises(ValueError, match="no decoder 'beem'; there are greedy"):
        correct(hypnogram, model, decoder="beem")
    with pytest.raises(ValueError, match=r"must be 0\.\.1, found 1\.5"):
        correct(hypnogram, model, weight=1.5)
    with pytest.raises(ValueError, match="context 3 and min_len 5"):
        correct(hypnogram, model, context=3)


@pytest.mark.data("upstream_weights/sleepgpt")
def test_real_nights_get_the_published_labels_at_every_weight(shared_data: Path) -> None:
    from engine.checkpoint import read_foreign

    published = shared_data / "upstream_weights/sleepgpt/output/gpt_shhs_pretrained"
    model = models.published.load("sleepgpt", read_foreign(published / "60_48_3_6.pth.tar"))
    pieces = np.load(FIXTURES / "sleepgpt_trained_lm60.npz")
    evidence = np.log(pieces["probs_0"])
    for weight in (0.1, 0.3):
        (found,) = greedy([evidence], StagePrior(model), Settings(weight))
        assert np.array_equal(found.stages, pieces[f"corrected_0_alpha{weight}_ngram30"])


@pytest.mark.parametrize("name", ["sleepgpt", "sleepgpt-night", "markov"])
def test_four_classes_are_corrected_by_models_of_four(name: str) -> None:
    torch.manual_seed(0)
    config = {"n_stages": 4} if name == "markov" else {"vocab_size": 5, "n_positions": 12}
    proba = np.random.default_rng(0).dirichlet(np.ones(4), 40).astype(np.float32)
    night = Hypnogram.from_proba(proba, classes=FOUR_CLASSES)
    model = models.create(name, **config).eval()
    corrected = correct(night, model, weight=0.3, context=10)
    assert corrected.classes == FOUR_CLASSES
    assert corrected.stages.max() <= 3
    with pytest.raises(ValueError, match="knows 4 stages, the night has 5"):
        correct(Hypnogram.from_proba(np.full((9, 5), 0.2)), model)
