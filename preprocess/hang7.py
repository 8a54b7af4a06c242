"""HANG7: Hangzhou Seventh People's Hospital, 127 nights; an example for a hospital's own data.

Files     <group>/p01/p01.edf with p01.txt, or p01.edf.XML (Profusion); the groups are
          healthy_control, narcolepsy, depression
Scoring   AASM; words, digits and mixed spellings (W, WK, N1, NN1, 2, REM, 5), one per epoch from
          the first sample
Labels    diagnosis is the group. LPSGM reports 33 healthy people, 51 with narcolepsy (13 type 1, 38
          type 2), and 43 with hypersomnia and anxiety or depression
Private   test set of the LPSGM paper; take this file as a pattern
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from preprocess.dataset import (
    Counts,
    Dataset,
    DatasetSpec,
    RawNight,
    ScoringFormat,
    Source,
    find,
    first_file,
)
from preprocess.recipe import run_alone

SPEC = DatasetSpec(
    name="HANG7",
    title="Hangzhou Seventh People's Hospital (depression, healthy, narcolepsy)",
    source=Source(
        "private",
        files=("*/*/*.edf", "*/*/*.txt", "*/*/*.XML"),
        apply="nothing: the hospital does not give it away",
    ),
    n_nights=127,
    n_persons=127,
    channels={
        "F3": [("F3", "M2"), "F3-M2"],
        "F4": [("F4", "M1"), "F4-M1"],
        "C3": [("C3", "M2"), "C3-M2"],
        "C4": [("C4", "M1"), "C4-M1"],
        "O1": [("O1", "M2"), "O1-M2"],
        "O2": [("O2", "M1"), "O2-M1"],
        "E1": [("E1", "M2"), "E1-M2"],
        "E2": [("E2", "M1"), "E2-M2", "E2-M1"],
        "Chin": ["Chin 1-Chin 2", ("Chin 1", "Chin 2")],
    },
    scoring=ScoringFormat(stage_map="hang7"),  # the digits of Profusion are in it
    labels={"diagnosis": {"healthy_control": 33, "narcolepsy": 51, "depression": 43}},
    counts=Counts("LPSGM log", 127, 142_450, (36_337, 10_121, 46_875, 27_761, 21_356)),
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights found below `raw_dir`, sorted by group and id."""
    name = r"(?P<group>depression|healthy_control|narcolepsy)/(?P<night>[^/]+)/(?P=night)"
    for path, ids in find(raw_dir, "*/*/*.edf", rf"^{name}"):
        profusion = path.with_name(f"{path.name}.XML")
        yield RawNight(
            night=ids["night"],
            person=ids["night"],
            signals=path,
            scoring=first_file(path.with_suffix(".txt"), profusion),
            part=ids["group"],
            labels={"diagnosis": ids["group"]},
        )


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
