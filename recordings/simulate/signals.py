"""From the plan of a night to the traces of a montage, with the faults of real recordings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recordings.edf.writing import Signal
from recordings.recording import Annotation
from recordings.simulate.breath import (
    Breathing,
    abdomen,
    airflow,
    draw_breathing,
    nasal_pressure,
    oxygen,
    thorax,
)
from recordings.simulate.eeg import draw_eeg
from recordings.simulate.events import LEAD_OFF, Plan
from recordings.simulate.heart import draw_beats, draw_ecg, draw_ppg
from recordings.simulate.montage import KINDS, Trace
from recordings.simulate.muscles import add_eyes, add_movements, draw_chin

_OPEN_LEAD_HUM_UV = 150.0  # an electrode without skin is an antenna


def draw_signals(
    rng: np.random.Generator, plan: Plan, traces: Sequence[Trace]
) -> tuple[dict[str, Signal], np.ndarray]:
    """Draw every trace of a montage.

    Each kind of trace has a random stream of its own, so that breath and heart are the same in
    every montage.

    Returns
    -------
    dict of label to Signal, float64 array (beats,)
        The signals in the order of `traces`, and the times of the R peaks in seconds.
    """
    breath_rng, heart_rng, *rest = rng.spawn(2 + len(KINDS))
    streams = dict(zip(KINDS, rest, strict=True))
    breathing = draw_breathing(breath_rng, plan)
    beats_s = draw_beats(heart_rng, plan, breathing)
    drawn = _draw_leads(streams["eeg"], plan, [trace for trace in traces if trace.kind == "eeg"])
    for trace in traces:
        if trace.kind != "eeg":
            drawn[trace.label] = _draw_body(streams[trace.kind], plan, trace, breathing, beats_s)
    return {t.label: Signal(drawn[t.label], t.rate_hz, t.unit) for t in traces}, beats_s


def _draw_leads(
    rng: np.random.Generator, plan: Plan, traces: Sequence[Trace]
) -> dict[str, np.ndarray]:
    """Draw the EEG and EOG traces together: they see the same brain, eyes and movements."""
    if not traces:
        return {}
    rate_hz = float(traces[0].rate_hz)
    leads = [(trace.plus, trace.minus) for trace in traces]
    signals = draw_eeg(rng, plan, leads, rate_hz)
    add_eyes(rng, plan, leads, signals, rate_hz)
    add_movements(rng, plan, signals, rate_hz)
    return {trace.label: signal for trace, signal in zip(traces, signals, strict=True)}


def _draw_body(
    rng: np.random.Generator, plan: Plan, trace: Trace, breathing: Breathing, beats_s: np.ndarray
) -> np.ndarray:
    """Draw one trace that is not EEG or EOG."""
    rate_hz = float(trace.rate_hz)
    match trace.kind:
        case "chin":
            return draw_chin(rng, plan, rate_hz)
        case "chin rms":
            chin = draw_chin(rng, plan, 100.0)
            return np.sqrt((chin**2).reshape(-1, round(100 / rate_hz)).mean(axis=1))
        case "ecg":
            return draw_ecg(rng, plan, breathing, beats_s, rate_hz)
        case "ppg":
            return draw_ppg(rng, plan, beats_s, rate_hz)
        case "spo2":
            return oxygen(rng, plan, rate_hz)
    breath = {
        "thorax": thorax, "abdomen": abdomen, "airflow": airflow, "nasal pressure": nasal_pressure
    }  # fmt: skip
    return breath[trace.kind](rng, plan, breathing, rate_hz)


def add_hum(
    rng: np.random.Generator, signals: dict[str, Signal], hum_uv: float, mains_hz: int
) -> None:
    """Add mains hum to every voltage, in place; each lead picks up another amount of it.

    A trace sampled too slowly to hold the mains has none: its amplifier would have removed it.
    """
    for signal in signals.values():
        amount = hum_uv * rng.lognormal(0, 0.5)
        if signal.unit == "uV" and signal.rate_hz > 2 * mains_hz:
            signal.samples[:] += np.float32(amount) * _hum(signal, mains_hz)


def take_leads_off(
    rng: np.random.Generator,
    signals: dict[str, Signal],
    stretches: Sequence[tuple[str, float, float]],
    mains_hz: int,
) -> list[Annotation]:
    """Overwrite stretches (label, onset_s, duration_s) in place and return them as annotations.

    An electrode that is off shows hum and noise, any other sensor zero.

    Raises
    ------
    ValueError
        If a label is not in the montage, or a stretch begins outside the night.
    """
    marks = []
    for label, onset_s, duration_s in stretches:
        if label not in signals:
            raise ValueError(f"no signal {label!r} to take off; there are {', '.join(signals)}")
        signal, rate_hz = signals[label], float(signals[label].rate_hz)
        night_s = len(signal.samples) / rate_hz
        if not (0 <= onset_s < night_s and duration_s > 0):
            raise ValueError(
                f"{label} cannot be off for {duration_s} s from {onset_s} of {night_s} s"
            )
        stretch = signal.samples[round(onset_s * rate_hz) : round((onset_s + duration_s) * rate_hz)]
        stretch[:] = 0
        if signal.unit == "uV":
            stretch += 20 * rng.standard_normal(len(stretch), dtype=np.float32)
            if signal.rate_hz > 2 * mains_hz:
                stretch += np.float32(_OPEN_LEAD_HUM_UV) * _hum(signal, mains_hz)[: len(stretch)]
        marks.append(Annotation(onset_s, len(stretch) / rate_hz, f"{LEAD_OFF} {label}"))
    return marks


def _hum(signal: Signal, mains_hz: int) -> np.ndarray:
    """Return a sine of the mains of amplitude 1 as long as the signal."""
    period = (signal.rate_hz / mains_hz).numerator  # samples after which the sine repeats exactly
    turn = 2 * np.pi * mains_hz / float(signal.rate_hz)
    return np.resize(np.sin(turn * np.arange(period)).astype(np.float32), len(signal.samples))
