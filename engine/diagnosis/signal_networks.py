"""Encoders over signals: LPSGM's backbone, frozen or tuned, and logistic regression behind it.

Frozen, each night goes through the backbone once; what the heads read is kept in the run folder as
float16 and mapped from there by every fold, encoder and repeat.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

import models
from engine import weights
from engine.checkpoint import load_weights
from engine.diagnosis.cases import Case
from engine.diagnosis.tabular import FittedTable, Tabular
from engine.diagnosis.window_task import FeatureSource, Head, WindowTask
from engine.log import RunFolder
from engine.optim import Plan
from engine.staging_nights import StoredNight
from engine.train import Source, train
from engine.window_source import WindowSource
from models.lpsgm import Backbone
from models.lpsgm_night import night_features
from nights.atomic import atomic_path
from nights.night import Night
from nights.trimming import PAD_EPOCHS
from nights.windows import NightWindows

logger = logging.getLogger("nightstack.diagnosis")
# Learning rates of the head: the published code's present form, and its older one
HEAD_RATES: dict[Head, float] = {"pooled": 1e-4, "epochwise": 1e-3}
BACKBONE_SHARE = 0.01  # of the head's rate, in both forms


@dataclass(frozen=True)
class SignalRecipe:
    """How LPSGM is made a diagnosis network.

    Parameters
    ----------
    backbone : str
        Weights of the stager; empty: random ones, for trials alone.
    mode : str
        `frozen` or `full`.
    head : str
        See `WindowTask`.
    joint : float
        Weight of the staging loss.
    stride : int
        Epochs between windows.
    plan : Plan
    batch_size : int
        Windows.
    seed : int
        Of random weights: one backbone for all folds.
    """

    backbone: str = ""
    mode: Literal["frozen", "full"] = "frozen"
    head: Head = "pooled"
    joint: float = 0.0
    stride: int = 5
    plan: Plan = Plan(5, lr=HEAD_RATES["pooled"], min_lr=1e-8, warmup=0.2, weight_decay=1e-4)
    batch_size: int = 32
    seed: int = 0


@dataclass(frozen=True)
class SignalNetwork:
    """LPSGM with a head for the disorder, as an encoder.

    Parameters
    ----------
    n_classes : int
    recipe : SignalRecipe
    cache : Path
        Folder of features of the frozen backbone.
    device : str
    """

    n_classes: int
    recipe: SignalRecipe
    cache: Path
    device: str = "cpu"
    name: str = "lpsgm"
    candidates: Sequence[Mapping[str, Any]] = ({},)
    _begun: list[Any] = field(default_factory=list, repr=False, compare=False)

    def fit(
        self, train_cases: Sequence[Case], val: Sequence[Case], folder: Path, *, seed: int
    ) -> FittedSignals:
        """Train the heads, or all; the pass with the best validation persons is kept."""
        model, recipe = self.build(), self.recipe
        if recipe.mode == "frozen":
            freeze(model)
            reader: NightReader = self.frozen_reader(model)
            kept = {case.night: reader(model, case) for case in train_cases}
            source: Source = FeatureSource(kept, recipe.batch_size)
        else:
            reader = NightReader(recipe.stride, pooled=True)
            source = WindowSource(self._windows(model, train_cases, seed), recipe.batch_size)
        task = WindowTask(
            train_cases,
            val,
            self.n_classes,
            head=recipe.head,
            joint=recipe.joint,
            proba=lambda net, cases: tell(net, cases, reader),
        )
        run = RunFolder(folder, resume=(folder / "last.pt").exists())
        card = {"backbone": recipe.backbone or "random weights", "encoder": self.name}
        train(model, task, source, list(val), recipe.plan, run, seed=seed, card=card)
        run.last.unlink(missing_ok=True)
        return self.load(folder)

    def load(self, folder: Path) -> FittedSignals:
        """Read the best weights."""
        model: Any = load_weights(folder / "best.safetensors")[0].to(self.device)
        frozen = self.recipe.mode == "frozen"
        reader = self.frozen_reader(model) if frozen else NightReader(self.recipe.stride)
        return FittedSignals(model, reader)

    def build(self) -> Any:
        """Build the network around the backbone; the stager's head tells the stages."""
        if not self._begun:
            torch.manual_seed(self.recipe.seed)
            if self.recipe.backbone:
                self._begun.append(weights.load(self.recipe.backbone)[0])
            else:
                logger.warning("LPSGM with random weights: a trial, no result")
                self._begun.append(models.create("lpsgm"))
            if not isinstance(self._begun[0], Backbone):
                raise ValueError(f"{self.recipe.backbone}: weights of an LPSGM stager are wanted")
        begun = self._begun[0]
        config = {**vars(begun.config), "n_classes": self.n_classes}
        torch.manual_seed(self.recipe.seed)
        model: Any = models.create("lpsgm-diagnosis", **config)
        model.encoder.load_state_dict(begun.encoder.state_dict())
        model.sequence.load_state_dict(begun.sequence.state_dict())
        if begun.config.n_classes == model.config.n_stages:
            model.stage_head.load_state_dict(begun.head.state_dict())
        return model.to(self.device)

    def frozen_reader(self, model: Any) -> NightReader:
        """Return the reader that keeps what it read, in a folder named by the backbone."""
        mark = 0
        for part in (model.encoder, model.sequence):
            for tensor in part.state_dict().values():
                mark = zlib.crc32(tensor.cpu().numpy().tobytes(), mark)
        pooled = self.recipe.head == "pooled"
        kind = f"{'mean' if pooled else 'epochs'}-{self.recipe.stride}-{mark:08x}"
        return NightReader(self.recipe.stride, pooled=pooled, cache=self.cache / kind)

    def _windows(self, model: Any, cases: Sequence[Case], seed: int) -> NightWindows:
        """Return windows of the training nights, cut anew in every pass."""
        nights = [StoredNight.read(_path(case)) for case in cases]
        staged = all(case.stages.size for case in cases)
        there = {channel for night in nights for channel in night.samples}
        return NightWindows(
            [night.path for night in nights],
            [channel for channel in model.channels if channel in there],
            model.window,
            stride=self.recipe.stride,
            seed=seed,
            trim_epochs=PAD_EPOCHS if staged else None,
            keep_unscored=True,
            normalise=nights[0].normalise(model),
        )


