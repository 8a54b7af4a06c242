"""Two scorings of one night side by side: a person against a stager, or two stagers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.metrics import confusion, metrics_from
from evaluation.page import epoch_place, render_page, svg_address
from evaluation.plots import confidence, encode, matrix_figure
from evaluation.plots.pair import differences, pair_figure
from evaluation.report import describe
from evaluation.statistics import DEFINITIONS, sleep_statistics
from nights.atomic import write_text
from nights.hypnogram import Hypnogram
from nights.stages import UNSCORED

LONGEST_NAME = 24  # letters beside a panel
SHOWN = (
    *("tst_min", "se_percent", "sol_min", "waso_min", "rem_latency_min", "awakenings"),
    *("n1_percent", "n2_percent", "n3_percent", "light_percent", "deep_percent", "rem_percent"),
)


@dataclass(frozen=True, eq=False)
class Pair:
    """Two scorings of the same epochs in the same classes.

    Parameters
    ----------
    night : str
        Name of the night.
    names : (str, str)
        Who gave the scorings.
    first, second : Hypnogram
        Of E epochs each; rows of the confusion are the first.
    simulated : tuple of str
        Why this is not a result of a real night; shown as a banner.

    Raises
    ------
    ValueError
        If they differ in their number of epochs or in their classes, or share no scored epoch.
    """

    night: str
    names: tuple[str, str]
    first: Hypnogram
    second: Hypnogram
    simulated: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        one, two = self.first, self.second
        if one.n_epochs != two.n_epochs or one.classes != two.classes:
            raise ValueError(
                f"{self.names[0]} has {one.n_epochs} epochs of {' '.join(one.classes)}, "
                f"{self.names[1]} {two.n_epochs} of {' '.join(two.classes)}: the same are wanted"
            )
        if not (one.scored & two.scored).any():
            raise ValueError(f"{self.names[0]} and {self.names[1]} scored no epoch in common")

    @property
    def confusion(self) -> np.ndarray:
        """Epochs (K, K) that both scored: rows the first, columns the second."""
        return confusion(self.first, self.second, len(self.first.classes))


def write_comparison(pair: Pair, path: Path) -> None:
    """Write the page as one HTML file, whole or not at all."""
    write_text(path, render(pair))


def render(pair: Pair) -> str:
    """Return the page as text."""
    metrics = metrics_from(pair.confusion, pair.first.classes)
    short = [name if len(name) <= LONGEST_NAME else f"{name[:23]}…" for name in pair.names]
    picture = pair_figure(pair.first, pair.second, ("First", "Second"))
    matrix = matrix_figure(pair.confusion, pair.first.classes, rows=short[0], columns=short[1])
    rows = disagreements(pair)
    alone = int((pair.first.scored != pair.second.scored).sum())
    return render_page(
        "comparison.html.j2",
        pair=pair,
        metrics=metrics,
        alone=alone,
        picture=svg_address(encode(picture, "svg")),
        picture_text=[describe(night) for night in (pair.first, pair.second)],
        matrix=svg_address(encode(matrix, "svg")),
        statistics=_statistics(pair),
        rows=rows,
        counts=_counts(rows),
        n_apart=int(differences(pair.first, pair.second).sum()),
    )


def disagreements(pair: Pair) -> list[dict[str, Any]]:
    """List the stretches over which both scorings keep to different stages, in order of time."""
    apart = differences(pair.first, pair.second)
    code = np.where(apart, pair.first.stages * 16 + pair.second.stages, UNSCORED)
    edges = np.concatenate([[0], np.flatnonzero(np.diff(code)) + 1, [len(code)]])
    rows = []
    for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if end > begin and code[begin] != UNSCORED:
            row = epoch_place(pair.first, begin) | {
                "last": end,
                "minutes": (end - begin) * pair.first.epoch_s / 60,
                "n_epochs": end - begin,
                "first": pair.first.names[begin],
                "second": pair.second.names[begin],
            }
            sides = {"first_sure": pair.first, "second_sure": pair.second}
            rows.append(row | {name: _mean(night, begin, end) for name, night in sides.items()})
    return rows


def _mean(night: Hypnogram, begin: int, end: int) -> float:
    """Return the mean probability of the stages given over a stretch; NaN without any."""
    return float(np.mean(confidence(night)[begin:end]))


def _counts(rows: Sequence[dict[str, Any]]) -> list[tuple[str, int]]:
    """Count the epochs by kind of disagreement, the most frequent first."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts[f"{row['first']} / {row['second']}"] += row["n_epochs"]
    return sorted(counts.items(), key=lambda kind: (-kind[1], kind[0]))


def _statistics(pair: Pair) -> list[tuple[str, str, str, float, float]]:
    """Return (name, unit, definition, first, second) of what is told of a night."""
    both = [sleep_statistics(night) for night in (pair.first, pair.second)]
    return [
        (name, DEFINITIONS[name].unit, DEFINITIONS[name].text, both[0][name], both[1][name])
        for name in SHOWN
        if name in both[0]
    ]
