"""Stage real EEG with published stagers and with ours, with and without correction.

    python benchmarks/real_stagers.py --data ../shared/data

UCDDB 022 is a night, four excerpts of DREAMS are half an hour of four other people, hardly any REM
among them; `benchmarks/real_epochs.py` says what these data are. No stager here was trained on any
of them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.measure import table  # noqa: E402
from benchmarks.real_epochs import EXCERPTS, EpochNight, dreams, ucddb  # noqa: E402
from evaluation.metrics import confusion, metrics_from  # noqa: E402
from staging.corrector import Corrector  # noqa: E402
from staging.stage import load_stager, stage  # noqa: E402

DECODERS = ("greedy", "beam", "viterbi", "posterior", "denoiser")
STAGERS = ("yasa", "tinysleepnet-sleepedf", "seqsleepnet-mass-eeg")


def nights_of(data: Path) -> dict[str, list[tuple[EpochNight, np.ndarray]]]:
    """Return the real nights at hand with their stages, by what they are."""
    excerpts = [dreams(data / "real" / "dreams_spindles", excerpt) for excerpt in EXCERPTS]
    return {
        "UCDDB 022, one night": [ucddb(data / "real" / "ucddb", "022")],
        f"DREAMS, half an hour of {len(excerpts)} people": excerpts,
    }


def rows_of(
    nights: Sequence[tuple[EpochNight, np.ndarray]], names: Sequence[str], language_model: str
) -> list[list[object]]:
    """Return one row per stager and decoder, the epochs of all nights pooled."""
    rows: list[list[object]] = []
    for name in names:
        stager = load_stager(name)
        raw = [stage(night, stager).hypnogram for night, _ in nights]
        results = {"none": raw}
        for decoder in DECODERS:
            correct = Corrector(language_model, decoder=decoder)
            results[decoder] = [correct(hypnogram) for hypnogram in raw]
        for decoder, hypnograms in results.items():
            sides = zip(nights, hypnograms, strict=True)
            counts = sum(confusion(stages, told.stages) for (_, stages), told in sides)
            found = metrics_from(counts)
            f1 = [round(value, 3) for value in found["per_stage_f1"].values()]
            scores = [found[key] for key in ("accuracy", "kappa", "macro_f1")]
            rows.append([name, decoder, *scores, *f1, found["n_epochs"]])
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Print one row per stager and decoder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--stagers", nargs="+", default=STAGERS)
    parser.add_argument("--language-model", default="sleepgpt-open")
    options = parser.parse_args(argv)
    head = [
        "stager",
        "correction",
        "accuracy",
        "kappa",
        "macro F1",
        *["W", "N1", "N2", "N3", "R"],
        "n",
    ]
    for title, nights in nights_of(options.data).items():
        rows = rows_of(nights, options.stagers, options.language_model)
        sys.stdout.write(table(f"{title}, one real EEG derivation", head, rows) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
