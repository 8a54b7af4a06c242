"""Few labels, many signals: does pre-training help? Kappa against the share of labels, simulated.

    python -m benchmarks.pretraining_helps --out runs/helps --figure figures/pretraining_helps.png

Twenty-four simulated people, a night each told five times as fast (every fifth epoch of eight
hours, so that short nights hold all stages). A small NeuroNet learns from C4 of twelve of them
without any label; four others give labels, two choose the weights, six are tested, with three seeds
for people, weights and labels. Compared at 1 to 100 % of the labels:

probe    frozen pre-trained encoder, classifier on its embeddings
scratch  the same network from drawn weights, every weight learns
tuned    pre-trained encoder, every weight learns on

Scratch and tuned take `--steps` steps of 32 epochs, judged four times on the two that choose; after
400 all of the labels have been seen 17 times and scratch has ended. The classifier takes 300 steps,
the pre-training before it 240.

Nobody slept these nights: the figure tells that the code learns what it shall, not how well people
would be staged. About 12 CPU minutes a seed; seeds can be run one by one, and finished ones stay.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import table

FRACTIONS = (0.01, 0.05, 0.1, 0.5, 1.0)
WAYS: dict[str, dict[str, Any]] = {
    "probe": {"mode": "probe"},
    "tuned": {"mode": "whole"},
    "scratch": {"mode": "whole", "scratch": True},
}
COLOURS = {"probe": "#1c3f78", "tuned": "#5b9bd0", "scratch": "#c4304f"}
N_PEOPLE, FASTER = 24, 5
SMALL = ("widths=(8, 8, 8, 12, 16)", "width=64")  # of the encoder: seconds a pass


def make_store(root: Path) -> Path:
    """Make the night store of the simulated people, or return the one that is there."""
    import preprocess
    from preprocess.recipe import Settings, make_nights
    from preprocess.recipe.workers import each
    from recordings.simulate import simulate_night
    from recordings.simulate.stages import draw_stages

    store = root / "data/shhs7"
    if (store / "manifest.jsonl").exists():
        return store
    for person in range(1, N_PEOPLE + 1):
        stages = draw_stages(np.random.default_rng(person), 960)[::FASTER]
        night = simulate_night(person, stages=stages)
        night.write(root / f"raw/SIM{person:04d}N1.edf")
    settings = Settings(raw=root / "raw", out=root / "data", view="shhs7")
    make_nights(preprocess.find_dataset("simulated"), settings, spread=each)
    return store


def run_seed(store: Path, out: Path, seed: int, ways: Sequence[str], steps: int) -> None:
    """Pre-train, then learn in these ways from every fraction of the labels."""
    from engine.pretraining_run import pretrain
    from engine.pretraining_settings import Pretraining
    from engine.probing_run import probe
    from engine.probing_settings import Probing

    init = out / f"seed{seed}/pretrained"
    if not (init / "last.pt").exists():
        pretrain(
            Pretraining(
                nights=(store,),
                preset="eeg-small",
                channels=("C4",),
                field=SMALL,
                n_passes=8,
                val_share=0.1,
                test_share=0.5,
                seed=seed,
                out=init,
            )
        )
    for way in ways:
        folder = out / f"seed{seed}/{way}"
        if not (folder / "results.json").exists():
            probe(
                Probing(
                    nights=(store,),
                    init=str(init),
                    preset="trial",
                    fractions=FRACTIONS,
                    folds=2,
                    fold=(0,),
                    val_share=0.34,
                    seed=seed,
                    out=folder,
                    resume=folder.exists(),
                    **WAYS[way],
                    **(
                        {"max_steps": steps, "evaluate_every": steps // 4} if way != "probe" else {}
                    ),
                )
            )


def gathered(out: Path) -> dict[str, dict[float, list[float]]]:
    """Return {way: {fraction: kappa of each seed that has got there}}."""
    from evaluation.judge import compare_outputs
    from evaluation.outputs import read_outputs

    found: dict[str, dict[float, list[float]]] = {way: defaultdict(list) for way in WAYS}
    for way in WAYS:
        for fraction in FRACTIONS:
            for path in sorted(out.glob(f"seed*/{way}/labels{100 * fraction:g}/test.npz")):
                kappa = compare_outputs(read_outputs(path)).pooled["kappa"]
                found[way][fraction].append(kappa)
    return found


def draw(found: dict[str, dict[float, list[float]]], path: Path, steps: int) -> None:
    """Draw the mean over seeds as lines, every seed as a point."""
    from matplotlib.figure import Figure

    from evaluation.plots.style import save_figure

    figure = Figure(figsize=(5.4, 3.8), layout="constrained")
    axes = figure.subplots()
    for way, by_fraction in found.items():
        if not by_fraction:
            continue
        label = "frozen encoder, classifier" if way == "probe" else f"{way}, {steps} steps"
        fractions = sorted(by_fraction)
        percent = [100 * fraction for fraction in fractions]
        means = [np.mean(by_fraction[fraction]) for fraction in fractions]
        axes.plot(percent, means, color=COLOURS[way], label=label, marker="o", markersize=4)
        for fraction in fractions:
            kappas = by_fraction[fraction]
            axes.scatter(
                [100 * fraction] * len(kappas), kappas, s=10, color=COLOURS[way], alpha=0.4
            )
    axes.set_xscale("log")
    axes.set_xticks([100 * f for f in FRACTIONS], [f"{100 * f:g}" for f in FRACTIONS])
    axes.minorticks_off()
    axes.set_xlabel("labels of four simulated persons (%)")
    axes.set_ylabel("kappa on six others")
    axes.set_title("Pre-trained on simulated signals without labels, or from scratch", fontsize=9)
    axes.legend(frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    save_figure(figure, path)


def main() -> None:
    """Run the seeds that are not there yet, print the table, draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--out", type=Path, default=Path("runs/helps"))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--ways", nargs="*", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--figure", type=Path, default=None)
    asked = parser.parse_args()
    store = make_store(asked.out)
    for seed in asked.seeds:
        run_seed(store, asked.out, seed, asked.ways, asked.steps)
    found = gathered(asked.out)
    rows = [
        [way, *(_cell(by_fraction.get(fraction, [])) for fraction in FRACTIONS)]
        for way, by_fraction in found.items()
        if by_fraction
    ]
    head = ["kappa, mean and range of seeds", *(f"{100 * f:g} % of labels" for f in FRACTIONS)]
    print(table("Pre-training and few labels (simulated nights)", head, rows))
    if asked.figure:
        draw(found, asked.figure, asked.steps)


def _cell(kappas: list[float]) -> str:
    """Return mean and range."""
    if not kappas:
        return "-"
    return f"{np.mean(kappas):.2f} ({min(kappas):.2f} to {max(kappas):.2f})"


if __name__ == "__main__":
    main()
