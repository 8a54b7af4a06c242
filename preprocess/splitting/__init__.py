"""Splits of a night store by person: drawn, or taken over from published lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

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
from preprocess.splitting.published import known_nights, read_published, shared_nights


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
        Only nights of these data sets, or parts of one (`SleepEDF-20`); all by default.
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
        Lists to take over, as `read_published` takes them. Nights that the store does not hold
        are left out and counted.
    accept_leaks : bool
        Keep persons on two sides of a published split, and name them in the file.

    Raises
    ------
    ValueError
        For shares that do not sum to 1, a label some night lacks, lists without a known night.
    SplitError
        If a published split puts a person on two sides and that is not accepted.
    """
    lines = [line for line in read_manifest(store) if not dataset or _is_of(store, line, dataset)]
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


def _is_of(store: Path, line: Mapping[str, str], names: Sequence[str]) -> bool:
    """Whether a night is of one of these data sets, or parts of one."""
    if line["dataset"] in names:
        return True
    return read_sidecar(store / f"{line['night']}.json").get("part") in names


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
    if leaks(split, groups):
        lines += [shared_nights(split, groups), leak_report(split, groups)]
    return "".join(lines)
