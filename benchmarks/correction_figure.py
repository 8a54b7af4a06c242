"""A real night: what a stager gave, what each decoder made of it, what five scorers said.

    python -m benchmarks.correction_figure --out figures/correction_night.png

The night is of the Dreem material (MIT) and in the test part of the language model; the denoiser
knows nobody of that material. The stager is two published ones that vote, each by labels alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from engine.weights import load
from evaluation.metrics import confusion, metrics_from
from evaluation.plots import draw_hypnodensity, draw_hypnogram, save_figure, time_axis
from nights.hypnogram import Hypnogram
from preprocess.hypnograms import consensus
from staging.corrector import Corrector
from staging.noise import hard_log_probs

ROOT = Path(__file__).resolve().parents[1]
STAGERS = ("Chambon", "Tsinalis")  # heard together they are graded: half sure where they differ
WAYS = {
    "greedy": ("sleepgpt-open", 0.1),
    "beam": ("sleepgpt-open", 0.1),
    "viterbi": ("markov-open", 0.2),
    "posterior": ("markov-open", 0.2),
    "denoiser": ("", 0.0),
}


def test_nights() -> list[str]:
    """Return the Dreem nights that the language model was not trained on."""
    _, card = load("sleepgpt-open")
    tested = [name for name in card["split"]["test"] if name.startswith("dod/")]
    return [name.removeprefix("dod/") for name in tested]


def night_of(data: Path, night: str) -> tuple[Hypnogram, Hypnogram]:
    """Return the stager's night, and the consensus with the share of scorers per stage."""
    with np.load(data / "real" / "dod" / "dod.npz", allow_pickle=False) as file:
        names = [str(name) for name in file[f"{night.split('/')[0]}/model_names"]]
        places = [place for place, name in enumerate(names) if name.startswith(STAGERS)]
        said, scorers = file[f"{night}/models"][places], file[f"{night}/scorers"]
    votes = (scorers[:, :, None] == np.arange(5)).sum(axis=0).astype(np.float32)
    with np.errstate(invalid="ignore"):
        shares = votes / votes.sum(axis=1, keepdims=True)
    truth = Hypnogram(consensus(scorers), proba=shares, scorer="five scorers")
    proba = np.mean([np.exp(hard_log_probs(labels)) for labels in said], axis=0)
    raw = Hypnogram.from_proba(proba, scorer=" + ".join(STAGERS))
    return raw, truth


def draw(raw: Hypnogram, truth: Hypnogram) -> Figure:
    """Draw stager, decoders, consensus and the scorers' votes below each other."""
    results = {f"stager ({raw.scorer})": raw}
    for decoder, (weights, weight) in WAYS.items():
        results[decoder] = Corrector(weights, decoder=decoder, weight=weight)(raw)
    results["consensus"] = truth
    figure = Figure(figsize=(9, 1.15 * (len(results) + 1)), layout="constrained")
    rows = figure.subplots(len(results) + 1, 1, sharex=True)
    for axes, (name, hypnogram) in zip(rows, results.items(), strict=False):
        draw_hypnogram(axes, hypnogram, label="")
        found = metrics_from(confusion(truth, hypnogram))
        score = f": accuracy {found['accuracy']:.3f}, macro-F1 {found['macro_f1']:.3f}"
        axes.set_title(name + score * (hypnogram is not truth), loc="left", fontsize=9, pad=2)
    draw_hypnodensity(rows[-1], truth)
    rows[-1].set_ylabel("")
    rows[-1].set_title("what five scorers said", loc="left", fontsize=9, pad=2)
    time_axis(rows[-1], truth)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Draw one night."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "figures" / "correction_night.png")
    parser.add_argument("--night", type=int, default=7, help="place among the test nights")
    options = parser.parse_args(argv)
    night = test_nights()[options.night]
    save_figure(draw(*night_of(options.data, night)), options.out, dpi=110)
    sys.stdout.write(f"{options.out}: {night}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
