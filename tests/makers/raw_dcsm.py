"""DCSM in miniature: both formats of signals, a gap in the runs, the other eye reference."""

from tests.makers.hdf5_files import signals_h5
from tests.makers.raw_folders import Night, RawFolder, Signals
from tests.makers.scoring_text import ids

EEG = ("F3-M2", "F4-M1", "C3-M2", "C4-M1", "O1-M2", "O2-M1")
RATES = dict.fromkeys((*EEG, "E1-M2", "E2-M2", "CHIN", "ECG-II"), 256)
ALL = {"F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2", "Chin"}
FIRST, SECOND = "tp0a2b1c3d_0f1e_4a2b_9c3d_112233445566", "tp1a2b_07"
OTHER_EYE = dict.fromkeys((*EEG, "E1-M2", "E2-M1", "CHIN"), 256)

FOLDER = RawFolder(
    files={
        f"{FIRST}/psg.edf": Signals(RATES),
        f"{FIRST}/hypnogram.ids": ids("WW123R"),
        f"{SECOND}/psg.h5": signals_h5("channels", RATES, epochs=5),
        f"{SECOND}/hypnogram.ids": ids("W22RR"),
        "tp2c/psg.edf": Signals(OTHER_EYE),
        # Nobody scored the third and fourth epochs; the run after them keeps its place
        "tp2c/hypnogram.ids": "0,60,W\n120,30,N3\n150,30,REM\n",
        "tp3d/psg.edf": Signals(RATES),
    },
    nights=(
        Night(FIRST, f"dcsm-{FIRST}", "WW123R", ALL, taken={"E2": "'E2-M2'"}),
        Night(SECOND, f"dcsm-{SECOND}", "W22RR", ALL),
        Night("tp2c", "dcsm-tp2c", "WW??3R", ALL, taken={"E2": "'E2-M1'"}),
        Night("tp3d", refused="no such file"),
    ),
)
