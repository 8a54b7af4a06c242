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

Staged = tuple[str, Hypnogram, bool]  # name of the recording, hypnogram, whether simulated


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
        If a folder is named without scorings, or holds no hypnogram.
    RecordingError
        If a hypnogram cannot be read, or its scoring is not there or cannot be read.
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
        for which, staged in _folder(path, corrected).items():
            judged = [_judged(*night, scorings, person_letters) for night in staged]
            found[f"{name} {which}".strip()] = judged
    return found


def _folder(path: Path, corrected: bool) -> dict[str, list[Staged]]:
    """Return the hypnograms of a folder; of our results, the uncorrected ones too."""
    from staging.results import DONE  # brings torch, which files of outputs do not need

    if results := sorted(path.rglob(DONE)):
        wanted = {"": "hypnogram.csv"} | ({} if corrected else {"uncorrected": "uncorrected.csv"})
        kinds = {which: list(_results(results, file)) for which, file in wanted.items()}
        return {which: staged for which, staged in kinds.items() if staged}
    staged = [
        (file.stem, read_scoring(file).hypnogram, False)
        for file in sorted(path.iterdir())
        if file.suffix.casefold() in SUFFIXES
    ]
    if not staged:
        raise ValueError(f"{path}: holds neither results ({DONE}) nor hypnograms")
    return {"": staged}


def _results(finished: Sequence[Path], file: str) -> Iterator[Staged]:
    """Yield each night that has `file`."""
    from staging.results import NO_PERSON

    for done in finished:
        if (hypnogram := done.with_name(file)).exists():
            facts = json.loads(done.read_text(encoding="utf-8"))
            name = Path(facts["source"]["file"]).stem
            yield name, read_scoring(hypnogram).hypnogram, NO_PERSON in facts["simulated"]


def _judged(
    name: str, hypnogram: Hypnogram, simulated: bool, scorings: Path, person_letters: int
) -> NightOutput:
    """Lay the scoring of a night on its hypnogram."""
    from staging.results import in_classes_of

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
