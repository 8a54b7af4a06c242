"""Small HDF5 files in the layouts of the data sets that use them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tests.makers.scoring_text import AASM

P2018_STAGES = {"W": "wake", "1": "nonrem1", "2": "nonrem2", "3": "nonrem3", "R": "rem"}


def signals_h5(
    root: str,
    rates_hz: Mapping[str, float],
    epochs: int,
    *,
    stages: str | None = None,
) -> Callable[[Path], None]:
    """Return what writes noise of 30 uV below `root`, and the hypnogram of DOD if `stages`."""

    def write(path: Path) -> None:
        import h5py

        rng = np.random.default_rng(len(path.name))
        with h5py.File(path, "w") as file:
            for label, rate_hz in rates_hz.items():
                samples = rng.normal(0, 30, round(epochs * 30 * rate_hz))
                file[f"{root}/{label}"] = samples.astype(np.float32)
            if stages is not None:
                file["hypnogram"] = np.array([int(AASM[s]) for s in stages], dtype=np.int64)

    return write


def p2018_arousal(
    stages: str, *, rate_hz: int = 200, arousals: Sequence[tuple[float, float]] = ()
) -> Callable[[Path], None]:
    """Return what writes the scoring of the 2018 challenge: a value per sample, MAT v7.3.

    `?` sets `undefined`, a blank none of the vectors; arousals are (onset_s, duration_s).
    """

    def write(path: Path) -> None:
        import h5py

        per_sample = np.repeat(list(stages), 30 * rate_hz)
        aroused = np.where(per_sample == "W", -1, 0).astype(np.int32)
        for onset_s, duration_s in arousals:
            first = round(onset_s * rate_hz)
            aroused[first : first + round(duration_s * rate_hz)] = 1
        with h5py.File(path, "w", userblock_size=512) as file:
            for letter, name in {**P2018_STAGES, "?": "undefined"}.items():
                vector = (per_sample == letter).astype(np.uint8)
                file[f"data/sleep_stages/{name}"] = vector[:, None]
            file["data/arousals"] = aroused[:, None]
        head = b"MATLAB 7.3 MAT-file".ljust(512)
        path.write_bytes(head + path.read_bytes()[512:])

    return write
