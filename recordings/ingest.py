"""From a recording to the signals of a view: read, to its unit, subtract, filter, resample, cut.

Channel by channel, so that memory holds the result and two or three raw channels. Nothing is
guessed: a channel that is flat, not finite, of an unlikely size without a unit, or too slow for its
filter is dropped, and the reason is kept.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction

import numpy as np

from nights.running_scale import scale_night
from nights.stages import EPOCH_S
from recordings.channels import TARGETS, VOLTAGES, Candidate, Choice, Montage, Target, resolve
from recordings.recording import Channel, Recording, RecordingError
from recordings.signals import (
    MIN_SIGMA,
    filter_both_ways,
    filter_resample,
    interpolate_endpoints,
    interpolate_time,
    mean_and_std,
    padded_mean_and_std,
    quantiles,
    standardise,
    z_score_causal,
    z_score_padded,
    z_score_recorded,
)
from recordings.views import Normalise, View

PADDED_EPOCHS = 10 * 120  # wav2sleep pads every night with zeros to 10 h, or cuts it there
_SURVEYED = 100_000  # samples looked at to judge the size of a signal without a unit
_SURVEYED_EVERY = 8  # every eighth sample gives quartiles to a hundredth of the spread

# Where the median distance from the median must lie for a blank unit to be the usual one: the unit,
# its factor to the unit of `TARGETS`, and the band in it. Wide for muscle and eyes, which rest.
_USUAL_UNIT = {
    "eeg": ("uV", 1.0, (1, 200)),
    "eog": ("uV", 1.0, (1, 500)),
    "emg": ("uV", 1.0, (0.1, 500)),
    "ecg": ("mV", 1.0, (0.005, 5)),
}
# How files write the units of what is no voltage.
_SPELLED = {"percent": ("%",), "bpm": ("bpm", "BPM", "1/min")}


@dataclass(frozen=True)
class ChannelRecord:
    """Where one signal of a night came from and what it looks like.

    Parameters
    ----------
    target, taken : str
        Canonical name, and the labels it was made of.
    referenced : bool
        False for an electrode against the recording's own reference.
    rate_hz : float
        Rate in the file.
    unit : str
        Unit of the signal: uV, mV, %, or `range` for a share of the header's range.
    flat, clipped : float
        Share of the seconds in which the file holds one value only (pauses count), and share of
        the samples at the digital limits; the worse lead of a difference.
    mean, std, median, iqr : float
        Of the resampled signal, the unfinished last epoch included; median and iqr of every eighth
        sample, unless the view normalises by them.
    centre, spread : float
        What the view subtracts and divides by when a night is loaded; 0 and 1 for none.
    """

    target: str
    taken: str
    referenced: bool
    rate_hz: float
    unit: str
    flat: float
    clipped: float
    mean: float
    std: float
    median: float
    iqr: float
    centre: float
    spread: float

    def to_json(self) -> dict[str, object]:
        """Return the record as a plain dictionary."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class NightSignals:
    """The signals of one recording, as one view wants them.

    Parameters
    ----------
    view : View
    signals : dict of str to float32 array (E, S)
        In the unit of `ChannelRecord.unit`, not normalised, in the order of the montage.
    channels : tuple of ChannelRecord
        One for each signal, in the same order.
    dropped : dict of str to str
        Why each other channel of the view is not there.
    unscored : bool array (E,)
        Epochs that touch a pause of the recording: no stage can be given there.
    montage : Montage
        How the channels were chosen.
    """

    view: View
    signals: dict[str, np.ndarray]
    channels: tuple[ChannelRecord, ...]
    dropped: dict[str, str]
    unscored: np.ndarray
    montage: Montage

    @property
    def n_epochs(self) -> int:
        """Number of whole epochs E."""
        return len(self.unscored)

    def channel(self, target: str) -> ChannelRecord:
        """Return the record of one signal; KeyError when it is not there."""
        return {record.target: record for record in self.channels}[target]

    def normalised(self, target: str, rule: Normalise | None = None) -> np.ndarray:
        """Return one signal (E, S) as float32, normalised by the rule of the view or another."""
        signal, rule = self.signals[target], rule or self.view.normalise
        if rule == "none":
            return signal
        if rule == "z_causal":
            running = z_score_causal(signal.ravel(), self.view.rate_hz(target))
            return running.reshape(signal.shape)
        if rule == "z_running":
            return scale_night(signal, ~self.unscored)
        if rule == "z_recorded":
            return z_score_recorded(signal, ~self.unscored)
        if rule != self.view.normalise:
            raise ValueError(f"signals of view {self.view.name} cannot be normalised by {rule!r}")
        record = self.channel(target)
        return standardise(signal, record.centre, record.spread)

    def padded(self, target: str) -> np.ndarray:
        """Return one signal (1200, S) as wav2sleep's code has it: 10 h, zeros behind, z-scored."""
        signal = self.signals[target][:PADDED_EPOCHS]
        whole = np.zeros((PADDED_EPOCHS, signal.shape[1]), dtype=np.float32)
        whole[: len(signal)] = signal
        return z_score_padded(whole, whole.size)


