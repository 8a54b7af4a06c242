"""ABC in miniature: two visits of a person, two montages, a label that two electrodes share."""

from tests.makers.raw_folders import Night, RawFolder, Signals
from tests.makers.scoring_text import nsrr_xml, profusion_xml
from tests.makers.sleepdata_paths import EDF, NSRR, PROFUSION

ELECTRODES = ("F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2", "M1", "M2")
USUAL = dict.fromkeys((*ELECTRODES, "Chin1", "Chin2", "ECG1", "ECG2", "Pleth"), 256)
USUAL |= {"Thor": 32, "Abdo": 32, "Airflow": 32, "SpO2": 16}
# The electrode at T3 goes by the name of one at the chin
OTHER = [(label, 256) for label in (*ELECTRODES[:6], "CChin")]
OTHER += [(label, 256) for label in (*ELECTRODES[6:], "ECG1", "LChin", "CChin", "LLeg1")]
OTHER += [("Thorax", 32), ("ABD", 32), ("SAO2", 16)]
UNITS = {"SpO2": "%", "SAO2": "%", "Pleth": "", "Thor": "", "Abdo": "", "Thorax": "", "ABD": ""}
EVENTS = ((40.0, 20.0, "Central apnea"), (95.5, 12.0, "Unsure"), (130.0, 4.0, "Arousal"))
EIGHT = {"F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2"}

FOLDER = RawFolder(
    files={
        f"{EDF}/baseline/abc-baseline-900001.edf": Signals(USUAL, units=UNITS),
        f"{PROFUSION}/baseline/abc-baseline-900001-profusion.xml": profusion_xml("W1223R"),
        f"{NSRR}/baseline/abc-baseline-900001-nsrr.xml": nsrr_xml("W1223R", EVENTS),
        f"{EDF}/month18/abc-month18-900001.edf": Signals(OTHER, units=UNITS),
        f"{PROFUSION}/month18/abc-month18-900001-profusion.xml": profusion_xml("WW2?3R"),
        f"{NSRR}/month18/abc-month18-900001-nsrr.xml": nsrr_xml("WW2?3R"),
        f"{EDF}/month09/abc-month09-900002.edf": Signals(USUAL, units=UNITS),
        f"{NSRR}/month09/abc-month09-900002-nsrr.xml": nsrr_xml("222222"),
    },
    nights=(
        Night(
            "abc-baseline-900001",
            "abc-900001",
            "W1223R",
            EIGHT | {"Chin"},
            events=(
                (40.0, 20.0, "central_apnea"),
                (95.5, 12.0, "hypopnea"),
                (130.0, 4.0, "arousal"),
            ),
            taken={"C4": "'C4' - 'M1'", "Chin": "'Chin1' - 'Chin2'"},
            facts={"visit": "baseline"},
        ),
        Night(
            "abc-month18-900001",
            "abc-900001",
            "WW2?3R",
            EIGHT | {"Chin"},
            events=(),
            taken={"Chin": "'LChin' - 'CChin'"},
            facts={"visit": "month18"},
        ),
        Night("abc-month09-900002", "abc-900002", "222222", events=()),
    ),
    views=("psg9", "cr"),
)
