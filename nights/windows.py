"""Windows of stored nights as a torch dataset: any channels, any length, masks for what is absent.

A window is a slice of the memory-mapped night, decoded straight into the batch. Where the windows
of a pass lie follows from (seed, pass, night), so nothing is cached or written, and a run can be
repeated exactly, whatever the number of workers::

    windows = NightWindows(paths, ["C4", "E1", "Chin"], 20, seed=1)
    for n in range(n_passes):
        for batch in DataLoader(windows.for_pass(n), 32, shuffle=True, collate_fn=collate):
            ...
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from nights.augment import Augment, Change
from nights.night import Night, NightError, Normalise
from nights.running_scale import scale_night
from nights.stages import EPOCH_S, UNSCORED
from nights.trimming import sleep_stretches

ChannelDraw = Callable[[np.random.Generator, Sequence[str]], Sequence[str]]
NO_CHANGE = Augment()


@dataclass(frozen=True)
class Windows:
    """A batch of B windows of L epochs.

    Parameters
    ----------
    signals : dict
        {channel: float32 (B, L, T)}; 0 where the channel is absent.
    present : dict
        {channel: bool (B, L)}; False where the night lacks the channel, where the recording has a
        gap, and in the padding behind a short window.
    stages : int64 tensor (B, L)
        -1 where nobody scored, and in the padding.
    nights : tuple of str
        `<DATASET>/<rec>` of each window.
    first : int64 tensor (B,)
        Epoch of the night at which each window begins.
    """

    signals: dict[str, torch.Tensor]
    present: dict[str, torch.Tensor]
    stages: torch.Tensor
    nights: tuple[str, ...]
    first: torch.Tensor


class _Source(NamedTuple):
    """One wanted channel of a night: row in the batch, samples as stored (E, T), how to scale."""

    row: int
    stored: torch.Tensor
    gain: float
    shift: torch.Tensor


class NightWindows(Dataset[Windows]):
    """Windows of `n_epochs` epochs, cut from nights of one view.

    Parameters
    ----------
    nights : sequence of Path
        Sidecars of the nights.
    channels : sequence of str
        Channels of a batch; a night that lacks some of them has them masked.
    n_epochs : int or None
        Length L of a window; None takes whole nights.
    stride : int, optional
        Epochs from one window to the next; default: the length, so that windows do not overlap.
    seed : int, optional
        With a seed, the first window of a stretch begins at a random one of its first L epochs,
        drawn anew for each pass; without, at its first epoch.
    trim_epochs : int, optional
        Leave out wake farther than this from sleep (`nights.trimming`); default: no trimming.
    keep_tail : bool
        Keep the epochs that do not fill a window, as a shorter window with padding behind it.
    keep_unscored : bool
        Keep windows without a single scored epoch.
    normalise : str, optional
        See `Night.scaling`; default: what the view of the nights declares, else `none`. `z_running`
        (`nights.running_scale`) is for whole nights: an epoch is scaled by all before it.
    channel_draw : callable, optional
        (generator, channels present) -> channels to keep, for training on changing sets of
        channels; see `crop_channels`, `drop_channels`. Needs a seed.
    augment : Augment
        Shifts, factors and exchanged leads for training, drawn anew for each pass. Needs a seed.

    Raises
    ------
    NightError
        If the nights are of several views, or no night has one of the channels.
    """

    def __init__(
        self,
        nights: Sequence[Path],
        channels: Sequence[str],
        n_epochs: int | None,
        *,
        stride: int | None = None,
        seed: int | None = None,
        trim_epochs: int | None = None,
        keep_tail: bool = False,
        keep_unscored: bool = False,
        normalise: Normalise | None = None,
        channel_draw: ChannelDraw | None = None,
        augment: Augment = NO_CHANGE,
    ) -> None:
        if (channel_draw is not None or augment) and seed is None:
            raise ValueError("channel_draw and augment need a seed")
        if normalise == "z_running" and n_epochs is not None:
            raise ValueError("z_running scales whole nights: n_epochs must be None")
        self.paths = tuple(Path(path) for path in nights)
        self.channels = tuple(channels)
        self.n_epochs, self.stride, self.seed = n_epochs, stride or n_epochs, seed
        self.trim_epochs = trim_epochs
        self.keep_tail, self.keep_unscored = keep_tail or n_epochs is None, keep_unscored
        self.channel_draw, self.augment = channel_draw, augment
        opened = [_open(path) for path in self.paths]
        self._path_of = {night.name: path for night, path in zip(opened, self.paths, strict=True)}
        _check_one_view(opened)
        self.normalise: Normalise = normalise or _declared(opened)
        self._samples = _samples_per_epoch(opened, self.channels)
        self._pass = 0
        self._cut()

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, index: int) -> Windows:
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> Windows:
        """Read windows into one batch; this is how a DataLoader asks for them."""
        rows = self._table[list(indices)]
        n_windows, longest = len(rows), self.n_epochs or int(rows[:, 2].max())
        signals = [torch.empty(n_windows, longest, self._samples[c]) for c in self.channels]
        present = np.zeros((len(self.channels), n_windows, longest), dtype=bool)
        stages = np.full((n_windows, longest), UNSCORED, dtype=np.int64)
        names = []
        for at, (index, first, length) in enumerate(rows.tolist()):
            night = _open(self.paths[index])
            names.append(night.name)
            stages[at, :length] = night.stages[first : first + length]
            blocks = [signal[at] for signal in signals]
            self._read(blocks, present[:, at], night, slice(first, first + length))
        return Windows(
            signals=dict(zip(self.channels, signals, strict=True)),
            present=dict(zip(self.channels, torch.from_numpy(present), strict=True)),
            stages=torch.from_numpy(stages),
            nights=tuple(names),
            first=torch.from_numpy(rows[:, 1].copy()),
        )

    def for_pass(self, number: int) -> NightWindows:
        """Return the windows of another pass over the nights (the same ones without a seed)."""
        other = copy.copy(self)
        other._pass = number
        other._cut()
        return other

    def sidecar(self, name: str) -> Mapping[str, Any]:
        """Return all that is known of the night `<DATASET>/<rec>`."""
        return _open(self._path_of[name]).sidecar

    @property
    def spans(self) -> list[tuple[str, int, int]]:
        """Night, first epoch and number of epochs of every window."""
        names = [_open(path).name for path in self.paths]
        return [(names[index], first, length) for index, first, length in self._table.tolist()]

    @property
    def datasets(self) -> list[str]:
        """Data set of every window."""
        names = [_open(path).sidecar["dataset"] for path in self.paths]
        return [names[index] for index in self._table[:, 0].tolist()]

    def _read(
        self, blocks: list[torch.Tensor], present: np.ndarray, night: Night, epochs: slice
    ) -> None:
        """Fill one window: a block (L, T) and a row of `present` (C, L) for each channel."""
        length, longest = epochs.stop - epochs.start, present.shape[1]
        sources = self._sources(night, epochs.start)
        sources, shift_s = self._changed(sources, night, epochs)
        if len(sources) < len(blocks):
            for row in set(range(len(blocks))).difference(source.row for source in sources):
                blocks[row].zero_()
        for row, stored, gain, shift in sources:
            block = blocks[row]
            if length < longest:
                block[length:].zero_()
                block = block[:length]
            block.copy_(_shifted(stored, epochs, shift_s) if shift_s else stored[epochs])
            # in place, so that the block is still in the cache
            torch.add(shift, block, alpha=gain, out=block)
            present[row, :length] = True
        if night.sidecar["gaps"]:
            self._mask_gaps(blocks, present[:, :length], night.recorded[epochs])
        if self.normalise == "z_running":
            for block, there in zip(blocks, present, strict=True):
                block.copy_(torch.from_numpy(scale_night(block.numpy(), there)))

    def _mask_gaps(
        self, blocks: list[torch.Tensor], present: np.ndarray, recorded: np.ndarray
    ) -> None:
        """Mark the epochs of a window in which nothing was recorded as absent."""
        lost = np.flatnonzero(~recorded)
        present[:, lost] = False
        for block in blocks:
            block[lost] = 0

    def _cut(self) -> None:
        """Lay out the windows of this pass: rows of (night, first epoch, number of epochs)."""
        rows = [self._cut_night(index, _open(path)) for index, path in enumerate(self.paths)]
        self._table = np.concatenate([np.empty((0, 3), np.int64), *rows])

    def _cut_night(self, index: int, night: Night) -> np.ndarray:
        """Return the rows of one night."""
        stretches = [(0, night.n_epochs)]
        if self.trim_epochs is not None:
            stretches = sleep_stretches(night.stages, self.trim_epochs)
        rng = self._generator(night)
        cuts = [self._cut_stretch(first, end, rng) for first, end in stretches]
        spans = np.concatenate([np.empty((0, 2), np.int64), *cuts])
        if not self.keep_unscored:
            scored = np.concatenate([[0], np.cumsum(night.stages != UNSCORED)])
            spans = spans[scored[spans.sum(axis=1)] > scored[spans[:, 0]]]
        return np.column_stack([np.full(len(spans), index), spans])

    def _cut_stretch(self, first: int, end: int, rng: np.random.Generator | None) -> np.ndarray:
        """Return (first epoch, number of epochs) of each window in first..end-1."""
        length, stride = self.n_epochs or end - first, self.stride or end - first
        begin = first + (int(rng.integers(length)) if rng and self.n_epochs else 0)
        firsts = np.arange(begin, end, stride)
        lengths = np.minimum(length, end - firsts)
        full = lengths == length
        # the tail is the first window that is cut short, if the one before did not reach the end
        tail = ~full & (firsts - stride + length < end) | (firsts == begin)
        return np.column_stack([firsts, lengths])[full | (tail & self.keep_tail)]

    def _sources(self, night: Night, first: int) -> Sequence[_Source]:
        """Return the channels to read for the window that begins at `first`."""
        sources = _sources(night.path, self.channels, self.normalise)
        if self.channel_draw is None or (rng := self._generator(night, first)) is None:
            return sources
        present = [self.channels[source.row] for source in sources]
        drawn = set(self.channel_draw(rng, present))
        return [source for source in sources if self.channels[source.row] in drawn]

    def _changed(
        self, sources: Sequence[_Source], night: Night, epochs: slice
    ) -> tuple[Sequence[_Source], float]:
        """Return the channels as they are to be read, and the seconds to read them later."""
        rng = self._generator(night, epochs.start, 1) if self.augment else None
        if rng is None:
            return sources, 0.0
        change = self.augment.draw(rng, [self.channels[source.row] for source in sources])
        shift_s = change.shift_s if _may_shift(night, epochs, change.shift_s) else 0.0
        return [self._moved(source, change) for source in sources], shift_s

    def _moved(self, source: _Source, change: Change) -> _Source:
        """Return a channel with its factor, in the row of the other side where sides swap."""
        name = self.channels[source.row]
        gain, place = change.gains.get(name, 1.0), change.place(name, self.channels)
        return source._replace(
            row=self.channels.index(place), gain=source.gain * gain, shift=source.shift * gain
        )

    def _generator(self, night: Night, *more: int) -> np.random.Generator | None:
        """Return the generator of (seed, pass, night), None without a seed."""
        if self.seed is None:
            return None
        return np.random.default_rng(
            [self.seed, self._pass, zlib.crc32(night.name.encode()), *more]
        )


def collate(parts: Windows | Sequence[Windows]) -> Windows:
    """Put batches into one, padding shorter windows with masked epochs.

    Give it to a DataLoader as `collate_fn`; a batch that was read as one passes through untouched.
    """
    if isinstance(parts, Windows):
        return parts
    longest = max(part.stages.shape[1] for part in parts)
    signals, present = (
        {c: torch.cat([_pad(getattr(p, what)[c], longest, 0) for p in parts]) for c in channels}
        for what, channels in (("signals", parts[0].signals), ("present", parts[0].present))
    )
    stages = torch.cat([_pad(part.stages, longest, UNSCORED) for part in parts])
    nights = tuple(name for part in parts for name in part.nights)
    return Windows(signals, present, stages, nights, torch.cat([part.first for part in parts]))


def crop_channels(rng: np.random.Generator, channels: Sequence[str]) -> list[str]:
    """Keep k of the C channels, k uniform in 1..C: the draw of LPSGM's published code."""
    if not channels:
        return []
    return rng.permutation(channels)[: rng.integers(1, len(channels) + 1)].tolist()


