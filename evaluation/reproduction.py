"""Tables of the papers beside what our commands wrote; `reproduce.sh` runs those commands.

python -m evaluation.reproduction list
python -m evaluation.reproduction need MASS --raw raw --store data/seq3
python -m evaluation.reproduction select runs/lpsgm/test.npz runs/parts/MESA.npz --dataset MESA
python -m evaluation.reproduction table seqsleepnet sleepedf20 --out runs

The papers' numbers stand in `published_tables.json`, each table with its source; a number that is
not at hand is left out there and told as such.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from command_line import run_command

TABLES = Path(__file__).with_name("published_tables.json")
Unit = Literal["percent", "nats"]
ASK = {  # what to do for a data set, by how its holder gives it
    "nsrr": "it is licensed: ask at {page}, then `main_preprocess.py get {name}`",
    "application": "it is licensed: ask at {page} ({apply})",
    "private": "its holders do not give it away",
}
OPEN = "it is open: `main_preprocess.py get {name}` fetches it from {page}"


@dataclass(frozen=True)
class Row:
    """A number of a paper, and where ours stands.

    Parameters
    ----------
    row, measure : str
        Of what, and which measure.
    published : float or None
        As printed, in percent or nats; None where it is not at hand.
    file : str
        `results.json` below the folder of the runs.
    keys : tuple of str
        The way to the number in that file; empty if it cannot be had.
    why : str
        Why it cannot be had.
    """

    row: str
    measure: str
    published: float | None
    file: str
    keys: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class PaperTable:
    """A headline table: its title, where the numbers come from, what to know, and its rows."""

    title: str
    paper: str
    note: str
    unit: Unit
    rows: tuple[Row, ...]


def published_tables() -> dict[str, dict[str, PaperTable]]:
    """Return every table there is: {system: {name: table}}."""
    content = json.loads(TABLES.read_text(encoding="utf-8"))
    return {
        system: {name: _table(facts) for name, facts in tables.items()}
        for system, tables in content.items()
    }


def _table(facts: Mapping[str, Any]) -> PaperTable:
    """Return one table of the file."""
    rows = tuple(
        Row(
            row=row["row"],
            measure=row["measure"],
            published=row.get("published"),
            file=row.get("file", facts["file"]),
            keys=tuple(row.get("keys", ())),
            why=row.get("why", ""),
        )
        for row in facts["rows"]
    )
    unit: Unit = facts.get("unit", "percent")
    return PaperTable(facts["title"], facts["paper"], facts["note"], unit, rows)


def find_table(system: str, name: str) -> PaperTable:
    """Return a table by its two names.

    Raises
    ------
    ValueError
        If there is none; the message lists those there are.
    """
    tables = published_tables()
    if name not in tables.get(system, {}):
        there = ", ".join(f"{s} {n}" for s, found in tables.items() for n in found)
        raise ValueError(f"no table {name!r} of {system!r}; there are {there}")
    return tables[system][name]


def reproduced(row: Row, runs: Path) -> float | None:
    """Return our number as a fraction or in nats; None where the command has not been run.

    Raises
    ------
    ValueError
        If the file has been written by another command, so that the number is not in it.
    """
    path = runs / row.file
    if not row.keys or not path.is_file():
        return None
    value = json.loads(path.read_text(encoding="utf-8"))
    if row.keys[0] == "stagers" and row.keys[1] not in value.get("stagers", {}):
        return None  # a data set that was not at hand, such as a private one
    for key in row.keys:
        if not isinstance(value, dict) or key not in value:
            raise ValueError(f"{path}: holds no {' / '.join(row.keys)}; delete it and run again")
        value = value[key]
    return float(value)


def beside(table: PaperTable, runs: Path) -> str:
    """Return the table as Markdown, the paper's number and ours side by side.

    Parameters
    ----------
    table : PaperTable
        One of `published_tables`.
    runs : Path
        Folder of the runs, `OUT` of reproduce.sh.
    """
    of = " (percent)" if table.unit == "percent" else ""
    lines = [f"{table.title[0].upper()}{table.title[1:]}{of}", f"Paper: {table.paper}."]
    lines += [table.note] if table.note else []
    lines += ["", "| what | measure | paper | ours |", "|---|---|---|---|"]
    for row in table.rows:
        paper = "not at hand" if row.published is None else f"{row.published:g}"
        lines.append(f"| {row.row} | {row.measure} | {paper} | {_ours(row, table.unit, runs)} |")
    return "\n".join(lines) + "\n"


def _ours(row: Row, unit: Unit, runs: Path) -> str:
    """Return what stands in the last column."""
    if row.why:
        return row.why
    value = reproduced(row, runs)
    if value is None:
        return "not run"
    return f"{100 * value:.2f}" if unit == "percent" else f"{value:.4f}"


@dataclass(frozen=True)
class List:
    """List the systems and their tables."""


@dataclass(frozen=True)
class Need:
    """Say in one sentence which data sets are missing and where to ask; exit status 1 then."""

    datasets: tuple[str, ...] = ()  # names in `main_preprocess.py list`
    raw: Path = Path("raw")  # folder with one folder per raw data set
    store: Path = Path("data/psg9")  # night store that may hold them already


@dataclass(frozen=True)
class Select:
    """Write some of the nights of a stager's output: those of a data set, or of a part of it."""

    source: Path  # NPZ file (evaluation/outputs.py)
    target: Path  # the NPZ file to write
    dataset: str = ""  # of this data set alone
    begins: str = ""  # whose names begin so: 01-03 is the third subset of MASS