def read_view(
    recording: Recording,
    view: View,
    *,
    montage: Montage | None = None,
    overrides: Mapping[str, Candidate] | None = None,
    unfinished: bool = False,
) -> NightSignals:
    """Read the channels of a view from a recording.

    Parameters
    ----------
    recording : Recording
    view : View
    montage : Montage, optional
        Channels already chosen, all of which are read, in that order; default: the automatic
        choice for the channels of the view.
    overrides : mapping, optional
        Channels the user named, for the automatic choice.
    unfinished : bool
        Give the unfinished last epoch too, its end filled: for epochs that begin elsewhere.

    Raises
    ------
    RecordingError
        If the recording is shorter than an epoch, or none of the channels can be used; the message
        gives the reason for each.
    """
    name = recording.path.name
    n_epochs = int(recording.duration_s / EPOCH_S + 1e-6)
    if not n_epochs:
        raise RecordingError(f"{name}: {recording.duration_s:g} s are less than an epoch of 30 s")
    if unfinished:
        n_epochs = math.ceil(recording.duration_s / EPOCH_S - 1e-6)
    if montage is None:
        montage = resolve(
            recording, view.channels, overrides=overrides, as_recorded=view.as_recorded
        )
    found, dropped = _read_channels(recording, montage, view, n_epochs)
    if not found:
        reasons = "; ".join(f"{target}: {reason}" for target, reason in dropped.items())
        raise RecordingError(
            f"{name}: no channel of view {view.name} can be used ({reasons}); the file has: "
            f"{', '.join(recording.labels) or 'no signals'}. Name one with --channel TARGET=LABEL."
        )
    order = [choice.target for choice in montage.choices if choice.target in found]
    return NightSignals(
        view=view,
        signals={target: found[target][0] for target in order},
        channels=tuple(found[target][1] for target in order),
        dropped=dropped,
        unscored=_in_gaps(recording, n_epochs),
        montage=montage,
    )


def _read_channels(
    recording: Recording, montage: Montage, view: View, n_epochs: int
) -> tuple[dict[str, tuple[np.ndarray, ChannelRecord]], dict[str, str]]:
    """Read what was chosen: {target: signal (E, S) and record}, {target: why it was dropped}."""
    wanted = list(montage.choices)
    leads = _Leads(recording, wanted, np.float32 if view.resample == "clean" else np.float64)
    found: dict[str, tuple[np.ndarray, ChannelRecord]] = {}
    dropped: dict[str, str] = {}
    # Choices that share a reference are read one after the other: its samples are then let go.
    for choice in sorted(wanted, key=lambda choice: -1 if choice.minus is None else choice.minus):
        try:
            signal = _read_channel(leads, choice, view, n_epochs, recording.duration_s)
        except RecordingError as error:
            dropped[choice.target] = str(error)
        else:
            found[choice.target] = signal
    return found, dropped


@dataclass(frozen=True)
class _Lead:
    """One raw channel in the unit of its target."""

    samples: np.ndarray
    rate_hz: Fraction
    flat: float
    clipped: float


