"""One's own folder of recordings as a data set, described by a short text file (TOML).

    python main_preprocess.py init FOLDER        # looks at the folder, writes FOLDER/dataset.toml
    python main_preprocess.py check FOLDER/dataset.toml
    python main_preprocess.py run FOLDER/dataset.toml --out data

`preprocess/custom/survey.py` writes the first version; `Description` says what each line means.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

from nights.stages import STAGE_MAPS, STAGES, UNSCORED
from preprocess.dataset import (
    EVENTS,
    Dataset,
    DatasetSpec,
    RawNight,
    ScoringFormat,
    Source,
    read_rows,
)
from recordings.formats import is_recording
from recordings.labels import Candidate

_CODES = {**{name: code for code, name in enumerate(STAGES)}, "": UNSCORED, "?": UNSCORED}
_WANTED = {str: "a text in quotes", bool: "true or false", list: "a [list]", dict: "a [table]"}
_COLUMNS = ("night", "person", "family", "visit", "part")  # every other column is a label


@dataclass(frozen=True)
class Description:
    """What a description says, line by line.

    Parameters
    ----------
    name : str
        Folder in the night store.
    folder : str
        Where the recordings lie, seen from the description.
    recordings : list of str
        Patterns of the recordings below the folder; `**/*.edf` looks into every folder.
    person : str
        Regular expression found in a recording's path without its suffix; its first group is the
        person, whose nights stay together. Empty: every recording is another person.
    scoring : str
        File with the stages below the folder, made of {folder}, {stem} and {name} of the recording
        (`{folder}/{stem}_scoring.txt`; `{stem:.6}` are its first six letters, `*` anything). Empty:
        nobody scored.
    scoring_format, stage_map, column : str
        As for `recordings.scoring.read_scoring`; empty lets the content tell.
    unscored : bool
        Keep recordings whose scoring is missing, without stages, instead of refusing them.
    events : bool
        Keep the events (apneas, arousals, ...) of the scoring.
    table : str
        CSV file below the folder with a column `night` and any of `person`, `family`, `visit`,
        `part`; every other column is a label such as a diagnosis.
    channels : mapping
        {target: list of labels, best first}; a list [plus, minus] is a difference.
    stages : mapping
        {stage as the files write it: W, N1, N2, N3, R or nothing}, in addition to `stage_map`.
    """

    name: str
    folder: str = "."
    recordings: Sequence[str] = ("**/*.edf",)
    person: str = ""
    scoring: str = ""
    scoring_format: str = "auto"
    stage_map: str = ""
    column: str = ""
    unscored: bool = False
    events: bool = False
    table: str = ""
    channels: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    stages: Mapping[str, str] = field(default_factory=dict)


def described(path: Path) -> Dataset:
    """Return the data set that a description (`.toml`) stands for.

    Raises
    ------
    ValueError
        If the file is missing or no TOML, or a line is unknown or has a wrong value; the message
        names the file and the line's key.
    """
    try:
        description = _read(path)
        candidates = {
            target: [_candidate(target, c) for c in listed]
            for target, listed in description.channels.items()
        }
        if not candidates:
            raise ValueError('no channels; give some under [channels], such as C4 = ["C4-M1"]')
        spec = DatasetSpec(
            name=description.name,
            title=f"{description.name}, described by {path.name}",
            source=Source("private", files=tuple(description.recordings)),
            channels=candidates,
            scoring=_scoring_format(description),
            events=EVENTS if description.events else None,
        )
        re.compile(description.person)
    except (ValueError, TypeError, re.error) as error:
        raise ValueError(f"{path}: {error}") from None
    return Dataset(spec, partial(_nights, description), raw=path.parent / description.folder)


def matched_files(raw_dir: Path, patterns: Sequence[str]) -> list[Path]:
    """Return the recordings below `raw_dir` that the patterns mean, sorted by path."""
    found = {path for pattern in patterns for path in raw_dir.glob(pattern)}
    return sorted(path for path in found if is_recording(path))


def night_names(raw_dir: Path, paths: Sequence[Path]) -> dict[Path, str]:
    """Name every recording by its stem, or by its path where two share a stem."""
    stems = [path.stem for path in paths]
    return {
        path: path.stem
        if stems.count(path.stem) == 1
        else "-".join(path.relative_to(raw_dir).with_suffix("").parts)
        for path in paths
    }


def scorings_of(raw_dir: Path, path: Path, template: str) -> list[Path]:
    """Return the files that a template means for a recording: one, unless it has a `*`."""
    wanted = _filled(raw_dir, path, template)
    found = sorted(raw_dir.glob(wanted)) if "*" in wanted else [raw_dir / wanted]
    return [file for file in found if file.is_file()]


def _nights(description: Description, raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights of a described folder."""
    rows = read_rows(raw_dir / description.table, key="night") if description.table else {}
    paths = matched_files(raw_dir, description.recordings)
    for path, night in night_names(raw_dir, paths).items():
        row = rows.get(night, {})
        scoring = None
        if description.scoring:
            found = scorings_of(raw_dir, path, description.scoring)
            wanted = raw_dir / _filled(raw_dir, path, description.scoring)
            scoring = found[0] if found else None if description.unscored else wanted
        yield RawNight(
            night=night,
            person=row.get("person") or _person(description, raw_dir, path, night),
            signals=path,
            scoring=scoring,
            family=row.get("family", ""),
            visit=row.get("visit", ""),
            part=row.get("part", ""),
            labels={name: value for name, value in row.items() if name not in _COLUMNS},
        )


