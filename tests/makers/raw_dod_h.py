"""DOD-H in miniature: an unscored epoch, a remark, a file of another name beside the nights."""

from tests.makers.hdf5_files import signals_h5
from tests.makers.raw_folders import Night, RawFolder

LABELS = ("eeg/F3_M2", "eeg/F4_M1", "eeg/C3_M2", "eog/EOG1", "eog/EOG2", "emg/EMG")
RATES = dict.fromkeys((*LABELS, "emg/ECG"), 250)
ALL = {"F3", "F4", "C3", "E1", "E2", "Chin"}
LATE, OTHER = "63b799f6-8a4f-4224-8797-ea971f78fb53", "0d79f4b1-e74f-4e87-8e42-f9dd7112ada5"

FOLDER = RawFolder(
    files={
        f"{LATE}.h5": signals_h5("signals", RATES, 6, stages="?W123R"),
        f"{OTHER}.h5": signals_h5("signals", RATES, 4, stages="W12R"),
        "scorers.h5": signals_h5("other", {"eeg/F3_M2": 250}, 1),
    },
    nights=(
        Night(
            LATE,
            f"dodh-{LATE}",
            "?W123R",
            ALL,
            taken={"Chin": "'emg/EMG'"},
            facts={"remark": "the published evaluation begins at epoch 60"},
        ),
        Night(OTHER, f"dodh-{OTHER}", "W12R", ALL),
    ),
)
