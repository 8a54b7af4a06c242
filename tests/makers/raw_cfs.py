"""CFS in miniature: two relatives, both names of the mastoids, both montages, no family known."""

from tests.makers.raw_folders import Night, RawFolder, Signals
from tests.makers.scoring_text import nsrr_xml, profusion_xml
from tests.makers.sleepdata_paths import EDF, NSRR, PROFUSION

BELTS = dict.fromkeys(("ABDO EFFORT", "THOR EFFORT", "AIRFLOW"), 32)
SHARED = dict.fromkeys(("C3", "C4", "LOC", "ROC", "PlethWV"), 128) | {"EMG1": 256, "EMG2": 256}
FIRST = {**SHARED, "M1": 128, "M2": 128, **BELTS, "NASAL PRES": 32, "ECG1": 256, "SpO2": 1}
SECOND = {**SHARED, "A1": 128, "A2": 128, **BELTS, "NASAL PRES": 128, "ECG1": 512, "SaO2": 1}
UNITS = dict.fromkeys((*BELTS, "NASAL PRES", "PlethWV"), "")
UNITS |= {"ECG1": "mV", "SpO2": "%", "SaO2": "%"}
EVENTS = ((40.0, 20.0, "Unsure"), (95.5, 12.0, "SpO2 desaturation"))
FIVE = {"C3", "C4", "E1", "E2", "Chin"}

FOLDER = RawFolder(
    files={
        # 800009 has no recording, 800010 no row
        "datasets/cfs-visit5-dataset-0.7.0.csv": (
            "nsrrid,famid,age\n800002,11,41.4\n800005,11,39.0\n800009,12,50.1\n"
        ),
        f"{EDF}/cfs-visit5-800002.edf": Signals(FIRST, units=UNITS),
        f"{PROFUSION}/cfs-visit5-800002-profusion.xml": profusion_xml("W1223R"),
        f"{NSRR}/cfs-visit5-800002-nsrr.xml": nsrr_xml("W1223R", EVENTS),
        f"{EDF}/cfs-visit5-800005.edf": Signals(SECOND, units=UNITS),
        f"{PROFUSION}/cfs-visit5-800005-profusion.xml": profusion_xml("WW?3RR"),
        f"{EDF}/cfs-visit5-800010.edf": Signals(FIRST, units=UNITS),
        f"{PROFUSION}/cfs-visit5-800010-profusion.xml": profusion_xml("W1223R"),
    },
    nights=(
        Night(
            "cfs-visit5-800002",
            "cfs-800002",
            "W1223R",
            FIVE,
            events=((40.0, 20.0, "hypopnea"), (95.5, 12.0, "desaturation")),
            group="cfs-family-11",
            taken={"C4": "'C4' - 'M1'"},
        ),
        Night(
            "cfs-visit5-800005",
            "cfs-800005",
            "WW?3RR",
            FIVE,
            events=(),
            group="cfs-family-11",
            taken={"C4": "'C4' - 'A1'"},
        ),
        Night("cfs-visit5-800010", refused="family is not known"),
    ),
    views=("psg9", "cr"),
)
