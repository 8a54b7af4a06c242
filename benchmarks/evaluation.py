"""Judging a stager on a thousand nights: ours and the straightforward way, draw by draw.

python -m benchmarks.evaluation            1,000 nights of 960 epochs, 2,000 draws of persons

The straightforward way lays the epochs of the drawn persons end to end and puts them to
scikit-learn; a few draws are timed and scaled up. The limit is one reading of what the file holds.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.measure import copy_gb_per_s, measure, table
from evaluation.bootstrap import N_RESAMPLES
from evaluation.calibration import calibrate
from evaluation.judge import compare_outputs, facts_of, intervals, judge
from evaluation.outputs import NightOutput, read_outputs, write_outputs

SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "kappa")
TIMED_DRAWS = 3  # of the straightforward way


def make(path: Path, n_nights: int, n_epochs: int = 960) -> Path:
    """Write nights of half as many persons, staged at random around their labels."""
    rng = np.random.default_rng(0)
    nights = []
    for number in range(n_nights):
        labels = np.repeat(rng.integers(0, 5, n_epochs // 6), 6)
        proba = rng.dirichlet(np.ones(5), len(labels)) + 0.8 * np.eye(5)[labels]
        nights.append(NightOutput(f"n{number}", f"p{number // 2}", labels, proba, simulated=True))
    return write_outputs(path, nights)


def ours(path: Path) -> None:
    """Confusions of all nights and the intervals of nine metrics."""
    nights = read_outputs(path)
    intervals(compare_outputs(nights), [night.owner for night in nights], nights[0].classes)


def everything(path: Path) -> None:
    """All that `main_evaluate.py staging` computes, without its figures."""
    facts_of(judge("stager", read_outputs(path)))


def reading(path: Path) -> None:
    """The file alone."""
    read_outputs(path)


def calibration(path: Path) -> None:
    """Reliability, held-out temperature, review."""
    calibrate(read_outputs(path))


def straightforward(path: Path) -> None:
    """A few draws: epochs of the drawn persons end to end, four metrics by scikit-learn."""
    from sklearn import metrics as sk

    rng = np.random.default_rng(0)
    of_person: dict[str, list[NightOutput]] = {}
    for night in read_outputs(path):
        of_person.setdefault(night.owner, []).append(night)
    persons = list(of_person)
    for _ in range(TIMED_DRAWS):
        drawn = [n for p in rng.choice(persons, len(persons)) for n in of_person[p]]
        labels = np.concatenate([night.labels for night in drawn])
        said = np.concatenate([night.stages for night in drawn])
        sk.accuracy_score(labels, said)
        sk.balanced_accuracy_score(labels, said)
        sk.f1_score(labels, said, average="macro")
        sk.cohen_kappa_score(labels, said)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=1000)
    nights = parser.parse_args().nights
    with TemporaryDirectory() as folder:
        path = make(Path(folder) / "many.npz", nights)
        read = measure(reading, path)
        rows = [["read the file", read.cpu_s, read.peak_mb, ""]]
        fast, slow = measure(ours, path), measure(straightforward, path, repeat=1)
        rows.append(["read, metrics, intervals", fast.cpu_s, fast.peak_mb, ""])
        scaled = (slow.cpu_s - read.cpu_s) / TIMED_DRAWS * N_RESAMPLES
        ratio = scaled / max(fast.cpu_s - read.cpu_s, 1e-9)
        rows.append([f"scikit-learn, {N_RESAMPLES} draws", scaled, slow.peak_mb, f"{ratio:.0f}x"])
        for words, work in (("calibration", calibration), ("all of it", everything)):
            found = measure(work, path)
            rows.append([f"read, {words}", found.cpu_s, found.peak_mb, ""])
        limit = 2 * nights * 960 * 22 / 1e9 / copy_gb_per_s()  # 22 bytes an epoch, read and written
    rows.append(["limit: one copy of the epochs", limit, 0.0, ""])
    head = ("step", "CPU s", "peak MB", "against ours without reading")
    print(table(f"{nights} nights judged, simulated", head, rows))


if __name__ == "__main__":
    main()
