"""MROS in miniature: two visits of a man, wrong stages, no stages, no events, a duplicate."""

from tests.makers.raw_folders import Night, RawFolder, Signals
from tests.makers.scoring_text import nsrr_xml, profusion_xml
from tests.makers.sleepdata_paths import EDF, NSRR, PROFUSION

FIRST = dict.fromkeys(("C3", "C4", "A1", "A2", "LOC", "ROC", "L Chin", "R Chin"), 256)
FIRST |= {"ECG L": 512, "ECG R": 512, "Thoracic": 16, "Abdominal": 16, "SAO2": 1}
SECOND = dict.fromkeys(("C3", "C4", "M1", "M2", "E1", "E2", "LChin", "RChin"), 256)
SECOND |= {"ECG L-ECG R": 512, "Chest": 32, "ABD": 32, "SpO2": 1}
UNITS = dict.fromkeys(("Thoracic", "Abdominal", "Chest", "ABD"), "") | {"SAO2": "%", "SpO2": "%"}
EVENTS = ((40.0, 20.0, "Obstructive apnea"), (95.5, 12.0, "Unsure"))
FIVE = {"C3", "C4", "E1", "E2", "Chin"}

FOLDER = RawFolder(
    files={
        f"{EDF}/visit1/mros-visit1-aa0001.edf": Signals(FIRST, units=UNITS),
        f"{PROFUSION}/visit1/mros-visit1-aa0001-profusion.xml": profusion_xml("W1234R"),
        f"{NSRR}/visit1/mros-visit1-aa0001-nsrr.xml": nsrr_xml("W1234R", EVENTS),
        f"{EDF}/visit2/mros-visit2-aa0001.edf": Signals(SECOND, units=UNITS),
        f"{PROFUSION}/visit2/mros-visit2-aa0001-profusion.xml": profusion_xml("WW2?3R"),
        f"{NSRR}/visit2/mros-visit2-aa0001-nsrr.xml": nsrr_xml("WW2?3R"),
        f"{EDF}/visit1/mros-visit1-aa0236.edf": Signals(FIRST, units=UNITS),
        f"{PROFUSION}/visit1/mros-visit1-aa0236-profusion.xml": profusion_xml("222222"),
        f"{NSRR}/visit1/mros-visit1-aa0236-nsrr.xml": nsrr_xml("222222"),
        f"{EDF}/visit1/mros-visit1-aa1510.edf": Signals(FIRST, units=UNITS),
        f"{PROFUSION}/visit1/mros-visit1-aa1510-profusion.xml": profusion_xml("WWWWWW"),
        f"{EDF}/visit1/mros-visit1-aa2033.edf": Signals(FIRST, units=UNITS),
        f"{PROFUSION}/visit1/mros-visit1-aa2033-profusion.xml": profusion_xml("W1234R"),
        f"{EDF}/visit1/mros-visit1-aa2159.edf": Signals(FIRST, units=UNITS),
        f"{NSRR}/visit1/mros-visit1-aa2159-nsrr.xml": nsrr_xml(""),
    },
    nights=(
        Night(
            "mros-visit1-aa0001",
            "mros-aa0001",
            "W1233R",
            FIVE,
            events=((40.0, 20.0, "obstructive_apnea"), (95.5, 12.0, "hypopnea")),
            taken={"E1": "'LOC' - 'A2'", "Chin": "'L Chin' - 'R Chin'"},
            facts={"visit": "1"},
        ),
        Night(
            "mros-visit2-aa0001",
            "mros-aa0001",
            "WW2?3R",
            FIVE,
            events=(),
            taken={"E1": "'E1' - 'M2'", "Chin": "'LChin' - 'RChin'"},
            facts={"visit": "2"},
        ),
        Night("mros-visit1-aa0236", "mros-aa0236", "222222", FIVE),
        Night(
            "mros-visit1-aa1510",
            "mros-aa1510",
            "WWWWWW",
            events=(),
            facts={
                "remark": "copies from before March 2025 hold another night under this name",
            },
        ),
        Night("mros-visit1-aa2033", refused="stages are wrong"),
        Night("mros-visit1-aa2159", "mros-aa2159", "??????", FIVE),
    ),
    views=("psg9", "cr"),
)
