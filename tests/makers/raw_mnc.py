"""MNC in miniature: six cohorts, the table with names written otherwise, three ways to score."""

from pathlib import Path

from tests.makers.raw_folders import Night, RawFolder, Signals
from tests.makers.scoring_text import codes, nsrr_xml

LEADS = ("F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2")
EARS = ("M1", "M2")
NINE = {*LEADS, "Chin"}
WORDS = {"W": "wake", "1": "N1", "2": "N2", "3": "N3", "R": "REM", "?": "unscored"}
DANISH = {"W": "1", "1": "-1", "2": "-2", "3": "-3", "R": "0", "?": "?"}
OLD_RULES = {"W": "0", "1": "1", "2": "2", "3": "3", "4": "4", "R": "5", "?": "7"}
TABLE = (
    ("ID", "Cohort", "Diagnosis", "DB0602"),
    ("CHC001", "Chinese", "NON-NARCOLEPSY CONTROL", None),
    ("CHP039", "Chinese", "T1 NARCOLEPSY", 1),
    ("SUB001", "Danish", "OTHER HYPERSOMNIA", 0),
    ("N0077", "Danish", "NON-NARCOLEPSY CONTROL", None),
    ("120101G-A", "French", "T1 NARCOLEPSY", 1),
    ("22592ASNOTTE", "Italian", "OTHER HYPERSOMNIA", 0),
    (6406051, "Korean", "NON-NARCOLEPSY CONTROL", None),
    ("SSC 4708 1", "Stanford", "T1 NARCOLEPSY", 1),
)


def table(path: Path) -> None:
    """Write the table of diagnoses."""
    from openpyxl import Workbook

    book = Workbook()
    for row in TABLE:
        book.active.append(row)
    book.save(path)


def signals(*labels: str, rate_hz: float = 128) -> Signals:
    """Return six epochs of some leads."""
    return Signals(dict.fromkeys(labels, rate_hz))


FOLDER = RawFolder(
    files={
        "cohorts_deid.xlsx": table,
        "cnc/chc001-nsrr.edf": signals(*LEADS, "cchin_l"),
        "cnc/chc001-nsrr.eannot": codes("W12?4R", OLD_RULES),
        "cnc/chp039-nsrr.edf": signals(*LEADS[:4], "E1", "E2", "chin", rate_hz=200),
        "cnc/chp039-nsrr.xml": nsrr_xml("WW123R"),
        "dhc/training/Sub01-nsrr.edf": signals(*LEADS, "chin", rate_hz=256),
        "dhc/training/Sub01-nsrr.eannot": codes("RRW123", DANISH),
        "dhc/test/nc-lh/N0077-nsrr.edf": signals(*LEADS, "chin"),
        "dhc/test/nc-lh/N0077-nsrr.eannot": codes("W?123R", WORDS),
        "fhc/120101g-a-nsrr.edf": signals(*LEADS, *EARS, "lchin", "cchin"),
        "ihc/22592asnotte-nsrr.edf": signals("C4", "O1", "chin"),
        "khc/06406051-nsrr.edf": signals("C3", "C4", "O1", "O2", "E1", "E2", *EARS),
        "ssc/ssc_4708_1-nsrr.edf": signals("C3", "M2", "cs_LOC", "cchin", rate_hz=100),
        "ssc/ssc_4708_1-nsrr.eannot": codes("WWWW2R", OLD_RULES),
        "ssc/ssc_9999_1-nsrr.edf": signals("C3"),
    },
    nights=(
        Night(
            "chc001-nsrr",
            "mnc-cnc-chc001",
            "W12?3R",
            NINE,
            taken={"C3": "'C3'", "Chin": "'cchin_l'"},
            facts={"part": "CNC", "labels": {"diagnosis": "control"}},
        ),
        Night(
            "chp039-nsrr",
            "mnc-cnc-chp039",
            "WW123R",
            NINE - {"O1", "O2"},
            facts={"labels": {"diagnosis": "narcolepsy type 1"}},
        ),
        Night(
            "Sub01-nsrr",
            "mnc-dhc-Sub01",
            "RRW123",
            facts={"part": "DHC", "labels": {"diagnosis": "other hypersomnia"}},
        ),
        Night("N0077-nsrr", "mnc-dhc-N0077", "W?123R", facts={"labels": {"diagnosis": "control"}}),
        Night(
            "120101g-a-nsrr",
            "mnc-fhc-120101g-a",
            "??????",
            NINE,
            taken={"F3": "'F3' - 'M2'", "E2": "'E2' - 'M1'", "Chin": "'lchin' - 'cchin'"},
            facts={"part": "FHC", "labels": {"diagnosis": "narcolepsy type 1"}, "scoring": None},
        ),
        Night(
            "22592asnotte-nsrr",
            "mnc-ihc-22592asnotte",
            "??????",
            {"C4", "O1", "Chin"},
            facts={"labels": {"diagnosis": "other hypersomnia"}},
        ),
        Night(
            "06406051-nsrr",
            "mnc-khc-06406051",
            "??????",
            NINE - {"F3", "F4", "Chin"},
            taken={"C3": "'C3' - 'M2'"},
            facts={"labels": {"diagnosis": "control"}},
        ),
        Night(
            "ssc_4708_1-nsrr",
            "mnc-ssc-ssc_4708_1",
            "WWWW2R",
            {"C3", "E1", "Chin"},
            taken={"E1": "'cs_LOC'", "Chin": "'cchin'"},
            facts={"labels": {"diagnosis": "narcolepsy type 1"}},
        ),
        Night("ssc_9999_1-nsrr", "mnc-ssc-ssc_9999_1", "??????", {"C3"}, facts={"labels": {}}),
    ),
)
