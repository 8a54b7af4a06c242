"""The one object every format becomes: labels, exact rates, units, start, signals on demand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import numpy as np

SIMULATED = "Simulated recording"  # the annotation that marks a night no person slept


class RecordingError(ValueError):
    """A recording, or one channel of it, cannot be used; the message names file and reason."""


@dataclass(frozen=True)
class Channel:
    """What the file says of one signal.

    Parameters
    ----------
    position : int
        Place in the file; the one name that is always unique.
    label : str
        As written in the file, blanks stripped.
    rate_hz : Fraction
        Exact sampling rate.
    unit : str
        Unit of what `read` returns: `uV` for every voltage, else the file's own (`%`, `bpm`, ``).
    n_samples : int
        Samples that `read` returns, gaps included.
    dead : str
        Why the channel cannot be used (zero range, no samples, not finite); empty when it can.
    unit_in_file : str
        The unit as written in the file, before it was brought to `unit`.
    limits : tuple of float or None
        Physical minimum and maximum as declared, in `unit`; None when the format declares none.
    prefilter : str
        Filters the file says were applied.
    """

    position: int
    label: str
    rate_hz: Fraction
    unit: str
    n_samples: int
    dead: str = ""
    unit_in_file: str = ""
    limits: tuple[float, float] | None = None
    prefilter: str = ""


@dataclass(frozen=True)
class Annotation:
    """A mark in the recording; seconds from its first sample. `duration_s` is 0 for a moment."""

    onset_s: float
    duration_s: float
    text: str


class Recording(ABC):
    """One open recording.

    Attributes
    ----------
    path : Path
        The file it came from.
    channels : tuple of Channel
        Every signal in the file's order; annotation channels are not among them.
    start : datetime or None
        Clock time of the first sample (fractions of a second included); None when unknown. A file
        that tells the time of day but no date has the date 1985-01-01 and a note.
    duration_s : float
        Seconds from the first to the end of the last sample, gaps included.
    annotations : tuple of Annotation
        Sorted by onset.
    gaps : tuple of (float, float)
        Stretches (from_s, to_s) in which nothing was recorded; `read` returns zeros there.
    notes : tuple of str
        Every repair and oddity, in words; never text that can identify a person.
    """

    path: Path
    channels: tuple[Channel, ...]
    start: datetime | None
    duration_s: float
    annotations: tuple[Annotation, ...]
    gaps: tuple[tuple[float, float], ...]
    notes: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Label of every channel, in the file's order (duplicates stay)."""
        return tuple(channel.label for channel in self.channels)

    @property
    def simulated(self) -> bool:
        """Whether the file says that it was made by a simulator."""
        return any(annotation.text == SIMULATED for annotation in self.annotations)

    def channel(self, which: str | int) -> Channel:
        """Return a channel by position or by label.

        Raises
        ------
        RecordingError
            If there is no such channel, or several share the label (name one by its position).
        """
        if isinstance(which, int):
            if not 0 <= which < len(self.channels):
                raise RecordingError(f"{self.path.name}: no channel at position {which}")
            return self.channels[which]
        found = [channel for channel in self.channels if channel.label == which]
        if len(found) == 1:
            return found[0]
        listed = ", ".join(self.labels) or "no signals"
        if not found:
            raise RecordingError(f"{self.path.name}: no channel {which!r}; the file has: {listed}")
        places = ", ".join(f"#{channel.position}" for channel in found)
        raise RecordingError(f"{self.path.name}: {which!r} stands {len(found)} times ({places})")

    @abstractmethod
    def read(self, which: str | int, dtype: type = np.float32) -> np.ndarray:
        """Return the samples (n,) of one channel in `Channel.unit`, as float32 or float64.

        Raises
        ------
        RecordingError
            If the channel is unknown or dead; a number without calibration is never returned.
        """
