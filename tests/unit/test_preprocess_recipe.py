"""A run over a raw folder: resumed, killed, doubled, short of disk, and always the same store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import preprocess
from nights.night import Night
from preprocess.dataset import Dataset
from preprocess.recipe import Settings, make_nights, summary
from preprocess.recipe.conversion import DiskFull, Order, convert
from preprocess.recipe.workers import WorkerLost, each
from tests.conftest import ROOT
from tests.makers.raw_folders import START, RawFolder, Signals, folders
from tests.makers.scoring_text import hmc_txt

HMC = preprocess.find_dataset("hmc")
LABELS = ("EEG F4-M1", "EEG C4-M1", "EMG chin", "EOG E1-M2", "EOG E2-M2", "ECG")
N_NIGHTS, N_EPOCHS = 8, 40


def many_nights(n_nights: int = N_NIGHTS, n_epochs: int = N_EPOCHS) -> RawFolder:
    """Return a folder of HMC nights."""
    files: dict = {}
    for k in range(n_nights):
        signals = Signals(dict.fromkeys(LABELS, 256), epochs=n_epochs)
        files[f"recordings/SN{k:03}.edf"] = signals
        files[f"recordings/SN{k:03}_sleepscoring.txt"] = hmc_txt("W123R" * (n_epochs // 5), START)
    return RawFolder(files, ())


def content(root: Path) -> dict[str, bytes]:
    """Return every file below a folder with its bytes."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def command(raw: Path, out: Path, *more: str) -> list[str]:
    """Return the command line of a run."""
    return [sys.executable, "-m", "preprocess.hmc", "--raw", str(raw), "--out", str(out), *more]


def start(raw: Path, out: Path, *more: str) -> subprocess.Popen:
    """Start a run as a process of its own."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command(raw, out, *more), cwd=ROOT, start_new_session=True, **quiet)


def run(raw: Path, out: Path, *more: str) -> subprocess.CompletedProcess:
    """Run to the end."""
    return subprocess.run(command(raw, out, *more), cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw folder of eight nights."""
    return many_nights().write(tmp_path_factory.mktemp("raw"))


