"""Sleep-EDF in miniature: two nights of a person, telemetry, a run beyond the signal, no chin."""

from tests.makers.raw_folders import Marks, Night, RawFolder, Signals
from tests.makers.scoring_text import RK_EDFPLUS, runs

CASSETTE = {"EEG Fpz-Cz": 100, "EEG Pz-Oz": 100, "EOG horizontal": 100, "Resp oro-nasal": 1}
CASSETTE |= {"EMG submental": 1, "Temp rectal": 1, "Event marker": 1}
TELEMETRY = {"EEG Fpz-Cz": 100, "EEG Pz-Oz": 100, "EOG horizontal": 100, "EMG submental": 100}


def hypnogram(stages: str) -> Marks:
    """Return runs of the old stages; `?` is movement time here."""
    names = RK_EDFPLUS | {"4": "Sleep stage 4", "?": "Movement time"}
    return Marks([(a, n, names[s]) for a, n, s in runs(stages)])


FOLDER = RawFolder(
    files={
        "sleep-cassette/SC4001E0-PSG.edf": Signals(CASSETTE, epochs=6, record_s=30),
        "sleep-cassette/SC4001EC-Hypnogram.edf": hypnogram("WW134R"),
        "sleep-cassette/SC4002E0-PSG.edf": Signals(CASSETTE, epochs=6, record_s=60),
        "sleep-cassette/SC4002EC-Hypnogram.edf": hypnogram("W2?2WWWWWWWW"),
        "sleep-cassette/SC4362F0-PSG.edf": Signals(CASSETTE, epochs=4, record_s=30),
        "sleep-cassette/SC4362FC-Hypnogram.edf": hypnogram("W12R"),
        "sleep-telemetry/ST7071J0-PSG.edf": Signals(TELEMETRY, epochs=5),
        "sleep-telemetry/ST7071JA-Hypnogram.edf": hypnogram("W123R"),
    },
    nights=(
        Night(
            "SC4001E0",
            "sleepedf-SC400",
            "WW133R",
            {"FpzCz", "PzOz", "EOGh"},
            facts={"visit": "1", "part": "SleepEDF-20"},
        ),
        Night("SC4002E0", "sleepedf-SC400", "W2?2WW", facts={"visit": "2"}),
        Night("SC4362F0", "sleepedf-SC436", "W12R", facts={"part": "SleepEDF-78"}),
        Night(
            "ST7071J0",
            "sleepedf-ST707",
            "W123R",
            {"FpzCz", "PzOz", "EOGh", "Chin"},
            facts={"part": "SleepEDF-ST"},
        ),
    ),
    views=("bb100", "seq3"),
)
