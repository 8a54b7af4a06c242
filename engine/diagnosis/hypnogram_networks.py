"""Encoders over the stage language model: HTN with transformer or LSTM, and one segment alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

import models
from engine import weights
from engine.checkpoint import load_weights
from engine.diagnosis.cases import Case
from engine.diagnosis.night_task import (
    Loss,
    NightBatch,
    NightSource,
    NightTask,
    lay_out,
    night_proba,
    read_segments,
    side_by_side,
)
from engine.log import RunFolder
from engine.optim import Plan
from engine.train import train
from models.htn import HTNConfig, HTNLSTMConfig, SegmentConfig
from models.sleepgpt import Config as LanguageConfig
from models.sleepgpt import StageLanguageModel, resized

# Encoder -> model of the registry and what differs from its published form
NETWORKS: dict[str, tuple[str, Any]] = {
    "htn": ("htn", HTNConfig()),
    "htn-pooled": ("htn", HTNConfig(readout="mean")),
    "htn-every-epoch": ("htn", HTNConfig(readout="mean", segment_readout="mean")),
    "htn-lstm": ("htn-lstm", HTNLSTMConfig()),
    "htn-lstm-pooled": ("htn-lstm", HTNLSTMConfig(readout="mean")),
    "segments": ("stage-classifier", SegmentConfig()),
}


@dataclass(frozen=True)
class NightRecipe:
    """How a hypnogram network is trained.

    Parameters
    ----------
    init : str
        Language model to begin from: a name of the manifest, a file, or empty for random weights.
    mode : str
        `full`: all is trained, as published. `frozen`: the language model reads every segment
        once, and only what stands behind it is trained; a fiftieth of the time on a CPU.
    plan : Plan
    batch_size : int
        Nights.
    loss : str
        See `NightTask`.
    """

    init: str = "sleepgpt-shhs-60"
    mode: Literal["full", "frozen"] = "full"
    plan: Plan = Plan(40, lr=1e-3, min_lr=1e-6, warmup=0.1, patience=10)
    batch_size: int = 16
    loss: Loss = "focal"


# Spec of SleepGPT's `main_diagnose_cv.py`: 100 passes, all weights trained, no clipping
PUBLISHED_PLAN = Plan(
    100, lr=5e-5, min_lr=1e-8, warmup=0.1, weight_decay=5e-4, clip=0.0, schedule="cos"
)


@dataclass(frozen=True)
class HypnogramNetwork:
    """A network of `NETWORKS` as an encoder."""

    name: str
    n_classes: int
    recipe: NightRecipe
    device: str = "cpu"
    candidates: Sequence[Mapping[str, Any]] = ({},)
    _read: dict[str, tuple[torch.Tensor, torch.Tensor]] = field(
        default_factory=dict, repr=False, compare=False
    )  # {night: what the frozen language model made of its segments}

    def fit(
        self, train_cases: Sequence[Case], val: Sequence[Case], folder: Path, *, seed: int
    ) -> FittedNetwork:
        """Train; the pass with the best validation persons is kept."""
        model = self._built(seed).to(self.device)
        length, read = model.config.n_positions, self.recipe.mode == "frozen"
        if read:
            _freeze(model)
            sides = [self._read_once(model, cases) for cases in (train_cases, val)]
        else:
            sides = [lay_out(cases, length) for cases in (train_cases, val)]
        persons = {case.night: case.person for case in (*train_cases, *val)}
        task = NightTask(persons, self.recipe.loss)
        source = NightSource(sides[0], self.recipe.batch_size)
        card = {"init": self.recipe.init, "encoder": self.name, "n_nights": len(train_cases)}
        run = RunFolder(folder, resume=(folder / "last.pt").exists())
        train(model, task, source, sides[1], self.recipe.plan, run, seed=seed, card=card)
        run.last.unlink(missing_ok=True)  # a fold is done or begun anew
        return self.load(folder)

    def load(self, folder: Path) -> FittedNetwork:
        """Read the best weights."""
        model, _ = load_weights(folder / "best.safetensors")
        return FittedNetwork(model.to(self.device))

    def _read_once(self, model: Any, cases: Sequence[Case]) -> NightBatch:
        """Return nights as the frozen language model reads them, each of them read once."""
        fresh = [case for case in cases if case.night not in self._read]
        if fresh:
            batch = read_segments(model, lay_out(fresh, model.config.n_positions))
            rows = zip(batch.first, batch.second, strict=True)
            self._read.update(zip(batch.nights, rows, strict=True))
        return side_by_side([self._read[case.night] for case in cases], cases)

    def _built(self, seed: int) -> Any:
        """Build the network, its language model as published or drawn."""
        torch.manual_seed(seed)
        name, preset = NETWORKS[self.name]
        options = {**vars(preset), "n_classes": self.n_classes}
        if not self.recipe.init:
            return models.create(name, **options)
        begun, _ = weights.load(self.recipe.init)
        if not isinstance(begun, StageLanguageModel):
            raise ValueError(f"{self.recipe.init}: a stage language model is wanted to begin from")
        sizes = {**vars(begun.config), "n_positions": preset.n_positions, "dropout": preset.dropout}
        model: Any = models.create(name, **{**options, **sizes})
        model.language.load_state_dict(resized(begun, LanguageConfig(**sizes)).state_dict())
        return model


@dataclass(frozen=True)
class FittedNetwork:
    """A trained network of whole hypnograms."""

    model: Any

    def proba(self, cases: Sequence[Case]) -> np.ndarray:
        """Return the probability of each class (N, K)."""
        return night_proba(self.model, lay_out(cases, self.model.config.n_positions))


def _freeze(model: Any) -> None:
    """Train only what stands behind the language model."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.startswith(("language.", "norm.")))
