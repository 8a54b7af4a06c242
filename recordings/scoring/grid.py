"""From the lines of a scoring file to a stage per epoch: the clock, the grid, what lies between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from nights.hypnogram import Hypnogram
from nights.stages import UNSCORED, W

DAY_S = 86_400
MAX_SPAN_S = 14 * DAY_S  # no recording lasts a fortnight; a file that claims more is broken
WINDOW_S = 30.0


class Run(NamedTuple):
    """A stretch of one stage; -1 is a stretch said to be unscored."""

    onset_s: float
    duration_s: float
    stage: int


class Grid(NamedTuple):
    """Stages on epochs that begin at `onset_s` + k * epoch.

    `conflicts` counts epochs for which two runs disagree, `offgrid` says that more than 1 percent
    of the runs begin more than 1 s away from the grid.
    """

    stages: np.ndarray
    onset_s: float = 0.0
    conflicts: int = 0
    offgrid: bool = False


def unwrap_clock(clock_s: Sequence[float] | np.ndarray, start_s: float) -> tuple[np.ndarray, int]:
    """Return seconds since the start of the signal for the clock times of successive lines.

    Parameters
    ----------
    clock_s : sequence of float
        Seconds of the day, (n,), in the order of the file.
    start_s : float
        Second of the day at which the signal starts.

    Returns
    -------
    elapsed_s : float64 array (n,)
        The first line may lie up to an hour before the start (negative); midnights are passed.
    disordered : int
        Lines that step back in time; a step of more than 12 h forwards is taken for one.
    """
    if not len(clock_s):
        return np.zeros(0), 0
    clock = np.asarray(clock_s, dtype=np.float64)
    first = (clock[0] - start_s) % DAY_S
    first -= DAY_S if first > DAY_S - 3600 else 0
    steps = np.diff(clock) % DAY_S
    back = steps > DAY_S / 2
    return first + np.concatenate([[0.0], np.cumsum(steps - DAY_S * back)]), int(back.sum())


def grid_of_runs(
    runs: Sequence[Run], epoch_s: float, n_epochs: int | None = None, *, wake_gaps: bool = False
) -> Grid:
    """Place runs on epochs; a run labels the epochs whose middle it covers, the later line wins.

    Parameters
    ----------
    runs : sequence of Run
        In the order of the file.
    epoch_s : float
        Length of an epoch in seconds.
    n_epochs : int or None
        Epochs of the recording; None ends with the last run.
    wake_gaps : bool
        The format leaves wake out: what no run covers is W (to the end of the last run, and to the
        end of the recording when that is known), not unscored.
    """
    onsets = np.array([run.onset_s for run in runs], dtype=np.float64)
    onset_s, offgrid = _phase(onsets, epoch_s)
    ends = onsets + [run.duration_s for run in runs]
    first, last = (np.ceil((x - onset_s) / epoch_s - 0.5 - 1e-6) for x in (onsets, ends))
    total = max(0, int(last.max(initial=0))) if n_epochs is None else n_epochs
    stages = np.full(total, W if wake_gaps else UNSCORED, dtype=np.int8)
    labelled, disagree = np.zeros(total, dtype=bool), np.zeros(total, dtype=bool)
    for run, begin, end in zip(runs, first, last, strict=True):
        here = slice(max(0, int(begin)), max(0, int(end)))
        disagree[here] |= labelled[here] & (stages[here] != run.stage)
        stages[here], labelled[here] = run.stage, True
    return Grid(stages, onset_s, int(disagree.sum()), offgrid)


def _phase(onsets_s: np.ndarray, epoch_s: float) -> tuple[float, bool]:
    """Return the remainder of onset / epoch that most onsets share, and whether many do not."""
    period = round(epoch_s * 1000)
    remainders = np.rint(onsets_s * 1000).astype(np.int64) % period
    values, counts = np.unique(remainders, return_counts=True)
    if not len(values):
        return 0.0, False
    phase = int(values[np.argmax(counts)])
    away = np.abs((remainders - phase + period // 2) % period - period // 2) > 1000
    return phase / 1000, bool(away.mean() > 0.01)


def majority(stages: np.ndarray, per_epoch: int) -> np.ndarray:
    """Return the stage (E,) most of the codes of each epoch have; of equals the earlier one.

    `stages` (n,) are codes on a finer step, `per_epoch` of them an epoch; a last incomplete epoch
    is dropped. This is the AASM rule for an epoch with several stages: the greatest part decides.
    """
    parts = np.asarray(stages)[: len(stages) // per_epoch * per_epoch].reshape(-1, per_epoch)
    same = np.zeros(parts.shape, dtype=np.int32)  # (E, P): codes of the epoch equal to this one
    for code in np.unique(parts):
        same += (parts == code) * (parts == code).sum(axis=1, keepdims=True)
    return parts[np.arange(len(parts)), same.argmax(axis=1)].astype(np.int8)


def fit_length(stages: np.ndarray, n_epochs: int) -> np.ndarray:
    """Return stages cut, or padded with -1, to `n_epochs`."""
    fitted = np.full(n_epochs, UNSCORED, dtype=np.int8)
    kept = min(n_epochs, len(stages))
    fitted[:kept] = stages[:kept]
    return fitted


def replace_on(hypnogram: Hypnogram, n_epochs: int) -> Hypnogram:
    """Return the hypnogram on a grid of `n_epochs` that covers the recording from its first sample.

    Epochs keep their place on the clock: epochs before the hypnogram begins, and after it ends,
    are -1 (their hypnodensity is NaN).
    """
    before = hypnogram.onset_s // hypnogram.epoch_s
    return hypnogram.on_grid(hypnogram.onset_s - before * hypnogram.epoch_s, n_epochs)


def page_windows(
    hypnogram: Hypnogram, duration_s: float, *, edge: Literal["shift", "drop"] = "shift"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the 30 s windows that stand for the pages of a night scored in 20 s pages.

    A window is its page with 5 s of signal on both sides (20 s pages), so windows overlap; a model
    that assumes steps of 30 s must be told.

    Parameters
    ----------
    hypnogram : Hypnogram
        With `epoch_s` shorter than 30 s.
    duration_s : float
        Length of the recording.
    edge : str
        Windows that reach beyond the recording are shifted inside (`shift`) or left out (`drop`,
        the rule of SeqSleepNet).

    Returns
    -------
    onsets_s : float64 array (n,)
        Seconds from the first sample of the recording to the windows.
    pages : int64 array (n,)
        The page of each window.
    """
    onsets = hypnogram.onsets_s - (WINDOW_S - hypnogram.epoch_s) / 2
    inside = np.clip(onsets, 0, max(0.0, duration_s - WINDOW_S))
    pages = np.arange(hypnogram.n_epochs)
    if edge == "drop":
        pages = pages[onsets == inside]
    return inside[pages], pages
