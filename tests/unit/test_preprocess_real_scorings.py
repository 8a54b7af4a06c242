"""Recipes on real scoring files, beside recordings made to their clock and length."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

import preprocess
from preprocess.check import check
from preprocess.dataset import Dataset
from preprocess.recipe import Settings
from tests.makers.raw_folders import Signals


def stages_by_night(name: str, raw: Path) -> dict[str, tuple[int, ...]]:
    """Return the epochs of each stage as `check` reports them; nothing may be refused."""
    dataset: Dataset = preprocess.find_dataset(name)
    forecast = check(dataset, Settings(raw=raw, out=raw / "none"))
    assert not forecast.refused
    return {night.night: night.stages for night in forecast.usable}


@pytest.mark.data("real/ucddb")
def test_svuh_code_one_is_rem(shared_data: Path, tmp_path: Path) -> None:
    lists = sorted((shared_data / "real/ucddb/stage").glob("*_stage.txt"))
    wanted = {}
    for path in lists:
        night, codes = path.name[:8], path.read_text().split()
        (tmp_path / path.name).symlink_to(path)
        Signals({"C3A2": 1}, epochs=len(codes), record_s=30).write(tmp_path / f"{night}.rec")
        n = Counter(codes)
        wanted[night] = (n["0"], n["2"], n["3"], n["4"] + n["5"], n["1"])
    assert stages_by_night("svuh", tmp_path) == wanted
    assert len(wanted) == 16


def remlogic_epochs(path: Path) -> list[tuple[datetime, str]]:
    """Return (clock, stage) of every SLEEP- line, read without the reader under test."""
    lines = [line.split("\t") for line in path.read_text(encoding="latin-1").splitlines()]
    head = next(n for n, row in enumerate(lines) if row[0] == "Sleep Stage")
    event, time = lines[head].index("Event"), lines[head].index("Time [hh:mm:ss]")
    scored = [row for row in lines[head + 1 :] if len(row) > event and "SLEEP-" in row[event]]
    return [
        (
            datetime.strptime(f"2008 {row[time].replace('.', ':')}", "%Y %H:%M:%S"),
            row[event].removeprefix("SLEEP-"),
        )
        for row in scored
    ]


@pytest.mark.data("real/cap_remlogic")
def test_cap_epochs_are_the_lines_that_begin_with_sleep(shared_data: Path, tmp_path: Path) -> None:
    wanted = {}
    for path in sorted((shared_data / "real/cap_remlogic").glob("*.txt")):
        clocks, stages = zip(*remlogic_epochs(path), strict=True)
        lasts_s = sum((later - earlier).seconds for earlier, later in pairwise(clocks))
        start = clocks[0] - timedelta(minutes=5)  # scoring seldom begins with the signal
        signals = Signals({"C4-A1": 1}, epochs=lasts_s // 30 + 21, record_s=30, start=start)
        signals.write(tmp_path / f"{path.stem}.edf")
        (tmp_path / path.name).symlink_to(path)
        n = Counter(stages)
        wanted[path.stem] = (n["S0"], n["S1"], n["S2"], n["S3"] + n["S4"], n["REM"])
    assert stages_by_night("cap", tmp_path) == wanted
    assert len(wanted) == 7
