"""Outputs that the authors of the SeqSleepNet family released, in the forms our commands read.

    python -m benchmarks.released_outputs sleepedf20 --data ../shared/data --out runs/released
    python -m benchmarks.released_outputs deepcnn --data ../shared/data --out runs/released
    python -m benchmarks.released_outputs mass-arnn --data ../shared/data --out runs/mass-arnn

`sleepedf20` writes onemax.npz, the three heads of the 1-max CNN multiplied (Phan et al., TBME
66(5), 2019), and `deepcnn` sleepedf20_middle.npz, one head alone: both for `main_evaluate.py`.
`mass-arnn` writes results.json: MASS scorings may not be passed on, but the accuracy of each fold
was released.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks import correction_outputs
from evaluation.outputs import NightOutput, write_outputs
from models.aggregation import fused_logits
from nights.atomic import write_text

HEADS = ("multitask previous", "multitask current", "multitask next")


def main(argv: Sequence[str] | None = None) -> int:
    """Write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("sleepedf20", "mass-arnn", "deepcnn"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, required=True)
    cfg = parser.parse_args(argv)
    cfg.out.mkdir(parents=True, exist_ok=True)
    if cfg.what == "sleepedf20":
        write_outputs(
            cfg.out / "onemax.npz", aggregated(cfg.data / "sleepedf20_stager_outputs.npz")
        )
    elif cfg.what == "deepcnn":
        correction_outputs.sleepedf20(cfg.data, cfg.out)
    else:
        found = pooled_folds(cfg.data / "mass_arnn_outputs.npz")
        write_text(cfg.out / "results.json", json.dumps(found, indent=2) + "\n")
    return 0


def aggregated(path: Path) -> list[NightOutput]:
    """Return the nights of Sleep-EDF-20 staged by the two-channel 1-max CNN, heads multiplied."""
    with np.load(path) as file:
        heads = torch.from_numpy(file["logits_onemax_1to3_2ch"].astype(np.float32)).transpose(0, 1)
        labels = file["labels"].astype(np.int8)
        bounds = list(zip(file["record"], file["record_start"], file["record_epochs"], strict=True))
    nights = []
    for record, start, n in bounds:
        piece = slice(int(start), int(start) + int(n))
        proba = fused_logits(heads[piece])[1:-1].softmax(dim=-1).numpy()  # within the night alone
        nights.append(NightOutput(str(record), str(record)[:5], labels[piece], proba))
    return nights


def pooled_folds(path: Path) -> dict[str, dict[str, float]]:
    """Return the accuracy of each network on MASS, its 20 folds weighted by their epochs."""
    with np.load(path) as file:
        epochs, fold = file["night_epochs"], file["night_fold"]
        of_fold = np.bincount(fold, weights=epochs)[1:]
        inner = of_fold - 2 * np.bincount(fold)[1:]  # three heads: not the ends of a night
        accuracies = {"arnn": (file["arnn_acc"], of_fold)}
        accuracies |= {n: (file["mt_acc"][:, k], inner) for k, n in enumerate(HEADS)}
        for name in ("onemax_1to1_3ch", "chambon_3ch"):
            accuracies[name] = (file[f"acc_{name}"], of_fold)
    return {
        name: {
            "accuracy": float((share * weight).sum() / weight.sum()),
            "n_epochs": float(weight.sum()),
        }
        for name, (share, weight) in accuracies.items()
    }


if __name__ == "__main__":
    raise SystemExit(main())
