"""What an epoch is labelled with: its stage, or whether it holds an event; and how many are known.

An event labels epochs by a rule of `nights.events.event_labels`. Few labels are drawn by person,
because that is how labels come to a laboratory: somebody scores a night.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evaluation.respiration import APNEAS
from nights.events import Event, Rule, event_labels
from nights.hypnogram import Hypnogram
from nights.night import Night
from nights.stages import FOUR_CLASSES, STAGES, UNSCORED, to_four_classes

Labels = dict[str, np.ndarray]  # {night: int8 (E,)}, -1 where there is none


@dataclass(frozen=True)
class Target:
    """What is to be told of an epoch.

    Parameters
    ----------
    name : str
    classes : tuple of str
        In the order of their codes.
    events : tuple of str
        Types of which the epoch may hold one; none for stages.
    rule : str
        When an epoch holds an event.
    """

    name: str
    classes: tuple[str, ...]
    events: tuple[str, ...] = ()
    rule: Rule = "half"

    @classmethod
    def of(cls, task: str, n_classes: int = 5, rule: Rule = "half") -> Target:
        """Return the target of a task: staging, apnea or hypopnea."""
        if task == "staging":
            return cls(task, STAGES if n_classes == len(STAGES) else FOUR_CLASSES)
        types = {"apnea": APNEAS, "hypopnea": ("hypopnea",)}[task]
        return cls(task, (f"no {task}", task), types, rule)

    def labels(self, night: Night) -> np.ndarray | None:
        """Return the label of every epoch, int8 (E,), or None of a night nobody scored for it.

        Epochs without a stage have no label: whoever left them out did not look for events either.
        """
        stages = np.asarray(night.stages)
        if not (stages != UNSCORED).any():
            return None
        if not self.events:
            return to_four_classes(stages) if self.classes == FOUR_CLASSES else stages
        if night.sidecar["event_types"] is None:
            return None
        held = self.holds(night.events, night.hypnogram)
        return np.where(stages == UNSCORED, UNSCORED, held).astype(np.int8)

    def holds(self, events: Sequence[Event], hypnogram: Hypnogram) -> np.ndarray:
        """Return bool (E,): whether an epoch holds one of the target's events, by its rule."""
        return event_labels(events, hypnogram, rule=self.rule, types=self.events).any(axis=0)


def limited(
    labels: Mapping[str, np.ndarray],
    persons: Mapping[str, str],
    fraction: float,
    *,
    by: Literal["person", "epoch"] = "person",
    seed: int = 0,
) -> Labels:
    """Hide labels until a fraction of them is left.

    Parameters
    ----------
    labels : {night: int8 (E,)}
    persons : {night: person}
    fraction : float
        Of the labelled epochs, above 0 and up to 1.
    by : str
        `person`: persons in random order, their nights whole as far as the fraction goes; of the
        next night, random epochs for the rest. `epoch`: random epochs of all nights.
    seed : int
        The labels of a smaller fraction are among those of a larger one.

    Returns
    -------
    {night: int8 (E,)}
        -1 where a label is hidden; nights without any left out. What is taken of a part of the
        epochs begins with one epoch of each class in them, so that no class is lost if the
        fraction has room for it.
    """
    wanted = max(1, round(fraction * sum(int((own >= 0).sum()) for own in labels.values())))
    if by == "epoch":
        return _of_epochs(labels, wanted, seed)
    rng = np.random.default_rng(seed)
    people = rng.permutation(sorted({persons[night] for night in labels})).tolist()
    kept: Labels = {}
    for name in sorted(labels, key=lambda night: (people.index(persons[night]), night)):
        own = labels[name]
        known = np.flatnonzero(own >= 0)
        taken = known[_first_of_each(own[known], seed, name)[:wanted]]
        kept[name] = np.full_like(own, UNSCORED)
        kept[name][taken] = own[taken]
        wanted -= len(taken)
        if not wanted:
            break
    return kept


def _of_epochs(labels: Mapping[str, np.ndarray], wanted: int, seed: int) -> Labels:
    """Keep `wanted` random epochs of all nights together."""
    names = sorted(labels)
    whole = np.concatenate([labels[name] for name in names])
    known = np.flatnonzero(whole >= 0)
    taken = known[_first_of_each(whole[known], seed, "")[:wanted]]
    few = np.full_like(whole, UNSCORED)
    few[taken] = whole[taken]
    ends = np.cumsum([len(labels[name]) for name in names])[:-1]
    parts = dict(zip(names, np.split(few, ends), strict=True))
    return {name: own for name, own in parts.items() if (own >= 0).any()}


def _first_of_each(codes: np.ndarray, seed: int, name: str) -> np.ndarray:
    """Return a random order of the epochs that begins with one of each class."""
    order = np.random.default_rng([seed, zlib.crc32(name.encode())]).permutation(len(codes))
    first = np.sort(np.unique(codes[order], return_index=True)[1])
    return np.concatenate([order[first], np.delete(order, first)])
