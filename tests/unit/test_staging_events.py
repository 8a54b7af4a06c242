"""Weights of apnea and hypopnea beside a stager: what they read, refuse, and leave behind."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import models
from engine.checkpoint import save_weights
from engine.probing_results import ranking_scores
from engine.weights import manifest
from evaluation.export import write_csv
from main_stage_slm import Config, main
from nights.events import Event
from nights.hypnogram import Hypnogram
from nights.night import Night
from recordings.formats import open_recording
from recordings.scoring import read_scoring
from recordings.simulate import simulate_night
from recordings.views import VIEWS
from staging.events import EventDetector, find_events, load_detectors, read_for_events
from staging.stage import load_stager
from tests.makers.recordings import ArrayRecording
from tests.makers.stagers import told_night

SHHS7 = VIEWS["shhs7"]
SIZES = {"widths": (8, 8, 8, 8, 8), "squeeze": 4, "width": 16, "n_blocks": 1, "n_heads": 2}


def weights(folder: Path, task: str, *channels: str, **card: object) -> Path:
    """Write drawn weights as main_probe.py writes trained ones."""
    torch.manual_seed(len(task))
    kind = "neuronet-probe" if len(channels) == 1 else "synthsleepnet-probe"
    model = models.create(kind, channels=channels, n_classes=2, **SIZES)
    about: dict[str, object] = {"view": "shhs7", "view_hash": SHHS7.hash}
    about |= {"normalisation": "robust", "task": task}
    about |= {"classes": [f"no {task}", task], "channels": list(channels), "event_rule": "any"}
    save_weights(path := folder / f"{task}.safetensors", model, about | card)
    return path


@pytest.fixture(scope="module")
def apnea(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights for apnea on the airflow, of simulated nights."""
    return weights(tmp_path_factory.mktemp("weights"), "apnea", "Airflow", simulated=True)


@pytest.fixture(scope="module")
def detector(apnea: Path) -> EventDetector:
    """The same, loaded."""
    return load_detectors([str(apnea)], device="cpu")[0]


@pytest.fixture(scope="module")
def eventful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An hour and a half of somebody with many events, as no training has seen them."""
    path = tmp_path_factory.mktemp("eventful") / "night.edf"
    simulate_night(4242, hours=1.5, ahi=40).write(path)
    return path


def recording(*labels: str, n_epochs: int = 6) -> ArrayRecording:
    """A recording of noise."""
    drawn = np.random.default_rng(1).standard_normal((len(labels), n_epochs * 30 * 128))
    return ArrayRecording(dict(zip(labels, drawn.astype(np.float32), strict=True)), 128)


def test_every_recorded_epoch_gets_a_probability(detector: EventDetector) -> None:
    night = recording("Airflow", "C4-M1")
    night.gaps = ((62.0, 64.0),)
    read = read_for_events(detector, night)
    found = find_events(read, Hypnogram(np.full(6, 2)), [Event(40, 25, "central_apnea")])
    assert found is not None
    assert found.kind == "apnea"
    assert found.channels == ("Airflow",)
    assert np.isnan(found.proba).tolist() == [False, False, True, False, False, False]
    assert found.scored is not None  # by the rule of the weights: any part
    assert found.scored.tolist() == [False, True, True, False, False, False]
    assert found.weights["sha256"] == detector.provenance["sha256"]


def test_a_hypopnea_is_no_scored_apnea(detector: EventDetector) -> None:
    read, night = read_for_events(detector, recording("Airflow")), Hypnogram(np.full(6, 2))
    found = find_events(read, night, [Event(40, 25, "hypopnea")])
    assert found is not None
    assert found.scored is not None
    assert not found.scored.any()
    assert (nobody := find_events(read, night)) is not None
    assert nobody.scored is None


def test_a_missing_channel_is_one_sentence_and_not_an_error(detector: EventDetector) -> None:
    read = read_for_events(detector, recording("C4-M1", "ECG"))
    (note,) = read.notes
    assert note == (
        "no probability of apnea: made.edf: none of Airflow found; the file has: C4-M1, ECG. "
        "Name one with --channel Airflow=LABEL"
    )
    assert find_events(read, Hypnogram(np.full(6, 2))) is None
    named = read_for_events(detector, recording("C4-M1", "Flow 7"), overrides={"Airflow": "Flow 7"})
    assert named.notes == ()


def test_what_else_the_weights_know_is_told_when_it_is_not_there(tmp_path: Path) -> None:
    path = weights(tmp_path, "hypopnea", "Airflow", "ECG")
    (detector,) = load_detectors([str(path)], device="cpu")
    (note,) = read_for_events(detector, recording("Airflow")).notes
    assert note == "probability of hypopnea: read without ECG, which the weights know"


def test_a_stored_night_is_read_if_it_is_of_the_view(
    detector: EventDetector, tmp_path: Path
) -> None:
    stages = [0, 2, 2, 2, 3, 4]
    notes = {}
    for view, channel in (("psg9", "C4"), ("psg9", "Airflow"), ("shhs7", "C4")):
        path = told_night(tmp_path, f"{view}{channel}", stages, channels=(channel,), view=view)
        read = read_for_events(detector, Night.open(path))
        assert read.reading is None
        (notes[view, channel],) = read.notes
    assert "is of view 'psg9'" in notes["psg9", "Airflow"]
    assert "reads view 'shhs7'" in notes["psg9", "Airflow"]
    assert notes["shhs7", "C4"].endswith("apnea can use none of C4")


def test_weights_of_stages_and_two_of_one_kind_are_refused(apnea: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"no detector of events .*: they were trained for staging"
    ):
        load_detectors([str(weights(tmp_path, "staging", "C4"))])
    with pytest.raises(ValueError, match="several weights for apnea"):
        load_detectors([str(apnea), str(apnea)])


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two recordings with somebody's stages beside it; the second has no airflow."""
    folder = tmp_path_factory.mktemp("nights")
    for name, montage in (("whole", "full"), ("bare", "aasm9")):
        night = simulate_night(4, hours=0.25, montage=montage, ahi=40)
        night.write(folder / "edf" / f"{name}.edf")
        write_csv(night.hypnogram, folder / "theirs" / f"{name}.csv")
    return folder


