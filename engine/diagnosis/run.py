"""A diagnosis from nights to tables: behind `main_diagnose_cv.py` and `main_diagnose_eval.py`."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from command_line import dump
from engine.diagnosis.build import cases_of, encoder_of, trained_settings
from engine.diagnosis.cases import Case, check_cases, counts, variables
from engine.diagnosis.encoder import Encoder
from engine.diagnosis.explain import explain
from engine.diagnosis.hypnogram_networks import NETWORKS
from engine.diagnosis.protocol import (
    AGGREGATION,
    RANDOM,
    FoldResult,
    Scheme,
    cohort_scheme,
    fold_folders,
    load_fold,
    random_schemes,
    run_fold,
    verdicts_of,
)
from engine.diagnosis.questions import Question
from engine.diagnosis.settings import CrossValidation, External
from engine.log import environment
from evaluation import diagnosis_report as report
from evaluation.commands import write_rows
from evaluation.confounding import find_confounds, warnings_of
from evaluation.diagnosis import Verdicts
from evaluation.plain import write_json
from evaluation.plots.diagnosis import contribution_figure
from evaluation.summary import Picture, Table, screen, write_summary
from nights.splits import Split, write_split

logger = logging.getLogger("nightstack.diagnosis")
SIMULATED = "simulated nights: they show that the software works, never how well people are told"
PROTOCOL = (
    "folds by person; settings, pass and threshold chosen on validation persons; every test person "
    "asked once"
)


def cross_validate(cfg: CrossValidation) -> str:
    """Cross-validate every encoder; write everything to `cfg.out` and return the tables.

    `cfg.out` gets config.json, env.json, splits/, a folder for each encoder and fold,
    predictions.csv, results.json, figures and summary.html.

    Raises
    ------
    FileExistsError
        If the folder holds a run and `resume` is not set.
    """
    begin(cfg.threads)
    question, cases = cases_of(cfg)
    classes = list(question.classes)
    check_cases(cases, classes)
    logger.info("%s: %s", question.title, counts(cases, classes))
    if (cfg.out / "config.json").exists() and not cfg.resume:
        raise FileExistsError(f"{cfg.out}: holds a run; continue it with --resume or name another")
    dump(cfg, cfg.out / "config.json")
    write_json(cfg.out / "env.json", environment())
    schemes, notes = _schemes(cfg, cases)
    for scheme in schemes:
        write_split(cfg.out, scheme.split)
    told: dict[str, dict[str, Verdicts]] = {}
    encoders: dict[str, Encoder] = {
        name: encoder_of(name, cfg, len(classes)) for name in cfg.encoders
    }
    rows: list[dict[str, Any]] = []
    for name, encoder in encoders.items():
        for kind in dict.fromkeys(scheme.kind for scheme in schemes):
            own = [scheme for scheme in schemes if scheme.kind == kind]
            results = _run_schemes(encoder, cases, own, cfg)
            told.setdefault(kind, {})[name] = verdicts_of(cases, own, results)
            rows += _rows(name, own, results, cases, classes)
    write_rows(cfg.out / "predictions.csv", rows)
    warnings, about = _about(question, cases, notes, seed=cfg.seed)
    return _report(cfg, encoders, cases, schemes, told, warnings, about)


def evaluate_external(cfg: External) -> str:
    """Ask the models of a run about nights of another place; write and return the tables."""
    begin(cfg.threads)
    trained = trained_settings(cfg)
    question, cases = cases_of(cfg)
    classes = list(question.classes)
    check_cases(cases, classes)
    asked = json.loads((cfg.run / "results.json").read_text(encoding="utf-8"))
    if len(asked["classes"]) != len(classes):
        raise ValueError(
            f"{cfg.run} tells {', '.join(asked['classes'])} apart; {question.title} has "
            f"{', '.join(classes)}"
        )
    seen = set(asked["nights"]) & {case.night for case in cases}
    if seen:
        raise ValueError(f"{len(seen)} nights, {sorted(seen)[0]} for one, were in {cfg.run}")
    dump(cfg, cfg.out / "config.json")
    told: dict[str, Verdicts] = {}
    rows: list[dict[str, Any]] = []
    for name in cfg.encoders or trained.encoders:
        encoder = encoder_of(name, trained, len(classes), features=cfg.features)
        result = _of_all_folds(encoder, cases, cfg.run, only_first=cfg.dry_run)
        scheme = Scheme("external", 0, Split("external", ()))
        told[name] = verdicts_of(cases, [scheme], {(0, 0): result})
        rows += _rows(name, [scheme], {(0, 0): result}, cases, classes)
    write_rows(cfg.out / "predictions.csv", rows)
    notes = [f"trained on: {asked['question']}; told here: {question.title}"]
    warnings, about = _about(question, cases, notes, seed=cfg.seed)
    parts, facts = _judged({"external": told}, classes, seed=cfg.seed)
    write_json(cfg.out / "results.json", {**about, "run": str(cfg.run), "schemes": facts})
    write_summary(cfg.out, question.title, parts, warnings, "", _stamp(cases))
    shown = [part for part in parts if isinstance(part, Table)]
    return screen(shown, warnings) + f"\n{cfg.out / 'summary.html'}\n"


def begin(threads: int) -> None:
    """Set threads and the log on the console: a line a fold, not one a pass of its training."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("nightstack").setLevel(logging.WARNING)
    logger.setLevel(logging.INFO)
    torch.set_num_threads(threads)


