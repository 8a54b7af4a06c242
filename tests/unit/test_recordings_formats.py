"""One `open_recording` for every format, each against the library that defines it."""

from __future__ import annotations

import builtins
from datetime import date, datetime
from datetime import time as clock
from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import wfdb

from recordings.formats import is_recording, open_recording
from recordings.recording import RecordingError
from tests.makers.edf_maker import write_edf

# the wfdb package uses what pandas gives up
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")
P2018_LABELS = ["F3-M2", "F4-M1", "SaO2"]


@pytest.fixture
def signals(rng):
    """Return two series in millivolt."""
    return rng.normal(0, 0.05, (3001, 2))


def write_wfdb(folder: Path, x: np.ndarray, fmt: str = "16") -> Path:
    """Write a record `slp` of an EEG in mV and an ECG in uV with the wfdb package."""
    wfdb.wrsamp(
        "slp",
        fs=250,
        units=["mV", "uV"],
        sig_name=["EEG (C4-A1)", "ECG"],
        p_signal=x * [1, 1000],
        fmt=[fmt, fmt],
        base_time=clock(23, 7, 0),
        base_date=date(1989, 1, 19),
        write_dir=str(folder),
    )
    return folder / "slp.hea"


def write_p2018(folder: Path, values: np.ndarray) -> Path:
    """Write int16 `values` (3, n) as the MAT v4 file and header of PhysioNet 2018."""
    scipy.io.savemat(folder / "tr03-0005.mat", {"val": values.astype(np.int16)}, format="4")
    lines = [f"tr03-0005 3 200 {values.shape[1]}"]
    gains = ["2.5(10)/uV", "1(0)/uV", "1000(0)/%"]
    for gain, label in zip(gains, P2018_LABELS, strict=True):
        lines.append(f"tr03-0005.mat 16+24 {gain} 16 0 -12 5 0 {label}")
    (folder / "tr03-0005.hea").write_text("\n".join(lines) + "\n# 44 M Haagse Harry\n")
    return folder / "tr03-0005.mat"


def write_dod(path: Path, x: np.ndarray, **attributes) -> Path:
    """Write a night in the layout of DOD: one minute at 250 Hz, two epochs."""
    with h5py.File(path, "w") as file:
        file["hypnogram"] = np.array([0, 1])
        file["signals/eeg/C3_M2"] = x
        file["signals/emg/EMG"] = x * 2
        file["signals/respiration/belt"] = x * 3
        for name, value in attributes.items():
            file["signals"].attrs[name] = value
    return path


def write_brainvision(folder: Path, x: np.ndarray) -> Path:
    """Write int16 `x` (n, 2) as the three files of a BrainVision recording at 500 Hz."""
    head = (
        "Brain Vision Data Exchange Header File Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        "DataFile=night.eeg\nMarkerFile=night.vmrk\nDataFormat=BINARY\nDataOrientation=MULTIPLEXED\n"
        "NumberOfChannels=2\nSamplingInterval=2000\n\n[Binary Infos]\nBinaryFormat=INT_16\n\n"
        "[Channel Infos]\nCh1=C3,,0.5,\u00b5V\nCh2=C4,,0.1,mV\n"
    )
    marks = (
        "Brain Vision Data Exchange Marker File, Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        "DataFile=night.eeg\n\n[Marker Infos]\nMk1=New Segment,,1,1,0,20200229223005000000\n"
        "Mk2=Comment,Arousal,501,250,0\n"
    )
    (folder / "night.vhdr").write_text(head, encoding="utf-8")
    (folder / "night.vmrk").write_text(marks, encoding="utf-8")
    x.astype("<i2").tofile(folder / "night.eeg")
    return folder / "night.vhdr"


