"""Raw file to stored night: ours and the published way of three systems, and how processes scale.

Ours is everything `main_preprocess.py run` does with a night: header, channels, scoring, signals,
float16 arrays, statistics, checksums, sidecar, each file synced to the disk. The published ways are
written from the specification and stop at an uncompressed .npz (the systems write .npz or Parquet,
which costs them more); their scoring is not read at all. Run `python -m benchmarks.preprocess`.
"""

from __future__ import annotations

import os
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.edf_to_view import (
    CARDIAC,
    HOURS,
    LEADS,
    PAIRS,
    published_lpsgm,
    published_wav2sleep,
    write_edf,
)
from benchmarks.measure import Timing, copy_gb_per_s, measure, table

SHHS = {
    **{"SaO2": 1, "H.R.": 1, "EEG(sec)": 125, "ECG": 125, "EMG": 125, "EOG(L)": 50, "EOG(R)": 50},
    **{"EEG": 125, "THOR RES": 10, "ABDO RES": 10, "POSITION": 1, "LIGHT": 1, "NEW AIR": 10},
}
SYNTHSLEEPNET = {  # label: (low, high) of its band-pass in Hz
    **dict.fromkeys(("EEG(sec)", "EEG", "EOG(L)", "EOG(R)"), (0.5, 40.0)),
    **{"ECG": (3.0, 30.0), "EMG": (25.0, 49.0), "NEW AIR": (0.05, 1.0)},
}
EPOCHS = int(HOURS * 120)


def night_of(path: str, channels: dict) -> tuple:
    """Return the raw night of a file with a list of codes beside it, and its data set."""
    from preprocess.dataset import DatasetSpec, RawNight, Source

    spec = DatasetSpec("Bench", "made here", Source("private"), channels)
    signals = Path(path)
    return RawNight(signals.stem, signals.stem, signals, signals.with_suffix(".txt")), spec


def ours(path: str, view: str, channels: dict) -> None:
    """Make one stored night."""
    from preprocess.recipe.conversion import Order, convert

    night, spec = night_of(path, channels)
    order = Order(Path(path).parent / "data", (view,), force=True)
    result = convert(night, spec, order)
    if result.failed:
        raise SystemExit(next(iter(result.failed.values())).reason)


def lpsgm(path: str) -> None:
    """Read as LPSGM does and keep the result."""
    np.savez(Path(path).with_suffix(".lpsgm.npz"), **published_lpsgm(path))


def wav2sleep(path: str) -> None:
    """Read as wav2sleep does and keep the result."""
    np.savez(Path(path).with_suffix(".wav2sleep.npz"), **published_wav2sleep(path))


def synthsleepnet(path: str) -> None:
    """Read as SynthSleepNet does: every epoch resampled and filtered by itself, robust scaling."""
    import mne
    from scipy.signal import resample

    raw = mne.io.read_raw_edf(path, preload=True, verbose="error")
    kept = {}
    for label, (low, high) in SYNTHSLEEPNET.items():
        epochs = raw.get_data(picks=[label])[0].reshape(EPOCHS, -1)
        filtered = mne.filter.filter_data(
            resample(epochs, 3000, axis=1), 100.0, low, high, pad="edge", verbose="error"
        )
        quarter, median, three_quarters = np.percentile(filtered, (25, 50, 75))
        kept[label] = (filtered - median) / (three_quarters - quarter)
    np.savez(Path(path).with_suffix(".synthsleepnet.npz"), **kept)


def copied(path: str) -> None:
    """Read and write the bytes of a file once: nothing can be quicker."""
    Path(path).with_suffix(".copy").write_bytes(Path(path).read_bytes())


def compare(title: str, mine: Timing, theirs: Timing, limit: Timing, goal: float) -> str:
    """Return the table of one system."""
    rows = [
        (way, took.cpu_s, HOURS / took.cpu_s, took.cpu_s / mine.cpu_s, took.peak_mb)
        for way, took in (("ours", mine), ("published", theirs), ("copy the file", limit))
    ]
    head = ("way", "CPU s a night", "hours per CPU s", "times ours", "peak MB more than at start")
    return table(f"{title} (goal: {goal:g} times quicker)", head, rows)


def scaling(folder: Path, path: Path) -> str:
    """Return hours of recording per second of the clock over 1, 2 and 4 processes."""
    from preprocess.dataset import RawNight
    from preprocess.recipe.conversion import Order, convert
    from preprocess.recipe.workers import each

    one, spec = night_of(str(path), {target: [pair] for target, pair in PAIRS.items()})
    nights = [RawNight(f"n{k}", f"n{k}", one.signals, one.scoring) for k in range(8)]
    rows = []
    for n_workers in (1, 2, 4):
        order = Order(folder / f"scaling{n_workers}", ("psg9",))
        began = time.perf_counter()
        list(each(partial(convert, spec=spec, order=order), nights, n_workers))
        took_s = time.perf_counter() - began
        rows.append((n_workers, took_s, len(nights) * HOURS / took_s))
    head = ("processes", "seconds for 8 nights, start of Python included", "hours per second")
    return table(f"psg9 over processes, {os.cpu_count()} cores (shared)", head, rows)


def main() -> int:
    """Print a table per system and one for the processes."""
    pairs = {target: [pair] for target, pair in PAIRS.items()}
    cardiac = {label: [label] for label in CARDIAC}
    from preprocess.shhs import SPEC

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        systems = (
            (
                "LPSGM: 12 leads of 256 Hz -> psg9",
                dict.fromkeys(LEADS, 256),
                "psg9",
                pairs,
                lpsgm,
                11,
            ),
            ("wav2sleep: ECG PPG ABD THX -> cr", CARDIAC, "cr", cardiac, wav2sleep, 75),
            ("SynthSleepNet: SHHS -> shhs7", SHHS, "shhs7", SPEC.channels, synthsleepnet, 10),
        )
        for title, rates, view, channels, published, goal in systems:
            path = folder / f"{view}.edf"
            write_edf(path, rates)
            path.with_suffix(".txt").write_text("0\n1\n2\n3\n5\n" * (EPOCHS // 5))
            print(
                compare(
                    f"{title}, {path.stat().st_size / 1e6:.0f} MB",
                    measure(ours, str(path), view, channels),
                    measure(published, str(path), repeat=1),
                    measure(copied, str(path)),
                    goal,
                )
            )
        print(scaling(folder, folder / "psg9.edf"))
    print(f"one copy in memory: {copy_gb_per_s():.1f} GB/s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
