"""Artificial nights: physiologically shaped, written as real EDF+ files, with their true scoring.

    python -m recordings.simulate --out night.edf --seed 1 --hours 8
    python -m recordings.simulate --nights 20 --hours 2 --out raw/simulated

The order of things: who sleeps (`stages.Person`) and the stages, then every event
(`events.Plan`), then the signals, each drawn from the same plan: brain (`eeg`, `waves`), eyes, chin
and movements (`muscles`), breath (`breath`) and heart (`heart`). `montage` says which of them a
file has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from nights.hypnogram import Hypnogram
from nights.stages import EPOCH_S, STAGES, UNSCORED
from recordings.edf.writing import Signal, write_edfplus
from recordings.recording import SIMULATED, Annotation
from recordings.simulate.events import make_plan
from recordings.simulate.montage import MONTAGES
from recordings.simulate.signals import add_hum, draw_signals, take_leads_off
from recordings.simulate.stages import Person, draw_stages

SCORER = "simulated (true stages)"
Scoring = Literal["inside", "beside", "both", "none"]


@dataclass(frozen=True, eq=False)
class SimulatedNight:
    """One artificial night.

    Parameters
    ----------
    signals : dict of label to Signal
        Samples (float32), rate in Hz (Fraction) and unit (uV, mV, %, au), in the montage's order.
    hypnogram : Hypnogram
        The stages the signals were drawn from.
    events : tuple of Annotation
        Apneas, hypopneas, desaturations, arousals, movements and lead-off stretches, by onset.
    beats_s : float64 array (beats,)
        Time of every R peak, in seconds from the first sample.
    start : datetime
        Clock time of the first sample.
    person : Person
        Who slept.
    """

    signals: dict[str, Signal]
    hypnogram: Hypnogram
    events: tuple[Annotation, ...]
    beats_s: np.ndarray
    start: datetime
    person: Person

    def write(self, path: Path, *, scoring: Scoring = "inside") -> None:
        """Write the night as EDF+; header and first annotation say that it is simulated.

        Parameters
        ----------
        path : Path
            The EDF+ file, written whole or not at all.
        scoring : str
            Where stages and events go: `inside` the file as annotations, `beside` it in
            `<stem>-Hypnogram.edf` as the Sleep-EDF recordings have it, in `both`, or `none`.
        """
        stages = [
            Annotation(first * EPOCH_S, length * EPOCH_S, f"Sleep stage {STAGES[stage]}")
            for first, length, stage in self.hypnogram.runs()
        ]
        told = Annotation(0.0, 0.0, SIMULATED)
        marks = [told, *stages, *self.events]
        write = partial(
            write_edfplus, start=self.start, patient="simulated", equipment="nightstack_simulator"
        )
        write(path, self.signals, marks if scoring in ("inside", "both") else [told])
        if scoring in ("beside", "both"):
            write(path.with_name(f"{path.stem}-Hypnogram.edf"), {}, marks)


def simulate_night(
    seed: int,
    *,
    night: int = 0,
    hours: float = 8.0,
    stages: Sequence[int] | np.ndarray | None = None,
    montage: str = "full",
    age: float = 40.0,
    ahi: float = 5.0,
    hum_uv: float = 0.5,
    mains_hz: int = 50,
    lead_off: Sequence[tuple[str, float, float]] = (),
    start: datetime = datetime(2001, 1, 1, 23, 0),
) -> SimulatedNight:
    """Simulate one night.

    Parameters
    ----------
    seed : int
        The same seed and arguments give the same night; the montage changes neither the person nor
        the stages, events and beats.
    night : int
        Which night of this person, from 0: another night has other stages, events and signals.
    hours : float
        Length of the recording from lights off, cut to whole epochs; not used with `stages`.
    stages : int array (E,), optional
        Stages W N1 N2 N3 R = 0..4 to follow; drawn from a semi-Markov model when absent.
    montage : str
        A name of `MONTAGES`: full, aasm9, sleepedf, home.
    age, ahi : float
        Age in years, and apneas and hypopneas per hour of sleep.
    hum_uv : float
        Amplitude of the mains hum on a typical electrode, in uV.
    mains_hz : int
        Frequency of the mains; leads sampled too slowly for it have no hum.
    lead_off : sequence of (label, onset_s, duration_s)
        Stretches in which a lead is off.
    start : datetime
        Clock time of the first sample, in whole seconds.

    Returns
    -------
    SimulatedNight

    Raises
    ------
    ValueError
        For an unknown montage or label, an unscored stage, less than one epoch, a negative AHI, or
        a lead that comes off outside the night.
    """
    if ahi < 0:
        raise ValueError(f"ahi must be 0 or more, found {ahi}")
    if montage not in MONTAGES:
        raise ValueError(f"no montage {montage!r}; there are {', '.join(MONTAGES)}")
    who, sleep, happens, body, faults = np.random.default_rng(seed).spawn(5)
    if night:
        sleep, happens, body, faults = np.random.default_rng([seed, night]).spawn(4)
    person = Person.draw(who, age, ahi)
    given = draw_stages(sleep, int(hours * 120), age=age) if stages is None else stages
    hypnogram = _true_scoring(given, start)
    plan = make_plan(happens, hypnogram.stages, person)
    signals, beats_s = draw_signals(body, plan, MONTAGES[montage])
    add_hum(faults, signals, hum_uv, mains_hz)
    off = take_leads_off(faults, signals, lead_off, mains_hz)
    events = tuple(sorted([*plan.events, *off], key=lambda event: event.onset_s))
    return SimulatedNight(signals, hypnogram, events, beats_s, start, person)


def _true_scoring(stages: Sequence[int] | np.ndarray, start: datetime) -> Hypnogram:
    """Return the stages (E,) on their clock, lights off throughout; refuse what leaves one open."""
    truth = Hypnogram(
        np.asarray(stages),
        start=start,
        lights_off_s=0.0,
        lights_on_s=float(len(stages) * EPOCH_S),
        scorer=SCORER,
    )
    if not truth.n_epochs or (truth.stages == UNSCORED).any():
        raise ValueError("a simulated night needs at least one epoch, and a stage for every epoch")
    return truth
