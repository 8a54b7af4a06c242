"""Any scoring file becomes a hypnogram and events on the clock of its recording.

    scoring = read_scoring("SN001_sleepscoring.txt", recording=open_recording("SN001.edf"))
    scoring.hypnogram.stages, scoring.events, scoring.notes

The format is told from the content (`FORMATS` lists what is known). Seconds count from the first
sample of the recording; epochs that nobody scored are -1, never W, and never left out.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from nights.events import Event
from nights.stages import StageMap
from recordings.recording import Recording
from recordings.scoring.binary import parse_dod, parse_mat, parse_p2018, parse_saf, parse_xlsx
from recordings.scoring.grid import page_windows
from recordings.scoring.lists import (
    parse_basictype,
    parse_dreams,
    parse_epoch_table,
    parse_ids,
    parse_index,
    parse_noxturnal,
    parse_ucddb_epochs,
    parse_ucddb_respevt,
    parse_wsc_allscore,
    parse_wsc_stg,
)
from recordings.scoring.own import (
    parse_edf_or_own,
    parse_own_bids,
    parse_own_json,
    parse_own_table,
    parse_own_text,
)
from recordings.scoring.place import Scoring, Signal, place, place_events
from recordings.scoring.source import Parsed, Source, Wanted
from recordings.scoring.tables import LAYOUTS, parse_layout, session_names
from recordings.scoring.wfdb import parse_wfdb
from recordings.scoring.xml import parse_nsrr, parse_profusion

__all__ = [
    "FORMATS",
    "Event",
    "Scoring",
    "page_windows",
    "read_events",
    "read_scoring",
    "read_sessions",
]

Parser = Callable[[Source, Wanted], Parsed | None]

# In the order in which they are tried; what a text must hold to be taken gets weaker downwards.
FORMATS: dict[str, Parser] = {
    "edfplus": parse_edf_or_own,
    "dod_h5": parse_dod,
    "p2018_mat": parse_p2018,
    "hume_mat": parse_mat,
    "own_json": parse_own_json,
    "own_table": parse_own_table,
    "own_bids": parse_own_bids,
    "own_text": parse_own_text,
    "xlsx_col": parse_xlsx,
    "profusion_xml": parse_profusion,
    "nsrr_xml": parse_nsrr,
    "noxturnal_csv": parse_noxturnal,
    "ucddb_epochs": parse_ucddb_epochs,
    "ucddb_respevt": parse_ucddb_respevt,
    **{layout.name: partial(parse_layout, layout=layout) for layout in LAYOUTS},
    "epoch_csv": parse_epoch_table,
    "dreams_txt": parse_dreams,
    "wsc_allscore": parse_wsc_allscore,
    "wsc_stg": parse_wsc_stg,
    "ids": parse_ids,
    "basictype": parse_basictype,
    "index_txt": parse_index,
    "luna_eannot": parse_index,
    "saf": parse_saf,
    "wfdb_ann": parse_wfdb,
}


def read_scoring(
    path: Path | str,
    *,
    recording: Recording | None = None,
    start: datetime | None = None,
    n_epochs: int | None = None,
    format: str = "auto",
    stage_map: str | StageMap | None = None,
    column: str | None = None,
    session: str | None = None,
    epoch_s: float | None = None,
    code_s: float | None = None,
    rate_hz: float | None = None,
    unsure: str = "unsure",
) -> Scoring:
    """Read a scoring file of any known format and place it on the recording's clock.

    Parameters
    ----------
    path : Path or str
        The scoring file; an EDF+ recording with annotations is one too.
    recording : Recording or None
        What was scored: gives start and length. Without it, and without `start` and `n_epochs`,
        clock times count from the first stage line and the hypnogram ends with the last one.
    start : datetime or None
        Clock time of the first sample, when there is no `recording`.
    n_epochs : int or None
        Number of epochs wanted, when there is no `recording`.
    format : str
        Name in `FORMATS`; `auto` tells it from the content.
    stage_map : str, mapping or None
        How the file writes stages: a name in `nights.stages.STAGE_MAPS`, or label -> stage. None
        takes the format's own; for plain digits it is a guess, which a note tells.
    column, session : str or None
        For tables: which column (`stage_ai` instead of `stage_hum`), which session.
    epoch_s : float or None
        Length of the epochs; None is 30 s, or 20 s for a night scored in 20 s pages.
    code_s, rate_hz : float or None
        Seconds per code of a plain list, samples per second of annotations counted in samples,
        where the file does not tell.
    unsure : str
        What `Unsure` means in this data set: `hypopnea` (ABC, MESA, MROS), `mixed_apnea` (CHAT,
        PATS).

    Raises
    ------
    RecordingError
        If the format is unknown, the file is broken or holds no stage, or a list of codes differs
        by more than 10 percent from the length of the recording.
    """
    source = Source(Path(path))
    name, parsed = _parse(source, format, Wanted(column, session, code_s, rate_hz, stage_map))
    if stage_map is not None:
        parsed = replace(parsed, stage_map=stage_map)
    if recording is None:
        signal = Signal(start, None if n_epochs is not None else parsed.duration_s, n_epochs)
    else:
        signal = Signal(start or recording.start, recording.duration_s, n_epochs)
    return replace(place(source, parsed, signal, epoch_s=epoch_s, unsure=unsure), format=name)


def read_events(
    path: Path | str, *, recording: Recording, format: str = "auto", unsure: str = "unsure"
) -> tuple[Event, ...]:
    """Return the events of a scoring file on the recording's clock, whether it holds stages or not.

    Parameters are those of `read_scoring`.

    Raises
    ------
    RecordingError
        If the format is unknown or the file is broken.
    """
    _, parsed = _parse(Source(Path(path)), format, Wanted())
    signal = Signal(recording.start, recording.duration_s, None)
    return place_events(parsed, signal, unsure=unsure)


def read_sessions(path: Path | str, **options: object) -> dict[str, Scoring]:
    """Return the scoring of every session of a file, by name; a file of one night has one: ''.

    Sessions of one file (EEG-fMRI) are apart in time and are never joined. `options` are those
    of `read_scoring`.
    """
    names = session_names(Source(Path(path)))
    if not names:
        return {"": read_scoring(path, **options)}  # type: ignore[arg-type]
    return {name: read_scoring(path, session=name, **options) for name in names}  # type: ignore[arg-type]


def _parse(source: Source, format: str, wanted: Wanted) -> tuple[str, Parsed]:
    """Return the format's name and what its parser found."""
    if format != "auto" and format not in FORMATS:
        raise ValueError(f"no scoring format {format!r}; known: {', '.join(FORMATS)}")
    if not source.path.is_file():
        raise source.refuse("no such file")
    if not source.head:
        raise source.refuse("is empty")
    try:
        for name in FORMATS if format == "auto" else (format,):
            parsed = FORMATS[name](source, wanted)
            if parsed is not None:
                return name, parsed
    except csv.Error as error:
        raise source.refuse(f"has a table that cannot be read ({error})") from error
    if format != "auto":
        raise source.refuse(f"is not of the format {format!r}")
    raise source.refuse(f"is no scoring of a known format; known: {', '.join(FORMATS)}")
