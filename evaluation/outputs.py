"""What a stager said of scored nights, as a file that anyone can bring: one reader, one writer.

An NPZ file with nights laid end to end, epochs in the order of the night:

============ ==================== ============================================================
array        shape                content
============ ==================== ============================================================
`proba`      (n, K) float         hypnodensity, order of `classes`; NaN rows where nothing was said
`stages`     (n,) int             instead of, or beside, `proba`: the stage; -1 = nothing said
`labels`     (n,) int             the scoring to judge by; -1 = not scored
`night`      (n,) text or numbers which night an epoch belongs to; a night's epochs stand together
`person`     (n,)                 whose night it is: nobody is ever drawn or fitted on two sides
`dataset`    (n,), optional       where the night comes from; results are told for each
`channels`   (n,), optional       what the stager read, such as `C4 E1 Chin`; a night may stand in
                                  the file once for every subset
`simulated`  (n,) bool, optional  no person slept the night; results say so
`classes`    (K,), optional       names of the stages, default W N1 N2 N3 R; or W L D R, or two:
                                  without and with an event
============ ==================== ============================================================

A file with `n_epochs` (N,) has one entry a night in the descriptive arrays instead of one an
epoch: that is what `write_outputs` writes, a hundred times smaller in memory. What was cut out of a
night must be left in as -1, or statistics and corrections cross the gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nights.atomic import atomic_path
from nights.stages import FOUR_CLASSES, STAGES, UNSCORED, check_stages

WANTED = "labels, night, person, and proba or stages"
_ABOUT = ("night", "person", "dataset", "channels", "simulated")  # the first two are required


@dataclass(frozen=True, eq=False)
class NightOutput:
    """What a stager said of one night, and how it was scored.

    Parameters
    ----------
    night, person : str
        Which night, whose.
    labels : int8 array (E,)
        The scoring, -1 where nobody scored.
    proba : float32 array (E, K) or None
        Hypnodensity, NaN rows where the stager said nothing; None of a stager that gives labels.
    stages : int8 array (E,)
        What the stager said, -1 where nothing; when not given, the largest of `proba`.
    dataset, channels : str
        Where the night comes from, and what the stager read of it; empty when not told.
    simulated : bool
        No person slept this night.
    classes : tuple of str
        W N1 N2 N3 R, W L D R, or two: without and with an event (`no apnea`, `apnea`).

    Raises
    ------
    ValueError
        If lengths differ, a stage is unknown, or `proba` is no hypnodensity.
    """

    night: str
    person: str
    labels: np.ndarray
    proba: np.ndarray | None = None
    stages: np.ndarray = None  # type: ignore[assignment]  # never None once made
    dataset: str = ""
    channels: str = ""
    simulated: bool = False
    classes: tuple[str, ...] = STAGES

    def __post_init__(self) -> None:
        n_epochs, n_classes = len(self.labels), len(self.classes)
        event = n_classes == 2 and self.classes[0] == f"no {self.classes[1]}"
        if self.classes not in (STAGES, FOUR_CLASSES) and not event:
            raise ValueError(f"night {self.night!r}: classes {self.classes}, wanted {STAGES}")
        if self.proba is not None:
            object.__setattr__(self, "proba", _checked(self.proba, self.night, n_classes))
        if self.stages is None and self.proba is None:
            raise ValueError(f"night {self.night!r}: neither proba nor stages are given")
        if self.stages is None:
            object.__setattr__(self, "stages", largest(_or(self.proba, self.labels)))
        for name in ("labels", "stages"):
            object.__setattr__(self, name, check_stages(getattr(self, name), n_classes))
        lengths = {"stages": len(self.stages), "proba": len(_or(self.proba, self.stages))}
        for name, length in lengths.items():
            if length != n_epochs:
                raise ValueError(f"night {self.night!r}: {n_epochs} labels, {length} {name}")

    @property
    def owner(self) -> str:
        """Name of the person across all data sets."""
        return f"{self.dataset}/{self.person}"

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells this entry from every other of a file: data set, night, channels."""
        return (self.dataset, self.night, self.channels)


def read_outputs(path: Path) -> list[NightOutput]:
    """Read a stager's output of scored nights from an NPZ file (see the table above).

    Raises
    ------
    ValueError
        If an array is missing, lengths differ, or the epochs of a night are scattered.
    """
    with np.load(path, allow_pickle=False) as file:
        missing = {"labels", "night", "person"} - set(file.files)
        if missing or not {"proba", "stages"} & set(file.files):
            raise ValueError(f"{path.name}: holds {', '.join(file.files)}; wanted {WANTED}")
        content = {name: file[name] for name in file.files}
    n = len(content["labels"])
    about, edges = _per_night(content, path.name)
    said = [name for name in ("labels", "proba", "stages") if name in content]
    wrong = {name: len(content[name]) for name in said if len(content[name]) != n}
    if wrong:
        raise ValueError(f"{path.name}: {n} labels, but {wrong}")
    classes = tuple(content["classes"].tolist()) if "classes" in content else STAGES
    nights = [
        NightOutput(
            **{name: values[number] for name, values in about.items()},
            **{name: content[name][first:end] for name in said},
            classes=classes,
        )
        for number, (first, end) in enumerate(zip(edges, edges[1:], strict=False))
    ]
    _refuse_repeated(nights, path.name)
    return nights


