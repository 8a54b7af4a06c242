"""Scoring files that are a table with a header: one reader, and the layouts as data."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from nights.stages import STAGE_MAPS, StageMap, W, lookup_stage, stage_map
from recordings.scoring.source import (
    Mark,
    Parsed,
    Source,
    Wanted,
    clock_seconds,
    date_seconds,
    number,
)

_PREAMBLE_LINES = 80  # RemLogic writes about 20 lines before the header
_DELIMITERS = ("\t", ";", ",", r"\s{2,}")


@dataclass(frozen=True)
class Layout:
    """A table by its column names (small letters).

    `label` lists the columns that may hold the stage or event, best first, each with the stage map
    it is written in (None: told from the values). `length` is the column of durations, or of ends
    when `ends`. Every row is a stage when `only_stages`; otherwise a row is a stage if its label
    is one, or starts with `prefix` where the format marks stages that way.
    """

    name: str
    about: str
    onset: str
    label: tuple[tuple[str, str | None], ...]
    length: str = ""
    ends: bool = False
    needs: tuple[str, ...] = ()
    only_stages: bool = False
    prefix: str = ""
    wake_gaps: bool = False


LAYOUTS = (
    Layout(
        "cap_txt",
        "RemLogic event export (CAP Sleep Database)",
        onset="time [hh:mm:ss]",
        length="duration [s]",
        label=(("event", "cap_txt"),),
        needs=("sleep stage",),
        prefix="SLEEP-",
    ),
    Layout(
        "luna_annot",
        "Luna annotations (.annot with class, start, stop)",
        onset="start",
        length="stop",
        ends=True,
        label=(("class", "luna_annot"),),
        needs=("instance", "channel"),
    ),
    Layout(
        "hmc_txt",
        "HMC text (Recording onset, Duration, Annotation)",
        onset="recording onset",
        length="duration",
        label=(("annotation", "edfplus"),),
    ),
    Layout(
        "stages_csv",
        "STAGES table (Start Time, Duration (seconds), Event)",
        onset="start time",
        length="duration (seconds)",
        label=(("event", "stages_csv"),),
    ),
    Layout(
        "runs_csv",
        "runs with onset_s, end_s, stage (Sleep-EDF tables; wake left out)",
        onset="onset_s",
        length="end_s",
        ends=True,
        label=(("stage", "words_and_rk"),),
        only_stages=True,
        wake_gaps=True,
    ),
    Layout(
        "session_tsv",
        "epochs of several sessions (EEG-fMRI)",
        onset="epoch_start_time_sec",
        label=(("30-sec_epoch_sleep_stage", "words_and_rk"),),
        needs=("session",),
        only_stages=True,
    ),
    Layout(
        "slpdb_csv",
        "epochs with beat intervals (MIT-BIH Polysomnographic Database)",
        onset="time",
        label=(("annotation", "words_and_rk"),),
        needs=("rr_s",),
        only_stages=True,
    ),
    Layout(
        "bids_stages",
        "BIDS events table with a stage column (BOAS, EESM17, Surrey cEEGrid)",
        onset="onset",
        length="duration",
        label=(
            *(("stage_hum", "boas"), ("majority", "boas"), ("stage_ai", "boas")),
            *(("staging", "surrey"), ("sleep_stage", None), ("stage", None)),
        ),
        only_stages=True,
    ),
    Layout(
        "bids_tsv",
        "events table with onset, duration and a description (BIDS, NCHSDB)",
        onset="onset",
        length="duration",
        label=(
            *(("description", "edfplus"), ("trial_type", "edfplus"), ("annotation", "edfplus")),
            *(("event", "edfplus"), ("label", "edfplus"), ("value", "edfplus")),
        ),
    ),
    Layout(
        "lattype",
        "text table of latency and type",
        onset="latency",
        label=(("type", "words"),),
        only_stages=True,
    ),
)


class Table(NamedTuple):
    """Rows by column name; `mended` counts rows whose columns had to be found again."""

    columns: list[str]
    rows: list[dict[str, str]]
    mended: int


def read_table(source: Source, needed: Sequence[str]) -> Table | None:
    """Return the table whose header names all of `needed`, None when there is no such header."""
    for place, line in enumerate(source.lines[:_PREAMBLE_LINES]):
        if line.startswith("#") or not all(name in line.casefold() for name in needed):
            continue
        for delimiter in _DELIMITERS:
            columns = [_column(name) for name in _split(line, delimiter)]
            if set(needed) <= set(columns):
                return _rows(source, place + 1, columns, delimiter)
    return None


def parse_layout(source: Source, wanted: Wanted, layout: Layout) -> Parsed | None:
    """Return the marks of a table in this layout, None when the file is no such table."""
    table = read_table(source, (layout.onset, *layout.needs))
    labels = dict(layout.label)
    if table is None or (layout.length and layout.length not in table.columns):
        return None
    column = _label_column(source, wanted, layout, table)
    if column is None:
        return None
    rows = _session_rows(source, wanted, table) if "session" in table.columns else table.rows
    rows = [row for row in rows if row[layout.onset].strip()]
    onsets, time = read_times(source, [row[layout.onset] for row in rows])
    lengths = _lengths(source, rows, layout, onsets)
    texts, uncertain = _certain([row[column].strip() for row in rows], layout.only_stages)
    marks = tuple(
        Mark(onset, length, text.removeprefix(layout.prefix), kind)
        for onset, length, text in zip(onsets, lengths, texts, strict=True)
        if (kind := _kind(text, layout))
    )
    codes: str | StageMap = _levels(source, column) or labels.get(column) or guess_map(texts)
    notes = [f"{table.mended} rows with lost columns mended"] * bool(table.mended)
    notes += [f"{uncertain} epochs scored as uncertain, stage kept"] * bool(uncertain)
    wake_gaps = layout.wake_gaps and W not in {_stage(text, codes) for text in texts}
    return Parsed(marks, time, stage_map=codes, wake_gaps=wake_gaps, notes=tuple(notes))


def session_names(source: Source) -> list[str]:
    """Return the sessions a table holds, in their order; empty when it has no such column."""
    table = read_table(source, ("session",))
    return list(dict.fromkeys(row["session"] for row in table.rows)) if table else []


def guess_map(labels: Sequence[str]) -> str:
    """Return the stage map that a list of labels is written in, told from the labels alone.

    Words stand for themselves, digits beside words are R&K stages. In digits alone a 5 can only
    be REM of the old rules (0 W, 1-4, 5 R); without it 4 is taken for REM (0-4 = W N1 N2 N3 R).
    """
    plain = {label for label in labels if label}
    numbers = {label for label in plain if not np.isnan(number(label))}
    if plain - numbers:
        return "words_and_rk" if numbers else "words"
    return "rk" if {5.0} & {number(label) for label in numbers} else "aasm"


def read_times(
    source: Source, values: Sequence[str]
) -> tuple[list[float], Literal["elapsed", "clock", "date"]]:
    """Return times in seconds and what they count from, told from how most of them are written.

    Raises
    ------
    RecordingError
        If some are written in another way, or in none that is known.
    """
    month_first = any(re.match(r"\d{1,2}[/.-](1[3-9]|2\d|3[01])[/.-]\d{4}", v) for v in values)
    readings: dict[Literal["elapsed", "clock", "date"], list[float]] = {
        "elapsed": [_elapsed(value) for value in values],
        "clock": [clock_seconds(value) for value in values],
        "date": [date_seconds(value, month_first=month_first) for value in values],
    }
    time = min(readings, key=lambda name: int(np.isnan(readings[name]).sum()))
    if wrong := [v for v, t in zip(values, readings[time], strict=True) if np.isnan(t)]:
        raise source.refuse(f"{wrong[0][:40]!r} is no time ({len(wrong)} of {len(values)} lines)")
    return readings[time], time


def _elapsed(text: str) -> float:
    """Return seconds of `1230.5` or of `0:30.000` and `1:59:30.000`, the WFDB way, else NaN."""
    if found := re.fullmatch(r"(?:(\d+):)?(\d{1,2}):(\d{2}\.\d{3})", text.strip()):
        return int(found[1] or 0) * 3600 + int(found[2]) * 60 + float(found[3])
    return number(text)


def _column(name: str) -> str:
    """Return the name of a column as it is compared: `Duration[s]` is `duration [s]`."""
    return re.sub(r"\s*\[", " [", name.strip().casefold())


def _split(line: str, delimiter: str) -> list[str]:
    """Return the fields of a line."""
    if delimiter in ",;":
        return next(csv.reader([line], delimiter=delimiter))
    return re.split(delimiter, line.strip("\n"))


def _rows(source: Source, first: int, columns: list[str], delimiter: str) -> Table:
    """Read the rows below a header; a row with too few fields is split at every blank instead."""
    rows, mended = [], 0
    for line in source.lines[first:]:
        if line.startswith("#"):
            continue
        fields = _split(line, delimiter)
        if len(fields) < len(columns) and len(line.split()) == len(columns):
            fields, mended = line.split(), mended + 1
        rows.append(dict(zip(columns, fields + [""] * len(columns), strict=False)))
    if not rows:
        raise source.refuse("the table has a header and no rows")
    return Table(columns, rows, mended)


def _label_column(source: Source, wanted: Wanted, layout: Layout, table: Table) -> str | None:
    """Return the column that holds the labels, None when the layout does not fit."""
    known = [name for name, _ in layout.label if name in table.columns]
    if wanted.column is None:
        return known[0] if known else None
    if known and wanted.column.casefold() not in table.columns:
        listed = ", ".join(table.columns)
        raise source.refuse(f"no column {wanted.column!r}; the table has: {listed}")
    return wanted.column.casefold() if wanted.column.casefold() in table.columns else None


def _session_rows(source: Source, wanted: Wanted, table: Table) -> list[dict[str, str]]:
    """Return the rows of the session wanted, or of the only one."""
    sessions = session_names(source)
    if wanted.session is None and len(sessions) > 1:
        raise source.refuse(
            f"holds {len(sessions)} sessions, never one night ({', '.join(sessions)}); "
            "name one with session=, or call read_sessions"
        )
    session = wanted.session or sessions[0]
    if session not in sessions:
        raise source.refuse(f"no session {session!r}; it holds: {', '.join(sessions)}")
    return [row for row in table.rows if row["session"] == session]


def _lengths(
    source: Source, rows: list[dict[str, str]], layout: Layout, onsets: list[float]
) -> list[float]:
    """Return the duration of each row, 0 where the table gives none."""
    if not layout.length:
        return [0.0] * len(rows)
    texts = [row[layout.length].strip() for row in rows]
    if not layout.ends:
        return [0.0 if np.isnan(value := number(text)) else value for text in texts]
    ends, time = read_times(source, texts)
    steps = [end - onset for end, onset in zip(ends, onsets, strict=True)]
    return [step % 86_400 for step in steps] if time == "clock" else steps


def _kind(text: str, layout: Layout) -> Literal["stage", "event", "either"]:
    """Say whether a row is a stage."""
    if layout.only_stages:
        return "stage"
    if layout.prefix:
        return "stage" if text.startswith(layout.prefix) else "event"
    return "either"


def _certain(texts: list[str], only_stages: bool) -> tuple[list[str], int]:
    """Return labels without `(uncertain)`, and how many had it; `(unscorable)` is no stage."""
    if not only_stages:
        return texts, 0
    certain = [re.sub(r"\s*\(uncertain\)$", "", text) for text in texts]
    return certain, sum(a != b for a, b in zip(certain, texts, strict=True))


def _stage(text: str, codes: str | StageMap) -> int | None:
    """Return the stage of one label."""
    return lookup_stage(text, stage_map(codes))


def _levels(source: Source, column: str) -> dict[str, int] | None:
    """Return the stage map that the BIDS sidecar of a table gives for a column, if it has one."""
    words = stage_map({**STAGE_MAPS["words"], **STAGE_MAPS["edfplus"]})
    for sidecar in (source.path.with_suffix(".json"), *_inherited(source)):
        try:
            described = json.loads(sidecar.read_text(encoding="utf-8-sig"))
            levels = {key.casefold(): value for key, value in described.items()}[column]["Levels"]
            stages = {code: lookup_stage(str(text), words) for code, text in levels.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # no sidecar, or one that says nothing of this column
        found = {code: stage for code, stage in stages.items() if stage is not None}
        if found:
            return found
    return None


def _inherited(source: Source) -> list[Path]:
    """Return the sidecars in the same folder whose name parts all occur in the table's name."""
    parts = set(source.path.stem.casefold().split("_"))
    beside = sorted(source.path.parent.glob("*_events.json"))
    return [path for path in beside if set(path.stem.casefold().split("_")) <= parts]