@dataclass(frozen=True)
class NightReader:
    """What the heads read of a night: float16 (W, 1, D) of windows' means, or (W, L, D).

    Parameters
    ----------
    stride : int
        Epochs between windows.
    pooled : bool
    cache : Path or None
        Where a night that was read is kept; None: it is read each time, as a backbone that is
        trained wants it.
    """

    stride: int
    pooled: bool = True
    cache: Path | None = None

    def __call__(self, model: Any, case: Case) -> np.ndarray:
        """Read one night, or map what was read of it before."""
        if self.cache is None:
            return self._read(model, case)
        path = self.cache / f"{case.night}.npy"
        if not path.exists():
            with atomic_path(path) as temporary:
                np.save(temporary, self._read(model, case))
        return np.load(path, mmap_mode="r")

    def _read(self, model: Any, case: Case) -> np.ndarray:
        """Run the backbone over a night, each epoch encoded once."""
        night, known = Night.open(_path(case)), StoredNight.read(_path(case))
        shared = [name for name in model.channels if name in night.channels]
        if not shared:
            raise ValueError(f"night {case.night!r} has none of {', '.join(model.channels)}")
        if wrong := [n for n in shared if night.samples_per_epoch(n) != model.channels[n]]:
            raise ValueError(
                f"night {case.night!r}: {wrong[0]} has {night.samples_per_epoch(wrong[0])} samples "
                f"per epoch, LPSGM reads {model.channels[wrong[0]]}: take view psg9 or psg9c"
            )
        signals = night.read(shared, case.first, case.n_epochs, normalise=known.normalise(model))
        recorded = torch.from_numpy(night.recorded[case.first : case.first + case.n_epochs])
        present = dict.fromkeys(shared, recorded)
        features, _ = night_features(model.eval(), signals, present, stride=self.stride)
        if self.pooled:
            features = features.mean(dim=1, keepdim=True)
        return features.half().cpu().numpy()


