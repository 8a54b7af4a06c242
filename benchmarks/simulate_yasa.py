"""Are simulated nights like real ones? Two judges that have never seen them answer.

YASA (trained on 3,000 real nights) stages them from C4-M1, E1-M2 and the chin; its stages are
compared with the true ones. A plain beat detector built from SciPy looks for the beats of the ECG.
Agreement above that on real nights (kappa about 0.8) says that simulated stages are purer than
people's: a simulated night proves that a program works, never how well a stager does.

    python -m benchmarks.simulate_yasa --nights 20
"""

from __future__ import annotations

import sys
import time
import warnings
from dataclasses import dataclass

import numpy as np

from benchmarks.measure import table
from command_line import parse
from nights.stages import STAGES
from recordings.edf.writing import Signal
from recordings.simulate import SimulatedNight, simulate_night

BEAT_TOLERANCE_S = 0.05


@dataclass(frozen=True)
class Config:
    """Judge simulated nights by YASA and by an independent beat detector."""

    nights: int = 20  # seeds 0, 1, 2, ...; ages 20 to 80 and AHI 0 to 40 in turn
    hours: float = 8.0  # length of each night


def main(cfg: Config) -> int:
    """Print agreement per night, the pooled confusion, and how many beats were found."""
    warnings.filterwarnings("ignore")  # versions and deprecations inside YASA
    confusion = np.zeros((5, 5), dtype=int)
    rows, found, extra, beats = [], 0, 0, 0
    for seed in range(cfg.nights):
        age, ahi = 20.0 + 7 * seed % 60, (0.0, 5.0, 15.0, 40.0)[seed % 4]
        started = time.process_time()
        night = simulate_night(seed, hours=cfg.hours, age=age, ahi=ahi)
        simulated_s = time.process_time() - started
        counts = confusion_of(night.hypnogram.stages, yasa_stages(night))
        hits, surplus = match(night.beats_s, detect_beats(night.signals["ECG"]))
        confusion += counts
        found, extra, beats = found + hits, extra + surplus, beats + len(night.beats_s)
        rows.append((seed, age, ahi, kappa(counts), hits / len(night.beats_s), simulated_s))
    head = ("seed", "age", "AHI", "kappa", "beats found", "CPU s to simulate")
    sys.stdout.write(table(f"{cfg.nights} simulated nights", head, rows))
    sys.stdout.write(_pooled(confusion, [row[3] for row in rows]))
    share = f"{found / beats:.4%} of {beats} beats found within {1000 * BEAT_TOLERANCE_S:.0f} ms"
    sys.stdout.write(f"\n{share}, {extra / beats:.4%} more that are none\n")
    return 0


def yasa_stages(night: SimulatedNight) -> np.ndarray:
    """Return the stages (E,) that YASA gives to the night."""
    import mne
    import yasa

    mne.set_log_level("ERROR")
    labels = ("C4-M1", "E1-M2", "Chin")
    volts = np.stack([night.signals[label].samples for label in labels]) * 1e-6
    rate_hz = float(night.signals["C4-M1"].rate_hz)
    raw = mne.io.RawArray(volts, mne.create_info(list(labels), rate_hz, ["eeg", "eog", "emg"]))
    person = {"age": int(night.person.age), "male": True}
    stager = yasa.SleepStaging(
        raw, labels[0], eog_name=labels[1], emg_name=labels[2], metadata=person
    )
    names = stager.predict().hypno.astype(str)
    return names.map({"WAKE": 0, "N1": 1, "N2": 2, "N3": 3, "REM": 4}).to_numpy()


def detect_beats(ecg: Signal) -> np.ndarray:
    """Return the times (s) of the R peaks: steep and large, as Pan and Tompkins (1985) look."""
    from scipy.ndimage import percentile_filter
    from scipy.signal import butter, find_peaks, sosfiltfilt

    rate_hz = float(ecg.rate_hz)
    band = butter(2, (8, 25), "bandpass", fs=rate_hz, output="sos")
    steep = sosfiltfilt(band, ecg.samples) ** 2
    seconds = steep[: len(steep) // round(rate_hz) * round(rate_hz)].reshape(-1, round(rate_hz))
    typical = percentile_filter(seconds.max(axis=1), 50, 15)  # usual peak around each second
    height = 0.3 * np.repeat(typical, round(rate_hz))
    peaks, _ = find_peaks(steep[: len(height)], height=height, distance=round(0.3 * rate_hz))
    return peaks / rate_hz


def match(true_s: np.ndarray, found_s: np.ndarray) -> tuple[int, int]:
    """Return how many true beats were found, and how many found beats are none."""
    return _near(true_s, found_s), len(found_s) - _near(found_s, true_s)


def _near(times_s: np.ndarray, others_s: np.ndarray) -> int:
    """Count the times that have one of the others within the tolerance."""
    place = np.clip(np.searchsorted(others_s, times_s), 1, len(others_s) - 1)
    gap = np.minimum(abs(others_s[place] - times_s), abs(others_s[place - 1] - times_s))
    return int(np.count_nonzero(gap <= BEAT_TOLERANCE_S))


def confusion_of(true: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Return counts (5, 5): true stage in rows, given stage in columns."""
    return np.bincount(5 * true.astype(int) + given, minlength=25).reshape(5, 5)


def kappa(confusion: np.ndarray) -> float:
    """Return Cohen's kappa."""
    total = confusion.sum()
    chance = (confusion.sum(0) * confusion.sum(1)).sum() / total**2
    return float((np.trace(confusion) / total - chance) / (1 - chance))


def _pooled(confusion: np.ndarray, kappas: list[float]) -> str:
    """Return kappa and the confusion of all epochs together, with F1 per stage."""
    f1 = 2 * np.diag(confusion) / (confusion.sum(0) + confusion.sum(1))
    rows = [(name, *row, float(f)) for name, row, f in zip(STAGES, confusion, f1, strict=True)]
    title = f"kappa {kappa(confusion):.3f} over all epochs; night by night"
    title += f" {np.mean(kappas):.3f} on average, {min(kappas):.3f} to {max(kappas):.3f}"
    return "\n" + table(title, ("true \\ YASA", *STAGES, "F1"), rows)


if __name__ == "__main__":
    raise SystemExit(main(parse(Config)))
