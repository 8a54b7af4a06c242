"""Training of LPSGM's heads: windows of signals, or of features that were read before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from engine.diagnosis.cases import Case
from engine.diagnosis.night_task import person_nll
from models.layers import scored_cross_entropy
from models.lpsgm_diagnosis import WindowClasses
from nights.windows import Windows

Head = Literal["pooled", "epochwise"]
Proba = Callable[[Any, Sequence[Case]], np.ndarray]  # model and nights -> (N, K)


@dataclass(frozen=True)
class FeatureBatch:
    """Windows whose features were read before: (B, L, D), or (B, 1, D) of their mean."""

    features: torch.Tensor
    nights: tuple[str, ...]


class FeatureSource:
    """Windows of many nights in another order every pass, their features read before.

    Parameters
    ----------
    features : {night: float16 array (W, L or 1, D)}
        Mapped from disk or in memory.
    batch_size : int
        Windows.
    """

    def __init__(self, features: Mapping[str, np.ndarray], batch_size: int) -> None:
        self.features, self.batch_size = features, batch_size
        self._places = [(night, row) for night, x in features.items() for row in range(len(x))]

    def __len__(self) -> int:
        return -(-len(self._places) // self.batch_size)

    def draw(self, generator: torch.Generator) -> Iterator[FeatureBatch]:
        """Yield one pass."""
        order = torch.randperm(len(self._places), generator=generator)
        for rows in order.split(self.batch_size):
            places = [self._places[row] for row in rows.tolist()]
            taken = np.stack([self.features[night][row] for night, row in places])
            yield FeatureBatch(torch.from_numpy(taken).float(), tuple(night for night, _ in places))


class WindowTask:
    """Tell the disorder of a window's night; the stages of its epochs, too, where asked.

    Parameters
    ----------
    cases : sequence of Case
        Of training and validation.
    n_classes : int
    head : str
        `pooled`: the cross-entropy of a window. `epochwise`: of each of its epochs, the label
        repeated.
    joint : float
        Weight of the cross-entropy of the stages.
    proba : callable
        How whole nights are told: (model, cases) -> (N, K).

    Notes
    -----
    Classes are weighed by n / (K n_k) over the training persons, as published.
    """

    headline: ClassVar[str] = "nll"
    higher_is_better: ClassVar[bool] = False

    def __init__(
        self,
        train: Sequence[Case],
        val: Sequence[Case],
        n_classes: int,
        *,
        head: Head,
        joint: float,
        proba: Proba,
    ) -> None:
        self.labels = {case.night: case.label for case in train}
        self.persons = {case.night: case.person for case in val}
        self.weights = _class_weights(train, n_classes)
        self.head, self.joint, self.proba = head, joint, proba

    def loss(self, model: Any, batch: Windows | FeatureBatch) -> tuple[torch.Tensor, dict]:
        """Return the loss of the diagnosis, plus that of the stages where asked."""
        device = next(model.parameters()).device
        labels = torch.tensor([self.labels[night] for night in batch.nights], device=device)
        if isinstance(batch, FeatureBatch):
            output, there = model.heads(batch.features.to(device)), torch.ones_like(labels).bool()
        else:
            output, there = _told(model, batch, device)
        loss = self._diagnosis(output, labels[there])
        parts = {"loss": loss.item()}
        if self.joint and isinstance(batch, Windows):
            stages = batch.stages.to(device)[there]
            staging = scored_cross_entropy(output.stage_logits, stages)
            loss, parts["staging_loss"] = loss + self.joint * staging, staging.item()
        return loss, parts

    def weight(self, batch: Windows | FeatureBatch) -> float:
        """Return the number of windows."""
        return float(len(batch.nights))

    def evaluate(self, model: nn.Module, held_out: Sequence[Case]) -> dict[str, float]:
        """Return the mean negative log-probability of the persons' classes."""
        proba = self.proba(model.eval(), held_out)
        labels, nights = np.array([c.label for c in held_out]), [c.night for c in held_out]
        return {"nll": person_nll(self.persons, nights, proba, labels)}

    def _diagnosis(self, output: WindowClasses, labels: torch.Tensor) -> torch.Tensor:
        """Return the weighted cross-entropy of the windows, or of all their epochs."""
        weights = self.weights.to(labels.device)
        if self.head == "pooled":
            return F.cross_entropy(output.logits, labels, weight=weights)
        every = labels[:, None].expand(output.epoch_logits.shape[:2])
        return F.cross_entropy(output.epoch_logits.flatten(0, 1), every.flatten(), weight=weights)


def _told(model: Any, batch: Windows, device: torch.device) -> tuple[WindowClasses, torch.Tensor]:
    """Run the model on the windows that hold any derivation; which they are, bool (B,)."""
    there = torch.stack(list(batch.present.values())).any(dim=0).any(dim=1).to(device)
    signals = {name: x.to(device)[there] for name, x in batch.signals.items()}
    present = {name: p.to(device)[there] for name, p in batch.present.items()}
    return model(signals, present), there


def _class_weights(cases: Sequence[Case], n_classes: int) -> torch.Tensor:
    """Return n / (K n_k) over persons, float32 (K,)."""
    label_of = {case.person: case.label for case in cases}
    counts = np.bincount(list(label_of.values()), minlength=n_classes)
    return torch.tensor(len(label_of) / (n_classes * np.maximum(counts, 1)), dtype=torch.float32)