def write_eeglab(path: Path, x: np.ndarray) -> Path:
    """Write `x` (2, n) in microvolt as an EEGLAB file at 200 Hz."""
    channels = np.array([("C3",), ("C4",)], dtype=[("labels", object)])
    events = np.array(
        [("Arousal", 201.0, 100.0)],
        dtype=[("type", object), ("latency", object), ("duration", object)],
    )
    eeg = {
        "setname": "night",
        "nbchan": 2.0,
        "pnts": float(x.shape[1]),
        "trials": 1.0,
        "srate": 200.0,
    }
    eeg |= {
        "xmin": 0.0,
        "xmax": (x.shape[1] - 1) / 200,
        "data": x.astype(np.float32),
        "chanlocs": channels,
    }
    eeg |= {"event": events, "epoch": np.array([]), "times": np.arange(x.shape[1]) * 5.0}
    scipy.io.savemat(path, {"EEG": eeg}, appendmat=False)
    return path


@pytest.mark.parametrize("fmt", ["16", "24", "32", "80", "212"])
def test_wfdb_equals_the_wfdb_package(tmp_path, signals, fmt):
    path = write_wfdb(tmp_path, signals, fmt)
    ours, theirs = open_recording(path), wfdb.rdrecord(str(path.with_suffix("")))
    assert ours.labels == ("EEG (C4-A1)", "ECG")
    assert [channel.unit for channel in ours.channels] == ["uV", "uV"]
    assert ours.channels[0].rate_hz == Fraction(250)
    assert (ours.start, ours.duration_s) == (datetime(1989, 1, 19, 23, 7), 3001 / 250)
    read = np.stack([ours.read(label, np.float64) for label in ours.labels], axis=1)
    np.testing.assert_allclose(read, theirs.p_signal * [1000, 1], 0, 1e-9)
    assert ours.read("ECG").dtype == np.float32
    assert ours.notes == ()


def test_wfdb_big_endian_and_several_samples_per_frame(tmp_path):
    frames = np.arange(30).reshape(10, 3)
    frames.astype(">i2").tofile(tmp_path / "r.dat")
    head = (
        "r 2 100/25.5(3) 10\nr.dat 61x2 10/uV 16 0 0 0 0 fast\nr.dat 61 -2(5)/nV 16 0 0 0 0 slow\n"
    )
    (tmp_path / "r.hea").write_text(head)
    recording = open_recording(tmp_path / "r.dat")
    assert [int(channel.rate_hz) for channel in recording.channels] == [200, 100]
    np.testing.assert_allclose(recording.read("fast"), frames[:, :2].reshape(-1) / 10)
    np.testing.assert_allclose(recording.read("slow"), (frames[:, 2] - 5) / -2 / 1000, 1e-6)


def test_physionet_2018_matrices_are_read_with_their_gains(tmp_path, rng):
    values = rng.integers(-3000, 3000, (3, 6001))
    values[1, 17] = -32768
    path = write_p2018(tmp_path, values)
    recording = open_recording(path)
    assert recording.labels == tuple(P2018_LABELS)
    assert [channel.unit for channel in recording.channels] == ["uV", "uV", "%"]
    assert recording.duration_s == 6001 / 200
    np.testing.assert_allclose(recording.read("F3-M2"), (values[0] - 10) / 2.5, 1e-6)
    np.testing.assert_allclose(recording.read("SaO2"), values[2] / 1000, 1e-6)
    assert recording.read("F4-M1")[17] == 0
    assert recording.notes == ("#1: 1 samples not measured, read as 0",)
    assert "Haagse" not in repr(vars(recording))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("slp 2 250", "slp/2 2 250", "several segments"),
        ("slp 2 250", "slp 2 x", "names no sampling rate"),
        ("slp 2 250", "slp 9 250", "promises 9 signals and describes 2"),
        ("slp 2 250", "slp two 250", "names no number of signals"),
        ("slp.dat 16", "slp.dat 310", "signal format 310 is not read here"),
        ("slp.dat 16", "../slp.dat 16", "line of signal 0 is damaged"),
        ("slp.dat 16", "gone.dat 16", "signal file gone.dat is missing"),
    ],
)
def test_wfdb_headers_in_doubt_are_refused(tmp_path, signals, old, new, reason):
    path = write_wfdb(tmp_path, signals)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(RecordingError, match=f"^slp.hea: .*{reason}[^\n]*$"):
        open_recording(path)


