"""The facts of a data set (`DatasetSpec`) and of each of its nights (`RawNight`). Data, not code.

`preprocess/__init__.py` says how a data set is added; `preprocess/hmc.py` is the shortest example,
`preprocess/shhs.py` one with visits, events and a published error.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time
from pathlib import Path
from typing import Literal, NamedTuple

from nights.events import EVENT_ROWS
from nights.stages import StageMap
from recordings.channels import TARGETS
from recordings.labels import Candidate

Channels = Mapping[str, Sequence[Candidate]]
# `get` can fetch the first five; the others are to be asked for, not given away, or made here
Kind = Literal[
    "physionet",
    "zenodo",
    "openneuro",
    "nsrr",
    "address",
    "application",
    "private",
    "simulated",
]

RESPIRATORY = ("obstructive_apnea", "central_apnea", "mixed_apnea", "hypopnea")
EVENTS = EVENT_ROWS  # the respiratory ones, desaturation, arousal
CAP_PHASES = ("cap_a1", "cap_a2", "cap_a3")  # of the cyclic alternating pattern

# Whose published behaviour each view stands for; `as_published` of a data set goes by these names.
SYSTEM_OF_VIEW = {
    "psg9": "lpsgm",
    "psg9c": "lpsgm",
    "shhs7": "synthsleepnet",
    "bb100": "sleepgpt",
    "seq3": "seqsleepnet",
    "cr": "wav2sleep",
    "eog": "wav2sleep",
}


@dataclass(frozen=True)
class Source:
    """Where a data set comes from and what its holder asks for.

    Parameters
    ----------
    kind : str
        `physionet`, `zenodo`, `openneuro`, `nsrr`, `address` (plain files below `name`),
        `application` (ask the holder), `private` (not given away; an example of the form) or
        `simulated` (made by the command in `apply`).
    page : str
        Address a person reads.
    licence : str
        As the holder states it; "" where the holder states none.
    name : str
        What the holder calls it: `hmc-sleep-staging/1.1`, a Zenodo record, `ds005555`, `shhs`, or
        the address below which the files lie.
    files : tuple of str
        Patterns below the data set's folder that the recipe reads; everything by default.
    archives : mapping
        {archive at the source: folder it is unpacked into}, where the holder packs the files: these
        alone are fetched then. A lone top folder within an archive is left out.
    apply : str
        What to apply for, and where, when it is not open.
    """

    kind: Kind
    page: str = ""
    licence: str = ""
    name: str = ""
    files: tuple[str, ...] = ("*",)
    archives: Mapping[str, str] = field(default_factory=dict)
    apply: str = ""


@dataclass(frozen=True)
class ScoringFormat:
    """How the scoring files are written; the names and meanings are those of `read_scoring`."""

    format: str = "auto"
    stage_map: str | StageMap | None = None
    column: str | None = None
    session: str | None = None
    epoch_s: float | None = None
    code_s: float | None = None
    rate_hz: float | None = None
    unsure: str = "unsure"


@dataclass(frozen=True)
class Counts:
    """Totals somebody published, to conform to.

    Parameters
    ----------
    source : str
        Whose count: `LPSGM log`, `PhysioNet page`.
    nights, epochs : int
    stages : tuple of int
        Epochs of W, N1, N2, N3, R; they sum to `epochs`.
    parts : mapping of str to Counts
        The same by `RawNight.part`; where given they sum to the whole.
    note : str
        Why a right reading gives other numbers, if it does.
    """

    source: str
    nights: int
    epochs: int
    stages: tuple[int, int, int, int, int]
    parts: Mapping[str, Counts] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class DatasetSpec:
    """What holds for every night of a data set.

    Parameters
    ----------
    name : str
        Folder in the night store, such as `SHHS`; lower case without signs it begins every person.
    title : str
        Full name.
    source : Source
    n_nights, n_persons : int or None
        As published; None where no number is given.
    channels : mapping
        {target of `recordings.channels.TARGETS`: candidates, best first}. A candidate is a label as
        the files write it, or a pair (plus, minus) to subtract; bare electrodes come last.
    part_channels : mapping
        {`RawNight.part`: candidates}: a cohort, site or subset whose files differ; they take the
        place of `channels` as a whole.
    scoring : ScoringFormat
        How scorings are written; the format is told from the content unless it is named.
    events : tuple of str or None
        Types of events that were scored; None where nobody scored events.
    bad : mapping
        {night: reason} of nights known to be unusable; they are left out unless asked for.
    remarks : mapping
        {night: what a user of it should know}; goes into the sidecar.
    labels : mapping
        {label: {value: nights published with it, or None}}, such as a diagnosis; a night gives
        its own in `RawNight.labels`.
    hours : (float, float) or None
        Recordings shorter or longer than this are refused.
    page_edge : {"shift", "drop"}
        Where scored in 20 s pages: what becomes of the windows that reach beyond the recording.
    twins : mapping
        {label that occurs twice in some files: label of a neighbour}; of the channels so called the
        one that stands nearest to the neighbour is taken.
    as_published : mapping
        {system: {target: candidates}} where a published system reads other channels; taken by
        `--as-published` for the view of that system.
    counts : Counts or None
        Published totals.
    """

    name: str
    title: str
    source: Source
    channels: Channels
    n_nights: int | None = None
    n_persons: int | None = None
    part_channels: Mapping[str, Channels] = field(default_factory=dict)
    scoring: ScoringFormat = field(default_factory=ScoringFormat)
    events: tuple[str, ...] | None = None
    bad: Mapping[str, str] = field(default_factory=dict)
    remarks: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, int | None]] = field(default_factory=dict)
    hours: tuple[float, float] | None = None
    page_edge: Literal["shift", "drop"] = "shift"
    twins: Mapping[str, str] = field(default_factory=dict)
    as_published: Mapping[str, Channels] = field(default_factory=dict)
    counts: Counts | None = None

    def __post_init__(self) -> None:
        for channels in self.all_channels:
            if unknown := sorted(set(channels) - set(TARGETS)):
                raise ValueError(f"{self.name}: no channel {', '.join(unknown)}")
        if unknown := sorted(set(self.events or ()) - {*EVENTS, *CAP_PHASES}):
            raise ValueError(f"{self.name}: no events {', '.join(unknown)}")
        if unknown := sorted(set(self.as_published) - set(SYSTEM_OF_VIEW.values())):
            raise ValueError(f"{self.name}: no system {', '.join(unknown)}")

    @property
    def all_channels(self) -> tuple[Channels, ...]:
        """Every table of candidates: of the whole, of the parts, of published systems."""
        return (self.channels, *self.part_channels.values(), *self.as_published.values())

    @property
    def prefix(self) -> str:
        """What begins the name of every person: `sleepedf-SC400`."""
        return re.sub(r"\W", "", self.name).lower()


@dataclass(frozen=True)
class RawNight:
    """One night as it lies in the raw folder. Only `night`, `person` and `signals` are needed.

    Parameters
    ----------
    night : str
        Name of the recording, unique in the data set.
    person : str
        Who slept, unique in the data set; all nights of a person stay on one side of a split.
    signals : Path or tuple of Path
        The recording; several files of the same night (EEG and EOG apart) are read as one.
    scoring : Path or None
        File with the stages, there or not (a missing file is a refusal); None: nobody scored this
        night, and it is stored without stages.
    events : Path or None
        File with the events, when not the one with the stages.
    has_events : bool
        False where the data set has events but this night's were never scored.
    family : str
        Who must stay together beyond the person; "" for nobody.
    visit, part : str
        Which of several nights of a person; which cohort, site or subset.
    labels : mapping
        {label: value}, such as {"diagnosis": "narcolepsy type 1"}.
    lights_s : (float or None, float or None)
        Lights off and on, seconds from the first sample, when a table tells.
    clock : time or None
        When the scoring says the recording began; the signal must say the same to the second.
    other_scorings : mapping
        {scorer: file} of further people who scored the night.
    scoring_format : ScoringFormat or None
        Instead of that of the data set.
    bad : str
        Why this night is left out, when only its own files can tell.
    """

    night: str
    person: str
    signals: Path | tuple[Path, ...]
    scoring: Path | None = None
    events: Path | None = None
    has_events: bool = True
    family: str = ""
    visit: str = ""
    part: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    lights_s: tuple[float | None, float | None] = (None, None)
    clock: time | None = None
    other_scorings: Mapping[str, Path] = field(default_factory=dict)
    scoring_format: ScoringFormat | None = None
    bad: str = ""

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file the night is made from, without repetition."""
        signals = self.signals if isinstance(self.signals, tuple) else (self.signals,)
        others = (self.scoring, self.events, *self.other_scorings.values())
        return tuple(dict.fromkeys([*signals, *(path for path in others if path)]))


