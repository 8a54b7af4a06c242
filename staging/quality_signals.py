"""Alarms about the signals a stager read: flat, clipped, of the wrong size, off, full of hum.

Of heart and breath: noise, in which no beat looks like the others or nothing repeats as breaths do.
What forbids trust can be left out (`drop_bad_signals`): a stager of any subset does without.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from evaluation.alarm import Alarm, Severity
from nights.stages import EPOCH_S
from recordings.body import epochs_with_beats, epochs_with_breaths, find_beats
from recordings.channels import TARGETS
from recordings.recording import Recording, RecordingError

if TYPE_CHECKING:
    from recordings.channels import Choice
    from recordings.ingest import ChannelRecord, NightSignals
    from recordings.views import View

# {severity: limit}, the gravest first. A stager sees nothing where a lead is flat, and square waves
# where it is clipped, which no training night holds.
FLAT_PERCENT: dict[Severity, float] = {"distrust": 30.0, "warning": 5.0}
CLIPPED_PERCENT: dict[Severity, float] = {"distrust": 5.0, "warning": 0.5}
OFF_MIN: dict[Severity, float] = {"distrust": 120.0, "warning": 10.0}
# Median distance from the median in uV: where real leads lie, and where a wrong unit does not.
SIZE_UV = {"eeg": (1.0, 200.0), "eog": (1.0, 500.0), "emg": (0.1, 500.0)}
# Standard deviation of an epoch in uV. Below: noise of an amplifier alone; above: a loose lead
# (the largest slow waves of children, 500 uV from peak to peak, have about 180).
CONNECTED_UV = (0.5, 500.0)
# Epochs in which a heart signal shows no beats, a breath signal no breaths.
NOISE_PERCENT: dict[Severity, float] = {"distrust": 50.0, "warning": 20.0}
HUM_SHARE = 0.5  # more power at the mains than in everything else
MAINS_HZ = (50.0, 60.0)
RULE = "rule of this project"


def signal_alarms(night: NightSignals, recording: Recording | None = None) -> Iterator[Alarm]:
    """Yield the alarms of every channel of a night.

    Parameters
    ----------
    night : NightSignals
        What the stager read.
    recording : Recording or None
        Where it was read from: mains hum is looked for at the rate of the file.
    """
    choices = {choice.target: choice for choice in night.montage.choices}
    for record in night.channels:
        signal, choice = night.signals[record.target], choices.get(record.target)
        yield from _channel_alarms(record, signal, night.view, choice, recording)


def drop_bad_signals(night: NightSignals, recording: Recording | None = None) -> NightSignals:
    """Return a night without the signals that have an alarm of severity `distrust`.

    Parameters
    ----------
    night : NightSignals
        What the stager would read.
    recording : Recording or None
        Where it was read from.

    Returns
    -------
    NightSignals
        What was left out is among its `dropped`, with the alarm as the reason.

    Raises
    ------
    RecordingError
        If no signal is left; the message names each with its reason.
    """
    choices = {choice.target: choice for choice in night.montage.choices}
    reasons: dict[str, str] = {}
    for record in night.channels:
        signal, choice = night.signals[record.target], choices.get(record.target)
        for alarm in _channel_alarms(record, signal, night.view, choice, recording):
            if alarm.severity == "distrust":
                reasons.setdefault(record.target, alarm.message)
    if not reasons:
        return night
    if len(reasons) == len(night.channels):
        raise RecordingError(f"every signal is bad: {' '.join(reasons.values())}")
    told = {name: f"left out as bad: {reason}" for name, reason in reasons.items()}
    return replace(
        night,
        signals={name: x for name, x in night.signals.items() if name not in reasons},
        channels=tuple(record for record in night.channels if record.target not in reasons),
        dropped=night.dropped | told,
    )


def _channel_alarms(
    record: ChannelRecord,
    signal: np.ndarray,
    view: View,
    choice: Choice | None,
    recording: Recording | None,
) -> Iterator[Alarm]:
    """Yield the alarms of one channel (E, S)."""
    kind = TARGETS[record.target].kind
    if kind in ("ecg", "ppg", "resp"):
        yield from _noise(record, kind, signal, view)
    if kind not in SIZE_UV:  # breath and oxygen rest at one value; hearts are of any size
        return
    yield from _worn(record)
    yield from _size(record, kind)
    if kind != "emg":  # a relaxed chin may be nearly silent
        yield from _lead_off(record, signal)
        if recording is not None and choice is not None:
            yield from _hum(record, choice, recording)


def _noise(record: ChannelRecord, kind: str, signal: np.ndarray, view: View) -> Iterator[Alarm]:
    """Alarm for a signal of heart or breath that shows neither: noise, or a sensor that is off."""
    rate_hz, n_epochs = view.rate_hz(record.target), len(signal)
    if kind == "resp":
        what, source = "breaths", f"{RULE}: an epoch repeats itself at the pace of breathing"
        there = epochs_with_breaths(signal.ravel(), rate_hz, n_epochs)
    else:
        what, source = "beats", f"{RULE}: an epoch has beats that look like the others"
        beats = find_beats(kind, signal.ravel(), rate_hz)
        if beats is None:  # the view is too slow to tell
            return
        there = epochs_with_beats(beats, n_epochs)
    percent = 100 * float(np.mean(~there))
    if broken := _broken(percent, NOISE_PERCENT):
        severity, limit = broken
        message = (
            f"{record.target} ({record.taken}): no {what} in {percent:.0f} % of its epochs; is it "
            "noise, or the sensor off? --drop-bad-signals stages without it."
        )
        yield Alarm(f"no {what}", percent, limit, "%", source, message, severity)


def _worn(record: ChannelRecord) -> Iterator[Alarm]:
    """Alarm for flat seconds and for samples at the limits of the recorder."""
    for name, share, steps, text in (
        ("flat lead", record.flat, FLAT_PERCENT, "of its seconds hold one value"),
        ("clipped lead", record.clipped, CLIPPED_PERCENT, "of its samples are at the limit"),
    ):
        percent = 100 * share
        if broken := _broken(percent, steps):
            severity, limit = broken
            message = f"{record.target} ({record.taken}): {percent:.1f} % {text}."
            yield Alarm(name, percent, limit, "%", RULE, message, severity)


def _size(record: ChannelRecord, kind: str) -> Iterator[Alarm]:
    """Alarm for a signal too small or too large to be what it is called: the unit is wrong."""
    size, (low, high) = record.iqr / 2, SIZE_UV[kind]
    if low <= size <= high:
        return
    limit = low if size < low else high
    message = (
        f"{record.target} ({record.taken}): a median amplitude of {size:.3g} {record.unit} is no "
        f"{kind.upper()}; is the unit in the file right, is the lead connected?"
    )
    source = f"plausible amplitude of {kind.upper()}: {low:g} to {high:g} uV"
    severity: Severity = "warning" if kind == "emg" else "distrust"  # stagers lean on EEG and eyes
    yield Alarm("unlikely amplitude", size, limit, record.unit, source, message, severity)


def _lead_off(record: ChannelRecord, signal: np.ndarray) -> Iterator[Alarm]:
    """Alarm for a long stretch (E, S) in which the lead gave no brain signal."""
    spread = signal.std(axis=1)
    off = ~((spread >= CONNECTED_UV[0]) & (spread <= CONNECTED_UV[1]))
    minutes = longest_run(off) * EPOCH_S / 60
    if broken := _broken(minutes, OFF_MIN):
        severity, limit = broken
        message = (
            f"{record.target} ({record.taken}): {minutes:.0f} min on end without a signal of EEG "
            f"size; {100 * off.mean():.0f} % of the night in all."
        )
        source = f"{RULE}: an epoch deviates by {CONNECTED_UV[0]:g} to {CONNECTED_UV[1]:g} uV"
        yield Alarm("lead off", minutes, limit, "min", source, message, severity)


def _hum(record: ChannelRecord, choice: Choice, recording: Recording) -> Iterator[Alarm]:
    """Alarm for a channel in which the mains are stronger than everything else."""
    samples, rate_hz = _raw(choice, recording)
    for mains_hz in MAINS_HZ:
        share = hum_share(samples, rate_hz, mains_hz)
        if share > HUM_SHARE:
            message = (
                f"{record.target} ({record.taken}): {100 * share:.0f} % of the power lies at "
                f"{mains_hz:g} Hz; the lead has poor contact. Filters may have removed the hum."
            )
            percent = 100 * HUM_SHARE
            yield Alarm("mains hum", 100 * share, percent, "%", RULE, message, "warning")


def hum_share(samples: np.ndarray, rate_hz: float, mains_hz: float) -> float:
    """Return the share of power within 1 Hz of the mains, of all above 0.5 Hz.

    Parameters
    ----------
    samples : float array (n,)
        Unfiltered signal. Twenty stretches of 10 s, spread evenly, are looked at.
    rate_hz, mains_hz : float
        Sampling rate; 50 or 60 Hz.

    Returns
    -------
    float
        The median over the stretches; NaN when the rate does not reach 1 Hz beyond the mains.
    """
    size = round(10 * rate_hz)
    if rate_hz / 2 <= mains_hz + 1 or len(samples) < size:
        return float("nan")
    starts = np.linspace(0, len(samples) - size, 20).astype(int)
    pieces = np.stack([samples[start : start + size] for start in starts]).astype(np.float64)
    pieces -= pieces.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(pieces * np.hanning(size), axis=1)) ** 2
    frequency = np.fft.rfftfreq(size, 1 / rate_hz)
    near = np.abs(frequency - mains_hz) <= 1
    total = power[:, frequency >= 0.5].sum(axis=1)
    return float(np.median(power[:, near].sum(axis=1) / np.maximum(total, 1e-30)))


def longest_run(flags: np.ndarray) -> int:
    """Return the length of the longest unbroken stretch of True in flags (E,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _raw(choice: Choice, recording: Recording) -> tuple[np.ndarray, float]:
    """Return the samples a choice stands for, as recorded, and their rate."""
    assert choice.plus is not None  # a channel of the night was found
    plus, rate_hz = recording.read(choice.plus), recording.channel(choice.plus).rate_hz
    if choice.minus is None:
        return plus, float(rate_hz)
    if recording.channel(choice.minus).rate_hz != rate_hz:
        return plus, float(rate_hz)  # hum of the first lead alone
    return plus - recording.read(choice.minus), float(rate_hz)


def _broken(value: float, steps: dict[Severity, float]) -> tuple[Severity, float] | None:
    """Return the gravest step that a value goes beyond, gravest step first."""
    for severity, limit in steps.items():
        if value > limit:
            return severity, limit
    return None
