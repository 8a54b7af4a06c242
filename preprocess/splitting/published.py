"""Published splits: by name, or read from a folder, an address or a file of folds.

    python main_preprocess.py splits data/cr --name wav2sleep --published wav2sleep --accept-leaks
    python main_preprocess.py splits data/cr --name census --published wav2sleep-census=my/lists
    python main_preprocess.py splits data/seq3 --name folds --published mass_20fold_splits.json

The lists of a named split are fetched from their public address, or read from the folder after
`=`; none is kept here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from nights.splits import Groups, Split, parse_list, read_list
from preprocess.fetch import transfer

Lists = list[dict[str, list[str]]]  # {part: recordings} of each fold

_PARTS = ("train", "val", "test")
_OTHER_NAMES = {"eval": "val", "validation": "val", "dev": "val"}  # how published lists call them


@dataclass(frozen=True)
class PublishedSplit:
    """One split as its authors published it.

    Parameters
    ----------
    address : str
        What the lists lie below.
    lists : mapping
        {part: lists below the address}, one recording a line.
    n_nights : mapping
        {part: nights in its lists}; anything else means that these are not the published lists.
    """

    address: str
    lists: Mapping[str, tuple[str, ...]]
    n_nights: Mapping[str, int]


_COHORTS = ("shhs", "mesa", "wsc", "chat", "cfs", "ccshs")
_TRAIN = tuple(f"{cohort}/train.txt" for cohort in _COHORTS)
_WAV2SLEEP = "https://raw.githubusercontent.com/joncarter1/wav2sleep/main/src/wav2sleep/data/splits"

PUBLISHED = {  # the lists of wav2sleep are under the MIT licence
    # Training and validation on six cohorts, test on these and on MROS, which is not trained on
    "wav2sleep": PublishedSplit(
        _WAV2SLEEP,
        {
            "train": _TRAIN,
            "val": tuple(f"{cohort}/val.txt" for cohort in _COHORTS),
            "test": tuple(f"{cohort}/test.txt" for cohort in (*_COHORTS, "mros")),
        },
        {"train": 11_218, "val": 1_050, "test": 3_100},
    ),
    # A balanced list over five cohorts; some of its nights are in val or test of a cohort as well
    "wav2sleep-census": PublishedSplit(
        _WAV2SLEEP,
        {"train": _TRAIN, "val": ("census/val.txt",), "test": ("census/test.txt",)},
        {"train": 11_218, "val": 500, "test": 500},
    ),
}


def read_published(where: str) -> Lists:
    """Return the folds of published lists as {part: recordings}; plain lists are one fold.

    Parameters
    ----------
    where : str
        A name of `PUBLISHED`, alone or with the place of its lists (`wav2sleep=FOLDER`); a folder
        or an address of train.txt, val.txt, test.txt; or a JSON file of folds.

    Raises
    ------
    ValueError
        If there are no lists there, or those of a named split are not the published ones.
    """
    name, _, place = where.partition("=")
    if name in PUBLISHED:
        return [_named(PUBLISHED[name], place or PUBLISHED[name].address)]
    if Path(where).is_file():
        return _json_folds(Path(where))
    lists = {part: _recordings(where, f"{part}.txt") for part in _PARTS}
    if not any(lists.values()):
        raise ValueError(
            f"{where}: no train.txt, val.txt or test.txt there; known names are "
            f"{', '.join(PUBLISHED)}"
        )
    return [{part: recordings for part, recordings in lists.items() if recordings}]


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


def shared_nights(split: Split, groups: Groups) -> str:
    """Say for each part how many of its nights are of somebody who stands in an earlier part."""
    lines = []
    for number, fold in enumerate(split.folds):
        for other, part in combinations(fold, 2):
            there = {groups[night] for night in fold[other]}
            shared = [groups[night] for night in fold[part] if groups[night] in there]
            if shared:
                lines.append(
                    f"fold {number}: {len(shared)} of {len(fold[part])} nights of {part} are of "
                    f"{len(set(shared))} persons who are in {other} too\n"
                )
    return "".join(lines)


def _named(published: PublishedSplit, where: str) -> dict[str, list[str]]:
    """Return the parts of a named split, each with as many nights as were published."""
    found = {
        part: [recording for name in names for recording in _recordings(where, name)]
        for part, names in published.lists.items()
    }
    for part, recordings in found.items():
        if len(recordings) != published.n_nights[part]:
            raise ValueError(
                f"{where}: {len(recordings)} nights in {part}, {published.n_nights[part]} were "
                "published: these are not its lists"
            )
    return found


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


def _recordings(where: str, name: str) -> list[str]:
    """Return the recordings of a list below a folder or an address; none if there is no list."""
    if not where.startswith(("https://", "http://")):
        path = Path(where) / name
        return read_list(path) if path.is_file() else []
    try:
        listed = transfer.read(f"{where.rstrip('/')}/{name}")
    except transfer.Missing:
        return []
    return parse_list(listed.decode("utf-8", errors="replace"))
