"""WSC: the start a log or score file tells, against which the clock of the signal is held."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest

from preprocess.wsc import recordings


@pytest.mark.parametrize(
    ("log", "clock"),
    [
        ("21:04:10 1\tRecording Started\n", time(21, 4, 10)),
        ("9:04:10 PM\tLights Out\n", None),
        ("16:20:00 1\tRecording Started\t\r\n23:50:00 7\tRecording Started\t\r\n", time(23, 50)),
        ("21:04:10 1\tRecording Started\n00:10:00 370\tRecording Started\n", time(0, 10)),
        ("21:99:10 1\tRecording Started\n", None),
        ("", None),
    ],
)
def test_the_start_nearest_to_midnight_counts(tmp_path: Path, log: str, clock: time | None) -> None:
    folder = tmp_path / "polysomnography"
    folder.mkdir()
    for suffix, text in ((".edf", ""), (".stg.txt", "1\t0\t0\n"), (".log.txt", log)):
        (folder / f"wsc-visit1-10119-nsrr{suffix}").write_bytes(text.encode())
    (night,) = recordings(tmp_path)
    assert night.clock == clock
    assert bool(night.bad) == (clock is None)
