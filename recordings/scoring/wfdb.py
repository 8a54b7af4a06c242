"""Scorings in WFDB annotation files: Sleep-EDF .hyp, slpdb .st, the 2018 challenge's .arousal."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nights.stages import lookup_stage, stage_map
from recordings.scoring.source import Mark, Parsed, Source, Wanted, number


class _WfdbMark(NamedTuple):
    """An annotation of a WFDB file: sample, type code, auxiliary text."""

    sample: int
    code: int
    text: str


def parse_wfdb(source: Source, wanted: Wanted) -> Parsed | None:
    """Read WFDB annotations that hold stages in their auxiliary texts.

    Three habits are known: `Sleep_stage_W duration: 30` (Sleep-EDF .hyp), a stage and apnea codes
    per 30 s (`2 HA`, slpdb .st), changes of stage with `(event` ... `event)` (2018 challenge).
    """
    if source.text:
        return None
    marks = list(_wfdb_marks(source.content))
    texts = [mark.text for mark in marks]
    if not any(_wfdb_stage(text) is not None for text in texts):
        return None
    rate_hz = _wfdb_rate(source, wanted, texts)
    onsets = [mark.sample / rate_hz for mark in marks]
    if any(text.startswith("Sleep_stage") for text in texts):
        return Parsed(_sleep_edf_marks(onsets, texts), stage_map="edfplus")
    if any(text.startswith("(") for text in texts):
        return Parsed(_challenge_marks(onsets, texts), stage_map="words")
    return Parsed(_slpdb_marks(onsets, texts), stage_map="words_and_rk")


def _wfdb_marks(content: bytes) -> Iterator[_WfdbMark]:
    """Decode the MIT annotation format (WFDB Programmer's Guide, annot(5)).

    A word of 16 bits holds a type (6 bits) and the samples since the last annotation (10 bits);
    type 59 carries a 32-bit step, 60-62 describe the annotation before, 63 is its text.
    """
    place, sample, pending = 0, 0, None
    while place + 2 <= len(content):
        word = int.from_bytes(content[place : place + 2], "little")
        code, value, place = word >> 10, word & 0x3FF, place + 2
        if word == 0:
            break
        if code == 59:
            high, low = struct.unpack("<hH", content[place : place + 4].ljust(4, b"\0"))
            sample, place = sample + (high << 16) + low, place + 4
        elif code == 63:
            text = content[place : place + value].rstrip(b"\0").decode("latin-1").strip()
            pending = pending and pending._replace(text=text)
            place += value + value % 2
        elif code < 60:
            if pending:
                yield pending
            sample += value
            pending = _WfdbMark(sample, code, "")
    if pending:
        yield pending


def _wfdb_stage(text: str) -> int | None:
    """Return the stage that the auxiliary text of a WFDB annotation names, None when none."""
    words = text.replace("_", " ").split(" duration:")[0]
    standard = lookup_stage(words, stage_map("edfplus"))
    first = lookup_stage(text.split(" ")[0], stage_map("words_and_rk"))
    return standard if standard is not None else first


def _wfdb_rate(source: Source, wanted: Wanted, texts: list[str]) -> float:
    """Return the samples per second that annotations count in."""
    told = [text.rpartition(":")[2] for text in texts if text.startswith("## time resolution")]
    header = source.path.with_suffix(".hea")
    if not told and header.exists():
        first = header.read_text(encoding="latin-1")[:400].split("\n")[0].split()
        told = [re.split(r"[/(]", first[2])[0]] if len(first) > 2 else []
    rate_hz = wanted.rate_hz or (number(told[0]) if told else np.nan)
    if not rate_hz > 0:
        raise source.refuse(
            "gives no sampling rate; place its .hea file beside it, or give rate_hz"
        )
    return rate_hz


def _sleep_edf_marks(onsets: list[float], texts: list[str]) -> tuple[Mark, ...]:
    """Return the runs of a Sleep-EDF .hyp file."""
    pairs = [(t, *text.partition(" duration:")[::2]) for t, text in zip(onsets, texts, strict=True)]
    return tuple(
        Mark(onset, number(length), label.replace("_", " "))
        for onset, label, length in pairs
        if length
    )


# slpdb: one code per event seen in the 30 s of an annotation; a second A is "with arousal".
_SLPDB_EVENTS = {
    "H": ("Hypopnea",), "HA": ("Hypopnea", "Arousal"),
    "OA": ("Obstructive apnea",), "X": ("Obstructive apnea", "Arousal"),
    "CA": ("Central apnea",), "CAA": ("Central apnea", "Arousal"),
    "L": ("Leg movement",), "LA": ("Leg movement", "Arousal"), "A": ("Arousal",),
}  # fmt: skip


def _slpdb_marks(onsets: list[float], texts: list[str]) -> tuple[Mark, ...]:
    """Return stages, and the events of an epoch as lasting all of it: their onset is not given."""
    marks = []
    for onset, text in zip(onsets, texts, strict=True):
        stage, *codes = text.split() or ["?"]
        marks.append(Mark(onset, 30.0, stage, "stage"))
        for event in (name for code in codes for name in _SLPDB_EVENTS.get(code, ())):
            marks.append(Mark(onset, 30.0, event, "event"))
    return tuple(marks)


def _challenge_marks(onsets: list[float], texts: list[str]) -> tuple[Mark, ...]:
    """Return stages that hold until the next, and events between `(name` and `name)`."""
    marks, opened = [], {}
    for onset, text in zip(onsets, texts, strict=True):
        if text.startswith("("):
            opened[text[1:]] = onset
        elif text.endswith(")") and text[:-1] in opened:
            begin = opened.pop(text[:-1])
            marks.append(Mark(begin, onset - begin, text[:-1], "event"))
        elif lookup_stage(text, stage_map("words")) is not None:
            marks.append(Mark(onset, np.nan, text, "stage"))
    return tuple(marks)
