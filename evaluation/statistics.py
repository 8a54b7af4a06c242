"""Sleep statistics of a hypnogram, after the AASM manual, each with its definition.

What all of them share:

- Time in bed runs from lights off to lights on; where a light is not known, from the first or to
  the last scored epoch. An epoch belongs to it when its centre does.
- An unscored epoch takes time (it counts in time in bed and in the sleep period) but is neither
  sleep nor wake, and nothing is counted across it: no stage shift, awakening or unbroken sleep.
- Sleep onset is the first epoch of any sleep stage.
- Minutes of a stage that never came are 0, its latency and mean bout are NaN. A ratio with nothing
  below the line is NaN.

References
----------
.. [1] Troester et al. (2023). The AASM Manual for the Scoring of Sleep and Associated Events, v3.
.. [2] Haba-Rubio et al. (2004). Sleep fragmentation index. Sleep Medicine 5(6), 577-581.
.. [3] Feinberg and Floyd (1979). Systematic trends across the night in human sleep cycles.
   Psychophysiology 16(3), 283-291.

Notes
-----
Against YASA 0.8.1: its time in bed is the whole hypnogram, its R latency counts from the beginning
of the hypnogram (ours from sleep onset: subtract its SOL), its SOL_5min asks for 5 minutes of
unbroken sleep (ours for 10), and its SFI counts sleep to wake only, the last awakening included.
TIB, SPT, WASO, TST, SE, SME, SOL, stage minutes and shares are the same when the hypnogram begins
and ends with scored epochs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nights.hypnogram import Hypnogram
from nights.stages import FOUR_CLASSES, STAGES, UNSCORED, W

PERSISTENT_MIN = 10.0  # unbroken sleep that ends persistent sleep latency
REM_GAP_MIN = 15.0  # Feinberg and Floyd 1979: less NREM than this does not end a REM period
REM_PERIOD_MIN = 5.0  # ibid.: shorter REM periods do not count, but for the first and the last

_KEYS = {"W": "wake", "R": "rem", "L": "light", "D": "deep"}  # others: the stage in lower case
_REM, _N1 = "R", "N1"


@dataclass(frozen=True)
class Definition:
    """Unit of a statistic, and what exactly is counted."""

    unit: str
    text: str


def _definitions() -> dict[str, Definition]:
    """Return the definition of every statistic, in the order of reports."""
    found = {
        "tib_min": ("min", "time in bed: lights off to lights on"),
        "spt_min": (
            "min",
            "sleep period time: from sleep onset to the end of the last sleep epoch",
        ),
        "tst_min": ("min", "total sleep time: all epochs of sleep"),
        "unscored_min": ("min", "epochs in bed without a stage"),
        "se_percent": ("%", "sleep efficiency: total sleep time / time in bed"),
        "sme_percent": ("%", "sleep maintenance efficiency: total sleep time / sleep period time"),
        "sol_min": ("min", "sleep onset latency: lights off to the first epoch of any sleep"),
        "persistent_sol_min": (
            "min",
            f"persistent sleep latency: lights off to the first {PERSISTENT_MIN:g} minutes of "
            "unbroken sleep",
        ),
        "waso_min": ("min", "wake after sleep onset: wake within the sleep period"),
        "wake_after_final_min": ("min", "wake after the last sleep epoch, until lights on"),
        "awakenings": ("", "times sleep passes into wake within the sleep period"),
        "awakenings_per_h": ("1/h", "awakenings per hour of total sleep time"),
        "stage_shifts": ("", "changes from one stage to another within the sleep period"),
        "stage_shifts_per_h": ("1/h", "stage shifts per hour of total sleep time"),
        "fragmentation_per_h": (
            "1/h",
            "sleep fragmentation index: shifts to wake or N1 from any deeper stage, within the "
            "sleep period, per hour of total sleep time (without a stage N1: to wake only)",
        ),
        "rem_periods": (
            "",
            f"REM periods: epochs of R with less than {REM_GAP_MIN:g} minutes between them, "
            f"{REM_PERIOD_MIN:g} minutes or longer but for the first and the last",
        ),
        "nrem_min": ("min", "all epochs of non-REM sleep"),
        "nrem_percent": ("%", "non-REM sleep / total sleep time"),
    }
    for stage in dict.fromkeys(STAGES + FOUR_CLASSES):
        found |= _stage_definitions(stage, _key(stage))
    return {name: Definition(unit, text) for name, (unit, text) in found.items()}


def _stage_definitions(stage: str, key: str) -> dict[str, tuple[str, str]]:
    """Return what is reported of one stage: unit and text."""
    bouts = {
        f"{key}_min": ("min", f"all epochs of {stage} in bed"),
        f"{key}_bouts": ("", f"stretches of {stage} in bed"),
        f"{key}_bout_mean_min": ("min", f"mean length of a stretch of {stage}"),
    }
    if stage == STAGES[W]:
        return bouts
    return bouts | {
        f"{key}_percent": ("%", f"{stage} / total sleep time"),
        f"{key}_latency_min": ("min", f"sleep onset to the first epoch of {stage}"),
    }


def _key(stage: str) -> str:
    """Return what a stage is called in the names of statistics."""
    return _KEYS.get(stage, stage.lower())


DEFINITIONS: dict[str, Definition] = _definitions()


def sleep_statistics(hypnogram: Hypnogram) -> dict[str, float]:
    """Return every statistic of `DEFINITIONS` that the classes of the hypnogram allow.

    Parameters
    ----------
    hypnogram : Hypnogram
        Classes that begin with wake (W N1 N2 N3 R, W L D R, W NREM R, W S), any length of epoch;
        may be empty or wholly unscored.

    Returns
    -------
    dict
        {name: value} in the order of `DEFINITIONS`; what is undefined is NaN.
    """
    night = in_bed(hypnogram)
    epoch_min = night.epoch_s / 60
    values = _whole_night(night, epoch_min) | _fragmentation(night, epoch_min)
    for code, stage in enumerate(night.classes):
        values |= _of_stage(night, code, _key(stage), epoch_min)
    if _REM in night.classes:  # wake against sleep alone has neither
        tst_min, rem_min = values["tst_min"], values[f"{_key(_REM)}_min"]
        values["nrem_min"] = tst_min - rem_min
        values["nrem_percent"] = _percent(tst_min - rem_min, tst_min)
    return {name: float(values[name]) for name in DEFINITIONS if name in values}


def in_bed(hypnogram: Hypnogram) -> Hypnogram:
    """Return the part of a hypnogram between lights off and lights on, without hypnodensity."""
    scored = np.flatnonzero(hypnogram.scored)
    first, end = (scored[0], scored[-1] + 1) if scored.size else (0, 0)
    centres_s = hypnogram.onsets_s + hypnogram.epoch_s / 2
    if hypnogram.lights_off_s is not None:
        first = np.searchsorted(centres_s, hypnogram.lights_off_s)
    if hypnogram.lights_on_s is not None:
        end = np.searchsorted(centres_s, hypnogram.lights_on_s, side="right")
    return replace(
        hypnogram,
        stages=hypnogram.stages[first : max(first, end)],
        proba=None,
        start=hypnogram.clock(int(first)),
        onset_s=hypnogram.onset_s + float(first) * hypnogram.epoch_s,
    )


def transition_matrix(hypnogram: Hypnogram) -> tuple[np.ndarray, np.ndarray]:
    """Count how often each stage is followed by each, from one epoch to the next.

    Pairs with an unscored epoch are left out; time in bed is taken as it stands.

    Returns
    -------
    counts : int64 array (K, K)
        Rows: the stage before, columns: the stage after, in the order of `hypnogram.classes`.
    proba : float64 array (K, K)
        Each row divided by its sum; NaN in the row of a stage that is followed by none.
    """
    before, after = hypnogram.stages[:-1], hypnogram.stages[1:]
    n_classes = len(hypnogram.classes)
    both = (before != UNSCORED) & (after != UNSCORED)
    pairs = before[both].astype(np.int64) * n_classes + after[both]
    counts = np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)
    totals = counts.sum(axis=1, keepdims=True)
    return counts, np.divide(counts, totals, where=totals > 0, out=np.full(counts.shape, np.nan))


def _whole_night(night: Hypnogram, epoch_min: float) -> dict[str, float]:
    """Return durations, efficiencies and latencies of sleep as a whole."""
    asleep = night.stages > W
    onset, end = _sleep_period(asleep)
    wake = night.stages == W
    tib, tst, spt = night.n_epochs, int(asleep.sum()), end - onset
    persistent = _first_run(asleep, int(np.ceil(PERSISTENT_MIN / epoch_min - 1e-9)))
    nan = np.nan
    return {
        "tib_min": tib * epoch_min,
        "spt_min": spt * epoch_min,
        "tst_min": tst * epoch_min,
        "unscored_min": int((~night.scored).sum()) * epoch_min,
        "se_percent": _percent(tst, tib),
        "sme_percent": _percent(tst, spt),
        "sol_min": onset * epoch_min if tst else nan,
        "persistent_sol_min": nan if persistent is None else persistent * epoch_min,
        "waso_min": int(wake[onset:end].sum()) * epoch_min if tst else nan,
        "wake_after_final_min": int(wake[end:].sum()) * epoch_min if tst else nan,
    }


def _fragmentation(night: Hypnogram, epoch_min: float) -> dict[str, float]:
    """Return counts of awakenings, stage shifts and REM periods."""
    onset, end = _sleep_period(night.stages > W)
    period = night.stages[onset:end]
    before, after = period[:-1], period[1:]
    shift = (before != after) & (before != UNSCORED) & (after != UNSCORED)
    awakening = shift & (after == W)
    to_light = shift & (after == 1) & (before > 1) & (_N1 in night.classes)
    hours = int((period > W).sum()) * epoch_min / 60
    counts = {
        "awakenings": int(awakening.sum()),
        "stage_shifts": int(shift.sum()),
        "fragmentation": int((awakening | to_light).sum()),
    }
    rates = {f"{name}_per_h": n / hours if hours else np.nan for name, n in counts.items()}
    periods = {"rem_periods": _rem_periods(night, epoch_min)} if _REM in night.classes else {}
    return counts | rates | periods


def _of_stage(night: Hypnogram, code: int, key: str, epoch_min: float) -> dict[str, float]:
    """Return what is reported of one stage."""
    here = np.flatnonzero(night.stages == code)
    n_bouts = int((np.diff(here) > 1).sum()) + 1 if here.size else 0
    asleep = night.stages > W
    onset, _ = _sleep_period(asleep)
    return {
        f"{key}_min": here.size * epoch_min,
        f"{key}_bouts": n_bouts,
        f"{key}_bout_mean_min": here.size / n_bouts * epoch_min if n_bouts else np.nan,
        f"{key}_percent": _percent(here.size, int(asleep.sum())),
        f"{key}_latency_min": (here[0] - onset) * epoch_min if here.size else np.nan,
    }


def _rem_periods(night: Hypnogram, epoch_min: float) -> int:
    """Count REM periods (Feinberg and Floyd 1979)."""
    rem = np.flatnonzero(night.stages == night.classes.index(_REM))
    if not rem.size:
        return 0
    breaks = np.flatnonzero((np.diff(rem) - 1) * epoch_min >= REM_GAP_MIN)
    firsts = rem[np.concatenate([[0], breaks + 1])]
    lasts = rem[np.concatenate([breaks, [rem.size - 1]])]
    counted = (lasts - firsts + 1) * epoch_min >= REM_PERIOD_MIN
    counted[[0, -1]] = True
    return int(counted.sum())


def _sleep_period(asleep: np.ndarray) -> tuple[int, int]:
    """Return the first epoch of sleep and the one after the last; (0, 0) when nobody slept."""
    epochs = np.flatnonzero(asleep)
    return (int(epochs[0]), int(epochs[-1]) + 1) if epochs.size else (0, 0)


def _first_run(flags: np.ndarray, length: int) -> int | None:
    """Return where the first unbroken run of `length` True begins, None when there is none."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    for first, end in edges.reshape(-1, 2):
        if end - first >= length:
            return int(first)
    return None


def _percent(part: float, whole: float) -> float:
    """Return 100 * part / whole, NaN when there is no whole."""
    return 100 * part / whole if whole else np.nan
