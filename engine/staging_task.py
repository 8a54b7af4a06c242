"""Supervised staging: one stage for every epoch of a window, judged on whole held-out nights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from evaluation.metrics import confusion, metrics_from
from evaluation.outputs import NightOutput
from models.layers import scored_cross_entropy
from models.whole_night import night_proba
from nights.stages import FOUR_CLASSES, STAGES, UNSCORED, to_four_classes
from nights.trimming import sleep_stretches
from nights.windows import NightWindows, Windows

Headline = Literal["kappa", "accuracy", "macro_f1", "nll"]
WINDOWS_AT_ONCE = 32  # judged together
_TO_FOUR = torch.from_numpy(to_four_classes(np.arange(-1, len(STAGES)))).long()  # by stage + 1


class StagingTask:
    """Say what the scorer said, for every scored epoch of a window.

    Parameters
    ----------
    class_weights : sequence of float
        Weight of each class in the loss; see `class_weights`. None = all alike.
    frozen : tuple of str
        Parts of the model that are not trained: they run with their running statistics and without
        dropout, as in use.
    trim_epochs : int, optional
        Wake farther than this from sleep is not judged (`nights.trimming`).
    headline : str
        Metric that chooses the best pass.

    Notes
    -----
    A model that is trained for more than the stages of the window (other heads of a multitask
    network, a penalty on its weights) says so by an optional method
    `loss(output, stages, weight) -> scalar`, which then takes the place of the cross-entropy:
    stages (B, L) in its own classes with -1 where nobody scored, weight (K,) or None.
    """

    def __init__(
        self,
        *,
        class_weights: Sequence[float] = (),
        frozen: tuple[str, ...] = (),
        trim_epochs: int | None = None,
        headline: Headline = "kappa",
    ) -> None:
        self.class_weights = torch.tensor(tuple(class_weights)) if len(class_weights) else None
        self.frozen, self.trim_epochs = frozen, trim_epochs
        self.headline = headline
        self.higher_is_better = headline != "nll"

    def loss(self, model: Any, batch: Windows) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the mean cross-entropy of the scored epochs, plus what the model adds."""
        for part in self.frozen:
            model.get_submodule(part).eval()
        device = next(model.parameters()).device
        output = model(*_moved(batch, device))
        stages = in_classes(batch.stages, output.logits.shape[-1]).to(device)
        weights = None if self.class_weights is None else self.class_weights.to(device)
        if hasattr(model, "loss"):
            loss = model.loss(output, stages, weights)
        else:
            loss = scored_cross_entropy(output.logits.float(), stages, weights)
        return loss, {"loss": loss.item()}

    def weight(self, batch: Windows) -> float:
        """Return what the mean of `loss` was divided by: scored epochs, or their class weights.

        Batches weighed by it have together the gradient of one batch of all of them.
        """
        scored = batch.stages[batch.stages != UNSCORED]
        if self.class_weights is None:
            return float(len(scored))
        return float(self.class_weights[in_classes(scored, len(self.class_weights))].sum())

    def evaluate(self, model: nn.Module, held_out: NightWindows) -> dict[str, float]:
        """Return accuracy, kappa, macro F1, F1 of each stage, nll; of each data set if several.

        Whole nights (`held_out.n_epochs` None) are staged as in use; windows each by itself, which
        is many times faster for models that vote over overlapping windows.
        """
        if held_out.n_epochs is None:
            outputs = predict(model, held_out, trim_epochs=self.trim_epochs)
        else:
            outputs = _predict_windows(model, held_out)
        return summary(list(outputs))


@torch.inference_mode()
def predict(
    model: nn.Module, nights: NightWindows, *, trim_epochs: int | None = None
) -> Iterator[NightOutput]:
    """Stage whole nights (`n_epochs` None, one window a night) and yield what was said of each."""
    model.eval()
    device = next(model.parameters()).device
    for index in range(len(nights)):
        batch = nights[index]
        signals, present = _moved(batch, device)
        proba = night_proba(
            model, {n: x[0] for n, x in signals.items()}, {n: p[0] for n, p in present.items()}
        )
        told = proba.float().cpu().numpy()
        told[~_anything(batch)] = np.nan
        yield _output(nights, batch, told, _judged(batch.stages[0].numpy(), trim_epochs))


@torch.inference_mode()
def _predict_windows(model: nn.Module, windows: NightWindows) -> Iterator[NightOutput]:
    """Stage windows, each by itself; an output holds one window."""
    model.eval()
    device = next(model.parameters()).device
    for first in range(0, len(windows), WINDOWS_AT_ONCE):
        batch = windows.__getitems__(range(first, min(first + WINDOWS_AT_ONCE, len(windows))))
        proba = model(*_moved(batch, device)).logits.float().softmax(dim=-1).cpu().numpy()
        for row in range(len(proba)):
            yield _output(windows, _row(batch, row), proba[row], batch.stages[row].numpy())


