"""A look at a folder of recordings: what is there, and a first description to correct by hand."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nights.stages import STAGES, UNSCORED, lookup_stage, stage_map
from preprocess.custom import night_names, scorings_of
from recordings.channels import TARGETS, resolve
from recordings.formats import is_recording, open_recording
from recordings.labels import Candidate
from recordings.recording import Recording, RecordingError
from recordings.scoring import FORMATS, read_scoring
from recordings.scoring.source import Source, Wanted

_FOLLOWING = ("EEG", "EOG")  # `conversion.completed` adds them from C4 and C3, E1 and E2
_AT_MOST = 200  # recordings opened for the survey; a clinic's montages repeat
_TRIED = 20  # recordings whose possible scorings are read
_TEXTS = (".txt", ".csv", ".tsv", ".xml", ".xlsx")
_USUAL = 10  # lines; a rarer text that is no stage may be a remark, and name a person
_LISTED = 60  # labels that are written down
# What is not a scoring, whatever it is called
_NO_SCORING = (".py", ".json.gz", ".png", ".jpg", ".pdf", ".toml", ".md", ".zip", ".npy", ".npz")


@dataclass
class Survey:
    """What a folder holds."""

    folder: Path
    recordings: list[Path]
    rates: dict[str, Counter[str]] = field(default_factory=dict)  # label: {"256 Hz uV": files}
    channels: dict[str, Counter[Candidate]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    scoring: str = ""
    scoring_format: str = ""
    scoring_refused: str = ""  # why a file named like a recording is no scoring
    stage_maps: Counter[str] = field(default_factory=Counter)  # names in `STAGE_MAPS`: files
    stages: dict[str, str] = field(default_factory=dict)  # as written: W, N1, ..., ? or "no stage"


def survey(folder: Path) -> Survey:
    """Look at every recording below a folder, and at the files that may be their scorings.

    Raises
    ------
    ValueError
        If there is no such folder, or no recording in it.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    paths = [path for path in files if is_recording(path)]
    if not paths:
        raise ValueError(f"{folder}: no recording in it (EDF, BDF, WFDB, HDF5, BrainVision, ...)")
    seen = Survey(folder, paths)
    opened: list[Recording] = []
    for path in paths[:_AT_MOST]:
        try:
            opened.append(open_recording(path))
        except RecordingError as error:
            seen.unreadable[path.name] = str(error)
    for recording in opened:
        _note_channels(seen, recording)
    _find_scoring(seen, opened[:_TRIED], [path for path in files if path not in set(paths)])
    return seen


def write_description(seen: Survey, path: Path) -> None:
    """Write the description of a surveyed folder; an existing file is never overwritten.

    Raises
    ------
    ValueError
        If there is a file already.
    """
    if path.exists():
        raise ValueError(f"{path} is there already: edit it, or name another file with --out")
    from nights.atomic import write_text

    write_text(path, describe(seen, path))


def describe(seen: Survey, path: Path) -> str:
    """Return the description of a surveyed folder as TOML, for a file at `path`."""
    name = re.sub(r"\W+", "-", seen.folder.resolve().name).strip("-") or "Nights"
    home = os.path.relpath(seen.folder.resolve(), path.resolve().parent)
    lines = [
        f"# {len(seen.recordings)} recordings, as a look at the folder suggests. Correct what is",
        "# wrong, then `main_preprocess.py check` and `run` with this file in place of a data set.",
        *_line("name", name, "folder in the night store"),
        *_line("folder", home, "where the recordings lie, seen from this file"),
        f"recordings = {json.dumps(_patterns(seen.recordings))}  # patterns below the folder",
        *_line("person", _person(seen), "expression in the path; group 1 is the person, '' each"),
        *_line("scoring", seen.scoring, _scoring_comment(seen)),
        *_line("scoring_format", seen.scoring_format or "auto", "auto, or one of read_scoring"),
        *_line(
            "stage_map", _stage_map(seen), "name in nights.stages.STAGE_MAPS; empty: by the content"
        ),
        "unscored = false  # true keeps recordings without a scoring",
        "events = false  # true keeps apneas, arousals, ... of the scoring",
        *_line("table", "", "CSV with columns night, person, family, and labels such as diagnosis"),
        "",
        "[channels]  # what to read as each channel, best first; [plus, minus] is a difference",
        *(_channel_line(seen, target) for target in _needed(seen.channels)),
        "",
        *_stage_lines(seen),
        *_other_labels(seen),
        *(f"# cannot be read: {why}" for why in seen.unreadable.values()),
    ]
    return "\n".join(lines) + "\n"


