"""One stored night, mapped into memory: a window of it is a slice, decoded to float32 when read.

`nights.store` writes nights and describes the files.
"""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from nights.events import Event
from nights.hypnogram import Hypnogram
from nights.samples import decode

SCHEMA = 1
Normalise = Literal[
    "none", "z", "z_staged", "z_padded", "z_recorded", "z_running", "robust", "robust_staged"
]
_STATISTICS = {"z": ("mean", "std"), "robust": ("median", "iqr")}  # centre and scale of each rule


class NightError(ValueError):
    """A night cannot be written, opened or trusted; the message names it and the reason."""


@dataclass(frozen=True, eq=False)
class Night:
    """One stored night, its arrays mapped into memory.

    Parameters
    ----------
    path : Path
        The sidecar `<rec>.json`.
    sidecar : mapping
        Everything that is known of the night besides its arrays.
    signals : mapping
        {group: float16 or float32 array (C, E, S)}; use `read` for samples in float32.
    labels : int8 array (1 + K, E)
        Stages, then seconds of each type of event in `sidecar["event_types"]`.
    """

    path: Path
    sidecar: Mapping[str, Any]
    signals: Mapping[str, np.ndarray]
    labels: np.ndarray

    @classmethod
    def open(cls, path: Path | str) -> Night:
        """Open the night of the sidecar `path`; no sample is read.

        Raises
        ------
        NightError
            If a file is missing, cut short, or does not have the shape the sidecar gives.
        """
        path = Path(path)
        sidecar = read_sidecar(path)
        rec, n_epochs = sidecar["rec"], sidecar["n_epochs"]
        signals = {}
        for name, group in sidecar["groups"].items():
            shape = (len(group["channels"]), n_epochs, group["samples_per_epoch"])
            signals[name] = _map(path.with_name(f"{rec}.{name}.npy"), shape, group["dtype"])
        n_rows = 1 + len(sidecar["event_types"] or ())
        labels = _map(path.with_name(f"{rec}.lab.npy"), (n_rows, n_epochs), "int8")
        return cls(path, sidecar, signals, labels)

    def __reduce__(self) -> tuple[Any, ...]:
        # a loader's worker maps the files itself; shipping the arrays would copy the night
        return Night.open, (self.path,)

    @cached_property
    def name(self) -> str:
        """`<DATASET>/<rec>`: the name of a night in manifests and splits."""
        return f"{self.sidecar['dataset']}/{self.sidecar['rec']}"

    @property
    def n_epochs(self) -> int:
        """Number of epochs E."""
        return self.labels.shape[1]

    @property
    def stages(self) -> np.ndarray:
        """Int8 array (E,), -1 where nobody scored."""
        return self.labels[0]

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels of all groups."""
        return tuple(self._places)

    @cached_property
    def recorded(self) -> np.ndarray:
        """Bool array (E,): False for epochs that lie in a gap of the recording."""
        recorded = np.ones(self.n_epochs, dtype=bool)
        for first, n_epochs in self.sidecar["gaps"]:
            recorded[first : first + n_epochs] = False
        return recorded

    @property
    def hypnogram(self) -> Hypnogram:
        """The scoring with its clock."""
        known = self.sidecar
        return Hypnogram(
            stages=np.array(self.stages),
            start=datetime.fromisoformat(known["start"]) if known["start"] else None,
            onset_s=known["onset_s"],
            lights_off_s=known["lights_off_s"],
            lights_on_s=known["lights_on_s"],
            classes=tuple(known["classes"]),
            epoch_s=known["epoch_s"],
            scorer=known["scorer"],
            notes=tuple(known["notes"]),
        )

    @property
    def events(self) -> list[Event]:
        """Events by onset; empty when none were scored."""
        if self.sidecar["event_types"] is None:
            return []
        with self._beside("events.csv").open(newline="", encoding="utf-8") as rows:
            return [
                Event(float(row["onset_s"]), float(row["duration_s"]), row["type"])
                for row in csv.DictReader(rows)
            ]

    def samples_per_epoch(self, channel: str) -> int:
        """Return the number of samples S in one epoch of `channel`."""
        return self.stored(channel).shape[1]

    def stored(self, channel: str) -> np.ndarray:
        """Return one channel as it lies on disk, float16 or float32 (E, S), `offset` taken off."""
        group, row = self._place(channel)
        return self.signals[group][row]

    def read(
        self,
        channels: Iterable[str] | None = None,
        first: int = 0,
        n_epochs: int | None = None,
        *,
        normalise: Normalise = "none",
    ) -> dict[str, np.ndarray]:
        """Return {channel: float32 array (n_epochs, S)} of a stretch of epochs.

        Parameters
        ----------
        channels : iterable of str, optional
            Default: all of the night.
        first, n_epochs : int
            The stretch; default: from the first epoch, to the end.
        normalise : str
            See `scaling`.

        Raises
        ------
        NightError
            For a channel the night does not have, or a stretch that leaves it.
        """
        n_epochs = self.n_epochs - first if n_epochs is None else n_epochs
        read = {}
        for channel in self.channels if channels is None else channels:
            out = np.empty((n_epochs, self.samples_per_epoch(channel)), dtype=np.float32)
            self.read_into(out, channel, first, normalise=normalise)
            read[channel] = out
        return read

    def read_into(
        self, out: np.ndarray, channel: str, first: int, *, normalise: Normalise = "none"
    ) -> None:
        """Decode epochs from `first` on into `out`, a float32 array (n_epochs, S).

        Epochs that lie in a gap of the recording become 0 after normalisation.
        """
        end = first + len(out)
        if not 0 <= first <= end <= self.n_epochs:
            raise NightError(f"night {self.name!r} has {self.n_epochs} epochs, not {first}..{end}")
        decode(self.stored(channel)[first:end], out, *self.scaling(channel, normalise))
        if self.sidecar["gaps"]:
            out[~self.recorded[first:end]] = 0

    def scaling(self, channel: str, normalise: Normalise) -> tuple[float, float]:
        """Return (gain, shift): a normalised sample is stored * gain + shift.

        `none` gives physical units, `z` and `z_recorded` (x - mean) / std over the recorded
        epochs, `robust` (x - median) / IQR. `_staged` takes the statistics of the epochs that hold
        a stage, `_padded` those of the night cut or filled up with zeros to ten hours (wav2sleep).
        `z_running` changes from epoch to epoch (`nights.running_scale`): here it is `none`.

        Raises
        ------
        NightError
            If the night has no such statistics: no epoch holds a stage, or the scale is 0.
        """
        group, row = self._place(channel)
        known = self.sidecar["groups"][group]["channels"][row]
        if normalise in ("none", "z_running"):
            return 1.0, known["offset"]
        if normalise not in get_args(Normalise):
            listed = ", ".join(get_args(Normalise))
            raise NightError(f"no normalisation {normalise!r} when nights are read; only {listed}")
        rule, _, part = normalise.partition("_")
        figures = known[part] if part in ("staged", "padded") else known
        centre, scale = (figures[name] for name in _STATISTICS[rule])
        if not scale:
            raise NightError(
                f"night {self.name!r}: {channel} has no {_STATISTICS[rule][1]} to divide by"
            )
        return 1.0 / scale, (known["offset"] - centre) / scale

    def check_view(self, name: str, view_hash: str, reader: str) -> None:
        """Refuse to be read by `reader`, which wants nights of another view.

        Raises
        ------
        NightError
            Naming both views.
        """
        view = self.sidecar["view"]
        if view["hash"] != view_hash:
            raise NightError(
                f"night {self.name!r} is of view {view['name']!r} ({view['hash'][:8]}), {reader} "
                f"reads view {name!r} ({view_hash[:8]}): preprocess the data set with that view"
            )

    def verify(self) -> None:
        """Read every byte and compare the checksums.

        Raises
        ------
        NightError
            Naming the file whose content is not what was written.
        """
        arrays = {f"{name}.npy": array for name, array in self.signals.items()}
        arrays["lab.npy"] = self.labels
        for ending, crc32 in self.sidecar["crc32"].items():
            path = self._beside(ending)
            content = arrays[ending].data if ending in arrays else path.read_bytes()
            if zlib.crc32(content) != crc32:
                raise NightError(f"{path}: not what was written; preprocess the night again")

    def _beside(self, ending: str) -> Path:
        """Return the path of another file of this night."""
        return self.path.with_name(f"{self.sidecar['rec']}.{ending}")

    @cached_property
    def _places(self) -> dict[str, tuple[str, int]]:
        """Group and row of every channel."""
        return {
            channel["name"]: (name, row)
            for name, group in self.sidecar["groups"].items()
            for row, channel in enumerate(group["channels"])
        }

    def _place(self, channel: str) -> tuple[str, int]:
        """Return group and row of a channel, or say which channels there are."""
        if channel not in self._places:
            listed = ", ".join(self.channels)
            raise NightError(f"night {self.name!r}: no channel {channel!r}; it has {listed}")
        return self._places[channel]


def read_sidecar(path: Path) -> dict[str, Any]:
    """Return what the sidecar of a night says.

    Raises
    ------
    NightError
        If there is none, or it is not a sidecar of this schema.
    """
    try:
        sidecar = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NightError(f"{path}: no such night (it has no sidecar)") from None
    except ValueError as error:
        raise NightError(f"{path}: not a sidecar: {error}") from None
    schema = sidecar.get("schema") if isinstance(sidecar, dict) else None
    if schema != SCHEMA:
        raise NightError(f"{path}: sidecar of schema {schema}, wanted {SCHEMA}")
    return sidecar


def _map(path: Path, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Map an array into memory and check that it is the one the sidecar describes."""
    try:
        # "c": a private writable mapping, which torch takes without a warning; the file is safe
        array = np.load(path, mmap_mode="c")
    except (OSError, ValueError) as error:
        raise NightError(f"{path}: cannot be opened: {error}") from None
    if array.shape != shape or array.dtype != dtype:
        raise NightError(f"{path}: {array.dtype} {array.shape}, the sidecar says {dtype} {shape}")
    return np.asarray(array)  # a plain view: slicing np.memmap itself costs 4 us each time
