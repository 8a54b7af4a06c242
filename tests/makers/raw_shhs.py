"""SHHS in miniature: both visits of a person, two montages, eyes at 50 Hz, events."""

from tests.makers.raw_folders import Night, RawFolder, Signals
from tests.makers.scoring_text import nsrr_xml, profusion_xml

FIRST = {"SaO2": 1, "EEG(sec)": 125, "ECG": 125, "EMG": 125, "EOG(L)": 50, "EOG(R)": 50}
FIRST |= {"EEG": 125, "THOR RES": 10, "ABDO RES": 10, "NEW AIR": 10}
SECOND = {"SaO2": 1, "EEG2": 128, "ECG": 256, "EMG": 128, "EOG(L)": 64, "EOG(R)": 64, "EEG": 128}
SECOND |= {"THOR RES": 8, "ABDO RES": 8, "AIRFLOW": 8}
UNITS = {"SaO2": "%", "ECG": "mV", "THOR RES": "", "ABDO RES": "", "NEW AIR": "", "AIRFLOW": ""}
EVENTS = ((40.0, 20.0, "Obstructive apnea"), (95.5, 12.0, "Hypopnea"), (120.0, 5.0, "Unsure"))
ALL = {"C3", "C4", "E1", "E2", "Chin"}
EDF, PROFUSION, NSRR = (
    "polysomnography/edfs",
    "polysomnography/annotations-events-profusion",
    "polysomnography/annotations-events-nsrr",
)

FOLDER = RawFolder(
    files={
        f"{EDF}/shhs1/shhs1-200001.edf": Signals(FIRST, units=UNITS),
        f"{PROFUSION}/shhs1/shhs1-200001-profusion.xml": profusion_xml("W1234R"),
        f"{NSRR}/shhs1/shhs1-200001-nsrr.xml": nsrr_xml("W1234R", EVENTS),
        f"{EDF}/shhs2/shhs2-200001.edf": Signals(SECOND, units=UNITS),
        f"{NSRR}/shhs2/shhs2-200001-nsrr.xml": nsrr_xml("WW2??R"),
        f"{EDF}/shhs1/shhs1-200002.edf": Signals(FIRST, units=UNITS),
        f"{PROFUSION}/shhs1/shhs1-200002-profusion.xml": profusion_xml("W" * 60),
        f"{NSRR}/shhs1/shhs1-200002-nsrr.xml": nsrr_xml("W" * 60),
    },
    nights=(
        Night(
            "shhs1-200001",
            "shhs-200001",
            "W1233R",
            ALL,
            events=((40.0, 20.0, "obstructive_apnea"), (95.5, 12.0, "hypopnea")),
            taken={"C3": "'EEG(sec)'", "C4": "'EEG'"},
            facts={"visit": "1", "part": "SHHS-1"},
        ),
        Night(
            "shhs2-200001",
            "shhs-200001",
            "WW2??R",
            ALL,
            events=(),
            taken={"C3": "'EEG2'"},
            facts={"visit": "2", "part": "SHHS-2"},
        ),
        Night("shhs1-200002", refused="not its scoring"),
    ),
    views=("psg9", "cr", "shhs7"),
)
