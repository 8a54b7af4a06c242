"""Judge what others can rerun: corrections on anyone's stager, language models on anyone's nights.

python main_evaluate.py correction --outputs stager.npz
python main_evaluate.py language --weights sleepgpt-night-open --hypnograms scorings
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from command_line import dump, run_command

Way = Literal["none", "greedy", "beam", "viterbi", "posterior", "generic", "fitted"]


@dataclass(frozen=True)
class Correction:
    """Judge every way of correction on a stager's output of scored nights.

    Persons are never on both sides: weights and noise are learned fold by fold on other people.

    Examples:
      python main_evaluate.py correction --outputs stager.npz
      python main_evaluate.py correction --outputs psg.npz headband.npz --ways generic fitted
    """

    # NPZ: proba (n, 5) or stages (n,); labels, night, person (n,); several = fused
    outputs: tuple[Path, ...] = ()
    out: Path = Path("runs/evaluate_correction")  # gets results.json and the fits
    ways: tuple[Way, ...] = ("none", "greedy", "viterbi", "generic", "fitted")
    language_model: str = "sleepgpt-open"  # of greedy and beam
    transitions: str = "markov-open"  # of viterbi, posterior, and joined to the fitted denoiser
    denoiser: str = "denoiser-open"  # generic denoiser, by name or file
    n_folds: int = 5  # by person
    n_members: int = 3  # fits per fold, each with other persons to stop by
    n_passes: int = 3  # of 30 batches, per fit
    threads: int = 1
    seed: int = 0
    device: Literal["auto", "cpu"] = "auto"  # these models are too small to gain from a GPU
    dry_run: bool = False  # four nights, two folds, one pass

    def __post_init__(self) -> None:
        if not self.outputs:
            raise ValueError("--outputs FILE.npz is wanted: what a stager said of scored nights")


def correction(cfg: Correction) -> int:
    """Read the outputs, try each way, print the table, write results.json."""
    import json

    import torch

    from nights.atomic import write_text
    from staging import outputs, trial
    from staging.prior import StagePrior
    from staging.ways import load_apart, ways

    torch.set_num_threads(cfg.threads)
    nights = outputs.together([outputs.read_judged(path) for path in cfg.outputs])
    nights = nights[:4] if cfg.dry_run else nights
    cfg.out.mkdir(parents=True, exist_ok=True)
    dump(cfg, cfg.out / "config.json")
    tried = ways(
        cfg.ways,
        language_model=StagePrior(load_apart(cfg.language_model, nights)),
        transitions=StagePrior(load_apart(cfg.transitions, nights)),
        denoiser=load_apart(cfg.denoiser, nights),
        n_members=cfg.n_members,
        n_passes=1 if cfg.dry_run else cfg.n_passes,
        seed=cfg.seed,
    )
    n_folds = 2 if cfg.dry_run else cfg.n_folds
    results = {
        name: trial.run(way, nights, cfg.out / name, n_folds=n_folds) for name, way in tried.items()
    }
    rows = trial.judge(nights, results, seed=cfg.seed)
    write_text(cfg.out / "results.json", json.dumps(rows, indent=2) + "\n")
    sys.stdout.write(trial.table(rows))
    return 0


@dataclass(frozen=True)
class Language:
    """Judge language models of sleep on anyone's scored nights.

    Prints and writes how improbable the next stage is to each, in nats per epoch: smaller is
    better. Nights that the weights were trained with are found, by name and by content, and left
    out.

    Examples:
      python main_evaluate.py language --weights sleepgpt-open --hypnograms my/scorings
      python main_evaluate.py language --hypnograms annotations.txt --no-trim-wake
    """

    # scoring files of any kind, folders of them, night stores, annotations.txt
    hypnograms: tuple[Path, ...] = ()
    weights: tuple[str, ...] = ("sleepgpt-night-open", "sleepgpt-open")  # by name or file
    # tables to set beside them, fitted on the training nights of the weights that ship
    peers: tuple[str, ...] = ("markov-open", "markov5-open", "duration-open")
    out: Path = Path("runs/evaluate_language")  # gets results.json
    person_letters: int = 0  # letters of a scoring file's name that name the person; 0 = all
    stage_map: str = ""  # how files write stages, where they do not tell; nights/stages.py
    trim_wake: bool = True  # leave out wake further than 30 minutes from sleep
    stride: int = 6  # epochs by which a window moves; 1 is exact and six times the work
    threads: int = 1
    seed: int = 0  # of the draws of persons for the intervals
    device: Literal["auto", "cpu"] = "auto"  # these models are too small to gain from a GPU
    dry_run: bool = False  # the first two nights

    def __post_init__(self) -> None:
        if not self.hypnograms:
            raise ValueError("--hypnograms PATH is wanted: scored nights to judge on")


def language(cfg: Language) -> int:
    """Gather the nights, leave out what was trained on, judge, print, write results.json."""
    import json

    import torch

    from engine.language import judge_weights, judged_nights, told
    from nights.atomic import write_text

    torch.set_num_threads(cfg.threads)
    names = (*cfg.weights, *cfg.peers)
    nights = judged_nights(
        cfg.hypnograms,
        names,
        person_letters=cfg.person_letters,
        stage_map=cfg.stage_map or None,
        trim_wake=cfg.trim_wake,
    )
    nights = nights[:2] if cfg.dry_run else nights
    found = judge_weights(names, nights, stride=cfg.stride, seed=cfg.seed)
    dump(cfg, cfg.out / "config.json")
    write_text(cfg.out / "results.json", json.dumps(found, indent=2) + "\n")
    sys.stdout.write(told(found))
    return 0


COMMANDS: dict[str, tuple[type, Callable[[Any], int]]] = {
    "correction": (Correction, correction),
    "language": (Language, language),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command named by the first word."""
    return run_command(COMMANDS, __doc__, argv)


if __name__ == "__main__":
    raise SystemExit(main())
