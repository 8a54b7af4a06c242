"""Placing what a parser found on the recording: clock, epochs, stages, events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from nights.events import Event
from nights.hypnogram import Hypnogram
from nights.stages import EPOCH_S, UNSCORED, lookup_stage, stage_map
from recordings.scoring.events import event_type
from recordings.scoring.grid import (
    DAY_S,
    MAX_SPAN_S,
    Run,
    fit_length,
    grid_of_runs,
    majority,
    replace_on,
    unwrap_clock,
)
from recordings.scoring.source import NO_DATE, Mark, Parsed, Source

SURPLUS_NOTED = 2  # epochs by which a list of codes may differ from the signal without a word
SURPLUS_REFUSED = 0.1  # share of the signal; one MESA night has 1173 labels too many
PAGE_S = 20.0  # the other page length of the old rules (MASS SS2, SS4, SS5)


@dataclass(frozen=True)
class Scoring:
    """A scoring on the clock of its recording.

    Parameters
    ----------
    hypnogram : Hypnogram
        One stage per epoch from the grid's beginning (`onset_s`) to the end of the recording.
    events : tuple of Event
        Sorted by onset; of known types only.
    notes : tuple of str
        Repairs, guesses and oddities, in words; never text of the file that could name a person.
    format : str
        Name in `FORMATS`.
    conflicts : int
        Epochs that two lines score differently; the later line stands.
    offgrid : bool
        More than 1 percent of the lines begin more than 1 s away from the grid.
    label_surplus : int
        For lists of codes: codes beyond the end of the recording (negative: codes missing).
    """

    hypnogram: Hypnogram
    events: tuple[Event, ...] = ()
    notes: tuple[str, ...] = ()
    format: str = ""
    conflicts: int = 0
    offgrid: bool = False
    label_surplus: int = 0


class Signal(NamedTuple):
    """What is known of the recording a scoring belongs to; the caller's word counts more."""

    start: datetime | None
    duration_s: float | None
    n_epochs: int | None

    def epochs(self, epoch_s: float) -> int | None:
        """Return how many whole epochs the recording holds, None when its length is unknown."""
        if self.n_epochs is not None or self.duration_s is None:
            return self.n_epochs
        return int(self.duration_s / epoch_s + 1e-9)


def place(
    source: Source, parsed: Parsed, signal: Signal, *, epoch_s: float | None, unsure: str
) -> Scoring:
    """Return the scoring on the recording's clock.

    Raises
    ------
    RecordingError
        If there is no stage line, none within the recording, one lies more than a fortnight away,
        or a list of codes differs by more than 10 percent from the recording.
    """
    if (signal.duration_s or 0) > MAX_SPAN_S:
        raise source.refuse(f"claims a recording of {signal.duration_s:g} s, over a fortnight")
    parsed, clock_notes = _on_signal_clock(parsed, signal)
    signal = signal._replace(start=signal.start or parsed.start)
    if parsed.hypnogram is not None:
        scoring = _whole(source, parsed.hypnogram, signal)
    elif parsed.codes:
        scoring = _from_codes(source, parsed, signal, epoch_s)
    else:
        scoring = _from_marks(source, parsed, signal, epoch_s)
    events, left_out = _events(parsed, unsure)
    notes = (*parsed.notes, *clock_notes, *scoring.notes)
    notes += ("no epoch is scored",) * (not scoring.hypnogram.scored.any())
    notes += (f"{left_out} lines that are no stage and no known event left out",) * bool(left_out)
    hypnogram = _with_lights(scoring.hypnogram, events)
    hypnogram = replace(hypnogram, notes=(*hypnogram.notes, *notes))
    return replace(scoring, hypnogram=hypnogram, events=events, notes=notes)


def place_events(parsed: Parsed, signal: Signal, *, unsure: str) -> tuple[Event, ...]:
    """Return the events on the recording's clock; the file may hold no stage at all."""
    return _events(_on_signal_clock(parsed, signal)[0], unsure)[0]


def _on_signal_clock(parsed: Parsed, signal: Signal) -> tuple[Parsed, tuple[str, ...]]:
    """Return the marks in seconds since the first sample, the start, and what had to be noted."""
    if parsed.time == "elapsed":
        return parsed, ()
    if parsed.time == "file":
        return _shifted_by_start(parsed, signal)
    onsets = np.array([mark.onset_s for mark in parsed.marks])
    start, notes = signal.start or parsed.start, []
    if start is None:
        staged = [mark.onset_s for mark in parsed.marks if _stage(mark, parsed) is not None]
        start = NO_DATE + timedelta(seconds=float(staged[0] if staged else onsets[0]))
        notes.append("start of the recording unknown: seconds count from the first stage line")
    since_s = (start - NO_DATE).total_seconds()
    if parsed.time == "date" and abs(onsets[0] - since_s) < DAY_S:
        elapsed = onsets - since_s
    else:
        if parsed.time == "date":
            notes.append("dates of scoring and recording differ: placed by the time of day")
        elapsed, disordered = unwrap_clock(onsets % DAY_S, since_s % DAY_S)
        notes += [f"{disordered} lines out of order in time"] * bool(disordered)
    marks = [m._replace(onset_s=float(t)) for m, t in zip(parsed.marks, elapsed, strict=True)]
    marks.sort(key=lambda mark: mark.onset_s)
    return replace(parsed, marks=tuple(marks), start=start), tuple(notes)


