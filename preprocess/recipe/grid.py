"""Signals cut on the epochs of the scoring, which need not begin at the first sample.

A scoring may begin at a fraction of a second (NCHSDB, MASS) or come in pages of 20 s (MASS SS2,
SS4, SS5), for which a window of 30 s stands with 5 s of signal on each side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nights.hypnogram import Hypnogram
from nights.stages import EPOCH_S
from recordings.recording import Recording, RecordingError
from recordings.scoring import page_windows

Edge = Literal["shift", "drop"]


@dataclass(frozen=True, eq=False)
class Grid:
    """The epochs of a night: their stages, and where their 30 s of signal begin.

    Parameters
    ----------
    hypnogram : Hypnogram
        E epochs, of 30 s or pages of 20 s.
    onsets_s : float64 array (E,)
        Seconds from the first sample to the window of each epoch.
    gaps : bool array (E,)
        True where the window touches a pause of the recording.
    """

    hypnogram: Hypnogram
    onsets_s: np.ndarray
    gaps: np.ndarray

    def cut(self, signal: np.ndarray) -> np.ndarray:
        """Return the windows (E, S) of a signal (n, S) that was cut from the first sample on."""
        per_epoch = signal.shape[1]
        first = np.rint(self.onsets_s * per_epoch / EPOCH_S).astype(np.int64)
        flat = signal.reshape(-1)
        if np.all(np.diff(first) == per_epoch):
            return flat[first[0] : first[0] + len(first) * per_epoch].reshape(-1, per_epoch)
        return np.lib.stride_tricks.sliding_window_view(flat, per_epoch)[first]


def grid_of(recording: Recording, hypnogram: Hypnogram | None, *, edge: Edge = "shift") -> Grid:
    """Return the epochs of a recording whose 30 s of signal lie within it.

    Parameters
    ----------
    recording : Recording
        Its start, its length and its gaps are asked for.
    hypnogram : Hypnogram or None
        The scoring on its own grid; None when nobody scored.
    edge : {"shift", "drop"}
        What becomes of the windows of 20 s pages that reach beyond the recording.

    Raises
    ------
    RecordingError
        If no epoch of the scoring lies within the recording.
    """
    recorded_s = recording.duration_s
    if hypnogram is None:
        n_epochs = int(recorded_s / EPOCH_S + 1e-6)
        hypnogram = Hypnogram(np.full(n_epochs, -1, dtype=np.int8), start=recording.start)
    if hypnogram.epoch_s < EPOCH_S:
        onsets_s, kept = page_windows(hypnogram, recorded_s, edge=edge)
    else:
        onsets_s = hypnogram.onsets_s
        kept = np.flatnonzero((onsets_s > -1e-3) & (onsets_s + EPOCH_S < recorded_s + 1e-3))
        onsets_s = onsets_s[kept]
    if not len(kept):
        raise RecordingError(f"{recording.path.name}: no epoch of the scoring lies within it")
    begin_s = hypnogram.onset_s + float(kept[0]) * hypnogram.epoch_s
    return Grid(hypnogram.on_grid(begin_s, len(kept)), onsets_s, _touched(recording, onsets_s))


def groups_of(windows: Mapping[str, np.ndarray]) -> dict[str, tuple[list[str], list[np.ndarray]]]:
    """Group signals (E, S) by S for the store: `sig` the fastest, `sig_256` and so on."""
    lengths = sorted({window.shape[1] for window in windows.values()}, reverse=True)
    groups = {}
    for length in lengths:
        names = [name for name, window in windows.items() if window.shape[1] == length]
        groups["sig" if length == lengths[0] else f"sig_{length}"] = (
            names,
            [windows[name] for name in names],
        )
    return groups


def _touched(recording: Recording, onsets_s: np.ndarray) -> np.ndarray:
    """Return a bool array (E,): windows that touch a pause of the recording."""
    touched = np.zeros(len(onsets_s), dtype=bool)
    for from_s, to_s in recording.gaps:
        touched |= (onsets_s < to_s - 1e-9) & (onsets_s + EPOCH_S > from_s + 1e-9)
    return touched