class Dataset(NamedTuple):
    """A data set: its facts, what finds its nights below a raw folder, and which by default."""

    spec: DatasetSpec
    recordings: Callable[[Path], Iterable[RawNight]]
    raw: Path | None = None


def first_file(*paths: Path) -> Path:
    """Return the first path that is a file, else the first: a refusal then names what is wanted."""
    return next((path for path in paths if path.is_file()), paths[0])


def find(raw_dir: Path, pattern: str, name: str) -> Iterator[tuple[Path, re.Match[str]]]:
    """Yield (file, match of its name) of every file below `raw_dir`, sorted by path.

    Parameters
    ----------
    raw_dir : Path
        Where the data set was unpacked.
    pattern : str
        Glob pattern with a suffix, whose case does not count: `*.edf` finds `A.EDF`.
    name : str
        Regular expression for the end of the path below `raw_dir`, `/` between folders, without
        the suffix; its groups are the ids.
    """
    folder, dot, suffix = pattern.rpartition(".")
    either = "".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in suffix)
    for path in sorted(raw_dir.glob(folder + dot + either if dot else pattern)):
        stem = path.relative_to(raw_dir).with_suffix("").as_posix()
        found = re.search(f"(?:{name})$", stem)
        if found and path.is_file():
            yield path, found


def read_rows(path: Path, *, key: str, delimiter: str = ",") -> dict[str, dict[str, str]]:
    """Return the rows of a table by the value of its column `key`; empty if there is no table.

    Column names are compared in lower case, and values are stripped of outer blanks.
    """
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        table = csv.reader(file, delimiter=delimiter)
        head = [name.strip().lower() for name in next(table, [])]
        rows = [dict(zip(head, map(str.strip, row), strict=False)) for row in table]
    return {row[key]: row for row in rows if row.get(key)}
