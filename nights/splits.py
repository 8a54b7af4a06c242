"""Splits and folds with every person on one side: drawn once, stored, verified when read.

A split is a list of folds, a fold is {part: nights}; one fold is a plain split. Nights are named
`<DATASET>/<rec>`, and `groups` tells for each night the person (or family) that must stay together:
`read_groups` takes it from the manifest of a store.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nights.atomic import write_text
from nights.ledger import read_manifest

Fold = dict[str, tuple[str, ...]]  # {part: nights}
Groups = Mapping[str, str]  # {night: person or family}


class SplitError(ValueError):
    """A split puts a person on two sides, or names a night nobody knows."""


@dataclass(frozen=True)
class Split:
    """Nights divided into parts, once or in folds.

    Parameters
    ----------
    name : str
        Name of the file `splits/<name>.json`.
    folds : tuple of dict
        {part: nights} each.
    source : str
        How it was drawn, or where it was published.
    accepted : tuple of str
        Persons on two sides of a published split, accepted when it was imported so that its
        numbers can be reproduced; every other person on two sides is refused.
    """

    name: str
    folds: tuple[Fold, ...]
    source: str = ""
    accepted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Leak:
    """A person on several sides of a fold: {part: nights}."""

    fold: int
    person: str
    nights: Fold


def read_groups(root: Path) -> dict[str, str]:
    """Return {night: person or family} of every night in the manifest of a store."""
    return {line["night"]: line["group"] for line in read_manifest(root)}


def draw_split(
    name: str,
    groups: Groups,
    shares: Mapping[str, float],
    *,
    seed: int,
    labels: Mapping[str, str] | None = None,
) -> Split:
    """Divide the persons into parts of the given shares.

    Parameters
    ----------
    name : str
        Name of the split.
    groups : mapping
        {night: person or family}.
    shares : mapping
        {part: share of the persons}; must sum to 1.
    seed : int
        Same seed, same nights, same split.
    labels : mapping, optional
        {night: label}; each label is divided in the same shares.

    Raises
    ------
    ValueError
        If the shares do not sum to 1 or the nights of one person have several labels.
    """
    if abs(sum(shares.values()) - 1) > 1e-9 or min(shares.values()) < 0:
        raise ValueError(f"shares must be positive and sum to 1, found {dict(shares)}")
    dealt = _deal(groups, list(shares.values()), seed, labels)
    fold = {part: _nights_of(groups, dealt[at]) for at, part in enumerate(shares)}
    return Split(name, (fold,), source=f"drawn by person, seed {seed}, shares {dict(shares)}")


def draw_folds(
    name: str,
    groups: Groups,
    n_folds: int,
    *,
    seed: int,
    val_share: float = 0.0,
    labels: Mapping[str, str] | None = None,
) -> Split:
    """Divide the persons into folds; every person is tested once.

    Parameters
    ----------
    name, groups, seed, labels
        As in `draw_split`.
    n_folds : int
        Number of folds, at most the number of persons.
    val_share : float
        Share of the persons not tested in a fold that validate, at least one if there are two; 0
        makes no part `val`.

    Raises
    ------
    ValueError
        If there are fewer persons than folds.
    """
    n_persons = len(set(groups.values()))
    if not 2 <= n_folds <= n_persons:
        raise ValueError(f"{n_folds} folds of {n_persons} persons: 2 to {n_persons} are possible")
    folds = []
    for number, tested in enumerate(_deal(groups, [1 / n_folds] * n_folds, seed, labels)):
        others = {night: person for night, person in groups.items() if person not in tested}
        n_others = len(set(others.values()))
        share = max(val_share, 1 / n_others) if val_share and n_others > 1 else val_share
        train, val = _deal(others, [1 - share, share], seed + 1 + number, labels)
        parts = {"train": train, "val": val, "test": tested}
        if not val_share:
            del parts["val"]
        folds.append({part: _nights_of(groups, persons) for part, persons in parts.items()})
    source = f"{n_folds} folds drawn by person, seed {seed}, validation share {val_share:g}"
    return Split(name, tuple(folds), source=source)


def import_split(
    name: str,
    folds: Sequence[Mapping[str, Iterable[str]]],
    groups: Groups,
    *,
    source: str,
    accept_leaks: bool = False,
) -> Split:
    """Take over published lists of nights.

    Parameters
    ----------
    name, groups
        As in `draw_split`.
    folds : sequence of mappings
        {part: nights} each.
    source : str
        Where the lists were published.
    accept_leaks : bool
        Take persons on two sides as they are and write their names into the file.

    Raises
    ------
    SplitError
        If a night is unknown, or a person stands on two sides and `accept_leaks` is not given.
    """
    taken = tuple({part: tuple(nights) for part, nights in fold.items()} for fold in folds)
    split = Split(name, taken, source)
    _check_nights(split, groups)
    if accept_leaks:
        accepted = tuple(sorted({leak.person for leak in leaks(split, groups)}))
        split = Split(name, taken, source, accepted)
    verify(split, groups)
    return split


def read_list(path: Path) -> list[str]:
    """Return the recordings of a published list: one a line, blank lines and `#` lines left out."""
    return parse_list(path.read_text(encoding="utf-8"))


def parse_list(text: str) -> list[str]:
    """Return the recordings in the text of a published list, as `read_list` does."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def write_split(root: Path, split: Split) -> Path:
    """Write a split to `<root>/splits/<name>.json` and return the path."""
    path = Path(root) / "splits" / f"{split.name}.json"
    content = {
        "name": split.name,
        "source": split.source,
        "accepted": split.accepted,
        "folds": split.folds,
    }
    write_text(path, json.dumps(content, indent=1) + "\n")
    return path


