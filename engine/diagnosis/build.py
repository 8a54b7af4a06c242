"""The encoders by name, as the command line asks for them, and the nights of a question."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine.diagnosis import questions
from engine.diagnosis.cases import Case
from engine.diagnosis.encoder import Encoder
from engine.diagnosis.hypnogram_networks import (
    NETWORKS,
    PUBLISHED_PLAN,
    HypnogramNetwork,
    NightRecipe,
)
from engine.diagnosis.questions import OPEN, QUESTIONS, Question
from engine.diagnosis.settings import CrossValidation, External, Nights
from engine.diagnosis.signal_networks import (
    BACKBONE_SHARE,
    HEAD_RATES,
    SignalNetwork,
    SignalRecipe,
    TwoStage,
)
from engine.diagnosis.tabular import FeatureFiles, Tabular, length, person, statistics
from engine.distributed import device_of
from engine.optim import Plan


def cases_of(cfg: Nights) -> tuple[Question, list[Case]]:
    """Return what is asked and the nights to ask it of.

    Raises
    ------
    ValueError
        For an unknown question, or one whose nights were not named.
    """
    if cfg.labels is not None:
        question, rows = questions.read_table(cfg.labels, cfg.classes)
        return question, questions.table_cases(question, rows, cfg.nights)
    name = "mnc-nt1" if cfg.merge_NT1 else cfg.question
    if name not in QUESTIONS:
        raise ValueError(f"no question {name!r}; there are {', '.join(QUESTIONS)}")
    if name.startswith("simulated-"):
        drawn = questions.simulated_cases(name, cfg.persons, strength=cfg.strength, seed=cfg.seed)
        return QUESTIONS[name], drawn
    if name in OPEN:
        return QUESTIONS[name], questions.open_cases(name, cfg.data)
    if not cfg.nights:
        raise ValueError(f"--nights PATH is wanted: the stores of the nights of {name!r}")
    return QUESTIONS[name], questions.stored_cases(QUESTIONS[name], cfg.nights)


def encoder_of(
    name: str, cfg: CrossValidation, n_classes: int, *, features: Path | None = None
) -> Encoder:
    """Return an encoder as a cross-validation asks for it.

    Parameters
    ----------
    name : str
        See `engine.diagnosis.settings.EncoderName`.
    cfg : CrossValidation
    n_classes : int
    features : Path, optional
        Folder of feature files other than that of `cfg`.
    """
    device = str(device_of(cfg.device))
    if name in NETWORKS:
        return HypnogramNetwork(name, n_classes, night_recipe(cfg), device)
    if name in ("lpsgm", "lpsgm-logistic"):
        network = SignalNetwork(n_classes, signal_recipe(cfg), cfg.out / "features", device)
        return network if name == "lpsgm" else TwoStage(network)
    family, _, kind = name.partition("-")
    if family == "features":
        folder = features or cfg.features
        assert folder is not None  # checked with the settings
        return Tabular(name, FeatureFiles(folder), "trees" if kind == "trees" else "logistic")
    row = {"statistics": statistics, "person": person, "length": length}[family]
    return Tabular(name, row, "trees" if kind == "trees" else "logistic")


def night_recipe(cfg: CrossValidation) -> NightRecipe:
    """Return how networks over hypnograms are trained."""
    plan = Plan(
        cfg.n_passes, lr=cfg.lr, min_lr=min(1e-6, cfg.lr), warmup=0.1, patience=cfg.patience
    )
    plan = PUBLISHED_PLAN if cfg.as_published else plan
    if cfg.dry_run:
        plan = replace(plan, n_passes=1)
    return NightRecipe(cfg.init, cfg.mode, plan, cfg.batch_size, cfg.loss)


def signal_recipe(cfg: CrossValidation) -> SignalRecipe:
    """Return how LPSGM is trained: rates of the form of the published code that `head` names."""
    rate = cfg.backbone_lr or HEAD_RATES[cfg.head]
    full = cfg.backbone_mode == "full"
    plan = Plan(
        1 if cfg.dry_run else cfg.backbone_passes,
        # the plan names the backbone's rate where it is trained, the head's is a multiple of it
        lr=rate * BACKBONE_SHARE if full else rate,
        fresh_factor=1 / BACKBONE_SHARE if full else 1.0,
        min_lr=1e-8,
        warmup=0.2,
        weight_decay=1e-4,
        clip=1.0,
    )
    return SignalRecipe(
        cfg.backbone,
        cfg.backbone_mode,
        cfg.head,
        cfg.joint,
        cfg.stride,
        plan,
        cfg.backbone_batch,
        cfg.seed,
    )


def trained_settings(cfg: External) -> CrossValidation:
    """Return the settings of the run whose models are asked."""
    from command_line import parse

    return replace(
        parse(CrossValidation, ["--config", str(cfg.run / "config.json")]),
        out=cfg.run,
        device=cfg.device,
    )
