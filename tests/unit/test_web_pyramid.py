"""Pyramids of signals: nothing is lost at any zoom, and only what is asked for is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import web.pyramid
from recordings.formats import open_recording
from recordings.signals import filter_resample
from recordings.simulate import simulate_night
from web.pyramid import DISPLAYS, FACTOR, Shown, build, key_of, levels, pyramid, read_piece


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Shown, np.ndarray]:
    """An hour of noise at 100 Hz with one spike, its pyramid on disk."""
    folder = tmp_path_factory.mktemp("pyramid")
    samples = np.random.default_rng(3).integers(-500, 500, 360_123).astype(np.int16)
    samples[123_456] = 30_000
    pyramid(samples).tofile(folder / "0.i16")
    return folder, Shown("0", rate_hz=100.0, n_samples=len(samples)), samples


@pytest.mark.parametrize("n_columns", [7, 300, 1000, 3999])
@pytest.mark.parametrize("width_s", [60.0, 777.7, 3601.23])
def test_columns_hold_every_sample_and_no_other(
    kept: tuple[Path, Shown, np.ndarray], width_s: float, n_columns: int
) -> None:
    folder, shown, samples = kept
    from_s = min(1200.0, 3601.23 - width_s)
    piece = read_piece(folder, shown, from_s, from_s + width_s, n_columns)
    assert piece is not None
    inside = samples[int(from_s * 100) : int((from_s + width_s) * 100)]
    if piece.values.ndim == 1:
        assert np.array_equal(piece.values[: len(inside)], inside)
        return
    rate_hz = 100.0
    wide = round(piece.step_s * rate_hz)
    assert width_s * rate_hz / n_columns / 2 <= wide <= width_s * rate_hz / n_columns
    first = round(piece.from_s * rate_hz)
    assert first <= from_s * rate_hz
    assert first + wide * len(piece.values) >= min(len(samples), (from_s + width_s) * rate_hz)
    for column, (low, high) in enumerate(piece.values):
        its = samples[first + column * wide : first + (column + 1) * wide]
        assert (low, high) == (its.min(), its.max())


def test_a_column_stays_the_same_while_the_window_moves(
    kept: tuple[Path, Shown, np.ndarray],
) -> None:
    folder, shown, _ = kept
    one, other = (read_piece(folder, shown, at, at + 900, 1000) for at in (100.0, 217.31))
    assert one is not None
    assert other is not None
    shift = (other.from_s - one.from_s) / one.step_s
    assert shift == pytest.approx(round(shift))
    assert np.array_equal(one.values[round(shift) :][:500], other.values[:500])


def test_a_spike_is_seen_in_its_column_of_the_whole_night(
    kept: tuple[Path, Shown, np.ndarray],
) -> None:
    folder, shown, _ = kept
    piece = read_piece(folder, shown, 0.0, 3601.23, 900)
    assert piece is not None
    column = int(piece.values[:, 1].argmax())
    assert piece.from_s + column * piece.step_s == pytest.approx(1234.56, abs=2 * piece.step_s)


def test_beyond_the_recording_there_is_nothing(kept: tuple[Path, Shown, np.ndarray]) -> None:
    folder, shown, _ = kept
    assert read_piece(folder, shown, 4000.0, 5000.0, 100) is None
    assert read_piece(folder, shown, -50.0, -1.0, 100) is None
    around = read_piece(folder, shown, -3600.0, 7200.0, 300)
    assert around is not None
    assert around.from_s == 0.0
    assert 100 <= len(around.values) <= 201  # a third of the stretch; a pixel has two at most


def test_a_close_look_gives_the_samples_themselves(kept: tuple[Path, Shown, np.ndarray]) -> None:
    folder, shown, samples = kept
    piece = read_piece(folder, shown, 10.0, 12.0, 1000)
    assert piece is not None
    assert (piece.from_s, piece.step_s) == (10.0, 0.01)
    assert np.array_equal(piece.values[:200], samples[1000:1200])


def test_no_view_reads_more_than_a_few_numbers_per_pixel(
    kept: tuple[Path, Shown, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, shown, _ = kept
    counts: list[int] = []

    def counting(folder: Path, shown: Shown, first: int, last: int) -> np.ndarray:
        counts.append(last - first)
        return numbers(folder, shown, first, last)

    numbers = web.pyramid._numbers
    monkeypatch.setattr(web.pyramid, "_numbers", counting)
    for width_s in (5.0, 50.0, 500.0, 3600.0):
        read_piece(folder, shown, 0.0, width_s, 1000)
    assert max(counts) <= 2 * (FACTOR + 1) * 1000


@pytest.mark.parametrize("n", [1, 511, 512, 513, 100_000])
def test_levels_say_where_everything_stands(n: int) -> None:
    samples = np.arange(n, dtype=np.int16)
    whole = pyramid(samples)
    assert len(whole) == n + sum(2 * bins for bins, _ in levels(n))
    for bins, start in levels(n):
        level = whole[start : start + 2 * bins].reshape(bins, 2)
        assert level.min() == samples.min()
        assert level.max() == samples.max()


def test_what_is_shown_is_the_filtered_signal_in_its_unit(tmp_path: Path) -> None:
    simulate_night(1, hours=0.1, montage="sleepedf").write(tmp_path / "night.edf")
    recording = open_recording(tmp_path / "night.edf")
    n = len(recording.channels)
    shown = {s.key: s for s in build(recording, tmp_path, [(0, 1), *((i, None) for i in range(n))])}
    assert set(shown) == {"0-1", *map(str, range(n))}
    eeg, channel, display = shown["0"], recording.channels[0], DISPLAYS["eeg"]
    assert (eeg.kind, eeg.unit, eeg.filter, eeg.step) == ("eeg", "uV", display.words, 0.1)
    kept = np.fromfile(tmp_path / "0.i16", "<i2", eeg.n_samples) * eeg.step + eeg.centre
    rate = min(channel.rate_hz, display.rate_hz)
    wanted = filter_resample(recording.read(0), channel.rate_hz, rate, display.response)
    assert np.abs(kept - wanted).max() <= 0.051
    pair = np.fromfile(tmp_path / "0-1.i16", "<i2", shown["0-1"].n_samples) * 0.1
    second = np.fromfile(tmp_path / "1.i16", "<i2", shown["1"].n_samples) * 0.1
    assert np.abs(pair - (kept - second)).max() <= 0.16


def test_keys_name_leads() -> None:
    assert (key_of((7, None)), key_of((7, 9))) == ("7", "7-9")
