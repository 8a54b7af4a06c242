"""EDF and BDF files that are valid: against pyedflib, and what EDF+ adds to the samples."""

from __future__ import annotations

import tracemalloc
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyedflib
import pytest

from recordings.edf import EdfRecording
from recordings.recording import Annotation, RecordingError
from tests.makers.edf_maker import write_edf


def uneven(rng: np.random.Generator, seconds: int = 60) -> dict[str, tuple[np.ndarray, float]]:
    """Return channels of three rates."""
    return {
        "EEG C4-M1": (rng.normal(0, 40, 256 * seconds), 256),
        "EOG E1-M2": (rng.normal(0, 90, 100 * seconds), 100),
        "SpO2": (rng.uniform(80, 99, 2 * seconds), 2),
    }


@pytest.mark.parametrize("record_s", [0.5, 1, 10, 30])
@pytest.mark.parametrize("bdf", [False, True])
@pytest.mark.parametrize("plus", [False, True])
def test_valid_files_equal_pyedflib(tmp_path, rng, record_s, bdf, plus):
    path = write_edf(tmp_path / "a.edf", uneven(rng), record_s=record_s, bdf=bdf, plus=plus)
    ours = EdfRecording(path)
    with pyedflib.EdfReader(str(path)) as theirs:
        assert list(ours.labels) == theirs.getSignalLabels()
        assert ours.duration_s == theirs.getFileDuration()
        for i, channel in enumerate(ours.channels):
            assert float(channel.rate_hz) == theirs.getSampleFrequency(i)
            np.testing.assert_array_equal(ours.digital(i), theirs.readSignal(i, digital=True))
            np.testing.assert_allclose(ours.read(i, np.float64), theirs.readSignal(i), 0, 1e-12)
    assert ours.notes == ()


def test_float32_differs_from_float64_by_rounding_alone(tmp_path, rng):
    recording = EdfRecording(write_edf(tmp_path / "a.edf", uneven(rng)))
    for channel in recording.channels:
        single, double = recording.read(channel.label), recording.read(channel.label, np.float64)
        assert (single.dtype, double.dtype) == (np.float32, np.float64)
        np.testing.assert_allclose(single, double, 0, 1e-6 * np.abs(double).max())


def test_a_fractional_record_keeps_the_rate_exact(tmp_path, rng):
    path = write_edf(tmp_path / "a.edf", {"x": (rng.normal(0, 1, 900), 3000)}, record_s="0.1")
    assert EdfRecording(path).channel("x").rate_hz == Fraction(3000)


@pytest.mark.parametrize(
    ("written", "unit", "factor"),
    [
        *[("uV", "uV", 1), ("UV", "uV", 1), ("nV", "uV", 1e-3), ("V", "uV", 1e6)],
        *[("mV", "uV", 1e3), ("MV", "uV", 1e3), ("\u00b5V", "uV", 1), ("%", "%", 1)],
        *[("", "", 1), ("n/a", "", 1), ("V/s", "V/s", 1), ("DegC", "DegC", 1)],
    ],
)
def test_voltages_become_microvolts_and_other_units_stay(tmp_path, rng, written, unit, factor):
    x = rng.uniform(-3, 3, 256)
    path = write_edf(tmp_path / "a.edf", {"x": (x, 256)}, unit=written, limits=(-4, 4))
    channel = EdfRecording(path).channel("x")
    assert (channel.unit, channel.unit_in_file) == (unit, written)
    np.testing.assert_allclose(EdfRecording(path).read("x"), x * factor, 0, 1e-4 * factor)
    np.testing.assert_allclose(channel.limits, (-4 * factor, 4 * factor))


def test_duplicate_labels_are_kept_by_position(tmp_path, rng):
    rows = [("EEG", rng.normal(0, 5, 256), 256), ("EEG", rng.normal(0, 9, 256), 256)]
    recording = EdfRecording(write_edf(tmp_path / "a.edf", rows))
    np.testing.assert_allclose(recording.read(1), rows[1][1], 0, 1e-2)
    assert "2 channels are called 'EEG'" in recording.notes
    with pytest.raises(RecordingError, match="stands 2 times"):
        recording.read("EEG")


def test_annotations_of_all_channels_are_read_in_order(tmp_path, rng):
    marks = [(0, 30, "Sleep stage W"), (0.25, None, "\u4ef0\u5367"), (12.5, 0.5, "Arousal")]
    path = write_edf(
        tmp_path / "a.edf", uneven(rng), annotations=marks[::-1], annotation_channels=3
    )
    recording = EdfRecording(path)
    assert recording.annotations == tuple(Annotation(a, b or 0.0, c) for a, b, c in marks)
    assert recording.labels == ("EEG C4-M1", "EOG E1-M2", "SpO2")


