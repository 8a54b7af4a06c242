"""The scoring a staged night is compared with: inside the recording, beside it, or named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from nights.hypnogram import Hypnogram
from recordings.recording import Recording, RecordingError
from recordings.scoring import Scoring, read_scoring

SUFFIXES = frozenset({".xml", ".txt", ".csv", ".tsv", ".edf", ".annot", ".eannot", ".mat", ".h5"})


def find_reference(recording: Recording, scoring: str) -> Hypnogram | None:
    """Return the hypnogram of `find_scoring`, or None."""
    found = find_scoring(recording, scoring)
    return None if found is None else found.hypnogram


def find_scoring(recording: Recording, scoring: str) -> Scoring | None:
    """Return the scoring of a recording on its clock, stages and events, or None.

    Parameters
    ----------
    recording : Recording
    scoring : str
        `none`; `auto`: stages among the recording's own annotations or channels, else a file of
        its folder whose name begins like the recording's; a file; or a folder with such files.

    Raises
    ------
    RecordingError
        If a scoring was named and is not there or cannot be read. What `auto` finds is taken if it
        is a scoring and passed over if it is not.
    """
    if scoring == "none":
        return None
    if scoring != "auto":
        return _read(_named(recording, Path(scoring)), recording)
    for path in (recording.path, *beside(recording.path, recording.path.parent)):
        try:
            return _read(path, recording)
        except RecordingError:
            continue
    return None


def _read(path: Path, recording: Recording) -> Scoring:
    """Return a scoring file; without the name of a scorer it has the file's."""
    found = read_scoring(path, recording=recording)
    if found.hypnogram.scorer:
        return found
    inside = path == recording.path
    scorer = "scoring in the recording" if inside else path.name
    return replace(found, hypnogram=replace(found.hypnogram, scorer=scorer))


def _named(recording: Recording, path: Path) -> Path:
    """Return the scoring file that was asked for."""
    if not path.is_dir():
        return path
    found = list(beside(recording.path, path))
    if len(found) != 1:
        what = "no" if not found else f"{len(found)} files that could be its"
        raise RecordingError(f"{recording.path.name}: {what} scoring in {path.name}/")
    return found[0]


def beside(recording: Path, folder: Path) -> Iterator[Path]:
    """Yield the files of `folder` that are named like the recording.

    Sleep-EDF changes the eighth letter and the ending: SC4001E0-PSG.edf, SC4001EC-Hypnogram.edf.
    """
    stem = recording.stem.removesuffix("-PSG")
    sleep_edf = f"{stem[:7]}?-Hypnogram.edf" if recording.stem.endswith("-PSG") else ""
    for path in sorted(folder.iterdir()):
        alike = path.stem.startswith(stem) or (sleep_edf and path.match(sleep_edf))
        if alike and path.suffix.casefold() in SUFFIXES and path.resolve() != recording.resolve():
            yield path
