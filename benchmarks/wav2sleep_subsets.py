"""What wav2sleep loses with every signal that is not there: kappa of each subset of its signals.

    python -m benchmarks.wav2sleep_subsets --nights data/cr/Simulated --out runs/subsets
    python -m benchmarks.wav2sleep_subsets --weights wav2sleep --nights data/cr/MESA --out runs/mesa
    python -m benchmarks.wav2sleep_subsets --weights wav2sleep --nights data/cr --split census

Nights that trained or chose the weights are left out. `subsets.npz` is what `main_evaluate.py
staging --predictions` reads; the table and the figure are of the kappa over all epochs, with
intervals by person, beside the median over nights. Nights that lack a signal of a subset are not
counted for it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.measure import table
from engine.staging_nights import gather, stored_split, usable
from engine.staging_results import SIMULATED
from engine.subsets import subset_outputs
from engine.weights import load
from evaluation.judge import compare_outputs, subset_facts
from evaluation.outputs import NightOutput, write_outputs
from evaluation.plots.stagers import channel_figure
from evaluation.plots.style import save_figure


def main() -> None:
    """Stage the nights from every subset, write outputs and figure, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--weights", default="wav2sleep-small-simulated")
    parser.add_argument("--nights", type=Path, nargs="+", required=True)
    parser.add_argument("--split", default="", help="of the store: its test nights alone")
    parser.add_argument("--out", type=Path, default=Path("runs/subsets"))
    parser.add_argument("--figure", type=Path, help="default: subsets.png in --out")
    options = parser.parse_args()
    torch.set_num_threads(1)
    outputs = staged(options.weights, options.nights, options.split)
    write_outputs(options.out / "subsets.npz", outputs)
    subsets: dict[str, list[NightOutput]] = {}
    for output in outputs:
        subsets.setdefault(output.channels, []).append(output)
    facts = {channels: subset_facts(nights) for channels, nights in subsets.items()}
    figure = options.figure or options.out / "subsets.png"
    drawn = channel_figure({options.weights: facts})
    nobody = "simulated nights" if any(output.simulated for output in outputs) else "nights"
    drawn.suptitle(f"{options.weights}, {max(map(len, subsets.values()))} {nobody}", fontsize=10)
    save_figure(drawn, figure)
    rows = []
    for channels, found in facts.items():
        interval = found["kappa_interval"]
        told = f"{found['kappa']:.3f} ({interval['low']:.2f} to {interval['high']:.2f})"
        each = [night["kappa"] for night in compare_outputs(subsets[channels]).per_night]
        rows.append(
            [
                channels,
                found["n_nights"],
                told,
                f"{np.nanmedian(each):.3f}",
                f"{found['accuracy']:.3f}",
            ]
        )
    head = ["signals", "nights", "kappa (95 % by person)", "median of nights", "accuracy"]
    print(table(f"{options.weights}: every subset of the signals", head, rows))
    if any(output.simulated for output in outputs):
        print(SIMULATED)


def staged(weights: str, paths: Sequence[Path], split_name: str = "") -> list[NightOutput]:
    """Return what the weights say of the nights they have not seen, from every subset."""
    model, card = load(weights)
    split = card.get("split", {})
    seen = {name for part in ("train", "val") for name in split.get(part, ())}
    nights, _ = usable(gather(paths), model.channels)  # type: ignore[arg-type]
    if split_name:
        chosen = {n for fold in stored_split(nights, split_name).folds for n in fold["test"]}
        nights = [night for night in nights if night.name in chosen]
    return list(subset_outputs(model, [night for night in nights if night.name not in seen]))


if __name__ == "__main__":
    main()
