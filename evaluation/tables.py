"""The tables of an evaluation, from its facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.calibration import REVIEWED
from evaluation.paired import Gain
from evaluation.statistics import DEFINITIONS
from evaluation.summary import Table, fixed, percent

Facts = Mapping[str, Mapping[str, Any]]  # {stager: facts}
SHOWN = ("accuracy", "kappa", "macro_f1")
WORDS = {"accuracy": "accuracy", "kappa": "kappa", "macro_f1": "macro F1"}
KAPPA_DIGITS = 3


def stager_tables(facts: Facts) -> list[Table]:
    """Return every table of `main_evaluate.py staging`; those with nothing to say are left out."""
    tables = [
        agreement_table(facts),
        stage_table(facts),
        confusion_table(facts),
        dataset_table(facts),
        statistics_table(facts),
        calibration_table(facts),
        review_table(facts),
        channel_table(facts),
    ]
    return [table for table in tables if table.rows]


def agreement_table(facts: Facts) -> Table:
    """Return accuracy, kappa and macro F1, pooled with intervals and over nights."""
    head = ["stager", "nights", "persons", "epochs"]
    head += [f"{WORDS[score]} (95 %)" for score in SHOWN]
    head += [f"{WORDS[score]} of nights" for score in SHOWN]
    rows = [_agreement_row(name, found["agreement"]) for name, found in facts.items()]
    return Table(
        "Agreement with the scoring",
        head,
        rows,
        "All epochs pooled, with intervals over persons drawn with replacement; 'of nights' is the "
        "mean and standard deviation of the nights in which it is defined. Accuracy and F1 in %.",
    )


def dataset_table(facts: Facts) -> Table:
    """Return the agreement of each data set, when there are several."""
    head = agreement_table({}).head
    rows = [
        _agreement_row(f"{name}, {dataset or 'not told'}", found)
        for name, of in facts.items()
        for dataset, found in of["datasets"].items()
        if len(of["datasets"]) > 1
    ]
    return Table("By data set", head, rows)


def _agreement_row(name: str, found: Mapping[str, Any]) -> list[str]:
    """Return a row of `agreement_table`."""
    pooled, epochs = found["pooled"], f"{found['pooled']['n_epochs']}"
    row = [name, f"{found['n_nights']}", f"{found['n_persons']}", epochs]
    row += [_with_interval(score, pooled[score], found["intervals"][score]) for score in SHOWN]
    for score in SHOWN:
        nights = found["over_nights"][score]
        row.append(f"{_shown(score, nights['mean'])} ± {_shown(score, nights['sd'])}")
    return row


def stage_table(facts: Facts) -> Table:
    """Return precision, recall and F1 of each stage."""
    rows = []
    for name, found in facts.items():
        pooled, intervals = found["agreement"]["pooled"], found["agreement"]["intervals"]
        for stage in found["classes"]:
            parts = (pooled[f"per_stage_{what}"][stage] for what in ("precision", "recall"))
            f1 = pooled["per_stage_f1"][stage]
            rows.append(
                [
                    f"{name}, {stage}",
                    f"{pooled['per_stage_epochs'][stage]}",
                    *(percent(part) for part in parts),
                    _with_interval("macro_f1", f1, intervals[f"F1 of {stage}"]),
                ]
            )
    head = ("stage", "epochs", "precision", "recall", "F1 (95 %)")
    return Table("By stage, epochs pooled, %", head, rows)


def confusion_table(facts: Facts) -> Table:
    """Return the pooled confusions, rows the scoring."""
    rows = []
    stages: Sequence[str] = ()
    for name, found in facts.items():
        stages = max(stages, found["classes"], key=len)
        for stage, row in zip(found["classes"], found["agreement"]["confusion"], strict=True):
            rows.append([f"{name}, {stage}", *(f"{n:g}" for n in row)])
    filled = [row + [""] * (len(stages) + 1 - len(row)) for row in rows]
    head = ("scored as", *(f"staged {stage}" for stage in stages))
    if len({tuple(found["classes"]) for found in facts.values()}) > 1:
        head = ("scored as", *(f"staged {place + 1}" for place in range(len(stages))))
    return Table("Confusion, epochs", head, filled)


def statistics_table(facts: Facts) -> Table:
    """Return bias and limits of agreement of each sleep statistic."""
    rows = []
    for name, found in facts.items():
        for statistic, of in found["statistics"].items():
            low, high = (of["bias_interval"][side] for side in ("low", "high"))
            rows.append(
                [
                    f"{name}, {statistic_words(statistic)}",
                    f"{of['n']}",
                    fixed(of["scoring_mean"]),
                    f"{fixed(of['bias'], sign=True)} ({fixed(low, sign=True)} to "
                    f"{fixed(high, sign=True)})",
                    f"{fixed(of['low'], sign=True)} to {fixed(of['high'], sign=True)}",
                    fixed(of["absolute_error"]),
                    f"{of['only_first']} / {of['only_second']} / {of['neither']}",
                ]
            )
    head = ("statistic", "nights", "scored", "bias (95 %)", "limits of agreement")
    return Table(
        "Sleep statistics of nights: stager minus scoring",
        (*head, "absolute error", "undefined*"),
        rows,
        "Over the epochs that both gave a stage. Limits: bias ± 1.96 standard deviations of the "
        "nights. * Nights without the statistic in the stager's night only / in the scoring only / "
        "in both (no REM sleep has no latency): they have no difference.",
    )


def statistic_words(name: str) -> str:
    """Return a statistic as people write it: `tst_min` becomes `TST, min`."""
    stem = name.removesuffix("_min").removesuffix("_percent")
    short = {"tst": "TST", "waso": "WASO", "sol": "sleep latency"}
    capitals = {"rem": "REM", "nrem": "NREM", "n1": "N1", "n2": "N2", "n3": "N3"}
    words = short.get(stem, " ".join(capitals.get(word, word) for word in stem.split("_")))
    unit = "% of sleep" if name.endswith("_percent") else DEFINITIONS[name].unit
    return f"{words}, {unit}" if unit else words


def calibration_table(facts: Facts) -> Table:
    """Return how sure each stager is, before and after its held-out temperature."""
    rows = []
    for name, found in facts.items():
        if (of := found["calibration"]) is None:
            continue
        temperatures = of["temperatures"]
        sides = [("as it came", of["before"], "")]
        if temperatures:
            span = f"{min(temperatures):.2f} to {max(temperatures):.2f}"
            sides.append(("scaled", of["after"], span))
        for side, scores, temperature in sides:
            rows.append(
                [
                    f"{name}, {side}",
                    temperature,
                    percent(scores["mean_confidence"]),
                    percent(scores["accuracy"]),
                    percent(scores["expected_calibration_error"], 2),
                    fixed(scores["brier_error"], 4),
                    fixed(scores["nll"], 4),
                ]
            )
    head = ("hypnodensity", "temperature", "mean sureness %", "accuracy %", "ECE %", "Brier", "NLL")
    return Table(
        "Calibration",
        head,
        rows,
        "Each night scaled by the temperature of other people's nights (above 1: too sure). ECE "
        "over 15 bins; Brier sums over stages (0 to 2); NLL in nats.",
    )


def review_table(facts: Facts) -> Table:
    """Return the accuracy that remains when the least sure epochs are reviewed."""
    rows = []
    for name, found in facts.items():
        if (of := found["calibration"]) is None:
            continue
        for words, key in (("of the rest", "accuracy_left"), ("of the whole", "accuracy_whole")):
            start = percent(of["before"]["accuracy"])
            reached = (percent(of["review"][f"{share:g}"][key]) for share in REVIEWED)
            rows.append([f"{name}, {words}", start, *reached])
    head = ("accuracy, %", "none", *(f"{100 * share:g} % reviewed" for share in REVIEWED))
    return Table(
        "Review of the least sure epochs",
        head,
        rows,
        "'Of the rest': epochs nobody looked at. 'Of the whole': reviewed epochs end as the "
        "scoring says, so this is the best a reviewer can do.",
    )


def channel_table(facts: Facts) -> Table:
    """Return the agreement of each subset of channels, when there are several."""
    subsets = [
        (name, channels, of)
        for name, found in facts.items()
        for channels, of in found["channel_subsets"].items()
    ]
    if len({channels for _, channels, _ in subsets}) < 2:
        subsets = []
    subsets.sort(key=lambda row: (row[0], -row[2]["n_channels"], -row[2]["kappa"]))
    rows = [
        [
            f"{name}, {channels or 'not told'}",
            f"{of['n_channels']}",
            f"{of['n_nights']}",
            percent(of["accuracy"]),
            _with_interval("kappa", of["kappa"], of["kappa_interval"]),
            percent(of["macro_f1"]),
        ]
        for name, channels, of in subsets
    ]
    head = ("channels", "number", "nights", "accuracy", "kappa (95 %)", "macro F1")
    return Table("By subset of channels", head, rows)


def gain_table(gains: Mapping[str, Gain], first: str, second: str) -> Table:
    """Return the paired comparison of two stagers."""
    rows = []
    for name, found in gains.items():
        whole = vars(found.gain)
        rows.append(
            [
                name.replace("_", " ").replace("f1", "F1"),
                _shown(name, found.first),
                _shown(name, found.second),
                _with_interval(name, whole["value"], whole, sign=True),
                f"{found.p:.4f}" if found.p >= 0.0001 else f"{found.p:.1e}",
            ]
        )
    return Table(
        f"{second} against {first}, the same nights",
        ("metric", first, second, "difference (95 %)", "p"),
        rows,
        "Epochs that both gave a stage, pooled. Persons drawn with replacement, the same on both "
        "sides; p by exchanging the stagers person by person. Not corrected for many metrics.",
    )


def scorer_tables(table: Mapping[str, Mapping[str, Any]], group: str) -> list[Table]:
    """Return the tables of `main_evaluate.py scorers` for one group of nights."""
    rows = []
    for rater, found in table.items():
        nights = found["nights"]
        rows.append(
            [
                f"{rater}" if found["kind"] == "scorer" else f"* {rater}",
                f"{found['n_nights']}",
                _spread("accuracy", nights["soft_agreement"]),
                _with_interval("kappa", found["pooled"]["kappa"], found["interval"]),
                _spread("kappa", nights["kappa"]),
                _spread("macro_f1", nights["macro_f1"]),
                percent(found["unweighted"]["accuracy"]),
                fixed(found["unweighted"]["kappa"], KAPPA_DIGITS),
                _spread("accuracy", nights["soft_accuracy"]),
                _spread("kappa", nights["soft_kappa"]),
            ]
        )
    head = ["rater", "nights", "soft agreement", "kappa, weighted (95 %)", "of nights"]
    head += ["macro F1, weighted", "accuracy", "kappa", "soft accuracy", "soft kappa"]
    by_stage = [
        [rater, *(percent(value) for value in found["pooled"]["per_stage_f1"].values())]
        for rater, found in table.items()
    ]
    stages = next(iter(table.values()))["pooled"]["per_stage_f1"]
    return [
        Table(
            f"Scorers and stagers (*): {group}",
            head,
            rows,
            "A scorer against the consensus of the others, a stager against that of the scorers. "
            "Weighted: an epoch counts as much as the share of scorers behind its consensus. "
            "Soft: ties share the mass. With ±: mean and standard deviation of nights. Kappa as it "
            "is, all else in %.",
        ),
        Table(f"Weighted F1 by stage, pooled, %: {group}", ("rater", *stages), by_stage),
    ]


def ceiling_table(ceiling: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return what raters get right of the others' consensus, by stage and at transitions."""
    rows = [
        [
            rater,
            percent(found["accuracy"]),
            *(percent(value) for value in found["per_stage_recall"].values()),
            percent(found["accuracy_going_on"]),
            percent(found["accuracy_at_changes"]),
        ]
        for rater, found in ceiling.items()
    ]
    stages = next(iter(ceiling.values()))["per_stage_recall"]
    head = ("rater", "all", *(f"of {stage}" for stage in stages), "stage goes on", "stage changes")
    return Table(
        "Right of the consensus of all scorers but one, %",
        head,
        rows,
        "Each scorer against the others; each stager against the same consensuses. "
        "'Stage changes': first epoch of another stage in the consensus.",
    )


