"""Signals of a night at every zoom: a pyramid of minima and maxima, made once, read by pieces.

Each channel is filtered for the eye, resampled and kept as int16; above it stand levels whose bins
hold the lowest and the highest of 4, 16, 64 ... samples. A view of any width then touches a few
thousand numbers, be it ten seconds or the night, and no spike is ever lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from nights.atomic import atomic_path
from recordings.labels import canonical_names, kind_of
from recordings.recording import Recording, RecordingError
from recordings.responses import NONE, Response, butter2
from recordings.signals import filter_resample

FACTOR = 4  # samples, then bins, that one bin of the next level spans
SMALLEST_LEVEL = 512  # bins: no screen asks for fewer
SAMPLES_PER_COLUMN = 2.0  # below it a view gives the samples themselves
STEP_UV = 0.1  # of brain, eyes and muscle; what lies beyond +-3.2 mV is an artefact and is cut
FIXED = ("eeg", "eog", "emg")
_LARGEST = 32767


@dataclass(frozen=True)
class Display:
    """How signals of one kind are shown: highest rate kept, filter, and the filter in words."""

    rate_hz: int
    response: Response = NONE
    words: str = "as recorded"


# Filters of the AASM manual 2.6, table of digital specifications (routinely displayed): EEG and EOG
# 0.3-35 Hz, EMG 10-100 Hz, ECG 0.3-70 Hz, respiration 0.1-15 Hz.
DISPLAYS = {
    "eeg": Display(100, butter2(2, 0.3, 35.0), "0.3–35 Hz"),
    "eog": Display(100, butter2(2, 0.3, 35.0), "0.3–35 Hz"),
    "emg": Display(250, butter2(2, 10.0, 100.0), "10–100 Hz"),
    "ecg": Display(200, butter2(2, 0.3, 70.0), "0.3–70 Hz"),
    "resp": Display(40, butter2(2, 0.1, 15.0), "0.1–15 Hz"),
}
OTHER = Display(100)


Lead = tuple[int, int | None]  # positions in the file: one channel, or plus and minus


@dataclass(frozen=True)
class Shown:
    """One signal as it is kept: value = `centre` + `step` * number, in `unit`.

    `key` is its position in the file (`7`), or two for a difference (`7-9`). `spread` is half the
    range from the 1st to the 99th percentile of what is shown: what a lane scales by. `error` says
    why there is no signal; then nothing behind it holds.
    """

    key: str
    error: str = ""
    unit: str = ""
    kind: str = ""
    rate_hz: float = 0.0
    n_samples: int = 0
    centre: float = 0.0
    step: float = 1.0
    spread: float = 1.0
    filter: str = ""

    def to_json(self) -> dict[str, object]:
        """Return the fields as a plain dictionary."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Piece:
    """What a view needs of one channel.

    `values` are int16: (n,) samples when `step_s` is the time between them, or (n, 2) lowest and
    highest of each column of `step_s` seconds; the first begins at `from_s`.
    """

    values: np.ndarray
    from_s: float
    step_s: float


def build(recording: Recording, folder: Path, leads: Iterable[Lead]) -> Iterator[Shown]:
    """Write the pyramid of every lead into `folder`, one file each, and yield what was kept.

    A lead that is dead or not finite is yielded with its `error` and has no file.
    """
    names = canonical_names(recording.labels)
    for plus, minus in leads:
        kind = kind_of(recording.channels[plus].label, names[plus])
        try:
            yield _build_lead(recording, (plus, minus), kind, folder)
        except RecordingError as error:
            yield Shown(key_of((plus, minus)), str(error))


def key_of(lead: Lead) -> str:
    """Return what a lead goes by."""
    return "-".join(str(position) for position in lead if position is not None)


