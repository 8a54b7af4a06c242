"""Our own files, written by `evaluation/export.py`: CSV, BIDS table, spreadsheet, text and JSON.

They hold a hypnogram as it was: its classes, its hypnodensity, its place on the clock.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from nights.hypnogram import Hypnogram
from nights.stages import EPOCH_S, FOUR_CLASSES, STAGES, UNSCORED
from recordings.scoring.binary import parse_edf, spreadsheet_rows
from recordings.scoring.source import Mark, Parsed, Source, Wanted

JSON_FORMAT = "nightstack hypnogram 1"
STAGE_TEXT = "Sleep stage "  # EDF+ standard texts: 'Sleep stage W' ...
STAGE_COLUMNS = {STAGES: "stage", FOUR_CLASSES: "stage_wldr"}
NO_CLOCK_TEXT = "Clock time unknown"  # EDF+ cannot leave the start open
CLASSES_TEXT = "classes: "  # 'classes: W L D R', in a text or an annotation


def parse_edf_or_own(source: Source, wanted: Wanted) -> Parsed | None:
    """Read EDF+ annotations; a file of `write_edfplus` names its classes and is read exactly."""
    parsed = parse_edf(source, wanted)
    told = [m for m in parsed.marks if m.label.startswith(CLASSES_TEXT)] if parsed else []
    if parsed is None or not told:
        return parsed
    classes = tuple(told[0].label.removeprefix(CLASSES_TEXT).split())
    epochs = [mark for mark in parsed.marks if mark.label.startswith(STAGE_TEXT)]
    remarks = (CLASSES_TEXT, STAGE_TEXT, NO_CLOCK_TEXT)
    events = tuple(mark for mark in parsed.marks if not mark.label.startswith(remarks))
    start = None if NO_CLOCK_TEXT in [m.label for m in parsed.marks] else parsed.start
    rows = [
        {
            "onset": repr(mark.onset_s),
            "duration": repr(mark.duration_s),
            "stage": mark.label.removeprefix(STAGE_TEXT),
            "clock": (start + timedelta(seconds=mark.onset_s)).isoformat() if start else "",
        }
        for mark in epochs
    ]
    hypnogram = _from_rows(source, rows, "stage", classes, "onset", "duration")
    return Parsed(events, "file", hypnogram=hypnogram, start=start)


def parse_own_json(source: Source, wanted: Wanted) -> Parsed | None:
    """Read the JSON of `write_json`, which keeps every field of the hypnogram."""
    if not source.text.lstrip().startswith("{"):
        return None
    try:
        data = json.loads(source.text)
    except (ValueError, RecursionError) as error:
        raise source.refuse(f"is broken JSON ({error})") from error
    if data.get("format") != JSON_FORMAT:
        return None
    try:
        hypnogram = _from_json(data)
        events = [
            Mark(float(e["onset_s"]), float(e["duration_s"]), str(e["type"]), "event")
            for e in data["events"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise source.refuse(f"is not a complete hypnogram ({error})") from error
    return Parsed(tuple(events), hypnogram=hypnogram)


def parse_own_text(source: Source, wanted: Wanted) -> Parsed | None:
    """Read the text of `write_txt` when its first line names the classes; else it is a list."""
    if not source.lines or not source.lines[0].startswith(f"# {CLASSES_TEXT}"):
        return None
    classes = tuple(source.lines[0].removeprefix(f"# {CLASSES_TEXT}").split())
    return Parsed(hypnogram=_build(source, source.lines[1:], classes))


def parse_own_table(source: Source, wanted: Wanted) -> Parsed | None:
    """Read the table of `write_csv` or `write_xlsx`."""
    rows = spreadsheet_rows(source)
    if rows is None:
        is_ours = bool(source.lines) and source.lines[0].startswith("epoch,onset_s,")
        rows = list(csv.reader(source.lines)) if is_ours else []
    header = rows[0] if rows else []
    stage = next((name for name in STAGE_COLUMNS.values() if name in header), None)
    if stage is None or not {"epoch", "onset_s", "duration_s", "clock"} <= set(header):
        return None
    table = [dict(zip(header, row + [""] * len(header), strict=False)) for row in rows[1:]]
    classes = next(names for names, column in STAGE_COLUMNS.items() if column == stage)
    return Parsed(hypnogram=_from_rows(source, table, stage, classes, "onset_s", "duration_s"))


def parse_own_bids(source: Source, wanted: Wanted) -> Parsed | None:
    """Read the BIDS events table of `write_bids`; its sidecar tells the classes."""
    header = source.lines[0].split("\t") if source.lines else []
    if not {"onset", "duration", "trial_type", "clock"} <= set(header):
        return None
    rows = csv.reader(source.lines[1:], delimiter="\t", quoting=csv.QUOTE_NONE)
    table = [dict(zip(header, row + ["n/a"] * len(header), strict=False)) for row in rows]
    epochs = [row for row in table if row["trial_type"].startswith(STAGE_TEXT)]
    events = [row for row in table if not row["trial_type"].startswith(STAGE_TEXT)]
    for row in epochs:
        row["trial_type"] = row["trial_type"].removeprefix(STAGE_TEXT)
    classes = _sidecar_classes(source, [row["trial_type"] for row in epochs])
    return Parsed(
        tuple(_event(source, row) for row in events),
        hypnogram=_from_rows(source, epochs, "trial_type", classes, "onset", "duration"),
    )


def four_or_five(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the classes that stage names belong to: L and D exist in W L D R alone."""
    return FOUR_CLASSES if {"L", "D"} & set(labels) else STAGES


