"""CAP in miniature: the three headers, both clocks, CAP phases of 30 s, groups that begin alike."""

from datetime import datetime, timedelta

from tests.makers.raw_folders import START, Night, RawFolder, Signals
from tests.makers.scoring_text import cap_txt

BEFORE_MIDNIGHT = datetime(2008, 1, 1, 23, 58, 45)
PHASES = ((31.0, 6.0, "MCAP-A1"), (60.0, 30.0, "MCAP-A3"), (100.0, 9.0, "MCAP-A2"))

FOLDER = RawFolder(
    files={
        "RECORDS": "n3.edf\nnarco1.edf\nnfle12.edf\n",
        "n3.edf": Signals(
            {"ROC-LOC": 128, "C4-A1": 128, "LOC-A2": 128, "ROC-A2": 128, "EMG1-EMG2": 128}
        ),
        "n3.txt": cap_txt("W1234R", START, events=PHASES),
        "narco1.edf": Signals({"C4A1": 100, "C3A2": 100, "EOG sin": 100, "EOG dx": 100}),
        "narco1.txt": cap_txt("WR?22R", START, position=False, separator="."),
        "nfle12.edf": Signals(
            {"C4": 512, "A1": 512, "chin": 256, "EKG": 256}, epochs=8, start=BEFORE_MIDNIGHT
        ),
        "nfle12.txt": cap_txt(
            "W22RR", BEFORE_MIDNIGHT + timedelta(minutes=1), duration="Duration [s]"
        ),
    },
    nights=(
        Night(
            "n3",
            "cap-n3",
            "W1233R",
            {"C4", "E1", "E2", "Chin"},
            events=((31.0, 6.0, "cap_a1"), (60.0, 30.0, "cap_a3"), (100.0, 9.0, "cap_a2")),
            taken={"E2": "'ROC-A2'"},
            facts={"part": "n", "labels": {"diagnosis": "healthy"}},
        ),
        Night(
            "narco1",
            "cap-narco1",
            "WR?22R",
            {"C4", "C3", "E1", "E2"},
            events=(),
            taken={"E1": "'EOG sin'"},
            facts={"part": "narco", "labels": {"diagnosis": "narcolepsy"}},
        ),
        Night(
            "nfle12",
            "cap-nfle12",
            "??W22RR?",
            {"C4", "Chin"},
            events=(),
            taken={"C4": "'C4' - 'A1'"},
            facts={"labels": {"diagnosis": "nocturnal frontal lobe epilepsy"}},
        ),
    ),
    views=("psg9", "bb100"),
)