def study_table(study: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return the soft-label figures of each stager among the experts."""
    rows = []
    for stager, found in study.items():
        for score, of in found["scores"].items():
            rows.append(
                [
                    f"{stager}, soft {score}",
                    _spread("accuracy", of["experts"]),
                    _spread("accuracy", of["stager_against_all"]),
                    _spread("accuracy", of["hypnodensity_against_all"]),
                    ", ".join(percent(mean) for mean, _ in of["stager_against_each"]),
                    ", ".join(percent(mean) for mean, _ in of["stager_against_others"]),
                    f"{of['p']:.2g}",
                ]
            )
    head = (
        "%",
        "experts",
        "against all",
        "hypnodensity",
        "against each",
        "against all but one",
        "p",
    )
    return Table(
        "Soft labels: stagers among the experts",
        head,
        rows,
        "Experts against the others; 'hypnodensity': the same with the stager's probabilities. p "
        "of a paired t test over nights: experts and stager against the same consensuses of all "
        "but one.",
    )


def error_table(study: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return absolute errors of sleep statistics, stagers beside the experts among themselves."""
    stagers = list(study)
    names = study[stagers[0]]["errors"] if stagers else {}
    rows = [
        [
            statistic_words(name),
            fixed(study[stagers[0]]["errors"][name]["experts"]),
            *(
                f"{fixed(study[s]['errors'][name]['stager'])}"
                f"{'*' if study[s]['errors'][name]['p'] < 0.05 else ''}"
                for s in stagers
            ),
        ]
        for name in names
    ]
    return Table(
        "Mean absolute difference of sleep statistics",
        ("statistic", "between experts", *stagers),
        rows,
        "Stager against each expert; experts pair by pair. * p < 0.05, paired t test over nights, "
        "not corrected for many statistics.",
    )


def _shown(score: str, value: float, *, sign: bool = False) -> str:
    """Return a metric as it is written: kappa as it is, everything else in percent."""
    if score == "kappa":
        return fixed(value, KAPPA_DIGITS, sign=sign)
    return fixed(100 * value, sign=sign)


def _with_interval(
    score: str, value: float, found: Mapping[str, float], *, sign: bool = False
) -> str:
    """Return a metric and its interval."""
    shown = [_shown(score, number, sign=sign) for number in (value, found["low"], found["high"])]
    return "{} ({} to {})".format(*shown)


def _spread(score: str, found: Sequence[float]) -> str:
    """Return mean ± standard deviation, a dash when there is no mean."""
    if found[0] != found[0]:
        return fixed(found[0])
    return f"{_shown(score, found[0])} ± {_shown(score, found[1])}"
