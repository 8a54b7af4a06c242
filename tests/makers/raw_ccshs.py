"""CCSHS in miniature: seven rates in one recording, electrodes against Fpz."""

from tests.makers.raw_folders import Night, RawFolder, Signals
from tests.makers.scoring_text import nsrr_xml, profusion_xml
from tests.makers.sleepdata_paths import EDF, NSRR, PROFUSION

RATES = dict.fromkeys(("C3", "C4", "A1", "A2", "LOC", "ROC", "PlethWV"), 128)
RATES |= dict.fromkeys(("EMG1", "EMG2", "ECG1", "ECG2"), 256) | {"LIGHT": 512, "DHR": 1024}
RATES |= dict.fromkeys(("ABDO EFFORT", "THOR EFFORT", "AIRFLOW", "NASAL PRES"), 32) | {"SpO2": 1}
UNITS = {"ECG1": "mV", "ECG2": "mV", "SpO2": "%", "PlethWV": "", "LIGHT": "", "DHR": "bpm"}
UNITS |= dict.fromkeys(("ABDO EFFORT", "THOR EFFORT", "AIRFLOW", "NASAL PRES"), "")
EVENTS = ((40.0, 20.0, "Obstructive apnea"), (95.5, 12.0, "Unsure"))
FIVE = {"C3", "C4", "E1", "E2", "Chin"}

FOLDER = RawFolder(
    files={
        f"{EDF}/ccshs-trec-1800001.edf": Signals(RATES, units=UNITS),
        f"{PROFUSION}/ccshs-trec-1800001-profusion.xml": profusion_xml("W1234R"),
        f"{NSRR}/ccshs-trec-1800001-nsrr.xml": nsrr_xml("W1234R", EVENTS),
        f"{EDF}/ccshs-trec-1800002.edf": Signals(RATES, units=UNITS),
        f"{NSRR}/ccshs-trec-1800002-nsrr.xml": nsrr_xml("W22?3R"),
        f"{EDF}/ccshs-trec-1800003.edf": Signals(RATES, units=UNITS),
    },
    nights=(
        Night(
            "ccshs-trec-1800001",
            "ccshs-1800001",
            "W1233R",
            FIVE,
            events=((40.0, 20.0, "obstructive_apnea"), (95.5, 12.0, "hypopnea")),
            taken={"C4": "'C4' - 'A1'", "E1": "'LOC' - 'A2'", "Chin": "'EMG1' - 'EMG2'"},
        ),
        Night("ccshs-trec-1800002", "ccshs-1800002", "W22?3R", FIVE, events=()),
        Night("ccshs-trec-1800003", refused="no such file"),
    ),
    views=("psg9", "cr", "eog"),
)