@dataclass(frozen=True)
class Table:
    """Print a table of a paper beside our numbers, and keep it as reproduced.md."""

    system: str
    name: str
    out: Path = Path("runs")  # folder of the runs


def show_list(_: List) -> int:
    """Print what there is."""
    for system, tables in published_tables().items():
        for name, table in tables.items():
            sys.stdout.write(f"{system:<14} {name:<15} {table.title}\n")
    return 0


def need(cfg: Need) -> int:
    """Check that each data set lies raw or as a store; tell of those that do not."""
    from preprocess import find_dataset

    missing = []
    for name in cfg.datasets:
        if (cfg.raw / name).is_dir() or (cfg.store / name).is_dir():
            continue
        source = find_dataset(name).spec.source
        way = ASK.get(source.kind, OPEN)
        told = way.format(page=source.page, name=name, apply=source.apply)
        missing.append(f"{name} is wanted in {cfg.raw / name}; {told}.\n")
    sys.stderr.writelines(missing)
    return 1 if missing else 0


def select(cfg: Select) -> int:
    """Write the chosen nights; exit status 1 where there is none."""
    from evaluation.outputs import read_outputs, write_outputs

    nights = [
        night
        for night in read_outputs(cfg.source)
        if night.dataset == (cfg.dataset or night.dataset)
        and night.night.rpartition("/")[2].startswith(cfg.begins)
    ]
    if not nights:
        raise ValueError(f"{cfg.source}: no night of {cfg.dataset} {cfg.begins}".rstrip())
    write_outputs(cfg.target, nights)
    return 0


def show_table(cfg: Table) -> int:
    """Print a table and keep it below the runs."""
    from nights.atomic import write_text

    told = beside(find_table(cfg.system, cfg.name), cfg.out)
    write_text(cfg.out / f"reproduced-{cfg.system}-{cfg.name}.md", told)
    sys.stdout.write(told)
    return 0


COMMANDS: dict[str, tuple[type, Callable[[Any], int]]] = {
    "list": (List, show_list),
    "need": (Need, need),
    "select": (Select, select),
    "table": (Table, show_table),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command named by the first word."""
    return run_command(COMMANDS, __doc__, argv)


if __name__ == "__main__":
    raise SystemExit(main())
