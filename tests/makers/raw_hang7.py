"""HANG7 in miniature: mixed spellings, both scoring formats, pairs and derivations."""

from tests.makers.raw_folders import Night, RawFolder, Signals
from tests.makers.scoring_text import profusion_xml

PAIRS = ("F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2", "M1", "M2", "Chin 1", "Chin 2")
ALL = {"F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2", "Chin"}
NIGHT = Signals(dict.fromkeys(PAIRS, 512))

FOLDER = RawFolder(
    files={
        "narcolepsy/p01/p01.edf": NIGHT,
        "narcolepsy/p01/p01.txt": "WK\nNN1\n2\nN3\nREM\n5\n\n",
        "healthy_control/h02/h02.edf": Signals({"C4-M1": 512, "E2-M2": 512, "Chin 1-Chin 2": 512}),
        "healthy_control/h02/h02.edf.XML": profusion_xml("W?123R"),
        "depression/d03/d03.edf": NIGHT,
        "depression/d03/d03.txt": "W\n?\nM\n0\n1\n3\n",
        "depression/d04/d04.edf": NIGHT,
        "depression/d04/other.edf": NIGHT,
    },
    nights=(
        Night(
            "p01",
            "hang7-p01",
            "W123RR",
            ALL,
            taken={"Chin": "'Chin 1' - 'Chin 2'"},
            facts={"part": "narcolepsy", "labels": {"diagnosis": "narcolepsy"}},
        ),
        Night(
            "h02",
            "hang7-h02",
            "W?123R",
            {"C4", "E2", "Chin"},
            taken={"Chin": "'Chin 1-Chin 2'"},
            facts={"labels": {"diagnosis": "healthy_control"}},
        ),
        Night("d03", "hang7-d03", "W??W13", ALL, facts={"part": "depression"}),
        Night("d04", refused="no such file"),
    ),
)