def drop_channels(rng: np.random.Generator, channels: Sequence[str]) -> list[str]:
    """Drop each channel with probability 0.5 but keep one: the draw of the LPSGM paper."""
    if not channels:
        return []
    kept = [channel for channel in channels if rng.random() < 0.5]
    return kept or [channels[int(rng.integers(len(channels)))]]


def _pad(tensor: torch.Tensor, length: int, value: float) -> torch.Tensor:
    """Lengthen axis 1 of (B, L, ...) to `length`."""
    missing = length - tensor.shape[1]
    if not missing:
        return tensor
    shape = (tensor.shape[0], missing, *tensor.shape[2:])
    return torch.cat([tensor, tensor.new_full(shape, value)], dim=1)


def _may_shift(night: Night, epochs: slice, shift_s: float) -> bool:
    """Tell whether all that a shifted window would touch lies in the night and was recorded."""
    first, end = epochs.start - (shift_s < 0), epochs.stop + (shift_s > 0)
    if first < 0 or end > night.n_epochs:
        return False
    return not night.sidecar["gaps"] or bool(night.recorded[first:end].all())


def _shifted(stored: torch.Tensor, epochs: slice, shift_s: float) -> torch.Tensor:
    """Return epochs (L, T) of a channel (E, T) read `shift_s` later, to the nearest sample."""
    n_samples = stored.shape[1]
    begin = epochs.start * n_samples + round(shift_s * n_samples / EPOCH_S)
    n_epochs = epochs.stop - epochs.start
    return stored.reshape(-1)[begin : begin + n_epochs * n_samples].view(n_epochs, n_samples)


