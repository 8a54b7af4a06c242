"""The running normalisation: what it reaches, what it leaves out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nights.running_scale import RunningScale, scale_night
from nights.windows import NightWindows
from tests.makers.nights import make_night


def test_a_steady_signal_comes_out_with_mean_zero_and_variance_one(
    rng: np.random.Generator,
) -> None:
    scaled = scale_night(rng.normal(7, 3, (200, 256)))
    assert abs(scaled.mean()) < 0.02
    assert abs(scaled[50:].std() - 1) < 0.02


def test_unit_and_offset_of_the_signal_do_not_matter(rng: np.random.Generator) -> None:
    x = rng.standard_normal((30, 256))
    np.testing.assert_allclose(scale_night(1000 * x + 5), scale_night(x), atol=1e-5)


def test_one_wild_epoch_is_forgotten_as_four_standard_deviations(
    rng: np.random.Generator,
) -> None:
    x = rng.standard_normal((60, 256))
    wild = x.copy()
    wild[30] *= 1e4
    calm, after = scale_night(x)[40:].std(), scale_night(wild)[40:].std()
    assert after > 0.7 * calm


def test_epochs_nobody_recorded_are_zero_and_leave_no_trace(rng: np.random.Generator) -> None:
    x, recorded = rng.standard_normal((12, 256)), np.arange(12) % 4 != 1
    scaled = scale_night(np.where(recorded[:, None], x, np.nan), recorded)
    assert not scaled[~recorded].any()
    assert np.array_equal(scaled[recorded], scale_night(x[recorded]))


def test_epoch_by_epoch_equals_the_whole_night_to_the_bit(rng: np.random.Generator) -> None:
    x, scale = rng.standard_normal((20, 256)), RunningScale()
    assert np.array_equal(np.stack([scale(epoch) for epoch in x]), scale_night(x))


def test_a_flat_signal_is_zero_and_finite() -> None:
    assert not scale_night(np.full((3, 256), 2.5)).any()


def test_each_night_of_a_batch_is_scaled_by_itself(tmp_path: Path) -> None:
    lost = np.arange(8) == 2
    paths = [make_night(tmp_path, "n1"), make_night(tmp_path, "n2", stages=[0] * 8, gaps=lost)]
    raw = NightWindows(paths, ["C4"], None, normalise="none").__getitems__([0, 1])
    windows = NightWindows(paths, ["C4"], None, normalise="z_running").__getitems__([0, 1])
    for row, recorded in enumerate(raw.present["C4"].numpy()):
        scaled = scale_night(raw.signals["C4"][row].numpy(), recorded)
        assert np.array_equal(windows.signals["C4"][row], scaled)
    assert not windows.signals["C4"][1, 2].any()


def test_windows_that_begin_within_a_night_cannot_be_scaled_by_what_came_before(
    tmp_path: Path,
) -> None:
    with pytest.raises(ValueError, match="whole nights"):
        NightWindows([make_night(tmp_path)], ["C4"], 4, normalise="z_running")
