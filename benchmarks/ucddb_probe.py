"""Real EEG: stages read off a NeuroNet that was pre-trained on all real EEG at hand.

    python -m benchmarks.ucddb_probe --data ../shared/data --out runs/ucddb

Eight nights of UCDDB as single epochs of one derivation (one of them, 022, with all five stages, of
the others wake and N3 alone) and five excerpts of half an hour of the DREAMS spindle database: 13
people, about 2600 epochs. One logistic regression, its setting not chosen by these results, reads
three kinds of features: the embedding of the pre-trained NeuroNet, that of the same network with
drawn weights, and the logarithms of band powers. Tested are

nights   wake against N3, each of the eight nights by the seven others
blocks   five stages of night 022, each fifth of it by the four others
people   five stages, 022 and the five excerpts, each by all other people

The encoder has read the signals of the people who are tested, never their stages. About 4 CPU
minutes.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import table
from evaluation.metrics import confusion, metrics_from
from nights.hypnogram import Hypnogram
from nights.night import Night
from nights.stages import N1, N2, N3, STAGES, R, W

RATE_HZ = 100
UCDDB_HZ, BAND_HZ = 128, (0.5, 40.0)  # the band of the published view
UCDDB_CODES = {0: W, 1: R, 2: N1, 3: N2, 4: N3, 5: N3}
DREAMS_HZ = {1: 100, 3: 50, 4: 200, 6: 200, 8: 200}
DREAMS_CODES = {5: W, 4: R, 3: N1, 2: N2, 1: N3, 0: N3}
VIEW = {
    "name": "epochs100",
    "hash": hashlib.sha256(b"epoch by epoch, 0.5-40 Hz, 100 Hz").hexdigest(),
    "normalise": "robust",
}
BANDS_HZ = ((0.5, 2), (2, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 16), (16, 25), (25, 40))
SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "kappa")


def ucddb_night(folder: Path, number: str) -> tuple[np.ndarray, np.ndarray]:
    """Return clean epochs (E, 3840) of one night in their order, and their stages (E,)."""
    codes = np.loadtxt(folder / f"stage/ucddb{number}_stage.txt", dtype=int)
    groups = {"wake": (0,), "deep": (4, 5), "mix": (1, 2, 3)}
    places, rows = [], []
    for name, wanted in groups.items():
        found = _group(folder / "raw", number, name)
        if found is None:
            continue
        signal, bad = found
        own = np.flatnonzero(np.isin(codes, wanted))
        good = np.setdiff1d(np.arange(len(own)), bad)
        places.append(own[good])
        rows.append(signal if len(signal) == len(good) else signal[good])
    order = np.argsort(np.concatenate(places))
    place = np.concatenate(places)[order]
    return np.concatenate(rows)[order], np.array([UCDDB_CODES[c] for c in codes[place].tolist()])


def _group(folder: Path, number: str, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the epochs of one file and which of its stage's epochs are bad, from 0."""
    from scipy.io import loadmat

    stem = f"ucd{number}_"
    for key in (f"{stem}stage{name}", f"{stem}{name}_g"):
        path = folder / f"{key}.mat"
        if path.exists():
            bad = loadmat(folder / f"{stem}{name}bad.mat")[f"{stem}{name}bad"]
            return loadmat(path)[key], bad.ravel().astype(int) - 1
    return None


