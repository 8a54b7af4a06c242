"""Beats and breaths of a night: CPU seconds, peak memory, and how many are found.

    python -m benchmarks.heart_and_breath            # 8 h; --hours 2 for a quick look

One simulated night with apnea, four signals (ECG 256 Hz, pulse 64 Hz, thorax and abdomen 32 Hz).
Ours, and the straightforward way in the same run: filter both ways at the rate of the file with
SciPy (Pan and Tompkins' band and window for the ECG), then `find_peaks` with one threshold for the
night. The limit is one copy of the samples. Found and extra beats are against the simulator's own.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy import signal

from benchmarks.measure import copy_gb_per_s, measure, table
from recordings.beats import ecg_beats, ppg_beats
from recordings.breaths import find_breaths
from recordings.simulate import simulate_night

SIGNALS = ("ECG", "Pleth", "Thorax", "Abdomen")
SEED, AHI = 5, 15.0
NEAR_S = 0.05  # a beat is found when one is told within this of it; of the pulse, of its delay
PULSE_DELAY_S = 0.28

Finder = Callable[[np.ndarray, float, str], np.ndarray]


def ours(samples: np.ndarray, rate_hz: float, label: str) -> np.ndarray:
    """Return the moments of beats or breaths by this house's code."""
    if label == "ECG":
        return ecg_beats(samples, rate_hz).times_s
    if label == "Pleth":
        return ppg_beats(samples, rate_hz).times_s
    return find_breaths(samples, rate_hz).times_s


def straightforward(samples: np.ndarray, rate_hz: float, label: str) -> np.ndarray:
    """Return them by textbook filters at the rate of the file and one threshold for the night."""
    band, distance_s = {"ECG": ((5, 15), 0.3), "Pleth": ((0.5, 8), 0.4)}.get(
        label, ((0.1, 0.7), 1.5)
    )
    sections = signal.butter(2, band, "bandpass", fs=rate_hz, output="sos")
    wave = signal.sosfiltfilt(sections, samples.astype(np.float64))
    if label == "ECG":
        width = round(0.15 * rate_hz)
        wave = np.convolve(np.gradient(wave) ** 2, np.ones(width) / width, "same")
    elif label == "Pleth":
        wave = np.gradient(wave)
    height = wave.mean() + 0.5 * wave.std()
    peaks, _ = signal.find_peaks(wave, height=height, distance=round(distance_s * rate_hz))
    return peaks / rate_hz


def found_and_extra(found_s: np.ndarray, true_s: np.ndarray) -> tuple[float, float]:
    """Return the share of true beats that were found, and of told beats that are none, in %."""
    hits = sum(_near(true_s, found_s))
    extra = len(found_s) - sum(_near(found_s, true_s))
    return 100 * hits / len(true_s), 100 * extra / max(len(found_s), 1)


def _near(these_s: np.ndarray, those_s: np.ndarray) -> np.ndarray:
    """Return bool (n,): which of `these_s` have one of `those_s` within `NEAR_S`."""
    after = np.searchsorted(those_s, these_s).clip(1, len(those_s) - 1)
    gap = np.minimum(np.abs(those_s[after] - these_s), np.abs(those_s[after - 1] - these_s))
    return gap <= NEAR_S


def find_in(folder: Path, labels: Sequence[str], way: str) -> None:
    """Find everything in stored signals, mapped so that memory is that of the work alone."""
    for label in labels:
        samples = np.load(folder / f"{label}.npy", mmap_mode="r")
        WAYS[way](samples, float(np.load(folder / f"{label}.hz.npy")), label)


WAYS: dict[str, Finder] = {"ours": ours, "straightforward": straightforward}


def store(folder: Path, hours: float) -> None:
    """Simulate the night and store its signals and beats, for processes that start small."""
    night = simulate_night(SEED, hours=hours, ahi=AHI)
    np.save(folder / "beats.npy", night.beats_s)
    for label in SIGNALS:
        np.save(folder / f"{label}.npy", night.signals[label].samples)
        np.save(folder / f"{label}.hz.npy", float(night.signals[label].rate_hz))


def rows_of(folder: Path) -> list[list[object]]:
    """Return a row for each signal and way: CPU seconds, memory, how many, found, extra."""
    pairs = list(itertools.product(SIGNALS, WAYS))
    timings = [measure(find_in, folder, (label,), way) for label, way in pairs]
    beats_s = np.load(folder / "beats.npy")
    rows: list[list[object]] = []
    for (label, way), took in zip(pairs, timings, strict=True):
        samples, rate_hz = np.load(folder / f"{label}.npy"), np.load(folder / f"{label}.hz.npy")
        times_s = WAYS[way](samples, float(rate_hz), label)
        told = ["-", "-"]
        if label in ("ECG", "Pleth"):
            moved = times_s - (PULSE_DELAY_S if label == "Pleth" else 0.0)
            told = [f"{x:.2f}" for x in found_and_extra(moved, beats_s)]
        rows.append([label, way, took.cpu_s, took.peak_mb, len(times_s), *told])
    return rows


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=8.0)
    hours = parser.parse_args().hours
    head = ["signal", "way", "CPU s", "peak MB", "found", "true beats found %", "extra %"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # A new process counts the memory of the one that starts it: this one stays small.
        measure(store, folder, hours, repeat=1)
        timings = {way: measure(find_in, folder, SIGNALS, way) for way in WAYS}
        n_bytes = sum((folder / f"{label}.npy").stat().st_size for label in SIGNALS)
        print(table(f"Beats and breaths, {hours:g} h (simulated)", head, rows_of(folder)))
    copied, own = n_bytes / copy_gb_per_s() / 1e9, timings["ours"].cpu_s
    rows = [[way, took.cpu_s, took.cpu_s / own, took.peak_mb] for way, took in timings.items()]
    rows.append(["limit: one copy", copied, copied / own, "-"])
    print(table("All four signals", ["way", "CPU s", "x ours", "peak MB"], rows))


if __name__ == "__main__":
    main()