@lru_cache(maxsize=1024)  # a mapping costs address space and 0.3 ms, not memory
def _open(path: Path) -> Night:
    """Open a night once per process."""
    return Night.open(path)


def _check_one_view(nights: Sequence[Night]) -> None:
    """Refuse nights of several views."""
    for night in nights[1:]:
        view = nights[0].sidecar["view"]
        night.check_view(view["name"], view["hash"], f"a batch with night {nights[0].name!r}")


def _declared(nights: Sequence[Night]) -> Normalise:
    """Return the normalisation that the view of the nights declares."""
    return nights[0].sidecar["view"].get("normalise", "none") if nights else "none"


def _samples_per_epoch(nights: Sequence[Night], channels: Sequence[str]) -> dict[str, int]:
    """Return the samples per epoch of each channel, from the first night that has it."""
    found = {}
    for channel in channels:
        night = next((night for night in nights if channel in night.channels), None)
        if night is None:
            raise NightError(f"channel {channel!r} is in none of the {len(nights)} nights")
        found[channel] = night.samples_per_epoch(channel)
    return found


@lru_cache(maxsize=1024)
def _sources(path: Path, channels: tuple[str, ...], normalise: Normalise) -> tuple[_Source, ...]:
    """Return what a night has of the wanted channels."""
    night, sources = _open(path), []
    for row, channel in enumerate(channels):
        if channel in night.channels:
            stored = torch.from_numpy(night.stored(channel))
            gain, shift = night.scaling(channel, normalise)
            sources.append(_Source(row, stored, gain, torch.tensor(shift)))
    return tuple(sources)
