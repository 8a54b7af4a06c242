"""DOD-O in miniature: its own derivations, unscored ends, a night without a hypnogram."""

from tests.makers.hdf5_files import signals_h5
from tests.makers.raw_folders import Night, RawFolder

EEG = ("eeg/F3_M2", "eeg/C3_M2", "eeg/C4_M1", "eeg/O1_M2", "eeg/O2_M1")
RATES = dict.fromkeys((*EEG, "eog/EOG1", "eog/EOG2", "emg/EMG"), 250)
FIRST, SECOND = "0f5a1c2e-1111-4222-8333-444455556666", "1f5a1c2e-1111-4222-8333-444455556666"

FOLDER = RawFolder(
    files={
        f"{FIRST}.h5": signals_h5("signals", RATES, 6, stages="?W23R?"),
        f"{SECOND}.h5": signals_h5("signals", RATES, 4),
    },
    nights=(
        Night(
            FIRST,
            f"dodo-{FIRST}",
            "?W23R?",
            {"F3", "C3", "C4", "O1", "O2", "E1", "E2", "Chin"},
            taken={"C4": "'eeg/C4_M1'"},
        ),
        Night(SECOND, refused="no rate and no hypnogram"),
    ),
)
