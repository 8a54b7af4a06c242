"""CHAT in miniature: three groups, small and capital letters, a chin without physical range."""

from pathlib import Path

from tests.makers.edf_maker import set_field
from tests.makers.raw_folders import Night, RawFolder, Signals
from tests.makers.scoring_text import nsrr_xml, profusion_xml
from tests.makers.sleepdata_paths import EDF, NSRR, PROFUSION

EIGHT = ("F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2")
BELTS = {"ABD": 32, "Chest": 32, "Airflow": 32, "SaO2": 1}
CAPITALS = dict.fromkeys((*EIGHT, "M1", "M2", "LCHIN", "cchin", "ECG1", "Pleth"), 200) | BELTS
SMALL = dict.fromkeys(("Chin", *EIGHT, "M1", "m2", "Lchin", "Cchin", "ECG"), 256) | BELTS
REFERENCED = ("F3-M2", "F4-A1", "C3-M2", "C4-A1", "O1-A2", "O2-M1", "E1", "E2", "LChin-Rchin")
UNITS = {"ABD": "", "Chest": "", "Airflow": "", "SaO2": "%", "Pleth": ""}
EVENTS = ((40.0, 20.0, "Unsure"), (95.5, 12.0, "Hypopnea"), (130.0, 4.0, "Arousal"))


def without_range(path: Path) -> None:
    """Write a recording whose chin electrode `Lchin` ranges from 0 to 0."""
    Signals(SMALL, units=UNITS).write(path)
    for label in ("Chin", "Lchin"):
        for field in ("pmin", "pmax"):
            set_field(path, field, "0", list(SMALL).index(label))


FOLDER = RawFolder(
    files={
        f"{EDF}/baseline/chat-baseline-300001.edf": Signals(CAPITALS, units=UNITS),
        f"{PROFUSION}/baseline/chat-baseline-300001-profusion.xml": profusion_xml("W1223R"),
        f"{NSRR}/baseline/chat-baseline-300001-nsrr.xml": nsrr_xml("W1223R", EVENTS),
        f"{EDF}/followup/chat-followup-300001.edf": without_range,
        f"{PROFUSION}/followup/chat-followup-300001-profusion.xml": profusion_xml("WW2?3R"),
        f"{EDF}/nonrandomized/chat-baseline-nonrandomized-301117.edf": Signals(
            dict.fromkeys(REFERENCED, 512)
        ),
        f"{PROFUSION}/nonrandomized/chat-baseline-nonrandomized-301117-profusion.xml": (
            profusion_xml("W3333R")
        ),
    },
    nights=(
        Night(
            "chat-baseline-300001",
            "chat-300001",
            "W1223R",
            {*EIGHT, "Chin"},
            events=(
                (40.0, 20.0, "mixed_apnea"),
                (95.5, 12.0, "hypopnea"),
                (130.0, 4.0, "arousal"),
            ),
            taken={"Chin": "'LCHIN' - 'cchin'", "E1": "'E1' - 'M2'"},
            facts={"visit": "baseline"},
        ),
        Night(
            "chat-followup-300001",
            "chat-300001",
            "WW2?3R",
            {*EIGHT},
            events=(),
            taken={"C3": "'C3' - 'm2'"},
            facts={"visit": "followup"},
        ),
        Night(
            "chat-baseline-nonrandomized-301117",
            "chat-301117",
            "W3333R",
            {*EIGHT, "Chin"},
            events=(),
            taken={"E1": "'E1'", "O1": "'O1-A2'"},
            facts={"visit": "nonrandomized", "remark": "the unit of the pulse is wrong"},
        ),
    ),
    views=("psg9", "cr", "eog"),
)
