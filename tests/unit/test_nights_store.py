"""The night store: what is written is read back, whole or not at all, and faults are found."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from nights.events import Event, event_seconds
from nights.hypnogram import Hypnogram
from nights.store import Night, NightError, write_night
from tests.makers.nights import VIEW, eeg_like, make_night

ROOT = Path(__file__).resolve().parents[2]


def _one(root: Path, samples: np.ndarray, **facts: object) -> Path:
    """Write a night with the one channel C4."""
    hypnogram = Hypnogram(np.full(len(samples), 2))
    known = {"view": VIEW, "person": "p"} | facts
    return write_night(root, "SET", "n1", {"sig": (["C4"], [samples])}, hypnogram, **known)  # type: ignore[arg-type]


def test_signals_come_back_within_half_precision(tmp_path: Path) -> None:
    samples = eeg_like(40)
    read = Night.open(_one(tmp_path, samples)).read()["C4"]
    assert read.dtype == np.float32
    # 2**-11 of the distance from the median, which was taken off before rounding
    assert np.abs(read - samples).max() <= np.abs(samples - 35).max() * 2**-11 + 1e-4


def test_float32_keeps_every_bit(tmp_path: Path) -> None:
    samples = eeg_like(10)
    night = Night.open(_one(tmp_path, samples, dtype="float32"))
    assert np.array_equal(night.read()["C4"], samples)


def test_quiet_epochs_of_a_restless_night_keep_55_db(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    noise = 2 * rng.standard_normal((60, 3000))  # uV
    noise[50:] *= np.linspace(1, 400, 10)[:, None]  # movement at the end
    samples = (noise + 250).astype(np.float32)  # an electrode offset
    read = Night.open(_one(tmp_path, samples)).read()["C4"]
    signal_power = np.var(samples[:50] - 250.0, dtype=np.float64)
    noise_power = np.mean((read[:50].astype(np.float64) - samples[:50]) ** 2)
    assert 10 * np.log10(signal_power / noise_power) > 55


def test_numpy_and_torch_decode_the_same(tmp_path: Path) -> None:
    path = make_night(tmp_path, stages=[2] * 6)
    code = (
        "import sys; from nights.store import Night; from pathlib import Path; import numpy as np\n"
        f"night = Night.open(Path({str(path)!r}))\n"
        "plain = night.read(normalise='z')\n"
        "assert 'torch' not in sys.modules\n"
        "import torch\n"
        "fast = night.read(normalise='z')\n"
        "assert all(np.allclose(fast[name], plain[name], atol=1e-6) for name in plain)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("n_epochs", [50, 1300])
def test_padded_z_score_is_that_of_the_night_filled_up_with_zeros(
    tmp_path: Path, n_epochs: int
) -> None:
    samples = eeg_like(n_epochs, 40)
    night = Night.open(_one(tmp_path, samples, dtype="float32"))
    padded = np.zeros((1200, 40))
    padded[: min(n_epochs, 1200)] = samples[:1200]
    wanted = (samples - padded.mean()) / padded.std(ddof=1)
    assert night.read(normalise="z_padded")["C4"] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_sidecar_statistics_are_those_of_what_is_stored(tmp_path: Path, dtype: str) -> None:
    path = make_night(tmp_path, stages=[0, -1, 2, 2, -1], dtype=dtype)
    night = Night.open(path)
    samples = night.read(["C4"])["C4"].astype(np.float64)
    known = night.sidecar["groups"]["sig"]["channels"][0]
    for figures, epochs in ((known, slice(None)), (known["staged"], night.stages >= 0)):
        part = samples[epochs]
        low, median, high = np.percentile(part, (25, 50, 75))
        wanted = (part.mean(), part.std(), median, high - low)
        found = [figures[name] for name in ("mean", "std", "median", "iqr")]
        assert found == pytest.approx(wanted, rel=1e-5)


def test_normalisation_uses_the_statistics_of_the_night(tmp_path: Path) -> None:
    night = Night.open(make_night(tmp_path, stages=[2, 2, -1, -1, 3, 4]))
    z = night.read(["C4"], normalise="z")["C4"].astype(np.float64)
    assert (z.mean(), z.std()) == pytest.approx((0, 1), abs=1e-4)
    staged = night.read(["C4"], normalise="z_staged")["C4"][night.stages >= 0].astype(np.float64)
    assert (staged.mean(), staged.std()) == pytest.approx((0, 1), abs=1e-4)
    robust = night.read(["C4"], normalise="robust")["C4"]
    assert np.percentile(robust, (25, 50, 75)) @ [-1, 0, 1] == pytest.approx(1, abs=1e-4)
    with pytest.raises(NightError, match="no normalisation 'z_causal'"):
        night.read(normalise="z_causal")  # type: ignore[arg-type]


def test_a_window_is_the_same_slice_of_the_night(tmp_path: Path) -> None:
    night = Night.open(make_night(tmp_path))
    whole = night.read(["E1"])["E1"]
    assert np.array_equal(night.read(["E1"], 2, 3)["E1"], whole[2:5])
    with pytest.raises(NightError, match=r"'SET/n1' has 8 epochs, not 7\.\.9"):
        night.read(["E1"], 7, 2)
    with pytest.raises(NightError, match="no channel 'F4'; it has C4, E1"):
        night.read(["F4"])


def test_groups_of_several_rates_lie_in_files_of_their_own(tmp_path: Path) -> None:
    fast, slow = eeg_like(4, 1024), eeg_like(4, 30, seed=1)
    signals = {"sig": (["ECG"], [fast]), "slow": (["SpO2"], [slow])}
    facts = {"view": VIEW, "person": "p"}
    path = write_night(tmp_path, "SET", "a.b", signals, Hypnogram(np.zeros(4, int)), **facts)  # type: ignore[arg-type]
    assert (tmp_path / "SET" / "a.b.slow.npy").exists()
    night = Night.open(path)
    assert night.channels == ("ECG", "SpO2")
    assert night.samples_per_epoch("SpO2") == 30
    assert night.signals["slow"].dtype == np.float32  # one sample a second is kept as it is
    night.verify()


def test_the_hypnogram_comes_back_with_its_clock(tmp_path: Path) -> None:
    given = Hypnogram(
        np.array([0, 2, -1]),
        start=datetime(2021, 5, 1, 22, 30, 0, 500000),
        onset_s=12.5,
        lights_off_s=30.0,
        scorer="A",
        notes=("offgrid",),
    )
    night = Night.open(make_night(tmp_path, stages=[0, 2, -1], hypnogram=given))
    found = night.hypnogram
    assert np.array_equal(found.stages, given.stages)
    for name in ("start", "onset_s", "lights_off_s", "lights_on_s", "scorer", "notes", "classes"):
        assert getattr(found, name) == getattr(given, name)
    assert night.sidecar["stage_histogram"] == {"?": 1, "W": 1, "N2": 1}


def test_events_are_kept_and_counted_in_seconds_per_epoch(tmp_path: Path) -> None:
    times = [(46.0, 28.0, "hypopnea"), (5.25, 10.0, "arousal"), (50.0, 4.0, "hypopnea")]
    events = [Event(*time) for time in times]
    as_read = [Event(*time, "what the file calls it") for time in times]
    night = Night.open(make_night(tmp_path, stages=[2] * 4, events=as_read))
    assert night.events == sorted(events)
    assert night.sidecar["event_types"] == ["arousal", "hypopnea"]
    assert night.labels.tolist() == [[2] * 4, [10, 0, 0, 0], [0, 14, 14, 0]]


def test_event_times_late_in_the_night_keep_their_fractions(tmp_path: Path) -> None:
    events = [Event(np.float64(28801.253), 10.0625, "arousal")]
    assert Night.open(make_night(tmp_path, events=events)).events == events


def test_no_events_scored_differs_from_none_found(tmp_path: Path) -> None:
    unknown = Night.open(make_night(tmp_path, "a"))
    none = Night.open(make_night(tmp_path, "b", events=[]))
    assert unknown.sidecar["event_types"] is None
    assert none.sidecar["event_types"] == []
    assert unknown.events == none.events == []


@pytest.mark.parametrize(
    ("events", "onset_s", "seconds"),
    [
        ([(0, 20), (10, 15)], 0, [25, 0]),
        ([(29.9, 0.2)], 0, [1, 1]),
        ([(-50, 400)], 0, [30, 30]),
        ([(40, 10)], 15, [5, 5]),
        ([(500, 10)], 0, [0, 0]),
    ],
)
def test_overlapping_events_count_once_and_a_touch_is_never_zero(
    events: list[tuple[float, float]], onset_s: float, seconds: list[int]
) -> None:
    hypnogram = Hypnogram(np.zeros(2, int), onset_s=onset_s)
    scored = [Event(*times, "x") for times in events]
    assert event_seconds(scored, hypnogram, ["x"]).tolist() == [seconds]


def test_gaps_keep_the_clock_and_are_unscored(tmp_path: Path) -> None:
    gaps = np.array([False, True, True, False, False])
    night = Night.open(make_night(tmp_path, stages=[2] * 5, gaps=gaps))
    assert night.stages.tolist() == [2, -1, -1, 2, 2]
    assert night.recorded.tolist() == (~gaps).tolist()
    read = night.read(["C4"], normalise="z")["C4"]
    assert not read[1:3].any()
    assert read[3:].any()


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (eeg_like(3) * 1e-6, "looks like volts"),
        (np.full((3, 300), 7.0, np.float32), "flat all night"),
        (np.where(eeg_like(3) > 60, np.nan, eeg_like(3)), "not finite"),
        (np.where(eeg_like(3) > 60, np.inf, eeg_like(3)), "not finite"),
        (eeg_like(3) * 3000, "too much for float16"),
        (eeg_like(2), r"shape \(2, 300\), wanted \(3, samples\)"),
    ],
)
def test_signals_that_cannot_be_right_are_refused_before_anything_is_written(
    tmp_path: Path, samples: np.ndarray, said: str
) -> None:
    signals = {"sig": (["C4"], [samples.astype(np.float32)])}
    with pytest.raises(NightError, match=said) as refusal:
        write_night(
            tmp_path, "SET", "n1", signals, Hypnogram(np.zeros(3, int)), view=VIEW, person="p"
        )
    assert "'SET/n1': C4" in str(refusal.value)
    assert not list(tmp_path.rglob("*.*"))


def test_a_large_signal_fits_into_float32(tmp_path: Path) -> None:
    _one(tmp_path, eeg_like(3) * 3000, dtype="float32")


@pytest.mark.parametrize(
    ("rec", "names", "facts", "said"),
    [
        ("../n1", ["C4"], {}, "cannot be the name of a file"),
        (".n1", ["C4"], {}, "cannot be the name of a file"),
        ("n1", ["C4", "C4"], {}, "every channel once"),
        ("n1", ["C4", "E1"], {"sidecar": {"crc32": {}}}, "the store itself writes crc32"),
    ],
)
def test_names_that_would_break_the_store_are_refused(
    tmp_path: Path, rec: str, names: list[str], facts: dict, said: str
) -> None:
    signals = {"sig": (names, [eeg_like(2)] * len(names))}
    with pytest.raises(NightError, match=said):
        write_night(
            tmp_path,
            "SET",
            rec,
            signals,
            Hypnogram(np.zeros(2, int)),
            view=VIEW,
            person="p",
            **facts,
        )


def test_provenance_and_odd_numbers_reach_the_sidecar_as_valid_json(tmp_path: Path) -> None:
    channels = {"C4": {"referenced": True, "flat": np.float32(0.25), "snr_db": float("nan")}}
    samples = [eeg_like(2), eeg_like(2, seed=1)]
    path = write_night(
        tmp_path,
        "SET",
        "n1",
        {"sig": (["C4", "E1"], samples)},
        Hypnogram(np.zeros(2, int)),
        view=VIEW,
        person="p",
        group="family 3",
        channels=channels,
        sidecar={"visit": 2, "rates": np.array([1, 2]), "file": Path("x.edf")},
    )
    text = path.read_text()
    assert "NaN" not in text
    known = json.loads(text)
    assert known["groups"]["sig"]["channels"][0]["flat"] == 0.25
    assert known["groups"]["sig"]["channels"][0]["snr_db"] is None
    assert (known["visit"], known["rates"], known["file"]) == (2, [1, 2], "x.edf")
    assert (known["person"], known["group"]) == ("p", "family 3")


def test_a_night_of_another_view_is_refused_naming_both(tmp_path: Path) -> None:
    night = Night.open(make_night(tmp_path))
    night.check_view("psg9", VIEW["hash"], "model 'lpsgm'")
    with pytest.raises(
        NightError, match=r"'psg9' \(aaaaaaaa\), model 'cr' reads view 'cr' \(bbbbbbbb\)"
    ):
        night.check_view("cr", "b" * 64, "model 'cr'")


def test_verify_finds_one_changed_byte(tmp_path: Path) -> None:
    for ending in ("sig.npy", "lab.npy", "events.csv"):
        path = make_night(tmp_path, events=[(3.0, 4.0, "arousal")])
        Night.open(path).verify()
        file = path.with_suffix(f".{ending}")
        content = bytearray(file.read_bytes())
        content[-2] ^= 1
        file.write_bytes(content)
        with pytest.raises(NightError, match=f"{ending}: not what was written"):
            Night.open(path).verify()


@pytest.mark.parametrize("fault", ["missing", "cut", "other shape", "no json", "other schema"])
def test_a_damaged_night_does_not_open(tmp_path: Path, fault: str) -> None:
    path = make_night(tmp_path)
    file = path.with_suffix(".sig.npy")
    if fault == "missing":
        file.unlink()
    elif fault == "cut":
        file.write_bytes(file.read_bytes()[:-4])
    elif fault == "other shape":
        np.save(file, np.zeros((1, 8, 300), np.float16))
    elif fault == "no json":
        path.write_text("{")
    else:
        path.write_text('{"schema": 99}')
    with pytest.raises(NightError):
        Night.open(path)


def test_an_opened_night_travels_to_another_process_as_a_path(tmp_path: Path) -> None:
    night = Night.open(make_night(tmp_path))
    packed = pickle.dumps(night)
    assert len(packed) < 1000
    assert np.array_equal(pickle.loads(packed).read()["C4"], night.read()["C4"])


def test_the_stored_file_is_safe_from_its_reader(tmp_path: Path) -> None:
    path = make_night(tmp_path)
    night = Night.open(path)
    night.stored("C4")[:] = 0
    Night.open(path).verify()