@pytest.mark.parametrize("gain", ["", "0/mV", "0(12)/mV", "x"])
def test_wfdb_without_a_gain_is_never_read(tmp_path, gain):
    np.arange(100, dtype="<i2").tofile(tmp_path / "r.dat")
    (tmp_path / "r.hea").write_text(f"r 1 100 100\nr.dat 16 {gain}\n")
    recording = open_recording(tmp_path / "r.hea")
    with pytest.raises(RecordingError, match="not calibrated"):
        recording.read(0)


def test_a_wfdb_file_shorter_than_its_header_is_noted(tmp_path, signals):
    path = write_wfdb(tmp_path, signals)
    data = path.with_suffix(".dat")
    data.write_bytes(data.read_bytes()[:4001])
    recording = open_recording(path)
    assert recording.notes == ("header counts 3001 frames; the files hold 1000",)
    assert len(recording.read(0)) == 1000


@pytest.mark.data("real/slpdb_rr")
def test_real_wfdb_headers_are_read(shared_data):
    from recordings.wfdb_reader import read_header

    header = read_header(shared_data / "real/slpdb_rr/slp01a.hea")
    assert [signal.label for signal in header.signals] == ["ECG", "BP", "EEG (C4-A1)", "Resp (sum)"]
    assert [signal.unit for signal in header.signals] == ["mV", "mmHg", "mV", "l"]
    assert (header.signals[1].gain, header.signals[1].baseline) == (4.77778, -477)
    assert header.start == datetime(1989, 1, 19, 23, 7)
    gains = [s.gain for s in read_header(shared_data / "real/slpdb_rr/slp03.hea").signals]
    assert gains[0] == -500


def test_dod_rates_come_from_the_hypnogram(tmp_path, rng):
    x = rng.normal(0, 30, 60 * 250)
    recording = open_recording(write_dod(tmp_path / "night.h5", x))
    assert recording.labels == ("eeg/C3_M2", "emg/EMG", "respiration/belt")
    assert {channel.rate_hz for channel in recording.channels} == {Fraction(250)}
    assert [channel.unit for channel in recording.channels] == ["uV", "uV", ""]
    assert recording.duration_s == 60
    np.testing.assert_array_equal(recording.read("emg/EMG", np.float64), x * 2)
    assert recording.notes == ("rate taken from the length of the hypnogram",)


def test_attributes_of_hdf5_files_are_believed(tmp_path, rng):
    x = rng.normal(0, 30, 6000)
    recording = open_recording(write_dod(tmp_path / "night.h5", x, fs=100.0, unit="mV"))
    assert recording.channels[0].rate_hz == 100
    np.testing.assert_allclose(recording.read(0, np.float64), x * 1000)
    assert recording.notes == ()


def test_dcsm_has_the_rate_it_documents(tmp_path, rng):
    x = rng.normal(0, 30, 2560).astype(np.float32)
    with h5py.File(tmp_path / "psg.h5", "w") as file:
        file.create_dataset("channels/F3-M2", data=x, compression="gzip")
    recording = open_recording(tmp_path / "psg.h5")
    assert (recording.labels, recording.duration_s) == (("F3-M2",), 10)
    np.testing.assert_array_equal(recording.read("F3-M2"), x)
    assert "256 Hz as DCSM documents" in recording.notes[0]