def _note_channels(seen: Survey, recording: Recording) -> None:
    """Count the labels of one recording, and what the automatic choice takes."""
    for channel in recording.channels:
        known = f"{float(channel.rate_hz):g} Hz {channel.unit or 'no unit'}"
        known += " dead" if channel.dead else ""
        seen.rates.setdefault(channel.label, Counter())[known] += 1
    for choice in resolve(recording, list(TARGETS)).choices:
        if choice.plus is None or choice.target in _FOLLOWING:
            continue
        places = [place for place in (choice.plus, choice.minus) if place is not None]
        labels = tuple(recording.channels[place].label for place in places)
        taken: Candidate = labels[0] if len(labels) == 1 else (labels[0], labels[1])
        seen.channels.setdefault(choice.target, Counter())[taken] += 1


def _find_scoring(seen: Survey, opened: Sequence[Recording], files: Sequence[Path]) -> None:
    """Find the template of file names that gives most recordings a scoring that fits."""
    possible = [path for path in files if not path.name.lower().endswith(_NO_SCORING)]
    fits: Counter[tuple[str, str]] = Counter()
    for recording in opened:
        for template in dict.fromkeys(_templates(seen, recording.path, possible)):
            meant = scorings_of(seen.folder, recording.path, template)
            if len(meant) != 1:
                continue
            found, refused = _format_of(meant[0], recording)
            if found:
                fits[template, found] += 1
            elif "{stem}" in template and meant[0].suffix.lower() in _TEXTS:
                seen.scoring, seen.scoring_refused = template, refused
    if not fits:
        return
    seen.scoring_refused = ""
    (seen.scoring, seen.scoring_format), _ = fits.most_common(1)[0]
    for recording in opened:
        for path in scorings_of(seen.folder, recording.path, seen.scoring):
            _note_stages(seen, path)


def _templates(seen: Survey, path: Path, files: Sequence[Path]) -> Iterable[str]:
    """Yield the templates by which a file may belong to a recording, best first."""
    yield from _named_alike(seen.folder, path, files, path.stem, "{stem}")
    for length in range(len(path.stem) - 1, 3, -1):
        yield from _named_alike(
            seen.folder, path, files, path.stem[:length], f"{{stem:.{length}}}*"
        )
    yield "{folder}/{name}"  # annotations in the recording itself


def _named_alike(
    folder: Path, path: Path, files: Sequence[Path], text: str, field_name: str
) -> Iterable[str]:
    """Yield a template for each file whose name holds `text`."""
    for file in files:
        before, found, after = file.name.partition(text)
        if not found:
            continue
        if "*" in field_name:  # the letters that differ are those up to the last word
            after = re.sub(r"^[^-_.]*", "", after)
        place = file.relative_to(folder).parent.as_posix()
        same = file.parent == path.parent
        where = "{folder}" if same else place.replace(path.stem, "{stem}")
        yield f"{where}/{before}{field_name}{after}"


def _format_of(path: Path, recording: Recording) -> tuple[str, str]:
    """Return the format of a scoring that can be read and fits, else why it is none."""
    try:
        return read_scoring(path, recording=recording).format, ""
    except ValueError as error:
        return "", str(error)


def _note_stages(seen: Survey, path: Path) -> None:
    """Note the stage map of a scoring, and what it makes of each stage as the file writes it."""
    parsed = FORMATS[seen.scoring_format](Source(path), Wanted())
    if parsed is None or parsed.hypnogram is not None:
        return
    if isinstance(parsed.stage_map, str):
        seen.stage_maps[parsed.stage_map] += 1
    codes = stage_map(parsed.stage_map)
    labels = Counter(parsed.codes) + Counter(m.label for m in parsed.marks if m.kind != "event")
    for label, n_lines in labels.items():
        code = lookup_stage(label, codes)
        if code is not None:
            seen.stages[label] = "?" if code == UNSCORED else STAGES[code]
        elif n_lines >= _USUAL:
            seen.stages[label] = "no stage"


