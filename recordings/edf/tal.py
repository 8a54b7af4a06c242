"""Annotation channels of EDF+ and BDF+: time-stamped annotation lists (TALs) in UTF-8.

A TAL reads `+onset[<21>duration]<20>text<20>text<20><0>`. The first one in the first annotation
channel of each data record has an empty first text and tells when that record begins.

References
----------
Kemp and Olivan 2003, European data format 'plus' (EDF+), section 2.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from recordings.recording import Annotation

_TAL = re.compile(
    rb"(?<![^\x00])([+-]?[0-9]{1,9}(?:[.,][0-9]*)?)(?:\x15([0-9]{1,9}(?:[.,][0-9]*)?))?"
    rb"\x14([^\x00]*)\x00"
)


@dataclass(frozen=True)
class Marks:
    """Content of one annotation channel.

    Parameters
    ----------
    annotations : tuple of Annotation
        In the file's order; onsets count from the start in the header.
    record_onsets_s : float64 array (n_records,)
        When each data record begins; NaN where no time-keeping mark was readable.
    """

    annotations: tuple[Annotation, ...]
    record_onsets_s: np.ndarray


def read_marks(rows: np.ndarray) -> Marks:
    """Decode the bytes of one annotation channel, uint8 (n_records, bytes per record)."""
    n_records, width = rows.shape
    padded = np.zeros((n_records, width + 1), dtype=np.uint8)  # no TAL may reach the next record
    padded[:, :-1] = rows
    onsets_s = np.full(n_records, np.nan)
    found = []
    for match in _TAL.finditer(padded.tobytes()):
        record, column = divmod(match.start(), width + 1)
        onset_s, texts = _seconds(match[1]), match[3].split(b"\x14")
        if column == 0 and not texts[0]:
            onsets_s[record] = onset_s
        duration_s = _seconds(match[2]) if match[2] else 0.0
        found += [Annotation(onset_s, duration_s, _decode(text)) for text in texts if text.strip()]
    return Marks(tuple(found), onsets_s)


def _seconds(raw: bytes) -> float:
    """Read seconds, with point or comma."""
    return float(raw.replace(b",", b"."))


def _decode(text: bytes) -> str:
    """Decode a text: UTF-8 as the standard says, else Latin-1 as some recorders write."""
    try:
        return text.decode("utf-8").strip()
    except UnicodeDecodeError:
        return text.decode("latin-1").strip()
