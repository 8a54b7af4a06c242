"""HDF5 nights of the catalog: DOD (`/signals/<kind>/<label>`) and DCSM (`/channels/<label>`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nights.stages import EPOCH_S
from recordings.recording import Channel, Recording, RecordingError
from recordings.units import to_microvolt

if TYPE_CHECKING:
    import h5py

ROOTS = ("signals", "channels")
_RATE_NAMES = ("fs", "sample_rate", "sampling_rate")
_UNIT_NAMES = ("unit", "units")
DCSM_RATE_HZ = 256  # datasets.yaml, DCSM: the original share holds every channel at 256 Hz
_UV_GROUPS = ("eeg/", "eog/", "emg/", "ecg/")  # datasets.yaml, DOD: microvolts
MAX_DEFLATE = 1040  # deflate cannot pack tighter than 1032 to 1


@dataclass(frozen=True)
class _Stored:
    """Where one signal is and what the file says of it."""

    dataset: str
    label: str
    unit: str
    rate_hz: Fraction
    n_samples: int


class Hdf5Recording(Recording):
    """A night of DOD or DCSM in HDF5; the label of a channel is its path below the root group.

    Raises
    ------
    RecordingError
        If h5py is not installed, the file is damaged, or none of its signals has a known rate.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.start, self.annotations, self.gaps = None, (), ()
        notes: list[str] = []
        with _open(self.path) as file:
            self._stored = _signals(self.path.name, file, notes)
        self.channels = tuple(map(self._channel, range(len(self._stored)), self._stored))
        self.duration_s = max(float(c.n_samples / c.rate_hz) for c in self.channels)
        self.notes = tuple(notes)

    def read(self, which: str | int, dtype: type = np.float32) -> np.ndarray:
        """Return the samples (n,) of one channel in `Channel.unit`, as float32 or float64.

        Raises
        ------
        RecordingError
            If the channel is unknown or its data are damaged.
        """
        channel = self.channel(which)
        stored = self._stored[channel.position]
        with _open(self.path) as file:
            samples = file[stored.dataset][()].astype(dtype)
        samples *= np.dtype(dtype).type(to_microvolt(stored.unit)[1])
        return samples

    def _channel(self, position: int, stored: _Stored) -> Channel:
        """Describe one signal."""
        return Channel(
            position=position,
            label=stored.label,
            rate_hz=stored.rate_hz,
            unit=to_microvolt(stored.unit)[0],
            n_samples=stored.n_samples,
            unit_in_file=stored.unit,
        )


@contextmanager
def _open(path: Path) -> Iterator[h5py.File]:
    """Open a file for a `with` block; whatever is damaged inside it becomes a refusal."""
    try:
        import h5py
    except ImportError:
        reason = "HDF5 needs the package h5py; install requirements-extras.txt"
        raise RecordingError(f"{path.name}: {reason}") from None
    try:
        with h5py.File(path, "r") as file:
            yield file
    except RecordingError:
        raise
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
        # what h5py raises for a missing file, another format, a damaged group or chunk
        raise RecordingError(f"{path.name}: no readable HDF5 file; get it again") from error


def _signals(name: str, file: h5py.File, notes: list[str]) -> tuple[_Stored, ...]:
    """Find the one-dimensional data sets of numbers below the root group, sorted by path."""
    root = next((root for root in ROOTS if root in file), None)
    if root is None:
        reason = f"none of the groups /{' and /'.join(ROOTS)} is there"
        raise RecordingError(f"{name}: {reason}; convert the night to EDF")
    paths: list[str] = []
    file[root].visit(paths.append)
    found = [
        _stored(file, root, path, notes) for path in sorted(paths) if _is_signal(file, root, path)
    ]
    if not found:
        reason = f"no usable signal below /{root} ({'; '.join(notes) or 'no series of numbers'})"
        raise RecordingError(f"{name}: {reason}; convert the night to EDF")
    return tuple(found)


def _is_signal(file: h5py.File, root: str, path: str) -> bool:
    """Whether it is a series of numbers, no larger than what is stored can unpack to."""
    item = file[root][path]
    if getattr(item, "ndim", None) != 1 or item.dtype.kind not in "iuf" or not item.size:
        return False
    return item.nbytes <= item.id.get_storage_size() * MAX_DEFLATE


def _stored(file: h5py.File, root: str, path: str, notes: list[str]) -> _Stored:
    """Describe the data set at `path` below `root`."""
    dataset = file[root][path]
    places = [dataset.attrs, dataset.parent.attrs, file[root].attrs, file.attrs]
    unit = _attribute(places, _UNIT_NAMES)
    if unit is None:
        unit = "uV" if root == "signals" and path.startswith(_UV_GROUPS) else ""
    rate_hz = _rate(file, root, dataset, places, notes)
    text = unit.decode() if isinstance(unit, bytes) else str(unit)
    return _Stored(f"{root}/{path}", path, text, rate_hz, dataset.size)


def _rate(file: Any, root: str, dataset: Any, places: list, notes: list[str]) -> Fraction:
    """Return the rate: an attribute, the hypnogram of the night, or what DCSM documents."""
    told = _attribute(places, _RATE_NAMES)
    if told is not None and 0 < float(told) < 1e6:
        return Fraction(float(told)).limit_denominator(10**6)
    if "hypnogram" in file and file["hypnogram"].size:
        _note(notes, "rate taken from the length of the hypnogram")
        return Fraction(dataset.size, EPOCH_S * file["hypnogram"].size)
    if root == "channels":
        _note(notes, f"rate is not told; {DCSM_RATE_HZ} Hz as DCSM documents it")
        return Fraction(DCSM_RATE_HZ)
    raise RecordingError(f"{Path(file.filename).name}: no rate and no hypnogram; convert it to EDF")


def _attribute(places: list, names: tuple[str, ...]) -> Any:
    """Return the first attribute of one of the names, from the signal up to the file."""
    return next((place[name] for place in places for name in names if name in place), None)


def _note(notes: list[str], text: str) -> None:
    """Keep a note once."""
    if text not in notes:
        notes.append(text)
