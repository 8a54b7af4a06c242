"""Training a stage language model: what it starts from, what it is measured against, its card."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

import models
from engine import weights
from evaluation.next_stage import judge, n_stages, printed
from models.sleepgpt import Config as LanguageConfig
from models.sleepgpt import StageLanguageModel, resized
from models.sleepgpt_night import Config as NightConfig
from models.sleepgpt_night import NightLanguageModel
from models.transitions import Duration, DurationConfig, Markov, MarkovConfig
from nights.atomic import write_text
from nights.sequences import StageNight, sequences
from nights.splits import Split
from preprocess.corpus import gather, in_classes


@dataclass(frozen=True)
class Start:
    """What to train.

    Parameters
    ----------
    init : str
        Weights of a stage language model to begin with; empty = from scratch.
    preset : str
        Size from scratch; `night` also adds the whole night to the weights of `init`.
    context : int
        Epochs the model sees; 0 = as many as `init` or the preset.
    n_classes : int
        5, or 4 (W L D R).
    dropout : float
        In training. Above 0, attention takes the slow way on a CPU.
    conditions : tuple of str
        With `night`: facts of the person and the clock to hear, `models.sleepgpt_night.SCALES`.
    """

    init: str = ""
    preset: str = "paper-90"
    context: int = 0
    n_classes: int = 5
    dropout: float = 0.0
    conditions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = [*models.presets("sleepgpt"), *models.presets("sleepgpt-night")]
        if self.preset not in known:
            raise ValueError(f"no preset {self.preset!r}; there are {', '.join(known)}")
        if self.conditions and self.preset != "night":
            raise ValueError("only a model of --preset night hears conditions")


def build(start: Start, seed: int) -> nn.Module:
    """Return the model to train.

    Raises
    ------
    ValueError
        If the weights to begin with are no stage language model.
    """
    torch.manual_seed(seed)
    if start.init:
        first = weights.load(start.init)[0]
        if isinstance(first, NightLanguageModel):
            first = first.language
        if not isinstance(first, StageLanguageModel):
            raise ValueError(f"weights {start.init!r} are no stage language model to begin with")
    else:
        sizes = models.presets("sleepgpt").get(start.preset, LanguageConfig())
        first = StageLanguageModel(replace(sizes, vocab_size=start.n_classes + 1))
    config = replace(
        first.config,
        vocab_size=start.n_classes + 1,
        n_positions=start.context or first.config.n_positions,
        dropout=start.dropout,
    )
    language = resized(first, config)
    if start.preset != "night":
        return language
    own = {field.name: getattr(config, field.name) for field in fields(LanguageConfig)}
    night = NightLanguageModel(NightConfig(**own, conditions=start.conditions))
    night.language.load_state_dict(language.state_dict())
    return night


def tables(nights: Sequence[StageNight], n_classes: int) -> dict[str, nn.Module]:
    """Return the plain peers of a language model, fitted on the same nights."""
    fitted = sequences(nights)
    orders = [MarkovConfig(order=order, n_stages=n_classes) for order in range(6)]
    return {
        **{f"markov-{config.order}": Markov(config).fit(fitted) for config in orders},
        "duration": Duration(DurationConfig(n_stages=n_classes)).fit(fitted),
    }


def about(
    nights: Sequence[StageNight],
    parts: dict[str, list[StageNight]],
    split: Split,
    sources: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """Return the card of weights: where they come from and who was in which part.

    `seen` are the fingerprints of all nights that took part in training or in stopping it, so that
    they are found again in whatever the weights are judged on.
    """
    seen = {night.fingerprint for part in ("train", "val") for night in parts[part]}
    return {
        "trained_by": "main_train_slm.py",
        "sources": list(sources),
        "n_nights": len(nights),
        "split": split.folds[0],
        "split_source": split.source,
        "seen": sorted(seen),
    }


def unseen(nights: Sequence[StageNight], card: dict[str, Any]) -> list[StageNight]:
    """Return the nights that weights were not trained with, by name and by content."""
    split = card.get("split", {})
    names = {name for part in ("train", "val") for name in split.get(part, ())}
    seen = frozenset(card.get("seen", ()))
    return [night for night in nights if night.name not in names and night.fingerprint not in seen]


def judged_nights(
    paths: Iterable[Path],
    names: Sequence[str],
    *,
    person_letters: int = 0,
    stage_map: str | None = None,
    trim_wake: bool = True,
) -> list[StageNight]:
    """Return nights to judge weights on, in the classes of the first of them.

    Parameters
    ----------
    paths : iterable of Path
        What `preprocess.corpus.gather` takes.
    names : sequence of str
        Weights, by name or file.
    person_letters : int
        Letters of a scoring file's name that name the person; 0 = all of it.
    stage_map : str, optional
        How scoring files write stages, where they do not tell.
    trim_wake : bool
        Leave out wake further than half an hour from sleep, as in training.
    """
    n_classes = n_stages(weights.load(names[0])[0])
    letters = person_letters or None
    nights = gather(paths, person=lambda file: file.name[:letters], stage_map=stage_map)
    if trim_wake:
        nights = [night.without_long_wake() for night in nights]
    return in_classes(nights, n_classes)


def judge_weights(
    names: Sequence[str], nights: Sequence[StageNight], *, stride: int = 6, seed: int = 0
) -> dict[str, Any]:
    """Judge weights on the same nights: those that none of them was trained with.

    Parameters
    ----------
    names : sequence of str
        Weights of language models and tables, by name or as files, all of one number of classes.
    nights : sequence of StageNight
        On the 30 s clock, in the classes of the weights.
    stride : int
        Epochs by which a language model's window moves, see `running_log_probs`.
    seed : int
        Of the draws of persons.

    Returns
    -------
    dict
        `results`: {name: scores} of `evaluation.next_stage.judge`; `n_nights`, `n_persons`;
        `left_out`: names of the nights that some weights have seen, by name or by content.

    Raises
    ------
    ValueError
        If no night is left, or weights tell other stages apart than the others.
    """
    loaded = {name: weights.load(name) for name in names}
    classes = {name: n_stages(model) for name, (model, _) in loaded.items()}
    if len(set(classes.values())) > 1:
        raise ValueError(f"weights of different classes cannot be compared: {classes}")
    judged = list(nights)
    for _, card in loaded.values():
        judged = unseen(judged, card)
    if not judged:
        raise ValueError(f"all {len(nights)} nights were in the training of these weights")
    kept = {night.name for night in judged}
    only = {name: model for name, (model, _) in loaded.items()}
    return {
        "results": judge(only, judged, stride=stride, seed=seed),
        "n_nights": len(judged),
        "n_persons": len({night.owner for night in judged}),
        "left_out": [night.name for night in nights if night.name not in kept],
    }


def told(found: dict[str, Any]) -> str:
    """Return the table of `judge_weights` and what was left out, in words."""
    lines = [printed({"nll": found["results"]})]
    lines.append(f"{found['n_nights']} nights of {found['n_persons']} persons")
    if left := found["left_out"]:
        some = ", ".join(left[:5]) + (" ..." if len(left) > 5 else "")
        lines.append(f"left out {len(left)} that weights were trained with: {some}")
    return "\n".join(lines) + "\n"


def evaluate_language(
    hypnograms: Iterable[Path],
    weights: Sequence[str],
    peers: Sequence[str],
    out: Path,
    *,
    person_letters: int = 0,
    stage_map: str = "",
    trim_wake: bool = True,
    stride: int = 6,
    seed: int = 0,
    dry_run: bool = False,
) -> str:
    """Gather the nights, leave out what was trained on, judge, write results.json, return a table.

    Parameters
    ----------
    hypnograms, person_letters, stage_map, trim_wake
        See `judged_nights`.
    weights, peers : sequence of str
        Models and the tables to set beside them, by name or file.
    out : Path
        Folder of results.json.
    stride, seed
        See `judge_weights`.
    dry_run : bool
        The first two nights.
    """
    names = (*weights, *peers)
    nights = judged_nights(
        hypnograms,
        names,
        person_letters=person_letters,
        stage_map=stage_map or None,
        trim_wake=trim_wake,
    )
    found = judge_weights(names, nights[:2] if dry_run else nights, stride=stride, seed=seed)
    write_text(out / "results.json", json.dumps(found, indent=2) + "\n")
    return told(found)
