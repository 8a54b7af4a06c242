"""The one protocol of every encoder: folds by person, choices on validation, one look at the test.

In each fold persons are divided into train, val and test. An encoder learns from `train`; `val`
chooses settings, the pass to stop after and the threshold; `test` is asked once. Folds are drawn
at random, each class and cohort divided alike, and again for each repeat; where there are several
cohorts, each is also left out in turn.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.diagnosis.cases import Case
from engine.diagnosis.encoder import Encoder, Fitted, nll
from evaluation.diagnosis import Verdicts, decide, person_means, youden_threshold
from evaluation.plain import write_json
from nights.splits import Fold, Split, draw_folds, draw_split, import_split

logger = logging.getLogger("nightstack.diagnosis")
RANDOM, LEFT_OUT = "random folds", "cohort left out"
AGGREGATION = "probabilities of a person's nights are averaged; a person counts once"


@dataclass(frozen=True)
class Scheme:
    """One division into folds.

    Parameters
    ----------
    kind : str
        `RANDOM` or `LEFT_OUT`.
    repeat : int
    split : Split
        With train, val and test in each fold.
    """

    kind: str
    repeat: int
    split: Split

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return f"{self.kind.replace(' ', '-')}-{self.repeat}"


@dataclass(frozen=True)
class FoldResult:
    """What one fold said of its test nights: {night: probabilities}, and what val chose."""

    proba: dict[str, list[float]]
    threshold: float
    choice: dict[str, Any]
    val_nll: float


def random_schemes(
    cases: Sequence[Case], n_folds: int, *, n_repeats: int, val_share: float, seed: int
) -> list[Scheme]:
    """Draw folds by person, once a repeat; each class of each cohort is divided alike.

    Raises
    ------
    ValueError
        If there are fewer persons than folds.
    """
    groups = {case.night: case.person for case in cases}
    strata = _strata(cases)
    return [
        Scheme(
            RANDOM,
            repeat,
            draw_folds(
                f"random-{repeat}",
                groups,
                n_folds,
                seed=seed + 1000 * repeat,
                val_share=val_share,
                labels=strata,
            ),
        )
        for repeat in range(n_repeats)
    ]


def cohort_scheme(
    cases: Sequence[Case], *, val_share: float, seed: int
) -> tuple[Scheme | None, list[str]]:
    """Leave each cohort out in turn, and say of which that cannot be done.

    A person who has nights in several cohorts is left out with each of them and trains for none.

    Returns
    -------
    scheme : Scheme or None
        None where there are fewer than two cohorts, or none can be left out.
    notes : list of str
    """
    cohorts = sorted({case.cohort for case in cases})
    if len(cohorts) < 2:
        return None, []
    folds, notes = [], []
    every = {case.label for case in cases}
    for place, cohort in enumerate(cohorts):
        gone = {case.person for case in cases if case.cohort == cohort}
        rest = [case for case in cases if case.person not in gone]
        persons = {label: {c.person for c in rest if c.label == label} for label in every}
        if min(map(len, persons.values())) < 2:
            notes.append(f"cohort {cohort} cannot be left out: the others lack a class without it")
            continue
        folds.append(_without(cases, rest, cohort, val_share, seed + place))
    if not folds:
        return None, notes
    groups = {case.night: case.person for case in cases}
    source = f"each cohort left out, validation share {val_share:g}, seed {seed}"
    return Scheme(LEFT_OUT, 0, import_split("cohort-out", folds, groups, source=source)), notes


def run_fold(
    encoder: Encoder, cases: Sequence[Case], fold: Fold, folder: Path, *, seed: int, resume: bool
) -> FoldResult:
    """Fit, choose, and ask the test persons once; fold.json keeps all of it.

    Parameters
    ----------
    encoder : Encoder
    cases : sequence of Case
    fold : Fold
        {part: nights}.
    folder : Path
        Of this encoder and fold.
    seed : int
    resume : bool
        Take the result of a fold that is done.
    """
    done = folder / "fold.json"
    if resume and done.exists():
        return FoldResult(**json.loads(done.read_text(encoding="utf-8")))
    by_night = {case.night: case for case in cases}
    train, val, test = ([by_night[n] for n in fold[part]] for part in ("train", "val", "test"))
    fitted, choice, error = _choose(encoder, train, val, folder, seed)
    result = FoldResult(
        proba={
            case.night: row for case, row in zip(test, fitted.proba(test).tolist(), strict=True)
        },
        threshold=_threshold(fitted, val),
        choice=dict(choice),
        val_nll=error,
    )
    write_json(done, vars(result))
    return result


def load_fold(encoder: Encoder, folder: Path) -> tuple[Fitted, float]:
    """Return the fitted encoder of a fold that is done, and its threshold."""
    kept = json.loads((folder / "fold.json").read_text(encoding="utf-8"))
    return encoder.load(_of_choice(encoder, folder, kept["choice"])), kept["threshold"]


def verdicts_of(
    cases: Sequence[Case], schemes: Sequence[Scheme], results: Mapping[tuple[int, int], FoldResult]
) -> Verdicts:
    """Return what was said of persons; `results` are keyed by (place of the scheme, fold)."""
    by_night = {case.night: case for case in cases}
    parts: list[dict[str, np.ndarray]] = []
    for (place, number), result in sorted(results.items()):
        tested = [by_night[night] for night in result.proba]
        proba = np.array([result.proba[case.night] for case in tested])
        persons, means, first = person_means([case.person for case in tested], proba)
        parts.append(
            {
                "persons": np.array(persons),
                "cohorts": np.array([tested[row].cohort for row in first]),
                "labels": np.array([tested[row].label for row in first]),
                "proba": means,
                "models": np.full(len(persons), 1000 * place + number),
                "repeats": np.full(len(persons), schemes[place].repeat),
                "decisions": decide(means, result.threshold),
            }
        )
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Verdicts(**columns, trained_on=_trained_on(cases, schemes))


def fold_folders(out: Path, encoder: str, scheme: Scheme) -> Iterator[tuple[int, Path]]:
    """Yield (fold, folder) of an encoder in a scheme."""
    for number in range(len(scheme.split.folds)):
        yield number, out / encoder / scheme.folder / f"fold{number}"


def _trained_on(cases: Sequence[Case], schemes: Sequence[Scheme]) -> float:
    """Return the mean share of the people not tested that a model was trained on."""
    person_of = {case.night: case.person for case in cases}
    shares = []
    for fold in (fold for scheme in schemes for fold in scheme.split.folds):
        people = {part: {person_of[night] for night in nights} for part, nights in fold.items()}
        others = set().union(*people.values()) - people["test"]
        shares.append(len(people["train"]) / max(1, len(others)))
    return float(np.mean(shares)) if shares else 0.0


def _choose(
    encoder: Encoder, train: Sequence[Case], val: Sequence[Case], folder: Path, seed: int
) -> tuple[Fitted, Mapping[str, Any], float]:
    """Fit every candidate and keep the one that validation persons find best."""
    best: tuple[Fitted, Mapping[str, Any], float] | None = None
    for choice in encoder.candidates:
        fitted = encoder.fit(train, val, _of_choice(encoder, folder, choice), seed=seed, **choice)
        error = _val_nll(fitted, val)
        if best is None or error < best[2]:
            best = (fitted, choice, error)
    assert best is not None
    return best


def _of_choice(encoder: Encoder, folder: Path, choice: Mapping[str, Any]) -> Path:
    """Return where a candidate is kept: the folder itself where there is but one."""
    if len(encoder.candidates) == 1:
        return folder
    return folder / "_".join(f"{name}-{value:g}" for name, value in choice.items())


def _val_nll(fitted: Fitted, val: Sequence[Case]) -> float:
    """Return the error of the validation persons."""
    _, means, first = person_means([case.person for case in val], fitted.proba(val))
    return nll(means, np.array([val[row].label for row in first]))


def _threshold(fitted: Fitted, val: Sequence[Case]) -> float:
    """Return the threshold of two classes that suits the validation persons; one half of more."""
    _, means, first = person_means([case.person for case in val], fitted.proba(val))
    if means.shape[1] != 2:
        return 0.5
    return youden_threshold(means[:, 1], np.array([val[row].label == 1 for row in first]))


def _without(
    cases: Sequence[Case], rest: Sequence[Case], cohort: str, val_share: float, seed: int
) -> Fold:
    """Return the fold that tests a cohort and divides the others into train and val."""
    groups = {case.night: case.person for case in rest}
    shares = {"train": 1 - val_share, "val": val_share}
    (fold,) = draw_split("rest", groups, shares, seed=seed, labels=_strata(rest)).folds
    return {**fold, "test": tuple(sorted(c.night for c in cases if c.cohort == cohort))}


def _strata(cases: Sequence[Case]) -> dict[str, str]:
    """Return class and cohort of each night; a person's first cohort holds for all nights."""
    cohort_of: dict[str, str] = {}
    for case in sorted(cases, key=lambda case: case.night):
        cohort_of.setdefault(case.person, case.cohort)
    return {case.night: f"{case.label} {cohort_of[case.person]}" for case in cases}
