"""MASS in miniature: epochs and pages, either reference, a scoring from 3.28 s on, bare text.

The record lasts 2 s and holds 513 samples: 256.5 Hz, no whole number, as in the archive.
"""

from collections.abc import Mapping, Sequence

from tests.makers.raw_folders import Marks, Night, RawFolder, Signals
from tests.makers.scoring_text import EDFPLUS, RK_EDFPLUS, pages

RATE_HZ, RECORD_S = 256.5, 2
EYES = ("EOG Left Horiz", "EOG Right Horiz")
EARS = tuple(f"EEG {name}-CLE" for name in ("F3", "F4", "C3", "C4", "O1", "O2", "A1", "A2"))
LINKED = tuple(f"EEG {name}-LER" for name in ("F3", "C3", "C4", "O1", "O2"))
ONSET_S = 3.28125
ALL = {"F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2", "Chin"}
OLD_RULES = RK_EDFPLUS | {"4": "Sleep stage 4"}


def signals(labels: Sequence[str], seconds: float) -> Signals:
    """Return a recording that lasts a little longer than what was scored."""
    rates = dict.fromkeys((*labels, *EYES), RATE_HZ)
    return Signals(rates, epochs=(seconds + 10) / 30, record_s=RECORD_S)


def lines(
    stages: str, names: Mapping[str, str], epoch_s: float = 30, step_s: float = 29.9995
) -> list[tuple[float, float, str]]:
    """Return a line per page, whose steps are not quite the length of a page."""
    steps = enumerate(pages(stages, epoch_s))
    return [(round(ONSET_S + k * step_s, 4), n, names[s]) for k, (_, n, s) in steps]


def saf(marks: Sequence[tuple[float, float, str]]) -> bytes:
    """Return the bare text of EDF+ annotations: onset, duration and text between signs."""
    told = [b"+0\x14\x14\x00"]
    told += [f"+{a}\x15{n}\x14{text}\x14\x00".encode() for a, n, text in marks]
    return b"".join(told)


FOLDER = RawFolder(
    files={
        "SS1/01-01-0001 PSG.edf": signals((*EARS, "EMG Chin1", "EMG Chin2", "ECG ECGI"), 180),
        "SS1/01-01-0001 Base.edf": Marks(lines("W1?23R", EDFPLUS)),
        "SS2/01-02-0001 PSG.edf": signals((*EARS, "EMG Chin"), 120),
        "SS2/01-02-0001 Base.edf": Marks(lines("W1234R", OLD_RULES, 20, 19.9995)),
        "SS3/01-03-0064 PSG.edf": signals((*LINKED, "EMG Chin1", "EMG Chin2", "EMG Chin3"), 150),
        "SS3/annotations/01-03-0064.saf": saf(lines("WW2RR", EDFPLUS)),
        "SS4/01-04-0002 PSG.EDF": signals((*EARS[:4], "EMG Chin2"), 80),
        "SS4/01-04-0002 Base.edf": Marks(lines("WW4R", OLD_RULES, 20, 20)),
        "SS5/01-05-0026 PSG.edf": signals(LINKED, 60),
        "SS5/01-05-0026 Base.edf": Marks(lines("R21", OLD_RULES, 20, 20)),
        "SS5/01-05-0027 PSG.edf": signals(LINKED, 60),
    },
    nights=(
        Night(
            "01-01-0001",
            "mass-01-01-0001",
            "W1?23R",
            ALL,
            taken={"C4": "'EEG C4-CLE'", "Chin": "'EMG Chin1' - 'EMG Chin2'"},
            facts={"part": "SS1", "epoch_s": 30},
        ),
        Night(
            "01-02-0001",
            "mass-01-02-0001",
            "W1233R",
            ALL,
            taken={"Chin": "'EMG Chin'"},
            facts={"part": "SS2", "epoch_s": 20},
        ),
        Night("01-03-0064", "mass-01-03-0064", "WW2RR", ALL - {"F4"}, taken={"C4": "'EEG C4-LER'"}),
        Night("01-04-0002", "mass-01-04-0002", "WW3R", facts={"part": "SS4", "epoch_s": 20}),
        Night("01-05-0026", "mass-01-05-0026", "R21", ALL - {"F4", "Chin"}),
        Night("01-05-0027", refused="no such file"),
    ),
    views=("psg9", "seq3", "bb100"),
)
