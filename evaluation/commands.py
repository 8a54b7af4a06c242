"""What `main_evaluate.py` does with stagers and scorers: judge, write results, return tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evaluation import tables
from evaluation.ceiling import Transitions, leave_one_out, scorer_ceiling, transitions
from evaluation.judge import Judged, facts_of, judge, most_channels, night_rows
from evaluation.metrics import metrics_stack
from evaluation.outputs import NightOutput
from evaluation.paired import compare_pair
from evaluation.plain import plain, write_json
from evaluation.plots.stagers import (
    bland_altman_figure,
    channel_figure,
    confusion_figure,
    gain_figure,
    rater_figure,
    reliability_figure,
    review_figure,
    transition_figure,
)
from evaluation.prospective import soft_study, statistic_errors
from evaluation.scorers import ScoredNight, rate
from evaluation.summary import Picture, Table, screen, write_summary
from nights.atomic import write_text
from nights.stages import STAGES

Stagers = Mapping[str, Sequence[NightOutput]]


def evaluate_stagers(stagers: Stagers, out: Path, *, n_folds: int = 5, seed: int = 0) -> str:
    """Judge stagers; write results.json, nights.csv, figures and summary.html; return the tables.

    Parameters
    ----------
    stagers : {name: nights}
        What each said of its scored nights.
    out : Path
        Folder of the results.
    n_folds, seed : int
        See `evaluation.judge.judge`.
    """
    judged = {
        name: judge(name, nights, n_folds=n_folds, seed=seed) for name, nights in stagers.items()
    }
    facts = {name: facts_of(one, seed=seed) for name, one in judged.items()}
    warnings = [*_simulated(stagers), *_other_nights(judged)]
    write_json(out / "results.json", {"notes": warnings, "stagers": facts})
    write_rows(out / "nights.csv", [row for one in judged.values() for row in night_rows(one)])
    shown = tables.stager_tables(facts)
    parts: list[Table | Picture] = [*shown, *_stager_pictures(judged, facts)]
    title, stamp = "Evaluation of stagers", _stamp(stagers)
    write_summary(out, title, parts, warnings, _again("staging"), stamp)
    return screen(shown, warnings) + _where(out)


def evaluate_pair(stagers: Stagers, out: Path, *, seed: int = 0) -> str:
    """Compare two stagers on the same nights; write results.json and a figure; return the table.

    Raises
    ------
    NightsDifferError
        If their nights or labels differ, naming the nights.
    """
    first, second = stagers
    one, two = (most_channels(nights) for nights in stagers.values())
    gains, before, after = compare_pair(one, two, seed=seed)
    warnings = _simulated(stagers)
    content = {
        "notes": warnings,
        "first": first,
        "second": second,
        "n_nights": len(before.confusions),
        "n_persons": len({night.owner for night in one}),
        "gains": {name: asdict(gain) for name, gain in gains.items()},
    }
    write_json(out / "results.json", content)
    table = tables.gain_table(gains, first, second)
    kappas = [metrics_stack(side.confusions, "kappa") for side in (before, after)]
    figure = gain_figure(kappas[0], kappas[1], (first, second))
    picture = Picture("pair", figure, f"Kappa of each night: {second} against {first}.")
    title = f"{second} against {first}"
    parts: list[Table | Picture] = [table, picture]
    write_summary(out, title, parts, warnings, _again("compare"), _stamp(stagers))
    counted = f"{content['n_nights']} nights of {content['n_persons']} persons\n"
    return screen([table], warnings) + counted + _where(out)


def evaluate_scorers(
    nights: Sequence[ScoredNight], out: Path, *, n_voters: int | None = None, seed: int = 0
) -> str:
    """Judge scorers and stagers alike; write results.json and figures; return the tables.

    Parameters
    ----------
    nights : sequence of ScoredNight
        With the same scorers and stagers.
    out : Path
        Folder of the results.
    n_voters, seed
        See `evaluation.scorers.rate`.
    """
    groups = rate(nights, n_voters=n_voters, seed=seed)
    ceiling = _ceilings(nights)
    study = {
        stager: {"scores": soft_study(nights, stager), "errors": statistic_errors(nights, stager)}
        for stager in nights[0].stagers
    }
    facts = {name: found.facts() for name, found in ceiling.items()}
    content = {"n_voters": n_voters or "all", "raters": groups, "ceiling": facts, "study": study}
    write_json(out / "results.json", content)
    shown = [t for group, table in groups.items() for t in tables.scorer_tables(table, group)]
    shown.append(tables.ceiling_table(facts))
    if study:
        shown += [tables.study_table(study), tables.error_table(study)]
    parts: list[Table | Picture] = [*shown, *_scorer_pictures(groups, ceiling)]
    write_summary(out, "Scorers and stagers", parts, command=_again("scorers"))
    return screen(shown) + _where(out)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of the same kind as CSV; what one row lacks is empty, so is NaN."""
    buffer = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(buffer, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(plain(row) for row in rows)
    write_text(path, buffer.getvalue())


def _stager_pictures(judged: Mapping[str, Judged], facts: Mapping[str, Any]) -> list[Picture]:
    """Return the figures of `evaluate_stagers`."""
    confusions = {name: one.comparison.confusions.sum(axis=0) for name, one in judged.items()}
    figure = confusion_figure(confusions, {name: one.classes for name, one in judged.items()})
    pictures = [Picture("confusion", figure, "Epochs, and share of the stage that was scored.")]
    for number, (name, one) in enumerate(judged.items()):
        pairs = {
            tables.statistic_words(statistic): (found.scoring, found.stager)
            for statistic, found in one.statistics.items()
        }
        file = "bland_altman" if len(judged) == 1 else f"bland_altman_{number + 1}"
        words = f"{name}: sleep statistics of each night. Solid: bias; dashed: limits of agreement."
        pictures.append(Picture(file, bland_altman_figure(pairs), words))
    graded = {n: one.calibration for n, one in judged.items() if one.calibration is not None}
    if graded:
        figure = reliability_figure(graded)
        words = "How often the stage given was right, by its probability; scaled: held-out nights."
        pictures.append(Picture("reliability", figure, words))
        words = "Accuracy when the least sure epochs are reviewed by a person."
        pictures.append(Picture("review", review_figure(graded), words))
    subsets = {name: found["channel_subsets"] for name, found in facts.items()}
    if len({channels for of in subsets.values() for channels in of}) > 1:
        figure = channel_figure(subsets)
        pictures.append(Picture("channels", figure, "Kappa by the channels that were read."))
    return pictures


def _scorer_pictures(
    groups: Mapping[str, Any], ceiling: Mapping[str, Transitions]
) -> list[Picture]:
    """Return the figures of `evaluate_scorers`."""
    words = "Weighted kappa: scorers against the other scorers, stagers against the scorers."
    pictures = [
        Picture(f"raters_{group}", rater_figure(table, group), f"{group}: {words}")
        for group, table in groups.items()
    ]
    shown = {name: found for name, found in ceiling.items() if "scorer " not in name}
    words = "Share (%) that is right, by the stage before and the stage here in the consensus; "
    words += "a dash: fewer than 20 epochs."
    return [*pictures, Picture("transitions", transition_figure(shown, STAGES), words)]


def _ceilings(nights: Sequence[ScoredNight]) -> dict[str, Transitions]:
    """Return each scorer, all of them, and each stager against the consensuses of all but one."""
    scorers = scorer_ceiling([night.scorings for night in nights])
    found = {f"scorer {number + 1}": one for number, one in enumerate(scorers)}
    found = {"all scorers": sum(scorers[1:], scorers[0])} | found
    for night in nights:
        truths = leave_one_out(night.scorings)
        for stager, said in night.stagers.items():
            for truth in truths:
                counts = transitions(truth, said)
                found[stager] = found[stager] + counts if stager in found else counts
    return found


def _simulated(stagers: Stagers) -> list[str]:
    """Return a warning if nights are simulated."""
    nights = {night.key[:2] for of in stagers.values() for night in of}
    # one source that tells is enough: others may not know
    told = {night.key[:2] for of in stagers.values() for night in of if night.simulated}
    if not told:
        return []
    return [f"{len(told)} of {len(nights)} nights are simulated: no person slept them."]


def _stamp(stagers: Stagers) -> str:
    """Return what stands on every figure."""
    return "simulated nights" if _simulated(stagers) else ""


def _other_nights(judged: Mapping[str, Judged]) -> list[str]:
    """Return a warning if the stagers were not put to the same nights."""
    sets = [{night.key[:2] for night in one.nights} for one in judged.values()]
    shared = set.intersection(*sets)
    if all(len(one) == len(shared) for one in sets):
        return []
    return [f"The stagers were put to different nights ({len(shared)} are shared by all)."]


def _again(command: str) -> str:
    """Return what repeats the evaluation."""
    return f"python main_evaluate.py {command} --config config.json (beside this page)"


def _where(out: Path) -> str:
    """Return where the page lies."""
    return f"\n{out / 'summary.html'}\n"
