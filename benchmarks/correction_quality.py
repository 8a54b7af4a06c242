"""What correction is worth on real stagers, people held out: published, a plain peer, ours, goal.

    python -m benchmarks.correction_quality --out runs/correction_quality

Every stager's output becomes a file as anyone could bring it (`benchmarks/correction_outputs.py`);
every way of correction learns on other people, fold by fold. Each trial begins with the first of
`--denoisers` that nobody of its people has taught, which their cards tell; tables of transitions
are fitted without the source that is judged. Trials that are finished are not done again. About
ten CPU minutes a trial, almost all of it in the fits; `--trials` names single ones.

    python -m benchmarks.correction_quality --curve --out runs/correction_quality

fits to 1, 3, 10 and 30 scored nights and draws `figures/noise_learned_from_nights.png`.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.correction_curve import curve, draw_curve
from benchmarks.correction_outputs import boas, dod, sleepedf20
from benchmarks.measure import table as markdown
from engine.denoising import JudgedNight
from models.transitions import Markov, MarkovConfig, TransitionTable
from nights.atomic import write_text
from nights.sequences import sequences
from preprocess.hypnograms import JUDGED_ELSEWHERE, SOURCES, read_hypnograms
from staging import trial
from staging.denoiser import N_MEMBERS, N_PASSES
from staging.outputs import read_judged, together
from staging.prior import StagePrior
from staging.ways import NotApartError, load_apart, ways

ROOT = Path(__file__).resolve().parents[1]
DOD = ("Chambon", "DeepSleepNet", "MixedNeuralNetwork", "SeqSleepNet", "SimpleNet", "Tsinalis")
DENOISERS = ("denoiser-open",)
WAYS = ("greedy", "viterbi", "posterior", "generic", "cautious", "fitted")
CURVE_FIGURE = "noise_learned_from_nights.png"
CURVE_TITLE = "A stager's noise learned from its scored nights: one-channel CNN, Sleep-EDF-20"
HEADS = ("summed", "previous", "middle", "next")
TRIALS: dict[str, tuple[str, ...]] = {  # the first file is what correction is compared with
    "sleepedf20 middle head": ("sleepedf20_middle",),
    "sleepedf20 three heads": tuple(f"sleepedf20_{head}" for head in HEADS),
    "boas psg": ("boas_psg",),
    "boas headband": ("boas_headband",),
    "boas both": ("boas_psg", "boas_headband"),
    **{f"dod {name}": (f"dod_{name}",) for name in DOD},
}


@dataclass(frozen=True)
class Row:
    """A line of the table: accuracy, kappa, macro-F1 in percent where a number is known."""

    trial: str
    way: str
    published: str
    peer: str
    goal: str


ROWS = (
    Row(
        *("sleepedf20 middle head", "generic"),
        "SleepGPT greedy +1.7 at weight 0.3",
        "Markov Viterbi +2.6 at weight 0.3",
        "+3.5",
    ),
    Row("sleepedf20 middle head", "fitted", "", "GRU 81.3 / 73.3 / 74.2", "82.5 / 75.0 / 75.5"),
    Row("sleepedf20 three heads", "fitted", "", "Viterbi +1.0; GRU 81.4", "82.8"),
    Row("boas psg", "fitted", "SleepGPT 0.0", "GRU +1.0, kappa +1.7", "+1.4, kappa +2.3"),
    Row("boas headband", "fitted", "SleepGPT +0.1", "GRU +0.8, kappa +1.4", "+1.4, kappa +2.3"),
    Row("boas both", "fitted", "", "GRU +1.9, kappa +3.1", "+2.4, kappa +3.8"),
    *(
        Row(f"dod {name}", "fitted", "-0.0 to +0.2, F1 -0.3 to -0.6", "", "not lower")
        for name in DOD
    ),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Do the trials that are not done yet and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "correction_quality")
    parser.add_argument("--trials", nargs="*", default=list(TRIALS), choices=[*TRIALS])
    parser.add_argument("--denoisers", nargs="*", default=DENOISERS)
    parser.add_argument("--ways", nargs="*", default=WAYS, choices=WAYS)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--members", type=int, default=N_MEMBERS)
    parser.add_argument("--passes", type=int, default=N_PASSES)
    parser.add_argument("--curve", action="store_true", help="gain over scored nights learned from")
    parser.add_argument("--figure", type=Path, default=ROOT / "figures" / CURVE_FIGURE)
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    folder = options.out / "outputs"
    files = {
        path.stem: path
        for make in (sleepedf20, boas, dod)
        for path in make(options.data, folder).values()
    }
    if options.curve:
        draw(read_judged(files["sleepedf20_middle"]), options)
        return 0
    for name in options.trials:
        done = options.out / f"{name.replace(' ', '_')}.json"
        if not done.exists():
            judged = TRIALS[name]
            nights = together([read_judged(files[part]) for part in judged])
            rows = tried(name, nights, options)
            write_text(done, json.dumps(rows, indent=1) + "\n")
        rows = json.loads(done.read_text(encoding="utf-8"))
        sys.stdout.write(f"\n{name}\n{trial.table(rows)}")
        sys.stdout.flush()
    sys.stdout.write("\n" + summary(options.out))
    return 0


def draw(nights: list[JudgedNight], options: argparse.Namespace) -> None:
    """Print the learning curve of the fit, write its rows and draw it."""
    done = options.out / "curve.json"
    if not done.exists():
        rows = curve(
            nights,
            load_first_apart(options.denoisers, nights),
            options.out / "fits" / "curve",
            n_folds=options.folds,
            n_members=options.members,
            n_passes=options.passes,
        )
        write_text(done, json.dumps(rows, indent=1) + "\n")
    rows = json.loads(done.read_text(encoding="utf-8"))
    sys.stdout.write(trial.table(rows))
    draw_curve(rows, options.figure, CURVE_TITLE)


def load_first_apart(names: Sequence[str], nights: Sequence[JudgedNight]) -> Any:
    """Return the first of these weights that nobody of these people has taught."""
    for name in names[:-1]:
        try:
            return load_apart(name, nights)
        except NotApartError:
            continue
    return load_apart(names[-1], nights)


def tried(name: str, nights: list[JudgedNight], options: argparse.Namespace) -> dict[str, dict]:
    """Put every way to the trial; return its rows."""
    denoiser = load_first_apart(options.denoisers, nights)
    chain = StagePrior(transitions(options.data, nights))
    knows = name.startswith("sleepedf20")  # the shipped language model knows BOAS and DOD
    model = StagePrior(load_apart("sleepgpt-open", nights)) if knows else None
    names = [way for way in options.ways if knows or way != "greedy"]
    made = ways(
        names,
        language_model=model,
        transitions=chain,
        denoiser=denoiser,
        n_members=options.members,
        n_passes=options.passes,
    )
    folder = options.out / "fits" / name.replace(" ", "_")
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was broken off
    results = {
        way: trial.run(do, nights, folder / way.replace(" ", "_"), n_folds=options.folds)
        for way, do in made.items()
    }
    return trial.judge(nights, results)


def transitions(data: Path, nights: Sequence[JudgedNight]) -> TransitionTable:
    """Return a first-order table of all open hypnograms but those of the judged people's source."""
    judged = {night.person.split("/")[0] for night in nights} - {"sleepedf"}
    known = read_hypnograms(data, [source for source in SOURCES if source not in judged])
    apart = {*JUDGED_ELSEWHERE, *(night.person for night in nights)}
    others = [night.without_long_wake() for night in known if night.owner not in apart]
    return Markov(MarkovConfig()).fit(sequences(others))


def summary(out: Path) -> str:
    """Return the table of the rows whose trials are done."""
    lines = []
    for row in ROWS:
        done = out / f"{row.trial.replace(' ', '_')}.json"
        if done.exists():
            found = json.loads(done.read_text(encoding="utf-8"))
            if row.way not in found:  # left out by --ways
                continue
            raw, ours = (_scores(found[way]) for way in ("none", row.way))
            gain = _scores({key: value["value"] for key, value in found[row.way]["gain"].items()})
            told = (row.published, row.peer, row.goal, ours, gain, found[row.way]["choice"])
            lines.append((row.trial, row.way, raw, *told))
    head = ("trial", "way", "raw", "published", "peer", "goal", "ours", "ours - raw", "decision")
    return markdown("Accuracy / kappa / macro-F1, percent", head, lines)


def _scores(found: dict) -> str:
    """Return accuracy / kappa / macro-F1 in percent."""
    return " / ".join(f"{100 * found[key]:.2f}" for key in ("accuracy", "kappa", "macro_f1"))


if __name__ == "__main__":
    raise SystemExit(main())
