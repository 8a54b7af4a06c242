"""Real EDF and BDF files, odd ones of nine other readers among them: what each of them gives."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pyedflib
import pytest

from recordings.formats import open_recording
from recordings.recording import RecordingError


@dataclass(frozen=True)
class Expected:
    """What a file gives; `rates` are the lowest and the highest, `gaps_s` seconds of pauses."""

    bits: int
    channels: int
    rates: tuple[int, ...]
    duration_s: float
    annotations: int
    start: str
    gaps_s: float = 0
    notes: tuple[str, ...] = ()


READ = {
    "odd_edf/EDF.jl__bdf_test.bdf": Expected(24, 8, (250,), 73, 0, "2020-02-02 02:20:20"),
    "odd_edf/EDF.jl__evt.bdf": Expected(24, 1, (1,), 1081, 1081, "2021-08-15 10:06:29"),
    "odd_edf/edfReader__bdfPlusC.bdf": Expected(24, 11, (200,), 20, 2, "2009-12-10 12:45:54"),
    "odd_edf/edfReader__bdfPlusD.bdf": Expected(
        24, 11, (200,), 20, 1, "2009-12-10 12:45:54", 10, ("7 pauses, 10.0 s in all",)
    ),
    "odd_edf/edfReader__edfAnnonC.edf": Expected(
        16, 2, (20000, 30000), 1.2, 8, "2000-01-01 14:15:16.700000"
    ),
    "odd_edf/edfReader__edfPlusC.edf": Expected(16, 11, (200,), 20, 2, "2009-12-10 12:44:02"),
    "odd_edf/edfio__mne_test.edf": Expected(16, 139, (512,), 6, 5, "2014-04-29 22:19:44"),
    "odd_edf/edfio__test_subsecond.bdf": Expected(
        24, 1, (128,), 698, 4, "2020-01-24 04:05:56.394531", 0, ("limits are inverted",)
    ),
    "odd_edf/edfio__test_subsecond.edf": Expected(
        16, 1, (128,), 698, 4, "2020-01-24 04:05:56.394531", 0, ("limits are inverted",)
    ),
    "odd_edf/edfize__simulated-01.edf": Expected(16, 3, (1, 2), 10, 0, "2014-05-07 14:25:42"),
    "odd_edf/mne-testing-data__MB0400FU.EDF": Expected(
        16, 25, (200,), 29, 4, "2019-04-03 16:00:16"
    ),
    "odd_edf/mne-testing-data__chtypes_edf.edf": Expected(
        16, 42, (200,), 5, 8, "2015-11-19 19:33:09"
    ),
    "odd_edf/mne-testing-data__subsecond_starttime.edf": Expected(
        16, 3, (512,), 5, 2, "2020-01-24 04:05:56.394531", 0, ("limits are inverted",)
    ),
    "odd_edf/mne-testing-data__test_bdf_stim_channel.bdf": Expected(
        24, 4, (500,), 10, 0, "2015-03-19 08:04:01"
    ),
    "odd_edf/mne-testing-data__test_edf_overlapping_annotations.edf": Expected(
        16, 64, (128,), 124, 38, "2009-08-12 16:15:00"
    ),
    "odd_edf/mne-testing-data__test_reduced.edf": Expected(
        16, 139, (1, 512), 6, 5, "2014-04-29 22:19:44"
    ),
    "odd_edf/mne-testing-data__test_utf8_annotations.edf": Expected(
        16, 11, (200,), 10, 2, "2009-12-10 12:44:02"
    ),
    "odd_edf/pyedflib__test_generator.bdf": Expected(
        24, 5, (500, 1000), 30, 0, "2000-01-01 00:00:00"
    ),
    "odd_edf/pyedflib__test_legacy.edf": Expected(16, 11, (200,), 600, 2, "2011-04-04 12:57:02"),
    "odd_edf/wfdb-python__test_edfann.edf": Expected(16, 0, (), 0, 856, "2001-01-01 23:59:30"),
    "sleepedf_original/SC4001EC-Hypnogram.edf": Expected(16, 0, (), 0, 154, "1989-04-24 16:13:00"),
    "sleepedf_original/short_psg.bdf": Expected(24, 7, (1, 100), 300, 0, "1989-04-24 16:13:00"),
    "sleepedf_original/short_psg.edf": Expected(16, 7, (1, 100), 300, 0, "1989-04-24 16:13:00"),
    "rsleep_nox/subject1.edf": Expected(16, 89, (1, 200), 120, 0, "2018-02-06 01:36:50"),
    "dreams_spindles/excerpt3.edf": Expected(16, 20, (1, 50), 1800, 0, "2003-11-17 03:27:00"),
}
REFUSED = {
    "odd_edf/EDF.jl__test_merged.edf": "pauses for 43194 s",
    "odd_edf/EDF4J__invalid.edf": "unreadable header: the number of signals",
    "odd_edf/edfize__zero-data-records.edf": "empty: its header counts 0 data records",
}
# files that pyedflib reads with the same channels
PYEDFLIB = [
    *[f"odd_edf/edfReader__{name}" for name in ("bdfPlusC.bdf", "edfAnnonC.edf", "edfPlusC.edf")],
    *["odd_edf/EDF.jl__bdf_test.bdf", "odd_edf/edfio__test_subsecond.edf"],
    *["odd_edf/edfize__simulated-01.edf", "odd_edf/mne-testing-data__chtypes_edf.edf"],
    *["odd_edf/mne-testing-data__test_reduced.edf", "odd_edf/pyedflib__test_generator.bdf"],
    *["sleepedf_original/short_psg.edf", "sleepedf_original/short_psg.bdf"],
]


def marked(names):
    """Return one parameter per file, skipped where the file is not on this machine."""
    return [pytest.param(name, marks=pytest.mark.data(f"real/{name}")) for name in names]


@pytest.mark.data("real/odd_edf")
def test_every_odd_file_is_expected(shared_data):
    there = {f"odd_edf/{p.name}" for p in (shared_data / "real/odd_edf").glob("*.[eEbB][dD][fF]")}
    assert there <= {*READ, *REFUSED}


@pytest.mark.parametrize("name", marked(READ))
def test_a_real_file_is_read(shared_data, name):
    expected, recording = READ[name], open_recording(shared_data / "real" / name)
    rates = sorted({channel.rate_hz for channel in recording.channels})
    assert len(recording.channels) == expected.channels
    assert tuple(dict.fromkeys(rates[:1] + rates[-1:])) == tuple(map(Fraction, expected.rates))
    assert recording.duration_s == pytest.approx(expected.duration_s)
    assert len(recording.annotations) == expected.annotations
    assert str(recording.start) == expected.start
    assert sum(to_s - from_s for from_s, to_s in recording.gaps) == expected.gaps_s
    assert len(recording.notes) == len(expected.notes)
    assert all(map(str.startswith, recording.notes, expected.notes))
    for channel in recording.channels:
        samples = recording.read(channel.position)
        assert samples.shape == (channel.n_samples,)
        assert np.isfinite(samples).all()
        assert np.ptp(recording.digital(channel.position)) < 2**expected.bits


@pytest.mark.parametrize("name", marked(REFUSED))
def test_a_real_file_is_refused_in_one_sentence(shared_data, name):
    path = shared_data / "real" / name
    with pytest.raises(RecordingError, match=f"^{path.name}: {REFUSED[name]}[^\n]*$"):
        open_recording(path)


@pytest.mark.parametrize("name", marked(PYEDFLIB))
def test_real_samples_equal_pyedflib(shared_data, name):
    path = shared_data / "real" / name
    recording = open_recording(path)
    with pyedflib.EdfReader(str(path)) as theirs:
        for i, channel in enumerate(recording.channels):
            np.testing.assert_array_equal(recording.digital(i), theirs.readSignal(i, digital=True))
            scale = max(map(abs, channel.limits))
            factor = 1e6 if channel.unit_in_file == "V" else 1
            wanted = theirs.readSignal(i) * factor
            np.testing.assert_allclose(recording.read(i, np.float64), wanted, 0, 1e-13 * scale)


@pytest.mark.data("real/dreams_spindles")
def test_dreams_units_in_capitals_are_microvolts(shared_data):
    folder = shared_data / "real/dreams_spindles"
    recording = open_recording(folder / "excerpt3.edf")
    wanted = np.loadtxt(folder / "excerpt3.txt", skiprows=1)
    read = recording.read("C3-A1")
    np.testing.assert_allclose(read[: len(wanted)], wanted, 0, 0.02)  # the text has two decimals
    assert recording.channel("C3-A1").unit == "uV"


@pytest.mark.data("real/rsleep_nox/subject1.edf")
def test_nox_volts_are_microvolts_and_its_labels_keep_their_accents(shared_data):
    recording = open_recording(shared_data / "real/rsleep_nox/subject1.edf")
    assert "C3 Imp\xe9dance" in recording.labels
    assert recording.channel("C4-M1").unit == "uV"
    assert 1 < recording.read("C4-M1").std() < 500