def _from_rows(
    source: Source,
    rows: Sequence[Mapping[str, str]],
    stage: str,
    classes: tuple[str, ...],
    onset: str,
    duration: str,
) -> Hypnogram:
    """Build the hypnogram from one row per epoch."""
    if not rows:
        raise source.refuse("holds no epoch")
    try:
        onsets = np.array([float(row[onset]) for row in rows])
        epoch_s = float(rows[0][duration])
        clock = rows[0]["clock"]
        start = None if clock in ("", "n/a") else datetime.fromisoformat(clock)
        proba = _proba(rows, classes)
    except (KeyError, ValueError) as error:
        raise source.refuse(f"has a row that cannot be read ({error})") from error
    if not np.allclose(np.diff(onsets), epoch_s, atol=1e-3):
        raise source.refuse(f"rows are not {epoch_s:g} s apart; do not sort or cut them")
    fields = {"proba": proba, "start": start, "onset_s": float(onsets[0]), "epoch_s": epoch_s}
    return _build(source, [row[stage] for row in rows], classes, **fields)


def _proba(rows: Sequence[Mapping[str, str]], classes: tuple[str, ...]) -> np.ndarray | None:
    """Return the hypnodensity (E, K) of the columns proba_W ..., None when there are none."""
    names = [f"proba_{name}" for name in classes]
    if not set(names) <= set(rows[0]):
        return None
    empty = ("", "n/a")
    values = [[np.nan if row[n] in empty else float(row[n]) for n in names] for row in rows]
    return _float32(values)


def _float32(values: list[list[float]]) -> np.ndarray:
    """Return probabilities as float32 (E, K)."""
    proba = np.array(values, dtype=np.float64)
    if (np.abs(proba) > 2).any():
        raise ValueError("a probability above 1")
    return proba.astype(np.float32)


def _build(
    source: Source, labels: Sequence[str], classes: tuple[str, ...], **fields: Any
) -> Hypnogram:
    """Build a hypnogram from stage names, `?` where unscored."""
    codes = {name: code for code, name in enumerate(classes)} | {"?": UNSCORED}
    wrong = sorted(set(labels) - set(codes))
    if wrong:
        raise source.refuse(f"{wrong[0][:20]!r} is none of the classes {' '.join(classes)}")
    try:
        stages = np.array([codes[label] for label in labels], dtype=np.int8)
        return Hypnogram(stages=stages, classes=classes, **fields)
    except ValueError as error:
        raise source.refuse(str(error)) from error


def _sidecar_classes(source: Source, labels: Sequence[str]) -> tuple[str, ...]:
    """Return the classes that the sidecar beside a table lists, else those of the labels."""
    try:
        sidecar = json.loads(source.path.with_suffix(".json").read_text(encoding="utf-8"))
        listed = [name.removeprefix(STAGE_TEXT) for name in sidecar["trial_type"]["Levels"]]
    except (OSError, ValueError, KeyError, TypeError):
        listed = []
    return four_or_five([*labels, *listed])


def _event(source: Source, row: Mapping[str, str]) -> Mark:
    """Return one event row."""
    try:
        return Mark(float(row["onset"]), float(row["duration"]), row["trial_type"], "event")
    except ValueError as error:
        raise source.refuse(f"has an event that cannot be read ({error})") from error


def _from_json(data: Mapping[str, Any]) -> Hypnogram:
    """Build the hypnogram that `write_json` wrote."""
    classes = tuple(data["classes"])
    codes = {name: code for code, name in enumerate(classes)} | {"?": UNSCORED}
    proba = data["proba"]
    if proba is not None:
        unknown = [np.nan] * len(classes)
        proba = _float32([row or unknown for row in proba]).reshape(-1, len(classes))
    return Hypnogram(
        stages=np.array([codes[name] for name in data["stages"]], dtype=np.int8),
        proba=proba,
        start=None if data["start"] is None else datetime.fromisoformat(data["start"]),
        onset_s=float(data["onset_s"]),
        lights_off_s=None if data["lights_off_s"] is None else float(data["lights_off_s"]),
        lights_on_s=None if data["lights_on_s"] is None else float(data["lights_on_s"]),
        classes=classes,
        epoch_s=float(data.get("epoch_s", EPOCH_S)),
        scorer=str(data["scorer"]),
        notes=tuple(data["notes"]),
    )
