"""Stage a night of real EEG with published stagers, with and without correction.

    python benchmarks/real_stagers.py --data ../shared/data

UCDDB 022 (PhysioNet ucddb 1.0.0, ODC-By): 30 s epochs of one EEG derivation at 128 Hz with the
scorer's stages; the epochs that the copy lacks are gaps. The unit of the copy is unknown, so the
night is scaled to a median standard deviation of 25 uV per epoch before anything sees it: a choice
made once, without looking at results. No stager here has been trained on this night.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.measure import table  # noqa: E402
from evaluation.metrics import confusion, metrics_from  # noqa: E402
from nights.stages import UNSCORED  # noqa: E402
from recordings.recording import Channel, Recording  # noqa: E402
from staging.corrector import Corrector  # noqa: E402
from staging.stage import load_stager, stage  # noqa: E402

RATE_HZ, EPOCH_SAMPLES = 128, 3840
SCALE_UV = 25.0  # a common standard deviation of a central EEG epoch
CODES = {0: 0, 1: 4, 2: 1, 3: 2, 4: 3, 5: 3}  # UCDDB: 0 W, 1 R, 2-5 stages 1-4; 6-8 no stage
DECODERS = ("greedy", "beam", "viterbi", "posterior", "denoiser")
STAGERS = ("yasa", "tinysleepnet-sleepedf", "seqsleepnet-mass-eeg")


class EpochNight(Recording):
    """One EEG derivation given as epochs; epochs that are missing are gaps."""

    def __init__(self, name: str, epochs: np.ndarray, present: np.ndarray) -> None:
        self.path, self.start, self.annotations, self.notes = Path(name), None, (), ()
        self._samples = epochs.reshape(-1)
        self.duration_s = 30.0 * len(epochs)
        self.gaps = tuple((30.0 * e, 30.0 * e + 30.0) for e in np.flatnonzero(~present))
        n_samples = self._samples.size
        self.channels = (Channel(0, "EEG C3-M2", Fraction(RATE_HZ), "uV", n_samples),)

    def read(self, which: str | int, dtype: type = np.float32) -> np.ndarray:
        """Return the samples."""
        self.channel(which)
        return self._samples.astype(dtype)


def _matrix(folder: Path, part: str) -> np.ndarray:
    """Return the one array of a file of epochs."""
    from scipy.io import loadmat

    content = loadmat(folder / "raw" / f"ucd022_{part}.mat")
    return next(value for key, value in content.items() if not key.startswith("_"))


def ucddb_022(folder: Path) -> tuple[EpochNight, np.ndarray]:
    """Return the night and the scorer's stages (E,), -1 where there is no stage or no signal."""
    codes = np.loadtxt(folder / "stage" / "ucddb022_stage.txt", dtype=int)
    epochs = np.zeros((len(codes), EPOCH_SAMPLES), dtype=np.float32)
    present = np.zeros(len(codes), dtype=bool)
    for part, wanted, bad in (
        ("stagedeep", (4, 5), None),
        ("mix_g", (1, 2, 3), "mixbad"),
        ("wake_g", (0,), "wakebad"),
    ):
        places = np.flatnonzero(np.isin(codes, wanted))
        if bad:  # rows listed as bad (1-based) are left out of the `_g` files
            places = np.delete(places, _matrix(folder, bad).ravel().astype(int) - 1)
        epochs[places], present[places] = _matrix(folder, part), True
    epochs *= SCALE_UV / np.median(epochs[present].std(axis=1))
    stages = np.array([CODES.get(code, UNSCORED) for code in codes], dtype=np.int8)
    return EpochNight("ucddb022", epochs, present), np.where(present, stages, UNSCORED)


def main(argv: Sequence[str] | None = None) -> int:
    """Print one row per stager and decoder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--stagers", nargs="+", default=STAGERS)
    parser.add_argument("--language-model", default="sleepgpt-open")
    options = parser.parse_args(argv)
    night, stages = ucddb_022(options.data / "real" / "ucddb")
    rows = []
    for name in options.stagers:
        raw = stage(night, load_stager(name)).hypnogram
        results = {"none": raw}
        for decoder in DECODERS:
            results[decoder] = Corrector(options.language_model, decoder=decoder)(raw)
        for decoder, hypnogram in results.items():
            found = metrics_from(confusion(stages, hypnogram.stages))
            f1 = [round(value, 3) for value in found["per_stage_f1"].values()]
            scores = [found[key] for key in ("accuracy", "kappa", "macro_f1")]
            rows.append([name, decoder, *scores, *f1, found["n_epochs"]])
    head = [
        "stager",
        "correction",
        "accuracy",
        "kappa",
        "macro F1",
        *["W", "N1", "N2", "N3", "R"],
        "n",
    ]
    sys.stdout.write(table("UCDDB 022, one real EEG derivation", head, rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
