"""Many recordings in one run: which there are, what their results are called, read one ahead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TypeVar

from nights.store import night_files
from recordings.formats import is_recording

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """One recording to stage and the name of its results (a relative path without suffix)."""

    path: Path
    name: str
    stored: bool = False  # `path` is the sidecar of a stored night


def find_sources(paths: Iterable[Path]) -> list[Source]:
    """Return every recording or stored night named, or found below a folder named, in order.

    A file named by hand is taken whatever its suffix; below a folder only recordings are. Two
    recordings that differ in the suffix alone (`a.edf`, `a.bdf`) keep it in their names.

    Raises
    ------
    ValueError
        If a path does not exist or a folder holds no recording.
    """
    found: dict[Path, Path] = {}  # file -> what its name is relative to
    for path in paths:
        if not path.exists():
            raise ValueError(f"{path}: no such file or folder")
        inside = _inside(path) if path.is_dir() else [path]
        if not inside:
            raise ValueError(f"{path}: no recording in this folder")
        for file in inside:
            found.setdefault(file, path if path.is_dir() else path.parent)
    return _named(found)


def _inside(folder: Path) -> list[Path]:
    """Return the recordings below a folder, or the nights of a night store."""
    if (folder / "view.json").exists():
        return list(night_files(folder))
    return sorted(path for path in folder.rglob("*") if is_recording(path))


def _named(found: dict[Path, Path]) -> list[Source]:
    """Give every file a name of its own: its place below the folder, the suffix where needed."""
    short = {file: file.relative_to(base).with_suffix("") for file, base in found.items()}
    shared = Counter(short.values())
    names = {f: n if shared[n] == 1 else n.with_name(f.name) for f, n in short.items()}
    taken = Counter(names.values())
    twice = [str(name) for name, count in taken.items() if count > 1]
    if twice:
        raise ValueError(f"several recordings would write {twice[0]}: run their folders apart")
    return [Source(f, name.as_posix(), f.suffix == ".json") for f, name in names.items()]


def read_ahead(
    sources: Sequence[Source], read: Callable[[Source], T]
) -> Iterator[tuple[Source, Future[T]]]:
    """Yield every source with the future of `read(source)`; the next one is read meanwhile.

    An error of `read` is raised by `future.result()`, in the night it belongs to. Never more than
    two nights are in memory: the one in work and the next.
    """
    with ThreadPoolExecutor(max_workers=1) as reader:
        pending: Future[T] | None = None
        for source, following in zip_longest(sources, sources[1:]):
            current = pending or reader.submit(read, source)
            pending = reader.submit(read, following) if following else None
            yield source, current
            del current  # a night's signals go before the one after next is read
