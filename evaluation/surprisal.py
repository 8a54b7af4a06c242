"""Surprisal: how improbable each epoch of a hypnogram is to a language model of sleep.

A lone epoch of R between W, or a night that jumps between stages all along, is rare in scored
nights. High surprisal marks what is worth a second look: a mistake of a stager, an artefact, or a
night unlike those the model knows. It is no proof of either.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from evaluation.next_stage import n_stages, running_log_probs
from nights.hypnogram import Hypnogram
from nights.sequences import stretches

IMPROBABLE_NATS = -np.log(0.01)  # one epoch in a hundred is as improbable by the model itself


def surprisal(
    hypnogram: Hypnogram, model: Any, *, context: int | None = None, stride: int = 1
) -> np.ndarray:
    """Return the negative log-probability of every epoch given those before it.

    Parameters
    ----------
    hypnogram : Hypnogram
        A night, on the clock and in the classes of the model.
    model : Module
        A stage language model, a transition table or a mixture.
    context, stride : int
        Epochs a language model looks back at most, and moves by; see `running_log_probs`.

    Returns
    -------
    float64 array (E,)
        In nats; NaN where unscored, and in the first epoch of each scored stretch, which nothing
        foretells.

    Raises
    ------
    ValueError
        If the night has other classes than the model.
    """
    if len(hypnogram.classes) != n_stages(model):
        raise ValueError(
            f"the language model knows {n_stages(model)} stages, the night has "
            f"{len(hypnogram.classes)}: {' '.join(hypnogram.classes)}"
        )
    nats = np.full(hypnogram.n_epochs, np.nan)
    for stretch in stretches(hypnogram.scored):
        stages = hypnogram.stages[stretch].astype(np.int64)
        if len(stages) < 2:
            continue
        told = running_log_probs(model, stages[:-1], context, stride).cpu().numpy()
        nats[stretch.start + 1 : stretch.stop] = -told[np.arange(len(told)), stages[1:]]
    return nats


def night_surprisal(nats: np.ndarray) -> float:
    """Return the mean surprisal of a night, in nats per epoch; NaN if no epoch has one."""
    known = np.isfinite(nats)
    return float(nats[known].mean()) if known.any() else float("nan")


def improbable_epochs(
    nats: np.ndarray, *, limit: float = IMPROBABLE_NATS, most: int = 20
) -> list[int]:
    """Return the epochs above `limit` nats, the most surprising first, at most `most`."""
    above = np.flatnonzero(np.nan_to_num(nats) > limit)
    return above[np.argsort(-nats[above], kind="stable")][:most].tolist()
