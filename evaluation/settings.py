"""What can be set on the command line of `main_evaluate.py`: one class a command.

Only the standard library is imported here, so `--help` answers at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Way = Literal["none", "greedy", "beam", "viterbi", "posterior", "generic", "cautious", "fitted"]


@dataclass(frozen=True)
class Staging:
    """Judge stagers on scored nights: tables, figures, results.json, nights.csv, summary.html.

    Examples:
      python main_evaluate.py staging --predictions runs/lpsgm/predictions.npz theirs.npz
      python main_evaluate.py staging --predictions runs/stage --scorings my/scorings
    """

    # NPZ files (evaluation/outputs.py), folders of main_stage_slm.py's results, or folders of
    # anyone's hypnograms; the last two with --scorings. A stager each, called like the file
    predictions: tuple[Path, ...] = ()
    scorings: Path | None = None  # folder of scoring files named like the nights
    person_letters: int = 0  # letters of a scoring file's name that name the person; 0 = all
    out: Path = Path("runs/evaluate_staging")
    n_folds: int = 5  # by person, for the temperature
    seed: int = 0  # of folds and draws of persons
    device: Literal["auto", "cpu"] = "auto"  # nothing here gains from a GPU
    dry_run: bool = False  # the first two nights

    def __post_init__(self) -> None:
        if not self.predictions:
            raise ValueError("--predictions PATH is wanted: what stagers said of scored nights")


@dataclass(frozen=True)
class Compare:
    """Compare two stagers on the same nights, persons as the sample.

    Examples:
      python main_evaluate.py compare ours.npz theirs.npz
    """

    first: Path  # what the second is measured against; as --predictions of staging
    second: Path
    scorings: Path | None = None  # folder of scoring files named like the nights
    person_letters: int = 0  # letters of a scoring file's name that name the person; 0 = all
    out: Path = Path("runs/evaluate_compare")  # gets results.json, pair.png, summary.html
    seed: int = 0  # of the draws of persons
    device: Literal["auto", "cpu"] = "auto"  # nothing here gains from a GPU
    dry_run: bool = False  # the first two nights


@dataclass(frozen=True)
class Scorers:
    """Judge scorers and stagers alike, on nights with several scorers, as the Dreem data do.

    Examples:
      python main_evaluate.py scorers ../shared/data/real/dod/dod.npz
      python main_evaluate.py scorers dod.npz --predictions ours.npz --voters 4
    """

    scorings: Path  # NPZ: <dataset>/<night>/scorers (S, E); evaluation/scorers.py
    predictions: tuple[Path, ...] = ()  # NPZ files of more stagers (evaluation/outputs.py)
    voters: int = 0  # best scorers that judge a stager; 0 = all, the paper: one fewer
    out: Path = Path("runs/evaluate_scorers")  # gets results.json, figures, summary.html
    seed: int = 0  # of the draws of nights
    device: Literal["auto", "cpu"] = "auto"  # nothing here gains from a GPU
    dry_run: bool = False  # the first two nights of each data set


@dataclass(frozen=True)
class Correction:
    """Judge every way of correction on a stager's output of scored nights.

    Persons are never on both sides: weights and noise are learned fold by fold on other people.

    Examples:
      python main_evaluate.py correction --outputs stager.npz
      python main_evaluate.py correction --outputs psg.npz headband.npz --ways generic fitted
    """

    outputs: tuple[Path, ...] = ()  # NPZ files (evaluation/outputs.py); several = fused
    out: Path = Path("runs/evaluate_correction")  # gets results.json and the fits
    ways: tuple[Way, ...] = ("none", "greedy", "viterbi", "generic", "fitted")
    language_model: str = "sleepgpt-open"  # of greedy and beam
    transitions: str = "markov-open"  # of viterbi, posterior; joined to fitted; "" = none
    denoiser: str = "denoiser-open"  # generic denoiser, by name or file
    n_folds: int = 5  # by person
    n_members: int = 3  # fits per fold, each with other persons to stop by
    n_passes: int = 8  # of 20 batches, per fit
    threads: int = 1
    seed: int = 0
    device: Literal["auto", "cpu"] = "auto"  # these models are too small to gain from a GPU
    dry_run: bool = False  # four nights, two folds, one pass

    def __post_init__(self) -> None:
        if not self.outputs:
            raise ValueError("--outputs FILE.npz is wanted: what a stager said of scored nights")


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


@dataclass(frozen=True)
class Night:
    """Lay two scorings of one night side by side: a page with kappa, confusion, differences.

    Examples:
      python main_evaluate.py night scored_by_hand.xml runs/stage/night
      python main_evaluate.py night runs/yasa/night runs/lpsgm/night
    """

    first: Path  # a scoring of any kind, or a folder of main_stage_slm.py's results
    second: Path  # the same; it is laid on the epochs of the first
    out: Path = Path("runs/evaluate_night")  # gets comparison.html
    seed: int = 0  # nothing is drawn
    device: Literal["auto", "cpu"] = "auto"  # nothing here gains from a GPU
    dry_run: bool = False  # one night is quick: the same as without


@dataclass(frozen=True)
class Cohort:
    """Show a folder of staged nights on one page: alarms, refusals, distributions, every night.

    Examples:
      python main_evaluate.py cohort runs/stage
    """

    folder: Path  # results of main_stage_slm.py, which get cohort.html
    out: Path | None = None  # another folder for cohort.html; its links lead to the reports
    seed: int = 0  # nothing is drawn
    device: Literal["auto", "cpu"] = "auto"  # nothing here gains from a GPU
    dry_run: bool = False  # the first two nights
