"""A stager of any subset of signals, judged on each of them: what is lost with every signal?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from engine.staging_nights import StoredNight
from engine.staging_task import predict
from evaluation.outputs import NightOutput
from nights.windows import NightWindows


def subset_outputs(
    model: Any,
    nights: Sequence[StoredNight],
    *,
    channels: Sequence[str] = (),
    trim_epochs: int | None = None,
) -> Iterator[NightOutput]:
    """Stage nights from every subset of their signals, the largest subsets first.

    Parameters
    ----------
    model : Module
        A stager of the registry in evaluation mode that reads any subset of its channels.
    nights : sequence of StoredNight
        A night that lacks a signal of a subset is no night of that subset: it would be staged from
        another one (the published evaluation scores such nights as if they were).
    channels : sequence of str
        Of the model; default: all.
    trim_epochs : int, optional
        Wake farther than this from sleep is not judged (`nights.trimming`).

    Yields
    ------
    NightOutput
        `channels` names the subset, as `main_evaluate.py staging` tells them apart.
    """
    for subset in subsets_of(nights, channels or tuple(model.channels)):
        paths = [night.path for night in nights if night.samples.keys() >= set(subset)]
        rule = nights[0].normalise(model)
        windows = NightWindows(paths, subset, None, normalise=rule)
        yield from predict(model, windows, trim_epochs=trim_epochs)


def subsets_of(nights: Sequence[StoredNight], channels: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the subsets of channels that one night at least has, the largest first."""
    return [
        subset
        for size in range(len(channels), 0, -1)
        for subset in combinations(channels, size)
        if any(night.samples.keys() >= set(subset) for night in nights)
    ]