def _shifted_by_start(parsed: Parsed, signal: Signal) -> tuple[Parsed, tuple[str, ...]]:
    """Move onsets that count from the file's own start to the recording's, if both are known.

    Starts a day or more apart tell no shift: one of the dates is not the true one; nor does the
    first midnight of 1985, which stands for an unknown start.
    """
    if signal.start is None or parsed.start is None or NO_DATE in (signal.start, parsed.start):
        return parsed, ()
    shift_s = (parsed.start - signal.start).total_seconds()
    if shift_s == 0 or abs(shift_s) >= DAY_S:
        return parsed, ()
    marks = tuple(mark._replace(onset_s=mark.onset_s + shift_s) for mark in parsed.marks)
    own = parsed.hypnogram
    moved = own and replace(own, onset_s=own.onset_s + shift_s)
    note = f"the file starts {shift_s:+g} s from the recording; onsets moved"
    return replace(parsed, marks=marks, hypnogram=moved), (note,)


def _whole(source: Source, hypnogram: Hypnogram, signal: Signal) -> Scoring:
    """Return a hypnogram from our own files, on the grid of the recording if that is known."""
    if not (abs(hypnogram.onset_s) <= MAX_SPAN_S and 0 < hypnogram.epoch_s <= MAX_SPAN_S):
        raise source.refuse("claims epochs more than a fortnight away, or of no length")
    n_epochs = signal.epochs(hypnogram.epoch_s)
    if n_epochs is not None:
        hypnogram = replace_on(hypnogram, n_epochs)
    if hypnogram.start is None and signal.start is not None:
        start = signal.start + timedelta(seconds=hypnogram.onset_s)
        hypnogram = replace(hypnogram, start=start)
    return Scoring(hypnogram)


def _from_codes(source: Source, parsed: Parsed, signal: Signal, epoch_s: float | None) -> Scoring:
    """Return the scoring of a plain list of codes, which begins at the first sample."""
    codes = stage_map(parsed.stage_map)
    stages = [lookup_stage(label, codes) for label in parsed.codes]
    found = np.array([UNSCORED if s is None else s for s in stages], dtype=np.int8)
    code_s = parsed.code_s or float(EPOCH_S)
    epoch_s = epoch_s or (float(EPOCH_S) if (EPOCH_S / code_s).is_integer() else code_s)
    per_epoch = epoch_s / code_s
    if not per_epoch.is_integer():
        raise source.refuse(f"codes of {code_s:g} s do not fill epochs of {epoch_s:g} s")
    if per_epoch > 1:
        found = majority(found, int(per_epoch))
    n_epochs = signal.epochs(epoch_s)
    surplus = 0 if n_epochs is None else len(found) - n_epochs
    if n_epochs is not None and abs(surplus) > SURPLUS_REFUSED * n_epochs:
        raise source.refuse(
            f"holds {len(found)} epochs for a recording of {n_epochs}: not its scoring"
        )
    notes = [f"{abs(surplus)} epochs {'more' if surplus > 0 else 'less'} than the recording"]
    hypnogram = Hypnogram(
        stages=found if n_epochs is None else fit_length(found, n_epochs),
        start=signal.start,
        epoch_s=epoch_s,
    )
    return Scoring(
        hypnogram, notes=tuple(notes * (abs(surplus) > SURPLUS_NOTED)), label_surplus=surplus
    )


def _from_marks(source: Source, parsed: Parsed, signal: Signal, epoch_s: float | None) -> Scoring:
    """Return the scoring of timed lines."""
    staged, notes = _stage_marks(parsed)
    if not staged:
        raise source.refuse("holds no sleep stage")
    far = [m for m in staged if not abs(m.onset_s) <= MAX_SPAN_S or m.duration_s > MAX_SPAN_S]
    if far:
        raise source.refuse(f"claims a stage {far[0].onset_s:g} s away, more than a fortnight")
    runs = _runs(staged, parsed, signal)
    if epoch_s is None:
        pages = np.array([abs(run.duration_s - PAGE_S) < 0.5 for run in runs])
        epoch_s = PAGE_S if pages.mean() > 0.5 else float(EPOCH_S)
    grid = grid_of_runs(runs, epoch_s, signal.epochs(epoch_s), wake_gaps=parsed.wake_gaps)
    if any(run.stage != UNSCORED for run in runs) and not (grid.stages != UNSCORED).any():
        raise source.refuse("none of its stages lies within the recording; is it another night's?")
    ends = grid.onset_s + epoch_s * np.arange(1, len(grid.stages) + 1)
    if signal.duration_s is not None:
        grid.stages[ends > signal.duration_s + 1e-6] = UNSCORED  # the signal ends within it
    start = signal.start and signal.start + timedelta(seconds=grid.onset_s)
    hypnogram = Hypnogram(grid.stages, start=start, onset_s=grid.onset_s, epoch_s=epoch_s)
    notes += [f"{grid.conflicts} epochs scored twice, the later line kept"] * bool(grid.conflicts)
    notes += ["more than 1 percent of the stages begin off the grid"] * grid.offgrid
    notes += ["pages of 20 s"] * (epoch_s == PAGE_S)
    return Scoring(hypnogram, notes=tuple(notes), conflicts=grid.conflicts, offgrid=grid.offgrid)