def staged(nights: Path, out: Path, *events: Path, **words: object) -> int:
    """Stage the folder with weights of events; return the exit status."""
    stager, names = str(nights / "theirs"), tuple(map(str, events))
    given = {"stager": stager, "events": names, "device": "cpu", "correction": False}
    return main(Config((nights / "edf",), out=out, **given | words))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def results(nights: Path, apnea: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What staging the folder left."""
    out = tmp_path_factory.mktemp("results")
    assert staged(nights, out, apnea) == 0
    return out


def test_a_folder_gets_columns_notes_and_reports(results: Path) -> None:
    whole, bare = (
        json.loads((results / name / "night.json").read_text("utf-8")) for name in ("whole", "bare")
    )
    told = whole["event_epochs"]["apnea"]
    assert len(told["proba"]) == whole["n_epochs"] == 30
    assert "NOT an AHI" in told["about"]
    assert told["statistics"]["scored_epochs"] > 0
    assert "The weights for apnea were trained on simulated nights." in whole["simulated"]
    assert bare["event_epochs"] == {}
    assert any(note.startswith("no probability of apnea: bare.edf") for note in bare["notes"])
    assert "Apnea probable" in (results / "whole" / "report.html").read_text("utf-8")
    assert "no probability of apnea" in (results / "bare" / "report.html").read_text("utf-8")
    with (results / "summary.csv").open() as file:
        rows = {row["night"]: row["apnea_epochs_per_h"] for row in csv.DictReader(file)}
    assert float(rows["whole"]) == pytest.approx(told["statistics"]["epochs_per_h"])
    assert rows["bare"] == ""


def test_the_table_has_a_column_and_is_still_read_back(results: Path) -> None:
    path = results / "whole" / "hypnogram.csv"
    with path.open() as file:
        column = [float(row["proba_apnea"]) for row in csv.DictReader(file)]
    known = json.loads((results / "whole" / "night.json").read_text("utf-8"))
    assert column == known["event_epochs"]["apnea"]["proba"]
    assert read_scoring(path).hypnogram.n_epochs == 30
    plain = (results / "bare" / "hypnogram.csv").read_text("utf-8").splitlines()[0]
    assert "proba_apnea" not in plain


def test_a_rerun_skips_what_is_done_and_other_weights_are_other_settings(
    nights: Path,
    apnea: Path,
    results: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = shutil.copytree(results, tmp_path / "out")
    done = out / "whole" / "night.json"
    before = (done.stat().st_mtime_ns, done.read_bytes())
    assert staged(nights, out, apnea) == 0
    assert (done.stat().st_mtime_ns, done.read_bytes()) == before
    other = weights(tmp_path, "apnea", "Airflow", simulated=False)
    assert staged(nights, out, other) == 1
    assert "events was ['apnea " in capsys.readouterr().out
    assert staged(nights, out) == 1  # without them is another run, too
    for path in (done, out / "bare" / "night.json"):
        known = json.loads(path.read_text("utf-8"))
        del known["settings"]["events"]
        path.write_text(json.dumps(known), encoding="utf-8")
    assert staged(nights, out) == 0  # of before there was such a setting


def test_the_airflow_is_named_beside_somebodys_stages(
    nights: Path, apnea: Path, tmp_path: Path
) -> None:
    assert staged(nights, tmp_path, apnea, channel=("Airflow=NasalP",)) == 0
    known = json.loads((tmp_path / "whole" / "night.json").read_text("utf-8"))
    assert known["event_epochs"]["apnea"]["channels"] == ["Airflow"]
    assert staged(nights, tmp_path / "other", apnea, channel=("C4=C3-M2",)) == 1


def test_a_dry_run_writes_the_column_too(nights: Path, apnea: Path, tmp_path: Path) -> None:
    assert staged(nights, tmp_path, apnea, dry_run=True) == 0
    known = json.loads((tmp_path / "whole" / "night.json").read_text("utf-8"))
    assert len(known["event_epochs"]["apnea"]["proba"]) == 20


@pytest.mark.parametrize(("kind", "least"), [("apnea", 0.6), ("hypopnea", 0.4)])
def test_the_weights_in_the_tree_find_the_events_of_a_new_person(
    eventful: Path, kind: str, least: float
) -> None:
    (detector,) = load_detectors([f"{kind}-small-simulated"], device="cpu")
    night = open_recording(eventful)
    scored = read_scoring(eventful, recording=night)
    found = find_events(read_for_events(detector, night), scored.hypnogram, scored.events)
    assert found is not None
    assert found.scored is not None
    assert found.weights["simulated"]
    assert found.scored.sum() > 8
    rows = np.stack([1 - found.proba, found.proba], axis=1)
    assert ranking_scores(rows, found.scored.astype(int))["auprc"] > least  # 0.07 to 0.2 by chance
    assert found.proba[found.scored].mean() > 5 * found.proba[~found.scored].mean()


def test_weights_of_events_are_offered_as_no_stager() -> None:
    assert not manifest()["apnea-small-simulated"].is_stager
    with pytest.raises(ValueError, match="no stager 'apnea-small-simulated'"):
        load_stager("apnea-small-simulated")
