"""Windows of nights: where they lie, what is masked, and that they can be repeated."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import ConcatDataset, DataLoader

from nights.hypnogram import Hypnogram
from nights.night import Night, NightError
from nights.store import write_night
from nights.trimming import sleep_stretches
from nights.windows import NightWindows, Windows, collate, crop_channels, drop_channels
from tests.makers.nights import VIEW, eeg_like, make_night


def _night(root: Path, n_epochs: int, rec: str = "n1", **facts: object) -> Path:
    """Write a scored night whose stages tell its epochs apart."""
    return make_night(root, rec, stages=[1 + e % 4 for e in range(n_epochs)], **facts)  # type: ignore[arg-type]


def _firsts(windows: NightWindows) -> list[int]:
    """Return the first epoch of every window."""
    return [int(windows[i].first[0]) for i in range(len(windows))]


def test_a_window_is_the_normalised_slice_of_the_night(tmp_path: Path) -> None:
    path = _night(tmp_path, 12)
    windows = NightWindows([path], ["E1", "C4"], 5)
    night = Night.open(path)
    batch = windows.__getitems__([0, 1])
    assert batch.nights == ("SET/n1", "SET/n1")
    assert batch.first.tolist() == [0, 5]
    assert list(batch.signals) == ["E1", "C4"]
    for channel, signal in batch.signals.items():
        assert signal.shape == (2, 5, 300)
        wanted = night.read([channel], 5, 5, normalise="z")[channel]  # the view declares z
        torch.testing.assert_close(signal[1], torch.from_numpy(wanted))
        assert batch.present[channel].all()
    assert batch.stages[1].tolist() == night.stages[5:10].tolist()
    assert batch.stages.dtype == torch.int64


def test_normalisation_can_be_chosen(tmp_path: Path) -> None:
    path = _night(tmp_path, 6)
    raw = NightWindows([path], ["C4"], 6, normalise="none")[0].signals["C4"][0]
    torch.testing.assert_close(raw, torch.from_numpy(Night.open(path).read(["C4"])["C4"]))


def test_the_tail_is_dropped_or_kept_with_padding(tmp_path: Path) -> None:
    path = _night(tmp_path, 12)
    assert _firsts(NightWindows([path], ["C4"], 5)) == [0, 5]
    kept = NightWindows([path], ["C4"], 5, keep_tail=True)
    assert _firsts(kept) == [0, 5, 10]
    tail = kept[2]
    assert tail.signals["C4"].shape == (1, 5, 300)
    assert tail.present["C4"][0].tolist() == [True, True, False, False, False]
    assert tail.stages[0, 2:].tolist() == [-1] * 3
    assert not tail.signals["C4"][0, 2:].any()


def test_overlapping_windows_have_one_tail_at_most(tmp_path: Path) -> None:
    path = _night(tmp_path, 12)
    assert _firsts(NightWindows([path], ["C4"], 5, stride=1)) == list(range(8))
    assert _firsts(NightWindows([path], ["C4"], 5, stride=1, keep_tail=True)) == list(range(8))
    assert _firsts(NightWindows([path], ["C4"], 5, stride=3, keep_tail=True)) == [0, 3, 6, 9]


def test_a_night_shorter_than_a_window_is_dropped_or_padded(tmp_path: Path) -> None:
    path = _night(tmp_path, 3)
    assert len(NightWindows([path], ["C4"], 5)) == 0
    short = NightWindows([path], ["C4"], 5, keep_tail=True)[0]
    assert short.present["C4"][0].tolist() == [True] * 3 + [False] * 2


def test_whole_nights_of_unequal_length_are_padded_to_the_longest(tmp_path: Path) -> None:
    paths = [_night(tmp_path, 4, "a"), _night(tmp_path, 7, "b")]
    windows = NightWindows(paths, ["C4"], None)
    together = windows.__getitems__([0, 1])
    apart = collate([windows[0], windows[1]])
    for batch in (together, apart):
        assert batch.signals["C4"].shape == (2, 7, 300)
        assert batch.present["C4"].sum(dim=1).tolist() == [4, 7]
        assert batch.stages[0, 4:].tolist() == [-1, -1, -1]
    torch.testing.assert_close(together.signals["C4"], apart.signals["C4"])


def test_a_window_of_one_epoch_is_possible(tmp_path: Path) -> None:
    assert len(NightWindows([_night(tmp_path, 4)], ["C4"], 1)) == 4


def test_absent_channels_are_zero_and_masked(tmp_path: Path) -> None:
    paths = [_night(tmp_path, 5, "a"), _night(tmp_path, 5, "b", channels=["C4"])]
    batch = NightWindows(paths, ["C4", "E1"], 5).__getitems__([0, 1])
    assert batch.present["E1"].all(dim=1).tolist() == [True, False]
    assert not batch.signals["E1"][1].any()
    assert batch.signals["C4"][1].any()


def test_a_channel_of_no_night_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NightError, match="channel 'O2' is in none of the 1 nights"):
        NightWindows([_night(tmp_path, 5)], ["O2"], 5)


def test_nights_of_two_views_do_not_mix(tmp_path: Path) -> None:
    paths = [
        _night(tmp_path, 5, "a"),
        _night(tmp_path, 5, "b", view={"name": "cr", "hash": "b" * 64}),
    ]
    with pytest.raises(NightError, match="'SET/b' is of view 'cr'.*'SET/a' reads view 'psg9'"):
        NightWindows(paths, ["C4"], 5)


def test_channels_of_several_rates_stand_side_by_side(tmp_path: Path) -> None:
    signals = {"sig": (["ECG"], [eeg_like(6, 1024)]), "slow": (["ABD"], [eeg_like(6, 256)])}
    path = write_night(
        tmp_path, "SET", "n", signals, Hypnogram(np.full(6, 2)), view=VIEW, person="p"
    )
    batch = NightWindows([path], ["ABD", "ECG"], 3)[1]
    assert {c: tuple(s.shape) for c, s in batch.signals.items()} == {
        "ABD": (1, 3, 256),
        "ECG": (1, 3, 1024),
    }


def test_epochs_in_a_gap_are_masked_and_the_clock_holds(tmp_path: Path) -> None:
    gaps = np.zeros(10, bool)
    gaps[3:6] = True
    path = _night(tmp_path, 10, gaps=gaps)
    batch = NightWindows([path], ["C4"], 5).__getitems__([0, 1])
    assert batch.present["C4"].flatten().tolist() == (~gaps).tolist()
    assert not batch.signals["C4"].reshape(10, -1)[gaps].any()
    assert batch.stages.flatten()[gaps].tolist() == [-1] * 3


def test_windows_without_a_stage_are_left_out_unless_wanted(tmp_path: Path) -> None:
    path = make_night(tmp_path, stages=[2, 2, -1, -1, -1, -1, -1, 3])
    assert _firsts(NightWindows([path], ["C4"], 2)) == [0, 6]
    assert _firsts(NightWindows([path], ["C4"], 2, keep_unscored=True)) == [0, 2, 4, 6]


def test_nothing_is_normalised_by_chance_across_nights(tmp_path: Path) -> None:
    loud = [eeg_like(5) * 3]
    paths = [
        _night(tmp_path, 5, "a"),
        write_night(
            tmp_path, "SET", "b", {"sig": (["C4"], loud)}, Hypnogram(np.full(5, 2)), view=VIEW,
            person="b",
        ),
    ]  # fmt: skip
    batch = NightWindows(paths, ["C4"], 5).__getitems__([0, 1])
    assert batch.signals["C4"].std(dim=(1, 2)).tolist() == pytest.approx([1, 1], abs=1e-3)


# --- draws ----------------------------------------------------------------------------------------


def test_the_same_seed_and_pass_give_the_same_windows(tmp_path: Path) -> None:
    paths = [_night(tmp_path, 90, rec) for rec in ("a", "b", "c")]
    windows = NightWindows(paths, ["C4"], 20, seed=3)
    again = NightWindows(paths, ["C4"], 20, seed=3)
    assert _firsts(windows.for_pass(4)) == _firsts(again.for_pass(4))
    drawn = {tuple(_firsts(windows.for_pass(n))) for n in range(12)}
    assert len(drawn) > 6
    assert _firsts(windows) == _firsts(windows.for_pass(0))


def test_a_draw_depends_on_the_night_and_not_on_its_company(tmp_path: Path) -> None:
    paths = [_night(tmp_path, 90, rec) for rec in ("a", "b")]
    alone = _firsts(NightWindows(paths[1:], ["C4"], 20, seed=3))
    both = NightWindows(paths, ["C4"], 20, seed=3)
    of_b = [int(both[i].first[0]) for i in range(len(both)) if both[i].nights == ("SET/b",)]
    assert of_b == alone


def test_drawn_windows_do_not_overlap_and_stay_inside(tmp_path: Path) -> None:
    windows = NightWindows([_night(tmp_path, 97)], ["C4"], 20, seed=0)
    for number in range(10):
        firsts = _firsts(windows.for_pass(number))
        assert all(step == 20 for step in np.diff(firsts))
        assert firsts[0] < 20
        assert firsts[-1] + 20 <= 97
        assert len(firsts) == (97 - firsts[0]) // 20


def test_workers_give_what_the_process_itself_gives(tmp_path: Path) -> None:
    paths = [_night(tmp_path, 40, rec) for rec in ("a", "b")]
    windows = NightWindows(paths, ["C4", "E1"], 10, seed=1, channel_draw=crop_channels)
    alone = list(DataLoader(windows, 3, collate_fn=collate))
    workers = list(DataLoader(windows, 3, collate_fn=collate, num_workers=2))
    for left, right in zip(alone, workers, strict=True):
        assert left.nights == right.nights
        for channel in windows.channels:
            assert torch.equal(left.signals[channel], right.signals[channel])
            assert torch.equal(left.present[channel], right.present[channel])


def test_a_dataset_is_small_to_send_to_a_worker(tmp_path: Path) -> None:
    windows = NightWindows([_night(tmp_path, 40)], ["C4"], 10)
    assert len(pickle.dumps(windows)) < 3000


def test_several_datasets_can_be_chained(tmp_path: Path) -> None:
    one = NightWindows([_night(tmp_path, 10, "a")], ["C4"], 5)
    two = NightWindows([_night(tmp_path, 20, "b")], ["C4"], 10)
    batches = list(DataLoader(ConcatDataset([one, two]), 4, collate_fn=collate))
    assert isinstance(batches[0], Windows)
    assert batches[0].stages.shape == (4, 10)


def test_drawn_channels_change_and_absent_ones_stay_absent(tmp_path: Path) -> None:
    channels = ["F4", "C4", "O2", "E1"]
    path = _night(tmp_path, 200, channels=channels[:3])
    other = _night(tmp_path, 200, "b", channels=channels)
    windows = NightWindows([path, other], channels, 5, seed=0, channel_draw=crop_channels)
    batch = windows.__getitems__(range(40))
    present = torch.stack([batch.present[c].all(dim=1) for c in channels])
    assert not present[3].any()
    assert (present.sum(dim=0) >= 1).all()
    assert len({tuple(column.tolist()) for column in present.T}) > 3
    for channel in channels:
        assert not batch.signals[channel][~batch.present[channel]].any()


def test_a_draw_of_channels_needs_a_seed(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="need a seed"):
        NightWindows([_night(tmp_path, 5)], ["C4"], 5, channel_draw=drop_channels)


@pytest.mark.parametrize(
    ("draw", "share"), [(crop_channels, (9 + 1) / (2 * 9)), (drop_channels, 0.5)]
)
def test_channel_draws_keep_at_least_one_and_the_expected_share(draw: object, share: float) -> None:
    rng = np.random.default_rng(0)
    channels = [f"c{i}" for i in range(9)]
    kept = [draw(rng, channels) for _ in range(3000)]  # type: ignore[operator]
    assert min(map(len, kept)) >= 1
    assert all(len(set(k)) == len(k) and set(k) <= set(channels) for k in kept)
    assert np.mean([len(k) for k in kept]) / 9 == pytest.approx(share, abs=0.02)
    assert list(draw(rng, [])) == []  # type: ignore[operator]


# --- trimming -------------------------------------------------------------------------------------


def _stretches(text: str, pad: int) -> list[tuple[int, int]]:
    """Trim a night written as one letter per epoch: w, s(leep), ?."""
    return sleep_stretches(np.array([{"w": 0, "s": 2, "?": -1}[c] for c in text]), pad)


def test_wake_far_from_sleep_is_trimmed_to_the_pad() -> None:
    assert _stretches("wwwwwsswsswwwww", 2) == [(3, 12)]
    assert _stretches("wsss", 2) == [(0, 4)]
    assert _stretches("w?wwss??ww", 2) == [(2, 8)]
    assert _stretches("wwsswww", 0) == [(2, 4)]


def test_long_wake_within_the_night_becomes_a_break() -> None:
    assert _stretches("sswwwwss", 2) == [(0, 8)]
    assert _stretches("sswwwwwss", 2) == [(0, 4), (5, 9)]


def test_a_night_without_sleep_leaves_nothing(tmp_path: Path) -> None:
    assert _stretches("ww?w", 2) == []
    assert _stretches("", 2) == []
    path = make_night(tmp_path, stages=[0] * 10)
    assert len(NightWindows([path], ["C4"], 2, trim_epochs=2)) == 0


def test_windows_stay_within_trimmed_stretches(tmp_path: Path) -> None:
    stages = [0] * 10 + [2] * 6 + [0] * 9 + [3] * 5 + [0] * 10
    path = make_night(tmp_path, stages=stages)
    windows = NightWindows([path], ["C4"], 3, trim_epochs=2)
    assert _firsts(windows) == [8, 11, 14, 23, 26, 29]
    assert int(NightWindows([path], ["C4"], None, trim_epochs=2)[1].first[0]) == 23


@given(st.lists(st.integers(-1, 4), max_size=120), st.integers(0, 6))
@settings(max_examples=60)
def test_trimming_keeps_all_sleep_and_never_more_than_the_pad(
    stages: Sequence[int], pad: int
) -> None:
    stretches = sleep_stretches(np.array(stages, dtype=int), pad)
    kept = [epoch for first, end in stretches for epoch in range(first, end)]
    asleep = {epoch for epoch, stage in enumerate(stages) if stage > 0}
    assert asleep <= set(kept)
    assert len(kept) == len(set(kept)) <= len(stages)
    for epoch in kept:
        assert any(abs(epoch - other) <= pad for other in asleep) or any(
            first <= epoch < end and end - first > 2 * pad for first, end in stretches
        )
    assert all(
        left[1] < right[0] or left[1] == right[0]
        for left, right in zip(stretches, stretches[1:], strict=False)
    )
