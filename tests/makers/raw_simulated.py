"""Simulated nights in miniature: two sites with other montages, two nights of one person."""

from tests.makers.raw_folders import Night, RawFolder, Signals
from tests.makers.scoring_text import EDFPLUS, pages

FULL = ("F3-M2", "F4-M1", "C3-M2", "C4-M1", "O1-M2", "O2-M1", "E1-M2", "E2-M2", "Chin")
NINE = {"F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2", "Chin"}


def recording(labels: tuple[str, ...], stages: str) -> Signals:
    """Return a recording with its stages inside."""
    marks = tuple((first, length, EDFPLUS[stage]) for first, length, stage in pages(stages))
    return Signals(
        dict.fromkeys(labels, 256), epochs=6, marks=((0, 0, "Simulated recording"), *marks)
    )


FOLDER = RawFolder(
    files={
        "SIM0001N1.edf": recording(FULL, "W1223R"),
        "SIM0001N2.edf": recording(FULL, "WW1223"),
        "bar/BAR0001N1.edf": recording(("C4", "M1", "E1", "M2", "Chin"), "W122RR"),
        "notes.edf": "no night at all",
    },
    nights=(
        Night(
            "SIM0001N1",
            "simulated-SIM0001",
            "W1223R",
            NINE,
            events=(),
            facts={"simulated": True, "part": "Simulated-SIM", "labels": {"origin": "simulated"}},
        ),
        Night("SIM0001N2", "simulated-SIM0001", "WW1223", NINE, events=(), facts={"visit": "2"}),
        Night(
            "BAR0001N1",
            "simulated-BAR0001",
            "W122RR",
            {"C4", "E1", "Chin"},
            events=(),
            taken={"C4": "'C4' - 'M1'"},
            facts={"part": "Simulated-BAR"},
        ),
    ),
)
