"""What stagers said, wherever it lies: files of outputs, results, anyone's hypnograms."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from evaluation.export import write_csv, write_txt
from evaluation.outputs import NightOutput, write_outputs
from nights.hypnogram import Hypnogram
from recordings.recording import RecordingError
from staging.results import DONE, NO_PERSON
from staging.scored import read_stagers

START = datetime(2024, 5, 1, 22, 40)


def hypnogram(rng: np.random.Generator, n_epochs: int = 40) -> Hypnogram:
    """A night with a hypnodensity and a clock."""
    return Hypnogram.from_proba(rng.dirichlet(np.ones(5), n_epochs), start=START)


def staged(folder: Path, name: str, night: Hypnogram, raw: Hypnogram | None = None) -> None:
    """Write what evaluation reads of a night of `main_stage_slm.py`."""
    write_csv(night, folder / name / "hypnogram.csv")
    if raw is not None:
        write_csv(raw, folder / name / "uncorrected.csv")
    facts = {"source": {"file": f"{name}.edf"}, "simulated": [NO_PERSON] if raw else []}
    (folder / name / DONE).write_text(json.dumps(facts))


def test_results_are_laid_beside_their_scorings(tmp_path: Path, rng: np.random.Generator) -> None:
    night, raw, truth = hypnogram(rng), hypnogram(rng), hypnogram(rng)
    staged(tmp_path / "run", "SN001", night, raw)
    write_csv(truth, tmp_path / "scorings" / "SN001_scoring.csv")
    found = read_stagers([tmp_path / "run"], tmp_path / "scorings", person_letters=2)
    assert list(found) == ["run", "run uncorrected"]
    (one,), (other,) = found.values()
    assert (one.night, one.person, one.simulated) == ("SN001", "SN", True)
    np.testing.assert_array_equal(one.labels, truth.stages)
    np.testing.assert_array_equal(one.stages, night.stages)
    np.testing.assert_allclose(one.proba, night.proba, atol=1e-5)  # type: ignore[arg-type]
    np.testing.assert_array_equal(other.stages, raw.stages)
    assert list(read_stagers([tmp_path / "run"], tmp_path / "scorings", corrected=True)) == ["run"]


def test_a_scoring_that_begins_later_is_laid_on_the_clock(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    night = hypnogram(rng)
    staged(tmp_path / "run", "SN001", night)
    late = Hypnogram(night.stages[10:], start=night.clock(10), onset_s=300.0)
    write_csv(late, tmp_path / "scorings" / "SN001.csv")
    ((one,),) = read_stagers([tmp_path / "run"], tmp_path / "scorings").values()
    np.testing.assert_array_equal(one.labels[:10], -1)
    np.testing.assert_array_equal(one.labels[10:], night.stages[10:])


def test_anyones_hypnograms_are_a_stager(tmp_path: Path, rng: np.random.Generator) -> None:
    truth = replace(hypnogram(rng), start=None)
    (tmp_path / "theirs").mkdir()
    write_txt(truth, tmp_path / "theirs" / "SN001.txt")
    write_txt(truth, tmp_path / "SN001.txt")
    ((one,),) = read_stagers([tmp_path / "theirs"], tmp_path).values()
    assert one.proba is None
    np.testing.assert_array_equal(one.stages, one.labels)


def test_files_of_outputs_are_called_like_the_file(tmp_path: Path) -> None:
    night = NightOutput("n", "p", np.zeros(3, int), stages=np.zeros(3, int))
    paths = [tmp_path / "a" / "net.npz", tmp_path / "b" / "net.npz"]
    for path in paths:
        write_outputs(path, [night])
    assert list(read_stagers(paths)) == ["net", "b/net"]
    with pytest.raises(ValueError, match="two sources are called b/net"):
        read_stagers([*paths, paths[1]])


def test_what_is_missing_is_named(tmp_path: Path, rng: np.random.Generator) -> None:
    staged(tmp_path / "run", "SN001", hypnogram(rng))
    with pytest.raises(ValueError, match="wants --scorings FOLDER"):
        read_stagers([tmp_path / "run"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordingError, match="SN001: no scoring in"):
        read_stagers([tmp_path / "run"], tmp_path / "empty")
    with pytest.raises(ValueError, match="holds neither results"):
        read_stagers([tmp_path / "empty"], tmp_path)
