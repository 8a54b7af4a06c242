"""Heart, breath and oxygen of a recording: the best signal for each, found, read and judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from nights.stages import EPOCH_S
from recordings.beats import SLOWEST_ECG_HZ, SLOWEST_PPG_HZ, Beats, ecg_beats, ppg_beats
from recordings.breaths import SLOWEST_HZ, find_breaths, rhythm
from recordings.channels import Candidate, Montage, resolve
from recordings.recording import Recording, RecordingError

HEARTS, BREATHS, OXYGEN = ("ECG", "PPG"), ("THX", "ABD", "Airflow", "NasalP"), "SpO2"
# A beat is like the others of its signal: 0.74 to 0.98 in the 5 % least alike of real recordings
# (DREAMS, Noxturnal), 0.4 to 0.55 at the median of white, pink and brown noise.
BEAT_LIKENESS = 0.6
_FEWEST_BEATS = 10  # in an epoch: 20 a minute
# Rhythm of an epoch: above 0.4 in 95 % of real ones (DREAMS, Noxturnal; sampled at 25 Hz or more),
# below 0.3 in 95 % of white and pink noise.
RHYTHM = 0.3
NO_SIGNAL = 0.5  # with more of its epochs without, a signal is taken for noise
_OXYGEN_PERCENT = (60.0, 100.0)  # median of a night; drift-free or filtered traces lie elsewhere


@dataclass(frozen=True, eq=False)
class Body:
    """What heart, breath and oxygen of a night were read from, and what was found.

    Parameters
    ----------
    beats_s, breaths_s : float64 arrays
        Seconds from the first sample; empty when there is no signal for it.
    beats_from, breaths_from, oxygen_from : str
        Channel each was found in; empty for none.
    spo2 : array (n,)
        Saturation in percent, empty for none.
    spo2_hz : Fraction
        Its rate.
    notes : tuple of str
        Signals that were there and could not be used, with the reason.
    """

    beats_s: np.ndarray
    beats_from: str
    breaths_s: np.ndarray
    breaths_from: str
    spo2: np.ndarray
    spo2_hz: Fraction
    oxygen_from: str
    notes: tuple[str, ...] = ()


NOTHING = Body(np.zeros(0), "", np.zeros(0), "", np.zeros(0), Fraction(1), "")


def read_body(recording: Recording, *, overrides: Mapping[str, Candidate] | None = None) -> Body:
    """Find and read heart, breath and oxygen.

    Parameters
    ----------
    recording : Recording
    overrides : mapping, optional
        Channels named by hand; only those of `HEARTS`, `BREATHS` and `OXYGEN` count here.

    Returns
    -------
    Body
        Beats of the ECG, or of the pulse wave where there is no usable ECG; breaths of the most
        rhythmic belt or flow. What cannot be used is told in its notes.
    """
    wanted = (*HEARTS, *BREATHS, OXYGEN)
    named = {name: label for name, label in (overrides or {}).items() if name in wanted}
    reader = _Reader(recording, resolve(recording, wanted, overrides=named), [])
    beats_s, beats_from = _heart(reader)
    breaths_s, breaths_from = _breath(reader)
    spo2, spo2_hz, oxygen_from = _oxygen(reader)
    return Body(
        beats_s, beats_from, breaths_s, breaths_from, spo2, spo2_hz, oxygen_from,
        tuple(reader.notes),
    )  # fmt: skip


def epochs_with_beats(beats: Beats, n_epochs: int) -> np.ndarray:
    """Return bool (E,): epochs with ten beats or more that look like the others of the signal."""
    epoch = (beats.times_s // EPOCH_S).astype(np.int64)
    alike = (beats.likeness >= BEAT_LIKENESS) & (epoch < n_epochs)
    total = np.bincount(epoch[epoch < n_epochs], minlength=n_epochs)
    good = np.bincount(epoch[alike], minlength=n_epochs)
    return (good >= _FEWEST_BEATS) & (2 * good >= total)


def epochs_with_breaths(signal: np.ndarray, rate_hz: Fraction | float, n_epochs: int) -> np.ndarray:
    """Return bool (E,): epochs in which a signal repeats itself as breathing does."""
    return rhythm(signal, rate_hz, n_epochs) >= RHYTHM


def find_beats(kind: str, samples: np.ndarray, rate_hz: Fraction | float) -> Beats | None:
    """Return the beats of a signal of kind `ecg` or `ppg`, None when its rate is too low."""
    find, slowest_hz = {"ecg": (ecg_beats, SLOWEST_ECG_HZ), "ppg": (ppg_beats, SLOWEST_PPG_HZ)}[
        kind
    ]
    return find(samples, rate_hz) if rate_hz >= slowest_hz else None


# ---------------------------------------------------------------------------------------- parts


@dataclass(frozen=True)
class _Reader:
    """Reads targets as recorded and notes what cannot be used."""

    recording: Recording
    montage: Montage
    notes: list[str]

    @property
    def n_epochs(self) -> int:
        """Whole epochs of the recording."""
        return int(self.recording.duration_s / EPOCH_S + 1e-6)

    def read(self, target: str) -> tuple[np.ndarray, Fraction] | None:
        """Return samples and rate of a target; None when it is not there or cannot be used."""
        choice = self.montage[target]
        if choice.plus is None:
            return None
        rate_hz = self.recording.channel(choice.plus).rate_hz
        try:
            samples = self.recording.read(choice.plus)
            if choice.minus is not None:
                minus = self.recording.read(choice.minus)
                if len(minus) != len(samples):
                    raise RecordingError("its two leads have different rates")
                samples = samples - minus
            if not np.isfinite(samples).all():
                raise RecordingError("some samples are no numbers")
        except RecordingError as error:
            self.note(target, str(error))
            return None
        return samples, rate_hz

    def note(self, target: str, reason: str) -> None:
        """Keep why a signal is not used."""
        self.notes.append(f"{target} not used for heart, breath and oxygen: {reason}")


def _heart(reader: _Reader) -> tuple[np.ndarray, str]:
    """Return the beats of the first signal that has them, and its name."""
    for target in HEARTS:
        found = reader.read(target)
        beats = found and find_beats(target.lower(), *found)
        if found and beats is None:
            reader.note(target, f"{float(found[1]):g} Hz are too few to see beats")
        if not beats:
            continue
        share = float(np.mean(epochs_with_beats(beats, reader.n_epochs)))
        if share >= 1 - NO_SIGNAL:
            return beats.times_s[beats.likeness >= BEAT_LIKENESS / 2], target
        reader.note(target, f"beats in {100 * share:.0f} % of its epochs only")
    return np.zeros(0), ""


def _breath(reader: _Reader) -> tuple[np.ndarray, str]:
    """Return the breaths of the signal that shows them in most epochs, and its name."""
    best: tuple[float, str, np.ndarray, Fraction] | None = None
    for target in BREATHS:
        found = reader.read(target)
        if found is None:
            continue
        if found[1] < SLOWEST_HZ:
            reader.note(target, f"{float(found[1]):g} Hz are too few to see breaths")
            continue
        share = float(np.mean(epochs_with_breaths(*found, reader.n_epochs)))
        if share < 1 - NO_SIGNAL:
            reader.note(target, f"breathing in {100 * share:.0f} % of its epochs only")
        elif best is None or share > best[0] + 0.01:  # equals stand in the order of `BREATHS`
            best = (share, target, *found)
    if best is None:
        return np.zeros(0), ""
    return find_breaths(best[2], best[3]).times_s, best[1]


def _oxygen(reader: _Reader) -> tuple[np.ndarray, Fraction, str]:
    """Return the saturation, its rate and its name; nothing where it holds no percentages."""
    found = reader.read(OXYGEN)
    if found is None:
        return np.zeros(0), Fraction(1), ""
    worn = found[0][found[0] > 0]
    middle = float(np.median(worn)) if worn.size else 0.0
    if not _OXYGEN_PERCENT[0] <= middle <= _OXYGEN_PERCENT[1]:
        reader.note(OXYGEN, f"a median of {middle:.3g} is no saturation in percent")
        return np.zeros(0), Fraction(1), ""
    return *found, OXYGEN
