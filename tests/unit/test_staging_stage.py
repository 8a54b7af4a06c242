"""One path for every stager: channels, gaps, votes, stored nights, predictions, references."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch

import models
from engine.checkpoint import save_weights
from evaluation.export import write_csv, write_edfplus
from nights.hypnogram import Hypnogram
from nights.night import Night, NightError
from nights.store import write_night
from recordings.formats import open_recording
from recordings.recording import RecordingError
from recordings.simulate import simulate_night
from recordings.views import VIEWS, View
from staging.networks import NetworkStager
from staging.predictions import HARD_LABEL_PROBA, PredictionStager, soft
from staging.references import find_reference
from staging.stage import load_stager, stage
from tests.makers.edf_maker import write_edf
from tests.makers.recordings import ArrayRecording

RATE_HZ, N_EPOCHS = 100, 24


def noise(seed: int, n_epochs: int = N_EPOCHS) -> np.ndarray:
    """Return EEG-sized noise at 100 Hz."""
    drawn = np.random.default_rng(seed).standard_normal(n_epochs * 30 * RATE_HZ)
    return (20 * drawn).astype(np.float32)


def recording(*labels: str, **options: object) -> ArrayRecording:
    """Return a recording of noise."""
    signals = {label: noise(seed) for seed, label in enumerate(labels)}
    return ArrayRecording(signals, RATE_HZ, **options)  # type: ignore[arg-type]


def network(name: str, view: str, **config: object) -> NetworkStager:
    """Return a small network with drawn weights as a stager."""
    torch.manual_seed(3)
    return NetworkStager("drawn", models.create(name, **config), {"view": view}, "cpu")


@pytest.fixture(scope="module")
def lpsgm() -> NetworkStager:
    return network("lpsgm", "psg9c", n_blocks=1)


@pytest.fixture(scope="module")
def tinysleepnet() -> NetworkStager:
    return network("tinysleepnet-cnn", "bb100")


def test_a_network_reads_the_channels_that_are_there(lpsgm: NetworkStager) -> None:
    staged = stage(recording("C4-M1", "E1-M2", "ECG"), lpsgm)
    assert set(staged.reading.signals.signals) == {"C4", "E1"}
    assert staged.hypnogram.proba.shape == (N_EPOCHS, 5)
    assert np.allclose(staged.hypnogram.proba.sum(axis=1), 1, atol=1e-4)


def test_the_result_does_not_depend_on_channels_nobody_reads(lpsgm: NetworkStager) -> None:
    alone = stage(recording("C4-M1"), lpsgm).hypnogram.proba
    beside = stage(recording("C4-M1", "Thorax", "ECG"), lpsgm).hypnogram.proba
    np.testing.assert_array_equal(alone, beside)


def test_no_usable_channel_is_refused_with_the_labels_and_the_way_out(
    lpsgm: NetworkStager, tinysleepnet: NetworkStager
) -> None:
    for stager in (lpsgm, tinysleepnet):
        with pytest.raises(RecordingError, match=r"Thorax.*--channel"):
            stage(recording("Thorax"), stager)


def test_a_stager_of_one_derivation_takes_the_best_eeg(tinysleepnet: NetworkStager) -> None:
    staged = stage(recording("O2-M1", "C4-M1", "ECG"), tinysleepnet)
    assert list(staged.reading.signals.signals) == ["C4"]


def test_votes_are_the_mean_over_derivations(tinysleepnet: NetworkStager) -> None:
    both = recording("C4-M1", "O2-M1")
    voted = stage(both, tinysleepnet, vote=True).hypnogram.proba
    single = [
        stage(both, tinysleepnet, overrides=named).hypnogram.proba
        for named in ({"C4": "C4-M1"}, {"C4": "O2-M1"})
    ]
    np.testing.assert_allclose(voted, np.mean(single, axis=0), atol=1e-6)


def test_a_vote_is_refused_where_derivations_are_read_together(lpsgm: NetworkStager) -> None:
    with pytest.raises(ValueError, match="nothing to vote"):
        stage(recording("C4-M1", "O2-M1"), lpsgm, vote=True)


def test_gaps_stay_unscored_and_the_clock_goes_on(lpsgm: NetworkStager) -> None:
    paused = recording("C4-M1", gaps=[(60.0, 95.0)])
    hypnogram = stage(paused, lpsgm).hypnogram
    assert np.flatnonzero(~hypnogram.scored).tolist() == [2, 3]
    assert hypnogram.n_epochs == N_EPOCHS
    assert "2 epochs unscored" in " ".join(hypnogram.notes)


def test_epochs_with_every_eeg_flat_stay_unscored(tinysleepnet: NetworkStager) -> None:
    signal = noise(0)
    signal[3 * 3000 : 8 * 3000] = 0.0
    hypnogram = stage(ArrayRecording({"C4-M1": signal}, RATE_HZ), tinysleepnet).hypnogram
    assert not hypnogram.scored[4:7].any()  # the filter's edge reaches into epochs 3 and 7
    assert hypnogram.scored[10:].all()


def test_weights_that_name_no_view_are_no_stager(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    save_weights(path, models.create("tinysleepnet-cnn"), {"licence": "none"})
    with pytest.raises(ValueError, match="no stager"):
        load_stager(str(path))


def test_an_unknown_stager_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="no stager 'nonsense'; there are yasa, .*tinysleepnet"):
        load_stager("nonsense")
    with pytest.raises(ValueError, match="no stager 'sleepgpt-open'"):
        load_stager("sleepgpt-open")  # weights, but of a language model


def test_a_stager_comes_back_from_its_weight_file(
    tmp_path: Path, tinysleepnet: NetworkStager
) -> None:
    path = tmp_path / "drawn.safetensors"
    save_weights(path, tinysleepnet.model, {"view": "bb100"})
    again = load_stager(str(path), device="cpu")
    night = recording("C4-M1")
    before, after = (stage(night, s).hypnogram.proba for s in (tinysleepnet, again))
    np.testing.assert_array_equal(before, after)


def store(folder: Path, view: View, channels: dict[str, np.ndarray]) -> Night:
    """Write a night of `view` and open it."""
    from recordings.ingest import read_view

    signals = read_view(ArrayRecording(channels, RATE_HZ), view)
    stages = np.zeros(signals.n_epochs, int)
    path = write_night(
        *(folder, "SET", "n1"),
        {"sig": (list(signals.signals), list(signals.signals.values()))},
        Hypnogram(stages, start=datetime(2001, 1, 1, 22)),
        view={"name": view.name, "hash": view.hash},
        person="p",
        channels={record.target: record.to_json() for record in signals.channels},
        dtype="float32",
    )
    return Night.open(path)


def test_a_stored_night_gives_what_the_recording_gives(
    tmp_path: Path, lpsgm: NetworkStager
) -> None:
    signals = {"C4-M1": noise(1), "E1-M2": noise(2)}
    stored = lpsgm.read_stored(store(tmp_path, VIEWS["psg9c"], signals))
    read = lpsgm.read(ArrayRecording(signals, RATE_HZ))
    np.testing.assert_allclose(lpsgm.proba(stored), lpsgm.proba(read), atol=1e-4)
    assert stored.start == datetime(2001, 1, 1, 22)


def test_a_stored_night_of_another_view_is_refused_naming_both(
    tmp_path: Path, lpsgm: NetworkStager
) -> None:
    night = store(tmp_path, VIEWS["bb100"], {"C4-M1": noise(1)})
    with pytest.raises(NightError, match="bb100.*psg9c"):
        lpsgm.read_stored(night)


def test_predictions_keep_their_place_on_the_clock(tmp_path: Path) -> None:
    stages = np.array([0, 1, 2, 3, 4] * 4)
    theirs = Hypnogram(stages, start=datetime(2001, 1, 1, 23, 1), onset_s=60.0)
    write_csv(theirs, tmp_path / "theirs.csv")
    whole = replace_start(recording("C4-M1"), datetime(2001, 1, 1, 23))
    hypnogram = stage(whole, PredictionStager(tmp_path / "theirs.csv")).hypnogram
    assert hypnogram.n_epochs == N_EPOCHS
    assert hypnogram.stages[2:22].tolist() == stages.tolist()
    assert not hypnogram.scored[[0, 1, 22, 23]].any()


def replace_start(made: ArrayRecording, start: datetime) -> ArrayRecording:
    """Give a recording a clock."""
    made.start = start
    return made


def test_a_hard_label_leaves_room_for_the_other_stages() -> None:
    proba = soft(Hypnogram(np.array([2, -1])))
    assert proba[0, 2] == pytest.approx(HARD_LABEL_PROBA)
    assert proba[0].sum() == pytest.approx(1)
    assert np.isnan(proba[1]).all()


def test_predictions_in_a_folder_are_found_by_name_and_must_be_one(tmp_path: Path) -> None:
    night = recording("C4-M1")  # its file is called made.edf
    stager = PredictionStager(tmp_path)
    with pytest.raises(RecordingError, match="no predictions"):
        stage(night, stager)
    write_csv(Hypnogram(np.zeros(N_EPOCHS, int)), tmp_path / "made.csv")
    assert stage(night, stager).hypnogram.scored.all()
    write_csv(Hypnogram(np.zeros(N_EPOCHS, int)), tmp_path / "made_again.csv")
    with pytest.raises(RecordingError, match="several predictions"):
        stage(night, stager)


def test_predictions_have_no_channels_to_name(tmp_path: Path) -> None:
    write_csv(Hypnogram(np.zeros(N_EPOCHS, int)), tmp_path / "made.csv")
    with pytest.raises(ValueError, match="no channels"):
        stage(recording("C4-M1"), PredictionStager(tmp_path), overrides={"C4": "C4-M1"})


def test_a_reading_can_be_cut_to_its_first_epochs(tinysleepnet: NetworkStager) -> None:
    reading = tinysleepnet.read(recording("C4-M1")).head(5)
    assert tinysleepnet.proba(reading).shape == (5, 5)
    assert reading.head(100).n_epochs == 5


@pytest.fixture
def night_file(tmp_path: Path) -> Path:
    """An EDF file without annotations, ten minutes long."""
    path = tmp_path / "SN1.edf"
    write_edf(path, {"EEG C4-M1": (noise(0, 20), RATE_HZ)}, start=datetime(2001, 1, 1, 22))
    return path


def test_a_scoring_beside_the_recording_is_found_and_named(night_file: Path) -> None:
    recorded = open_recording(night_file)
    assert find_reference(recorded, "auto") is None
    scored = Hypnogram(np.array([2] * 20), start=datetime(2001, 1, 1, 22))
    write_edfplus(scored, night_file.with_name("SN1_sleepscoring.edf"))
    found = find_reference(recorded, "auto")
    assert found is not None
    assert found.stages.tolist() == [2] * 20
    assert found.scorer == "SN1_sleepscoring.edf"
    assert find_reference(recorded, "none") is None


def test_what_lies_beside_and_is_no_scoring_is_passed_over(night_file: Path) -> None:
    night_file.with_name("SN1_notes.txt").write_text("slept badly\nwoke at four\n")
    assert find_reference(open_recording(night_file), "auto") is None


def test_a_scoring_asked_for_by_name_must_be_there(night_file: Path, tmp_path: Path) -> None:
    recorded = open_recording(night_file)
    with pytest.raises(RecordingError):
        find_reference(recorded, str(tmp_path / "absent.xml"))
    with pytest.raises(RecordingError, match="no scoring in"):
        find_reference(
            recorded, str(night_file.parent.joinpath("empty").mkdir() or tmp_path / "empty")
        )


def test_simulated_files_say_so_all_the_way(tmp_path: Path, tinysleepnet: NetworkStager) -> None:
    simulate_night(1, hours=0.1, montage="sleepedf").write(tmp_path / "made_up.edf")
    staged = stage(open_recording(tmp_path / "made_up.edf"), tinysleepnet)
    assert staged.reading.simulated
    assert not replace(staged.reading, simulated=False).simulated
