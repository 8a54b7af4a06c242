"""What stagers said of scored nights, wherever it lies, in the one form that evaluation reads.

A source is an NPZ file of `evaluation.outputs`, a folder of results of `main_stage_slm.py`, or a
folder of anyone's hypnograms, one file a recording. Results and hypnograms hold no scoring: a
folder of scoring files named like the nights is wanted beside them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from evaluation.outputs import NightOutput, read_outputs
from nights.hypnogram import Hypnogram
from recordings.recording import RecordingError
from recordings.scoring import read_scoring
from staging.references import SUFFIXES, beside
from staging.results import DONE, NO_PERSON, in_classes_of


def read_stagers(
    paths: Sequence[Path],
    scorings: Path | None = None,
    *,
    person_letters: int = 0,
    corrected: bool = False,
) -> dict[str, list[NightOutput]]:
    """Read every source as a stager: {name of the file or folder: nights}.

    Parameters
    ----------
    paths : sequence of Path
        NPZ files and folders.
    scorings : Path or None
        Folder of scoring files named like the nights; wanted for folders.
    person_letters : int
        Letters of a night's name that name the person; 0 = all. NPZ files tell it themselves.
    corrected : bool
        Of results that were corrected take these alone; else the stager's own stand beside them as
        `<name> uncorrected`.

    Raises
    ------
    ValueError
        If a folder is named without scorings, or holds no hypnogram that one belongs to.
    RecordingError
        If a hypnogram or scoring cannot be read.
    """
    found: dict[str, list[NightOutput]] = {}
    for path in paths:
        name = path.stem if path.stem not in found else f"{path.parent.name}/{path.stem}"
        if name in found:
            raise ValueError(f"two sources are called {name}: rename one")
        if not path.is_dir():
            found[name] = read_outputs(path)
            continue
        if scorings is None:
            raise ValueError(f"{path}: a folder of hypnograms wants --scorings FOLDER beside it")
        results = sorted(path.rglob(DONE))
        if not results:
            found[name] = [_judged(*night, scorings, person_letters) for night in _files(path)]
            continue
        for which, file in ((name, "hypnogram.csv"), (f"{name} uncorrected", "uncorrected.csv")):
            staged = _results(results, file) if which == name or not corrected else ()
            if nights := [_judged(*night, scorings, person_letters) for night in staged]:
                found[which] = nights
    for name, nights in found.items():
        if not nights:
            raise ValueError(f"{name}: no hypnograms in it")
    return found


def _results(finished: Sequence[Path], file: str) -> Iterator[tuple[str, Hypnogram, bool]]:
    """Yield recording, hypnogram and whether it is simulated, of each night that has `file`."""
    for done in finished:
        if (hypnogram := done.with_name(file)).exists():
            facts = json.loads(done.read_text(encoding="utf-8"))
            name = Path(facts["source"]["file"]).stem
            yield name, read_scoring(hypnogram).hypnogram, NO_PERSON in facts["simulated"]


def _files(folder: Path) -> Iterator[tuple[str, Hypnogram, bool]]:
    """Yield name and hypnogram of each file of anyone's hypnograms."""
    for path in sorted(folder.iterdir()):
        if path.suffix.casefold() in SUFFIXES:
            yield path.stem, read_scoring(path).hypnogram, False


def _judged(
    name: str, hypnogram: Hypnogram, simulated: bool, scorings: Path, person_letters: int
) -> NightOutput:
    """Lay the scoring of a night on its hypnogram."""
    files = list(beside(Path(name), scorings))
    if len(files) != 1:
        what = "no" if not files else f"{len(files)} files that could be its"
        raise RecordingError(f"{name}: {what} scoring in {scorings}")
    scoring = read_scoring(files[0], start=hypnogram.start, n_epochs=hypnogram.n_epochs)
    labels = in_classes_of(hypnogram, scoring.hypnogram).stages
    return NightOutput(
        night=name,
        person=name[: person_letters or None],
        labels=labels,
        proba=hypnogram.proba,
        stages=hypnogram.stages,
        simulated=simulated,
        classes=hypnogram.classes,
    )
