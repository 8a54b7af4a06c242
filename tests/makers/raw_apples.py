"""APPLES in miniature: a scoring that begins after midnight, a night without EEG, the tables."""

from datetime import datetime, timedelta

from tests.makers.raw_folders import START, Night, RawFolder, Signals
from tests.makers.scoring_text import luna_annot

EEG = ("C3_M2", "C4_M1", "O1_M2", "O2_M1")
OTHERS = {"LOC": 100, "ROC": 100, "EMG": 100, "ECG": 100, "thermistor": 20, "nasal_pres": 20}
OTHERS |= {"abdomen": 20, "thorax": 20, "SpO2": 20}
UNITS = {"ECG": "mV", "thermistor": "", "nasal_pres": "", "abdomen": "", "thorax": "", "SpO2": "%"}
ALL = {"C3", "C4", "O1", "O2", "E1", "E2", "Chin"}
PSG = "polysomnography"
EVENTS = ((35.0, 20.0, "apnea_central"), (62.0, 14.0, "hypopnea"), (80.0, 4.0, "arousal"))
EVENTS += ((95.0, 12.0, "apnea_mixed"), (100.0, 2.0, "desat"))
BEFORE_MIDNIGHT = datetime(2004, 5, 6, 23, 58)

# The baseline visit has the history and the scales; later visits leave the columns empty
TABLE = """appleid,visitn,Visit,DepressionMedHxHP,BDITotalScore,HAMDTotalScore
10001,1,BL,0,3,2
10001,3,DX,,,
10002,1,BL,2,5,4
10003,1,BL,0,-1,2
"""
HARMONIZED = """fileid,nsrrid,visitn,nsrr_ahi_chicago1999
,10001,1,
apples-130001,10001,3,30
apples-130002,10002,3,29.9
apples-240043,10003,3,
"""


def night(**more: object) -> Signals:
    """Return a recording with every channel."""
    return Signals(dict.fromkeys(EEG, 100) | OTHERS, units=UNITS, **more)


FOLDER = RawFolder(
    files={
        f"{PSG}/apples-130001.edf": night(),
        f"{PSG}/apples-130001.annot": luna_annot("W123R2", START, EVENTS),
        f"{PSG}/apples-130002.edf": night(start=BEFORE_MIDNIGHT, epochs=10),
        f"{PSG}/apples-130002.annot": luna_annot("W12R", BEFORE_MIDNIGHT + timedelta(minutes=2.5)),
        f"{PSG}/apples-240043.edf": Signals(OTHERS, units=UNITS),
        f"{PSG}/apples-240043.annot": luna_annot("WW??RR", START),
        f"{PSG}/apples-240095.edf": night(),
        f"{PSG}/apples-240095.annot": luna_annot("WW1122", START),
        "datasets/apples-dataset-0.1.0.csv": TABLE,
        "datasets/apples-harmonized-dataset-0.1.0.csv": HARMONIZED,
    },
    nights=(
        Night(
            "apples-130001",
            "apples-130001",
            "W123R2",
            ALL,
            events=(
                (35.0, 20.0, "central_apnea"),
                (62.0, 14.0, "hypopnea"),
                (80.0, 4.0, "arousal"),
                (95.0, 12.0, "mixed_apnea"),
            ),
            taken={"C4": "'C4_M1'", "E2": "'ROC'"},
            facts={"labels": {"osa_severity": "severe", "depression": "non-depressed"}},
        ),
        Night(
            "apples-130002",
            "apples-130002",
            "?????W12R?",
            ALL,
            events=(),
            facts={"labels": {"osa_severity": "non-severe", "depression": "depressed"}},
        ),
        Night(
            "apples-240043",
            "apples-240043",
            "WW??RR",
            {"E1", "E2", "Chin"},
            events=(),
            facts={"labels": {}, "remark": "no EEG"},
        ),
        Night("apples-240095", refused="LPSGM"),
    ),
    views=("psg9", "cr"),
)
