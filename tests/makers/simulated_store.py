"""A night store of short simulated nights, made once for a module of tests."""

from __future__ import annotations

from pathlib import Path

import preprocess
from preprocess.recipe import Settings, make_nights
from preprocess.recipe.workers import each
from recordings.simulate.cohort import Cohort, write_cohort


def simulated_store(root: Path, *cohorts: Cohort, view: str = "psg9,bb100,seq3") -> Path:
    """Return the parent of stores that hold the nights of these cohorts; raw files are removed."""
    raw = root / "raw"
    for cohort in cohorts:
        list(write_cohort(cohort, raw))
    settings = Settings(raw=raw, out=root / "data", view=view)
    tally = make_nights(preprocess.find_dataset("simulated"), settings, spread=each)
    assert not tally.failures, tally.failures
    for path in raw.iterdir():
        path.unlink()
    return root / "data"
