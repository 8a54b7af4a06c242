"""Several files of one night read as one recording: EEG in one file, eyes in another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from recordings.recording import Recording, RecordingError

_SAME_S = 1.0  # starts and lengths of files of one night may differ by a data record


class JoinedRecording(Recording):
    """The channels of several recordings of the same time, one after the other.

    Parameters
    ----------
    parts : sequence of Recording
        Of the same start and length; the first gives path, clock and annotations.

    Raises
    ------
    RecordingError
        If a part begins or ends at another time than the first.
    """

    def __init__(self, parts: Sequence[Recording]) -> None:
        first = parts[0]
        for part in parts[1:]:
            _check_same_time(first, part)
        self._places = [(part, channel.position) for part in parts for channel in part.channels]
        self.channels = tuple(
            replace(part.channels[there], position=place)
            for place, (part, there) in enumerate(self._places)
        )
        self.path, self.start = first.path, first.start
        self.duration_s = min(part.duration_s for part in parts)
        self.annotations = first.annotations
        self.gaps = tuple(sorted({gap for part in parts for gap in part.gaps}))
        self.notes = tuple(note for part in parts for note in part.notes)

    def read(self, which: str | int, dtype: type = np.float32) -> np.ndarray:
        """Return the samples of one channel, from the file that holds it."""
        part, place = self._places[self.channel(which).position]
        return part.read(place, dtype)


def _check_same_time(first: Recording, other: Recording) -> None:
    """Refuse a file that does not cover the time of the first."""
    apart_s = 0.0
    if first.start is not None and other.start is not None:
        apart_s = abs((first.start - other.start).total_seconds())
    if apart_s > _SAME_S or abs(first.duration_s - other.duration_s) > _SAME_S:
        raise RecordingError(
            f"{other.path.name}: starts {apart_s:g} s from {first.path.name} and lasts "
            f"{other.duration_s:g} s, not {first.duration_s:g} s: not the same night"
        )
