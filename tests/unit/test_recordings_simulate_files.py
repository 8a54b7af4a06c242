"""Simulated nights as files: montages, marks and scorings, faults that were asked for, flags."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pyedflib
import pytest

from command_line import parse
from nights.stages import N1, N2, N3, R, W
from nights.stages import STAGES as NAMES
from recordings.edf import EdfRecording
from recordings.edf.writing import Signal, write_edfplus
from recordings.recording import SIMULATED, Annotation, RecordingError
from recordings.simulate import simulate_night
from recordings.simulate.__main__ import Config, main
from recordings.simulate.montage import MONTAGES


@pytest.mark.parametrize("montage", MONTAGES)
def test_every_montage_is_written_as_edf_that_others_read(montage: str, tmp_path: Path) -> None:
    night = simulate_night(1, hours=0.25, montage=montage)
    night.write(tmp_path / "night.edf")
    with pyedflib.EdfReader(str(tmp_path / "night.edf")) as file:
        assert file.filetype == pyedflib.FILETYPE_EDFPLUS
        assert file.getSignalLabels() == list(night.signals)
        assert file.getFileDuration() == 900
        assert file.getStartdatetime() == night.start
        assert "simulated" in file.getPatientName()
        for place, signal in enumerate(night.signals.values()):
            header = file.getSignalHeader(place)
            assert Fraction(header["sample_frequency"]) == signal.rate_hz
            assert header["dimension"] == signal.unit
            step = (header["physical_max"] - header["physical_min"]) / 65535
            assert np.abs(file.readSignal(place) - signal.samples).max() <= 0.51 * step


def test_our_own_reader_gives_back_signals_clock_and_marks(tmp_path: Path) -> None:
    night = simulate_night(1, hours=0.25, montage="home")
    night.write(tmp_path / "night.edf", scoring="both")
    recording = EdfRecording(tmp_path / "night.edf")
    assert recording.labels == tuple(night.signals)
    assert recording.start == night.start
    assert recording.gaps == ()
    for label, signal in night.signals.items():
        assert recording.channel(label).rate_hz == signal.rate_hz
        assert not recording.channel(label).dead
        scale = 1000 if signal.unit == "mV" else 1  # the reader gives every voltage in uV
        read = recording.read(label) / scale
        assert np.abs(read - signal.samples).max() < 1e-3 * (100 if signal.unit == "%" else 5)
    assert recording.simulated
    assert [mark.text for mark in recording.annotations if "stage" not in mark.text] == [
        SIMULATED,
        *(event.text for event in night.events),
    ]
    assert EdfRecording(tmp_path / "night-Hypnogram.edf").annotations == recording.annotations


def test_scoring_inside_the_file_and_beside_it_is_the_truth(tmp_path: Path) -> None:
    night = simulate_night(1, hours=0.5, ahi=30, montage="home")
    night.write(tmp_path / "night.edf", scoring="both")
    for name in ("night.edf", "night-Hypnogram.edf"):
        with pyedflib.EdfReader(str(tmp_path / name)) as file:
            onsets, durations, texts = file.readAnnotations()
        stages = [-1] * night.hypnogram.n_epochs
        events = []
        for onset, duration, text in zip(onsets, durations, texts, strict=True):
            if text.startswith("Sleep stage "):
                first, n = round(onset / 30), round(duration / 30)
                stages[first : first + n] = [NAMES.index(text[12:])] * n
            else:
                events.append(Annotation(float(onset), float(duration), text))
        assert stages == night.hypnogram.stages.tolist()
        assert events == [Annotation(0.0, 0.0, SIMULATED), *night.events]


def test_scoring_can_stay_out_of_the_recording(tmp_path: Path) -> None:
    night = simulate_night(1, hours=0.25, montage="home")
    night.write(tmp_path / "night.edf", scoring="none")
    with pyedflib.EdfReader(str(tmp_path / "night.edf")) as file:
        assert file.readAnnotations()[2].tolist() == [SIMULATED]
    assert [path.name for path in tmp_path.iterdir()] == ["night.edf"]


def test_signals_are_finite_float32_of_the_declared_length() -> None:
    for montage in MONTAGES:
        for label, signal in simulate_night(2, hours=10 / 60, montage=montage).signals.items():
            assert signal.samples.dtype == np.float32, label
            assert len(signal.samples) == 600 * signal.rate_hz, label
            assert np.isfinite(signal.samples).all(), label
            assert signal.samples.std() > 0 or label == "SpO2"


@pytest.mark.parametrize("stage", [W, N1, N2, N3, R])
def test_one_epoch_of_any_stage_is_a_night(stage: int) -> None:
    assert len(simulate_night(0, stages=[stage]).signals["ECG"].samples) == 30 * 256


def test_the_same_seed_gives_the_same_night_and_another_another() -> None:
    one, same, other = (simulate_night(seed, hours=0.5) for seed in (1, 1, 2))
    for label in one.signals:
        assert np.array_equal(one.signals[label].samples, same.signals[label].samples)
        assert label == "SpO2" or not np.array_equal(
            one.signals[label].samples, other.signals[label].samples
        )
    assert one.events == same.events
    assert one.person != other.person


def test_the_montage_changes_neither_stages_nor_events_nor_beats() -> None:
    full, home = (simulate_night(4, hours=0.5, ahi=20, montage=name) for name in ("full", "home"))
    assert np.array_equal(full.hypnogram.stages, home.hypnogram.stages)
    assert full.events == home.events
    assert np.array_equal(full.beats_s, home.beats_s)


def test_refusals_say_what_was_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no montage 'huge'; there are full"):
        simulate_night(0, montage="huge")
    with pytest.raises(ValueError, match="no signal 'Cz' to take off; there are ECG"):
        simulate_night(0, hours=0.1, montage="home", lead_off=[("Cz", 0, 1)])
    with pytest.raises(ValueError, match="ECG cannot be off for 1 s from 360 of 360"):
        simulate_night(0, hours=0.1, montage="home", lead_off=[("ECG", 360, 1)])
    with pytest.raises(ValueError, match="ahi must be 0 or more, found -1"):
        simulate_night(0, hours=0.1, montage="home", ahi=-1)
    with pytest.raises(ValueError, match="a stage for every epoch"):
        simulate_night(0, stages=[W, -1])
    with pytest.raises(ValueError, match="at least one epoch"):
        simulate_night(0, hours=0)
    uneven = {
        "A": Signal(np.zeros(20, np.float32), Fraction(10), "uV"),
        "B": Signal(np.zeros(30, np.float32), Fraction(10), "uV"),
    }
    with pytest.raises(RecordingError, match="different lengths in records: A 2, B 3"):
        write_edfplus(
            tmp_path / "x.edf", uneven, [], start=datetime(2001, 1, 1), patient="", equipment=""
        )
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------- command line


def test_the_command_line_writes_the_night_it_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "n.edf"
    flags = ["--out", str(out), "--seed", "4", "--hours", "0.25", "--montage", "home"]
    assert main(parse(Config, [*flags, "--lead-off", "ECG:10:20", "--scoring", "both"])) == 0
    assert "simulated night of 30 epochs" in capsys.readouterr().out
    assert sorted(path.name for path in out.parent.iterdir()) == ["n-Hypnogram.edf", "n.edf"]


def test_the_command_line_offers_every_montage() -> None:
    assert get_args(get_type_hints(Config)["montage"]) == tuple(MONTAGES)


@pytest.mark.parametrize("flags", [["--hours", "0"], ["--lead-off", "ECG"], ["--montage", "x"]])
def test_bad_flags_end_with_status_2(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse(Config, flags)
    assert stopped.value.code == 2
    assert flags[-1] in capsys.readouterr().err
