"""Training of networks that read a whole hypnogram: batches of nights, loss, judgement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from engine.diagnosis.cases import Case
from engine.diagnosis.encoder import nll
from engine.losses import focal_loss
from evaluation.diagnosis import person_means
from models.htn import segments_of
from nights.stages import UNSCORED

Loss = Literal["focal", "entropy"]
NIGHTS_AT_ONCE = 32  # judged together


@dataclass(frozen=True)
class NightBatch:
    """Nights side by side.

    Parameters
    ----------
    first, second : tensor
        Stages (B, S, L) and which of them are valid; or, when `read`, what the frozen language
        model made of them: a vector for each segment (B, S, E), and which hold a scored epoch.
    labels : int64 tensor (B,)
    nights : tuple of str
    read : bool
    """

    first: torch.Tensor
    second: torch.Tensor
    labels: torch.Tensor
    nights: tuple[str, ...]
    read: bool = False


def lay_out(cases: Sequence[Case], length: int) -> NightBatch:
    """Cut nights into segments of `length` epochs; unscored epochs are padding in their place.

    Raises
    ------
    ValueError
        If nobody scored a night.
    """
    for case in cases:
        if not (case.stages != UNSCORED).any():
            raise ValueError(f"night {case.night!r} has no stages: the encoder reads hypnograms")
    nights = [torch.from_numpy(case.stages.astype(np.int64)) for case in cases]
    ids, valid = segments_of(nights, length)
    valid &= ids != UNSCORED
    ids = torch.where(valid, ids, 5)
    labels = torch.tensor([case.label for case in cases])
    return NightBatch(ids, valid, labels, tuple(case.night for case in cases))


@torch.no_grad()  # what is kept takes part in training, which inference tensors may not
def read_segments(model: Any, batch: NightBatch) -> NightBatch:
    """Let the language model of `model` read every segment once."""
    device = next(model.parameters()).device
    model.eval()
    parts = [
        model.segments(ids.to(device), valid.to(device))
        for ids, valid in zip(
            batch.first.split(NIGHTS_AT_ONCE), batch.second.split(NIGHTS_AT_ONCE), strict=True
        )
    ]
    picked, there = (torch.cat(side) for side in zip(*parts, strict=True))
    return NightBatch(picked.cpu(), there.cpu(), batch.labels, batch.nights, read=True)


def side_by_side(
    rows: Sequence[tuple[torch.Tensor, torch.Tensor]], cases: Sequence[Case]
) -> NightBatch:
    """Lay nights that were read, segments (S, E) and whether they hold a stage (S,), together."""
    picked, there = (pad_sequence(list(side), batch_first=True) for side in zip(*rows, strict=True))
    labels = torch.tensor([case.label for case in cases])
    return NightBatch(picked, there, labels, tuple(case.night for case in cases), read=True)


class NightSource:
    """Batches of whole nights in another order every pass."""

    def __init__(self, nights: NightBatch, batch_size: int) -> None:
        self.nights, self.batch_size = nights, batch_size

    def __len__(self) -> int:
        return -(-len(self.nights.labels) // self.batch_size)

    def draw(self, generator: torch.Generator) -> Iterator[NightBatch]:
        """Yield one pass."""
        order = torch.randperm(len(self.nights.labels), generator=generator)
        for rows in order.split(self.batch_size):
            yield taken(self.nights, rows)


def taken(nights: NightBatch, rows: torch.Tensor) -> NightBatch:
    """Return some of the nights, without segments that none of them reaches."""
    second = nights.second[rows]
    used = second if nights.read else second.any(dim=-1)  # (B, S)
    n_segments = max(1, int((used.any(dim=0) * torch.arange(1, used.shape[1] + 1)).max()))
    names = tuple(nights.nights[row] for row in rows.tolist())
    return NightBatch(
        nights.first[rows, :n_segments],
        second[:, :n_segments],
        nights.labels[rows],
        names,
        nights.read,
    )


@dataclass(frozen=True)
class NightTask:
    """Tell the class of a night.

    Parameters
    ----------
    persons : dict
        {night: person}: validation judges persons, by the mean over their nights.
    kind : str
        `focal` as published (Lin et al. 2017, factor 2, exponent 2), or cross-`entropy`.
    """

    persons: dict[str, str]
    kind: Loss = "focal"
    headline: ClassVar[str] = "nll"
    higher_is_better: ClassVar[bool] = False

    def loss(self, model: Any, batch: NightBatch) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the mean loss of the nights."""
        labels = batch.labels.to(next(model.parameters()).device)
        logits = told(model, batch)
        entropy = F.cross_entropy(logits, labels) if self.kind == "entropy" else None
        loss = focal_loss(logits, labels) if entropy is None else entropy
        return loss, {"loss": loss.item()}

    def weight(self, batch: NightBatch) -> float:
        """Return the number of nights."""
        return float(len(batch.labels))

    def evaluate(self, model: nn.Module, held_out: NightBatch) -> dict[str, float]:
        """Return the mean negative log-probability of the persons' classes."""
        proba = night_proba(model, held_out)
        return {"nll": person_nll(self.persons, held_out.nights, proba, held_out.labels.numpy())}


def person_nll(
    persons: dict[str, str], nights: Sequence[str], proba: np.ndarray, labels: np.ndarray
) -> float:
    """Return `nll` of persons, whose probability is the mean over their nights."""
    _, means, first = person_means([persons[night] for night in nights], proba)
    return nll(means, labels[first])


def told(model: Any, batch: NightBatch) -> torch.Tensor:
    """Return the logits (B, K) of nights, whether their segments were read before or not."""
    device = next(model.parameters()).device
    first, second = batch.first.to(device), batch.second.to(device)
    picked, there = (first, second) if batch.read else model.segments(first, second)
    return model.classify(picked, there).logits


@torch.inference_mode()
def night_proba(model: Any, nights: NightBatch) -> np.ndarray:
    """Return the probability of each class of each night, float64 (N, K)."""
    model.eval()
    rows = torch.arange(len(nights.labels)).split(NIGHTS_AT_ONCE)
    logits = torch.cat([told(model, taken(nights, some)) for some in rows])
    return logits.double().softmax(dim=-1).cpu().numpy()
