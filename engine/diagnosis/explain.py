"""Which part of the night carried a decision: take a part away and see what the network says then.

A hypnogram network is asked about the night without one of its segments, as if that half hour had
not been; a network over windows of signals is asked about all windows but those that touch the
part. Attention is at hand, too (`models.htn.NightClasses.attention`), but tells where a network
looked, not what it made of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from engine.diagnosis.cases import Case
from engine.diagnosis.encoder import LEAST_PROBA
from engine.diagnosis.hypnogram_networks import FittedNetwork
from engine.diagnosis.night_task import lay_out, read_segments
from engine.diagnosis.signal_networks import FittedSignals

PART_EPOCHS = 60  # of a signal network: as long as the segments of the hypnogram networks


@dataclass(frozen=True, eq=False)
class Explanation:
    """What each part of a night added to the log-odds of a class.

    Parameters
    ----------
    night : str
    proba : float
        Of the class, from the whole night.
    edges : int array (S + 1,)
        Epochs of `Case.stages` between which the parts lie.
    contributions : float array (S,)
        Log-odds with the part minus log-odds without it; NaN where nothing was recorded.
    """

    night: str
    proba: float
    edges: np.ndarray
    contributions: np.ndarray

    def facts(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {name: value for name, value in vars(self).items()}


def explain(fitted: Any, case: Case, label: int = 1) -> Explanation:
    """Explain what a network said of a night.

    Parameters
    ----------
    fitted : FittedNetwork or FittedSignals
    case : Case
    label : int
        Class whose log-odds are explained.

    Raises
    ------
    ValueError
        For an encoder that reads the night as one row of numbers, or a night whose signals have a
        gap longer than a window.
    """
    if isinstance(fitted, FittedNetwork):
        return _of_segments(fitted.model, case, label)
    if isinstance(fitted, FittedSignals):
        return _of_windows(fitted, case, label)
    raise ValueError(f"{type(fitted).__name__}: its decision has no parts of the night to show")


@torch.inference_mode()
def _of_segments(model: Any, case: Case, label: int) -> Explanation:
    """Leave out each segment of a hypnogram network."""
    length = model.config.n_positions
    night = read_segments(model, lay_out([case], length))
    device = next(model.parameters()).device
    picked, there = night.first.to(device), night.second.to(device)
    whole = _log_odds(model.classify(picked, there).logits, label)
    n_segments = picked.shape[1]
    contributions = np.full(n_segments, np.nan)
    for segment in there[0].nonzero().flatten().tolist():
        kept = [place for place in range(n_segments) if place != segment]
        if there[:, kept].any():
            logits = model.classify(picked[:, kept], there[:, kept]).logits
            contributions[segment] = whole - _log_odds(logits, label)
    edges = np.minimum(np.arange(n_segments + 1) * length, len(case.stages))
    return Explanation(case.night, float(1 / (1 + np.exp(-whole))), edges, contributions)


def _of_windows(fitted: FittedSignals, case: Case, label: int) -> Explanation:
    """Leave out all windows that touch each part of a signal network's night."""
    proba = fitted.window_proba(case)[:, label]  # (W,)
    window, stride = fitted.model.window, fitted.reader.stride
    starts = np.arange(0, max(1, case.n_epochs - window + 1), stride)
    if len(starts) != len(proba):
        raise ValueError(f"night {case.night!r} has a gap longer than a window: not explained")
    whole = _odds_of(proba.mean())
    edges = np.append(np.arange(0, case.n_epochs, PART_EPOCHS), case.n_epochs)
    contributions = np.full(len(edges) - 1, np.nan)
    for part, (first, end) in enumerate(zip(edges, edges[1:], strict=False)):
        others = (starts >= end) | (starts + window <= first)
        if others.any() and not others.all():
            contributions[part] = whole - _odds_of(proba[others].mean())
    return Explanation(case.night, float(proba.mean()), edges, contributions)


def _log_odds(logits: torch.Tensor, label: int) -> float:
    """Return the log-odds of a class from the logits (1, K) of one night."""
    return _odds_of(float(logits.double().softmax(dim=-1)[0, label]))


def _odds_of(proba: float) -> float:
    """Return the log-odds of a probability, kept away from 0 and 1."""
    kept = min(max(proba, LEAST_PROBA), 1 - LEAST_PROBA)
    return float(np.log(kept / (1 - kept)))
