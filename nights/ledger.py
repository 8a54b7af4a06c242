"""What a store says of itself: its view, its nights, those that failed, what was left over.

::

    <root>/view.json         the view every night here is of
    <root>/manifest.jsonl    one line per complete night
    <root>/failed.jsonl      one line per night that could not be made: night, step, reason
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nights.atomic import write_text
from nights.night import NightError, read_sidecar
from nights.store import night_files

_TEMPORARY = re.compile(r".+\.(?:npy|json|jsonl|csv)\.tmp\.(\d+)(?:\.\w+)?")
_DAY_S = 86_400
# On a shared folder the writer may be a process of another machine, seen only by this
_GRACE_S = 60


@dataclass(frozen=True)
class Failure:
    """A night (`<DATASET>/<rec>`) that could not be made, at which step, and why."""

    night: str
    step: str
    reason: str


def write_view(root: Path, view: Mapping[str, Any]) -> None:
    """Write the declaration of the view to `<root>/view.json`.

    Raises
    ------
    NightError
        If the store holds nights of another view.
    """
    path = Path(root) / "view.json"
    if path.exists():
        there = json.loads(path.read_text(encoding="utf-8"))
        if there["hash"] != view["hash"]:
            raise NightError(
                f"{root} holds nights of view {there['name']!r} ({there['hash'][:8]}), not of "
                f"{view['name']!r} ({view['hash'][:8]}): take another folder"
            )
    write_text(path, json.dumps(dict(view), indent=1, default=str) + "\n")


def write_manifest(root: Path) -> list[dict[str, Any]]:
    """Collect one line per complete night into `<root>/manifest.jsonl` and return the lines."""
    lines = [_manifest_line(path) for path in night_files(root)]
    _write_lines(Path(root) / "manifest.jsonl", lines)
    return lines


def read_manifest(root: Path) -> list[dict[str, Any]]:
    """Return the lines of `<root>/manifest.jsonl`.

    Raises
    ------
    NightError
        If the store has no manifest.
    """
    path = Path(root) / "manifest.jsonl"
    if not path.exists():
        raise NightError(f"{root}: no manifest.jsonl; is it the folder of a view?")
    return _read_lines(path)


def record_failures(root: Path, failures: Iterable[Failure]) -> list[Failure]:
    """Add failures to `<root>/failed.jsonl` and return all that stand there now.

    A night has one line, the latest; a night that is complete by now has none.
    """
    path = Path(root) / "failed.jsonl"
    known = {
        line["night"]: Failure(**line) for line in (_read_lines(path) if path.exists() else [])
    }
    known |= {failure.night: failure for failure in failures}
    open_still = [
        failure for night, failure in sorted(known.items()) if not _sidecar(root, night).exists()
    ]
    _write_lines(path, [asdict(failure) for failure in open_still])
    return open_still


def remove_leftovers(root: Path, *, now_s: float | None = None) -> list[Path]:
    """Remove temporary files of writers that were killed, and return them.

    A file is left over when its process does not run here and nobody wrote to it for a minute, or
    when it is older than a day. Nothing but this project's own temporary names is touched.
    """
    now_s = time.time() if now_s is None else now_s
    removed = []
    for path in sorted(Path(root).rglob("*.tmp.*")):
        named = _TEMPORARY.fullmatch(path.name)
        if not named or not path.is_file():
            continue
        age_s = now_s - path.stat().st_mtime
        if age_s > _DAY_S or (age_s > _GRACE_S and not _runs_here(int(named[1]))):
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def _manifest_line(path: Path) -> dict[str, Any]:
    """Return what the manifest keeps of the sidecar `path`."""
    known = read_sidecar(path)
    named = ("dataset", "rec", "person", "group", "n_epochs", "stage_histogram", "event_types")
    channels = [c["name"] for group in known["groups"].values() for c in group["channels"]]
    files = [path, *(path.with_suffix(f".{ending}") for ending in known["crc32"])]
    return {
        "night": f"{known['dataset']}/{known['rec']}",
        **{name: known[name] for name in named},
        "channels": channels,
        "bytes": sum(file.stat().st_size for file in files),
    }


def _sidecar(root: Path, night: str) -> Path:
    """Return the path of the sidecar of a night named `<DATASET>/<rec>`."""
    return Path(root) / f"{night}.json"


def _runs_here(process: int) -> bool:
    """Tell whether a process of this number runs on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object per line."""
    write_text(path, "".join(json.dumps(line) + "\n" for line in lines))


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """Read one JSON object per line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
