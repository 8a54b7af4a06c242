"""Whole nights drawn from a language model of sleep, beside real ones.

A model that foretells the next stage well may still dream of nights nobody sleeps: this shows
whether what it has learned adds up to a night.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from evaluation.next_stage import n_stages
from evaluation.plots import save_figure
from evaluation.statistics import DEFINITIONS, sleep_statistics
from nights.atomic import write_text
from nights.hypnogram import Hypnogram
from nights.sequences import StageNight
from nights.stages import FOUR_CLASSES, STAGES

BEGINNING = 10  # epochs of wake: lights are off before anyone sleeps
CONTEXT = 60  # epochs a plain language model looks back while a night is drawn
COMPARED = (
    *("tst_min", "se_percent", "sol_min", "waso_min", "awakenings", "stage_shifts_per_h"),
    *("n1_percent", "n2_percent", "n3_percent", "light_percent", "deep_percent", "rem_percent"),
    *("rem_latency_min", "rem_periods"),
)


@torch.inference_mode()
def draw_nights(
    model: Any, beginnings: np.ndarray, n_epochs: int, *, generator: torch.Generator
) -> np.ndarray:
    """Draw nights from a model, epoch by epoch.

    Parameters
    ----------
    model : Module
        With `next_log_probs`.
    beginnings : int array (B, T)
        The first stages of each night.
    n_epochs : int
        Length of the nights, the beginning included.
    generator : torch.Generator
        Of the draws.

    Returns
    -------
    int8 array (B, n_epochs)
    """
    whole = hasattr(model, "describe")
    ids = torch.from_numpy(np.asarray(beginnings, dtype=np.int64))
    while ids.shape[1] < n_epochs:
        told = model.next_log_probs(ids if whole else ids[:, -CONTEXT:])[:, : n_stages(model)]
        ids = torch.cat([ids, torch.multinomial(told.exp(), 1, generator=generator)], dim=1)
    return ids.numpy().astype(np.int8)


def write_sampled(
    folder: Path,
    model: Any,
    real: Sequence[StageNight],
    *,
    n_nights: int,
    n_epochs: int = 800,
    seed: int = 0,
) -> None:
    """Draw nights that begin with five minutes of wake; write sampled.json and sampled.png.

    Parameters
    ----------
    folder : Path
        Of the run.
    model : Module
        With `next_log_probs`.
    real : sequence of StageNight
        Nights to compare with; of each the first `n_epochs` count, shorter ones are left out.
    n_nights, n_epochs, seed : int
        How many nights of which length, and of the draws.
    """
    awake = np.zeros((n_nights, BEGINNING), dtype=np.int64)
    generator = torch.Generator().manual_seed(seed)
    drawn = draw_nights(model, awake, n_epochs, generator=generator)
    compared = compare_nights(drawn, real, n_stages(model))
    write_text(folder / "sampled.json", json.dumps(compared, indent=1) + "\n")
    save_figure(sampling_figure(compared), folder / "sampled.png")


def compare_nights(
    drawn: np.ndarray, real: Sequence[StageNight], n_classes: int = 5
) -> dict[str, dict[str, Any]]:
    """Return the statistics of drawn and real nights, each cut to the length of the drawn ones.

    Returns
    -------
    dict
        {statistic: {"unit", "drawn": values, "real": values}}, NaN left out.
    """
    length, classes = drawn.shape[1], STAGES if n_classes == len(STAGES) else FOUR_CLASSES
    long_enough = [n.stages[_first(n) :][:length] for n in real]
    rows = {
        "drawn": [sleep_statistics(Hypnogram(stages, classes=classes)) for stages in drawn],
        "real": [
            sleep_statistics(Hypnogram(s, classes=classes)) for s in long_enough if len(s) == length
        ],
    }
    return {
        name: {
            "unit": DEFINITIONS[name].unit,
            **{
                kind: [row[name] for row in found if np.isfinite(row[name])]
                for kind, found in rows.items()
            },
        }
        for name in COMPARED
        if name in rows["drawn"][0]
    }


def sampling_figure(compared: dict[str, dict[str, Any]]) -> Figure:
    """Draw the statistics of real and of drawn nights side by side."""
    columns = 4
    figure = Figure(figsize=(9, 2.2 * -(-len(compared) // columns)), layout="constrained")
    axes = figure.subplots(-(-len(compared) // columns), columns, squeeze=False).ravel()
    for ax, (name, values) in zip(axes, compared.items(), strict=False):
        ax.boxplot([values["real"], values["drawn"]], widths=0.6, showfliers=False)
        ax.set_xticks([1, 2], ["real", "drawn"])
        ax.set_title(name.replace("_", " "), fontsize=9)
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes[len(compared) :]:
        ax.set_visible(False)
    return figure


def _first(night: StageNight) -> int:
    """Return the first scored epoch."""
    return int(np.argmax(night.stages >= 0))
