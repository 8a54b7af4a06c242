"""Recordings in, corrected hypnograms out: any stager, then the language model of sleep."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from command_line import dump, parse


@dataclass(frozen=True)
class Config:
    """Stage recordings and correct the result with the stage language model.

    Examples:
      python main_stage_slm.py night.edf
      python main_stage_slm.py folder_of_nights --out results --channel C4=EEG2-A1
      python main_stage_slm.py night.edf --stager lpsgm --no-correction
    """

    paths: tuple[Path, ...]  # recordings, folders of them, or night stores
    out: Path = Path("runs/stage")  # one folder per night; finished nights are skipped
    stager: str = "yasa"  # yasa, weights by name or file, or a file or folder of predictions
    correction: bool = True  # correct the stager's result with the language model
    decoder: Literal["greedy", "viterbi"] = "greedy"  # greedy is the published rule
    language_model: str = "sleepgpt-open"  # weights of a stage language model, by name or file
    weight: float = 0.1  # share of the language model in the sum of log-probabilities, 0 to 1
    context: int = 30  # epochs the language model looks back
    channel: tuple[str, ...] = ()  # channels named by hand: C4=EEG2-A1, Chin=#7, E1= (leave out)
    channel_file: Path | None = None  # the same in a file: lines or a JSON object
    vote: bool = False  # every EEG derivation votes (stagers that read one derivation)
    scoring: str = "auto"  # compare with: auto (in or beside the recording), none, file or folder
    strict: bool = False  # an alarm of severity "distrust" counts as a failure
    force: bool = False  # do nights again that are finished
    skip_errors: bool = False  # exit status 0 although nights were refused
    device: Literal["auto", "cpu", "cuda"] = "auto"  # where networks run
    seed: int = 0  # nothing here is drawn at random; recorded for completeness
    dry_run: bool = False  # choose and print the channels of every recording, stage nothing

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise ValueError(f"--weight {self.weight:g} is outside 0..1")


def main(cfg: Config) -> int:
    """Stage every recording; return 0 only if every night succeeded."""
    from staging.run import StagingRun

    run = StagingRun(asdict(cfg))
    if cfg.dry_run:
        return run.show_channels()
    dump(cfg, cfg.out / "config.json")
    return run.stage_all()


if __name__ == "__main__":
    raise SystemExit(main(parse(Config)))
