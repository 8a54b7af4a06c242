"""Where the data records of an EDF+ file stand in time, by their time-keeping marks.

The reserved field of the header (EDF+C, EDF+D) is only a hint, because it lies in real files; the
marks decide. Marks that contradict each other refuse a file that calls itself discontinuous, and
are set aside in one that does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from recordings.recording import RecordingError

MAX_GAP_S = 3600  # a longer pause is another recording (43,194 s were seen in one file)
MAX_GAPS_S = 86400  # all pauses together: the file's size does not back the memory they cost
TOLERANCE_S = 0.01  # writers round the onsets of records


@dataclass(frozen=True)
class Run:
    """Data records without a pause between them; `start_s` counts from the first sample."""

    first: int
    n_records: int
    start_s: float


@dataclass(frozen=True)
class Timeline:
    """The runs of a file.

    Parameters
    ----------
    record_s : Fraction
        Seconds of a data record; 0 in a file of annotations alone.
    runs : tuple of Run
        In order; one in a continuous file.
    origin_s : float
        Onset of the first record on the clock of the header.
    notes : tuple of str
        What was missing, set aside or filled.
    """

    record_s: Fraction
    runs: tuple[Run, ...]
    origin_s: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        """Seconds from the first to the end of the last record."""
        return self._end_s(self.runs[-1])

    @property
    def gaps(self) -> tuple[tuple[float, float], ...]:
        """Pauses (from_s, to_s) between the runs."""
        pairs = zip(self.runs, self.runs[1:], strict=False)
        return tuple((self._end_s(before), after.start_s) for before, after in pairs)

    def sample_starts(self, samples: int) -> list[int]:
        """Return where each run begins in a signal of `samples` per record, and where it ends."""
        starts, end = [], 0
        for run in self.runs:
            begin = round(run.start_s * samples / self.record_s) if self.record_s else 0
            starts.append(max(end, begin))
            end = starts[-1] + run.n_records * samples
        return [*starts, end]

    def _end_s(self, run: Run) -> float:
        """Return when a run ends."""
        return run.start_s + float(run.n_records * self.record_s)


def continuous(n_records: int, record_s: Fraction, **fields: object) -> Timeline:
    """Return the timeline of records that follow each other."""
    return Timeline(record_s, (Run(0, n_records, 0.0),), **fields)  # type: ignore[arg-type]


def timeline(
    name: str, onsets_s: np.ndarray, record_s: Fraction, *, discontinuous: bool
) -> Timeline:
    """Place data records by their marks.

    Parameters
    ----------
    name : str
        Name of the file, for the refusal.
    onsets_s : float64 array (n_records,)
        Onset of each record on the header's clock, NaN where unreadable.
    record_s : Fraction
        Seconds of a data record.
    discontinuous : bool
        Whether the file calls itself discontinuous.

    Raises
    ------
    RecordingError
        If a pause is longer than an hour, or a record of a discontinuous file begins before the
        end of the one before it.
    """
    missing = int(np.isnan(onsets_s).sum())
    notes = [f"{missing} data records do not tell when they begin"] if missing else []
    if np.isnan(onsets_s[0]):
        return continuous(len(onsets_s), record_s, notes=tuple(notes))
    origin_s = float(onsets_s[0])
    runs, overlap_s = _split(onsets_s - origin_s, float(record_s))
    if overlap_s and discontinuous:
        reason = f"a data record begins {overlap_s:.3g} s before the end of the one before it"
        raise RecordingError(f"{name}: {reason}; export the recording again")
    if overlap_s:
        notes.append("onsets of data records contradict each other; read as continuous")
        return continuous(len(onsets_s), record_s, origin_s=origin_s, notes=tuple(notes))
    found = Timeline(record_s, runs, origin_s, tuple(notes))
    return _check_gaps(name, found)


def _split(onsets_s: np.ndarray, record_s: float) -> tuple[tuple[Run, ...], float]:
    """Cut the records into runs; also return the longest overlap of two records, 0 if none."""
    expected_s = record_s * np.arange(len(onsets_s))
    if not record_s or not (np.abs(onsets_s - expected_s) > TOLERANCE_S).any():
        return (Run(0, len(onsets_s), 0.0),), 0.0
    starts, firsts, end_s, overlap_s = [0.0], [0], record_s, 0.0
    for record, onset_s in enumerate(onsets_s[1:].tolist(), 1):
        late_s = 0.0 if np.isnan(onset_s) else onset_s - end_s  # unknown: right after the last
        if late_s > TOLERANCE_S:
            starts.append(onset_s)
            firsts.append(record)
            end_s = onset_s
        elif late_s < -TOLERANCE_S:
            overlap_s = max(overlap_s, -late_s)
        end_s += record_s
    lengths = np.diff([*firsts, len(onsets_s)]).tolist()
    return tuple(map(Run, firsts, lengths, starts)), overlap_s


def _check_gaps(name: str, found: Timeline) -> Timeline:
    """Note the pauses, or refuse ones that are too long."""
    pauses_s = [to_s - from_s for from_s, to_s in found.gaps]
    if not pauses_s:
        return found
    longest_s, total_s = max(pauses_s), sum(pauses_s)
    if longest_s > MAX_GAP_S or total_s > MAX_GAPS_S:
        reason = f"pauses for {longest_s:.0f} s ({total_s:.0f} s in all)"
        raise RecordingError(f"{name}: {reason}; split it into one file per recording")
    note = f"{len(pauses_s)} pauses, {total_s:.1f} s in all, filled with zeros"
    return Timeline(found.record_s, found.runs, found.origin_s, (*found.notes, note))
