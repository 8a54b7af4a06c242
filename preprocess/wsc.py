"""WSC: Wisconsin Sleep Cohort, 2570 nights, up to five visits of a person.

Files     polysomnography/wsc-visit1-10119-nsrr.edf with either .stg.txt and .log.txt (Gamma, 1827
          nights) or .allscore.txt (Twin, 743 nights)
Scoring   Gamma: line k is the epoch from second 30 (k - 1) on, code 4 is stage 4 (upstream lost it)
          Twin: clock times of changes of stage, from START RECORDING on; events with durations
Quirks    the log or score file says when the recording began, and the signal must say the same to
          the second; where the log has several starts, the one nearest to midnight counts
          one Gamma file (visit 1, 62741) has no header: its first line is an epoch
          Twin nights with a power failure, or without exactly one start, cannot be placed
          nights outside 4 to 14 h are left out (rule of wav2sleep)
          visits are grouped by person; events of Gamma nights (.sco.txt) are not read
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import time
from pathlib import Path

from preprocess.dataset import (
    EVENTS,
    Dataset,
    DatasetSpec,
    RawNight,
    ScoringFormat,
    find,
    first_file,
)
from preprocess.recipe import run_alone
from preprocess.sleepdata import sleepdata_source

# A line of a Gamma log (clock, epoch, text) or of a Twin score file (clock, text)
_START = re.compile(
    r"^([01]?\d|2[0-3]):([0-5]\d):([0-5]\d)[^\t\n]*"
    r"\t(?:Recording Started|START RECORDING) *[\t\r\n]",
    re.MULTILINE,
)

SPEC = DatasetSpec(
    name="WSC",
    title="Wisconsin Sleep Cohort",
    source=sleepdata_source(
        "wsc", terms="academic non-commercial sleep research only", files=("polysomnography/*",)
    ),
    n_nights=2570,
    channels={
        "F3": ["F3_M2", "F3_M1", "F3_AVG"],
        "F4": ["F4_M1", "F4_M2", "F4_AVG"],
        "C3": ["C3_M2", "C3_M1", "C3_AVG"],
        "C4": ["C4_M1", "C4_M2", "C4_AVG"],
        "O1": ["O1_M2", "O1_M1", "O1_AVG"],
        "O2": ["O2_M1", "O2_M2"],
        "E1": ["E1"],
        "E2": ["E2"],
        "Chin": ["chin", "cchin_l", "cchin_r", "rchin_l"],
        "ECG": ["ECG", "ECG1_2", "ECG1"],
        "ABD": ["abdomen"],
        "THX": ["thorax"],
        "Airflow": ["flow", "oralflow"],
        "NasalP": ["nas_pres", "nasalflow"],
        "SpO2": ["spo2"],
    },
    events=EVENTS,
    bad={"wsc-visit4-45113-nsrr": "its scoring does not cover the signals"},
    hours=(4, 14),
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights found below `raw_dir`, sorted by visit and person."""
    name = r"polysomnography/(?P<night>wsc-visit(?P<visit>[1-5])-(?P<person>\d+)-nsrr)"
    for path, ids in find(raw_dir, "polysomnography/*.edf", name):
        scoring = first_file(path.with_suffix(".stg.txt"), path.with_suffix(".allscore.txt"))
        twin = scoring.name.endswith(".allscore.txt")
        began = _start_of(scoring if twin else path.with_suffix(".log.txt"))
        yield RawNight(
            night=ids["night"],
            person=ids["person"],
            signals=path,
            scoring=scoring,
            has_events=twin,
            visit=ids["visit"],
            part="Twin" if twin else "Gamma",
            clock=began,
            scoring_format=ScoringFormat("wsc_allscore" if twin else "wsc_stg"),
            bad="" if began else "no log or score file says when its scoring began",
        )


def _start_of(path: Path) -> time | None:
    """Return when a recording was started, nearest to midnight; None where no line says so."""
    text = path.read_text(encoding="latin-1") if path.is_file() else ""
    starts = [time(int(h), int(m), int(s)) for h, m, s in _START.findall(text)]
    return min(starts, key=_from_midnight, default=None)


def _from_midnight(clock: time) -> int:
    """Return the seconds from a clock time to the nearest midnight."""
    second = clock.hour * 3600 + clock.minute * 60 + clock.second
    return min(second, 86_400 - second)


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
