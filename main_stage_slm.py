"""Recordings in, corrected hypnograms out: any stager, then the language model of sleep."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from command_line import dump, run

if TYPE_CHECKING:
    from staging.corrector import Corrector
    from staging.stage import Stager


@dataclass(frozen=True)
class Config:
    """Stage recordings and correct the result with the stage language model.

    Examples:
      python main_stage_slm.py night.edf
      python main_stage_slm.py folder_of_nights --out results --channel C4=EEG2-A1
      python main_stage_slm.py night.edf --stager tinysleepnet --no-correction
      python main_stage_slm.py night.edf --stager wav2sleep --signals ECG,THX --no-correction
      python main_stage_slm.py night.edf --stager yasa,tinysleepnet-sleepedf --decoder denoiser
      python main_stage_slm.py night.edf --events apnea.safetensors hypopnea.safetensors
    """

    paths: tuple[Path, ...]  # recordings, folders of them, or night stores
    out: Path = Path("runs/stage")  # one folder per night; finished nights are skipped
    # yasa, weights by name or file, or a file or folder of predictions; a,b = heard as one
    stager: str = "yasa"
    correction: bool = True  # correct the stager's result with the language model
    # greedy is the published rule; denoiser needs no language model
    decoder: Literal["greedy", "beam", "viterbi", "posterior", "denoiser"] = "greedy"
    # weights of a stage language model, by name or file; of NAME, NAME-4 for a stager of W L D R
    language_model: str = "sleepgpt-open"
    weight: float = 0.1  # share of the language model in the sum of log-probabilities, 0 to 1
    context: int = 30  # epochs the language model looks back
    denoiser: str = "denoiser-open"  # weights of the generic denoiser, by name or file
    # the stager's output of scored nights of other people (NPZ as for main_evaluate.py correction),
    # for --stager a,b a file each: chooses the weight, or fits the denoiser to the stagers and
    # joins the language model; abstains if nothing is gained there
    fit_weight: tuple[Path, ...] = ()
    channel: tuple[str, ...] = ()  # channels named by hand: C4=EEG2-A1, Chin=#7, E1= (leave out)
    channel_file: Path | None = None  # the same in a file: lines or a JSON object
    signals: str = ""  # use only these of the channels a network knows: ECG,THX
    as_published: bool = False  # wav2sleep: fill the night with zeros to 10 h, or cut it there
    vote: bool = False  # every EEG derivation votes (stagers that read one derivation)
    scoring: str = "auto"  # compare with: auto (in or beside the recording), none, file or folder
    person_letters: int = 0  # letters of a recording's name that name the person; 0 = all
    # weights of main_probe.py --task apnea or hypopnea, by name or file: how probable an event is
    # in each epoch, beside the stages; a night they cannot read is staged without
    events: tuple[str, ...] = ()
    # signals with an alarm of severity "distrust" (an ECG without beats, a belt without breaths,
    # a lead that is off) are not shown to the stager
    drop_bad_signals: bool = False
    strict: bool = False  # an alarm of severity "distrust" counts as a failure
    force: bool = False  # do nights again that are finished
    skip_errors: bool = False  # exit status 0 although nights were refused
    device: Literal["auto", "cpu", "cuda"] = "auto"  # where networks run
    seed: int = 0  # of the fit to a stager (--fit-weight); nothing else is drawn
    dry_run: bool = False  # the first ten minutes of the first two recordings, all outputs

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise ValueError(f"--weight {self.weight:g} is outside 0..1")


# What decides a result; the other fields may differ between a run and its rerun.
SETTINGS = (
    *("stager", "correction", "decoder", "language_model", "weight", "context"),
    *("denoiser", "fit_weight", "seed"),
    *("channel", "channel_file", "signals", "as_published", "drop_bad_signals"),
    *("vote", "scoring", "events", "dry_run"),
)


def main(cfg: Config) -> int:
    """Stage every recording; return 0 only if every night succeeded."""
    from nights.outcome import Outcome
    from staging.batch import find_sources, read_ahead
    from staging.events import load_detectors
    from staging.run import DRY_RUN_EPOCHS, NightReader, StagingRun, named_channels, progress
    from staging.stage import load_stager

    sources = find_sources(cfg.paths)[: 2 if cfg.dry_run else None]
    only = tuple(name for name in cfg.signals.split(",") if name)
    stager = load_stager(cfg.stager, device=cfg.device, signals=only, as_published=cfg.as_published)
    n_epochs = DRY_RUN_EPOCHS if cfg.dry_run else None
    overrides = named_channels(cfg.channel, cfg.channel_file)
    detectors = load_detectors(cfg.events, device=cfg.device)
    bad = cfg.drop_bad_signals
    reader = NightReader(stager, overrides, cfg.vote, cfg.scoring, n_epochs, bad, detectors)
    settings = {key: value for key, value in asdict(cfg).items() if key in SETTINGS}
    settings["events"] = sorted(detector.setting for detector in detectors)
    staging = StagingRun(cfg.out, stager, load_corrector(cfg, stager), settings, strict=cfg.strict)
    dump(cfg, cfg.out / "config.json")
    outcome = Outcome(cfg.out / "failed.jsonl")
    todo = staging.unfinished(sources, outcome, force=cfg.force)
    for source, coming in progress(read_ahead(todo, reader), len(todo)):
        with outcome.night(source.name) as step:
            sys.stdout.write(staging.stage(source, coming, step, alone=len(sources) == 1))
    told = staging.sum_up(sources, outcome.refusals, person_letters=cfg.person_letters)
    sys.stdout.write(told + outcome.table())
    return outcome.close(skip_errors=cfg.skip_errors)


def load_corrector(cfg: Config, stager: Stager) -> Corrector | None:
    """Return the correction that was asked for, in the classes of the stager."""
    from engine.weights import for_classes
    from staging.corrector import Corrector

    if not cfg.correction:
        return None
    return Corrector(
        for_classes(cfg.language_model, len(stager.classes)),
        decoder=cfg.decoder,
        weight=cfg.weight,
        context=cfg.context,
        learn_from=cfg.fit_weight,
        denoiser=cfg.denoiser,
        seed=cfg.seed,
    )


if __name__ == "__main__":
    raise SystemExit(run(main, Config))
