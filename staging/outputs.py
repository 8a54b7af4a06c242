"""A stager's output of scored nights, as a file that anyone can bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.special import log_softmax

from engine.denoising import JudgedNight
from nights.stages import UNSCORED, check_stages
from staging.correct import EPSILON
from staging.noise import hard_log_probs


def read_outputs(path: Path) -> list[JudgedNight]:
    """Read a stager's output of scored nights from an NPZ file.

    Parameters
    ----------
    path : Path
        `proba` float (n, 5) or `stages` int (n,) (-1 = nothing said), `labels` int (n,) (-1 = not
        scored), `night` (n,) and `person` (n,): names or numbers. The epochs of a night stand
        together, in order; what was cut out must be left in as -1, or correction crosses the gap.

    Raises
    ------
    ValueError
        If an array is missing, lengths differ, or the epochs of a night are scattered.
    """
    with np.load(path, allow_pickle=False) as file:
        missing = {"labels", "night", "person"} - set(file.files)
        if missing or not {"proba", "stages"} & set(file.files):
            wanted = "labels, night, person, and proba or stages"
            raise ValueError(f"{path.name}: holds {', '.join(file.files)}; wanted {wanted}")
        content = {name: file[name] for name in file.files}
    labels, names = check_stages(content["labels"]), content["night"].astype(str)
    said = _log_probs(content["proba"]) if "proba" in content else None
    if said is None:
        said = hard_log_probs(check_stages(content["stages"]))
    persons = content["person"].astype(str)
    lengths = {
        name: len(a) for name, a in (("output", said), ("night", names), ("person", persons))
    }
    if any(length != len(labels) for length in lengths.values()):
        raise ValueError(f"{path.name}: {len(labels)} labels, but {lengths}")
    first = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
    if len(first) != len(set(names.tolist())):
        raise ValueError(f"{path.name}: the epochs of a night must stand together")
    pieces = [slice(a, b) for a, b in zip(first, [*first[1:], len(names)], strict=True)]
    return [
        JudgedNight(names[p.start], persons[p.start], said[p][:, None], labels[p]) for p in pieces
    ]


def together(outputs: Sequence[Sequence[JudgedNight]]) -> list[JudgedNight]:
    """Put the outputs of several stagers of the same nights side by side."""
    first = outputs[0]
    by_name = [{night.night: night for night in nights} for nights in outputs]
    if any(set(one) != set(by_name[0]) for one in by_name):
        raise ValueError("the stagers' files hold different nights: fusion needs the same ones")
    evidence = {
        n.night: np.concatenate([one[n.night].evidence for one in by_name], axis=1) for n in first
    }
    return [replace(night, evidence=evidence[night.night]) for night in first]


def raw_stages(night: JudgedNight, stager: int = 0) -> np.ndarray:
    """Return the stages int8 (E,) of one stager, -1 where it said nothing."""
    return largest(night.evidence[:, stager])


def largest(rows: np.ndarray) -> np.ndarray:
    """Return the most probable stage int8 (E,) of rows (E, 5), -1 for NaN rows."""
    known = np.isfinite(rows).all(axis=1)
    stages = np.nan_to_num(rows).argmax(axis=1)
    return np.where(known, stages, UNSCORED).astype(np.int8)


def _log_probs(proba: np.ndarray) -> np.ndarray:
    """Return float32 log-probabilities (n, 5), rows normalised."""
    if proba.ndim != 2 or proba.shape[1] != 5 or (proba < 0).any():
        raise ValueError(f"proba must be (n, 5) and not negative, found shape {proba.shape}")
    return log_softmax(np.log(proba + EPSILON), axis=1).astype(np.float32)
