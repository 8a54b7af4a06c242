"""Archives in which a holder packs a data set: unpacked whole or not at all.

ZIP is read by the standard library; other kinds (RAR) need a program that is on the machine.
"""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

from preprocess.fetch.transfer import DownloadError

# How each program unpacks an archive into a folder; the first that is there is taken
_PROGRAMS = {
    "bsdtar": ("bsdtar", "-xf", "{archive}", "-C", "{folder}"),
    "unrar": ("unrar", "x", "-idq", "-y", "{archive}", "{folder}/"),
    "unar": ("unar", "-quiet", "-no-directory", "-output-directory", "{folder}", "{archive}"),
    "7z": ("7z", "x", "-y", "-bso0", "-o{folder}", "{archive}"),
}
_NOT_CONTENT = ("__MACOSX", ".DS_Store")


def unpack(archive: Path, folder: Path) -> None:
    """Unpack `archive` into `folder` and remove it; `<archive>.unpacked` says that it was done.

    Parameters
    ----------
    archive : Path
        A file whose checksum was right.
    folder : Path
        Files of the same name in it are replaced. A lone top folder within the archive is left out,
        so that it does not matter whether the holder packed the folder or what is in it.

    Raises
    ------
    DownloadError
        If it is damaged, or no program here can read it; nothing is unpacked then.
    OSError
        If the disk is full; nothing is left of what was unpacked.
    """
    aside = archive.with_name(f"{archive.name}.unpacking")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        if zipfile.is_zipfile(archive):
            _unzip(archive, aside)
        else:
            _run(archive, aside)
        _move(_content(aside), folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    marker(archive).write_text(f"unpacked into {folder.name}/ and removed\n", encoding="utf-8")
    archive.unlink()


def marker(archive: Path) -> Path:
    """Return the file that stands for an archive that was unpacked."""
    return archive.with_name(f"{archive.name}.unpacked")


def _unzip(archive: Path, folder: Path) -> None:
    """Unpack a ZIP file; names that lead out of the folder are made harmless by `zipfile`."""
    try:
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise DownloadError(f"{archive} cannot be unpacked: {error}") from None


def _run(archive: Path, folder: Path) -> None:
    """Unpack by a program of this machine."""
    program = next((name for name in _PROGRAMS if shutil.which(name)), None)
    if program is None:
        raise DownloadError(
            f"{archive} is fetched and kept, but nothing here can unpack it: install one of "
            f"{', '.join(_PROGRAMS)}, the same command goes on"
        )
    words = [word.format(archive=archive, folder=folder) for word in _PROGRAMS[program]]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join(done.stderr.split())[:200]
        raise DownloadError(f"{archive} cannot be unpacked by {program}: {said or 'no reason'}")


def _content(folder: Path) -> Path:
    """Return the folder, or the one folder that is all there is in it."""
    for name in _NOT_CONTENT:
        shutil.rmtree(folder / name, ignore_errors=True)
    inside = [path for path in folder.iterdir() if path.name not in _NOT_CONTENT]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _move(content: Path, folder: Path) -> None:
    """Move every file below `content` to the same place below `folder`."""
    for path in sorted(content.rglob("*")):
        if path.is_file() and not path.is_symlink():
            target = folder / path.relative_to(content)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
