"""Which disorder is asked for, as data: classes, where their labels stand, what to beware of.

A question about stored nights names a label of their sidecars (see the files of `preprocess/`). A
table of your own (`read_table`) takes the place of all of them.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.diagnosis.cases import Case, of_hypnogram, of_stored
from engine.staging_nights import gather as gather_stored
from nights.sequences import StageNight
from preprocess.corpus import gather as gather_scored
from preprocess.hypnograms import read_hypnograms
from recordings.simulate.disorders import Disorder, draw_patients

logger = logging.getLogger("nightstack.diagnosis")
REST = "*"  # every value that no other class names
OLD_AGE = (35.0, 45.0)  # years: up to and from, the people between belong to neither group


@dataclass(frozen=True)
class Question:
    """A diagnosis to be made.

    Parameters
    ----------
    title : str
    classes : {class: values of the label}
        In the order of the codes; of two the second is the disorder. `*` is every other value.
    label : str
        Name of the label in sidecars; `part` is the cohort within the data set.
    caution : str
        What a reader of the result must know.
    """

    title: str
    classes: Mapping[str, tuple[str, ...]]
    label: str = "diagnosis"
    caution: str = ""

    def code(self, value: str) -> int | None:
        """Return the class of a value of the label, None where it belongs to none."""
        rest = None
        for code, values in enumerate(self.classes.values()):
            if value in values:
                return code
            rest = code if REST in values else rest
        return rest if value else None


MNC_CAUTION = (
    "cohort and diagnosis are confounded in MNC (one cohort is nearly all control, one has none): "
    "read the folds that leave a cohort out"
)
QUESTIONS: dict[str, Question] = {
    "cap": Question(
        "CAP: healthy against abnormal",
        {"normal": ("healthy",), "abnormal": (REST,)},
        caution="16 healthy people; groups of two to forty",
    ),
    "cap-groups": Question(
        "CAP: groups of at least five people",
        {
            "healthy": ("healthy",),
            "insomnia": ("insomnia",),
            "narcolepsy": ("narcolepsy",),
            "frontal lobe epilepsy": ("nocturnal frontal lobe epilepsy",),
            "leg movements": ("periodic leg movements",),
            "REM behaviour": ("REM behaviour disorder",),
        },
        caution="bruxism and breathing disorder (2 and 4 people) are too few for folds",
    ),
    "mnc": Question(
        "MNC: control, narcolepsy type 1, other hypersomnia",
        {
            "control": ("control",),
            "type 1": ("narcolepsy type 1",),
            "other": ("other hypersomnia",),
        },
        caution=MNC_CAUTION,
    ),
    "mnc-nt1": Question(
        "MNC: narcolepsy type 1 against the rest",
        {"rest": ("control", "other hypersomnia"), "type 1": ("narcolepsy type 1",)},
        caution=MNC_CAUTION,
    ),
    "mnc-abnormal": Question(
        "MNC: control against abnormal",
        {"control": ("control",), "abnormal": ("narcolepsy type 1", "other hypersomnia")},
        caution=MNC_CAUTION,
    ),
    "apples-osa": Question(
        "APPLES: severe sleep apnea (AHI of 30 or more)",
        {"non-severe": ("non-severe",), "severe": ("severe",)},
        label="osa_severity",
    ),
    "apples-depression": Question(
        "APPLES: depression",
        {"not depressed": ("non-depressed",), "depressed": ("depressed",)},
        label="depression",
        caution="the cut-offs of the published label are not known; ours stand in preprocess",
    ),
    "isruc": Question(
        "ISRUC: healthy against patients",
        {"normal": ("Subgroup_3",), "abnormal": ("Subgroup_1", "Subgroup_2")},
        label="part",
        caution="ten healthy people; the label is the cohort itself",
    ),
    "hang7": Question(
        "HANG7: healthy against narcolepsy or depression",
        {"normal": ("healthy_control",), "abnormal": (REST,)},
    ),
    "hang7-narcolepsy": Question(
        "HANG7: narcolepsy against the rest",
        {"rest": ("healthy_control", "depression"), "narcolepsy": ("narcolepsy",)},
    ),
    "sysu-depression": Question(
        "SYSU: depression",
        {"healthy": ("healthy",), "depressed": ("depressed",)},
        caution="laboratory, sampling rate and number of nights differ between the groups: the "
        "published perfect score cannot be told from these",
    ),
    "dod-apnea": Question(
        "Dreem Open Datasets: healthy (DOD-H) against sleep apnea (DOD-O), stages alone",
        {"healthy": ("dodh",), "apnea": ("dodo",)},
        label="part",
        caution="label and site are the same thing here",
    ),
    "boas-age": Question(
        "BOAS: people up to 35 against people from 45 years, stages alone",
        {"young": ("young",), "old": ("old",)},
        label="age group",
    ),
    "simulated-narcolepsy": Question(
        "simulated: narcolepsy-like against healthy", {"healthy": ("0",), "narcoleptic": ("1",)}
    ),
    "simulated-insomnia": Question(
        "simulated: insomnia-like against healthy", {"healthy": ("0",), "insomniac": ("1",)}
    ),
    "simulated-nothing": Question(
        "simulated: two names for the same people", {"one": ("0",), "other": ("1",)}
    ),
}


def stored_cases(question: Question, paths: Iterable[Path]) -> list[Case]:
    """Return the stored nights that have a class; the others are told and left out.

    Raises
    ------
    ValueError
        If none has one.
    """
    nights = gather_stored(paths)
    values = {
        night.path: night.part if question.label == "part" else night.labels.get(question.label, "")
        for night in nights
    }
    found = [
        of_stored(path, code)
        for path, value in values.items()
        if (code := question.code(value)) is not None
    ]
    if not found:
        there = sorted({label for night in nights for label in night.labels})
        raise ValueError(
            f"none of {len(nights)} nights has a value of {question.label!r} that is asked for; "
            f"their labels are: {', '.join(there) or 'none'}"
        )
    if len(found) < len(nights):
        logger.info("%d of %d nights have no class here", len(nights) - len(found), len(nights))
    return found


def open_cases(name: str, data: Path) -> list[Case]:
    """Return the cases of a question about openly licensed hypnograms below `data`."""
    source, value_of = OPEN[name]
    question, values = QUESTIONS[name], value_of(data)
    nights = read_hypnograms(data, [source])
    told = [(night, values(night)) for night in nights]
    return [
        of_hypnogram(replace(night, known={**night.known, **known}), code, cohort=cohort)
        for night, (value, cohort, known) in told
        if (code := question.code(value)) is not None
    ]


def simulated_cases(name: str, n_persons: int, *, strength: float, seed: int) -> list[Case]:
    """Return simulated cases, every second person ill."""
    disorder: Disorder = name.removeprefix("simulated-")  # type: ignore[assignment]
    drawn = draw_patients(n_persons, disorder, strength=strength, site=f"SIM{seed}", seed=seed)
    return [of_hypnogram(night, int(ill), simulated=True) for night, ill in drawn]


def read_table(
    path: Path, classes: Sequence[str] = ()
) -> tuple[Question, dict[str, dict[str, str]]]:
    """Read a CSV of labels: a row a night or a person.

    Parameters
    ----------
    path : Path
        Columns `night` or `person`, and `label`; optional `age`, `sex`, `cohort`.
    classes : sequence of str
        `NAME=VALUE,VALUE` in the order of the codes, `*` for every other value; by default each
        value of the column is a class, in alphabetical order.

    Returns
    -------
    question : Question
    rows : {night or person: row}

    Raises
    ------
    ValueError
        If a column is missing, a name stands twice, or there is but one class.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        read = [
            {k.strip().lower(): (v or "").strip() for k, v in row.items()}
            for row in csv.DictReader(file)
        ]
    key = next((name for name in ("night", "person") if read and name in read[0]), "")
    if not key or "label" not in read[0]:
        raise ValueError(f"{path}: columns night (or person) and label are wanted")
    rows = {row[key]: row for row in read}
    if len(rows) < len(read):
        raise ValueError(f"{path}: a {key} stands twice")
    named = dict(_class(text) for text in classes)
    named = named or {value: (value,) for value in sorted({r["label"] for r in read} - {""})}
    if len(named) < 2:
        raise ValueError(f"{path}: two classes at least are wanted, found {', '.join(named)}")
    return Question(f"labels of {path.name}", named, label="label"), rows