def _stage_map(seen: Survey) -> str:
    """Return the stage map of all files: one that holds a 5 tells what 4 means in the others."""
    return "rk" if seen.stage_maps["rk"] else next(iter(dict(seen.stage_maps.most_common())), "")


def _patterns(paths: Sequence[Path]) -> list[str]:
    """Return a pattern for each suffix of the recordings, most usual first."""
    return [f"**/*{suffix}" for suffix, _ in Counter(path.suffix for path in paths).most_common()]


def _person(seen: Survey) -> str:
    """Guess the expression for the person: `sub-X`, or what stands before a number of the night."""
    names = list(night_names(seen.folder, seen.recordings).values())
    night = r"^(?:.*/)?([^/]*?\d[^/]*?)[_-](?:[a-zA-Z]{0,7})\d{1,2}$"
    for expression in (r"(sub-[^_/]+)", night):
        found = [re.search(expression, name) for name in names]
        persons = {match[1] for match in found if match}
        if all(found) and len(persons) < len(names):
            return expression
    return ""


def _scoring_comment(seen: Survey) -> str:
    """Say how many recordings have the scoring file."""
    if not seen.scoring:
        return "none found; such as {folder}/{stem}_scoring.txt"
    if seen.scoring_refused:
        return f"not understood ({seen.scoring_refused}): name format and stages below"
    n_found = sum(bool(scorings_of(seen.folder, p, seen.scoring)) for p in seen.recordings)
    return f"{n_found} of {len(seen.recordings)} recordings have it"


def _needed(channels: Iterable[str]) -> list[str]:
    """Return the channels to write down: `EOGh` follows where both eyes are there."""
    found = set(channels)
    follows = {"EOGh"} if {"E1", "E2"} <= found else set()
    return [target for target in TARGETS if target in found - follows]


def _channel_line(seen: Survey, target: str) -> str:
    """Return the line of one channel: what was taken, most usual first."""
    taken = [list(c) if isinstance(c, tuple) else c for c, _ in seen.channels[target].most_common()]
    first = taken[0] if isinstance(taken[0], str) else taken[0][0]
    told = f"{seen.channels[target].total()} recordings, {_listed(seen.rates[first])}"
    return f"{target} = {json.dumps(taken, ensure_ascii=False)}  # {told}"


def _stage_lines(seen: Survey) -> list[str]:
    """Return the stages as the scorings write them, and room for those read wrongly."""
    order = [*STAGES, "?", "no stage"]
    rows = sorted(seen.stages.items(), key=lambda row: (order.index(row[1]), row[0]))[:_LISTED]
    told = [f"#   {json.dumps(label, ensure_ascii=False)} = {name}" for label, name in rows]
    return [
        '[stages]  # what the stage map reads wrongly, such as "WK" = "W"; "" is unscored',
        *(["# As it reads what the scorings write:"] * bool(told)),
        *told,
        "",
    ]


def _other_labels(seen: Survey) -> list[str]:
    """Return the labels that no channel is made of, most usual first."""
    taken = {
        label
        for candidates in seen.channels.values()
        for candidate in candidates
        for label in ([candidate] if isinstance(candidate, str) else candidate)
    }
    others = sorted(
        ((label, rates) for label, rates in seen.rates.items() if label not in taken),
        key=lambda row: (-row[1].total(), row[0]),
    )
    lines = [f"#   {label!r}: {_listed(rates)}" for label, rates in others[:_LISTED]]
    more = [f"#   and {len(others) - _LISTED} more"] * (len(others) > _LISTED)
    return ["# Labels that stand for nothing above (recordings, rate, unit):", *lines, *more]


def _line(key: str, value: str, comment: str) -> list[str]:
    """Return one line with its comment; expressions stand in single quotes, as they are."""
    quoted = f"'{value}'" if "\\" in value else json.dumps(value, ensure_ascii=False)
    return [f"{key} = {quoted}  # {comment}"]


def _listed(rates: Mapping[str, int]) -> str:
    """Write how many recordings have a label at which rate."""
    return ", ".join(f"{n} at {known}" for known, n in rates.items())