def test_annotations_count_from_the_first_sample_after_a_fractional_start(tmp_path, rng):
    start = datetime(2019, 5, 6, 23, 59, 59, 394531)
    marks = [(-1.5, None, "before"), (2, 3, "after")]
    recording = EdfRecording(
        write_edf(tmp_path / "a.edf", uneven(rng), start=start, annotations=marks)
    )
    assert recording.start == start
    assert [mark.onset_s for mark in recording.annotations] == [-1.5, 2]


def test_a_file_of_annotations_alone_is_valid(tmp_path):
    marks = [(30.0 * i, 30, f"Sleep stage {stage}") for i, stage in enumerate("W123R")]
    recording = EdfRecording(write_edf(tmp_path / "hypnogram.edf", {}, annotations=marks))
    assert (recording.channels, recording.duration_s) == ((), 0)
    assert [mark.text[-1] for mark in recording.annotations] == list("W123R")


def test_noxturnal_numbers_its_annotation_channel(tmp_path, rng):
    path = write_edf(tmp_path / "a.edf", uneven(rng), annotations=[(1, 1, "x")])
    path.write_bytes(path.read_bytes().replace(b"EDF Annotations ", b"EDF Annotations1"))
    recording = EdfRecording(path)
    assert len(recording.channels) == 3
    assert recording.annotations == (Annotation(1, 1, "x"),)


def test_pauses_keep_the_clock_and_are_zeros(tmp_path):
    x = np.arange(1, 101, dtype=float)
    onsets_s = [0, 1, 2, 5.5, 6.5, 7.5, 8.5, 60, 61, 62]
    path = write_edf(tmp_path / "a.edf", {"x": (x, 10)}, record_onsets_s=onsets_s, limits=(0, 200))
    recording = EdfRecording(path)
    assert recording.gaps == ((3, 5.5), (9.5, 60))
    assert (recording.duration_s, recording.channel("x").n_samples) == (63, 630)
    read = recording.read("x")
    for record, onset_s in enumerate(onsets_s):
        begin = round(onset_s * 10)
        np.testing.assert_allclose(read[begin : begin + 10], x[record * 10 :][:10], 0, 0.01)
    assert not read[30:55].any()
    assert np.count_nonzero(read) == 100


@pytest.mark.parametrize(
    ("onsets_s", "reason"),
    [([0, 1, 3700], "pauses for 3698 s"), ([0, 1, 1.5], "begins 0.5 s before the end")],
)
def test_long_pauses_and_overlaps_are_refused(tmp_path, rng, onsets_s, reason):
    x = {"x": (rng.normal(0, 1, 30), 10)}
    path = write_edf(tmp_path / "a.edf", x, record_onsets_s=onsets_s)
    with pytest.raises(RecordingError, match=f"a.edf: .*{reason}"):
        EdfRecording(path)


def test_marks_that_contradict_a_continuous_file_are_set_aside(tmp_path, rng):
    x = {"x": (rng.normal(0, 1, 30), 10)}
    path = write_edf(tmp_path / "a.edf", x, record_onsets_s=[0, 0, 0])
    path.write_bytes(path.read_bytes().replace(b"EDF+D", b"EDF+C"))
    recording = EdfRecording(path)
    assert (recording.duration_s, recording.gaps) == (3, ())
    assert "contradict each other" in recording.notes[0]


def test_rounded_onsets_are_no_pauses(tmp_path, rng):
    third = [round(i / 3, 3) for i in range(30)]
    x = {"x": (rng.normal(0, 1, 300), 10 / Fraction("0.333333"))}
    path = write_edf(tmp_path / "a.edf", x, record_s="0.333333", record_onsets_s=third, plus=True)
    assert EdfRecording(path).gaps == ()


def test_no_text_about_the_person_is_kept(tmp_path, rng):
    path = write_edf(
        tmp_path / "a.edf",
        uneven(rng),
        annotations=[(0, 1, "x")],
        patient="MCH-0234567 F 02-MAY-1951 Haagse_Harry",
        recording="Startdate 02-MAR-2002 PSG-1234/2002 NN Telemetry03",
        prefilter="HP:0.3Hz by Haagse_Harry LP:35Hz N:50Hz",
    )
    recording = EdfRecording(path)
    kept = repr(vars(recording)) + repr(recording.channels)
    assert not any(word in kept for word in ("Haagse", "MCH", "1951", "Telemetry", "AgAgCl"))
    assert recording.channels[0].prefilter == "HP:0.3Hz LP:35Hz N:50Hz"


def test_what_a_header_promises_is_not_allocated(tmp_path, rng):
    path: Path = write_edf(tmp_path / "a.edf", {"x": (rng.normal(0, 1, 2560), 256)})
    path.write_bytes(path.read_bytes().replace(b"10      1   ", b"999999991   ", 1))
    tracemalloc.start()
    recording = EdfRecording(path)
    assert len(recording.read("x")) == 2560
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()
