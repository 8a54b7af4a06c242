"""SYSU in miniature: eyes in a file of their own, stages in a sheet, lights, persons of nights."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from tests.makers.raw_folders import START, Night, RawFolder, Signals
from tests.makers.scoring_text import WORDS

EEG = ("F3-M2", "F4-M1", "C3-M2", "C4-M1", "O1-M2", "O2-M1")
ALL = {"F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2"}


def sheet(stages: str, title: str = "") -> Callable[[Path], None]:
    """Return what writes one word per row, below `title` if there is one."""

    def write(path: Path) -> None:
        import openpyxl

        book = openpyxl.Workbook()
        for word in [title] * bool(title) + [WORDS[letter] for letter in stages]:
            book.active.append([word])
        book.save(path)

    return write


def eeg(rate_hz: int) -> Signals:
    """Return the file of the scalp."""
    return Signals(dict.fromkeys(EEG, rate_hz))


def eyes(rate_hz: int, minutes: float = 0) -> Signals:
    """Return the file of the eyes, which may begin later than that of the scalp."""
    start = START + timedelta(minutes=minutes)
    return Signals({"E1-M2": rate_hz, "E2-M1": rate_hz}, start=start)


FOLDER = RawFolder(
    files={
        "healthy/EEG/7.edf": eeg(500),
        "healthy/EOG/7.edf": eyes(500),
        "healthy/labels/7.xlsx": sheet("WW12?R", title="stage"),
        "healthy/EEG/8.edf": eeg(500),
        "healthy/EOG/8.edf": eyes(500),
        "healthy/labels/8.xlsx": sheet("W2233R"),
        "healthy/nights.csv": "number,lights_off,lights_on,person\n7,2,5,2\n8,,,2\n",
        "depressed/EEG/7.edf": Signals(dict.fromkeys(("C3-M1", "C4-M2", "E1-M1"), 256)),
        "depressed/labels/7.xlsx": sheet("WW?233"),
        "depressed/EEG/9.edf": eeg(256),
        "depressed/EOG/9.edf": eyes(256, minutes=90),
        "depressed/labels/9.xlsx": sheet("WW?233"),
    },
    nights=(
        Night(
            "healthy-7",
            "sysu-healthy-7",
            "WW12?R",
            ALL,
            group="sysu-healthy-person-2",
            facts={"lights_off_s": 30.0, "lights_on_s": 150.0, "part": "healthy"},
        ),
        Night("healthy-8", "sysu-healthy-8", "W2233R", ALL, group="sysu-healthy-person-2"),
        Night(
            "depressed-7",
            "sysu-depressed-7",
            "WW?233",
            {"C3", "C4", "E1"},
            taken={"C4": "'C4-M2'"},
            facts={"labels": {"diagnosis": "depressed"}},
        ),
        Night("depressed-9", refused="not the same night"),
    ),
)
