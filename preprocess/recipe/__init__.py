"""From a raw data set to a night store: resumable, over processes, one bad night at most one row.

    python -m preprocess.hmc --raw /raw/hmc --out data
    python main_preprocess.py run HMC --raw /raw/hmc --out data --view psg9,cr --workers 8

Nights that are complete are left alone, so a run that was stopped is started again by the same
command. Several runs may write to one store: each night is made by one of them. On a cluster
without Ray a job array does, each job its share of the nights::

    #SBATCH --array=1-20 --cpus-per-task=1 --mem=2G
    python main_preprocess.py run SHHS --raw /raw/shhs --out data --shard $SLURM_ARRAY_TASK_ID/20
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from command_line import run as run_command

if TYPE_CHECKING:
    from nights.ledger import Failure
    from preprocess.dataset import Dataset, RawNight
    from preprocess.recipe.conversion import Order, Result
    from preprocess.recipe.workers import WorkerLost

# How nights are spread: `workers.each`, or the same over machines.
Spread = Callable[..., "Iterator[tuple[RawNight, Any]]"]  # what the work returns, or a WorkerLost

_SHARD = re.compile(r"[1-9]\d*/[1-9]\d*")


@dataclass(frozen=True)
class Settings:
    """Turn a raw data set into a night store."""

    raw: Path | None = None  # folder in which the data set was unpacked
    out: Path = Path("data")  # parent of the night stores: <out>/<view>/<DATASET>/
    view: str = "psg9"  # one view or several in one read of the files: psg9,cr
    workers: int = 0  # processes, one night each; 0 works in this one
    # over the machines of a Ray cluster instead: `auto`, its address, or `local`; --workers nights
    # at once, 0 takes every processor (docs/cluster.md)
    ray: str = ""
    dtype: Literal["float16", "float32"] = "float16"  # float32 keeps every bit, for parity
    as_published: bool = False  # read the channels the system of the view read, errors included
    include_bad: bool = False  # make also the nights known to be bad
    channel: tuple[str, ...] = ()  # channels named by hand for every night: C4=EEG2-A1
    only: tuple[str, ...] = ()  # these nights only
    shard: str = ""  # a part of the nights, for job arrays: 3/20 is the third of twenty
    force: bool = False  # make nights again that are there
    skip_errors: bool = False  # exit status 0 although nights were refused
    dry_run: bool = False  # the first two nights only

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise ValueError(f"--workers {self.workers}: 0 or more is wanted")
        if self.shard and not _SHARD.fullmatch(self.shard):
            raise ValueError(f"--shard {self.shard}: PART/PARTS is wanted, such as 3/20")

    @property
    def spread(self) -> Spread:
        """What spreads nights: over processes, or over a Ray cluster."""
        if self.ray:
            from preprocess.recipe import ray_cluster

            return partial(ray_cluster.each, address=self.ray)
        from preprocess.recipe.workers import each

        return each

    def order(self) -> Order:
        """Return what is to be made of every night."""
        from preprocess.recipe.conversion import Order
        from recordings.channels import parse_overrides

        return Order(
            out=self.out,
            views=tuple(view.strip() for view in self.view.split(",")),
            dtype=self.dtype,
            as_published=self.as_published,
            channels=parse_overrides(self.channel),
            force=self.force,
        )


@dataclass
class Tally:
    """What a run did: nights by view, hours read, what failed, what was left out and why."""

    made: dict[str, int] = field(default_factory=dict)
    there: dict[str, int] = field(default_factory=dict)
    failures: dict[str, list[Failure]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    hours: float = 0.0

    def add(self, result: Result) -> None:
        """Count one night."""
        for views, counts in ((result.made, self.made), (result.there, self.there)):
            for view in views:
                counts[view] = counts.get(view, 0) + 1
        for view, failure in result.failed.items():
            self.failures.setdefault(view, []).append(failure)
        self.hours += result.hours


def run_alone(dataset: Dataset) -> int:
    """Run the recipe of one data set by the command line and return the exit status."""
    return run_command(partial(run, dataset), Settings)


def run(dataset: Dataset, settings: Settings) -> int:
    """Make the nights, print what became of them, and return the exit status."""
    tally = make_nights(dataset, settings, spread=settings.spread)
    sys.stdout.write(summary(dataset, settings, tally))
    return int(bool(tally.failures) and not settings.skip_errors)


def make_nights(dataset: Dataset, settings: Settings, *, spread: Spread) -> Tally:
    """Make every night of a data set that is not there yet, in every view wanted.

    Parameters
    ----------
    dataset : Dataset
    settings : Settings
    spread : callable
        `workers.each`, or another that takes (work, items, number of workers) and yields each item
        with its result as it is finished.

    Raises
    ------
    ValueError
        If there are no nights below the raw folder, two have one name, or a store holds another
        view.
    DiskFull
        If nothing can be written any more; every night finished so far is kept.
    """
    from preprocess.recipe.conversion import convert

    order, tally = settings.order(), Tally()
    nights, tally.left_out = chosen(dataset, settings)
    for view in order.views:
        _prepare(order, view)
    work = partial(convert, spec=dataset.spec, order=order)
    for night, result in _progress(spread(work, nights, settings.workers), len(nights)):
        tally.add(_as_result(f"{dataset.spec.name}/{night.night}", result, order.views))
    for view in order.views:
        _close(order, view, tally.failures.get(view, ()))
    return tally


def chosen(dataset: Dataset, settings: Settings) -> tuple[list[RawNight], dict[str, str]]:
    """Return the nights to make, and those left out with the reason.

    Raises
    ------
    ValueError
        If there are none below the raw folder, two have one name, or `only` names an unknown one.
    """
    raw = settings.raw or dataset.raw
    if raw is None:
        raise ValueError(f"where is {dataset.spec.name}? Name its unpacked folder with --raw")
    nights = raw_nights(dataset, raw)
    if unknown := sorted(set(settings.only) - {night.night for night in nights}):
        raise ValueError(f"{raw}: no night {', '.join(unknown)} of {dataset.spec.name}")
    if settings.only:
        nights = [night for night in nights if night.night in settings.only]
    bad = {night.night: night.bad or dataset.spec.bad.get(night.night, "") for night in nights}
    left_out = {} if settings.include_bad else {name: why for name, why in bad.items() if why}
    kept = [night for night in nights if night.night not in left_out]
    if settings.shard:
        part, parts = map(int, settings.shard.split("/"))
        kept = kept[part - 1 :: parts]
    return kept[: 2 if settings.dry_run else None], left_out


def raw_nights(dataset: Dataset, raw: Path) -> list[RawNight]:
    """Return every night of a data set below `raw`.

    Raises
    ------
    ValueError
        If there is no such folder, it holds no night, or two nights have one name.
    """
    if not raw.is_dir():
        raise ValueError(f"{raw}: no such folder; name the unpacked data set with --raw")
    nights = list(dataset.recordings(raw))
    if not nights:
        wanted = ", ".join(dataset.spec.source.files)
        raise ValueError(f"{raw}: no night of {dataset.spec.name} in it; wanted files: {wanted}")
    names = [night.night for night in nights]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{dataset.spec.name}: two nights are called {', '.join(twice)}")
    return nights


def summary(dataset: Dataset, settings: Settings, tally: Tally) -> str:
    """Return what a run did as text, and the table of refusals."""
    lines = []
    for view in settings.order().views:
        counts = (
            tally.made.get(view, 0),
            tally.there.get(view, 0),
            len(tally.failures.get(view, ())),
        )
        told = "{} nights made, {} were there, {} refused".format(*counts)
        lines.append(f"{dataset.spec.name} {view}: {told}, {len(tally.left_out)} left out")
    lines += [f"left out: {night}: {why}" for night, why in sorted(tally.left_out.items())]
    rows = {(f.night, f.step, f.reason) for failed in tally.failures.values() for f in failed}
    lines += ["refused:"] * bool(rows) + ["  ".join(row) for row in sorted(rows)]
    return "\n".join(lines) + "\n"


def _prepare(order: Order, view: str) -> None:
    """Make a store ready: its declaration, and nothing left over in it."""
    from nights.ledger import remove_leftovers, write_view
    from preprocess.recipe.conversion import claimed
    from recordings.views import VIEWS

    root = order.root(view)
    with claimed(root, "ledger"):
        _remove_temporaries(root)
        write_view(root, {**asdict(VIEWS[view]), "name": view, "hash": VIEWS[view].hash})
    remove_leftovers(root)


def _close(order: Order, view: str, failures: Iterable[Failure]) -> None:
    """Write the manifest of a store and its list of failures."""
    from nights.ledger import record_failures, write_manifest
    from preprocess.recipe.conversion import claimed

    root = order.root(view)
    with claimed(root, "ledger"):
        write_manifest(root)
        record_failures(root, failures)


def _remove_temporaries(root: Path) -> None:
    """Remove temporary ledgers: whoever holds the ledger is the only one to write one."""
    for name in ("view.json", "manifest.jsonl", "failed.jsonl"):
        for path in root.glob(f"{name}.tmp.*"):
            path.unlink(missing_ok=True)


def _as_result(night: str, result: Result | WorkerLost, views: Sequence[str]) -> Result:
    """Turn a lost worker into a failure of every view."""
    from nights.ledger import Failure
    from preprocess.recipe.conversion import Result
    from preprocess.recipe.workers import WorkerLost

    if isinstance(result, WorkerLost):
        return Result(night, (), (), dict.fromkeys(views, Failure(night, "worker", str(result))))
    return result


def _progress(nights: Iterator, total: int) -> Iterator:
    """Show a bar with the time left on a terminal."""
    from tqdm import tqdm

    return iter(tqdm(nights, total=total, unit="night", disable=None))
