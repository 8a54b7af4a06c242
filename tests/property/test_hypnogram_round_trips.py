"""Whatever a hypnogram holds, its files give it back."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation import export
from nights.hypnogram import Hypnogram
from nights.stages import FOUR_CLASSES, STAGES, UNSCORED
from recordings.scoring import read_scoring

FILES = {
    "a.csv": export.write_csv,
    "a.xlsx": export.write_xlsx,
    "a.json": export.write_json,
    "a_events.tsv": export.write_bids,
}


@st.composite
def hypnograms(draw: st.DrawFn, *, with_proba: bool = True) -> Hypnogram:
    classes = draw(st.sampled_from([STAGES, FOUR_CLASSES]))
    codes = st.integers(UNSCORED, len(classes) - 1)
    stages = np.array(draw(st.lists(codes, min_size=1, max_size=60)), dtype=np.int8)
    proba = None
    if with_proba and draw(st.booleans()):
        generator = np.random.default_rng(draw(st.integers(0, 99)))
        proba = generator.dirichlet(np.ones(len(classes)), len(stages)).astype(np.float32)
        proba[stages == UNSCORED] = np.nan
    start = draw(st.none() | st.datetimes(datetime(1986, 1, 1), datetime(2080, 1, 1)))
    return Hypnogram(
        stages,
        proba,
        start=start,
        onset_s=draw(st.floats(0, 5000).map(lambda s: round(s, 4))),
        classes=classes,
        epoch_s=draw(st.sampled_from([30.0, 20.0])),
    )


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=40, deadline=None)
@given(night=hypnograms())
def test_tables_and_json_give_everything_back(name, night):
    with tempfile.TemporaryDirectory() as folder:
        FILES[name](night, Path(folder) / name)
        found = read_scoring(Path(folder) / name).hypnogram
    np.testing.assert_array_equal(found.stages, night.stages)
    assert (found.classes, found.start) == (night.classes, night.start)
    assert (found.onset_s, found.epoch_s) == (night.onset_s, night.epoch_s)
    assert (found.proba is None) == (night.proba is None)
    if night.proba is not None:
        np.testing.assert_allclose(found.proba, night.proba, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(night=hypnograms(with_proba=False))
def test_edfplus_gives_stages_and_clock_back(night):
    first_sample = night.start and night.start - timedelta(seconds=night.onset_s)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.edf"
        export.write_edfplus(night, path)
        found = read_scoring(path, start=first_sample).hypnogram
    np.testing.assert_array_equal(found.stages, night.stages)
    assert (found.classes, found.epoch_s) == (night.classes, night.epoch_s)
    assert found.onset_s == pytest.approx(night.onset_s, abs=2e-4)
    assert (found.start is None) == (night.start is None)
    if night.start is not None:
        assert abs((found.start - night.start).total_seconds()) < 2e-4


@settings(max_examples=40, deadline=None)
@given(night=hypnograms(with_proba=False))
def test_text_gives_the_stages_back(night):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.txt"
        export.write_txt(night, path)
        found = read_scoring(path).hypnogram
    np.testing.assert_array_equal(found.stages, night.stages)
    assert found.classes == night.classes
