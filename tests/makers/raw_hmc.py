"""HMC in miniature: numbers with a gap, both formats of scoring, a scored part that begins late."""

from tests.makers.raw_folders import START, Marks, Night, RawFolder, Signals
from tests.makers.scoring_text import EDFPLUS, hmc_txt, pages

LABELS = ("EEG F4-M1", "EEG C4-M1", "EEG O2-M1", "EEG C3-M2", "EMG chin", "EOG E1-M2", "EOG E2-M2")
ALL = {"F4", "C3", "C4", "O2", "E1", "E2", "Chin"}
NIGHT = Signals(dict.fromkeys(LABELS, 256), epochs=6)

FOLDER = RawFolder(
    files={
        "recordings/SN001.edf": NIGHT,
        "recordings/SN001_sleepscoring.txt": hmc_txt("W1223R", START),
        "recordings/SN001_sleepscoring.edf": Marks([(0, 30, "Sleep stage W")]),
        "recordings/SN003.edf": NIGHT,
        "recordings/SN003_sleepscoring.txt": hmc_txt("W23", START, onset_s=60),
        "recordings/SN154.EDF": Signals(dict.fromkeys(LABELS[1:], 256)),
        "recordings/SN154_sleepscoring.edf": Marks(
            [*((a, n, EDFPLUS[s]) for a, n, s in pages("WW12?R")), (180, 0, "Lights on")]
        ),
        "recordings/SN155.edf": NIGHT,
    },
    nights=(
        Night("SN001", "hmc-SN001", "W1223R", ALL, taken={"Chin": "'EMG chin'"}),
        Night("SN003", "hmc-SN003", "??W23?", ALL),
        Night("SN154", "hmc-SN154", "WW12?R", ALL - {"F4"}),
        Night("SN155", refused="no such file"),
    ),
)
