"""Nights drawn from a model: begun as told, drawn by its chances, compared like with like."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

import models
from evaluation.sampling import compare_nights, draw_nights, write_sampled
from nights.sequences import StageNight

REAL = [StageNight("a", str(i), str(i), np.repeat([0, 1, 2, 3, 4], 20 + i)) for i in range(3)]


def chain() -> torch.nn.Module:
    """W -> N1 -> N2 -> N3 -> R -> W, never otherwise."""
    table = np.full((5, 5), 1e-9)
    table[np.arange(5), (np.arange(5) + 1) % 5] = 1
    model = models.create("markov")
    model.tables[1].copy_(torch.from_numpy(np.log(table)))
    return model


def test_nights_are_drawn_by_the_chances_of_the_model() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = draw_nights(chain(), np.zeros((2, 1)), 11, generator=generator)
    assert drawn.tolist() == [[0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0]] * 2


def test_real_nights_are_cut_to_the_length_of_drawn_ones_and_shorter_left_out() -> None:
    drawn = np.tile(np.repeat([0, 2], [50, 55]), (2, 1))
    compared = compare_nights(drawn, REAL)
    assert len(compared["tst_min"]["drawn"]) == 2
    assert len(compared["tst_min"]["real"]) == 2  # of 100, 105 and 110 epochs, two are long enough
    assert compared["tst_min"]["unit"] == "min"
    assert compared["n2_percent"]["drawn"] == [100.0, 100.0]


def test_a_figure_and_its_numbers_are_written(tmp_path: Path) -> None:
    night = models.create("sleepgpt-night", n_positions=10).eval()
    write_sampled(tmp_path, night, REAL, n_nights=2, n_epochs=40)
    assert (tmp_path / "sampled.png").stat().st_size > 1000
    assert "rem_latency_min" in json.loads((tmp_path / "sampled.json").read_text())
