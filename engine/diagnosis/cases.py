"""Nights to diagnose from: whose they are, where they were recorded, what is known, which class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nights.night import Night
from nights.sequences import StageNight
from nights.stages import EPOCH_S, UNSCORED
from nights.trimming import sleep_stretches

NOT_KNOWN = float("nan")


@dataclass(frozen=True, eq=False)
class Case:
    """One night with its class.

    Parameters
    ----------
    night, person : str
        Names across all sources; `person` must stay on one side of a split.
    cohort : str
        Where it was recorded: the part of a data set if it has parts, else the data set.
    label : int
        Class, 0..K-1.
    stages : int8 array (E,)
        From half an hour before the first to half an hour after the last epoch of sleep, so that
        the length of the recording tells nothing; -1 where nobody scored; empty for a night that
        nobody scored at all.
    known : {name: float}
        `age`, `sex` (1 male), `rate_hz` in the file, `hours` recorded; NaN or absent if not told.
    path : Path or None
        Sidecar of the stored night; None where there are only stages.
    first, n_epochs : int
        Epochs of the stored night that are read.
    simulated : bool
        Nobody slept this night.
    """

    night: str
    person: str
    cohort: str
    label: int
    stages: np.ndarray
    known: Mapping[str, float] = field(default_factory=dict)
    path: Path | None = None
    first: int = 0
    n_epochs: int = 0
    simulated: bool = False


def of_hypnogram(
    night: StageNight, label: int, *, cohort: str = "", simulated: bool = False
) -> Case:
    """Return the case of a scored night without signals."""
    span = sleep_span(night.stages)
    known = {"hours": len(night.stages) * EPOCH_S / 3600, **night.known}
    stages = night.stages[span]
    return Case(
        night.name, night.owner, cohort or night.source, label, stages, known, simulated=simulated
    )


def of_stored(path: Path, label: int) -> Case:
    """Return the case of a stored night."""
    night = Night.open(path)
    sidecar, stages = night.sidecar, np.array(night.stages)
    span = sleep_span(stages)
    channels = [c for group in sidecar["groups"].values() for c in group["channels"]]
    told = {
        "age": _number(sidecar.get("age")),
        "sex": {"m": 1.0, "f": 0.0}.get(str(sidecar.get("sex", "")).lower()[:1], NOT_KNOWN),
        "rate_hz": max((_number(c.get("rate_hz")) for c in channels), default=NOT_KNOWN),
        "hours": night.n_epochs * EPOCH_S / 3600,
    }
    return Case(
        night=night.name,
        person=f"{sidecar['dataset']}/{sidecar['group']}",
        cohort=sidecar.get("part") or sidecar["dataset"],
        label=label,
        stages=stages[span] if (stages != UNSCORED).any() else stages[:0],
        known=told,
        path=path,
        first=span.start,
        n_epochs=span.stop - span.start,
        simulated=bool(sidecar.get("simulated", False)),
    )


def sleep_span(stages: np.ndarray) -> slice:
    """Return the epochs from half an hour before sleep to half an hour after it; all if none.

    Whole days were recorded in one cohort and nights in another: uncut, the length alone tells
    them apart (as it did in the published CAP and Sleep-EDF task).
    """
    stretches = sleep_stretches(stages)
    return slice(stretches[0][0], stretches[-1][1]) if stretches else slice(0, len(stages))


def counts(cases: Sequence[Case], classes: Sequence[str]) -> str:
    """Say how many nights and persons there are of each class."""
    told = []
    for code, name in enumerate(classes):
        own = [case for case in cases if case.label == code]
        told.append(f"{name} {len(own)} nights of {len({case.person for case in own})} persons")
    return ", ".join(told)


def check_cases(cases: Sequence[Case], classes: Sequence[str]) -> None:
    """Refuse what cannot be judged.

    Raises
    ------
    ValueError
        If a class has fewer than two persons, a person has nights of several classes, or a night
        stands twice.
    """
    for code, name in enumerate(classes):
        n_persons = len({case.person for case in cases if case.label == code})
        if n_persons < 2:
            raise ValueError(f"class {name!r} has {n_persons} persons; at least two are wanted")
    label_of: dict[str, int] = {}
    for case in cases:
        if label_of.setdefault(case.person, case.label) != case.label:
            raise ValueError(f"person {case.person!r} has nights of several classes")
    names = [case.night for case in cases]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"night {twice!r} stands twice")


def variables(cases: Sequence[Case]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return labels and all that could be confounded with them, a row a person in sorted order."""
    by_person: dict[str, list[Case]] = {}
    for case in cases:
        by_person.setdefault(case.person, []).append(case)
    own = [by_person[person] for person in sorted(by_person)]
    found: dict[str, np.ndarray] = {
        "site": np.array([nights[0].cohort for nights in own]),
        "number of nights": np.array([float(len(nights)) for nights in own]),
    }
    names = {"age": "age", "rate_hz": "sampling rate", "hours": "length of the recording"}
    for key, name in names.items():
        found[name] = np.array([_mean(nights, key) for nights in own])
    sex = [_mean(nights, "sex") for nights in own]
    found["sex"] = np.array(["" if one != one else "m" if one > 0.5 else "f" for one in sex])
    return np.array([nights[0].label for nights in own]), found


def _mean(nights: Iterable[Case], key: str) -> float:
    """Return the mean of what is known over the nights of a person."""
    told = [value for night in nights if (value := night.known.get(key, NOT_KNOWN)) == value]
    return float(np.mean(told)) if told else NOT_KNOWN


def _number(value: object) -> float:
    """Return a number of a sidecar, NaN where it tells none."""
    return float(value) if isinstance(value, int | float) else NOT_KNOWN
