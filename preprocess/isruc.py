"""ISRUC-Sleep: 126 nights of 118 people in three subgroups, every night scored by two people.

Files     Subgroup_1/8/8.rec (100 patients), Subgroup_2/3/2/2.rec (8 patients, two nights each),
          Subgroup_3/1/1.rec (10 healthy people), each with 8_1.txt and 8_2.txt, the two scorings.
          EDF under the suffix .rec: opened by content, nothing is copied or renamed
Scoring   AASM, one code per epoch from the first sample: 0, 1, 2, 3, and 5 for REM. Published work
          uses scorer 1; scorer 2 is kept beside it
Quirks    the lists may outlast the signal: cut to the shorter
          both nights of a person in subgroup 2 belong together
          the chin is X1, in some files 24; Subgroup_1-8 has no frontal channel
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
)
from preprocess.recipe import run_alone

# One RAR per person
ARCHIVES = {
    f"subgroup{roman}/{person}.rar": f"Subgroup_{group}/{person}"
    for group, roman, n_persons in ((1, "I", 100), (2, "II", 8), (3, "III", 10))
    for person in range(1, n_persons + 1)
}

SPEC = DatasetSpec(
    name="ISRUC",
    title="ISRUC-Sleep (subgroup I patients, II patients with two nights each, III healthy)",
    source=Source(
        "address",
        page="https://sleeptight.isr.uc.pt/",
        name="https://dataset.isr.uc.pt/ISRUC_Sleep",
        files=("Subgroup_*/*",),
        archives=ARCHIVES,
    ),
    n_nights=126,
    n_persons=118,
    channels={
        "F3": [("F3", "A2"), "F3-A2", "F3-M2"],
        "F4": [("F4", "A1"), "F4-A1", "F4-M1"],
        "C3": [("C3", "A2"), "C3-A2", "C3-M2"],
        "C4": [("C4", "A1"), "C4-A1", "C4-M1"],
        "O1": [("O1", "A2"), "O1-A2", "O1-M2"],
        "O2": [("O2", "A1"), "O2-A1", "O2-M1"],
        "E1": [("LOC", "A2"), "LOC-A2", "E1-M2"],
        "E2": [("ROC", "A1"), "ROC-A1", "E2-M1"],
        "Chin": ["X1", "24"],
        "ECG": ["X2"],
        "SpO2": ["SaO2"],
    },
    scoring=ScoringFormat("index_txt", stage_map="isruc"),
    remarks={"Subgroup_1-8": "no frontal channel"},
    counts=Counts("LPSGM log", 126, 113_283, (25_078, 14_972, 36_007, 22_124, 15_102)),
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights of the three subgroups found below `raw_dir`, sorted by path."""
    name = r"(?P<part>Subgroup_(?P<group>[123]))/(?P<number>\d+)/(?:(?P<visit>[12])/)?\d+"
    for path, ids in find(raw_dir, "Subgroup_[123]/**/*.rec", name):
        person, visit = f"{ids['group']}-{ids['number']}", ids["visit"] or ""
        second = path.with_name(f"{path.stem}_2.txt")
        yield RawNight(
            night=f"Subgroup_{person}" + (f"-S{visit}" if visit else ""),
            person=person,
            signals=path,
            scoring=path.with_name(f"{path.stem}_1.txt"),
            other_scorings={"scorer 2": second} if second.is_file() else {},
            visit=visit,
            part=ids["part"],
        )


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
