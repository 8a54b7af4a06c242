"""ISRUC in miniature: the three subgroups, two scorers, lists longer than the signal."""

from tests.makers.raw_folders import Night, RawFolder, Signals
from tests.makers.scoring_text import RK, codes

PAIRS = ("F3", "F4", "C3", "C4", "O1", "O2", "LOC", "ROC", "A1", "A2")
JOINED = ("F3-A2", "F4-A1", "C3-A2", "C4-A1", "O1-A2", "O2-A1", "LOC-A2", "ROC-A1")
OTHERS = {"X1": 200, "X2": 200, "SaO2": 12.5}
UNITS = {"SaO2": "%"}
ALL = {"F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2", "Chin"}
BLANK_END = "\n\n"


def night(labels: tuple[str, ...], epochs: float = 6, **others: float) -> Signals:
    """Return a recording with these labels; SaO2 at 12.5 Hz asks for data records of 2 s."""
    rates = dict.fromkeys(labels, 200) | (others or OTHERS)
    return Signals(rates, epochs=epochs, units=UNITS, record_s=2)


def stages(letters: str) -> str:
    """Return a list of codes as the database ends it."""
    return codes(letters, RK) + BLANK_END


FOLDER = RawFolder(
    files={
        "Subgroup_1/8/8.rec": night(JOINED[2:]),
        "Subgroup_1/8/8_1.txt": stages("W123R2"),
        "Subgroup_1/8/8_2.txt": stages("WW23R2"),
        "Subgroup_2/3/1/1.rec": night(PAIRS, epochs=10),
        "Subgroup_2/3/1/1_1.txt": stages("W123RW123RW"),
        "Subgroup_2/3/1/1_2.txt": stages("W123RW123RR"),
        "Subgroup_2/3/2/2.rec": night(PAIRS),
        "Subgroup_2/3/2/2_1.txt": stages("WW22RR"),
        "Subgroup_3/1/1.rec": night(("C3-M2", "E1-M2"), **{"24": 200}),
        "Subgroup_3/1/1_1.txt": stages("W2233R"),
        "Subgroup_3/1/1_2.txt": stages("W2233W"),
    },
    nights=(
        Night(
            "Subgroup_1-8",
            "isruc-1-8",
            "W123R2",
            ALL - {"F3", "F4"},
            taken={"C3": "'C3-A2'", "Chin": "'X1'"},
            facts={
                "part": "Subgroup_1",
                "visit": "",
                "remark": "no frontal channel",
                "other_scorings": {"scorer 2": [0, 0, 2, 3, 4, 2]},
            },
        ),
        Night(
            "Subgroup_2-3-S1",
            "isruc-2-3",
            "W123RW123R",
            ALL,
            taken={"E1": "'LOC' - 'A2'", "F4": "'F4' - 'A1'"},
            facts={"part": "Subgroup_2", "visit": "1"},
        ),
        Night("Subgroup_2-3-S2", "isruc-2-3", "WW22RR", ALL, facts={"visit": "2"}),
        Night(
            "Subgroup_3-1",
            "isruc-3-1",
            "W2233R",
            {"C3", "E1", "Chin"},
            taken={"C3": "'C3-M2'", "Chin": "'24'"},
        ),
    ),
    views=("psg9", "seq3"),
)
