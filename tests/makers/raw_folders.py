"""A miniature of each data set's raw folder, made on the fly in the published layout.

One file per data set, `tests/makers/raw_<module>.py`, with `FOLDER = RawFolder(...)`: the files of
the folder, and the nights that must come out of it. It is found by its name, so that adding a data
set edits nothing here. `tests/contract/test_datasets.py` loops over all of them::

    FOLDER = RawFolder(
        files={
            "recordings/SN001.edf": Signals({"EEG F4-M1": 256, "EMG chin": 256}, epochs=6),
            "recordings/SN001_sleepscoring.txt": hmc_txt("W1223R", START),
        },
        nights=(Night("SN001", person="hmc-SN001", stages="W1223R", channels={"F4", "Chin"}),),
        views=("psg9",),
    )

A file is `Signals`, `Marks` (EDF+ annotations alone), a text, bytes, or a function that writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np

from tests.makers.edf_maker import FAULTS, START, write_edf

__all__ = ["START", "Marks", "Night", "RawFolder", "Signals", "folders"]


@dataclass(frozen=True)
class Signals:
    """A recording: noise of the size of the signal in every channel.

    Parameters
    ----------
    rates : mapping of label to rate, or sequence of (label, rate)
        In Hz, in the order of the file; a sequence may repeat a label.
    epochs : float
        Length in epochs of 30 s.
    start : datetime
    units : str or mapping
        Unit of all channels or by label; `uV` where a mapping is silent.
    record_s : float or text
        Seconds of a data record, such that every rate gives a whole number of samples.
    fault : str
        Name in `edf_maker.FAULTS`, done to the file at the end.
    marks : sequence of (onset_s, duration_s, text)
        EDF+ annotations in the recording itself.
    """

    rates: Mapping[str, float] | Sequence[tuple[str, float]]
    epochs: float = 6
    start: datetime = START
    units: str | Mapping[str, str] = "uV"
    record_s: float | str = 1
    fault: str = ""
    marks: Sequence[tuple[float, float, str]] = ()

    def write(self, path: Path) -> None:
        """Write the recording as EDF, whatever the suffix of `path` is."""
        rng, n = np.random.default_rng(len(path.name)), self.epochs * 30
        pairs = list(self.rates.items()) if isinstance(self.rates, Mapping) else list(self.rates)
        given = self.units if isinstance(self.units, Mapping) else {}
        usual = self.units if isinstance(self.units, str) else "uV"
        units = {label: given.get(label, usual) for label, _ in pairs}
        sizes = {"mV": 0.03}  # 30 uV in whatever unit
        signals = [
            (label, rng.normal(0, sizes.get(units[label], 30), round(n * Fraction(rate))), rate)
            for label, rate in pairs
        ]
        write_edf(
            path,
            signals,
            unit=units,
            start=self.start,
            record_s=self.record_s,
            annotations=self.marks,
        )
        if self.fault:
            FAULTS[self.fault](path)


@dataclass(frozen=True)
class Marks:
    """EDF+ annotations alone: (onset_s, duration_s, text)."""

    marks: Sequence[tuple[float, float, str]]
    start: datetime = START

    def write(self, path: Path) -> None:
        """Write a file without signals."""
        write_edf(path, {}, start=self.start, annotations=self.marks)


File = Signals | Marks | str | bytes | Callable[[Path], object]


@dataclass(frozen=True)
class Night:
    """What must come out of the folder for one night, in the first of the folder's views.

    Parameters
    ----------
    night, person : str
        As in the store; the person with the prefix of the data set.
    stages : str
        One letter per epoch: W, 1, 2, 3, R, `?`.
    channels : set of str or None
        Channels of the night; None leaves them unchecked.
    events : sequence of (onset_s, duration_s, type) or None
        None: nobody scored events.
    group : str
        Family; the person by default.
    taken : mapping
        {channel: labels it must be made of}, as the sidecar writes them.
    facts : mapping
        {key of the sidecar: value}: visit, part, labels, ...
    refused : str
        A piece of the reason why it must be refused, or left out; then nothing else is checked.
    """

    night: str
    person: str = ""
    stages: str = ""
    channels: set[str] | None = None
    events: Sequence[tuple[float, float, str]] | None = None
    group: str = ""
    taken: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)
    refused: str = ""


@dataclass(frozen=True)
class RawFolder:
    """A raw folder in miniature: its files by path, and the nights that must come out of it."""

    files: Mapping[str, File]
    nights: Sequence[Night]
    views: tuple[str, ...] = ("psg9",)

    def write(self, root: Path) -> Path:
        """Write every file below `root` and return it."""
        for name, content in self.files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            match content:
                case str():
                    path.write_text(content, encoding="utf-8")
                case bytes():
                    path.write_bytes(content)
                case Signals() | Marks():
                    content.write(path)
                case _:
                    content(path)
        return root


@cache
def folders() -> dict[str, RawFolder]:
    """Return the folder of every data set that has one, by its module name in `preprocess`."""
    files = sorted(Path(__file__).parent.glob("raw_*.py"))
    names = [file.stem.removeprefix("raw_") for file in files if file.stem != "raw_folders"]
    return {name: import_module(f"tests.makers.raw_{name}").FOLDER for name in names}
