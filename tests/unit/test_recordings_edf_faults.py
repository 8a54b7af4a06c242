"""Faults of real EDF files: repaired and noted, the channel dead, or one clear refusal."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from recordings.edf import EdfRecording
from recordings.recording import RecordingError
from tests.makers.edf_maker import FAULTS, START, set_field, write_edf

N_RECORDS = 10
MIDNIGHTLESS = datetime(1985, 1, 1, START.hour, START.minute, START.second)

REFUSED = {
    "no records": "empty",
    "number of signals unreadable": "unreadable header",
    "number of signals 0": "unreadable header",
    "number of signals too large": "unreadable header",
    "record length unreadable": "unreadable header",
    "record length negative": "unreadable header",
    "header cut": "unreadable header",
    "samples per record unreadable": "unreadable header",
}
DEAD = {
    "physical range zero": "physical minimum and maximum are equal",
    "physical limit not a number": "no number",
    "physical limit infinite": "no number",
    "digital range zero": "digital minimum and maximum are equal",
}
# fault: (words of the note or None, records that are read)
REPAIRED = {
    "records -1": ("not given; the file holds 10", 10),
    "records not a number": ("not given; the file holds 10", 10),
    "records too many": ("counts 99999 data records; the file holds 10", 10),
    "records too few": ("counts 2 data records; 4112 bytes after them unread", 2),
    "last record cut": ("the file holds 9", 9),
    "bytes after the last record": ("9 bytes after the last", 10),
    "date 00.00.00": ("start date is not valid", 10),
    "date in words": ("start date is not valid", 10),
    "time 26.00.99": ("start time is not valid", 10),
    "time with colons": (None, 10),
    "header size wrong": ("header size field is wrong", 10),
    "version damaged": ("version field is damaged", 10),
    "reserved says discontinuous": ("read as continuous", 10),
    "patient in Latin-1": (None, 10),
    "label in UTF-8": (None, 10),
    "label in Latin-1": (None, 10),
    "unit with micro sign": (None, 10),
}
RESCALED = {"decimal comma", "physical range inverted", "digital limits beyond 16 bits"}


@pytest.fixture
def signals(rng):
    """Return two channels; the first one gets the fault."""
    return {
        "C4": (rng.normal(0, 40, 256 * N_RECORDS), 256),
        "SpO2": (np.full(N_RECORDS, 97.0), 1),
    }


@pytest.fixture
def faulty(tmp_path, signals):
    """Return what writes a file with one fault."""

    def write(fault: str, **options):
        limits = {"C4": (-300.0, 300.0), "SpO2": (0.0, 100.0)}
        path = write_edf(tmp_path / "night.edf", signals, limits=limits, **options)
        FAULTS[fault](path)
        return path

    return write


def test_every_fault_is_expected():
    assert set(FAULTS) == {*REFUSED, *DEAD, *REPAIRED, *RESCALED}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_leaves_the_samples_in_doubt_is_refused_in_one_sentence(faulty, fault):
    with pytest.raises(RecordingError, match=f"^night.edf: {REFUSED[fault]}[^\n]*$"):
        EdfRecording(faulty(fault))


@pytest.mark.parametrize("fault", DEAD)
def test_an_impossible_calibration_kills_the_channel_alone(faulty, signals, fault):
    recording = EdfRecording(faulty(fault))
    assert DEAD[fault] in recording.channel("C4").dead
    assert any(DEAD[fault] in note for note in recording.notes)
    with pytest.raises(RecordingError, match=r"night.edf: channel 'C4' \(#0\) cannot be used"):
        recording.read("C4")
    np.testing.assert_allclose(recording.read("SpO2"), signals["SpO2"][0], 0, 0.01)


@pytest.mark.parametrize("fault", REPAIRED)
@pytest.mark.parametrize("bdf", [False, True])
def test_a_repaired_file_gives_the_same_samples(faulty, signals, fault, bdf):
    words, n_records = REPAIRED[fault]
    if bdf and fault == "records too few":
        words = words.replace("4112", "6168")
    recording = EdfRecording(faulty(fault, bdf=bdf))
    assert recording.notes == () if words is None else any(words in n for n in recording.notes)
    for place, (x, rate_hz) in enumerate(signals.values()):
        np.testing.assert_allclose(recording.read(place), x[: n_records * rate_hz], 0, 0.01)


def test_clocks_are_repaired_as_far_as_they_can_be(faulty):
    assert EdfRecording(faulty("date 00.00.00")).start == MIDNIGHTLESS
    assert EdfRecording(faulty("time 26.00.99")).start is None
    assert EdfRecording(faulty("time with colons")).start == START


def test_labels_and_units_outside_ascii_are_read(faulty):
    assert EdfRecording(faulty("label in UTF-8")).labels[0] == "1 Imp\xe9dance"
    assert EdfRecording(faulty("label in Latin-1")).labels[0] == "1 Imp\xe9dance"
    assert EdfRecording(faulty("unit with micro sign")).channels[0].unit == "uV"


@pytest.mark.parametrize(
    ("fault", "physical", "digital"),
    [
        ("decimal comma", (-300, 200.5), (-32768, 32767)),
        ("physical range inverted", (500, 300), (-32768, 32767)),
        ("digital limits beyond 16 bits", (-300, 300), (-72984, 50277)),
    ],
)
def test_the_calibration_is_the_one_that_is_written(faulty, fault, physical, digital):
    recording = EdfRecording(faulty(fault))
    gain = (physical[1] - physical[0]) / (digital[1] - digital[0])
    wanted = (recording.digital("C4") - np.float64(digital[0])) * gain + physical[0]
    np.testing.assert_allclose(recording.read("C4", np.float64), wanted, 0, 1e-10)


def test_limits_are_those_that_sixteen_bits_can_reach(faulty):
    channel = EdfRecording(faulty("digital limits beyond 16 bits")).channel("C4")
    gain = 600 / (50277 + 72984)
    np.testing.assert_allclose(
        channel.limits, ((72984 - 32768) * gain - 300, (72984 + 32767) * gain - 300)
    )


def test_an_inverted_range_is_noted(faulty):
    assert (
        "limits are inverted, so the gain is negative: #0"
        in EdfRecording(faulty("physical range inverted")).notes
    )


def test_a_channel_without_samples_is_dead_and_the_rest_is_read(tmp_path, rng):
    rows = {"a": (rng.normal(0, 1, 100), 10), "b": (rng.normal(0, 1, 100), 10)}
    path = write_edf(tmp_path / "night.edf", rows)
    set_field(path, "samples", "20", 0)
    set_field(path, "samples", "0", 1)
    recording = EdfRecording(path)
    assert recording.channel("b").dead == "no samples"
    assert recording.channel("a").rate_hz == 20
    assert len(recording.read("a")) == 200


def test_signals_in_records_of_no_time_are_dead(tmp_path, rng):
    path = write_edf(tmp_path / "night.edf", {"a": (rng.normal(0, 1, 100), 10)})
    set_field(path, "record_s", "0")
    assert "rate unknown" in EdfRecording(path).channel("a").dead


@pytest.mark.parametrize(("low", "high", "unit"), [("-1E38", "1E38", "V"), ("0", "1E-40", "uV")])
def test_a_calibration_beyond_single_precision_is_dead(tmp_path, rng, low, high, unit):
    path = write_edf(tmp_path / "night.edf", {"a": (rng.normal(0, 1, 100), 10)}, unit=unit)
    set_field(path, "pmin", low, 0)
    set_field(path, "pmax", high, 0)
    assert "out of every range" in EdfRecording(path).channel("a").dead


def test_a_file_that_is_none_of_ours_is_refused(tmp_path):
    path = tmp_path / "notes.edf"
    path.write_text("dear diary " * 100)
    with pytest.raises(RecordingError, match="^notes.edf: unreadable header"):
        EdfRecording(path)
    with pytest.raises(RecordingError, match="^missing.edf: cannot be opened"):
        EdfRecording(tmp_path / "missing.edf")