def write_outputs(path: Path, nights: Iterable[NightOutput]) -> Path:
    """Write a stager's output of scored nights as an NPZ file that `read_outputs` reads.

    Parameters
    ----------
    path : Path
        The file, whole or not there.
    nights : iterable of NightOutput
        All with a hypnodensity or all without, all of the same classes.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ValueError
        If there are no nights, if they do not go together, or one is there twice.
    """
    nights = list(nights)
    if not nights:
        raise ValueError(f"{path.name}: no nights to write")
    if len({(night.proba is None, night.classes) for night in nights}) > 1:
        raise ValueError(f"{path.name}: nights with and without proba, or of several classes")
    _refuse_repeated(nights, path.name)
    columns = {
        "n_epochs": np.array([len(night.labels) for night in nights]),
        "labels": np.concatenate([night.labels for night in nights]),
        "stages": np.concatenate([night.stages for night in nights]),
        "classes": np.array(nights[0].classes),
    }
    columns |= {name: np.array([getattr(night, name) for night in nights]) for name in _ABOUT}
    if nights[0].proba is not None:
        columns["proba"] = np.concatenate([_or(night.proba, night.stages) for night in nights])
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **columns)  # type: ignore[arg-type]
    return path


def first_nights(nights: Sequence[NightOutput], n: int) -> list[NightOutput]:
    """Return the first `n` nights by name, with every subset of channels they stand for."""
    kept = sorted({night.key[:2] for night in nights})[:n]
    return [night for night in nights if night.key[:2] in kept]


def largest(rows: np.ndarray) -> np.ndarray:
    """Return the most probable stage int8 (E,) of rows (E, K), -1 for NaN rows."""
    known = np.isfinite(rows).all(axis=1)
    stages = np.nan_to_num(rows).argmax(axis=1)
    return np.where(known, stages, UNSCORED).astype(np.int8)


def _per_night(content: Mapping[str, np.ndarray], file: str) -> tuple[dict[str, list], list[int]]:
    """Return the descriptive arrays with one entry a night, and the edges of the nights (N + 1)."""
    about = {name: content[name] for name in _ABOUT if name in content}
    about = {n: v.astype(bool if n == "simulated" else str) for n, v in about.items()}
    n = len(content["labels"])
    wanted = len(content["n_epochs"]) if "n_epochs" in content else n
    wrong = {name: len(values) for name, values in about.items() if len(values) != wanted}
    if wrong:
        raise ValueError(f"{file}: {n} labels of {wanted} entries, but {wrong}")
    if "n_epochs" in content:
        edges = np.r_[0, np.cumsum(content["n_epochs"])]
        if edges[-1] != n:
            raise ValueError(f"{file}: {n} labels, but n_epochs sum to {edges[-1]}")
        return {name: values.tolist() for name, values in about.items()}, edges.tolist()
    changes = [about[name][1:] != about[name][:-1] for name in about if name != "person"]
    first = np.flatnonzero(np.r_[n > 0, np.any(changes, axis=0)])
    return {name: values[first].tolist() for name, values in about.items()}, [*first.tolist(), n]


def _refuse_repeated(nights: Sequence[NightOutput], file: str) -> None:
    """Refuse a night that stands twice with the same channels."""
    seen: set[tuple[str, str, str]] = set()
    for night in nights:
        if night.key in seen:
            raise ValueError(
                f"{file}: night {night.night!r} stands twice; the epochs of a night must stand "
                "together, once for each subset of channels"
            )
        seen.add(night.key)


def _checked(proba: np.ndarray, night: str, n_classes: int) -> np.ndarray:
    """Return a hypnodensity as float32 (E, K), rows summing to 1."""
    proba = np.asarray(proba)
    if proba.ndim != 2 or proba.shape[1] != n_classes or (proba < 0).any():
        raise ValueError(
            f"night {night!r}: proba must be (n, {n_classes}) and not negative, found shape "
            f"{proba.shape}"
        )
    total = proba.sum(axis=1, dtype=np.float64, keepdims=True)
    if (total == 0).any():
        raise ValueError(f"night {night!r}: a row of proba is 0; write NaN where nothing was said")
    return (proba / total).astype(np.float32)


def _or(first: np.ndarray | None, second: np.ndarray) -> np.ndarray:
    """Return the first array if it is there, else the second."""
    return second if first is None else first
