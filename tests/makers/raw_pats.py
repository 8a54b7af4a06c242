"""PATS in miniature: two nights of a child, a first line past midnight, three sets of labels."""

from datetime import datetime

from tests.makers.raw_folders import START, Night, RawFolder, Signals
from tests.makers.scoring_text import luna_annot

LATE = datetime(2020, 2, 29, 23, 58, 30)
SIX = ("F3_M2", "F4_M1", "C3_M2", "C4_M1", "O1_M2", "O2_M1")
FIRST = dict.fromkeys((*SIX, "LOC", "ROC", "EMG", "ECG", "pleth"), 200)
FIRST |= dict.fromkeys(("abdomen", "thorax", "flow", "nas_pres"), 25) | {"spo2": 1}
SECOND = dict.fromkeys((*SIX[:4], "O1", "O2", "E1_M2", "E2_M2", "lchin", "cchin"), 512)
UNITS = dict.fromkeys(("abdomen", "thorax", "flow", "nas_pres", "pleth"), "") | {"spo2": "%"}
EVENTS = ((100.0, 20.0, "unsure"), (130.0, 12.0, "hypopnea"), (140.0, 4.0, "arousal"))
NINE = {"F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2", "Chin"}


def past_midnight() -> str:
    """Return a scoring whose first line, of the fourth epoch, lies past midnight."""
    head, columns, *lines = luna_annot("WWW23R", LATE, EVENTS).splitlines(keepends=True)
    return "".join([head, columns, *lines[3:]])


FOLDER = RawFolder(
    files={
        "polysomnography/pats-100001-baseline.edf": Signals(FIRST, units=UNITS, start=LATE),
        "polysomnography/pats-100001-baseline.annot": past_midnight(),
        "polysomnography/pats-100001-followup.edf": Signals(SECOND),
        "polysomnography/pats-100001-followup.annot": luna_annot("W1?3R", START),
        "polysomnography/pats-100002-baseline.edf": Signals(SECOND),
    },
    nights=(
        Night(
            "pats-100001-baseline",
            "pats-100001",
            "???23R",
            NINE,
            events=(
                (100.0, 20.0, "mixed_apnea"),
                (130.0, 12.0, "hypopnea"),
                (140.0, 4.0, "arousal"),
            ),
            taken={"E1": "'LOC'", "Chin": "'EMG'"},
            facts={"visit": "baseline"},
        ),
        Night(
            "pats-100001-followup",
            "pats-100001",
            "W1?3R?",
            NINE,
            events=(),
            taken={"O1": "'O1'", "E2": "'E2_M2'", "Chin": "'lchin' - 'cchin'"},
            facts={"visit": "followup"},
        ),
        Night("pats-100002-baseline", refused="no such file"),
    ),
    views=("psg9", "cr"),
)
