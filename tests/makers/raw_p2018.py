"""P2018 in miniature: WFDB headers over MAT v4, stages per sample, samples that no vector sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.makers.hdf5_files import p2018_arousal
from tests.makers.raw_folders import File, Night, RawFolder

RATE_HZ = 200
GAINS = {  # label: (steps per unit, offset in steps, unit)
    **dict.fromkeys(("F3-M2", "F4-M1", "C3-M2", "C4-M1", "O1-M2", "O2-M1"), (1, 0, "uV")),
    "E1-M2": (1, -12, "uV"),
    **dict.fromkeys(("Chin1-Chin2", "ABD", "CHEST", "AIRFLOW"), (1, 0, "uV")),
    "SaO2": (100, -32768, "%"),
    "ECG": (1000, 0, "mV"),
}
ALL = {"F3", "F4", "C3", "C4", "O1", "O2", "E1", "Chin"}


def signals(epochs: int) -> Callable[[Path], None]:
    """Return what writes the matrix `val` of one record."""

    def write(path: Path) -> None:
        from scipy.io import savemat

        rng = np.random.default_rng(len(path.name))
        stored = rng.normal(0, 30, (len(GAINS), epochs * 30 * RATE_HZ)).astype(np.int16)
        savemat(path, {"val": stored}, format="4")

    return write


def header(night: str, epochs: int) -> str:
    """Return the header of one record: 24 bytes of matrix head, then 16 bits a sample."""
    lines = [f"{night} {len(GAINS)} {RATE_HZ} {epochs * 30 * RATE_HZ}"]
    lines += [
        f"{night}.mat 16+24 {gain}({offset})/{unit} 16 0 0 0 0 {label}"
        for label, (gain, offset, unit) in GAINS.items()
    ]
    return "\n".join(lines) + "\n"


def record(night: str, scoring: Callable[[Path], None], epochs: int) -> dict[str, File]:
    """Return the three files of one record."""
    stem = f"training/{night}/{night}"
    return {
        f"{stem}.mat": signals(epochs),
        f"{stem}.hea": header(night, epochs),
        f"{stem}-arousal.mat": scoring,
    }


FOLDER = RawFolder(
    files={
        **record("tr03-0005", p2018_arousal("W123R?", arousals=[(75, 4), (130.5, 10)]), 6),
        **record("tr12-0100", p2018_arousal("  W22R"), 6),
        "test/te03-0001/te03-0001.mat": signals(2),
        "test/te03-0001/te03-0001.hea": header("te03-0001", 2),
    },
    nights=(
        Night(
            "tr03-0005",
            "p2018-tr03-0005",
            "W123R?",
            ALL,
            events=((75.0, 4.0, "arousal"), (130.5, 10.0, "arousal")),
            taken={"Chin": "'Chin1-Chin2'"},
        ),
        Night("tr12-0100", "p2018-tr12-0100", "??W22R", ALL, events=()),
    ),
    views=("psg9", "shhs7"),
)
