"""Get a data set from its holder: list, fetch what is missing, check each file, unpack.

    python main_preprocess.py get HMC --raw /raw/hmc
    NSRR_TOKEN=... python main_preprocess.py get SHHS --raw /raw/shhs

The same command goes on after anything that stopped it: files that are there are left alone, and a
large one goes on where it broke off.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from preprocess.fetch.archives import marker, unpack
from preprocess.fetch.sources import listing, matches
from preprocess.fetch.transfer import (
    DownloadError,
    RemoteFile,
    SourceError,
    check,
    download,
    size_of,
)

if TYPE_CHECKING:
    from preprocess.dataset import Dataset, DatasetSpec

THREADS = 4  # holders ask for few connections at once


@dataclass(frozen=True)
class Get:
    """Get a data set from its holder, or say what to apply for and where."""

    dataset: str  # name in `list`; NSRR data need your own token in the variable NSRR_TOKEN
    raw: Path | None = None  # folder it belongs into [raw/<NAME>]
    only: tuple[str, ...] = ()  # patterns of paths instead of all the recipe reads: 'edfs/shhs1/*'
    verify: bool = False  # read the files that are there and fetch again what is not the source's
    threads: int = THREADS  # files under way at once
    dry_run: bool = False  # list files and bytes, fetch nothing

    def __post_init__(self) -> None:
        if not 1 <= self.threads <= 16:
            raise ValueError(f"--threads {self.threads}: 1 to 16 are wanted; holders are not ours")


@dataclass
class Fetched:
    """What became of the files of a data set, and why some could not be had."""

    files: list[RemoteFile]
    missing: list[RemoteFile]
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def unproven(self) -> int:
        """How many files have no checksum at their source."""
        return sum(not file.checksum for file in self.files)


def get_named(cfg: Get) -> int:
    """Get a data set by the command line and return the exit status."""
    from preprocess import find_dataset

    return get(
        find_dataset(cfg.dataset),
        cfg.raw,
        only=cfg.only,
        verify=cfg.verify,
        dry_run=cfg.dry_run,
        threads=cfg.threads,
    )


def get(
    dataset: Dataset,
    raw_dir: Path | None = None,
    *,
    only: Sequence[str] = (),
    dry_run: bool = False,
    verify: bool = False,
    threads: int = THREADS,
) -> int:
    """Get a data set, print what came of it and return the exit status.

    Parameters
    ----------
    dataset : Dataset
    raw_dir : Path, optional
        Where it belongs; `raw/<NAME>` by default.
    only : sequence of str
        Patterns of paths; everything the recipe reads by default.
    dry_run : bool
        Print the list of files with their bytes and fetch none.
    verify : bool
        Read every file that is there and fetch it again where it is not that of the source.
    threads : int
        Files under way at once.

    Returns
    -------
    int
        0 if every file is there, 1 if some are not or the data set has to be applied for.

    Raises
    ------
    DownloadError
        If nothing can be had: no list, no network, no token, no space.
    """
    spec, raw_dir = dataset.spec, raw_dir or Path("raw") / dataset.spec.name
    if spec.source.kind in ("application", "private", "simulated"):
        sys.stdout.write(how_to_apply(spec))
        return 1
    fetched = survey(spec, raw_dir, only=only, verify=verify, threads=threads)
    if dry_run:
        sys.stdout.write(_listed(fetched, raw_dir))
        return 0
    with _alone(raw_dir):
        _check_space(fetched.missing, raw_dir)
        fetched.failed = _fetch_all(spec, fetched.missing, raw_dir, threads)
    sys.stdout.write(_summary(spec, fetched, raw_dir))
    return int(bool(fetched.failed))


def how_to_apply(spec: DatasetSpec) -> str:
    """Return what to apply for, and where."""
    if spec.source.kind == "simulated":
        return f"{spec.name} is made here: {spec.source.apply}\n"
    if spec.source.kind == "private":
        return f"{spec.name} is not given away; its recipe is an example of the form.\n"
    return (
        f"{spec.name} is given on application: {spec.source.apply or 'ask the holder'}.\n"
        f"Where: {spec.source.page}\nTerms: {spec.source.licence or 'the holder states none'}\n"
    )


def survey(
    spec: DatasetSpec,
    raw_dir: Path,
    *,
    only: Sequence[str] = (),
    verify: bool = False,
    threads: int = THREADS,
) -> Fetched:
    """Return the files of a data set at its source, and which of them are missing here.

    Raises
    ------
    DownloadError
        If the list cannot be had, or `only` names no file of it.
    """
    files = [file for file in listing(spec.source) if not only or matches(file.path, only)]
    if not files:
        raise DownloadError(f"{spec.name} has no file {', '.join(only)}")
    with ThreadPoolExecutor(threads) as pool:
        files = list(pool.map(_measured, files))
        here = list(pool.map(lambda file: _is_here(spec, file, raw_dir, verify=verify), files))
    missing = [file for file, there in zip(files, here, strict=True) if not there]
    return Fetched(files, missing)


def _measured(file: RemoteFile) -> RemoteFile:
    """Ask for the length of a file whose list does not tell it."""
    if file.size is not None:
        return file
    try:
        return replace(file, size=size_of(file.address))
    except SourceError:
        raise
    except DownloadError:  # the transfer will say what is wrong with this file
        return file


def _is_here(spec: DatasetSpec, file: RemoteFile, raw_dir: Path, *, verify: bool) -> bool:
    """Tell whether a file is there; it has its name only since its checksum was right."""
    path = raw_dir / file.path
    if file.path in spec.source.archives:
        return marker(path).exists()
    if not path.is_file() or file.size not in (None, path.stat().st_size):
        return False
    try:
        if verify:
            check(file, path)
    except DownloadError:
        return False
    return True


def _fetch_all(
    spec: DatasetSpec, files: Sequence[RemoteFile], raw_dir: Path, threads: int
) -> dict[str, str]:
    """Fetch files side by side; return why some could not be had, by path."""
    failed: dict[str, str] = {}
    with _meter(spec.name, files) as meter, ThreadPoolExecutor(threads) as pool:
        tasks = {pool.submit(_fetch, spec, file, raw_dir, meter): file for file in files}
        try:
            for task in as_completed(tasks):
                try:
                    task.result()
                except SourceError:
                    raise
                except DownloadError as error:
                    failed[tasks[task].path] = str(error)
        except BaseException:
            meter.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return failed


def _fetch(spec: DatasetSpec, file: RemoteFile, raw_dir: Path, meter: Meter) -> None:
    """Fetch one file, and unpack it where it is an archive."""
    path = raw_dir / file.path
    if not (file.path in spec.source.archives and path.is_file()):  # else it was not unpacked yet
        download(file, path, progress=meter.of(file.path))
    if file.path in spec.source.archives:
        try:
            unpack(path, raw_dir / spec.source.archives[file.path])
        except OSError as error:
            raise SourceError(f"{path} cannot be unpacked: {error.strerror}") from None


class Meter:
    """A bar over the bytes of all files; it ends the transfers when `stop` is set."""

    def __init__(self, bar: Any) -> None:
        self.bar, self.stop = bar, Event()
        self._here: dict[str, int] = {}
        self._lock = Lock()

    def of(self, path: str) -> Any:
        """Return what is told how many bytes of one file are here."""

        def progress(n_bytes: int) -> None:
            if self.stop.is_set():
                raise KeyboardInterrupt
            with self._lock:
                self.bar.update(n_bytes - self._here.get(path, 0))
                self._here[path] = n_bytes

        return progress


@contextmanager
def _meter(name: str, files: Sequence[RemoteFile]) -> Iterator[Meter]:
    """Show a bar with the time left on a terminal."""
    from tqdm import tqdm

    total = sum(file.size or 0 for file in files) or None
    with tqdm(total=total, unit="B", unit_scale=True, desc=name, disable=None) as bar:
        yield Meter(bar)


@contextmanager
def _alone(raw_dir: Path) -> Iterator[None]:
    """Hold a raw folder: two that write the same files would spoil each other's."""
    import fcntl  # Unix only, and only needed where something is written

    raw_dir.mkdir(parents=True, exist_ok=True)
    folder = os.open(raw_dir, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise SourceError(f"{raw_dir}: another `get` is at work there; wait for it") from None
    finally:
        os.close(folder)  # and with it the lock


def _check_space(files: Sequence[RemoteFile], raw_dir: Path) -> None:
    """Refuse before the first byte what does not fit on the disk."""
    here = sum(path.stat().st_size for file in files if (path := _part(file, raw_dir)).exists())
    needed = sum(file.size or 0 for file in files) - here
    if needed > (free := shutil.disk_usage(raw_dir).free):
        raise SourceError(
            f"{raw_dir}: {_bytes(needed)} are to come, {_bytes(free)} are free on its disk: free "
            "some space or name another folder with --raw"
        )


def _part(file: RemoteFile, raw_dir: Path) -> Path:
    """Return what a transfer that broke off left."""
    return raw_dir / f"{file.path}.part"


def _listed(fetched: Fetched, raw_dir: Path) -> str:
    """Return the list of files: bytes, whether it is there, path."""
    missing = {file.path for file in fetched.missing}
    lines = []
    for file in fetched.files:
        size = "unknown" if file.size is None else f"{file.size:,}"
        state = "there" if file.path not in missing else ""
        if not state and _part(file, raw_dir).exists():
            state = "begun"
        lines.append(f"{size:>18}  {state:5}  {file.path}")
    total, to_come = (
        _bytes(sum(file.size or 0 for file in files)) for files in (fetched.files, fetched.missing)
    )
    lines.append(f"{len(fetched.files)} files, {total}; to come: {len(missing)} files, {to_come}")
    return "\n".join(lines) + "\n"


def _summary(spec: DatasetSpec, fetched: Fetched, raw_dir: Path) -> str:
    """Return what came of it as text, and the table of files that could not be had."""
    n_files, n_failed = len(fetched.files), len(fetched.failed)
    came = len(fetched.missing) - n_failed
    lines = [
        f"{spec.name} in {raw_dir}: {came} files fetched, {n_files - len(fetched.missing)} were "
        f"there, {n_failed} failed"
    ]
    if fetched.unproven:
        lines.append(f"{fetched.unproven} without a checksum at the source: length checked alone")
    lines += ["failed:"] * bool(n_failed)
    lines += [f"{path}  {why}" for path, why in sorted(fetched.failed.items())]
    lines += ["the same command goes on"] * bool(n_failed)
    if not n_failed:
        lines.append(f"next: python main_preprocess.py check {spec.name} --raw {raw_dir}")
    return "\n".join(lines) + "\n"


def _bytes(n_bytes: int) -> str:
    """Write a number of bytes for people."""
    for unit in ("bytes", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000  # type: ignore[assignment]
    return f"{n_bytes:.1f} GB"
