"""NCHSDB in miniature: epochs off the full second, both exports, three sorts of labels."""

from tests.makers.raw_folders import Night, RawFolder, Signals
from tests.makers.scoring_text import EDFPLUS, bids_tsv, pages

REFERENCED = (
    *("EEG F3-M2", "EEG F4-M1", "EEG C3-M2", "EEG C4-M1", "EEG O1-M2", "EEG O2-M1"),
    *("EOG LOC-M2", "EOG ROC-M1", "EMG CHIN1-CHIN2", "ECG EKG2-EKG", "Resp Thoracic"),
)
ELECTRODES = tuple(
    f"EEG {name}"
    for name in ("F3", "F4", "C3", "C4", "O1", "O2", "M1", "M2", "E1", "E2", "Chin1", "Chin2")
)
MIXED = ("C3", "C4", "LOC", "ROC", "EEG M1", "EEG M2", "EEG Chin1-Chin2", "Resp PTAF")
NINE = {"F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2", "Chin"}
MARKS = ((1.03515625, 0.0, "Started Analyzer - Sleep Events"), (12.5, 0.0, "Lights Off"))
EVENTS = (*MARKS, (95.25, 14.5, "Obstructive Hypopnea"), (130.0, 20.0, "Oxygen Desaturation"))


def annot(stages: str) -> str:
    """Return the older export: label, onset, duration, and no header."""
    return "".join(f"{EDFPLUS[s]}\t{a:g}\t{n:g}\n" for a, n, s in pages(stages))


FOLDER = RawFolder(
    files={
        "sleep_data/10000_17728.edf": Signals(dict.fromkeys(REFERENCED, 256)),
        "sleep_data/10000_17728.tsv": bids_tsv("WW23R", 0.9609375, EVENTS),
        "sleep_data/10000_20001.edf": Signals(dict.fromkeys(ELECTRODES, 400)),
        "sleep_data/10000_20001.annot": annot("W1233R"),
        "sleep_data/10003_26038.edf": Signals(dict.fromkeys(MIXED, 512)),
        "sleep_data/10003_26038.tsv": bids_tsv("2?22", 30.9609375),
        "sleep_data/11122_4258.edf": Signals(dict.fromkeys(REFERENCED, 256)),
        "sleep_data/11122_4258.tsv": bids_tsv("", events=MARKS),
        "sleep_data/1483_7963.edf": Signals(dict.fromkeys(REFERENCED, 256)),
        "sleep_data/1483_7963.tsv": "",
    },
    nights=(
        Night(
            "10000_17728",
            "nchsdb-10000",
            "WW23R",
            NINE,
            events=((95.25, 14.5, "hypopnea"), (130.0, 20.0, "desaturation")),
            taken={"E1": "'EOG LOC-M2'", "Chin": "'EMG CHIN1-CHIN2'"},
            facts={"visit": "17728"},
        ),
        Night(
            "10000_20001",
            "nchsdb-10000",
            "W1233R",
            NINE,
            events=(),
            taken={"C4": "'EEG C4' - 'EEG M1'", "Chin": "'EEG Chin1' - 'EEG Chin2'"},
        ),
        Night(
            "10003_26038",
            "nchsdb-10003",
            "?2?22",
            {"C3", "C4", "E1", "E2", "Chin"},
            events=(),
            taken={"E1": "'LOC' - 'EEG M2'"},
        ),
        Night(
            "11122_4258",
            "nchsdb-11122",
            "??????",
            NINE,
            facts={"remark": "its scoring file holds no stage"},
        ),
        Night("1483_7963", refused="is empty"),
    ),
    views=("psg9", "cr"),
)
