"""A hypnogram in the forms other programs read: EDF+, BIDS, CSV, spreadsheet, text, JSON, objects.

Every file is whole or not there, and `recordings.scoring.read_scoring` reads each of them back.

=========== ========================================================== =====================
file        keeps                                                      precision
=========== ========================================================== =====================
JSON        everything                                                 probabilities 1e-6
BIDS        stages, clock, onset, hypnodensity, lights, events         probabilities 1e-6
CSV, XLSX   stages, clock, onset, hypnodensity                         probabilities 1e-6
EDF+        stages, clock, onset, lights, events                       onsets 1e-4 s
TXT         stages                                                     -
=========== ========================================================== =====================
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nights.atomic import atomic_path, write_text
from nights.events import Event
from nights.hypnogram import Hypnogram
from nights.stages import FOUR_CLASSES, STAGES
from recordings.edf import writing
from recordings.recording import Annotation
from recordings.scoring.own import (
    CLASSES_TEXT,
    JSON_FORMAT,
    NO_CLOCK_TEXT,
    STAGE_COLUMNS,
    STAGE_TEXT,
)
from recordings.scoring.source import NO_DATE

if TYPE_CHECKING:
    import mne
    import yasa

_STAGE_DESCRIPTIONS = {
    "W": "wake",
    "N1": "stage N1",
    "N2": "stage N2",
    "N3": "stage N3",
    "R": "REM sleep",
    "L": "light sleep (N1 and N2)",
    "D": "deep sleep (N3)",
    "?": "not scored",
}
_YASA_NAMES = {
    STAGES: ("WAKE", "N1", "N2", "N3", "REM", "UNS"),
    FOUR_CLASSES: ("WAKE", "LIGHT", "DEEP", "REM", "UNS"),
}


def write_csv(
    hypnogram: Hypnogram, path: Path, *, columns: Mapping[str, np.ndarray] | None = None
) -> None:
    """Write one row per epoch: epoch, onset_s, duration_s, clock, stage, proba_W ...

    Onsets count from the first sample of the recording, `clock` is ISO 8601 and empty when the
    start is unknown, `?` is an unscored epoch. The stage column of a night in the four classes
    W L D R is called `stage_wldr`. `columns` (E,) follow with four decimals, NaN left empty.
    """
    buffer = io.StringIO()
    rows = _with_columns(csv_rows(hypnogram), columns or {})
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    write_text(path, buffer.getvalue())


def write_xlsx(hypnogram: Hypnogram, path: Path) -> None:
    """Write the rows of `write_csv` as a spreadsheet.

    Raises
    ------
    ImportError
        If the package openpyxl is not installed.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise ImportError("writing a spreadsheet needs the package openpyxl") from error
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("hypnogram")
    for row in csv_rows(hypnogram):
        sheet.append(row)
    with atomic_path(path) as temporary:
        book.save(temporary)


def write_txt(hypnogram: Hypnogram, path: Path) -> None:
    """Write one stage name a line (`?` unscored); a first line tells classes other than AASM's."""
    told = [] if hypnogram.classes == STAGES else [f"# {CLASSES_TEXT}{' '.join(hypnogram.classes)}"]
    write_text(path, "".join(f"{line}\n" for line in (*told, *hypnogram.names)))


