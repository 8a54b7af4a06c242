"""Changes to a training window that leave its stages true: time, amplitude, left for right.

What is drawn for a window follows from (seed, pass, night, first epoch) like the window itself, see
`nights.windows`. Every change is made while the window is read: it costs no copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from nights.stages import EPOCH_S

# A lead and the one at the same place of the other half of the head; midline leads have none.
HOMOLOGUES = {
    **{"F3": "F4", "C3": "C4", "O1": "O2", "E1": "E2"},
    **{"F4": "F3", "C4": "C3", "O2": "O1", "E2": "E1"},
}


@dataclass(frozen=True)
class Change:
    """What was drawn for one window.

    Parameters
    ----------
    shift_s : float
        Seconds by which the signals are read later than their epochs, less than half an epoch.
    gains : dict
        {channel: factor}, negative where a channel is turned over; 1 where it is not named.
    swapped : bool
        Whether left and right leads stand in each other's place.
    """

    shift_s: float = 0.0
    gains: dict[str, float] = field(default_factory=dict)
    swapped: bool = False

    def place(self, channel: str, channels: Sequence[str]) -> str:
        """Return under which name a channel is given, of those a batch has."""
        other = HOMOLOGUES.get(channel, channel) if self.swapped else channel
        return other if other in channels else channel


@dataclass(frozen=True)
class Augment:
    """How windows are changed in training; the defaults change nothing.

    Parameters
    ----------
    shift_s : float
        Standard deviation of a shift of all channels together, in seconds. A shift is drawn anew
        until it is less than half an epoch, so that most of every epoch is still the one that was
        scored. A window stays where it is if the shift would carry it beyond the night or into a
        gap of the recording.
    gain : float
        Standard deviation of the natural logarithm of a factor, drawn for every channel.
    swap : float
        Probability that left and right leads change places (`HOMOLOGUES`). A channel whose other
        side the batch does not have stays where it is.
    flip : float
        Probability that a channel is turned over, drawn for every channel (wav2sleep: 0.5).

    Notes
    -----
    LPSGM's published code rolls a whole stretch in a circle, which brings its end before its
    beginning; here the samples before and after the window are read. Both shell scripts of LPSGM
    have the shift switched off; its training program has 1 s by default.
    """

    shift_s: float = 0.0
    gain: float = 0.0
    swap: float = 0.0
    flip: float = 0.0

    def __post_init__(self) -> None:
        if self.shift_s < 0 or self.gain < 0 or not (0 <= self.swap <= 1 and 0 <= self.flip <= 1):
            raise ValueError(
                f"shift_s and gain must be 0 or more, swap and flip 0 to 1, found {self}"
            )
        if self.shift_s > EPOCH_S / 4:
            raise ValueError(f"shift_s = {self.shift_s}: at most {EPOCH_S / 4} s keep stages true")

    def __bool__(self) -> bool:
        """Tell whether anything is changed."""
        return bool(self.shift_s or self.gain or self.swap or self.flip)

    def draw(self, rng: np.random.Generator, channels: Sequence[str]) -> Change:
        """Draw the change of one window that has these channels."""
        shift_s = rng.normal(0, self.shift_s) if self.shift_s else 0.0
        while abs(shift_s) >= EPOCH_S / 2:
            shift_s = rng.normal(0, self.shift_s)
        gains = np.exp(rng.normal(0, self.gain, len(channels))) if self.gain else ()
        swapped = bool(self.swap and rng.random() < self.swap)
        if self.flip:
            sides = np.where(rng.random(len(channels)) < self.flip, -1.0, 1.0)
            gains = sides * gains if self.gain else sides
        return Change(shift_s, dict(zip(channels, map(float, gains), strict=False)), swapped)
