"""The two XML formats of sleepdata.org: Profusion's own and the harmonised one."""

from __future__ import annotations

from datetime import datetime
from xml.etree import ElementTree

import numpy as np

from recordings.scoring.source import Mark, Parsed, Source, Wanted, number


def parse_profusion(source: Source, wanted: Wanted) -> Parsed | None:
    """Read Profusion XML: one `SleepStage` per epoch from second 0, and `ScoredEvent`s."""
    root = _root(source, "CMPStudyConfig")
    if root is None:
        return None
    codes = tuple((stage.text or "").strip() for stage in root.iterfind(".//SleepStage"))
    events = tuple(_mark(source, event, "Name") for event in root.iterfind(".//ScoredEvent"))
    length = _number(root.findtext("EpochLength"))
    code_s = wanted.code_s or (length if length > 0 else None)
    return Parsed(marks=events, codes=codes, code_s=code_s, stage_map="profusion")


def parse_nsrr(source: Source, wanted: Wanted) -> Parsed | None:
    """Read NSRR XML: runs of a stage (`Stage 2 sleep|2`) and events, each with its own start."""
    root = _root(source, "PSGAnnotation")
    if root is None:
        return None
    marks, start, duration_s = [], None, None
    for event in root.iterfind(".//ScoredEvent"):
        mark = _mark(source, event, "EventConcept")
        if mark.label == "Recording Start Time":
            start, duration_s = _clock_time(event.findtext("ClockTime")), mark.duration_s or None
        elif (event.findtext("EventType") or "").startswith("Stages"):
            marks.append(mark._replace(label=mark.label.rsplit("|", 1)[-1], kind="stage"))
        else:
            marks.append(mark)
    return Parsed(tuple(marks), stage_map="nsrr_xml_code", start=start, duration_s=duration_s)


def _root(source: Source, tag: str) -> ElementTree.Element | None:
    """Return the root of the document if it is `tag`, None when the file is another."""
    if f"<{tag}" not in source.text[:4096]:
        return None
    # Neither format declares a document type; a declared entity can grow without bound.
    if "<!DOCTYPE" in source.text or "<!ENTITY" in source.text:
        raise source.refuse("declares a document type or entities, which no scoring file does")
    try:
        root = ElementTree.fromstring(source.text)
    except ElementTree.ParseError as error:
        raise source.refuse(f"is broken XML ({error})") from error
    return root if root.tag == tag else None


def _mark(source: Source, event: ElementTree.Element, label: str) -> Mark:
    """Return one `ScoredEvent`."""
    onset, duration = (_number(event.findtext(tag)) for tag in ("Start", "Duration"))
    if np.isnan(onset):
        raise source.refuse("an event has no Start that is a number")
    text = (event.findtext(label) or "").strip()
    return Mark(onset, 0.0 if np.isnan(duration) else duration, text, "event")


def _number(text: str | None) -> float:
    """Return the number an element holds, NaN when there is none."""
    return number(text or "")


def _clock_time(text: str | None) -> datetime | None:
    """Return the recording's start as NSRR writes it (`01.01.85 22.15.00`)."""
    try:
        return datetime.strptime((text or "").strip(), "%d.%m.%y %H.%M.%S")
    except ValueError:
        return None
