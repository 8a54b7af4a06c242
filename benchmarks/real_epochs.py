"""Real EEG with stages that anyone may train on, and some that one may only be tested on.

    python -m benchmarks.real_epochs --data ../shared/data --out data --view seq3

writes the UCDDB people as nights of a store (`data/seq3/SVUH`), so that `main_train.py` can read
them beside others. Of seven people (PhysioNet ucddb 1.0.0, ODC-By) there are the epochs of wake and
of deep sleep, of 022 all stages; the other epochs are gaps. One derivation, C3-M2, at 128 Hz; the
unit of the copies is unknown, so each night is scaled to a median standard deviation of 25 uV per
epoch, a choice made once, without looking at results.

The excerpts of DREAMS (half an hour of five people) may not be built upon: they are read here to
test, never stored.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from command_line import run
from nights.hypnogram import Hypnogram
from nights.stages import EPOCH_S, UNSCORED
from recordings.recording import Channel, Recording

DATASET = "SVUH"  # as preprocess/svuh.py names it: the same people
EPOCH_SAMPLES = 3840  # of UCDDB: 30 s at 128 Hz
SCALE_UV = 25.0  # a common standard deviation of a central EEG epoch
CODES = {0: 0, 1: 4, 2: 1, 3: 2, 4: 3, 5: 3}  # UCDDB: 0 W, 1 R, 2-5 stages 1-4; 6-8 no stage
DEEP, LIGHT, WAKE = (4, 5), (1, 2, 3), (0,)
# What there is of each person: name of the file, codes in it, list of the rows that are bad. Files
# called `_g` lack these rows already
PARTS = (("stagedeep", DEEP, "deepbad"), ("stagewake", WAKE, "wakebad"))
PARTS_022 = (("stagedeep", DEEP, ""), ("mix_g", LIGHT, "mixbad"), ("wake_g", WAKE, "wakebad"))
PARTIAL = ("002", "006", "007", "013", "019", "020", "024")  # wake and deep sleep only
EXCERPTS = {1: 100, 4: 200, 6: 200, 8: 200}  # DREAMS: Hz; excerpt 3 has 50 Hz, too few for views
EXCERPT_CODES = {5: 0, 4: 4, 3: 1, 2: 2, 1: 3, 0: 3}  # DREAMS: 5 W, 4 R, 3-0 stages 1-4
PIECES = 6  # DREAMS scored every 5 s


@dataclass(frozen=True)
class Config:
    """Write the UCDDB epochs as nights of a store."""

    data: Path = Path("../shared/data")  # folder of the open data
    out: Path = Path("data")  # parent of the night stores: OUT/<view>/SVUH
    view: str = "seq3"  # a view with one EEG
    persons: tuple[str, ...] = PARTIAL  # of 002 006 007 013 019 020 022 024


class EpochNight(Recording):
    """One EEG derivation given as epochs; epochs that are missing are gaps."""

    def __init__(
        self, name: str, epochs: np.ndarray, present: np.ndarray, label: str = "EEG C3-M2"
    ) -> None:
        self.path, self.start, self.annotations, self.notes = Path(name), None, (), ()
        self._samples = epochs.reshape(-1)
        self.duration_s = float(EPOCH_S * len(epochs))
        self.gaps = tuple(
            (float(EPOCH_S * e), float(EPOCH_S * (e + 1))) for e in np.flatnonzero(~present)
        )
        rate_hz = Fraction(epochs.shape[1], EPOCH_S)
        self.channels = (Channel(0, label, rate_hz, "uV", self._samples.size),)

    def read(self, which: str | int, dtype: type = np.float32) -> np.ndarray:
        """Return the samples."""
        self.channel(which)
        return self._samples.astype(dtype)


def main(cfg: Config) -> int:
    """Write each person's night and say what it holds."""
    for person in cfg.persons:
        night, stages = ucddb(cfg.data / "real" / "ucddb", person)
        path = write(cfg.out / cfg.view, cfg.view, person, night, stages)
        counts = np.bincount(stages[stages != UNSCORED], minlength=5)
        sys.stdout.write(f"{path}: epochs of W N1 N2 N3 R: {' '.join(map(str, counts))}\n")
    return 0


