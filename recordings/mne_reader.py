"""Formats that MNE reads: FIF, BrainVision and EEGLAB; volts become microvolts."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recordings.recording import Annotation, Channel, Recording, RecordingError

if TYPE_CHECKING:
    import mne

_VOLT = 107  # FIFF_UNIT_V: how MNE marks a channel that it holds in volts


class MneRecording(Recording):
    """A recording that MNE reads, one channel at a time.

    Parameters
    ----------
    path : Path or str
        The FIF, `.vhdr` or `.set` file; what belongs to it lies beside it.

    Raises
    ------
    RecordingError
        If MNE cannot read the file or one that belongs to it.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        with _refusing(self.path):
            raw = self._raw = _open(self.path)
        # MNE keeps the rate as a float; no recorder has a rate finer than a millionth
        rate_hz = Fraction(raw.info["sfreq"]).limit_denominator(10**6)
        date = raw.info["meas_date"]
        self.start = date and (date + timedelta(seconds=raw.first_time)).replace(tzinfo=None)
        self.duration_s = float(raw.n_times / rate_hz)
        self.gaps, self.notes = (), ()
        self.annotations = _annotations(raw)
        volts = [entry["unit"] == _VOLT for entry in raw.info["chs"]]
        self.channels = tuple(
            Channel(
                position=position,
                label=label,
                rate_hz=rate_hz,
                unit="uV" if volt else "",
                n_samples=int(raw.n_times),
                unit_in_file="V" if volt else "",
            )
            for position, (label, volt) in enumerate(zip(raw.ch_names, volts, strict=True))
        )

    def read(self, which: str | int, dtype: type = np.float32) -> np.ndarray:
        """Return the samples (n,) of one channel in `Channel.unit`, as float32 or float64.

        Raises
        ------
        RecordingError
            If the channel is unknown or its data are damaged.
        """
        channel = self.channel(which)
        with _refusing(self.path):
            samples = self._raw.get_data(picks=[channel.position])[0]
        if channel.unit == "uV":
            samples *= 1e6
        return samples.astype(dtype, copy=False)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn what MNE raises for a missing, foreign or damaged file into a refusal."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # file name conventions, units that MNE assumes
            yield
    except (OSError, ValueError, RuntimeError, LookupError, TypeError, ArithmeticError) as error:
        reason = f"MNE cannot read it ({type(error).__name__})"
        raise RecordingError(f"{path.name}: {reason}; convert it to EDF") from error


def _open(path: Path) -> mne.io.BaseRaw:
    """Open without loading the samples."""
    import mne

    return mne.io.read_raw(path, preload=False, verbose="ERROR")


def _annotations(raw: mne.io.BaseRaw) -> tuple[Annotation, ...]:
    """Return the annotations from the first sample on; MNE counts them from before it."""
    marks = raw.annotations
    rows = zip(marks.onset, marks.duration, marks.description, strict=True)
    found = [
        Annotation(round(float(onset) - raw.first_time, 9), float(duration), str(text))
        for onset, duration, text in rows
    ]
    return tuple(sorted(found, key=lambda mark: mark.onset_s))
