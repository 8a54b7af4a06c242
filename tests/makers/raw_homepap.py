"""HOMEPAP in miniature: sites with their own labels, mV, a strange code, twins, an empty field."""

from pathlib import Path

from tests.makers.edf_maker import set_field
from tests.makers.raw_folders import Night, RawFolder, Signals
from tests.makers.scoring_text import RK, nsrr_xml, profusion_xml
from tests.makers.sleepdata_paths import EDF, NSRR, PROFUSION

CAPS = ("F3", "F4", "C3", "C4", "O1", "O2", "A1", "A2", "L-EOG", "R-EOG", "CCHIN", "LCHIN")
FIRST = dict.fromkeys((*CAPS, "ECG1", "ECG2"), 200) | {"Chest": 32, "ABD": 32, "SAO2": 1}
REFERENCED = ("E1-E2", "C3-M2", "C4-M1", "O1-M2", "O2-M1", "E-1", "E-2", "M1", "M2", "Chin EMG")
TWICE = [(label, 500) for label in ("C4", "C4", "M1", "ROC", "LOC", "ECG", "ECG", "Pulse", "Pulse")]
EVENTS = ((40.0, 20.0, "Mixed apnea"), (95.5, 12.0, "Hypopnea"), (130.0, 9.0, "Unsure"))


def empty_field(path: Path) -> None:
    """Write a recording whose first channel has no physical maximum."""
    Signals(TWICE).write(path)
    set_field(path, "pmax", "", 0)


FOLDER = RawFolder(
    files={
        f"{EDF}/lab/full/homepap-lab-full-1600001.edf": Signals(
            FIRST, units={"SAO2": "%", "Chest": "", "ABD": ""}
        ),
        f"{PROFUSION}/lab/full/homepap-lab-full-1600001-profusion.xml": profusion_xml("W1223R"),
        f"{NSRR}/lab/full/homepap-lab-full-1600001-nsrr.xml": nsrr_xml("W1223R", EVENTS),
        f"{EDF}/lab/split/homepap-lab-split-1600150.edf": Signals(
            dict.fromkeys(REFERENCED, 512), units="mV"
        ),
        f"{PROFUSION}/lab/split/homepap-lab-split-1600150-profusion.xml": profusion_xml(
            "WW2?3R", names=RK | {"?": "11"}
        ),
        f"{EDF}/lab/split/homepap-lab-split-1600151.edf": empty_field,
        f"{PROFUSION}/lab/split/homepap-lab-split-1600151-profusion.xml": profusion_xml("2222RR"),
        f"{EDF}/lab/full/homepap-lab-full-1600047.edf": Signals(FIRST),
        f"{PROFUSION}/lab/full/homepap-lab-full-1600047-profusion.xml": profusion_xml("W1223R"),
        # Nights at home stand elsewhere and are not read
        "polysomnography/edfs/home/homepap-home-1600002.edf": Signals({"Airflow": 32}),
    },
    nights=(
        Night(
            "homepap-lab-full-1600001",
            "homepap-1600001",
            "W1223R",
            {"F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2", "Chin"},
            events=((40.0, 20.0, "mixed_apnea"), (95.5, 12.0, "hypopnea")),
            taken={"E1": "'L-EOG' - 'A2'", "Chin": "'CCHIN' - 'LCHIN'"},
            facts={"visit": "full"},
        ),
        Night(
            "homepap-lab-split-1600150",
            "homepap-1600150",
            "WW2?3R",
            {"C3", "C4", "O1", "O2", "E1", "E2", "Chin"},
            events=(),
            taken={"E1": "'E-1' - 'M2'", "Chin": "'Chin EMG'"},
            facts={"visit": "split"},
        ),
        Night(
            "homepap-lab-split-1600151",
            "homepap-1600151",
            "2222RR",
            {"C4", "E1", "E2"},
            events=(),
            taken={"C4": "'C4' - 'M1'", "E1": "'LOC'"},
        ),
        Night("homepap-lab-full-1600047", refused="left out by LPSGM"),
    ),
    views=("psg9", "cr"),
)
