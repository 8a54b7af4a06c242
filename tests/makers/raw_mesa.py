"""MESA in miniature: channels of status, a scoring a little and one far longer than the night."""

from tests.makers.raw_folders import Night, RawFolder, Signals
from tests.makers.scoring_text import nsrr_xml, profusion_xml
from tests.makers.sleepdata_paths import EDF, NSRR, PROFUSION

RATES = dict.fromkeys(("EKG", "EOG-L", "EOG-R", "EMG", "EEG1", "EEG2", "EEG3", "Pleth"), 256)
RATES |= dict.fromkeys(("Thor", "Abdo", "Flow", "Aux_AC", "Therm"), 32) | {"SpO2": 1}
RATES |= {"EKG_Off": 1, "EEG3_Off": 1}
UNITS = dict.fromkeys(("Pleth", "Thor", "Abdo", "Flow", "Aux_AC", "Therm"), "")
UNITS |= {"EKG": "mV", "SpO2": "%", "EKG_Off": "", "EEG3_Off": ""}
EVENTS = ((40.0, 20.0, "Central apnea"), (95.5, 12.0, "Unsure"))
FOUR = {"C4", "E1", "E2", "Chin"}

FOLDER = RawFolder(
    files={
        f"{EDF}/mesa-sleep-0001.edf": Signals(RATES, units=UNITS),
        f"{PROFUSION}/mesa-sleep-0001-profusion.xml": profusion_xml("W1234R"),
        f"{NSRR}/mesa-sleep-0001-nsrr.xml": nsrr_xml("W1234R", EVENTS),
        f"{EDF}/mesa-sleep-1738.edf": Signals(RATES, units=UNITS, epochs=20),
        f"{PROFUSION}/mesa-sleep-1738-profusion.xml": profusion_xml("W?" + "2" * 19),
        f"{EDF}/mesa-sleep-0002.edf": Signals(RATES, units=UNITS),
        f"{PROFUSION}/mesa-sleep-0002-profusion.xml": profusion_xml("W" * 1179),
    },
    nights=(
        Night(
            "mesa-sleep-0001",
            "mesa-0001",
            "W1233R",
            FOUR,
            events=((40.0, 20.0, "central_apnea"), (95.5, 12.0, "hypopnea")),
            taken={"C4": "'EEG3'", "E1": "'EOG-L'"},
        ),
        Night(
            "mesa-sleep-1738",
            "mesa-1738",
            "W?" + "2" * 18,
            FOUR,
            events=(),
            facts={"remark": "data are lost or damaged according to the documentation"},
        ),
        Night("mesa-sleep-0002", refused="not its scoring"),
    ),
    views=("psg9", "cr", "eog"),
)