def _stage(mark: Mark, parsed: Parsed) -> int | None:
    """Return the stage of a mark, None for an event; a stage line of unknown stage is -1."""
    if mark.kind == "event":
        return None
    stage = lookup_stage(mark.label, stage_map(parsed.stage_map))
    return UNSCORED if stage is None and mark.kind == "stage" else stage


def _stage_marks(parsed: Parsed) -> tuple[list[Mark], list[str]]:
    """Return the stage lines, their labels turned into codes, by the format's map or by names.

    Where the standard texts (`Sleep stage N2`) never occur, bare names (`N2`) are taken.
    """
    for which in (parsed.stage_map, "words"):
        codes = stage_map(which)
        found = []
        for mark in parsed.marks:
            stage = None if mark.kind == "event" else lookup_stage(mark.label, codes)
            if stage is not None or mark.kind == "stage":
                found.append(mark._replace(label=str(UNSCORED if stage is None else stage)))
        if found:
            break
    bare = which is not parsed.stage_map and bool(found)
    return found, ["stages written as bare names"] * bare


def _runs(staged: Sequence[Mark], parsed: Parsed, signal: Signal) -> list[Run]:
    """Return the stage lines as runs; a missing duration lasts a step, or until the next line.

    Lines without duration that mostly follow each other at one step are one per epoch; otherwise
    only changes were written and a stage holds until the next. The last one holds to the end.
    """
    onsets = np.array([mark.onset_s for mark in staged])
    durations = np.array([mark.duration_s for mark in staged])
    open_ended = np.isnan(durations) | (durations <= 0)
    order = np.argsort(onsets, kind="stable")
    steps = np.diff(onsets[order])
    usual = _usual_step(steps) if not np.isnan(durations).any() else None
    last_line = max(mark.onset_s for mark in parsed.marks)
    end = signal.duration_s or max(last_line, onsets.max() + EPOCH_S)
    until_next = np.empty(len(onsets))
    until_next[order] = np.append(steps, end - onsets[order[-1]])
    filled = np.where(open_ended, until_next if usual is None else usual, durations)
    stages = [int(mark.label) for mark in staged]
    return list(map(Run, onsets.tolist(), filled.tolist(), stages))


def _usual_step(steps: np.ndarray) -> float | None:
    """Return the step that more than half of the lines follow at, None when there is none."""
    if not len(steps):
        return float(EPOCH_S)
    values, counts = np.unique(np.rint(steps * 1000), return_counts=True)
    return float(values[counts.argmax()] / 1000) if counts.max() > len(steps) / 2 else None


def _events(parsed: Parsed, unsure: str) -> tuple[tuple[Event, ...], int]:
    """Return the events of known types, sorted, and how many other lines there were."""
    codes, names = stage_map(parsed.stage_map), stage_map("words")
    events, left_out = [], 0
    for mark in parsed.marks:
        if mark.kind == "stage" or (mark.kind == "either" and _is_stage(mark.label, codes, names)):
            continue
        kind = event_type(mark.label)
        if kind is None or not np.isfinite(mark.onset_s):
            left_out += 1
            continue
        kind = unsure if kind == "unsure" else kind
        events.append(Event(mark.onset_s, max(0.0, mark.duration_s), kind, mark.label))
    return tuple(sorted(events)), left_out


def _is_stage(label: str, *maps: dict[str, int]) -> bool:
    """Return whether any of the maps lists a label."""
    return any(lookup_stage(label, codes) is not None for codes in maps)


def _with_lights(hypnogram: Hypnogram, events: Sequence[Event]) -> Hypnogram:
    """Return the hypnogram with lights off and on as the events tell them."""
    off = [event.onset_s for event in events if event.type == "lights_off"]
    on = [event.onset_s for event in events if event.type == "lights_on"]
    return replace(
        hypnogram,
        lights_off_s=off[0] if off else hypnogram.lights_off_s,
        lights_on_s=on[-1] if on else hypnogram.lights_on_s,
    )
