"""Splits of a night store by person: drawn, or taken over from published lists."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from nights.ledger import read_manifest
from nights.night import read_sidecar
from nights.splits import (
    Split,
    draw_folds,
    draw_split,
    import_split,
    leak_report,
    leaks,
    write_split,
)

_PARTS = ("train", "val", "test")
_OTHER_NAMES = {"eval": "val", "validation": "val", "dev": "val"}  # how published lists call them
Lists = list[dict[str, list[str]]]


def make_split(
    store: Path,
    name: str,
    *,
    dataset: Sequence[str] = (),
    shares: Sequence[str] = ("train=0.8", "val=0.1", "test=0.1"),
    folds: int = 0,
    val_share: float = 0.1,
    label: str = "",
    seed: int = 0,
    published: str = "",
    accept_leaks: bool = False,
) -> str:
    """Write `<store>/splits/<name>.json` and return what it holds as text.

    Parameters
    ----------
    store : Path
    name : str
    dataset : sequence of str
        Only nights of these data sets; all by default.
    shares : sequence of str
        `part=share` each, which sum to 1.
    folds : int
        Number of folds, every person tested once, instead of parts.
    val_share : float
        Share of the persons not tested in a fold that validate.
    label : str
        Name of a label of the nights; each of its values is divided in the same shares.
    seed : int
    published : str
        Lists to take over: a folder (or an address) of train.txt, val.txt, test.txt, or a JSON
        file of folds. Nights that the store does not hold are left out and counted.
    accept_leaks : bool
        Keep persons on two sides of a published split, and name them in the file.

    Raises
    ------
    ValueError
        For shares that do not sum to 1, a label some night lacks, lists without a known night.
    SplitError
        If a published split puts a person on two sides and that is not accepted.
    """
    lines = [line for line in read_manifest(store) if not dataset or line["dataset"] in dataset]
    if not lines:
        raise ValueError(f"{store}: no nights of {', '.join(dataset) or 'any data set'}")
    groups = {line["night"]: line["group"] for line in lines}
    told = ""
    if published:
        lists, told = known_nights(read_published(published), groups)
        split = import_split(name, lists, groups, source=published, accept_leaks=accept_leaks)
    else:
        labels = _labels(store, list(groups), label) if label else None
        if folds:
            split = draw_folds(name, groups, folds, seed=seed, val_share=val_share, labels=labels)
        else:
            split = draw_split(name, groups, _shares(shares), seed=seed, labels=labels)
    path = write_split(store, split)
    return f"{told}{_table(split, groups)}written to {path}\n"


def read_published(where: str) -> Lists:
    """Return the folds of published lists as {part: recordings}; plain lists are one fold.

    Raises
    ------
    ValueError
        If there are no lists there.
    """
    if where.startswith(("https://", "http://")):
        texts = {part: _fetched(f"{where.rstrip('/')}/{part}.txt") for part in _PARTS}
    elif Path(where).is_file():
        return _json_folds(Path(where))
    else:
        files = (Path(where) / f"{part}.txt" for part in _PARTS)
        texts = {f.stem: f.read_text(encoding="utf-8") if f.is_file() else "" for f in files}
    lists = {str(part): _recordings(text) for part, text in texts.items() if text}
    if not lists:
        raise ValueError(f"{where}: no train.txt, val.txt or test.txt there")
    return [lists]


def known_nights(folds: Lists, groups: Mapping[str, str]) -> tuple[Lists, str]:
    """Return the folds with names of nights in the store, and a line on those it does not hold.

    Raises
    ------
    ValueError
        If the store holds none of the recordings, or two data sets have one of the same name.
    """
    by_rec: dict[str, list[str]] = {}
    for night in groups:
        by_rec.setdefault(night.split("/", 1)[1], []).append(night)
    listed = {rec for fold in folds for recs in fold.values() for rec in recs}
    if twice := sorted(rec for rec in listed if len(by_rec.get(rec, ())) > 1):
        raise ValueError(f"{twice[0]} is a night of several data sets: name one with --dataset")
    missing = len(listed - set(by_rec))
    if missing == len(listed):
        raise ValueError(f"the store holds none of the {missing} recordings of the lists")
    known = [
        {part: [by_rec[rec][0] for rec in recs if rec in by_rec] for part, recs in fold.items()}
        for fold in folds
    ]
    told = f"{missing} of {len(listed)} recordings of the lists are not in the store\n"
    return known, told if missing else ""


def _json_folds(path: Path) -> Lists:
    """Read folds from JSON: parts of recordings, or of 1-based places in a list of `subjects`."""
    read = json.loads(path.read_text(encoding="utf-8"))
    names = {entry["index"]: entry["record"] for entry in read.get("subjects", ())}
    return [
        {
            _OTHER_NAMES.get(part, part): [str(names.get(entry, entry)) for entry in entries]
            for part, entries in fold.items()
            if isinstance(entries, list)
        }
        for fold in read["folds"]
    ]


def _fetched(address: str) -> str:
    """Return a published list; empty when there is none at this address."""
    try:
        with urlopen(address, timeout=30) as answer:  # an address the user named
            return answer.read().decode("utf-8")
    except HTTPError as error:
        if error.code == 404:
            return ""
        raise


def _recordings(text: str) -> list[str]:
    """Return the recordings of a list: one a line, `#` starts a comment."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _shares(texts: Sequence[str]) -> dict[str, float]:
    """Read `train=0.8` texts."""
    try:
        pairs = (text.split("=") for text in texts)
        return {part: float(share) for part, share in pairs}
    except ValueError:
        raise ValueError(
            f"shares {' '.join(texts)}: PART=SHARE is wanted, such as train=0.8"
        ) from None


def _labels(store: Path, nights: Sequence[str], label: str) -> dict[str, str]:
    """Return the value of a label for each night.

    Raises
    ------
    ValueError
        If a night has none.
    """
    known: dict[str, dict[str, str]] = {
        night: read_sidecar(store / f"{night}.json").get("labels", {}) for night in nights
    }
    without = [night for night, labels in known.items() if label not in labels]
    if without:
        listed = ", ".join(sorted({name for labels in known.values() for name in labels}))
        raise ValueError(f"night {without[0]!r} has no label {label!r}; there are: {listed or '-'}")
    return {night: labels[label] for night, labels in known.items()}


def _table(split: Split, groups: Mapping[str, str]) -> str:
    """Return nights and persons of each part, and who stands on two sides."""
    lines = []
    for number, fold in enumerate(split.folds):
        parts = (
            f"{part} {len(nights)} nights of {len({groups[night] for night in nights})} persons"
            for part, nights in fold.items()
        )
        lines.append(f"fold {number}: {', '.join(parts)}\n")
    return "".join(lines) + (leak_report(split, groups) if leaks(split, groups) else "")
