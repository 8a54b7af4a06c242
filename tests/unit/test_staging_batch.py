"""Finding recordings, naming their results, and reading one ahead."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from staging.batch import Source, find_sources, read_ahead


def touch(folder: Path, *names: str) -> None:
    """Make files that look like recordings by their suffix."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"0       ")


def test_a_folder_gives_every_recording_below_it(tmp_path: Path) -> None:
    touch(tmp_path, "b.edf", "a/one.edf", "notes.txt")
    assert [s.name for s in find_sources([tmp_path])] == ["a/one", "b"]


def test_names_that_would_collide_keep_their_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "short.edf", "short.bdf")
    assert {s.name for s in find_sources([tmp_path])} == {"short.edf", "short.bdf"}


def test_two_folders_with_the_same_recording_name_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "x/n.edf", "y/n.edf")
    with pytest.raises(ValueError, match="several recordings would write n"):
        find_sources([tmp_path / "x", tmp_path / "y"])


def test_a_missing_path_and_an_empty_folder_are_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nothing\.edf: no such file"):
        find_sources([tmp_path / "nothing.edf"])
    with pytest.raises(ValueError, match="no recording in this folder"):
        find_sources([tmp_path])


def test_the_next_recording_is_read_while_the_first_is_in_work() -> None:
    sources = [Source(Path(f"{n}.edf"), str(n)) for n in range(3)]
    started = {source.name: threading.Event() for source in sources}

    def read(source: Source) -> str:
        started[source.name].set()
        return source.name

    for position, (source, future) in enumerate(read_ahead(sources, read)):
        assert future.result() == source.name
        if position + 1 < len(sources):
            assert started[str(position + 1)].wait(timeout=5)


def test_nothing_to_read_is_no_error() -> None:
    assert list(read_ahead([], lambda source: source)) == []


def test_an_error_belongs_to_its_own_night() -> None:
    sources = [Source(Path(f"{n}.edf"), str(n)) for n in range(3)]

    def read(source: Source) -> str:
        if source.name == "1":
            raise ValueError("broken")
        return source.name

    results = []
    for source, future in read_ahead(sources, read):
        results.append("broken" if future.exception() else source.name)
    assert results == ["0", "broken", "2"]
