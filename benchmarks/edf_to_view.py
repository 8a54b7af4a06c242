"""From an EDF file to the signals of a view: ours, the published ways, the limit of the machine.

Two paths: nine derivations of an 8 h night for LPSGM (view `psg9`), and four signals for wav2sleep
(view `cr`, whose values must be the published ones). Run `python -m benchmarks.edf_to_view`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.measure import copy_gb_per_s, measure, table

HOURS = 8
LEADS = ("F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2", "M1", "M2", "Chin1", "Chin2")
PAIRS = {
    **{odd: (odd, "M2") for odd in ("F3", "C3", "O1", "E1")},
    **{even: (even, "M1") for even in ("F4", "C4", "O2", "E2")},
    "Chin": ("Chin1", "Chin2"),
}
CARDIAC = {"ECG": 256, "PPG": 128, "ABD": 32, "THX": 32}  # wav2sleep.md section 11


def write_edf(path: Path, rates_hz: dict[str, int], hours: float = HOURS) -> None:
    """Write noise with a drift as a plain EDF file of 1 s records, 0.015 uV per step."""
    rng = np.random.default_rng(1)
    n_records = int(hours * 3600)
    fields = [
        [f"{label:16s}" for label in rates_hz],
        [" " * 80] * len(rates_hz),
        [f"{'uV':8s}"] * len(rates_hz),
        [f"{limit:8s}" for limit in ("-500", "500", "-32768", "32767") for _ in rates_hz],
        [" " * 80] * len(rates_hz),
        [f"{rate:<8d}" for rate in rates_hz.values()],
        [" " * 32] * len(rates_hz),
    ]
    head = f"{'0':8s}{'':80s}{'':80s}01.01.2001.00.00{256 * (1 + len(rates_hz)):<8d}{'':44s}"
    head += f"{n_records:<8d}{1:<8d}{len(rates_hz):<4d}" + "".join("".join(f) for f in fields)
    per_record = sum(rates_hz.values())
    with path.open("wb") as file:
        file.write(head.encode("ascii"))
        for start in range(0, n_records, 600):
            n = min(600, n_records - start) * per_record
            drift = 3000 * np.sin(np.arange(n) / 1e6)
            file.write((rng.standard_normal(n) * 1300 + drift).astype("<i2").tobytes())


def ours(path: str, view: str) -> dict[str, np.ndarray]:
    """Read a view with this repository."""
    from recordings.formats import open_recording
    from recordings.ingest import read_view
    from recordings.views import VIEWS

    return read_view(open_recording(Path(path)), VIEWS[view]).signals


def published_lpsgm(path: str) -> dict[str, np.ndarray]:
    """Read nine derivations as LPSGM does: data frame, filtfilt, linear interpolation, z-score."""
    import mne
    from scipy.signal import butter, filtfilt

    raw = mne.io.read_raw_edf(path, include=list(LEADS), preload=True, verbose="error")
    frame = raw.to_data_frame()
    rate_hz = round(1 / (frame["time"][1] - frame["time"][0]))
    signals = {}
    for target, (plus, minus) in PAIRS.items():
        difference = frame[plus].to_numpy() - frame[minus].to_numpy()
        band, kind = (10, "highpass") if target == "Chin" else ([0.3, 35], "bandpass")
        filtered = filtfilt(*butter(4, band, kind, fs=rate_hz), difference)
        m = round(100 / rate_hz * len(filtered))
        places = np.linspace(0, len(filtered) - 1, m)
        resampled = np.interp(places, np.arange(len(filtered)), filtered)
        scored = (resampled - resampled.mean()) / resampled.std()
        signals[target] = scored[: m // 3000 * 3000].reshape(-1, 3000).astype(np.float32)
    return signals


def published_wav2sleep(path: str) -> dict[str, np.ndarray]:
    """Read four signals as wav2sleep does: pyedflib, one table, interpolation on its time index."""
    import pandas as pd
    import pyedflib

    columns = {}
    with pyedflib.EdfReader(path) as file:
        for place, label in enumerate(file.getSignalLabels()):
            x = file.readSignal(place)
            low, high = file.getPhysicalMinimum(place), file.getPhysicalMaximum(place)
            scaled = x * 1e-3 if label == "ECG" else (x - (high + low) / 2) / (abs(high - low) / 2)
            index = np.arange(len(x)) / file.getSampleFrequency(place)
            columns[label] = pd.Series(scaled, index=index)
    frame = pd.concat(columns, axis=1)
    signals = {}
    for label in CARDIAC:
        per_epoch = 1024 if label in ("ECG", "PPG") else 256
        times = np.arange(1, HOURS * 120 * per_epoch + 1) * 30 / per_epoch
        series = frame[label].dropna()
        joined = series.reindex(series.index.union(times)).interpolate("index", limit_area="inside")
        out = joined.reindex(times).fillna(0).to_numpy(np.float32)
        signals[label] = out.reshape(-1, per_epoch)
    return signals


def copied(path: str) -> int:
    """Read the bytes of a file once: nothing can be quicker."""
    return len(Path(path).read_bytes())


def compare(path: Path, view: str, published: str, cpu_goal_s: float, ratio: float) -> str:
    """Time one path three ways and return its table."""
    mine = measure(ours, str(path), view)
    theirs = measure(globals()[published], str(path), repeat=2)
    limit = measure(copied, str(path))
    rows = [
        (name, took.cpu_s, took.cpu_s / mine.cpu_s, took.peak_mb)
        for name, took in (("ours", mine), (published, theirs), ("read the bytes", limit))
    ]
    head = ("way", "CPU s", "times ours", "peak MB more than at start")
    goal = f"goal: at most {cpu_goal_s} CPU s, {ratio:g} times quicker than published"
    return table(f"EDF -> {view}, {path.stat().st_size / 1e6:.0f} MB ({goal})", head, rows)


def largest_difference(path: Path) -> float:
    """Return how far our `cr` values are from the published ones."""
    mine, theirs = ours(str(path), "cr"), published_wav2sleep(str(path))
    return max(float(np.abs(mine[name] - theirs[name]).max()) for name in CARDIAC)


def main() -> int:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as folder:
        night, cardiac = Path(folder) / "night.edf", Path(folder) / "cardiac.edf"
        write_edf(night, dict.fromkeys(LEADS, 256))
        write_edf(cardiac, CARDIAC)
        print(compare(night, "psg9", "published_lpsgm", 0.5, 11))
        print(compare(cardiac, "cr", "published_wav2sleep", 0.12, 75))
        print(f"largest difference of the cr values: {largest_difference(cardiac):.2g}")
    print(f"one copy in memory: {copy_gb_per_s():.1f} GB/s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