def levels(n_samples: int) -> list[tuple[int, int]]:
    """Return (bins, numbers before the level) of each level above the samples, finest first."""
    found, bins, start = [], n_samples, n_samples
    while bins > SMALLEST_LEVEL:
        bins = -(-bins // FACTOR)
        found.append((bins, start))
        start += 2 * bins
    return found


def pyramid(samples: np.ndarray) -> np.ndarray:
    """Return the samples (n,) and all levels above them as one int16 array.

    The last bin of a level spans what is left.
    """
    parts, lows, highs = [samples], samples, samples
    for bins, _ in levels(len(samples)):
        missing = bins * FACTOR - len(lows)
        lows = np.pad(lows, (0, missing), mode="edge").reshape(bins, FACTOR).min(axis=1)
        highs = np.pad(highs, (0, missing), mode="edge").reshape(bins, FACTOR).max(axis=1)
        parts.append(np.stack([lows, highs], axis=1).ravel())
    return np.concatenate(parts)


def read_piece(
    folder: Path, shown: Shown, from_s: float, to_s: float, n_columns: int
) -> Piece | None:
    """Return what `n_columns` pixels from `from_s` to `to_s` show of a channel.

    Parameters
    ----------
    folder : Path
        Where `build` wrote.
    shown : Shown
    from_s, to_s : float
        Seconds from the first sample; what lies outside the recording is left out.
    n_columns : int
        Pixels of the whole stretch.

    Returns
    -------
    Piece or None
        The samples where they are few; else columns of whole bins, none wider than a pixel and
        none narrower than half of one. They lie where the signal puts them, not the stretch: they
        stay the same while it moves. None where the stretch lies outside the recording.
    """
    per_column = (to_s - from_s) * shown.rate_hz / n_columns  # samples
    wide = 1 if per_column <= SAMPLES_PER_COLUMN else int(per_column)
    first = max(0, int(from_s * shown.rate_hz))
    last = min(shown.n_samples, int(to_s * shown.rate_hz) + 2)
    if last <= first:
        return None
    if wide == 1:
        values = _numbers(folder, shown, first, last)
        return Piece(values, first / shown.rate_hz, 1 / shown.rate_hz)
    values, first, wide = _columns(folder, shown, first, last, wide)
    return Piece(values, first / shown.rate_hz, wide / shown.rate_hz)


def _columns(
    folder: Path, shown: Shown, first: int, last: int, wide: int
) -> tuple[np.ndarray, int, int]:
    """Return lowest and highest (columns, 2) of samples, the first of them and their width.

    A column is as many bins of the coarsest level that fits as make at most `wide` samples.
    """
    span, bins, start, each = 1, shown.n_samples, 0, 1
    for level_bins, level_start in levels(shown.n_samples):
        if span * FACTOR > wide:
            break
        span, bins, start, each = span * FACTOR, level_bins, level_start, 2
    together = wide // span
    column = span * together
    begin, end = together * (first // column), min(bins, together * -(-last // column))
    level = _numbers(folder, shown, start + each * begin, start + each * end).reshape(-1, each)
    if missing := -len(level) % together:  # the last column of the recording spans what is left
        level = np.pad(level, ((0, missing), (0, 0)), mode="edge")
    values = np.empty((len(level) // together, 2), np.int16)
    values[:, 0], values[:, 1] = level[::together, 0], level[::together, -1]
    for i in range(1, together):  # at most FACTOR - 1: faster than one reduction along an axis
        np.minimum(values[:, 0], level[i::together, 0], out=values[:, 0])
        np.maximum(values[:, 1], level[i::together, -1], out=values[:, 1])
    return values, begin * span, column


def _numbers(folder: Path, shown: Shown, first: int, last: int) -> np.ndarray:
    """Read some of the numbers of a signal; nothing else of its file is touched."""
    with (folder / f"{shown.key}.i16").open("rb", buffering=0) as file:
        file.seek(2 * first)
        return np.frombuffer(file.read(2 * (last - first)), "<i2")


def _build_lead(recording: Recording, lead: Lead, kind: str, folder: Path) -> Shown:
    """Filter, resample, round and write one lead."""
    channel, display = recording.channels[lead[0]], DISPLAYS.get(kind, OTHER)
    samples = _samples(recording, lead)
    rate_hz = min(channel.rate_hz, Fraction(display.rate_hz))
    filtered = display.response != NONE and not display.response.refusal(channel.rate_hz)
    response = display.response if filtered else NONE
    if filtered or rate_hz != channel.rate_hz:
        samples = filter_resample(samples, channel.rate_hz, rate_hz, response)
    fixed = filtered and channel.unit == "uV" and kind in FIXED
    centre, step = (0.0, STEP_UV) if fixed else _scale(samples)
    numbers = np.clip(np.rint((samples - centre) / step), -_LARGEST, _LARGEST).astype(np.int16)
    with atomic_path(folder / f"{key_of(lead)}.i16") as temporary:
        pyramid(numbers).astype("<i2", copy=False).tofile(temporary)
    return Shown(
        key=key_of(lead),
        unit=channel.unit,
        kind=kind,
        rate_hz=float(rate_hz),
        n_samples=len(numbers),
        centre=centre,
        step=step,
        spread=_spread(numbers) * step,
        filter=display.words if filtered else OTHER.words,
    )


def _samples(recording: Recording, lead: Lead) -> np.ndarray:
    """Return the samples of a lead, all finite."""
    plus, minus = lead
    samples = recording.read(plus)
    if minus is not None:
        other = recording.read(minus)
        if recording.channels[plus].rate_hz != recording.channels[minus].rate_hz:
            raise RecordingError(f"#{plus} and #{minus} have different rates")
        n = min(len(samples), len(other))
        samples = samples[:n] - other[:n]
    if not samples.size or not np.isfinite([samples.min(), samples.max()]).all():
        raise RecordingError(f"#{plus} has samples that are not finite, or none")
    return samples


def _scale(samples: np.ndarray) -> tuple[float, float]:
    """Return centre and step that take in the whole range."""
    low, high = float(samples.min()), float(samples.max())
    return (low + high) / 2, (high - low) / (2 * _LARGEST) or 1.0


def _spread(numbers: np.ndarray) -> float:
    """Return half the range from the 1st to the 99th percentile, at least one step."""
    some = numbers[:: 1 + len(numbers) // 200_000]
    low, high = np.percentile(some, [1, 99])
    return max(1.0, float(high - low) / 2)