def write_json(hypnogram: Hypnogram, path: Path, *, events: Sequence[Event] = ()) -> None:
    """Write every field of the hypnogram, and the events."""
    proba = hypnogram.proba
    rows = None if proba is None else [_rounded(row) for row in proba]
    content = {
        "format": JSON_FORMAT,
        "scorer": hypnogram.scorer,
        "classes": hypnogram.classes,
        "start": hypnogram.start and hypnogram.start.isoformat(),
        "onset_s": hypnogram.onset_s,
        "epoch_s": hypnogram.epoch_s,
        "lights_off_s": hypnogram.lights_off_s,
        "lights_on_s": hypnogram.lights_on_s,
        "notes": hypnogram.notes,
        "stages": hypnogram.names,
        "proba": rows,
        "events": [event._asdict() for event in events],
    }
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_bids(hypnogram: Hypnogram, path: Path, *, events: Sequence[Event] = ()) -> None:
    """Write a BIDS events table (`..._events.tsv`) and its sidecar (`..._events.json`).

    `trial_type` holds the standard text of EDF+ (`Sleep stage N2`) or the type of an event; the
    hypnodensity and the clock are further columns, which BIDS allows once the sidecar names them.
    """
    classes = hypnogram.classes
    header, *epochs = csv_rows(hypnogram)
    n_proba = 0 if hypnogram.proba is None else len(classes)
    rows = [
        (onset, duration, STAGE_TEXT + stage, clock or "n/a", *(_known(p) for p in proba))
        for _, onset, duration, clock, stage, *proba in epochs
    ]
    rows += [
        (event.onset_s, event.duration_s, event.type, "n/a", *["n/a"] * n_proba)
        for event in _with_lights(hypnogram, events)
    ]
    rows.sort(key=lambda row: float(row[0]))
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter="\t", lineterminator="\n")
    writer.writerow(("onset", "duration", "trial_type", "clock", *header[5:]))
    writer.writerows(rows)
    write_text(path.with_suffix(".json"), json.dumps(_sidecar(hypnogram, events), indent=1) + "\n")
    write_text(path, buffer.getvalue())


def write_edfplus(hypnogram: Hypnogram, path: Path, *, events: Sequence[Event] = ()) -> None:
    """Write an EDF+ file of annotations alone, one of the standard texts per epoch.

    Opens as annotations of the recording in EDF+ viewers and in `mne.read_annotations`. The file
    starts with the recording, at a whole second: the fraction is in the onsets. Where the start is
    unknown it is 1985-01-01 00:00:00 and an annotation says so.
    """
    start, shift_s = _file_start(hypnogram)
    marks = [(hypnogram.onset_s, -1.0, CLASSES_TEXT + " ".join(hypnogram.classes))]
    marks += [(hypnogram.onset_s, -1.0, NO_CLOCK_TEXT)] * (hypnogram.start is None)
    epochs = zip(hypnogram.onsets_s.tolist(), hypnogram.names, strict=True)
    marks += [(onset, float(hypnogram.epoch_s), STAGE_TEXT + name) for onset, name in epochs]
    marks += [(e.onset_s, e.duration_s, _edf_text(e)) for e in _with_lights(hypnogram, events)]
    annotations = [Annotation(onset + shift_s, lasts, text) for onset, lasts, text in marks]
    writing.write_edfplus(path, {}, annotations, start=start)


def to_yasa(hypnogram: Hypnogram) -> yasa.Hypnogram:
    """Return the hypnogram as a `yasa.Hypnogram`, with its hypnodensity."""
    import pandas as pd
    import yasa

    names = _YASA_NAMES[hypnogram.classes]
    table = None
    if hypnogram.proba is not None:
        # YASA wants rows that sum to 1, of unscored epochs too: there every class is as likely.
        proba = hypnogram.proba.astype(np.float64)
        proba = np.where(np.isfinite(proba), proba, 1 / len(hypnogram.classes))
        table = pd.DataFrame(proba / proba.sum(axis=1, keepdims=True), columns=names[:-1])
    return yasa.Hypnogram(
        [names[code] for code in hypnogram.stages],
        n_stages=len(hypnogram.classes),
        freq=f"{hypnogram.epoch_s:g}s",
        start=hypnogram.start,
        scorer=hypnogram.scorer or None,
        proba=table,
    )


def to_mne(hypnogram: Hypnogram, *, events: Sequence[Event] = ()) -> mne.Annotations:
    """Return the hypnogram as `mne.Annotations`, ready for `raw.set_annotations`.

    Onsets count from the first sample (no `orig_time`): a measurement date is not needed, and a
    clock without time zone cannot disagree with it.
    """
    import mne

    stages = [
        (onset, hypnogram.epoch_s, STAGE_TEXT + name)
        for onset, name in zip(hypnogram.onsets_s, hypnogram.names, strict=True)
    ]
    others = [(e.onset_s, e.duration_s, _edf_text(e)) for e in _with_lights(hypnogram, events)]
    onsets, durations, texts = zip(*stages, *others, strict=True)
    return mne.Annotations(onsets, durations, texts)


