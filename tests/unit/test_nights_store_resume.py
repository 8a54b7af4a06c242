"""A night store filled over days: what was cut short is done again, what is whole is kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nights.ledger import (
    Failure,
    read_manifest,
    record_failures,
    remove_leftovers,
    write_manifest,
    write_view,
)
from nights.store import Night, NightError, is_complete, night_files
from tests.makers.nights import VIEW, make_night

ROOT = Path(__file__).resolve().parents[2]


def _complete(root: Path, source: Path, **changes: object) -> bool:
    known = {"view_hash": VIEW["hash"], "sources": [source]} | changes
    return is_complete(root, "SET", "n1", **known)  # type: ignore[arg-type]


def test_unchanged_nights_are_skipped_and_changed_ones_done_again(tmp_path: Path) -> None:
    source = tmp_path / "n1.edf"
    source.write_bytes(b"abc")
    assert not _complete(tmp_path, source)
    make_night(tmp_path, sources=[source])
    assert _complete(tmp_path, source)
    assert not _complete(tmp_path, source, view_hash="b" * 64)
    assert not _complete(tmp_path, source, dtype="float32")
    assert not _complete(tmp_path, source, sources=[])
    os.utime(source, (1, 1))
    assert not _complete(tmp_path, source)
    make_night(tmp_path, sources=[source])
    source.write_bytes(b"abcd")
    os.utime(source, (1, 1))
    assert not _complete(tmp_path, source)


def test_the_folder_of_a_source_is_not_written(tmp_path: Path) -> None:
    source = tmp_path / "Jane Doe" / "n1.edf"
    source.parent.mkdir()
    source.write_bytes(b"abc")
    assert "Jane" not in make_night(tmp_path / "out", sources=[source]).read_text()


def test_doing_a_night_again_leaves_nothing_of_the_old_one(tmp_path: Path) -> None:
    path = make_night(tmp_path, events=[(3.0, 4.0, "arousal")])
    assert path.with_suffix(".events.csv").exists()
    make_night(tmp_path)
    assert not path.with_suffix(".events.csv").exists()
    Night.open(path).verify()


KILLED = """
import os, signal, sys
from pathlib import Path
import nights.atomic, nights.store
from tests.makers.nights import make_night
target, when = sys.argv[2], sys.argv[3]
real = Path.replace
def replace(self, to):
    if str(to).endswith(target) and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    done = real(self, to)
    if str(to).endswith(target):
        os.kill(os.getpid(), signal.SIGKILL)
    return done
Path.replace = replace
make_night(Path(sys.argv[1]), events=[(3.0, 4.0, "arousal")], stages=[2] * 5)
"""

MOMENTS = [
    (ending, when)
    for ending in (".sig.npy", ".lab.npy", ".events.csv", ".json")
    for when in ("before", "after")
]


@pytest.mark.parametrize(("ending", "when"), MOMENTS[1:2])
def test_killed_between_signal_and_sidecar_is_redone(
    tmp_path: Path, ending: str, when: str
) -> None:
    _kill_and_redo(tmp_path, ending, when)


@pytest.mark.slow
@pytest.mark.parametrize(("ending", "when"), MOMENTS)
@pytest.mark.parametrize("there_before", [False, True])
def test_killed_at_any_moment_is_redone(
    tmp_path: Path, ending: str, when: str, there_before: bool
) -> None:
    if there_before:
        make_night(tmp_path, stages=[1] * 9)
    _kill_and_redo(tmp_path, ending, when)


@pytest.mark.slow
def test_killed_at_random_times_never_leaves_a_night_that_does_not_verify(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from tests.makers.nights import make_night\n"
        f"while True: make_night(Path({str(tmp_path)!r}), stages=[2] * 400)\n"
    )
    for delay_s in np.random.default_rng(0).uniform(0.3, 0.9, size=24):
        writer = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
        time.sleep(delay_s)
        writer.kill()
        writer.wait()
        for path in night_files(tmp_path):
            Night.open(path).verify()


def _kill_and_redo(root: Path, ending: str, when: str) -> None:
    """Kill a writer around one rename; the night is absent or whole, and writing again mends it."""
    argv = [sys.executable, "-c", KILLED, str(root), ending, when]
    assert subprocess.run(argv, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    path = root / "SET" / "n1.json"
    finished = (ending, when) == (".json", "after")
    assert is_complete(root, "SET", "n1", view_hash=VIEW["hash"], sources=[]) == finished
    assert list(night_files(root)) == ([path] if finished else [])
    make_night(root, events=[(3.0, 4.0, "arousal")], stages=[2] * 5)
    Night.open(path).verify()
    remove_leftovers(root, now_s=time.time() + 120)
    assert not list(root.rglob("*.tmp.*"))


# --- ledger ---------------------------------------------------------------------------------------


def test_the_manifest_has_a_line_per_complete_night(tmp_path: Path) -> None:
    make_night(tmp_path, "b", group="family")
    make_night(tmp_path, "a", channels=["C4"])
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "x.json").write_text("{}")
    lines = write_manifest(tmp_path)
    assert read_manifest(tmp_path) == lines
    assert [line["night"] for line in lines] == ["SET/a", "SET/b"]
    assert [line["group"] for line in lines] == ["a", "family"]
    assert lines[0]["channels"] == ["C4"]
    assert lines[0]["bytes"] > 8 * 300 * 2
    with pytest.raises(NightError, match="no manifest"):
        read_manifest(tmp_path / "SET")


def test_a_store_holds_one_view(tmp_path: Path) -> None:
    write_view(tmp_path, VIEW)
    write_view(tmp_path, VIEW)
    with pytest.raises(NightError, match="holds nights of view 'psg9'.*not of 'cr'"):
        write_view(tmp_path, {"name": "cr", "hash": "b" * 64})


def test_failures_stay_until_the_night_succeeds(tmp_path: Path) -> None:
    record_failures(tmp_path, [Failure("SET/n1", "read", "header"), Failure("SET/n2", "read", "x")])
    record_failures(tmp_path, [Failure("SET/n2", "scoring", "no stage at all")])
    make_night(tmp_path, "n1")
    assert record_failures(tmp_path, []) == [Failure("SET/n2", "scoring", "no stage at all")]
    lines = (tmp_path / "failed.jsonl").read_text().splitlines()
    assert [json.loads(line)["night"] for line in lines] == ["SET/n2"]


def test_only_left_over_temporaries_of_the_store_are_removed(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    ages_s = {
        f"n1.sig.npy.tmp.{dead.pid}.npy": 100,
        f"n1.json.tmp.{dead.pid}": 100,
        f"fresh.sig.npy.tmp.{dead.pid}.npy": 5,
        f"n2.sig.npy.tmp.{os.getpid()}.npy": 100,
        f"old.lab.npy.tmp.{os.getpid()}.npy": 90_000,
        "notes.tmp.txt": 90_000,
        "mine.doc.tmp.77": 90_000,
        "n3.sig.npy": 90_000,
    }
    now_s = time.time()
    for name, age_s in ages_s.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (now_s - age_s, now_s - age_s))
    removed = {path.name for path in remove_leftovers(tmp_path, now_s=now_s)}
    assert removed == {*list(ages_s)[:2], list(ages_s)[4]}
    assert {path.name for path in tmp_path.iterdir()} == set(ages_s) - removed