@pytest.fixture(scope="module")
def finished(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The store of an uninterrupted run."""
    out = tmp_path_factory.mktemp("finished")
    assert run(raw, out, "--view", "psg9,cr").returncode == 0
    return content(out)


def kill_and_finish(
    raw: Path, out: Path, n_files: int, delay_s: float, workers: str = "0"
) -> dict[str, bytes]:
    """Kill a run a moment after it has written some files, run again, and return the store."""
    killed = start(raw, out, "--view", "psg9,cr", "--workers", workers)
    while killed.poll() is None and sum(1 for _ in out.rglob("*.*")) < n_files:
        time.sleep(0.001)
    time.sleep(delay_s)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert run(raw, out, "--view", "psg9,cr").returncode == 0
    return content(out)


@pytest.mark.parametrize(("n_files", "delay_s"), [(4, 0.0), (17, 0.002), (30, 0.007)])
def test_killed_and_restarted_gives_the_same_bytes(
    raw, finished, tmp_path, n_files, delay_s
) -> None:
    found = kill_and_finish(raw, tmp_path, n_files, delay_s)
    assert found.keys() == finished.keys()
    assert found == finished


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(50))
def test_killed_at_any_moment_gives_the_same_bytes(raw, finished, tmp_path, moment) -> None:
    rng = np.random.default_rng(moment)
    n_files, delay_s = int(rng.integers(0, len(finished))), rng.uniform(0, 0.03)
    assert kill_and_finish(raw, tmp_path, n_files, delay_s, str(moment % 3)) == finished


def test_a_killed_run_leaves_no_process_behind(raw, tmp_path) -> None:
    killed = start(raw, tmp_path, "--workers", "2")
    deadline = time.monotonic() + 120  # a busy machine takes a minute to begin
    while not list(tmp_path.glob("psg9/HMC/*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    deadline = time.monotonic() + 60
    while (left := processes_of_session(killed.pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left


def processes_of_session(session: int) -> list[int]:
    """Return the processes of a session that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of_session = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(of_session) == session and state != "Z":
            found.append(int(path.parent.name))
    return found


def test_two_runs_at_once_give_the_same_bytes(raw, finished, tmp_path) -> None:
    runs = [start(raw, tmp_path, "--view", "psg9,cr") for _ in range(2)]
    assert [one.wait() for one in runs] == [0, 0]
    assert content(tmp_path) == finished


def test_processes_give_the_same_bytes_as_one(raw, finished, tmp_path) -> None:
    assert run(raw, tmp_path, "--view", "psg9,cr", "--workers", "2").returncode == 0
    assert content(tmp_path) == finished


def test_views_made_together_are_those_made_apart(raw, finished, tmp_path) -> None:
    for view in ("cr", "psg9"):
        assert run(raw, tmp_path, "--view", view).returncode == 0
    assert content(tmp_path) == finished


def test_a_full_disk_stops_with_one_sentence_and_goes_on_later(raw, finished, tmp_path) -> None:
    size = sum(map(len, finished.values()))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size // 2}", "tmpfs", tmp_path], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs is not allowed here")
    try:
        for workers in ("0", "2"):
            stopped = run(raw, tmp_path, "--view", "psg9,cr", "--workers", workers)
            assert stopped.returncode == 2
            assert len(stopped.stderr.strip().splitlines()) == 1
            assert "is full" in stopped.stderr
            assert not list(tmp_path.rglob("*.tmp.*"))
        subprocess.run(["mount", "-o", "remount,size=64m", tmp_path], check=True)
        assert run(raw, tmp_path, "--view", "psg9,cr").returncode == 0
        assert content(tmp_path) == finished
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def no_space(*args: object, **kwargs: object) -> None:
    """Fail as a full disk does."""
    raise OSError(28, "No space left on device")


def test_no_space_ends_the_run_and_is_no_refusal(raw, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("preprocess.recipe.conversion.write_night", no_space)
    with pytest.raises(DiskFull, match="full"):
        make_nights(HMC, Settings(raw=raw, out=tmp_path), spread=each)


def test_a_changed_source_is_made_again_and_only_it(tmp_path) -> None:
    raw = many_nights(2, 5).write(tmp_path / "raw")
    settings = Settings(raw=raw, out=tmp_path / "data")
    make_nights(HMC, settings, spread=each)
    (raw / "recordings/SN001_sleepscoring.txt").write_text(hmc_txt("WWWWR", START))
    tally = make_nights(HMC, settings, spread=each)
    assert (tally.made, tally.there) == ({"psg9": 1}, {"psg9": 1})
    assert Night.open(tmp_path / "data/psg9/HMC/SN001.json").stages.tolist() == [0, 0, 0, 0, 4]


def test_a_night_mended_later_leaves_the_table_of_failures(tmp_path) -> None:
    raw = many_nights(2, 5).write(tmp_path / "raw")
    scoring = raw / "recordings/SN001_sleepscoring.txt"
    text = scoring.read_text()
    scoring.unlink()
    settings = Settings(raw=raw, out=tmp_path / "data")
    tally = make_nights(HMC, settings, spread=each)
    assert "SN001_sleepscoring.txt: no such file" in summary(HMC, settings, tally)
    line = json.loads((tmp_path / "data/psg9/failed.jsonl").read_text())
    assert (line["night"], line["step"]) == ("HMC/SN001", "scoring")
    scoring.write_text(text)
    make_nights(HMC, settings, spread=each)
    assert (tmp_path / "data/psg9/failed.jsonl").read_text() == ""


def test_nights_known_to_be_bad_are_left_out_unless_asked_for(tmp_path) -> None:
    raw = many_nights(2, 5).write(tmp_path / "raw")
    spec = replace(HMC.spec, bad={"SN001": "stages are wrong"})
    settings = Settings(raw=raw, out=tmp_path / "data")
    tally = make_nights(Dataset(spec, HMC.recordings), settings, spread=each)
    assert tally.left_out == {"SN001": "stages are wrong"}
    assert tally.made == {"psg9": 1}
    tally = make_nights(
        Dataset(spec, HMC.recordings), replace(settings, include_bad=True), spread=each
    )
    assert tally.made == {"psg9": 1}


def test_as_published_nights_have_a_store_of_their_own(tmp_path) -> None:
    shhs = preprocess.find_dataset("SHHS")
    raw = folders()["shhs"].write(tmp_path / "raw")
    settings = Settings(raw=raw, out=tmp_path / "data", only=("shhs1-200001",))
    for as_published in (False, True):
        make_nights(shhs, replace(settings, as_published=as_published), spread=each)
    ours = Night.open(tmp_path / "data/psg9/SHHS/shhs1-200001.json")
    published = Night.open(tmp_path / "data/psg9-as-published/SHHS/shhs1-200001.json")
    assert np.array_equal(ours.stored("C3"), published.stored("C4"))
    assert np.array_equal(ours.stored("C4"), published.stored("C3"))
    assert published.sidecar["as_published"]


def test_shards_make_every_night_once(tmp_path) -> None:
    raw = many_nights(5, 5).write(tmp_path / "raw")
    settings = Settings(raw=raw, out=tmp_path / "data")
    made = [
        make_nights(HMC, replace(settings, shard=f"{k}/3"), spread=each).made for k in (1, 2, 3)
    ]
    assert made == [{"psg9": 2}, {"psg9": 2}, {"psg9": 1}]
    assert len(list((tmp_path / "data/psg9/HMC").glob("*.json"))) == 5
    with pytest.raises(ValueError, match="PART/PARTS"):
        replace(settings, shard="0/3")


def test_an_empty_folder_says_what_is_wanted(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"no night of HMC in it; wanted files: recordings/\*"):
        make_nights(HMC, Settings(raw=tmp_path, out=tmp_path), spread=each)


def test_an_unknown_view_is_refused_with_the_known_ones(tmp_path) -> None:
    with pytest.raises(ValueError, match="no view psg8; there are bb100, psg9"):
        Order(tmp_path, ("psg8",))


def test_an_error_nobody_foresaw_costs_one_night(tmp_path, monkeypatch) -> None:
    raw = many_nights(2, 5).write(tmp_path / "raw")
    nights = list(HMC.recordings(raw))
    monkeypatch.setattr("preprocess.recipe.conversion.read_view", lambda *a, **k: 1 / 0)
    result = convert(nights[0], HMC.spec, Order(tmp_path / "data"))
    assert result.failed["psg9"].reason.startswith("ZeroDivisionError")


def lose_worker(item: int, *, deadly: int, folder: Path) -> int:
    """Kill the own process for one item; note every try."""
    (folder / f"{item}.{os.getpid()}").touch()
    if item == deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    return item * item


def test_a_lost_worker_costs_only_the_night_that_kills_it(tmp_path) -> None:
    work = partial(lose_worker, deadly=3, folder=tmp_path)
    found = dict(each(work, list(range(6)), 2))
    assert isinstance(found.pop(3), WorkerLost)
    assert found == {item: item * item for item in (0, 1, 2, 4, 5)}
    assert len(list(tmp_path.glob("3.*"))) == 2
