"""Recordings held in memory, for tests that need no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from recordings.recording import Channel, Recording, RecordingError

Rate = int | float | Fraction


class ArrayRecording(Recording):
    """A recording made of arrays.

    Parameters
    ----------
    signals : mapping of str to array (n,), or sequence of (label, array)
        In the file's order; a sequence may repeat a label.
    rates, units, dead, limits : one value for all, or a mapping from label
        Rate in Hz, unit as `Recording.read` gives it, reason to be dead, and physical limits.
    gaps : sequence of (float, float)
        Stretches without samples.
    """

    def __init__(
        self,
        signals: Mapping[str, np.ndarray] | Sequence[tuple[str, np.ndarray]],
        rates: Rate | Mapping[str, Rate] = 256,
        units: str | Mapping[str, str] = "uV",
        *,
        dead: Mapping[str, str] | None = None,
        limits: Mapping[str, tuple[float, float]] | None = None,
        gaps: Sequence[tuple[float, float]] = (),
    ) -> None:
        pairs = list(signals.items()) if isinstance(signals, Mapping) else list(signals)
        self.path = Path("made.edf")
        self._arrays = [np.asarray(array) for _, array in pairs]
        self.channels = tuple(
            Channel(
                position=place,
                label=label,
                rate_hz=Fraction(rates[label] if isinstance(rates, Mapping) else rates),
                unit=units.get(label, "uV") if isinstance(units, Mapping) else units,
                n_samples=len(array),
                dead=(dead or {}).get(label, ""),
                limits=(limits or {}).get(label),
            )
            for place, (label, array) in enumerate(pairs)
        )
        durations = [float(c.n_samples / c.rate_hz) for c in self.channels]
        self.duration_s = max(durations, default=0.0)
        self.start, self.annotations, self.gaps, self.notes = None, (), tuple(gaps), ()
        self.reads: list[int] = []

    def read(self, which: str | int, dtype: type = np.float32) -> np.ndarray:
        """Return a copy of the samples; `reads` remembers what was asked for."""
        channel = self.channel(which)
        if channel.dead:
            raise RecordingError(f"{self.path.name}: {channel.label!r} is dead: {channel.dead}")
        self.reads.append(channel.position)
        return self._arrays[channel.position].astype(dtype)


def with_labels(*labels: str, **told: object) -> ArrayRecording:
    """Return a recording with these labels and 30 s of noise in each channel."""
    noise = np.random.default_rng(3).standard_normal(100 * 30) * 20
    return ArrayRecording([(label, noise) for label in labels], 100, **told)  # type: ignore[arg-type]
