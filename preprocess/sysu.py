"""SYSU: Sun Yat-sen University, 80 healthy and 24 depressed nights; an example of files in parts.

Files     <group>/EEG/7.edf and <group>/EOG/7.edf, two files of one night, and
          <group>/labels/7.xlsx; the groups are healthy and depressed (Chinese names originally)
Scoring   AASM; the first column of the sheet, one word per epoch from the first sample
Lights    <group>/nights.csv with columns number, lights_off, lights_on: epochs counted from 1, the
          last one before lights on included. LPSGM cuts by them with labels one epoch late; here
          nothing is cut, and lights are kept in seconds
Persons   the healthy are 20 students with four nights each. The column `person` of nights.csv keeps
          their nights together; without it a split by night has a person on both sides
Quirks    no chin; the groups differ in laboratory and rate (500 and 256 Hz), so telling them apart
          shows little
Private   test set of the LPSGM paper; take this file as a pattern
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from nights.stages import EPOCH_S
from preprocess.dataset import (
    Counts,
    Dataset,
    DatasetSpec,
    RawNight,
    ScoringFormat,
    Source,
    find,
    read_rows,
)
from preprocess.recipe import run_alone

SPEC = DatasetSpec(
    name="SYSU",
    title="Sun Yat-sen University depression set (80 healthy, 24 depressed)",
    source=Source(
        "private",
        files=("*/EEG/*.edf", "*/EOG/*.edf", "*/labels/*.xlsx", "*/nights.csv"),
        apply="nothing: the university does not give it away",
    ),
    n_nights=104,
    n_persons=104,
    channels={
        "F3": ["F3-M2", "F3-M1"],
        "F4": ["F4-M1", "F4-M2"],
        "C3": ["C3-M2", "C3-M1"],
        "C4": ["C4-M1", "C4-M2"],
        "O1": ["O1-M2", "O1-M1"],
        "O2": ["O2-M1", "O2-M2"],
        "E1": ["E1-M2", "E1-M1"],
        "E2": ["E2-M1", "E2-M2"],
    },
    scoring=ScoringFormat("xlsx_col", stage_map="sysu"),
    labels={"diagnosis": {"healthy": 80, "depressed": 24}},
    counts=Counts("LPSGM log", 104, 106_778, (9_554, 5_071, 45_123, 24_793, 22_237)),
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights of both groups found below `raw_dir`, sorted by path."""
    name = r"^(?P<group>healthy|depressed)/EEG/(?P<number>\d+)"
    for path, ids in find(raw_dir, "*/EEG/*.edf", name):
        group, number = ids["group"], ids["number"]
        folder, eyes = path.parents[1], path.parents[1] / "EOG" / path.name
        told = read_rows(folder / "nights.csv", key="number").get(number, {})
        yield RawNight(
            night=f"{group}-{number}",
            person=f"{group}-{number}",
            signals=(path, eyes) if eyes.is_file() else path,
            scoring=folder / "labels" / f"{number}.xlsx",
            family=f"{group}-person-{told['person']}" if told.get("person") else "",
            part=group,
            labels={"diagnosis": group},
            lights_s=_lights_s(told),
        )


def _lights_s(row: Mapping[str, str]) -> tuple[float | None, float | None]:
    """Return lights off and on in seconds, from the first and the last epoch between them."""
    first, last = row.get("lights_off"), row.get("lights_on")
    return (
        (float(first) - 1) * EPOCH_S if first else None,
        float(last) * EPOCH_S if last else None,
    )


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