def _filled(raw_dir: Path, path: Path, template: str) -> str:
    """Return the template of a scoring filled in for a recording."""
    folder = path.relative_to(raw_dir).parent.as_posix()
    return template.format(folder=folder, stem=path.stem, name=path.name).removeprefix("./")


def _person(description: Description, raw_dir: Path, path: Path, night: str) -> str:
    """Return the person of a recording by the expression, the night itself without one."""
    below = path.relative_to(raw_dir).with_suffix("").as_posix()
    found = re.search(description.person, below) if description.person else None
    return (found[1] if found.re.groups else found[0]) if found else night


def _read(path: Path) -> Description:
    """Read a description and check the names and types of its lines."""
    try:
        read = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}; `init FOLDER` writes one") from None
    known = {entry.name: entry for entry in fields(Description)}
    if unknown := sorted(set(read) - set(known)):
        raise ValueError(f"unknown {', '.join(unknown)}; known are {', '.join(known)}")
    if not isinstance(read.get("name"), str):
        raise ValueError(
            'no name; the folder in the night store is wanted, such as name = "Clinic"'
        )
    usual = asdict(Description(""))
    for name, value in read.items():
        kind = list if isinstance(usual[name], tuple) else type(usual[name])
        if not isinstance(value, kind):
            raise ValueError(f"{name} = {value!r}: {_WANTED[kind]} is wanted")
    return Description(**read)


def _scoring_format(description: Description) -> ScoringFormat:
    """Return how the scorings are written."""
    if description.stage_map and description.stage_map not in STAGE_MAPS:
        raise ValueError(
            f"no stage_map {description.stage_map!r}; there are {', '.join(STAGE_MAPS)}"
        )
    if unknown := sorted(set(description.stages.values()) - set(_CODES)):
        raise ValueError(f"[stages] {', '.join(unknown)}: none of W, N1, N2, N3, R or nothing")
    codes = {label: _CODES[name] for label, name in description.stages.items()}
    if codes and description.stage_map:
        codes = {**STAGE_MAPS[description.stage_map], **codes}
    return ScoringFormat(
        format=description.scoring_format,
        stage_map=codes or description.stage_map or None,
        column=description.column or None,
    )


def _candidate(target: str, value: object) -> Candidate:
    """Return a label, or a pair of labels, as a candidate."""
    match value:
        case str():
            return value
        case [str() as plus, str() as minus]:
            return plus, minus
    raise ValueError(f"[channels] {target}: a label or [plus, minus] is wanted, found {value!r}")