def read_split(path: Path, groups: Groups) -> Split:
    """Read a split and verify it against the nights there are.

    Raises
    ------
    SplitError
        Naming the persons on two sides, or the nights nobody knows.
    """
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    folds = tuple({part: tuple(n) for part, n in fold.items()} for fold in content["folds"])
    split = Split(content["name"], folds, content["source"], tuple(content["accepted"]))
    verify(split, groups)
    return split


def verify(split: Split, groups: Groups) -> None:
    """Check that every night is known and stands once, and that no person is on two sides.

    Raises
    ------
    SplitError
        Naming what is wrong.
    """
    _check_nights(split, groups)
    persons = {leak.person for leak in leaks(split, groups)} - set(split.accepted)
    if persons:
        raise SplitError(
            f"split {split.name!r}: {len(persons)} persons on two sides of a fold: "
            f"{listed(sorted(persons))}"
        )


def _check_nights(split: Split, groups: Groups) -> None:
    """Refuse nights that are unknown or stand twice in a fold."""
    for number, fold in enumerate(split.folds):
        nights = [night for part in fold.values() for night in part]
        if unknown := sorted(set(nights) - set(groups)):
            raise SplitError(f"split {split.name!r}: not in the store: {listed(unknown)}")
        if len(set(nights)) < len(nights):
            twice = sorted(night for night, n in Counter(nights).items() if n > 1)
            raise SplitError(f"split {split.name!r}, fold {number}: twice: {listed(twice)}")


def leaks(split: Split, groups: Groups) -> list[Leak]:
    """Return every person who stands on several sides of a fold, by fold and person."""
    found = []
    for number, fold in enumerate(split.folds):
        sides: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for part, nights in fold.items():
            for night in nights:
                sides[groups[night]][part].append(night)
        found += [
            Leak(number, person, {part: tuple(nights) for part, nights in parts.items()})
            for person, parts in sorted(sides.items())
            if len(parts) > 1
        ]
    return found


def leak_report(split: Split, groups: Groups) -> str:
    """Return a Markdown table: how many persons (and nights) two parts of a fold share."""
    rows = ["| fold | parts | persons | nights |", "| --- | --- | --- | --- |"]
    counts: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0])
    for leak in leaks(split, groups):
        cell = counts[leak.fold, " + ".join(leak.nights)]
        cell[0] += 1
        cell[1] += sum(map(len, leak.nights.values()))
    rows += [f"| {fold} | {parts} | {n} | {m} |" for (fold, parts), (n, m) in counts.items()]
    return "\n".join(rows) + "\n" if counts else "No person stands on two sides.\n"


def without_shared(fold: Fold, groups: Groups, part: str = "test") -> Fold:
    """Return the fold with `part` freed of persons who also stand in another part."""
    elsewhere = {groups[n] for other, nights in fold.items() if other != part for n in nights}
    return {**fold, part: tuple(night for night in fold[part] if groups[night] not in elsewhere)}


def _deal(
    groups: Groups, shares: Sequence[float], seed: int, labels: Mapping[str, str] | None
) -> list[set[str]]:
    """Deal the persons out: each goes to the part that is farthest behind its share.

    Persons come ordered by label and at random within a label, so that every label is divided in
    the given shares to within one person, and so is the whole.
    """
    label_of = _person_labels(groups, labels)
    persons = np.random.default_rng(seed).permutation(sorted(label_of)).tolist()
    parts: list[set[str]] = [set() for _ in shares]
    for count, person in enumerate(sorted(persons, key=label_of.__getitem__), start=1):
        behind = [share * count - len(part) for share, part in zip(shares, parts, strict=True)]
        parts[int(np.argmax(behind))].add(person)
    return parts


def _person_labels(groups: Groups, labels: Mapping[str, str] | None) -> dict[str, str]:
    """Return the label of each person; without labels all have the same."""
    found: dict[str, str] = {}
    for night, person in groups.items():
        if labels is not None and night not in labels:
            raise ValueError(f"night {night!r} has no label")
        label = labels[night] if labels else ""
        if found.setdefault(person, label) != label:
            raise ValueError(
                f"person {person!r} has nights labelled {found[person]!r} and {label!r}"
            )
    return found


def _nights_of(groups: Groups, persons: set[str]) -> tuple[str, ...]:
    """Return the nights of these persons, sorted."""
    return tuple(sorted(night for night, person in groups.items() if person in persons))


def listed(names: Sequence[str], at_most: int = 10) -> str:
    """List names, the rest as a number."""
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return ", ".join(names[:at_most]) + more