def _schemes(cfg: CrossValidation, cases: Sequence[Case]) -> tuple[list[Scheme], list[str]]:
    """Return the random folds and, where possible, those that leave a cohort out."""
    n_folds = 2 if cfg.dry_run else cfg.folds
    schemes = random_schemes(
        cases,
        n_folds,
        n_repeats=1 if cfg.dry_run else cfg.repeats,
        val_share=cfg.val_share,
        seed=cfg.seed,
    )
    if not cfg.leave_cohorts_out:
        return schemes, []
    left_out, notes = cohort_scheme(cases, val_share=cfg.val_share, seed=cfg.seed)
    return [*schemes, *([left_out] if left_out else [])], notes


def _run_schemes(
    encoder: Encoder, cases: Sequence[Case], schemes: Sequence[Scheme], cfg: CrossValidation
) -> dict[tuple[int, int], FoldResult]:
    """Run every fold of an encoder."""
    results = {}
    for place, scheme in enumerate(schemes):
        for number, folder in fold_folders(cfg.out, encoder.name, scheme):
            result = run_fold(
                encoder,
                cases,
                scheme.split.folds[number],
                folder,
                seed=cfg.seed + 100 * place + number,
                resume=cfg.resume,
            )
            logger.info(
                "%s, %s %d, fold %d: validation nll %.3f",
                *(encoder.name, scheme.kind, scheme.repeat, number, result.val_nll),
            )
            results[place, number] = result
    return results


def _about(
    question: Question, cases: Sequence[Case], notes: Sequence[str], *, seed: int
) -> tuple[list[str], dict[str, Any]]:
    """Return what a reader must know first, and what is said of the nights."""
    classes = list(question.classes)
    labels, found = variables(cases)
    confounds = find_confounds(labels, found, classes, seed=seed)
    warnings = warnings_of(confounds)
    if any(case.simulated for case in cases):
        warnings.insert(0, SIMULATED)
    warnings += [text for text in (question.caution, *notes) if text]
    return warnings, {
        "question": question.title,
        "classes": classes,
        "counts": counts(cases, classes),
        "aggregation": AGGREGATION,
        "protocol": PROTOCOL,
        "warnings": warnings,
        "confounds": [vars(confound) for confound in confounds],
        "nights": sorted(case.night for case in cases),
    }


def _judged(
    told: Mapping[str, Mapping[str, Verdicts]], classes: Sequence[str], *, seed: int
) -> tuple[list[Table | Picture], dict[str, Any]]:
    """Return tables and figures of every scheme, and its facts."""
    parts: list[Table | Picture] = []
    content: dict[str, Any] = {}
    for kind, encoders in told.items():
        facts = {name: report.facts_of(v, classes, seed=seed) for name, v in encoders.items()}
        pairs = report.comparisons(encoders, seed=seed)
        content[kind] = {"encoders": facts, "comparisons": pairs}
        parts.append(report.accuracy_table(facts, f"Diagnosis, {kind}"))
        if pairs:
            parts.append(report.comparison_table(pairs, f"Encoders against each other, {kind}"))
        parts.append(report.cohort_table(facts, classes, f"Confusion by cohort, {kind}"))
        parts += report.pictures(encoders, facts, kind.replace(" ", "_"), kind)
    return parts, content