def dreams_excerpt(folder: Path, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the 60 epochs (60, 30 s) of an excerpt and their most frequent stage."""
    size = 30 * DREAMS_HZ[number]
    signal = np.loadtxt(folder / f"excerpt{number}.txt", skiprows=1)[: 60 * size]
    codes = np.loadtxt(folder / f"Hypnogram_excerpt{number}.txt", skiprows=1, dtype=int)
    sixths = codes[:360].reshape(60, 6)  # a code every 5 s
    most = [np.bincount(own, minlength=6).argmax() for own in sixths]
    return signal.reshape(60, size), np.array([DREAMS_CODES[int(code)] for code in most])


def at_100_hz(epochs: np.ndarray) -> np.ndarray:
    """Filter and resample each epoch by itself; they do not lie side by side."""
    from scipy.signal import butter, resample, sosfiltfilt

    rate_hz = epochs.shape[1] / 30
    high = min(BAND_HZ[1], 0.45 * rate_hz)
    sos = butter(4, (BAND_HZ[0], high), "bandpass", fs=rate_hz, output="sos")
    clean = sosfiltfilt(sos, epochs - epochs.mean(axis=1, keepdims=True), axis=1)
    return resample(clean, 30 * RATE_HZ, axis=1).astype(np.float32)


def make_store(data: Path, root: Path) -> list[Path]:
    """Write every recording as a night of one channel; return the sidecars."""
    from nights.store import write_night

    real = data / "real"
    numbers = sorted({p.name[3:6] for p in (real / "ucddb/raw").glob("*_stagedeep.mat")})
    recordings = {f"UCDDB/ucd{n}": ucddb_night(real / "ucddb", n) for n in numbers}
    recordings |= {
        f"DREAMS/excerpt{n}": dreams_excerpt(real / "dreams_spindles", n) for n in DREAMS_HZ
    }
    paths = []
    for name, (epochs, stages) in recordings.items():
        dataset, _, rec = name.partition("/")
        arrays = {"sig": (("C4",), [at_100_hz(epochs)])}
        about = {"view": VIEW, "person": rec, "dtype": "float32"}
        hypnogram = Hypnogram(stages.astype(np.int8))
        paths.append(write_night(root, dataset, rec, arrays, hypnogram, **about))  # type: ignore[arg-type]
    return paths


def pretrained(store: Path, out: Path) -> Path:
    """Pre-train on all recordings but the one that chooses the pass; return the weights."""
    from engine.pretraining_run import pretrain
    from engine.pretraining_settings import Pretraining

    if not (out / "last.pt").exists():
        settings = {"preset": "eeg-small", "channels": ("C4",), "n_passes": 8}
        pretrain(Pretraining(nights=(store,), out=out, test_share=0.0, **settings))  # type: ignore[arg-type]
    return out / "best.safetensors"


def embeddings(init: Path, paths: Iterable[Path], *, drawn: bool = False) -> dict[str, np.ndarray]:
    """Return {night: (E, D)} of the weights, or of the same network with drawn weights."""
    import torch

    import models
    from engine.checkpoint import load_weights
    from engine.features import embedding
    from engine.staging_nights import StoredNight

    model: Any = load_weights(init)[0]
    if drawn:
        torch.manual_seed(0)
        model = models.create("neuronet", **vars(model.config))
    nights = [StoredNight.read(path) for path in paths]
    return {night.name: embedding(model, night, ["C4"]).astype(np.float64) for night in nights}


def band_powers(paths: Iterable[Path]) -> dict[str, np.ndarray]:
    """Return {night: log power in each band (E, bands)}, of signals scaled by the night."""
    from scipy.signal import welch

    found = {}
    for path in paths:
        night = Night.open(path)
        signal = night.read(["C4"], normalise="robust")["C4"]
        hz, power = welch(signal, RATE_HZ, nperseg=4 * RATE_HZ, axis=1)
        bands = [power[:, (hz >= low) & (hz < high)].mean(axis=1) for low, high in BANDS_HZ]
        found[night.name] = np.log(np.stack(bands, axis=1) + 1e-9)
    return found


def told(train: list[tuple[np.ndarray, np.ndarray]], tested: np.ndarray) -> np.ndarray:
    """Fit the regression on (features, stages), say the stage of other features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000)
    )
    rows, stages = (np.concatenate(part) for part in zip(*train, strict=True))
    return model.fit(rows, stages).predict(tested)


Scored = dict[str, tuple[np.ndarray, np.ndarray]]  # {night: features (E, D), stages (E,)}


def by_others(scored: Scored, tested: Iterable[str]) -> np.ndarray:
    """Return the confusion of recordings, each told by all others of `scored`."""
    total = np.zeros((len(STAGES), len(STAGES)), dtype=np.int64)
    for name in tested:
        rows, stages = scored[name]
        others = [own for other, own in scored.items() if other != name]
        total += confusion(stages, told(others, rows))
    return total


def trials(scored: Scored) -> dict[str, np.ndarray]:
    """Return the confusion of each of the three tests."""
    two = {}
    for name, (rows, stages) in scored.items():
        if name.startswith("UCDDB"):
            clear = np.isin(stages, (W, N3))
            two[name] = rows[clear], stages[clear]
    rows, stages = scored["UCDDB/ucd022"]
    fifths = np.array_split(np.arange(len(stages)), 5)
    blocks = {str(number): (rows[part], stages[part]) for number, part in enumerate(fifths)}
    whole = [name for name in scored if name.startswith("DREAMS") or name == "UCDDB/ucd022"]
    return {
        "nights, W or N3": by_others(two, two),
        "blocks of 022": by_others(blocks, blocks),
        "people": by_others(scored, whole),
    }


def main() -> None:
    """Make the store, pre-train, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("runs/ucddb"))
    asked = parser.parse_args()
    paths = make_store(asked.data, asked.out / "data")
    init = pretrained(asked.out / "data", asked.out / "pretrained")
    stages = {night.name: np.asarray(night.stages) for night in map(Night.open, paths)}
    kinds = {
        "NeuroNet, pre-trained": embeddings(init, paths),
        "NeuroNet, drawn weights": embeddings(init, paths, drawn=True),
        "band powers": band_powers(paths),
    }
    rows = []
    for kind, features in kinds.items():
        scored = {name: (features[name], stages[name]) for name in features}
        for trial, matrix in trials(scored).items():
            found = metrics_from(matrix)
            rows.append([trial, kind, int(matrix.sum()), *(float(found[s]) for s in SCORES)])
    print(table("Stages from real EEG", ["test", "features", "epochs", *SCORES], sorted(rows)))


if __name__ == "__main__":
    main()
