"""Reading 9 of 12 channels of an 8-hour night: ours, pyedflib, and the way LPSGM reads.

The file is written on the fly: 12 channels at 256 Hz in records of 1 s, 177 MB.

    python -m benchmarks.edf_reading
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.measure import measure, table
from recordings.edf import EdfRecording

HOURS, RATE_HZ, GOAL_S = 8, 256, 0.10
LABELS = [
    *["F3-M2", "F4-M1", "C3-M2", "C4-M1", "O1-M2", "O2-M1", "E1-M2", "E2-M2", "Chin"],
    *["ECG", "ABD", "THX"],
]
WANTED = LABELS[:9]


def write_night(path: Path) -> None:
    """Write the file with pyedflib, which is no part of what is measured."""
    import pyedflib

    rng = np.random.default_rng(0)
    heads = [
        {"label": label, "dimension": "uV", "sample_frequency": RATE_HZ}
        | {"physical_min": -500, "physical_max": 500, "digital_min": -32768, "digital_max": 32767}
        for label in LABELS
    ]
    with pyedflib.EdfWriter(str(path), len(LABELS), pyedflib.FILETYPE_EDF) as writer:
        writer.setSignalHeaders(heads)
        for _ in range(HOURS * 3600):
            record = rng.integers(-4000, 4000, RATE_HZ * len(LABELS), dtype=np.int32)
            writer.blockWriteDigitalSamples(record)


def ours(path: Path) -> dict[str, np.ndarray]:
    """Read through the memory map, float32."""
    recording = EdfRecording(path)
    return {label: recording.read(label) for label in WANTED}


def with_pyedflib(path: Path) -> dict[str, np.ndarray]:
    """Read physical values with pyedflib, float64."""
    import pyedflib

    with pyedflib.EdfReader(str(path)) as reader:
        places = {label: i for i, label in enumerate(reader.getSignalLabels())}
        return {label: reader.readSignal(places[label]) for label in WANTED}


def as_lpsgm(path: Path) -> np.ndarray:
    """Read through MNE and a data frame, as the published preprocessing does, float64."""
    import mne

    raw = mne.io.read_raw_edf(path, include=WANTED, verbose="ERROR")
    return raw.to_data_frame().to_numpy()


def one_copy(path: Path) -> np.ndarray:
    """Copy as many bytes as the file has: the limit."""
    if "source" not in _KEPT:
        _KEPT["source"] = np.ones(path.stat().st_size, np.uint8)
        _KEPT["target"] = np.empty_like(_KEPT["source"])
    np.copyto(_KEPT["target"], _KEPT["source"])
    return _KEPT["target"]


_KEPT: dict[str, np.ndarray] = {}
WAYS = {
    "ours, float32": ours,
    "pyedflib, float64": with_pyedflib,
    "LPSGM: MNE and a data frame, float64": as_lpsgm,
    "one copy of the file in memory": one_copy,
}


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "night.edf"
        write_night(path)
        timings = {name: measure(way, path, repeat=5) for name, way in WAYS.items()}
        megabytes = path.stat().st_size / 1e6
    best_s = timings["ours, float32"].cpu_s
    rows = [[name, t.cpu_s, t.cpu_s / best_s, t.peak_mb] for name, t in timings.items()]
    head = ["way", "CPU s", "ratio to ours", "peak MB"]
    print(table(f"9 of 12 channels of {HOURS} h, {megabytes:.0f} MB", head, rows))
    print(f"goal: {GOAL_S:.2f} CPU s; {'reached' if best_s <= GOAL_S else 'missed'}")


if __name__ == "__main__":
    main()
