"""MESA: Multi-Ethnic Study of Atherosclerosis (sleep exam), 2056 nights at home, one per person.

Files     polysomnography/edfs/mesa-sleep-0001.edf with XML scorings in the usual layout
          (`preprocess/sleepdata.py`)
Scoring   one code per epoch from second 0; `Unsure` is a hypopnea with more than 50 percent less
          flow
Quirks    EEG1 is Fz-Cz, EEG2 is Cz-Oz, EEG3 is C4-M1; eyes stand against Fpz
          channels that end in _Off hold a status, no signal
          one published scoring is 1173 epochs longer than its recording: it is refused
          recordings run on after the night: 43 percent of all epochs are wake
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from preprocess.dataset import EVENTS, Counts, Dataset, DatasetSpec, RawNight, ScoringFormat
from preprocess.recipe import run_alone
from preprocess.sleepdata import sleepdata_source, xml_nights

LOST = "data are lost or damaged according to the documentation"
EXPORTED_AGAIN = "exported again: older copies are faulty"

SPEC = DatasetSpec(
    name="MESA",
    title="Multi-Ethnic Study of Atherosclerosis, sleep exam",
    source=sleepdata_source("mesa"),
    n_nights=2056,
    n_persons=2056,
    channels={
        "C4": ["EEG3"],
        "E1": ["EOG-L", "E1"],
        "E2": ["EOG-R", "E2"],
        "Chin": ["EMG"],
        "ECG": ["EKG"],
        "PPG": ["Pleth"],
        "ABD": ["Abdo"],
        "THX": ["Thor"],
        "Airflow": ["Aux_AC", "Therm"],
        "NasalP": ["Flow"],
        "SpO2": ["SpO2"],
    },
    scoring=ScoringFormat(unsure="hypopnea"),
    events=EVENTS,
    remarks={
        **dict.fromkeys(("mesa-sleep-1738", "mesa-sleep-6476"), LOST),
        **{
            f"mesa-sleep-{person}": EXPORTED_AGAIN
            for person in ("0718", "1013", "2852", "2934", "3003")
        },
    },
    counts=Counts("LPSGM log", 2033, 2_578_303, (1_117_351, 201_614, 845_340, 148_233, 265_765)),
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights found below `raw_dir`, sorted by person."""
    yield from xml_nights(raw_dir, "*.edf", r"mesa-sleep-(?P<person>\d{4})")


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
