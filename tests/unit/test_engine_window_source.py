"""Training batches: full, as many in every pass, the same for the same state of the generator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import torch

from engine.window_source import WindowSource
from nights.augment import Augment
from nights.windows import NightWindows, Windows, crop_channels
from tests.makers.nights import make_night


@pytest.fixture
def windows(tmp_path: Path) -> NightWindows:
    """Windows of five nights of two data sets."""
    stages = [e % 5 for e in range(37)]
    paths = [make_night(tmp_path, f"n{i}", stages=stages) for i in range(4)]
    paths.append(make_night(tmp_path, "small", stages=stages, dataset="B"))
    augment = Augment(gain=0.1)
    draw = {"seed": 1, "channel_draw": crop_channels, "augment": augment}
    return NightWindows(paths, ["C4", "E1"], 5, **draw)  # type: ignore[arg-type]


def drawn(source: WindowSource, seed: int = 0) -> list[Windows]:
    """Return the batches of one pass."""
    return list(source.draw(torch.Generator().manual_seed(seed)))


def same(first: Iterator[Windows] | list[Windows], second: list[Windows]) -> bool:
    """Tell whether two passes are equal."""
    return all(
        a.nights == b.nights
        and torch.equal(a.first, b.first)
        and all(torch.equal(a.signals[c], b.signals[c]) for c in a.signals)
        for a, b in zip(first, second, strict=True)
    )


def test_every_pass_has_as_many_full_batches(windows: NightWindows) -> None:
    source = WindowSource(windows, 4)
    for seed in range(6):
        batches = drawn(source, seed)
        assert len(batches) == len(source) == len(windows) // 4
        assert {len(batch.nights) for batch in batches} == {4}


def test_the_generator_alone_says_what_a_pass_is(windows: NightWindows) -> None:
    source = WindowSource(windows, 4)
    assert same(drawn(source, 1), drawn(source, 1))
    assert not same(drawn(source, 1), drawn(source, 2))


def test_two_passes_of_one_generator_differ(windows: NightWindows) -> None:
    source, generator = WindowSource(windows, 4), torch.Generator().manual_seed(0)
    assert not same(list(source.draw(generator)), list(source.draw(generator)))


def test_a_part_of_a_pass_is_its_batches_and_leaves_the_generator_alike(
    windows: NightWindows,
) -> None:
    source = WindowSource(windows, 3)
    for first, every in ((0, 1), (1, 2), (2, 3)):
        one, other = (torch.Generator().manual_seed(5) for _ in range(2))
        wanted = list(islice(source.draw(one), first, None, every))
        assert same(source.part(other, first, every), wanted)
        assert torch.equal(one.get_state(), other.get_state())


def test_workers_read_the_same_batches(windows: NightWindows) -> None:
    alone, helped = WindowSource(windows, 4), WindowSource(windows, 4, workers=1)
    assert same(drawn(alone), drawn(helped))


def test_reading_draws_nothing_from_anybody_else(windows: NightWindows) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    drawn(WindowSource(windows, 4))
    assert torch.equal(torch.get_rng_state(), before)


def test_small_data_sets_can_count_as_much_as_large_ones(windows: NightWindows) -> None:
    plain, level = WindowSource(windows, 4), WindowSource(windows, 4, balance=1.0)
    shares = [
        Counter(name[:2] for batch in drawn(source) for name in batch.nights)["B/"]
        for source in (plain, level)
    ]
    assert shares[0] < len(windows) // 3
    assert shares[1] == pytest.approx(len(plain) * 4 / 2, abs=1)


def test_few_windows_make_one_batch_and_none_is_refused(tmp_path: Path) -> None:
    path = make_night(tmp_path, stages=[1] * 12)
    assert len(WindowSource(NightWindows([path], ["C4"], 4, seed=0), 64)) == 1
    empty = NightWindows([path], ["C4"], 50, seed=0)
    with pytest.raises(ValueError, match="hold no window of 50 epochs"):
        WindowSource(empty, 4)
