"""What stagers said of scored nights, wherever it lies, in the one form that evaluation reads.

A source is an NPZ file of `evaluation.outputs`, a folder of results of `main_stage_slm.py`, or a
folder of anyone's hypnograms, one file a recording. Results and hypnograms hold no scoring: a
folder of scoring files named like the nights is wanted beside them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.outputs import NightOutput, read_outputs
from nights.hypnogram import Hypnogram
from nights.outcome import read_refusals
from recordings.recording import RecordingError
from recordings.scoring import read_scoring
from staging.references import SUFFIXES, beside

if TYPE_CHECKING:
    from evaluation.cohort_page import Cohort
    from evaluation.comparison_page import Pair

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


def read_pair(first: Path, second: Path) -> Pair:
    """Read two scorings of one night, on the epochs of the first, in the classes both tell apart.

    Parameters
    ----------
    first, second : Path
        Files of scorings of any kind, or folders of results of `main_stage_slm.py`.

    Raises
    ------
    RecordingError
        If one cannot be read.
    ValueError
        If they scored no epoch in common.
    """
    from evaluation.comparison_page import Pair
    from staging.results import in_classes_of

    files = [_hypnogram_of(path) for path in (first, second)]
    one = read_scoring(files[0]).hypnogram
    first_sample = one.start and one.start - timedelta(seconds=one.onset_s)
    reach = one.n_epochs + math.ceil(one.onset_s / one.epoch_s)
    two = read_scoring(files[1], start=first_sample, n_epochs=reach).hypnogram
    two = in_classes_of(one, two)
    one = in_classes_of(two, one)
    names = (_named(one, first), _named(two, second))
    if names[0] == names[1]:
        names = (f"{names[0]} ({first.name})", f"{names[1]} ({second.name})")
    simulated = [*_reasons(first), *_reasons(second)]
    return Pair(first.stem, names, one, two, tuple(dict.fromkeys(simulated)))


def _hypnogram_of(path: Path) -> Path:
    """Return the file of a scoring; of a folder of results, its hypnogram."""
    return path / "hypnogram.csv" if path.is_dir() else path


def _named(hypnogram: Hypnogram, path: Path) -> str:
    """Return who scored; else what the file is called."""
    return hypnogram.scorer or path.name


def _reasons(path: Path) -> list[str]:
    """Return why results are not of a real night; a scoring alone does not tell."""
    from staging.results import DONE

    done = (path if path.is_dir() else path.parent) / DONE
    if not done.exists():
        return []
    return json.loads(done.read_text(encoding="utf-8"))["simulated"]


def read_cohort(folder: Path, n_nights: int | None = None) -> Cohort:
    """Read the results of a run of `main_stage_slm.py`, its refusals too.

    Raises
    ------
    ValueError
        If there is neither a result nor a refusal in the folder.
    """
    from evaluation.cohort_page import Cohort
    from staging.results import DONE

    found = sorted(folder.rglob(DONE))[:n_nights]
    refusals = read_refusals(folder / "failed.jsonl")
    if not found and not refusals:
        raise ValueError(f"{folder}: holds no results ({DONE}) of main_stage_slm.py")
    nights = [json.loads(path.read_text(encoding="utf-8")) for path in found]
    return Cohort(folder.resolve().name, nights, refusals)