def test_hdf5_files_in_doubt_are_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = np.zeros(5)
    with h5py.File(tmp_path / "promise.h5", "w") as file:  # a shape that nothing was stored for
        file.create_dataset("channels/F3-M2", shape=(10**12,), dtype="f4")
    (tmp_path / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    for name, reason in [
        ("other", "none of the groups /signals and /channels"),
        ("promise", "no usable signal below /channels"),
        ("broken", "no readable HDF5 file"),
    ]:
        with pytest.raises(RecordingError, match=f"^{name}.h5: {reason}"):
            open_recording(tmp_path / f"{name}.h5")


def test_without_h5py_one_sentence_names_what_to_install(tmp_path, rng, monkeypatch):
    path = write_dod(tmp_path / "night.h5", rng.normal(0, 30, 60 * 250))
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "h5py":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(RecordingError, match="night.h5: .*h5py; install requirements-extras.txt"):
        open_recording(path)


def test_brainvision_becomes_microvolts(tmp_path, rng):
    x = rng.integers(-500, 500, (1500, 2))
    recording = open_recording(write_brainvision(tmp_path, x))
    assert (recording.labels, recording.duration_s) == (("C3", "C4"), 3)
    assert recording.channels[0].rate_hz == 500
    np.testing.assert_allclose(recording.read("C3"), x[:, 0] * 0.5, 1e-6)
    np.testing.assert_allclose(recording.read("C4"), x[:, 1] * 100, 1e-6)
    assert recording.start == datetime(2020, 2, 29, 22, 30, 5)
    arousal = recording.annotations[-1]
    assert (arousal.onset_s, arousal.duration_s, arousal.text) == (1, 0.5, "Comment/Arousal")
    assert open_recording(tmp_path / "night.eeg").labels == ("C3", "C4")


def test_eeglab_is_read_in_microvolts(tmp_path, rng):
    x = rng.normal(0, 30, (2, 1000))
    recording = open_recording(write_eeglab(tmp_path / "night.set", x))
    assert (recording.labels, recording.duration_s) == (("C3", "C4"), 5)
    np.testing.assert_allclose(recording.read("C4"), x[1], 1e-5)
    assert recording.annotations[0].onset_s == 1


@pytest.mark.data("real/yasa_samples")
def test_a_real_fif_file_is_read_from_its_first_sample(shared_data):
    path = shared_data / "real/yasa_samples/data_resting_EO_200Hz_raw.fif"
    recording = open_recording(path)
    assert (recording.labels, recording.duration_s) == (("F4-A1", "CZ-A2"), 360)
    assert recording.start == datetime(2019, 2, 27, 8, 18, 12)  # 10 s were cut off in front
    assert 5 < recording.read("F4-A1").std() < 50


@pytest.mark.parametrize("suffix", [".vhdr", ".set", ".fif"])
def test_what_mne_cannot_read_is_refused(tmp_path, suffix):
    path = tmp_path / f"night{suffix}"
    path.write_bytes(b"\x00garbage" * 50)
    with pytest.raises(RecordingError, match=f"^night{suffix}: MNE cannot read it"):
        open_recording(path)


def test_edf_is_recognised_by_content_whatever_its_suffix(tmp_path, rng):
    for name in ("8.rec", "night.EDF", "night.bin"):
        path = write_edf(tmp_path / name, {"C4": (rng.normal(0, 9, 256), 256)})
        assert open_recording(path).labels == ("C4",)


def test_other_files_are_refused_with_what_to_do(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "lone.mat").write_text("x")
    for name, reason in [
        ("notes.txt", "none of EDF, BDF, .*; convert it to EDF"),
        ("lone.mat", "the header lone.hea is not beside it"),
        ("gone.edf", "no such file"),
    ]:
        with pytest.raises(RecordingError, match=f"^{name}: {reason}"):
            open_recording(tmp_path / name)


def test_a_walk_over_a_folder_finds_each_recording_once(tmp_path, rng, signals):
    x = {"C4": (rng.normal(0, 9, 256), 256)}
    write_edf(tmp_path / "a.edf", x)
    write_edf(tmp_path / "b.REC", x)
    write_edf(tmp_path / "a-Hypnogram.edf", {}, annotations=[(0, 30, "Sleep stage W")])
    (tmp_path / "damaged.edf").write_text("0       cut")
    write_wfdb(tmp_path, signals)
    write_p2018(tmp_path, rng.integers(-9, 9, (3, 100)))
    write_dod(tmp_path / "night.h5", rng.normal(0, 9, 60 * 250))
    write_brainvision(tmp_path, rng.integers(-9, 9, (50, 2)))
    (tmp_path / "other.h5").write_text("text")
    (tmp_path / "tr03-0005-arousal.mat").write_text("text")
    (tmp_path / "folder.edf").mkdir()
    found = {path.name for path in tmp_path.iterdir() if is_recording(path)}
    assert found == {
        *{"a.edf", "b.REC", "damaged.edf", "slp.hea", "tr03-0005.hea", "night.h5", "night.vhdr"}
    }
