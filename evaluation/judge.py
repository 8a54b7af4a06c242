"""Everything one evaluation says of a stager, from what it said of scored nights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evaluation.agreement import bland_altman, statistics_of
from evaluation.bootstrap import Interval, drawn_sums, draws, interval, sum_by_person
from evaluation.calibration import REVIEWED, Calibration, calibrate
from evaluation.metrics import (
    FOUR_FROM_FIVE,
    SCORES,
    THREE_FROM_FIVE,
    Comparison,
    compare,
    merge_stages,
    metrics_from,
    score_rules,
)
from evaluation.outputs import NightOutput
from nights.hypnogram import Hypnogram
from nights.stages import STAGES, UNSCORED

# What is told of a night's sleep, as far as the stages tell it apart (five or four)
STATISTICS = (
    *("tst_min", "waso_min", "sol_min", "rem_latency_min"),
    *("n1_percent", "n2_percent", "n3_percent", "light_percent", "deep_percent", "rem_percent"),
)


@dataclass(frozen=True, eq=False)
class Measured:
    """A sleep statistic of every night, by the scoring and by the stager: float64 arrays (N,)."""

    scoring: np.ndarray
    stager: np.ndarray


@dataclass(frozen=True, eq=False)
class Judged:
    """A stager on scored nights.

    Parameters
    ----------
    name : str
        Of the stager.
    nights : tuple of NightOutput
        Those the figures are of: one subset of channels.
    comparison : Comparison
        In the order of `nights`.
    statistics : {name: Measured}
        Of the epochs that both gave a stage.
    calibration : Calibration or None
        None of a stager that gives labels alone.
    subsets : {channels: tuple of NightOutput}
        Every subset of channels in the file.
    """

    name: str
    nights: tuple[NightOutput, ...]
    comparison: Comparison
    statistics: dict[str, Measured]
    calibration: Calibration | None
    subsets: dict[str, tuple[NightOutput, ...]]

    @property
    def classes(self) -> tuple[str, ...]:
        """Stages the stager tells apart."""
        return self.nights[0].classes

    @property
    def owners(self) -> list[str]:
        """Who slept each night."""
        return [night.owner for night in self.nights]

    @property
    def n_simulated(self) -> int:
        """Nights that no person slept."""
        return sum(night.simulated for night in self.nights)


def judge(name: str, nights: Sequence[NightOutput], *, n_folds: int = 5, seed: int = 0) -> Judged:
    """Judge a stager.

    Parameters
    ----------
    name : str
        What to call it.
    nights : sequence of NightOutput
        All of the same classes. Where nights stand for several subsets of channels, those with the
        most channels are the stager's, and all subsets are set beside each other.
    n_folds, seed : int
        Of the temperature, fitted on the nights of other people.

    Raises
    ------
    ValueError
        If nothing is both staged and scored.
    """
    subsets: dict[str, list[NightOutput]] = {}
    for night in nights:
        subsets.setdefault(night.channels, []).append(night)
    main = tuple(most_channels(nights))
    found = compare_outputs(main)
    if not found.pooled["n_epochs"]:
        raise ValueError(f"{name}: no epoch is both staged and scored")
    calibration = None
    if all(night.proba is not None for night in main):
        calibration = calibrate(main, n_folds=n_folds, seed=seed)
    kept = {channels: tuple(own) for channels, own in subsets.items()}
    return Judged(name, main, found, measured(main), calibration, kept)


def most_channels(nights: Sequence[NightOutput]) -> list[NightOutput]:
    """Return the nights staged from the subset with the most channels, the first of equals."""
    subsets = dict.fromkeys(night.channels for night in nights)
    most = max(subsets, key=lambda channels: len(channels.split()))
    return [night for night in nights if night.channels == most]


def compare_outputs(nights: Sequence[NightOutput]) -> Comparison:
    """Compare what a stager said with the scoring, night by night."""
    said, labels = [night.stages for night in nights], [night.labels for night in nights]
    return compare(labels, said, len(nights[0].classes))


def measured(nights: Sequence[NightOutput]) -> dict[str, Measured]:
    """Return the sleep statistics of both sides, over the epochs that both gave a stage.

    Where one side is silent the other is not counted either: a difference is then one of stages,
    not of how much of the night was scored.
    """
    sides: list[dict[str, np.ndarray]] = []
    both = [(night.labels >= 0) & (night.stages >= 0) for night in nights]
    for what in ("labels", "stages"):
        hypnograms = [
            Hypnogram(np.where(known, getattr(n, what), UNSCORED), classes=n.classes)
            for n, known in zip(nights, both, strict=True)
        ]
        sides.append(statistics_of(hypnograms))
    return {
        name: Measured(sides[0][name], sides[1][name]) for name in STATISTICS if name in sides[0]
    }


def facts_of(judged: Judged, *, seed: int = 0) -> dict[str, Any]:
    """Return everything about a stager as plain data, for `results.json`."""
    datasets = dict.fromkeys(night.dataset for night in judged.nights)
    places = {d: [i for i, n in enumerate(judged.nights) if n.dataset == d] for d in datasets}
    return {
        "n_nights": len(judged.nights),
        "n_persons": len(set(judged.owners)),
        "n_simulated_nights": judged.n_simulated,
        "channels": judged.nights[0].channels,
        "classes": judged.classes,
        "agreement": agreement_facts(judged.comparison, judged.owners, judged.classes, seed),
        "datasets": {
            dataset: agreement_facts(
                _part(judged.comparison, where),
                [judged.owners[i] for i in where],
                judged.classes,
                seed,
            )
            for dataset, where in places.items()
        },
        "statistics": {
            name: statistic_facts(found, judged.owners, seed)
            for name, found in judged.statistics.items()
        },
        "calibration": calibration_facts(judged.calibration),
        "channel_subsets": {
            channels: subset_facts(nights, seed) for channels, nights in judged.subsets.items()
        },
    }


def agreement_facts(
    found: Comparison, owners: Sequence[str], classes: Sequence[str], seed: int = 0
) -> dict[str, Any]:
    """Return pooled metrics with intervals by person, metrics over nights, and the confusion."""
    summed = found.confusions.sum(axis=0)
    merged = {}
    if tuple(classes) == STAGES:
        merged = {"W L D R": FOUR_FROM_FIVE, "W NREM R": THREE_FROM_FIVE}
    return {
        "n_nights": len(found.confusions),
        "n_persons": len(set(owners)),
        "pooled": found.pooled,
        "intervals": {k: vars(v) for k, v in intervals(found, owners, classes, seed).items()},
        "over_nights": {
            score: dict(zip(("mean", "sd", "n_undefined"), found.over_nights(score), strict=True))
            for score in SCORES
        },
        "confusion": summed,
        "merged": {
            name: {k: metrics_from(merge_stages(summed, codes))[k] for k in SCORES}
            for name, codes in merged.items()
        },
    }


def intervals(
    found: Comparison, owners: Sequence[str], classes: Sequence[str], seed: int = 0
) -> dict[str, Interval]:
    """Return every pooled metric, F1 of each stage included, with its interval by person."""
    by_person = sum_by_person(found.confusions, owners)
    drawn = drawn_sums(draws(len(by_person), np.random.default_rng(seed)), by_person)
    total = by_person.sum(axis=0)[None]
    rules = score_rules(classes)
    return {name: interval(rule(total)[0], rule(drawn)) for name, rule in rules.items()}


def statistic_facts(found: Measured, owners: Sequence[str], seed: int = 0) -> dict[str, Any]:
    """Return bias, its interval by person, and limits of agreement of one sleep statistic."""
    difference = found.stager - found.scoring
    known = np.isfinite(difference)
    sums = sum_by_person(np.stack([np.where(known, difference, 0.0), known], axis=1), owners)
    total = drawn_sums(draws(len(sums), np.random.default_rng(seed)), sums)
    drawn = np.divide(
        total[:, 0], total[:, 1], out=np.full(len(total), np.nan), where=total[:, 1] > 0
    )
    agreed = bland_altman(found.scoring, found.stager)
    mean = float(found.scoring[known].mean()) if known.any() else float("nan")
    return {
        **asdict(agreed),
        "scoring_mean": mean,
        "bias_interval": vars(interval(agreed.bias, drawn)),
    }


def calibration_facts(found: Calibration | None) -> dict[str, Any] | None:
    """Return sureness, temperature and what review of the least sure epochs gives."""
    if found is None:
        return None
    reviews = {share: found.review.at(share) for share in REVIEWED}
    return {
        "before": found.scores,
        "after": found.scaled_scores,
        "temperatures": found.temperatures,
        "reliability": {
            side: {k: v for k, v in vars(getattr(found, side)).items()}
            for side in ("before", "after")
        },
        "review": {
            f"{share:g}": {"accuracy_left": left, "accuracy_whole": whole}
            for share, (left, whole) in reviews.items()
        },
    }


def subset_facts(nights: Sequence[NightOutput], seed: int = 0) -> dict[str, Any]:
    """Return the headline metrics of one subset of channels."""
    found, owners = compare_outputs(nights), [night.owner for night in nights]
    kappa = intervals(found, owners, nights[0].classes, seed)["kappa"]
    return {
        "n_nights": len(nights),
        "n_channels": len(nights[0].channels.split()),
        **{score: found.pooled[score] for score in SCORES},
        "kappa_interval": vars(kappa),
    }


def night_rows(judged: Judged) -> list[dict[str, Any]]:
    """Return a row a night for `nights.csv`: who, where, metrics, and statistics of both sides."""
    rows = []
    for at, (night, metrics) in enumerate(
        zip(judged.nights, judged.comparison.per_night, strict=True)
    ):
        row: dict[str, Any] = {
            "stager": judged.name,
            "dataset": night.dataset,
            "night": night.night,
        }
        row |= {"person": night.person, "channels": night.channels}
        row["simulated"] = night.simulated
        row |= {name: metrics[name] for name in ("n_epochs", *SCORES)}
        row |= {f"f1_{stage}": value for stage, value in metrics["per_stage_f1"].items()}
        for name, found in judged.statistics.items():
            row |= {f"{name}_scoring": found.scoring[at], f"{name}_stager": found.stager[at]}
        rows.append(row)
    return rows


def _part(found: Comparison, where: Sequence[int]) -> Comparison:
    """Return the comparison of some of the nights."""
    confusions = found.confusions[list(where)]
    per_night = tuple(found.per_night[i] for i in where)
    return Comparison(confusions, metrics_from(confusions.sum(axis=0)), per_night)
