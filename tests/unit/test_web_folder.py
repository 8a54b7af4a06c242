"""Folders of uploads: only those of servers that live no more are removed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from web.folder import MARK, PREFIX, UploadFolder, remove_dead


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Temporary folders are made here."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def left(parent: Path, name: str, mark: str | None) -> Path:
    """A folder that nobody holds, with an upload in it."""
    folder = parent / f"{PREFIX}{name}"
    (folder / "night").mkdir(parents=True)
    if mark is not None:
        (folder / MARK).write_text(mark, encoding="utf-8")
    return folder


def test_a_folder_in_use_is_kept_and_goes_with_its_server(temporary: Path) -> None:
    folder = UploadFolder()
    assert json.loads((folder.path / MARK).read_text(encoding="utf-8"))["pid"] == os.getpid()
    assert folder.path.stat().st_mode & 0o077 == 0
    assert remove_dead(temporary) == []
    assert UploadFolder().path != folder.path
    assert folder.path.is_dir()
    folder.remove()
    assert not folder.path.exists()


def test_what_a_dead_server_left_is_removed_by_the_next(temporary: Path) -> None:
    dead = left(temporary, "dead", '{"pid": 1, "started": "2026-01-01T00:00:00"}')
    folder = UploadFolder()
    assert not dead.exists()
    folder.remove()
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("mark", [None, "", "mine", '{"pid": 1}', "5"])
def test_folders_without_the_mark_of_a_server_are_never_touched(
    temporary: Path, mark: str | None
) -> None:
    other = left(temporary, "other", mark)
    assert remove_dead(temporary) == []
    assert (other / "night").is_dir()


def test_a_link_to_a_dead_folder_elsewhere_is_not_followed(
    temporary: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    mark = '{"pid": 1, "started": "2026-01-01T00:00:00"}'
    elsewhere = left(tmp_path_factory.mktemp("elsewhere"), "dead", mark)
    (temporary / f"{PREFIX}link").symlink_to(elsewhere)
    assert remove_dead(temporary) == []
    assert (elsewhere / "night").is_dir()
