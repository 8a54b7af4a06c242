"""Scorings written in the formats of the data sets, for miniature raw folders.

Stages come as text, one letter per epoch: W, 1, 2, 3, R, and `?` for unscored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

Events = Sequence[tuple[float, float, str]]  # onset_s, duration_s, text

EDFPLUS = {
    **{"W": "Sleep stage W", "1": "Sleep stage N1", "2": "Sleep stage N2", "3": "Sleep stage N3"},
    **{"R": "Sleep stage R", "?": "Sleep stage ?"},
}
RK_EDFPLUS = EDFPLUS | {"1": "Sleep stage 1", "2": "Sleep stage 2", "3": "Sleep stage 3"}
RK = {"W": "0", "1": "1", "2": "2", "3": "3", "4": "4", "R": "5", "?": "9"}
AASM = {"W": "0", "1": "1", "2": "2", "3": "3", "R": "4", "?": "-1"}
WORDS = {"W": "W", "1": "N1", "2": "N2", "3": "N3", "R": "R", "?": "?"}


def runs(stages: str, epoch_s: float = 30) -> list[tuple[float, float, str]]:
    """Return (onset_s, duration_s, letter) of each stretch of one stage."""
    found: list[tuple[float, float, str]] = []
    for place, letter in enumerate(stages):
        if found and found[-1][2] == letter:
            onset_s, duration_s, _ = found[-1]
            found[-1] = (onset_s, duration_s + epoch_s, letter)
        else:
            found.append((place * epoch_s, epoch_s, letter))
    return found


def pages(stages: str, epoch_s: float = 30) -> list[tuple[float, float, str]]:
    """Return (onset_s, duration_s, letter) of each epoch."""
    return [(place * epoch_s, epoch_s, letter) for place, letter in enumerate(stages)]


def codes(stages: str, names: Mapping[str, str] = RK) -> str:
    """Return one code per line: index lists of ISRUC and SVUH, `.eannot` of Luna."""
    return "".join(f"{names[letter]}\n" for letter in stages)


def profusion_xml(stages: str, events: Events = (), names: Mapping[str, str] = RK) -> str:
    """Return a Profusion export."""
    told = "".join(f"<SleepStage>{names[letter]}</SleepStage>" for letter in stages)
    scored = "".join(
        f"<ScoredEvent><Name>{text}</Name><Start>{onset_s}</Start>"
        f"<Duration>{duration_s}</Duration></ScoredEvent>"
        for onset_s, duration_s, text in events
    )
    return (
        f"<CMPStudyConfig><EpochLength>30</EpochLength><ScoredEvents>{scored}</ScoredEvents>"
        f"<SleepStages>{told}</SleepStages></CMPStudyConfig>"
    )


def nsrr_xml(stages: str, events: Events = (), clock: str = "01.01.85 22.30.05") -> str:
    """Return an NSRR export: runs of stages and events, concept and code parted by a bar."""
    rows = [("", "Recording Start Time", 0, 30 * len(stages), f"<ClockTime>{clock}</ClockTime>")]
    rows += [("Stages|Stages", f"Stage|{RK[s]}", a, n, "") for a, n, s in runs(stages)]
    rows += [("Respiratory|Respiratory", f"{text}|{text}", a, n, "") for a, n, text in events]
    told = "\n".join(
        f"<ScoredEvent><EventType>{kind}</EventType><EventConcept>{concept}</EventConcept>"
        f"<Start>{onset_s}</Start><Duration>{duration_s}</Duration>{more}</ScoredEvent>"
        for kind, concept, onset_s, duration_s, more in rows
    )
    return (
        "<PSGAnnotation><EpochLength>30</EpochLength><ScoredEvents>\n"
        f"{told}\n</ScoredEvents></PSGAnnotation>"
    )


def luna_annot(stages: str, start: datetime, events: Events = ()) -> str:
    """Return a Luna annotation file with clock times."""
    lines = ["# arousal | EEG arousal", "class\tinstance\tchannel\tstart\tstop\tmeta"]
    marks = [(a, n, WORDS[s]) for a, n, s in pages(stages)] + list(events)
    for onset_s, duration_s, text in marks:
        begin, end = (clock(start, at) for at in (onset_s, onset_s + duration_s))
        lines.append(f"{text}\t.\t.\t{begin}\t{end}\t.")
    return "\n".join(lines) + "\n"


def bids_tsv(stages: str, onset_s: float = 0.0, events: Events = ()) -> str:
    """Return a table of onset, duration, description (NCHSDB)."""
    marks = [(a + onset_s, n, EDFPLUS[s]) for a, n, s in pages(stages)] + list(events)
    rows = [f"{a}\t{n}\t{text}" for a, n, text in sorted(marks)]
    return "\n".join(["onset\tduration\tdescription", *rows]) + "\n"


def hmc_txt(stages: str, start: datetime, onset_s: float = 0.0) -> str:
    """Return an HMC text; its last line is a lights marker."""
    marks = [(a + onset_s, n, EDFPLUS[s]) for a, n, s in pages(stages)]
    marks.append((onset_s + 30.0 * len(stages), 0, "Lights on"))
    rows = [f"{start:%Y-%m-%d}, {clock(start, a)}, {a:g}, {n:g}, {text}," for a, n, text in marks]
    head = "Date, Time, Recording onset, Duration, Annotation, Linked channel"
    return "\n".join([head, *rows]) + "\n"


def stages_csv(stages: str, start: datetime, *, per_run: bool, events: Events = ()) -> str:
    """Return a STAGES table, one line per run or per epoch; values have leading blanks."""
    names = {"W": "Wake", "1": "Stage1", "2": "Stage2", "3": "Stage3", "4": "Stage4"}
    names |= {"R": "REM", "?": "UnknownStage"}
    marks = [(a, n, names[s]) for a, n, s in (runs if per_run else pages)(stages)]
    rows = [f"{clock(start, a)}, {n:g}, {text}" for a, n, text in [*marks, *events]]
    return "\n".join(["Start Time,Duration (seconds),Event", *rows]) + "\n"


def ids(stages: str) -> str:
    """Return runs as onset, duration, stage without a header (DCSM)."""
    names = WORDS | {"R": "REM"}
    return "".join(f"{a:g},{n:g},{names[s]}\n" for a, n, s in runs(stages))


def wsc_stg(stages: str, *, header: bool = True) -> str:
    """Return a Gamma stage table."""
    rows = [f"{k}\t{RK[s]}\t{RK[s]}" for k, s in enumerate(stages, 1)]
    head = ["Epoch\tUser-Defined Stage\tCAST-Defined Stage"] * header
    return "\n".join([*head, *rows]) + "\n"


def wsc_allscore(stages: str, start: datetime) -> str:
    """Return a Twin score file: only changes of stage."""
    names = WORDS | {"?": "NO STAGE"}
    rows = [f"{clock(start, 0)}.00\tSTART RECORDING"]
    rows += [f"{clock(start, a)}.00\tSTAGE - {names[s]}" for a, _, s in runs(stages)]
    return "\n".join(rows) + "\n"


def cap_txt(
    stages: str,
    start: datetime,
    *,
    position: bool = True,
    separator: str = ":",
    duration: str = "Duration[s]",
    events: Events = (),
) -> str:
    """Return a RemLogic export of the CAP database; an event repeats the stage it falls into."""
    names = {"W": "S0", "1": "S1", "2": "S2", "3": "S3", "4": "S4", "R": "REM", "?": "MT"}
    marks = [(onset_s, length_s, f"SLEEP-{names[s]}") for onset_s, length_s, s in pages(stages)]
    rows = [["Sleep Stage", "Position", "Time [hh:mm:ss]", "Event", duration, "Location"]]
    for onset_s, duration_s, text in sorted([*marks, *events], key=lambda mark: mark[0]):
        at = clock(start, onset_s).replace(":", separator)
        name = names[stages[int(onset_s // 30)]]
        rows.append([name, "Supine", at, text, f"{duration_s:g}", "ROC-LOC"])
    kept = [k for k in range(6) if position or k != 1]
    table = ["\t".join(row[k] for k in kept) for row in rows]
    return "\n".join(["RemLogic Event Export", "", *table]) + "\n"


def clock(start: datetime, onset_s: float) -> str:
    """Return the clock time `onset_s` after `start`."""
    return f"{start + timedelta(seconds=onset_s):%H:%M:%S}"
