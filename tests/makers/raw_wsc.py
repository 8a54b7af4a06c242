"""WSC in miniature: both systems, no header, restarts, wrong and missing starts, a short night.

Nights last four hours, the least that is taken.
"""

from datetime import datetime

from tests.makers.raw_folders import START, Night, RawFolder, Signals
from tests.makers.scoring_text import clock, wsc_allscore, wsc_stg

GAMMA = dict.fromkeys(("C3_M2", "C4_M1", "O2_M1", "E1", "E2", "chin"), 100)
FEW = dict.fromkeys(("C3_AVG", "E1", "cchin_l"), 100)
ONE = {"C3_M2": 100}
CODES = "W12344R?" * 60
STAGES = CODES.replace("4", "3")
LATER = START.replace(hour=23)


def log(*starts: datetime) -> str:
    """Return a Gamma log: clock and epoch, then what happened."""
    lines = [f"{clock(at, 0)} 1\tRecording Started" for at in starts]
    return "\n".join([*lines, f"{clock(START, 600)} 21\tLights Out"]) + "\n"


def twin(stages: str, *more: tuple[float, str]) -> str:
    """Return a Twin score file with further lines (second, text), and one of the afternoon."""
    start, *changes = wsc_allscore(stages, START).splitlines()
    lines = changes + [f"{clock(START, at)}.00\t{text}" for at, text in more]
    # The time of day sorts the lines once what is past midnight stands last
    lines.sort(key=lambda line: (line < start, line))
    return "\n".join(["16:02:11.00\tCALIBRATION", start, *lines]) + "\n"


EVENTS = (
    (100.0, "RESPIRATORY EVENT - DUR: 44.9 SEC. - HYPOPNEA - DESAT 91.6 %"),
    (110.0, "DESATURATION - DUR: 55.8 SEC. - MIN 91.6 % - DROP 3.1 %"),
    (160.0, "AROUSAL - DUR: 3.0 SEC. - SPONTANEOUS"),
    (170.0, "LM - DUR: 0.7 SEC. - ISOLATED"),
)
PSG = "polysomnography/wsc-visit"

FOLDER = RawFolder(
    files={
        f"{PSG}1-10119-nsrr.edf": Signals(GAMMA, epochs=480),
        f"{PSG}1-10119-nsrr.stg.txt": wsc_stg(CODES),
        f"{PSG}1-10119-nsrr.log.txt": log(START),
        f"{PSG}2-10119-nsrr.edf": Signals(FEW, epochs=480),
        f"{PSG}2-10119-nsrr.allscore.txt": twin(STAGES, *EVENTS),
        f"{PSG}1-62741-nsrr.edf": Signals(FEW, epochs=480, start=LATER),
        f"{PSG}1-62741-nsrr.stg.txt": wsc_stg(CODES, header=False),
        f"{PSG}1-62741-nsrr.log.txt": log(START, LATER),
        f"{PSG}3-20001-nsrr.edf": Signals(ONE, epochs=480),
        f"{PSG}3-20001-nsrr.allscore.txt": twin(STAGES, (900.0, "POWER FAILURE RECOVERY")),
        f"{PSG}3-20002-nsrr.edf": Signals(ONE),
        f"{PSG}3-20002-nsrr.allscore.txt": "22:30:05.00\tSTAGE - W\n",
        f"{PSG}2-20003-nsrr.edf": Signals(ONE),
        f"{PSG}2-20003-nsrr.stg.txt": wsc_stg("WW12RR"),
        f"{PSG}2-20003-nsrr.log.txt": log(LATER),
        f"{PSG}5-20004-nsrr.edf": Signals(ONE),
        f"{PSG}5-20004-nsrr.stg.txt": wsc_stg("WW12RR"),
        f"{PSG}5-20004-nsrr.log.txt": log(START),
        f"{PSG}4-45113-nsrr.edf": Signals(ONE),
        f"{PSG}4-45113-nsrr.stg.txt": wsc_stg("WW12RR"),
        f"{PSG}4-45113-nsrr.log.txt": log(START),
    },
    nights=(
        Night(
            "wsc-visit1-10119-nsrr",
            "wsc-10119",
            STAGES,
            {"C3", "C4", "O2", "E1", "E2", "Chin"},
            taken={"Chin": "'chin'"},
            facts={"visit": "1", "part": "Gamma"},
        ),
        Night(
            "wsc-visit2-10119-nsrr",
            "wsc-10119",
            STAGES,
            {"C3", "E1", "Chin"},
            events=(
                (100.0, 44.9, "hypopnea"),
                (110.0, 55.8, "desaturation"),
                (160.0, 3.0, "arousal"),
            ),
            taken={"C3": "'C3_AVG'", "Chin": "'cchin_l'"},
            facts={"visit": "2", "part": "Twin"},
        ),
        Night("wsc-visit1-62741-nsrr", "wsc-62741", STAGES),
        Night("wsc-visit3-20001-nsrr", refused="several times"),
        Night("wsc-visit3-20002-nsrr", refused="says when its scoring began"),
        Night("wsc-visit2-20003-nsrr", refused="its scoring says 23:30:05"),
        Night("wsc-visit5-20004-nsrr", refused="nights of WSC last 4 to 14 h"),
        Night("wsc-visit4-45113-nsrr", refused="does not cover"),
    ),
)
