"""Scored nights without signals, for language models of sleep: openly licensed sources only.

A source is a file pattern and three facts: whose night a file is, how its stages are written, under
which licence. The weights trained from them may be given away; sources with a non-commercial or
no-derivatives clause (DREAMS, for one) are not listed.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from nights.sequences import StageNight
from nights.stages import N1, N2, N3, UNSCORED, R, W

_RK_CODES = np.array([W, N1, N2, N3, N3, R, UNSCORED, UNSCORED])  # 6 movement, 7 not scored


@dataclass(frozen=True)
class HypnogramSource:
    """Where scored nights come from.

    Parameters
    ----------
    title, licence : str
        As they stand in the card of weights trained from them.
    pattern : str
        Files below the data folder.
    read : callable
        file -> (night, person, stages int (E,)) for each night in it.
    """

    title: str
    licence: str
    pattern: str
    read: Callable[[Path], Iterable[tuple[str, str, np.ndarray]]]


Nights = Iterator[tuple[str, str, np.ndarray]]


def read_hypnograms(data: Path, sources: Iterable[str]) -> list[StageNight]:
    """Read every scored night of the named sources.

    Parameters
    ----------
    data : Path
        Folder that holds the sources.
    sources : iterable of str
        Names in `SOURCES`. A night that two files of one name hold is read once.

    Returns
    -------
    list of StageNight
        In the order of sources and files.

    Raises
    ------
    ValueError
        If a source is unknown or none of its files lies below `data`.
    RecordingError
        If a scoring file cannot be read.
    """
    found: dict[tuple[str, str], StageNight] = {}
    for name in sources:
        if name not in SOURCES:
            raise ValueError(f"no source {name!r}; there are {', '.join(SOURCES)}")
        for source in SOURCES[name]:
            files = sorted(data.glob(source.pattern))
            if not files:
                raise ValueError(f"source {name!r}: no {source.pattern} below {data}")
            for night, person, stages in (night for file in files for night in source.read(file)):
                found.setdefault((name, night), StageNight(name, night, person, stages))
    return list(found.values())


def _file(
    path: Path, person: Callable[[Path], str], stage_map: str | None, column: str | None = None
) -> Nights:
    """Read a file that holds one night."""
    from recordings.scoring import read_scoring

    scoring = read_scoring(path, stage_map=stage_map, column=column)
    yield path.name.split(".")[0], person(path), scoring.hypnogram.stages


def _letters(n: int) -> Callable[[Path], str]:
    """Return the rule that the first `n` letters of the file name are the person."""
    return lambda path: path.name[:n]


def _boas_person(path: Path) -> str:
    """Return `pid` of participants.tsv: several people have two or three nights."""
    with (path.parent / "participants.tsv").open(encoding="utf-8") as table:
        rows = {row["participant_id"]: row["pid"] for row in csv.DictReader(table, delimiter="\t")}
    return rows[path.name.split("_")[0]]


def _sleepedf_pack(path: Path) -> Nights:
    """Read the Sleep-EDF pack: sequences laid end to end, codes of Rechtschaffen and Kales."""
    with np.load(path, allow_pickle=False) as pack:
        ends = np.cumsum(pack["epochs"])
        nights = np.split(_RK_CODES[pack["stages"]], ends[:-1])
        for record, stages in zip(pack["record"].tolist(), nights, strict=True):
            yield record[:6], record[:5], stages


def _sleepedf_table(path: Path) -> Nights:
    """Read one Sleep-EDF table of runs; its night has the same name as in the pack."""
    for _, person, stages in _file(path, _letters(5), None):
        yield path.name[:6], person, stages


def _dod_pack(path: Path) -> Nights:
    """Read the Dreem pack: the consensus of the five scorers of each night."""
    with np.load(path, allow_pickle=False) as pack:
        for key in sorted(key for key in pack.files if key.endswith("/scorers")):
            night = key.removesuffix("/scorers")
            yield night, night, consensus(pack[key])


def consensus(scorings: np.ndarray) -> np.ndarray:
    """Return what most scorers said, int8 (E,), from (scorers, E); -1 is no vote.

    A tie goes to the tied stage whose best voter agrees most with the other scorers over the night.
    """
    votes = scorings[:, None] == np.arange(W, R + 1)[:, None]  # (scorers, stages, E)
    scored = votes.any(axis=1).astype(float)  # (scorers, E)
    same = np.einsum("ise,jse->ij", votes.astype(float), votes.astype(float))
    agreement = (same / np.maximum(scored @ scored.T, 1)).mean(axis=1)  # (scorers,)
    # A vote counts 1; the best voter's rank adds less than one vote can
    count = votes.sum(axis=0) + (votes * agreement[:, None, None]).max(axis=0) / 2
    return np.where(votes.any(axis=(0, 1)), count.argmax(axis=0), UNSCORED).astype(np.int8)


# People on whose nights stagers are judged, with correction: the twenty of the Sleep-EDF-20
# benchmark and the UCDDB night whose EEG epochs are at hand. No language model trains on them.
JUDGED_ELSEWHERE = (*(f"sleepedf/SC4{person:02d}" for person in range(20)), "ucddb/ucddb022")
_JUDGED_NAMES = re.compile(r"(?<![a-z0-9])(SC4[01]\d|ucddb022)", re.IGNORECASE)


def judged_elsewhere(nights: Iterable[StageNight]) -> set[str]:
    """Return the owners among `nights` whom no language model may train on.

    They are known by the names of the data sets' files, wherever those come from.
    """
    return {
        night.owner
        for night in nights
        if night.owner in JUDGED_ELSEWHERE
        or _JUDGED_NAMES.search(night.night)
        or _JUDGED_NAMES.search(night.person)
    }


def facts(nights: Iterable[StageNight]) -> list[dict[str, str | int]]:
    """Return what a card says of the sources of `nights`: title and licence where known."""
    counts = Counter(night.source for night in nights)
    return [
        {
            "name": name,
            "title": SOURCES[name][0].title if name in SOURCES else name,
            "licence": SOURCES[name][0].licence if name in SOURCES else "as its owner states",
            "nights": n_nights,
        }
        for name, n_nights in counts.items()
    ]


SOURCES: dict[str, tuple[HypnogramSource, ...]] = {
    "boas": (
        HypnogramSource(
            "Bitbrain Open Access Sleep, OpenNeuro ds005555 1.1.0 (human consensus)",
            "CC0",
            "real/boas/sub-*_psg_events.tsv",
            partial(_file, person=_boas_person, stage_map="boas", column="stage_hum"),
        ),
    ),
    "dod": (
        HypnogramSource(
            "Dreem Open Datasets, DOD-H and DOD-O (consensus of five scorers)",
            "MIT",
            "real/dod/dod.npz",
            _dod_pack,
        ),
    ),
    "sleepedf": (
        HypnogramSource(
            "Sleep-EDF Expanded, PhysioNet 1.0.0",
            "ODC-By-1.0",
            "sleepedf_hypnograms.npz",
            _sleepedf_pack,
        ),
        HypnogramSource(
            "Sleep-EDF Expanded, PhysioNet 1.0.0",
            "ODC-By-1.0",
            "real/sleepedf_annotations/S[CT]*.csv",
            _sleepedf_table,
        ),
    ),
    "ucddb": (
        HypnogramSource(
            "St. Vincent's / UCD Sleep Apnea Database, PhysioNet 1.0.0",
            "ODC-By-1.0",
            "real/ucddb/stage/*_stage.txt",
            partial(_file, person=_letters(8), stage_map="ucddb"),
        ),
    ),
    "cap": (
        HypnogramSource(
            "CAP Sleep Database, PhysioNet 1.0.0",
            "ODC-By-1.0",
            "real/cap_remlogic/*.txt",
            partial(_file, person=lambda path: path.stem, stage_map=None),
        ),
    ),
    "surrey": (
        HypnogramSource(
            "Surrey cEEGrid sleep, OpenNeuro ds005207 1.0.0 (PSG scoring)",
            "CC0",
            "real/surrey_ceegrid/*_acq-PSGScoring_events.tsv",
            partial(_file, person=_letters(7), stage_map="surrey"),
        ),
    ),
    "eesm17": (
        HypnogramSource(
            "Ear-EEG Sleep Monitoring 2017, OpenNeuro ds004348 1.0.5",
            "CC0",
            "real/eesm17/*_acq-scoring_events.tsv",
            partial(_file, person=_letters(7), stage_map="eesm17"),
        ),
    ),
    "slpdb": (
        HypnogramSource(
            "MIT-BIH Polysomnographic Database, PhysioNet 1.0.0",
            "ODC-By-1.0",
            "real/slpdb_rr/*.csv.gz",
            partial(_file, person=_letters(5), stage_map=None),
        ),
    ),
}
