"""Simulated cases to diagnose from, for the tests of the protocol and its encoders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine.diagnosis.cases import Case
from engine.diagnosis.encoder import Encoder
from engine.diagnosis.protocol import Scheme, random_schemes, run_fold, verdicts_of
from engine.diagnosis.questions import simulated_cases
from evaluation.diagnosis import Verdicts


def simulated(
    disorder: str = "narcolepsy", n_persons: int = 24, *, strength: float = 1.0, seed: int = 0
) -> list[Case]:
    """Simulated cases of one cohort, every second person ill."""
    return simulated_cases(f"simulated-{disorder}", n_persons, strength=strength, seed=seed)


def two_sites(cases: list[Case], *, share: float) -> list[Case]:
    """Move the ill to a second site, and `share` of the healthy with them."""
    healthy = [case for case in cases if not case.label]
    moved = {case.person for case in healthy[: round(share * len(healthy))]}
    return [
        replace(case, cohort="north" if case.label or case.person in moved else "south")
        for case in cases
    ]


def judged(
    encoder: Encoder, cases: list[Case], folder: Path, *, n_folds: int = 3, seed: int = 0
) -> tuple[Verdicts, Scheme]:
    """Cross-validate one encoder once."""
    (scheme,) = random_schemes(cases, n_folds, n_repeats=1, val_share=0.25, seed=seed)
    results = {
        (0, number): run_fold(
            encoder, cases, fold, folder / f"fold{number}", seed=seed, resume=False
        )
        for number, fold in enumerate(scheme.split.folds)
    }
    return verdicts_of(cases, [scheme], results), scheme
