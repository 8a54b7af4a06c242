"""Raw data sets become night stores.

python main_preprocess.py get HMC --raw /raw/hmc
python main_preprocess.py check HMC --raw /raw/hmc
python main_preprocess.py run HMC --raw /raw/hmc --out data --view psg9,cr --workers 8
python main_preprocess.py splits data/psg9 --name cv10 --folds 10
python main_preprocess.py init my_folder        (one's own recordings: writes a description)
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from command_line import run_command
from preprocess import find_dataset
from preprocess.fetch import Get, get_named
from preprocess.recipe import Settings


@dataclass(frozen=True)
class List:
    """List the data sets: nights, persons, licence, whether it is in the store."""

    out: Path = Path("data")  # parent of the night stores


@dataclass(frozen=True)
class Init:
    """Look at a folder of recordings and write a description of it, to be corrected by hand."""

    folder: Path  # recordings, with or without scorings beside them
    out: Path | None = None  # file to write [FOLDER/dataset.toml]


@dataclass(frozen=True, kw_only=True)
class Check(Settings):
    """Say from headers and scorings alone what a run would make and refuse."""

    dataset: str  # name in `list`, or a description written by `init`


@dataclass(frozen=True, kw_only=True)
class Run(Settings):
    """Turn a raw data set into a night store; nights that are there are left alone."""

    dataset: str  # name in `list`, or a description written by `init`


@dataclass(frozen=True)
class Verify:
    """Read every byte of a night store and compare the checksums; count nights and stages."""

    store: Path  # such as data/psg9


@dataclass(frozen=True)
class Splits:
    """Divide the persons of a store into parts or folds, or import published lists."""

    store: Path  # such as data/psg9
    name: str = "split"  # written to <store>/splits/<name>.json
    # these data sets only, or parts of one such as SleepEDF-20; all by default
    dataset: tuple[str, ...] = ()
    shares: tuple[str, ...] = ("train=0.8", "val=0.1", "test=0.1")  # parts and their shares
    folds: int = 0  # this many folds, every person tested once, instead of parts
    val_share: float = 0.1  # with --folds: share of the other persons that validate, one at least
    label: str = ""  # divide each value of this label in the same shares
    seed: int = 0  # same seed, same nights, same split
    published: str = ""  # wav2sleep, wav2sleep-census; or a folder, an address, a JSON of folds
    accept_leaks: bool = False  # keep persons on two sides of a published split, and name them


def list_datasets(cfg: List) -> int:
    """Print one line per data set."""
    from preprocess.overview import overview

    sys.stdout.write(overview(cfg.out))
    return 0


def init_folder(cfg: Init) -> int:
    """Write a description and say what to do next."""
    from preprocess.custom.survey import survey, write_description

    out = cfg.out or cfg.folder / "dataset.toml"
    write_description(survey(cfg.folder), out)
    then = f"correct it, then\n  python main_preprocess.py check {out}\n"
    sys.stdout.write(f"{out.read_text()}\nwritten to {out}; {then}")
    return 0


def check_dataset(cfg: Check) -> int:
    """Print what a run would do; 0 only if nothing would be refused."""
    from preprocess.check import check, report

    forecast = check(find_dataset(cfg.dataset), cfg)
    sys.stdout.write(report(forecast))
    return int(bool(forecast.refused) and not cfg.skip_errors)


def run_dataset(cfg: Run) -> int:
    """Make the nights; 0 only if every night succeeded."""
    from preprocess.recipe import run

    return run(find_dataset(cfg.dataset), cfg)


def verify_store(cfg: Verify) -> int:
    """Print what the store holds; 0 only if every byte is what was written."""
    from preprocess.overview import verify

    text, sound = verify(cfg.store)
    sys.stdout.write(text)
    return int(not sound)


def make_splits(cfg: Splits) -> int:
    """Write a split and print its parts, and the persons on two sides of a published one."""
    from preprocess.splitting import make_split

    sys.stdout.write(make_split(**vars(cfg)))
    return 0


COMMANDS: dict[str, tuple[type, Callable[..., int]]] = {
    "list": (List, list_datasets),
    "get": (Get, get_named),
    "init": (Init, init_folder),
    "check": (Check, check_dataset),
    "run": (Run, run_dataset),
    "verify": (Verify, verify_store),
    "splits": (Splits, make_splits),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Call the command that the first word names."""
    return run_command(COMMANDS, __doc__, argv)


if __name__ == "__main__":
    raise SystemExit(main())
