"""STAGES in miniature: three units, 1000 Hz, both styles of scoring, a night in several files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from tests.makers.edf_maker import write_edf
from tests.makers.raw_folders import START, Night, RawFolder, Signals
from tests.makers.scoring_text import stages_csv

BEFORE_MIDNIGHT = datetime(2018, 1, 1, 23, 59)
BOGN = ("EEG F3-A2", "EEG_F4-A1", "EEG_C3-A2", "EEG_C4-A1", "EEG_O1-A2", "EEG_O2-A1")
EYES = ("EOG_LOC-A2", "EOG_ROC-A2", "EMG_Chin")
PAIRS = ("F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2", "M1", "M2", "EMG1", "EMG2")
GSBB = ("C3M2", "C4M1", "E1M2", "E2M2", "CHIN")
ALL = {"F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2", "Chin"}
EVENTS = ((45.0, 20.0, "ObstructiveApnea"), (70.0, 12.0, "Hypopnea"), (84.0, 5.0, "Arousal"))
EVENTS += ((100.0, 30.0, "patient asks for the nurse"), (121.0, 11.0, "CentralApnea"))
RAW = "original/STAGES PSGs"


def in_unit(
    labels: Sequence[str], unit: str, microvolts: float, rate_hz: int, epochs: int
) -> Callable[[Path], None]:
    """Return what writes noise of 30 uV in another unit, which has `microvolts` of them."""

    def write(path: Path) -> None:
        rng = np.random.default_rng(len(path.name))
        n_samples, peak = epochs * 30 * rate_hz, 500 / microvolts
        signals = [(label, rng.normal(0, 30 / microvolts, n_samples), rate_hz) for label in labels]
        write_edf(path, signals, unit=unit, limits=(-peak, peak))

    return write


FOLDER = RawFolder(
    files={
        f"{RAW}/BOGN/BOGN00001.edf": Signals(dict.fromkeys(BOGN + EYES, 200)),
        f"{RAW}/BOGN/BOGN00001.csv": stages_csv("W123R?", START, per_run=False, events=EVENTS),
        f"{RAW}/BOGN/BOGN00043.edf": Signals({"EEG_C3-A2": 200}),
        f"{RAW}/BOGN/BOGN00043.csv": stages_csv("WW2233", START, per_run=False),
        f"{RAW}/GSDV/GSDV00066_1.edf": in_unit(("F3-M2", "O2-M1"), "mV", 1e3, 1000, 4),
        f"{RAW}/GSDV/GSDV00066_1.csv": stages_csv("WW14", START, per_run=True),
        f"{RAW}/GSDV/GSDV00066_2.edf": Signals(
            dict.fromkeys(PAIRS, 256), epochs=8, start=BEFORE_MIDNIGHT
        ),
        f"{RAW}/GSDV/GSDV00066_2.csv": stages_csv(
            "W22RRR", BEFORE_MIDNIGHT + timedelta(minutes=1), per_run=True
        ),
        f"{RAW}/GSBB/GSBB00007.edf": in_unit(GSBB, "V", 1e6, 128, 6),
        f"{RAW}/GSBB/GSBB00007.csv": stages_csv("WW?RR1", START, per_run=True),
        f"{RAW}/MSMI/MSMI00025.edf": Signals({"C3M2": 200}),
        f"{RAW}/MSMI/MSMI00025.csv": stages_csv("??????", START, per_run=True),
        f"{RAW}/STLK/STLK00052.csv": stages_csv("WW22", START, per_run=True),
        f"{RAW}/MAYO/MAYO00001.edf": Signals({"C3M2": 200}),
        f"{RAW}/MAYO/MAYO00001.csv": stages_csv("WW2233", START, per_run=True),
    },
    nights=(
        Night(
            "BOGN00001",
            "stages-BOGN00001",
            "W123R?",
            ALL,
            events=(
                (45.0, 20.0, "obstructive_apnea"),
                (70.0, 12.0, "hypopnea"),
                (84.0, 5.0, "arousal"),
                (121.0, 11.0, "central_apnea"),
            ),
            taken={"F3": "'EEG F3-A2'"},
            facts={"part": "BOGN", "visit": ""},
        ),
        Night(
            "GSDV00066_1",
            "stages-GSDV00066",
            "WW13",
            {"F3", "O2"},
            events=(),
            facts={"part": "GSDV", "visit": "1", "remark": "F3 and O2 only"},
        ),
        Night(
            "GSDV00066_2",
            "stages-GSDV00066",
            "??W22RRR",
            ALL,
            events=(),
            taken={"E2": "'E2' - 'M1'", "Chin": "'EMG1' - 'EMG2'"},
            facts={"visit": "2"},
        ),
        Night(
            "GSBB00007",
            "stages-GSBB00007",
            "WW?RR1",
            {"C3", "C4", "E1", "E2", "Chin"},
            events=(),
        ),
        Night("BOGN00043", refused="LPSGM"),
        Night("MSMI00025", refused="no stage"),
        Night("MAYO00001", refused="withdrawn"),
    ),
    views=("psg9", "bb100"),
)