@dataclass(frozen=True)
class FittedSignals:
    """A trained diagnosis network and how it reads a night."""

    model: Any
    reader: NightReader

    def proba(self, cases: Sequence[Case]) -> np.ndarray:
        """Return the probability of each class (N, K)."""
        return tell(self.model, cases, self.reader)

    def window_proba(self, case: Case) -> np.ndarray:
        """Return the probability of each class of every window, (W, K)."""
        return _window_proba(self.model, self.reader(self.model, case))


def tell(model: Any, cases: Sequence[Case], reader: NightReader) -> np.ndarray:
    """Return the probability of each class of each night: the mean over its windows, (N, K)."""
    return np.stack([_window_proba(model, reader(model, case)).mean(axis=0) for case in cases])


@torch.inference_mode()
def _window_proba(model: Any, features: np.ndarray) -> np.ndarray:
    """Return the probabilities (W, K) of windows from what the heads read."""
    x = torch.from_numpy(np.array(features)).float().to(next(model.parameters()).device)
    return model.heads(x).logits.double().softmax(dim=-1).cpu().numpy()


@dataclass(frozen=True)
class TwoStage:
    """Logistic regression on the mean feature of a night: the published second stage.

    The backbone is that of the fold: the frozen one, or the one the encoder `lpsgm` tuned on the
    same training persons. C is 1 and classes are balanced, as published; unlike there, validation
    persons are not fitted on, because they choose the threshold.
    """

    network: SignalNetwork
    name: str = "lpsgm-logistic"
    candidates: Sequence[Mapping[str, Any]] = ({},)

    def fit(
        self, train_cases: Sequence[Case], val: Sequence[Case], folder: Path, *, seed: int
    ) -> FittedTable:
        """Fit on the training nights."""
        if self.network.recipe.mode == "full" and not self._tuned(folder).exists():
            first = replace(self.network, name="lpsgm")
            first.fit(train_cases, val, self._tuned(folder).parent, seed=seed)
        table = self._table(folder)
        return table.fit(train_cases, val, folder, seed=seed, strength=1.0, balanced=True)

    def load(self, folder: Path) -> FittedTable:
        """Fit again on what was kept."""
        return self._table(folder).load(folder)

    def _tuned(self, folder: Path) -> Path:
        """Return the weights that `lpsgm` tuned in the same fold of the same run."""
        scheme, fold = folder.parts[-2:]
        return folder.parents[2] / "lpsgm" / scheme / fold / "best.safetensors"

    def _table(self, folder: Path) -> Tabular:
        """Return the table of mean features of the fold's backbone."""
        if self.network.recipe.mode == "full":
            model: Any = load_weights(self._tuned(folder))[0].to(self.network.device)
            reader = NightReader(self.network.recipe.stride)
        else:
            model = self.network.build()
            reader = self.network.frozen_reader(model)

        def row(case: Case) -> np.ndarray:
            return reader(model, case).astype(np.float64).mean(axis=(0, 1))

        return Tabular(self.name, row, "logistic")


def freeze(model: Any) -> None:
    """Train nothing but the head of the disorder."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("head."))


def _path(case: Case) -> Path:
    """Return the sidecar of a night, or say that signals are wanted."""
    if case.path is None:
        raise ValueError(f"night {case.night!r} has stages alone: LPSGM reads signals of a store")
    return case.path
