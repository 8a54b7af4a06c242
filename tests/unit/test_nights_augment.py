"""Augmentation: stages stay true, nothing crosses a gap, everything can be repeated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nights.augment import HOMOLOGUES, Augment, Change
from nights.hypnogram import Hypnogram
from nights.store import write_night
from nights.windows import NightWindows
from tests.makers.nights import VIEW, make_night

RATE_HZ = 10  # of the nights made here: 300 samples an epoch
CHANNELS = ("C3", "C4", "E1", "E2", "Chin")


def ramp(root: Path, n_epochs: int, **facts: object) -> Path:
    """Write a night whose samples count up by one per epoch, so that a sample tells its time."""
    seconds = np.arange(n_epochs * 300, dtype=np.float32).reshape(n_epochs, 300) / RATE_HZ
    view = {**VIEW, "normalise": "none"}
    signals = {"sig": (["C4"], [seconds])}
    hypnogram = Hypnogram(np.arange(n_epochs) % 5)
    return write_night(
        root,
        "SET",
        "ramp",
        signals,
        hypnogram,
        view=view,
        person="p",
        dtype="float32",
        **facts,  # type: ignore[arg-type]
    )


def read(path: Path, **augment: float) -> list[tuple[int, torch.Tensor, torch.Tensor]]:
    """Return (first epoch, seconds at which each sample was taken, stages) of every window."""
    windows = NightWindows([path], ["C4"], 4, seed=3, augment=Augment(**augment))
    parts = [windows[i] for i in range(len(windows))]
    return [(int(p.first[0]), p.signals["C4"][0], p.stages[0]) for p in parts]


def test_a_shift_moves_the_samples_and_leaves_the_stages(tmp_path: Path) -> None:
    path = ramp(tmp_path, 40)
    plain, moved = read(path), read(path, shift_s=5)
    shifts = []
    for (first, before, stages), (same, after, still) in zip(plain, moved, strict=True):
        assert first == same
        assert torch.equal(stages, still)
        later = after - before  # one number: all samples of a window move together
        torch.testing.assert_close(later, later[0, 0].expand_as(later), atol=1e-3, rtol=0)
        shifts.append(float(later[0, 0]))
    assert max(map(abs, shifts)) < 15
    assert len({round(shift, 3) for shift in shifts}) > 5


def test_a_shifted_window_never_touches_a_gap_or_leaves_the_night(tmp_path: Path) -> None:
    gaps = np.zeros(40, dtype=bool)
    gaps[17:19] = True
    path = ramp(tmp_path, 40, gaps=gaps)
    for _, seconds, _ in read(path, shift_s=5):
        inside = seconds[seconds != 0]  # gaps are zeros, as is the very first sample
        touched = (inside / 30).floor().int().tolist()
        assert not set(touched) & {17, 18}
        assert min(touched) >= 0
        assert max(touched) < 40


def test_a_window_beside_a_gap_stays_where_it_is_if_the_shift_leads_into_it(
    tmp_path: Path,
) -> None:
    gaps = np.zeros(12, dtype=bool)
    gaps[[3, 8]] = True
    path = ramp(tmp_path, 12, gaps=gaps)
    windows = NightWindows([path], ["C4"], 4, stride=4, seed=0, augment=Augment(shift_s=7))
    starts = set()
    for number in range(60):
        current = windows.for_pass(number)
        for i in range(len(current)):
            part = current[i]
            if int(part.first[0]) == 4:  # epochs 4..7 lie between two gaps: nowhere to go
                starts.add(round(float(part.signals["C4"][0, 0, 0]), 2))
    assert starts == {120.0}


@given(seed=st.integers(0, 10_000), shift_s=st.floats(0.1, 7.5))
def test_most_of_a_shifted_epoch_is_still_the_one_that_was_scored(
    seed: int, shift_s: float
) -> None:
    change = Augment(shift_s=shift_s).draw(np.random.default_rng(seed), CHANNELS)
    assert abs(change.shift_s) < 15


@given(st.sets(st.sampled_from([*HOMOLOGUES, "Chin", "ECG"]), min_size=1))
def test_swapping_sides_twice_changes_nothing(channels: set[str]) -> None:
    there, swap = sorted(channels), Change(swapped=True)
    places = [swap.place(name, there) for name in there]
    assert sorted(places) == there  # nobody stands in two places
    assert [swap.place(name, there) for name in places] == there


def test_left_and_right_change_places_in_the_batch(tmp_path: Path) -> None:
    path = make_night(tmp_path, stages=[1] * 16, channels=CHANNELS)
    plain = NightWindows([path], CHANNELS, 8, seed=0)[0]
    swapped = NightWindows([path], CHANNELS, 8, seed=0, augment=Augment(swap=1.0))[0]
    for name in CHANNELS:
        other = HOMOLOGUES.get(name, name)
        assert torch.equal(swapped.signals[name], plain.signals[other])


def test_a_side_that_was_not_recorded_is_absent_after_the_swap(tmp_path: Path) -> None:
    path = make_night(tmp_path, stages=[1] * 16, channels=("C4", "Chin"))
    other = make_night(tmp_path, "n2", stages=[1] * 16, channels=CHANNELS)
    windows = NightWindows([path, other], ["C3", "C4", "Chin"], 8, seed=0, augment=Augment(swap=1))
    batch = windows[0]
    assert batch.present["C3"].all()
    assert not batch.present["C4"].any()
    assert not batch.signals["C4"].any()


def test_factors_differ_between_channels_and_windows(tmp_path: Path) -> None:
    path = make_night(tmp_path, stages=[1] * 40, channels=("C4", "E1"))
    plain = NightWindows([path], ["C4", "E1"], 4, seed=1)
    louder = NightWindows([path], ["C4", "E1"], 4, seed=1, augment=Augment(gain=0.3))
    factors = set()
    for i in range(len(plain)):
        for name in ("C4", "E1"):
            ratio = louder[i].signals[name] / plain[i].signals[name]
            torch.testing.assert_close(ratio, ratio[0, 0, 0].expand_as(ratio))
            factors.add(round(float(ratio[0, 0, 0]), 4))
    assert len(factors) == 2 * len(plain)
    assert 0.3 < min(factors) < 1 < max(factors) < 3


def test_the_same_seed_pass_and_night_give_the_same_window(tmp_path: Path) -> None:
    path = make_night(tmp_path, stages=[1] * 60, channels=CHANNELS)
    augment = Augment(shift_s=2, gain=0.2, swap=0.5)

    def batch(seed: int, number: int) -> torch.Tensor:
        windows = NightWindows([path], CHANNELS, 5, seed=seed, augment=augment).for_pass(number)
        whole = windows.__getitems__(range(8))
        return torch.stack(list(whole.signals.values()))

    assert torch.equal(batch(1, 2), batch(1, 2))
    assert not torch.equal(batch(1, 2), batch(1, 3))
    assert not torch.equal(batch(1, 2), batch(2, 2))


def test_augmentation_needs_a_seed_and_sound_figures(tmp_path: Path) -> None:
    path = make_night(tmp_path)
    with pytest.raises(ValueError, match="augment need a seed"):
        NightWindows([path], ["C4"], 4, augment=Augment(gain=0.1))
    for wrong in ({"swap": 1.5}, {"flip": 1.5}, {"swap": -0.1}, {"gain": -1}, {"shift_s": -1}):
        with pytest.raises(ValueError, match="swap and flip 0 to 1"):
            Augment(**wrong)
    assert Augment(shift_s=7.5)  # a quarter of an epoch
    with pytest.raises(ValueError, match="at most 7.5 s keep stages true"):
        Augment(shift_s=7.6)


def test_channels_are_turned_over_each_by_itself_and_half_of_the_time(tmp_path: Path) -> None:
    path = make_night(tmp_path, channels=("C4", "E1"))
    plain = NightWindows([path], ["C4", "E1"], 1, keep_unscored=True)
    flipped = NightWindows([path], ["C4", "E1"], 1, seed=0, augment=Augment(flip=0.5))
    sides = []
    for number in range(20):
        windows = flipped.for_pass(number)
        for i in range(len(windows)):
            batch, same = windows[i], plain[int(windows[i].first[0])]
            signs = []
            for name, x in batch.signals.items():
                sign = float(torch.sign((x * same.signals[name]).sum()))
                torch.testing.assert_close(x, sign * same.signals[name])
                signs.append(sign)
            sides.append(signs)
    both = np.array(sides)
    assert abs(both.mean()) < 0.2
    assert abs((both[:, 0] * both[:, 1]).mean()) < 0.3
