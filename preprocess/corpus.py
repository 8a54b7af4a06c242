"""A corpus of scored nights from whatever is at hand: stores, scoring files, annotations.txt.

    nights = gather([Path("data/bb100/HMC"), Path("scorings"), Path("annotations.txt")])

Everything is on the 30 s clock, unscored epochs stay as gaps that no sequence crosses, and each
night has its person. `preprocess.hypnograms` names the open sources the shipped weights come from.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nights.atomic import write_text
from nights.hypnogram import Hypnogram
from nights.sequences import StageNight, sequences
from nights.stages import EPOCH_S, STAGES, UNSCORED, check_stages, to_four_classes
from nights.store import night_files
from recordings.recording import RecordingError

# What scoring files end with; a folder is searched for these
SUFFIXES = frozenset((".csv", ".tsv", ".txt", ".xml", ".edf", ".json", ".xlsx", ".ids", ".eannot"))
Person = Callable[[Path], str]

logger = logging.getLogger(__name__)


def gather(
    paths: Iterable[Path], *, person: Person | None = None, stage_map: str | None = None
) -> list[StageNight]:
    """Read scored nights from files and folders of any kind.

    Parameters
    ----------
    paths : iterable of Path
        Night stores (`data/<view>`), folders of scoring files, scoring files
        of any format that `recordings.scoring` knows, and `annotations.txt` files.
    person : callable, optional
        Scoring file -> person; default: every file is somebody else's. Stores know their persons;
        the lines of an annotations.txt count as a person each.
    stage_map : str, optional
        How scoring files write stages, where they do not tell: a name in `STAGE_MAPS`.

    Returns
    -------
    list of StageNight
        In the order of paths and names.

    Raises
    ------
    ValueError
        If a path does not exist, or a folder holds no scored night.
    RecordingError
        If a scoring file cannot be read.
    """
    found: list[StageNight] = []
    for path in map(Path, paths):
        nights = list(_nights(path, person or (lambda file: file.name), stage_map))
        if not nights:
            raise ValueError(f"{path}: no scored night in it")
        found += nights
    return found


def read_annotations(path: Path) -> list[StageNight]:
    """Read an annotations.txt of SleepGPT: a night per line, stages 0..4 with commas between.

    The file keeps neither persons nor gaps: a line counts as a person, and epochs left out at
    writing are lost. In files written here -1 marks an unscored epoch.

    Raises
    ------
    ValueError
        If a line holds anything but stages, with its number.
    """
    nights = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        name = f"{path.stem}-{number:04d}"
        try:
            stages = check_stages(np.array([int(code) for code in line.strip(", ").split(",")]))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
        nights.append(StageNight(path.parent.name or path.stem, name, name, stages))
    return nights


def write_annotations(path: Path, nights: Sequence[StageNight], *, gaps: bool = False) -> None:
    """Write nights as the annotations.txt that SleepGPT's scripts read, in the order given.

    Parameters
    ----------
    path : Path
        File to write, whole or not at all.
    nights : sequence of StageNight
        A line each.
    gaps : bool
        Keep -1 for unscored epochs, which only this project reads. Without, every scored stretch
        becomes a line of its own, so that nothing is joined across a gap.
    """
    lines = [night.stages for night in nights] if gaps else sequences(nights, min_epochs=1)
    text = "\n".join(",".join(map(str, stages.tolist())) for stages in lines)
    write_text(path, text + "\n")


def on_30_s(hypnogram: Hypnogram) -> np.ndarray:
    """Return the stages on the 30 s clock, int8: each epoch takes the stage at its centre.

    Of pages of 20 s that is the one that covers two thirds of the epoch.
    """
    if hypnogram.epoch_s == EPOCH_S:
        return hypnogram.stages
    n_epochs = round(hypnogram.n_epochs * hypnogram.epoch_s / EPOCH_S)
    centres_s = EPOCH_S * (np.arange(n_epochs) + 0.5)
    pages = np.minimum(centres_s // hypnogram.epoch_s, hypnogram.n_epochs - 1).astype(np.int64)
    return hypnogram.stages[pages]


def in_classes(nights: Iterable[StageNight], n_classes: int) -> list[StageNight]:
    """Return nights in five classes (as they are) or four: W, L (N1 and N2), D and R."""
    if n_classes == len(STAGES):
        return list(nights)
    return [replace(night, stages=to_four_classes(night.stages)) for night in nights]


def _nights(path: Path, person: Person, stage_map: str | None) -> Iterator[StageNight]:
    """Yield the nights of one path."""
    if not path.exists():
        raise ValueError(f"{path}: no such file or folder")
    if path.is_file():
        yield from _of_file(path, person, stage_map)
    elif (path / "view.json").exists():
        yield from _stored(path)
    else:
        for file in sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES):
            try:
                yield from _of_file(file, person, stage_map)
            except RecordingError as error:  # a folder holds other files beside its scorings
                logger.warning("left out: %s", error)


def _of_file(path: Path, person: Person, stage_map: str | None) -> Iterator[StageNight]:
    """Yield the night of a scoring file, or the nights of an annotations.txt."""
    from recordings.scoring import read_scoring

    if _holds_lines_of_stages(path):
        yield from read_annotations(path)
        return
    hypnogram = read_scoring(path, stage_map=stage_map).hypnogram
    known = _known_of(hypnogram, {})
    yield StageNight(path.parent.name, path.stem, person(path), on_30_s(hypnogram), known)


def _stored(folder: Path) -> Iterator[StageNight]:
    """Yield the scored nights of a night store or of one data set in it."""
    from nights.night import Night

    for sidecar in night_files(folder):
        night = Night.open(sidecar)
        known = night.sidecar
        stages = on_30_s(night.hypnogram)
        if (stages != UNSCORED).any():
            about = _known_of(night.hypnogram, known)
            yield StageNight(known["dataset"], known["rec"], known["group"], stages, about)


def _known_of(hypnogram: Hypnogram, sidecar: Mapping[str, Any]) -> dict[str, float]:
    """Return age, sex and lights off as far as the data set told them."""
    found = {}
    if isinstance(sidecar.get("age"), int | float):
        found["age"] = float(sidecar["age"])
    if (sex := str(sidecar.get("sex", "")).lower()[:1]) in ("m", "f"):
        found["sex"] = float(sex == "m")
    if hypnogram.lights_off_s is not None:
        found["lights_off_epoch"] = (hypnogram.lights_off_s - hypnogram.onset_s) / EPOCH_S
    return found


def _holds_lines_of_stages(path: Path) -> bool:
    """Tell an annotations.txt from other text: its first line is a list of single digits."""
    if path.suffix.lower() != ".txt":
        return False
    with path.open("rb") as file:
        begun = file.read(64).split(b"\n")[0].strip(b" \r,")
    codes = begun.split(b",")
    return len(codes) > 2 and all(
        code.strip() in {b"-1", *b"0 1 2 3 4".split()} for code in codes[:-1]
    )