class _Leads:
    """Raw channels, each read once and let go after its last use."""

    def __init__(self, recording: Recording, choices: list[Choice], dtype: type) -> None:
        self.recording, self.dtype = recording, dtype
        used = [place for choice in choices for place in (choice.plus, choice.minus)]
        self._uses = Counter(place for place in used if place is not None)
        self._kept: dict[int, _Lead] = {}

    def take(self, place: int, target: Target) -> tuple[_Lead, bool]:
        """Return a lead and whether nobody will ask for it again, so that it may be changed."""
        lead = self._kept.pop(place, None) or self._read(self.recording.channels[place], target)
        self._uses[place] -= 1
        if self._uses[place] > 0:
            self._kept[place] = lead
        return lead, self._uses[place] <= 0

    def _read(self, channel: Channel, target: Target) -> _Lead:
        """Read one channel, measure it, and bring it to the unit of its target."""
        samples = self.recording.read(channel.position, self.dtype)
        low, high = float(samples.min()), float(samples.max())
        where = f"{channel.label!r} #{channel.position}"
        if not (math.isfinite(low) and math.isfinite(high)):
            wrong = int(np.count_nonzero(~np.isfinite(samples)))
            raise RecordingError(f"{where}: {wrong} of {samples.size} samples are not finite")
        if low == high:
            raise RecordingError(f"{where} is flat: every sample is {low:g} {channel.unit}".strip())
        flat = _flat_share(samples, channel.rate_hz)
        clipped = _clipped_share(samples, channel.limits, low, high)
        return _Lead(in_unit(samples, channel, target), channel.rate_hz, flat, clipped)


def _read_channel(
    leads: _Leads, choice: Choice, view: View, n_epochs: int, duration_s: float
) -> tuple[np.ndarray, ChannelRecord]:
    """Read one target: its signal (E, S) and its record."""
    if choice.plus is None:
        raise RecordingError(choice.how)
    target = TARGETS[choice.target]
    plus, free = leads.take(choice.plus, target)
    used = [plus]
    if choice.minus is None:
        whole = _resampled(plus.samples, plus.rate_hz, view, target.name)
    else:
        minus, _ = leads.take(choice.minus, target)
        used.append(minus)
        whole = _difference(plus, minus, view, target.name, in_place=free)
    mean, std = mean_and_std(whole)
    every = 1 if view.normalise == "robust" else _SURVEYED_EVERY
    first, median, third = quantiles(whole[::every])
    scale = {"z": (mean, std), "robust": (median, third - first)}
    centre, spread = scale.get(view.normalise, (0.0, 1.0))
    if view.normalise == "z_padded":
        centre, spread = padded_mean_and_std(whole, PADDED_EPOCHS * view.samples_of(target.name))
        spread = max(spread, MIN_SIGMA)
    record = ChannelRecord(
        target=target.name,
        taken=choice.how,
        referenced=choice.referenced,
        rate_hz=float(plus.rate_hz),
        unit={"header_range": "range", "percent": "%"}.get(target.unit, target.unit),
        flat=max(lead.flat for lead in used),
        clipped=max(lead.clipped for lead in used),
        mean=mean,
        std=std,
        median=median,
        iqr=third - first,
        centre=centre,
        spread=spread,
    )
    return _cut(whole, n_epochs, duration_s, view, target.name), record


def _difference(
    plus: _Lead, minus: _Lead, view: View, target: str, *, in_place: bool
) -> np.ndarray:
    """Return the resampled difference; at the common rate when there is one."""
    if plus.rate_hz != minus.rate_hz:
        one, other = (
            _resampled(lead.samples, lead.rate_hz, view, target) for lead in (plus, minus)
        )
        n = min(len(one), len(other))
        return one[:n] - other[:n]
    n = min(len(plus.samples), len(minus.samples))
    out = plus.samples[:n] if in_place else None
    difference = np.subtract(plus.samples[:n], minus.samples[:n], out=out)
    return _resampled(difference, plus.rate_hz, view, target)


def _resampled(samples: np.ndarray, rate_hz: Fraction, view: View, target: str) -> np.ndarray:
    """Filter and resample one channel as the view says; float32, the whole recording."""
    response, target_hz = view.response_of(target), view.rate_hz(target)
    if refusal := response.refusal(rate_hz):
        raise RecordingError(refusal)
    if view.resample == "clean":
        whole = filter_resample(samples, rate_hz, target_hz, response)
        return whole[1:] if view.right_closed else whole
    filtered = filter_both_ways(samples, rate_hz, response)
    if view.resample == "endpoints":
        return interpolate_endpoints(filtered, rate_hz, target_hz)
    inside = math.floor((len(filtered) - 1) * target_hz / rate_hz)
    return interpolate_time(filtered, rate_hz, target_hz, inside)


