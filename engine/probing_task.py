"""Learning a label of every epoch, from signals or from embeddings that are already there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch.nn import functional as F

from engine.features import Features
from engine.probing_batches import LabelledBatch
from engine.staging_nights import StoredNight
from evaluation.calibration import judged_rows
from evaluation.metrics import confusion, metrics_from
from evaluation.outputs import NightOutput
from models.whole_night import night_proba
from nights.stages import UNSCORED
from nights.windows import NightWindows

Headline = Literal["macro_f1", "balanced_accuracy", "kappa", "nll"]


@dataclass(frozen=True)
class Held:
    """A night to be judged: its labels, and embeddings or signals.

    Parameters
    ----------
    night : StoredNight
    labels : int8 array (E,)
    channels : tuple of str
        What is read of it.
    features : Features, optional
    windows : NightWindows, optional
        The night alone, whole.
    """

    night: StoredNight
    labels: np.ndarray
    channels: tuple[str, ...]
    features: Features | None = None
    windows: NightWindows | None = None

    @torch.inference_mode()
    def output(self, model: Any, classes: tuple[str, ...]) -> NightOutput:
        """Return what the model says of every epoch; NaN where nothing was recorded."""
        device = next(model.parameters()).device
        if self.features is not None:
            rows = torch.from_numpy(self.features.of(self.night.name).astype(np.float32))
            proba, empty = model.epochs_proba(rows.to(device)), ~rows.any(dim=1)
        else:
            assert self.windows is not None
            batch = self.windows[0]
            signals = {name: x[0].to(device) for name, x in batch.signals.items()}
            present = {name: there[0].to(device) for name, there in batch.present.items()}
            proba = night_proba(model, signals, present)
            empty = ~torch.stack([there[0] for there in batch.present.values()]).any(dim=0)
        told = proba.float().cpu().numpy()
        told[empty.numpy()] = np.nan
        night = self.night
        return NightOutput(
            night=night.name,
            person=night.person,
            labels=self.labels,
            proba=told,
            dataset=night.dataset,
            channels=" ".join(self.channels),
            simulated=night.simulated,
            classes=classes,
        )


class EpochTask:
    """Say what an epoch was labelled with.

    Parameters
    ----------
    classes : tuple of str
    class_weights : sequence of float
        In the loss; none = all alike.
    headline : str
        Metric on the held-out labels that chooses the weights.
    whole : bool
        Train every layer; without, frozen parts stay in evaluation mode as the model says.
    """

    def __init__(
        self,
        classes: tuple[str, ...],
        *,
        class_weights: Sequence[float] = (),
        headline: Headline = "macro_f1",
        whole: bool = False,
    ) -> None:
        self.classes, self.whole, self.headline = classes, whole, headline
        self.class_weights = torch.tensor(tuple(class_weights)) if len(class_weights) else None
        self.higher_is_better = headline != "nll"

    def loss(self, model: Any, batch: LabelledBatch) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the mean cross-entropy of the labelled epochs."""
        if self.whole:
            for module in model.modules():  # encoders keep themselves in evaluation mode
                module.training = True
        logits = batch.logits(model).flatten(0, 1).float()
        weights = None if self.class_weights is None else self.class_weights.to(logits.device)
        labels = batch.labels.flatten().to(logits.device)
        loss = F.cross_entropy(logits, labels, weight=weights, ignore_index=UNSCORED)
        return loss, {"loss": loss.item()}

    def weight(self, batch: LabelledBatch) -> float:
        """Return what the mean of `loss` was divided by."""
        known = batch.labels[batch.labels != UNSCORED]
        return float(len(known) if self.class_weights is None else self.class_weights[known].sum())

    def evaluate(self, model: Any, held_out: Sequence[Held]) -> dict[str, float]:
        """Return the metrics of the labelled epochs of held-out nights, pooled."""
        return scores(self.predict(model, held_out))

    def predict(self, model: Any, held_out: Sequence[Held]) -> list[NightOutput]:
        """Return what the model says of nights."""
        model.eval()
        return [held.output(model, self.classes) for held in held_out]


def scores(outputs: Sequence[NightOutput]) -> dict[str, float]:
    """Return accuracy, balanced accuracy, macro F1, kappa and nll of outputs, epochs pooled."""
    proba, labels = judged_rows(outputs)
    found = metrics_from(
        confusion(labels, proba.argmax(axis=1), len(outputs[0].classes)), outputs[0].classes
    )
    names = ("accuracy", "balanced_accuracy", "macro_f1", "kappa")
    told = {name: float(np.nan_to_num(found[name])) for name in names}
    chance = proba[np.arange(len(labels)), labels]
    nll = -np.log(np.maximum(chance, np.finfo(np.float32).tiny)).mean()
    return told | {"nll": float(nll)}