def _report(
    cfg: CrossValidation,
    encoders: Mapping[str, Encoder],
    cases: Sequence[Case],
    schemes: Sequence[Scheme],
    told: Mapping[str, Mapping[str, Verdicts]],
    warnings: Sequence[str],
    about: Mapping[str, Any],
) -> str:
    """Write results.json, figures and summary.html; return the tables."""
    parts, content = _judged(told, about["classes"], seed=cfg.seed)
    explained, shown = _explained(cfg, encoders, cases, schemes, about["classes"])
    write_json(cfg.out / "results.json", {**about, "schemes": content, "explained": explained})
    again = "python main_diagnose_cv.py --config config.json --out NEW (config.json beside this)"
    write_summary(cfg.out, about["question"], [*parts, *shown], warnings, again, _stamp(cases))
    tables = [part for part in parts if isinstance(part, Table)]
    return screen(tables, warnings) + f"\n{cfg.out / 'summary.html'}\n"


def _explained(
    cfg: CrossValidation,
    encoders: Mapping[str, Encoder],
    cases: Sequence[Case],
    schemes: Sequence[Scheme],
    classes: Sequence[str],
) -> tuple[list[dict[str, Any]], list[Picture]]:
    """Explain test nights of the last class by each network of the first fold."""
    scheme, (label, disorder) = schemes[0], (len(classes) - 1, classes[-1])
    tested = set(scheme.split.folds[0]["test"])
    ill = [case for case in cases if case.night in tested and case.label == label]
    facts, shown = [], []
    for name in (name for name in encoders if name in NETWORKS or name == "lpsgm"):
        _, folder = next(fold_folders(cfg.out, name, scheme))
        fitted, _ = load_fold(encoders[name], folder)
        for number, case in enumerate(ill[: cfg.explain]):
            found = explain(fitted, case, label)
            facts.append({"encoder": name, "disorder": disorder, **found.facts()})
            title = f"{name}: {case.night}, {disorder} {100 * found.proba:.0f} %"
            figure = contribution_figure(
                case.stages, found.edges.tolist(), found.contributions, title, disorder
            )
            words = f"What each part of the night added, {title}."
            shown.append(Picture(f"explained_{name}_{number}", figure, words))
    return facts, shown


def _of_all_folds(
    encoder: Encoder, cases: Sequence[Case], run: Path, *, only_first: bool
) -> FoldResult:
    """Average what the models of the first random division say; thresholds alike."""
    scheme = f"{RANDOM.replace(' ', '-')}-0"
    folders = sorted(path.parent for path in (run / encoder.name / scheme).glob("fold*/fold.json"))
    if not folders:
        raise ValueError(f"{run}: holds no models of {encoder.name!r}")
    fitted = [load_fold(encoder, folder) for folder in folders[: 1 if only_first else None]]
    proba = np.mean([model.proba(cases) for model, _ in fitted], axis=0)
    return FoldResult(
        proba={case.night: row for case, row in zip(cases, proba.tolist(), strict=True)},
        threshold=float(np.mean([threshold for _, threshold in fitted])),
        choice={},
        val_nll=float("nan"),
    )


def _rows(
    encoder: str,
    schemes: Sequence[Scheme],
    results: Mapping[tuple[int, int], FoldResult],
    cases: Sequence[Case],
    classes: Sequence[str],
) -> list[dict[str, Any]]:
    """Return a row a night that was told."""
    by_night = {case.night: case for case in cases}
    return [
        {
            "encoder": encoder,
            "scheme": schemes[place].kind,
            "repeat": schemes[place].repeat,
            "fold": number,
            "night": night,
            "person": by_night[night].person,
            "cohort": by_night[night].cohort,
            "label": classes[by_night[night].label],
            **{f"proba {name}": p for name, p in zip(classes, proba, strict=True)},
            "threshold": result.threshold,
        }
        for (place, number), result in results.items()
        for night, proba in result.proba.items()
    ]


def _stamp(cases: Sequence[Case]) -> str:
    """Return what stands on every figure."""
    return "simulated nights" if any(case.simulated for case in cases) else ""