def ucddb(folder: Path, person: str) -> tuple[EpochNight, np.ndarray]:
    """Return a person's night and the scorer's stages (E,), -1 where there is no stage or signal.

    Parameters
    ----------
    folder : Path
        `real/ucddb` of the open data.
    person : str
        Three digits; of `022` there are all stages, of others wake and deep sleep.
    """
    codes = np.loadtxt(folder / "stage" / f"ucddb{person}_stage.txt", dtype=int)
    epochs = np.zeros((len(codes), EPOCH_SAMPLES), dtype=np.float32)
    present = np.zeros(len(codes), dtype=bool)
    for part, wanted, bad in PARTS_022 if person == "022" else PARTS:
        places = np.flatnonzero(np.isin(codes, wanted))
        rows = _matrix(folder, person, part)
        if bad:
            good = np.delete(np.arange(len(places)), _matrix(folder, person, bad).ravel() - 1)
            places, rows = places[good], rows if part.endswith("_g") else rows[good]
        epochs[places], present[places] = rows, True
    epochs *= SCALE_UV / np.median(epochs[present].std(axis=1))
    stages = np.array([CODES.get(code, UNSCORED) for code in codes], dtype=np.int8)
    return EpochNight(f"ucddb{person}", epochs, present), np.where(present, stages, UNSCORED)


def dreams(folder: Path, excerpt: int) -> tuple[EpochNight, np.ndarray]:
    """Return half an hour of a person and its stages (60,): the most frequent of six of 5 s.

    Parameters
    ----------
    folder : Path
        `real/dreams_spindles` of the open data.
    excerpt : int
        One of `EXCERPTS`.
    """
    file = folder / f"excerpt{excerpt}.txt"
    with file.open(encoding="latin-1") as lines:
        label = next(lines).strip().strip("[]")
        samples = np.loadtxt(lines, dtype=np.float32)
    codes = np.loadtxt(folder / f"Hypnogram_excerpt{excerpt}.txt", dtype=int, skiprows=1)
    pieces = np.array([EXCERPT_CODES.get(code, UNSCORED) for code in codes])
    stages = np.array([_most_frequent(row) for row in pieces.reshape(-1, PIECES)], dtype=np.int8)
    length = EPOCH_S * EXCERPTS[excerpt]
    epochs = samples[: len(stages) * length].reshape(len(stages), length)
    return EpochNight(file.stem, epochs, np.ones(len(stages), bool), f"EEG {label}"), stages


def write(root: Path, view: str, person: str, night: EpochNight, stages: np.ndarray) -> Path:
    """Write a night as the view wants it and return its sidecar."""
    from nights.store import write_night
    from recordings.channels import resolve
    from recordings.ingest import read_view
    from recordings.views import VIEWS

    wanted = VIEWS[view]
    montage = resolve(night, ("EEG",), overrides={"EEG": night.labels[0]})
    read = read_view(night, wanted, montage=montage)
    return write_night(
        root,
        DATASET,
        night.path.name,
        {"sig": (list(read.signals), list(read.signals.values()))},
        Hypnogram(stages),
        view={"name": wanted.name, "hash": wanted.hash},
        person=f"{DATASET.lower()}-{night.path.name}",
        gaps=read.unscored,
    )


def _matrix(folder: Path, person: str, part: str) -> np.ndarray:
    """Return the one array of a file of epochs."""
    from scipy.io import loadmat

    content = loadmat(folder / "raw" / f"ucd{person}_{part}.mat")
    found = next(value for key, value in content.items() if not key.startswith("_"))
    return found.astype(int) if part.endswith("bad") else found


def _most_frequent(pieces: np.ndarray) -> int:
    """Return the stage that most pieces have; of equals the earlier stage."""
    known = pieces[pieces != UNSCORED]
    return int(np.bincount(known).argmax()) if len(known) else UNSCORED


if __name__ == "__main__":
    raise SystemExit(run(main, Config))