def _cut(
    whole: np.ndarray, n_epochs: int, duration_s: float, view: View, target: str
) -> np.ndarray:
    """Return epochs (E, S); a sample that falls behind the last one is as published.

    Linear interpolation gives 0 beyond the last sample, everything else holds its value.
    """
    wanted = n_epochs * view.samples_of(target)
    missing = wanted - len(whole)
    wanted_s, lasted_s = min(n_epochs * EPOCH_S, duration_s), len(whole) / view.rate_hz(target)
    if wanted_s - lasted_s > 1:
        raise RecordingError(f"ends after {float(lasted_s):.0f} s of {wanted_s:.0f} s")
    if missing > 0:
        last = 0.0 if view.resample == "time" else whole[-1]
        whole = np.concatenate([whole, np.full(missing, last, dtype=np.float32)])
    return whole[:wanted].reshape(n_epochs, view.samples_of(target))


def in_unit(samples: np.ndarray, channel: Channel, target: Target) -> np.ndarray:
    """Bring samples to the unit of the target, in place.

    Raises
    ------
    RecordingError
        If the unit is another one, or blank and the samples are of an unlikely size.
    """
    where = f"{channel.label!r} #{channel.position}"
    if target.unit == "header_range":
        return _in_header_range(samples, channel)
    if target.kind not in VOLTAGES:
        if channel.unit not in (*_SPELLED[target.unit], ""):
            raise RecordingError(f"{where} is in {channel.unit}, not in {target.unit}")
        return samples
    if channel.unit == "uV":
        factor = 1e-3 if target.unit == "mV" else 1.0
    elif channel.unit == "":
        factor = _blank_unit_factor(samples, where, target)
    else:
        raise RecordingError(f"{where} is in {channel.unit}, no voltage")
    if factor != 1:
        samples *= samples.dtype.type(factor)
    return samples


def _blank_unit_factor(samples: np.ndarray, where: str, target: Target) -> float:
    """Take a blank unit for the usual one of the kind if the size of the signal fits it."""
    unit, factor, (low, high) = _USUAL_UNIT[target.kind]
    some = samples[:: 1 + len(samples) // _SURVEYED]
    size = float(np.median(np.abs(some - np.median(some))))
    if not low <= size <= high:
        raise RecordingError(
            f"{where} names no unit, and a median amplitude of {size:.3g} is no "
            f"{target.kind.upper()} in {unit} ({low:g} to {high:g})"
        )
    return factor


def _in_header_range(samples: np.ndarray, channel: Channel) -> np.ndarray:
    """Return (x - centre) / half range of the header, in place; untouched if it declares none."""
    if channel.limits is None or channel.limits[0] == channel.limits[1]:
        return samples
    low, high = channel.limits
    samples -= samples.dtype.type((low + high) / 2)
    samples /= samples.dtype.type(abs(high - low) / 2)  # inverted limits occur
    return samples


def _flat_share(samples: np.ndarray, rate_hz: Fraction) -> float:
    """Return the share of seconds that hold one value: no step between any two samples."""
    window = max(2, math.ceil(rate_hz))
    seconds = samples[: len(samples) // window * window].reshape(-1, window)
    if not len(seconds):
        return 0.0
    # Three equal samples first: few seconds pass, and only those are read whole.
    ends = (seconds[:, 0] == seconds[:, -1]) & (seconds[:, 0] == seconds[:, window // 2])
    suspects = seconds[ends]
    return float(np.count_nonzero(np.ptp(suspects, axis=1) == 0) / len(seconds))


def _clipped_share(
    samples: np.ndarray, limits: tuple[float, float] | None, low: float, high: float
) -> float:
    """Return the share of samples at the digital limits."""
    if limits is None:
        return 0.0
    bottom, top = sorted(limits)
    near = 5e-6 * (top - bottom)  # a third of a step of 16 bits: room for float32
    if low > bottom + near and high < top - near:
        return 0.0
    at_limit = (samples <= bottom + near) | (samples >= top - near)
    return float(np.count_nonzero(at_limit) / samples.size)


def _in_gaps(recording: Recording, n_epochs: int) -> np.ndarray:
    """Return a bool array (E,): epochs that touch a pause."""
    unscored = np.zeros(n_epochs, dtype=bool)
    for from_s, to_s in recording.gaps:
        unscored[int(from_s // EPOCH_S) : math.ceil(to_s / EPOCH_S)] = True
    return unscored
