"""Reading training windows: from the night itself, against a second copy of the corpus.

    python -m benchmarks.window_reading

A window is 20 epochs of 9 channels at 100 Hz, z-scored, as float32 tensors with stages and masks.
The published way cuts every window into a file of its own (float32 npz), writes those files anew
for every pass and reads them whole; it is written here from its description. All read the same
windows in the same random order, the files in the page cache. The limit is one copy of a window in
memory, at the speed measured in the same run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.measure import copy_gb_per_s, measure, table
from nights.hypnogram import Hypnogram
from nights.night import Night
from nights.store import write_night

CHANNELS = ("F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2", "Chin")
N_EPOCHS, N_SAMPLES, LENGTH = 960, 3000, 20
N_WINDOWS = N_EPOCHS // LENGTH
WINDOW_MB = len(CHANNELS) * LENGTH * N_SAMPLES * 4 / 1e6
VIEW = {"name": "psg9", "hash": "0" * 64, "normalise": "z"}


def from_the_night(path: Path, n_together: int) -> None:
    """Read every window of the night, in batches."""
    import torch

    from nights.windows import NightWindows

    torch.set_num_threads(1)
    windows = NightWindows([path], CHANNELS, LENGTH)
    order = _order()
    for at in range(0, N_WINDOWS, n_together):
        windows.__getitems__(order[at : at + n_together])


def from_npz(folder: Path, n_together: int) -> None:
    """Read the published cut windows and stack them."""

    def read(number: int) -> tuple[np.ndarray, ...]:
        with np.load(folder / f"{number}.npz") as file:
            return file["sig"], file["ano"], file["ch_id"]

    _stack_all(read, n_together)


def from_npy(folder: Path, n_together: int) -> None:
    """Read cut windows kept as plain npy files (signals only) and stack them."""
    _stack_all(lambda number: (np.load(folder / f"{number}.npy"),), n_together)


def rewrite_npz(path: Path, folder: Path) -> None:
    """Write the cut windows of one night, as the published training does in every pass."""
    night = Night.open(path)
    signals = np.stack(list(night.read(CHANNELS, normalise="z").values()), axis=1)  # (E, C, T)
    stages, ids = night.stages.astype(np.int64), np.arange(len(CHANNELS))
    for number in range(N_WINDOWS):
        part = slice(number * LENGTH, (number + 1) * LENGTH)
        np.savez(folder / f"{number}.npz", sig=signals[part], ano=stages[part], ch_id=ids)


def _stack_all(read: Callable[[int], tuple[np.ndarray, ...]], n_together: int) -> None:
    """Read every window by its number and stack them in batches, as a DataLoader does."""
    import torch

    torch.set_num_threads(1)
    order = _order()
    for at in range(0, N_WINDOWS, n_together):
        parts = [read(number) for number in order[at : at + n_together]]
        for arrays in zip(*parts, strict=True):
            torch.stack([torch.from_numpy(array) for array in arrays])


def _order() -> list[int]:
    """Return the numbers of all windows in a random order."""
    return np.random.default_rng(0).permutation(N_WINDOWS).tolist()


def _make_night(root: Path) -> Path:
    """Write a night of noise."""
    rng = np.random.default_rng(0)
    samples = [30 * rng.standard_normal((N_EPOCHS, N_SAMPLES), dtype=np.float32) for _ in CHANNELS]
    hypnogram = Hypnogram(rng.integers(0, 5, N_EPOCHS))
    signals = {"sig": (CHANNELS, samples)}
    return write_night(root, "BENCH", "night", signals, hypnogram, view=VIEW, person="nobody")


def main() -> None:
    """Print the table."""
    limit_ms = WINDOW_MB / copy_gb_per_s()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        path = _make_night(root)
        rewrite_npz(path, root)
        for number in range(N_WINDOWS):
            np.save(root / f"{number}.npy", np.load(root / f"{number}.npz")["sig"])
        stored_mb = path.with_suffix(".sig.npy").stat().st_size / 1e6
        copied_mb = stored_mb + N_WINDOWS * WINDOW_MB
        ways = {
            "the night itself (ours)": (partial(from_the_night, path), stored_mb),
            "cut windows, npy": (partial(from_npy, root), copied_mb),
            "cut windows, npz (published)": (partial(from_npz, root), copied_mb),
        }
        rows: list[tuple] = [("limit: one copy in memory", "", limit_ms, 1.0, "")]
        for n_together in (1, 16):
            for name, (way, on_disk_mb) in ways.items():
                timing = measure(way, n_together, repeat=9)
                each_ms = 1e3 * timing.cpu_s / N_WINDOWS
                rows.append((name, n_together, each_ms, each_ms / limit_ms, on_disk_mb))
        each_ms = 1e3 * measure(rewrite_npz, path, root).cpu_s / N_WINDOWS
        rows.append(("and writing them each pass", "", each_ms, each_ms / limit_ms, ""))
    head = ("windows from", "in a batch", "CPU ms each", "x limit", "MB on disk")
    print(table("Training windows of 20 epochs x 9 channels", head, rows))


if __name__ == "__main__":
    main()