def csv_rows(hypnogram: Hypnogram, *, first: int = 0) -> Iterator[list]:
    """Yield the header and one row per epoch of `write_csv`; epochs are counted from `first`."""
    classes, proba = hypnogram.classes, hypnogram.proba
    stage = STAGE_COLUMNS[classes]
    yield [
        *("epoch", "onset_s", "duration_s", "clock", stage),
        *([] if proba is None else [f"proba_{name}" for name in classes]),
    ]
    onsets = hypnogram.onsets_s.tolist()
    for epoch, (onset, name) in enumerate(zip(onsets, hypnogram.names, strict=True)):
        clock = hypnogram.clock(epoch)
        row = [
            first + epoch,
            onset,
            float(hypnogram.epoch_s),
            clock.isoformat() if clock else "",
            name,
        ]
        known = [] if proba is None else _rounded(proba[epoch]) or [""] * len(classes)
        yield row + known


def _with_columns(rows: Iterator[list], columns: Mapping[str, np.ndarray]) -> Iterator[list]:
    """Yield the rows of a table, its header first, each with one value of every column behind."""
    yield [*next(rows), *columns]
    for row, *values in zip(rows, *columns.values(), strict=True):
        yield [*row, *("" if np.isnan(value) else round(float(value), 4) for value in values)]


def _rounded(row: np.ndarray) -> list | None:
    """Return the probabilities of an epoch with six decimals, None where they are unknown."""
    return [round(float(p), 6) for p in row] if np.isfinite(row).all() else None


def _known(value: object) -> object:
    """Return a value for a BIDS table, in which nothing is written `n/a`."""
    return "n/a" if value == "" else value


def _with_lights(hypnogram: Hypnogram, events: Sequence[Event]) -> list[Event]:
    """Return the events, lights off and on of the hypnogram among them once."""
    lights = {"lights_off": hypnogram.lights_off_s, "lights_on": hypnogram.lights_on_s}
    told = [Event(at_s, 0.0, kind) for kind, at_s in lights.items() if at_s is not None]
    return sorted([event for event in events if event.type not in lights] + told)


def _edf_text(event: Event) -> str:
    """Return an event as EDF+ text: `Obstructive apnea`, `Lights off`."""
    return event.type.replace("_", " ").capitalize()


def _file_start(hypnogram: Hypnogram) -> tuple[datetime, float]:
    """Return the start of the EDF+ file and the seconds by which onsets grow for its fraction."""
    if hypnogram.start is None:
        return NO_DATE, 0.0
    start = hypnogram.start - timedelta(seconds=hypnogram.onset_s)
    return start.replace(microsecond=0), start.microsecond / 1e6


def _sidecar(hypnogram: Hypnogram, events: Sequence[Event]) -> dict:
    """Return the description of the columns of the BIDS table."""
    stages = {STAGE_TEXT + n: _STAGE_DESCRIPTIONS[n] for n in (*hypnogram.classes, "?")}
    others = {e.type: e.type.replace("_", " ") for e in _with_lights(hypnogram, events)}
    columns = {
        "onset": {"Description": "from the first sample of the recording", "Units": "s"},
        "duration": {"Description": f"{hypnogram.epoch_s:g} s for stages", "Units": "s"},
        "trial_type": {
            "LongName": "sleep stage or event",
            "Description": f"scored by {hypnogram.scorer or 'unknown'}",
            "Levels": stages | others,
        },
        "clock": {"Description": "clock time at which the epoch begins, ISO 8601"},
    }
    if hypnogram.proba is not None:
        for name in hypnogram.classes:
            columns[f"proba_{name}"] = {
                "Description": f"probability of {_STAGE_DESCRIPTIONS[name]}"
            }
    return columns