def summary(outputs: Sequence[NightOutput]) -> dict[str, float]:
    """Return the pooled metrics of outputs, and those of each data set when there are several.

    F1 of a stage that neither side has is left out; kappa is 0 where one stage is all there is.

    Raises
    ------
    ValueError
        If no scored epoch was staged.
    """
    found = _scores(outputs)
    by_dataset: dict[str, list[NightOutput]] = defaultdict(list)
    for output in outputs:
        by_dataset[output.dataset].append(output)
    if len(by_dataset) > 1:
        for name, some in sorted(by_dataset.items()):
            found |= {f"{name}/{metric}": value for metric, value in _scores(some).items()}
    return found


def class_weights(counts: Sequence[float]) -> tuple[float, ...]:
    """Return normalised inverse frequencies: (1 / n_k) / sum_j (1 / n_j).

    With the stage counts of LPSGM's training data these are the weights its code holds as
    constants. A class that never occurs has weight 0.
    """
    inverse = [1 / count if count else 0.0 for count in counts]
    return tuple(value / sum(inverse) for value in inverse)


def in_classes(stages: torch.Tensor, n_classes: int) -> torch.Tensor:
    """Return stages 0..4 and -1 in the classes of a model: as they are, or as W L D R."""
    return stages if n_classes != len(FOUR_CLASSES) else _TO_FOUR.to(stages.device)[stages + 1]


def _moved(
    batch: Windows, device: torch.device
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return signals and presence on a device."""
    signals = {name: x.to(device, non_blocking=True) for name, x in batch.signals.items()}
    return signals, {name: p.to(device, non_blocking=True) for name, p in batch.present.items()}


def _anything(batch: Windows) -> np.ndarray:
    """Return bool (E,): where the only window of a batch has at least one channel."""
    return torch.stack([there[0] for there in batch.present.values()]).any(dim=0).numpy()


def _row(batch: Windows, row: int) -> Windows:
    """Return one window of a batch."""
    part = slice(row, row + 1)
    return Windows(
        {name: x[part] for name, x in batch.signals.items()},
        {name: p[part] for name, p in batch.present.items()},
        batch.stages[part],
        batch.nights[part],
        batch.first[part],
    )


def _output(
    windows: NightWindows, batch: Windows, proba: np.ndarray, stages: np.ndarray
) -> NightOutput:
    """Return what was said of the only window of a batch."""
    name, n_classes = batch.nights[0], proba.shape[1]
    labels = to_four_classes(stages) if n_classes == len(FOUR_CLASSES) else stages
    return NightOutput(
        night=name,
        person=windows.sidecar(name)["person"],
        labels=labels,
        proba=proba,
        dataset=windows.sidecar(name)["dataset"],
        channels=" ".join(n for n, there in batch.present.items() if there.any()),
        simulated=bool(windows.sidecar(name).get("simulated", False)),
        classes=FOUR_CLASSES if n_classes == len(FOUR_CLASSES) else STAGES,
    )


def _judged(stages: np.ndarray, trim_epochs: int | None) -> np.ndarray:
    """Return the stages (E,), -1 in the wake that is trimmed."""
    if trim_epochs is None:
        return stages
    kept = np.full_like(stages, UNSCORED)
    for first, end in sleep_stretches(stages, trim_epochs):
        kept[first:end] = stages[first:end]
    return kept


def _scores(outputs: Sequence[NightOutput]) -> dict[str, float]:
    """Return the metrics of outputs, their epochs pooled."""
    n_classes = len(outputs[0].classes) if outputs else len(STAGES)
    matrix = sum(
        (confusion(output.labels, output.stages, n_classes) for output in outputs),
        start=np.zeros((n_classes, n_classes), dtype=np.int64),
    )
    if not matrix.any():
        raise ValueError("no scored epoch of the held-out nights could be staged")
    found = metrics_from(matrix)
    scores = {name: float(np.nan_to_num(found[name])) for name in ("accuracy", "kappa", "macro_f1")}
    per_stage = found["per_stage_f1"].items()
    scores |= {f"f1_{stage}": float(f1) for stage, f1 in per_stage if np.isfinite(f1)}
    return scores | {"nll": _nll(outputs)}


def _nll(outputs: Sequence[NightOutput]) -> float:
    """Return the mean of -log(probability of the true stage) in nats."""
    nats, n_epochs = 0.0, 0
    for output in outputs:
        assert output.proba is not None
        known = (output.labels != UNSCORED) & (output.stages != UNSCORED)
        rows = output.proba[known]
        chance = rows[np.arange(len(rows)), output.labels[known]]
        nats -= float(np.log(np.maximum(chance, np.finfo(np.float32).tiny)).sum())
        n_epochs += len(rows)
    return nats / n_epochs
