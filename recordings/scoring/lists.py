"""Scoring texts that are no table with a known header: lists of codes, of runs, of clock lines.

Each parser returns None when the text is not its own; none of them looks at the file's name.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from nights.stages import EPOCH_S, StageMap, lookup_stage, stage_map
from recordings.scoring.source import (
    NO_DATE,
    Kind,
    Mark,
    Parsed,
    Source,
    Wanted,
    clock_seconds,
    is_date,
    number,
)
from recordings.scoring.tables import guess_map, read_table, read_times

_DAY_EPOCHS = 2880
_UCDDB_EVENTS = ("event_types", "event_start_sec", "event_duration_sec")  # lists split by ;
_TWIN_DURATION = re.compile(r"DUR: *([\d.]+) SEC")
_RESPEVT = re.compile(
    r"\s*(?P<clock>\d{1,2}:\d{2}:\d{2})\s+(?P<type>\S+)\s+(?:[A-Z]{2}\s+)?(?P<seconds>\d+)(?:\s|$)"
)
_MAX_EPOCHS = 14 * _DAY_EPOCHS


def parse_index(source: Source, wanted: Wanted) -> Parsed | None:
    """One label per line and nothing else: ISRUC, SVUH, YASA, .eannot, letters, one digit a second.

    Lines that start with # are comments. A list longer than a day of epochs whose stage changes
    all fall on multiples of 30 lines has one code per second.
    """
    codes = [line.strip() for line in source.lines if not line.startswith("#")]
    if not codes or not _all_stages(codes, wanted.stage_map):
        return None
    which = guess_map(codes)
    notes = [f"codes read by the stage map {which!r}, told from the codes alone"] * (
        which in ("aasm", "rk")
    )
    code_s = wanted.code_s or (1.0 if _is_per_second(codes) else None)
    notes += ["one code per second"] * (code_s == 1.0 and wanted.code_s is None)
    return Parsed(codes=tuple(codes), code_s=code_s, stage_map=which, notes=tuple(notes))


def parse_epoch_table(source: Source, wanted: Wanted) -> Parsed | None:
    """Read a table of epochs without times: columns `Epoch` and `Stage`, as YASA writes it."""
    table = read_table(source, ("epoch", "stage"))
    if table is None:
        return None
    codes = tuple(row["stage"].strip() for row in table.rows)
    which = "words_and_rk" if guess_map(codes) == "words" else guess_map(codes)
    return Parsed(codes=codes, code_s=wanted.code_s, stage_map=which)


def parse_dreams(source: Source, wanted: Wanted) -> Parsed | None:
    """Read the DREAMS hypnogram: `[Hypnogram]`, then a code per 5 s (5 W ... 0 stage 4)."""
    if not source.lines or source.lines[0].strip().casefold() != "[hypnogram]":
        return None
    codes = tuple(line.strip() for line in source.lines[1:])
    return Parsed(codes=codes, code_s=wanted.code_s or 5.0, stage_map="dreams")


def parse_basictype(source: Source, wanted: Wanted) -> Parsed | None:
    """Read two whole numbers a line: R&K stage and artefact flag; the stage is kept."""
    if not _all_match(source, r"\d \d"):
        return None
    codes = tuple(line.split()[0] for line in source.lines)
    return Parsed(codes=codes, code_s=wanted.code_s, stage_map="rk")


def parse_wsc_stg(source: Source, wanted: Wanted) -> Parsed | None:
    """Read the Gamma hypnogram of WSC: epoch number from 1, stage; the header may be missing."""
    rows = [line.split("\t") for line in source.lines]
    if rows and rows[0][0].strip().casefold() == "epoch" and len(rows[0]) > 1:
        rows = rows[1:]
    if not rows or not all(len(row) > 1 and row[0].strip().isdecimal() for row in rows):
        return None
    numbers = [int(row[0][:9]) for row in rows]
    first, last = min(numbers), max(numbers)
    if numbers[0] != first or first not in (0, 1) or last > _MAX_EPOCHS:
        return None
    codes = ["?"] * (last + 1 - first)
    for epoch, row in zip(numbers, rows, strict=True):
        codes[epoch - first] = row[1].strip()
    return Parsed(codes=tuple(codes), stage_map="wsc_stg")


def parse_ucddb_respevt(source: Source, wanted: Wanted) -> Parsed | None:
    """Read the respiratory events of UCDDB: clock time, type, perhaps PB or CS, whole seconds.

    The table is laid out for the eye, below two or three lines of header; lines without a duration
    (periodic breathing) are no events. There is no stage in it: `read_events` reads it.
    """
    head = next((line.split() for line in source.lines if "PB/CS" in line), [])
    if [word.casefold() for word in head[:4]] != ["time", "type", "pb/cs", "duration"]:
        return None
    found = [_RESPEVT.match(line) for line in source.lines]
    marks = tuple(
        Mark(clock_seconds(line["clock"]), float(line["seconds"]), line["type"], "event")
        for line in found
        if line
    )
    return Parsed(marks, "clock") if marks else None


def parse_wsc_allscore(source: Source, wanted: Wanted) -> Parsed | None:
    """Read the Twin score file of WSC: clock time and text; a stage holds until the next change.

    Lines before the start of the recording count for nothing: some are hours older.

    Raises
    ------
    RecordingError
        If the recording was started more than once or its clock was interrupted: such a night
        cannot be placed (the rule of wav2sleep).
    """
    rows = [line.split("\t", 1) for line in source.lines]
    clocks = [clock_seconds(row[0]) for row in rows]
    if not rows or np.isnan(clocks).any() or not all(len(row) == 2 for row in rows):
        return None
    texts = [row[1].strip().upper() for row in rows]
    starts = [clock for clock, text in zip(clocks, texts, strict=True) if text == "START RECORDING"]
    if not starts and not any(text.startswith("STAGE - ") for text in texts):
        return None
    if len(starts) > 1 or any("POWER FAILURE" in text for text in texts):
        raise source.refuse("the recording was started several times; its clock cannot be trusted")
    first = texts.index("START RECORDING") if starts else 0
    marks = tuple(map(_twin_mark, clocks[first:], texts[first:]))
    return Parsed(marks, "clock", stage_map="wsc_allscore", start=_on_no_date(starts))


def _twin_mark(clock_s: float, text: str) -> Mark:
    """Return a line of a Twin score file: `STAGE - N1`, `AROUSAL - DUR: 3.0 SEC. - SPONTANEOUS`.

    The kind of a respiratory event stands behind its duration, that of others in front.
    """
    kind, *told = text.split(" - ")
    if kind == "STAGE" and told:
        return Mark(clock_s, np.nan, told[0], "stage")
    durations = [number(found[1]) for part in told if (found := _TWIN_DURATION.match(part))]
    if kind == "RESPIRATORY EVENT":
        kind = next((part for part in told if not _TWIN_DURATION.match(part)), kind)
    return Mark(clock_s, max(durations, default=0.0), kind, "event")


def parse_ids(source: Source, wanted: Wanted) -> Parsed | None:
    """Runs without a header: onset, duration, stage (DCSM), or the label first (NCHSDB .annot)."""
    rows = [[field.strip() for field in re.split(r"[,\t]", line)] for line in source.lines]
    if not rows or not all(len(row) == 3 for row in rows):
        return None
    for label, onset, duration in ((2, 0, 1), (0, 1, 2)):
        times = [(number(row[onset]), number(row[duration])) for row in rows]
        labels = [row[label] for row in rows]
        if not np.isnan(times).any() and np.isnan([number(text) for text in labels]).any():
            which = "dcsm_ids" if label else "edfplus"
            kind: Kind = "stage" if label else "either"
            marks = (Mark(t, d, text, kind) for (t, d), text in zip(times, labels, strict=True))
            return Parsed(tuple(marks), stage_map=which)
    return None


def parse_noxturnal(source: Source, wanted: Wanted) -> Parsed | None:
    """Read a Noxturnal event export: dates of begin and end, event, duration, in any language.

    Below the header stands a row of units in square brackets; the columns are told by their
    content, because their names are those of the program's language.
    """
    if len(source.lines) < 3 or not re.fullmatch(r"(\[\w*\][,;\t]?)+", source.lines[1].strip()):
        return None
    delimiter = max(",;\t", key=source.lines[0].count)
    rows = [row for row in csv.reader(source.lines[2:], delimiter=delimiter) if any(row)]
    columns = [[row[c].strip() for row in rows] for c in range(min(len(row) for row in rows))]
    dated = [texts for texts in columns if is_date(texts[0])]
    worded = [texts for texts in columns if all(texts) and not _is_number(texts[0])]
    worded = [texts for texts in worded if texts not in dated]
    if not dated or not worded:
        raise source.refuse("the event export has no column of dates, or none of events")
    times, time = read_times(source, dated[0] + dated[-1])  # together: 7/8 alone may be July
    onsets, ends = np.split(np.array(times), 2)
    units = [unit.strip() for unit in source.lines[1].split(delimiter)]
    lengths = ends - onsets  # dates hold whole seconds; a column in seconds is exact
    if "[s]" in units[: len(columns)]:
        exact = np.array([number(text) for text in columns[units.index("[s]")]])
        lengths = np.where(np.isnan(exact), lengths, exact)
    marks = tuple(map(Mark, onsets.tolist(), lengths.tolist(), worded[0]))
    return Parsed(marks, time, stage_map="words")


def parse_ucddb_epochs(source: Source, wanted: Wanted) -> Parsed | None:
    """Read the UCDDB table of epochs: a stage each, and the respiratory events that touch it.

    An event is listed in every epoch it touches and counts once.
    """
    table = read_table(source, ("start_sec", "end_sec", "sleep_stage", *_UCDDB_EVENTS))
    if table is None:
        return None
    stages: list[Mark] = []
    events: dict[Mark, None] = {}
    for row in table.rows:
        onset = number(row["start_sec"])
        stages.append(Mark(onset, number(row["end_sec"]) - onset, row["sleep_stage"], "stage"))
        lists = [row[column].split(";") for column in _UCDDB_EVENTS]
        for kind, begin, length in zip(*lists, strict=False):
            if kind.strip():
                events[Mark(number(begin), number(length), kind.strip(), "event")] = None
    return Parsed((*stages, *events), stage_map="ucddb")


def _all_stages(codes: Sequence[str], own: str | StageMap | None) -> bool:
    """Return whether every line is a code or a word for a stage, or listed in the caller's map."""
    words = stage_map("words_and_rk") | stage_map(own or {})
    return all(
        re.fullmatch(r"-?\d(\.0+)?", code) or lookup_stage(code, words) is not None
        for code in set(codes)
    )


def _is_per_second(codes: Sequence[str]) -> bool:
    """Return whether a list can only be one code per second."""
    changes = [k for k in range(1, len(codes)) if codes[k] != codes[k - 1]]
    return len(codes) > _DAY_EPOCHS and all(k % EPOCH_S == 0 for k in changes)


def _all_match(source: Source, pattern: str) -> bool:
    """Return whether every line, blanks at its ends aside, has one form."""
    return bool(source.lines) and all(re.fullmatch(pattern, s.strip()) for s in source.lines)


def _is_number(text: str) -> bool:
    """Return whether a field is a number."""
    return not np.isnan(number(text))


def _on_no_date(clocks: Sequence[float]) -> datetime | None:
    """Return the first clock time as a datetime without a date, None when there is none."""
    seconds = clocks[0] if clocks else None
    return None if seconds is None else NO_DATE + timedelta(seconds=seconds)
