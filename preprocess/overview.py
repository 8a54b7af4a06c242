"""What there is: the data sets of the catalog, and the nights of a store."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from nights.night import Night, NightError
from nights.stages import STAGES
from nights.store import night_files
from preprocess import find_dataset, names


def overview(out: Path) -> str:
    """Return a table of the data sets: nights, persons, how to come by them, nights in stores.

    Parameters
    ----------
    out : Path
        Parent of the night stores; need not be there.
    """
    head = ("data set", "nights", "persons", "access", "in the store", "title", "page")
    rows = [head]
    for name in names():
        spec = find_dataset(name).spec
        nights, persons = ("?" if n is None else str(n) for n in (spec.n_nights, spec.n_persons))
        access = spec.source.kind if spec.source.kind != "address" else "open"
        stored = ", ".join(f"{view} {n}" for view, n in _stored(out, spec.name)) or "-"
        page = spec.source.page or "-"
        rows.append((spec.name, nights, persons, access, stored, spec.title, page))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "".join("  ".join(map(str.ljust, row, widths)).rstrip() + "\n" for row in rows)


def verify(store: Path) -> tuple[str, bool]:
    """Read every byte of every night of a store and compare the checksums.

    Returns
    -------
    text : str
        Totals of each data set, and each night that is not what was written.
    sound : bool
        Whether every night is.

    Raises
    ------
    ValueError
        If there is no such folder.
    """
    if not store.is_dir():
        raise ValueError(f"{store}: no such store")
    totals: dict[str, Counter[str]] = {}
    persons: dict[str, set[str]] = {}
    broken: list[str] = []
    for path in night_files(store):
        try:
            night = Night.open(path)
            night.verify()
        except NightError as error:
            broken.append(str(error))
            continue
        known = night.sidecar
        total = totals.setdefault(known["dataset"], Counter())
        total.update({"nights": 1, "epochs": night.n_epochs, **known["stage_histogram"]})
        persons.setdefault(known["dataset"], set()).add(known["person"])
    lines = [
        f"{name}: {total['nights']} nights of {len(persons[name])} persons, {total['epochs']} "
        f"epochs ({', '.join(f'{stage} {total[stage]}' for stage in (*STAGES, '?'))})"
        for name, total in totals.items()
    ]
    lines += broken or [f"{sum(t['nights'] for t in totals.values())} nights are as written"]
    return "\n".join(lines) + "\n", not broken


def _stored(out: Path, dataset: str) -> list[tuple[str, int]]:
    """Return (store, nights) of each store below `out` that has nights of a data set."""
    folders = sorted(out.glob(f"*/{dataset}")) if out.is_dir() else []
    counts = (
        (f.parent.name, sum(".tmp." not in p.name for p in f.glob("*.json"))) for f in folders
    )
    return [(view, n) for view, n in counts if n]