def table_cases(
    question: Question, rows: Mapping[str, Mapping[str, str]], paths: Sequence[Path]
) -> list[Case]:
    """Return the nights of stores, scoring files or folders of them that the table has a row for.

    A row is found by the name of the night with or without its data set, or by that of the person.
    """
    found = []
    for path in paths:
        if (path / "view.json").exists() or (path.parent / "view.json").exists():
            found += [
                case
                for n in gather_stored([path])
                if (case := _labelled(question, rows, of_stored(n.path, 0)))
            ]
        else:
            nights = gather_scored([path], person=lambda file: file.stem)
            found += [
                case for n in nights if (case := _labelled(question, rows, of_hypnogram(n, 0)))
            ]
    if not found:
        raise ValueError(f"none of the nights stands in the table of labels ({len(rows)} rows)")
    return found


def _labelled(question: Question, rows: Mapping[str, Mapping[str, str]], case: Case) -> Case | None:
    """Return the case with what its row of the table tells; None without a row or class."""
    names = (case.night, case.night.rpartition("/")[2], case.person, case.person.rpartition("/")[2])
    row = next((rows[name] for name in names if name in rows), None)
    code = question.code(row["label"]) if row else None
    if row is None or code is None:
        return None
    known = {**case.known}
    if row.get("age"):
        known["age"] = float(row["age"])
    if row.get("sex"):
        known["sex"] = float(row["sex"].lower()[0] == "m")
    person = row.get("person") or case.person
    return replace(
        case, label=code, person=person, known=known, cohort=row.get("cohort") or case.cohort
    )


def _class(text: str) -> tuple[str, tuple[str, ...]]:
    """Read `NAME=VALUE,VALUE`; a name alone is its own value."""
    name, equals, values = text.partition("=")
    return name, tuple(values.split(",")) if equals else (name,)


Told = Callable[[StageNight], tuple[str, str, dict[str, float]]]  # night -> value, cohort, known


def _dod(data: Path) -> Told:
    """Tell the two Dreem data sets apart by the names of nights."""
    return lambda night: (part := night.night.split("/")[0], part, {})


def _boas(data: Path) -> Told:
    """Look up age and sex of BOAS nights."""
    with (data / "real/boas/participants.tsv").open(encoding="utf-8") as file:
        rows = {row["participant_id"]: row for row in csv.DictReader(file, delimiter="\t")}

    def told(night: StageNight) -> tuple[str, str, dict[str, float]]:
        row = rows[night.night.split("_")[0]]
        sex = {"sex": float(row["sex"] == "M")}
        if not row["age"].replace(".", "").isdigit():
            return "", "boas", sex
        age = float(row["age"])
        group = "young" if age <= OLD_AGE[0] else "old" if age >= OLD_AGE[1] else ""
        return group, "boas", sex  # the age itself is the label: no encoder may read it

    return told


OPEN: dict[str, tuple[str, Callable[[Path], Told]]] = {
    "dod-apnea": ("dod", _dod),
    "boas-age": ("boas", _boas),
}
