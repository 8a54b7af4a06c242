"""SVUH in miniature: REM is 1, eyes and chin at half rate, list and signal of unequal length."""

from datetime import timedelta

from tests.makers.raw_folders import START, Night, RawFolder, Signals
from tests.makers.scoring_text import codes

RATES = {"Lefteye": 64, "RightEye": 64, "EMG": 64, "C3A2": 128, "C4A1": 128, "ECG": 128}
RATES |= {"SpO2": 8, "Flow": 8, "ribcage": 8, "abdo": 8}
UNITS = {"ECG": "mV", "SpO2": "%", "Flow": "", "ribcage": "", "abdo": ""}
ALL = {"C3", "C4", "E1", "E2", "Chin"}
CODES = {"W": "0", "R": "1", "1": "2", "2": "3", "3": "4", "4": "5", "a": "6", "i": "7", "?": "8"}


def respevt(*events: tuple[int, str, str, str]) -> str:
    """Return a table of breathing events: second, type, PB or CS, seconds (blank: no event)."""
    head = "\n       Event         |  Desaturation\n  Time  Type  PB/CS  Duration  Low  %Drop\n"
    clocks = ((START + timedelta(seconds=second)).strftime("%H:%M:%S") for second, *_ in events)
    rows = zip(clocks, events, strict=True)
    return head + "".join(f"  {t}  {e[1]:<8}{e[2]:<4}{e[3]:>4}   91.2  3.4  +\n" for t, e in rows)


EVENTS = respevt((40, "APNEA-O", "", "20"), (95, "HYP-C", "PB", "12"), (120, "PB", "", ""))

FOLDER = RawFolder(
    files={
        "ucddb002.rec": Signals(RATES, units=UNITS, epochs=9),
        "ucddb002_stage.txt": codes("WR1234ai?", CODES),
        "ucddb002_respevt.txt": EVENTS,
        "ucddb002_lifecard.edf": Signals({"chan 1": 128}),  # a Holter recorder that ran beside it
        "ucddb028.rec": Signals(RATES, units=UNITS, epochs=10.5),
        "ucddb028_stage.txt": codes("WW1122334RR", CODES),
        "ucddb027.rec": Signals(RATES, units=UNITS, epochs=12),
        "ucddb027_stage.txt": codes("WW12341RRRW", CODES),
    },
    nights=(
        Night(
            "ucddb002",
            "svuh-ucddb002",
            "WR1233???",
            ALL,
            taken={"E2": "'RightEye'"},
            events=((40.0, 20.0, "obstructive_apnea"), (95.0, 12.0, "hypopnea")),
        ),
        Night("ucddb028", "svuh-ucddb028", "WW1122333R", ALL),
        Night("ucddb027", "svuh-ucddb027", "WW12331RRRW?", ALL),
    ),
    views=("psg9", "cr"),
)
