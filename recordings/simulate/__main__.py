"""The command line of the simulator: one night, or a cohort of them.

python -m recordings.simulate --out night.edf --seed 1
python -m recordings.simulate --nights 20 --hours 2 --out raw/simulated
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from command_line import run
from recordings.simulate import Scoring, simulate_night
from recordings.simulate.cohort import Cohort, write_cohort


@dataclass(frozen=True)
class Config:
    """Write a simulated night as an EDF+ file with its true stages and events, or many of them."""

    out: Path = Path("simulated.edf")  # the EDF+ file; with --nights the folder of the files
    nights: int = 0  # a cohort of so many nights, each person of another age and AHI
    per_person: int = 1  # of a cohort: nights of each person
    site: str = "SIM"  # of a cohort: capital letters that begin every name, another is other people
    seed: int = 1  # another seed is another person and another night
    hours: float = 8.0  # length of the recording
    montage: Literal["full", "aasm9", "sleepedf", "home"] = "full"  # which signals
    scoring: Scoring = "inside"  # stages and events inside the file, or in <out>-Hypnogram.edf
    age: float = 40.0  # years
    ahi: float = 5.0  # apneas and hypopneas per hour of sleep
    hum_uv: float = 0.5  # mains hum, uV
    mains_hz: int = 50  # frequency of the mains, Hz
    lead_off: tuple[str, ...] = ()  # LABEL:ONSET:DURATION in seconds, e.g. C4-M1:3600:300

    def __post_init__(self) -> None:
        if self.hours * 120 < 1:
            raise ValueError(f"hours = {self.hours} is less than one epoch of 30 s")
        if self.nights:
            _cohort(self)
        for text in self.lead_off:
            _stretch(text)


def main(cfg: Config) -> int:
    """Simulate, write, and say what was written."""
    if cfg.nights:
        return write_many(cfg)
    told = ("out", "scoring", "nights", "per_person", "site")
    arguments = {key: value for key, value in vars(cfg).items() if key not in told}
    arguments["lead_off"] = [_stretch(text) for text in cfg.lead_off]
    night = simulate_night(**arguments)
    night.write(cfg.out, scoring=cfg.scoring)
    n_epochs, n_events = night.hypnogram.n_epochs, len(night.events)
    sys.stdout.write(f"{cfg.out}: simulated night of {n_epochs} epochs, {n_events} events\n")
    return 0


def write_many(cfg: Config) -> int:
    """Write the cohort night by night; what is there already is left alone."""
    for path in write_cohort(_cohort(cfg), cfg.out):
        sys.stdout.write(f"{path}: simulated night of {cfg.hours:g} h\n")
    return 0


def _cohort(cfg: Config) -> Cohort:
    """Return the cohort that was asked for; age and AHI are drawn, leads stay on."""
    return Cohort(
        cfg.nights, cfg.per_person, cfg.site, cfg.seed, cfg.hours, cfg.montage, cfg.mains_hz
    )


def _stretch(text: str) -> tuple[str, float, float]:
    """Take `LABEL:ONSET:DURATION` apart."""
    label, _, times = text.partition(":")
    onset, _, duration = times.partition(":")
    try:
        return label, float(onset), float(duration)
    except ValueError:
        raise ValueError(f"lead off {text!r} is not LABEL:ONSET:DURATION in seconds") from None


if __name__ == "__main__":
    raise SystemExit(run(main, Config))
