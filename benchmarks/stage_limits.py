"""Measure where the sleep statistics of real scored nights lie, and write `staging/limits.json`.

    python benchmarks/stage_limits.py --data ../shared/data

`staging/quality.py` compares a staged night with these ranges. Every night counts once (of nights
with five scorers one is taken, in turn), between lights off and lights on where these are known.
Also measured: how much two people differ about the same night, how sure published stagers were,
and how often the ranges would alarm on nights of a source that had no part in them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from evaluation.alarm import SEVERITIES  # noqa: E402
from evaluation.statistics import sleep_statistics  # noqa: E402
from nights.atomic import write_text  # noqa: E402
from nights.hypnogram import Hypnogram  # noqa: E402
from nights.stages import EPOCH_S, FOUR_CLASSES, STAGES, UNSCORED, to_four_classes  # noqa: E402
from recordings.scoring import read_scoring  # noqa: E402
from staging.quality import judge  # noqa: E402

SHORTEST_H = 3.0  # shorter scorings are naps or excerpts
PERCENTILES = (0.5, 99.5)
ANY_CLASSES = ("tst_min", "se_percent", "sol_min", "waso_min", "rem_percent", "rem_latency_min")
WATCHED = {
    STAGES: (
        *ANY_CLASSES,
        "n1_percent",
        "n2_percent",
        "n3_percent",
        "n3_latency_min",
        "stage_shifts_per_h",
    ),
    FOUR_CLASSES: (*ANY_CLASSES, "light_percent", "deep_percent", "stage_shifts_per_h"),
}
DAY_S = 86_400


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a summary, write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "staging" / "limits.json")
    options = parser.parse_args(argv)
    nights = {name: list(_long_enough(read(options.data))) for name, read in SOURCES.items()}
    five, four = (
        {name: [_statistics(night, classes) for night in found] for name, found in nights.items()}
        for classes in WATCHED
    )
    everything = [row for rows in five.values() for row in rows]
    measured = {
        "command": "python benchmarks/stage_limits.py --data ../shared/data",
        "date": datetime.now(UTC).date().isoformat(),
        "nights": len(everything),
        "sources": {name: len(found) for name, found in nights.items()},
        "percentiles": PERCENTILES,
        "statistics": _ranges(everything),
        "statistics_four_classes": _ranges([row for rows in four.values() for row in rows]),
        "nights_without": {
            stage: sum(row[f"{stage}_percent"] == 0 for row in everything)
            for stage in ("n3", "rem")
        },
        "two_scorers": _two_scorers(options.data),
        "stager_confidence": _stager_confidence(options.data),
        "alarms_on_unseen_sources": _unseen(five),
    }
    write_text(options.out, json.dumps(measured, indent=1) + "\n")
    print(json.dumps(measured, indent=1))
    return 0


def _dod(data: Path) -> Iterator[Hypnogram]:
    """Dreem Open Datasets: healthy persons and persons with sleep apnea, five scorers each."""
    for place, scorers in enumerate(_dod_scorers(data)):
        yield Hypnogram(stages=scorers[place % len(scorers)])


def _dod_scorers(data: Path) -> Iterator[np.ndarray]:
    """Yield the stages (5, E) that the five scorers gave to each night."""
    with np.load(data / "real" / "dod" / "dod.npz") as pack:
        for name in sorted(pack.files):
            if name.endswith("/scorers"):
                yield pack[name]


def _sleep_edf(data: Path) -> Iterator[Hypnogram]:
    """Sleep-EDF Expanded: cassette and telemetry recordings, lights off and on known."""
    with np.load(data / "sleepedf_hypnograms.npz") as pack:
        pack = {name: pack[name] for name in pack.files}
    stage = {"W": 0, "1": 1, "2": 2, "3": 3, "4": 3, "R": 4}
    codes = np.array([stage.get(code, UNSCORED) for code in pack["codes"]])
    ends = np.cumsum(pack["epochs"])
    for end, n_epochs, times in zip(ends, pack["epochs"], pack["times_s"], strict=True):
        at = dict(zip(pack["times_names"], times.tolist(), strict=True))
        off, on = ((at[mark] - at["hyp_start"]) % DAY_S for mark in ("lights_off", "lights_on"))
        yield Hypnogram(
            stages=codes[pack["stages"][end - n_epochs : end]],
            lights_off_s=0.0 if off > n_epochs * EPOCH_S else float(off),  # off before the start
            lights_on_s=float(on),
        )


def _tables(folder: str, pattern: str, **how: Any) -> Callable[[Path], Iterator[Hypnogram]]:
    """Return a reader of the scoring files of one folder."""

    def read(data: Path) -> Iterator[Hypnogram]:
        for path in sorted((data / "real" / folder).glob(pattern)):
            yield read_scoring(path, **how).hypnogram

    return read


SOURCES: dict[str, Callable[[Path], Iterator[Hypnogram]]] = {
    "Dreem Open Datasets": _dod,
    "Sleep-EDF Expanded": _sleep_edf,
    "BOAS": _tables("boas", "*_psg_events.tsv"),
    "Surrey cEEGrid": _tables("surrey_ceegrid", "*acq-PSGScoring_events.tsv"),
    "EESM17": _tables("eesm17", "*scoring_events.tsv"),
    "UCDDB": _tables("ucddb/stage", "*_stage.txt", stage_map="ucddb"),
    "CAP": _tables("cap_remlogic", "*.txt"),
}


def _long_enough(nights: Iterator[Hypnogram]) -> Iterator[Hypnogram]:
    """Yield the nights that are no nap and no excerpt."""
    for night in nights:
        if night.scored.sum() * night.epoch_s >= SHORTEST_H * 3600:
            yield night


def _statistics(night: Hypnogram, classes: tuple[str, ...]) -> dict[str, float]:
    """Return the watched statistics of one night in five or in four classes."""
    if classes == FOUR_CLASSES:
        night = night.with_stages(to_four_classes(night.stages), classes=FOUR_CLASSES)
    values = sleep_statistics(night)
    return {name: values[name] for name in WATCHED[classes]}


def _ranges(rows: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return of each statistic how many nights have it, its percentiles and its extremes."""
    found = {}
    for name in rows[0]:
        values = np.array([row[name] for row in rows])
        values = values[np.isfinite(values)]
        low, high = np.percentile(values, PERCENTILES)
        least, greatest = values.min(), values.max()
        numbers = {"low": low, "high": high, "least": least, "greatest": greatest}
        found[name] = {"n": len(values)} | {key: round(float(x), 2) for key, x in numbers.items()}
    return found


def _unseen(tables: dict[str, list[dict[str, float]]]) -> dict[str, float]:
    """Return the share of nights with an alarm when their source had no part in the ranges."""
    gravest: Counter[str] = Counter()
    for name, rows in tables.items():
        ranges = _ranges([row for other in tables if other != name for row in tables[other]])
        for row in rows:
            found = [judge(row[statistic], ranges[statistic]) for statistic in ranges]
            severities = {judged[0] for judged in found if judged is not None}
            gravest[max(severities, key=SEVERITIES.index, default="none")] += 1
    total = sum(map(len, tables.values()))
    return {severity: round(gravest[severity] / total, 4) for severity in SEVERITIES}


def _two_scorers(data: Path) -> dict[str, float]:
    """Measure how far two people differ about one night: epochs alike, and shares of a stage."""
    alike, shares = [], []
    for scorers in _dod_scorers(data):
        for one, other in combinations(scorers, 2):
            both = (one != UNSCORED) & (other != UNSCORED)
            one, other = one[both], other[both]
            alike.append(float(np.mean(one == other)))
            gaps = [abs(np.mean(one == s) - np.mean(other == s)) for s in range(len(STAGES))]
            shares.append(100 * float(max(gaps)))
    return {
        "pairs": len(alike),
        "agreement_percentile_0.5": round(float(np.percentile(alike, 0.5)), 4),
        "agreement_percentile_5": round(float(np.percentile(alike, 5)), 4),
        "share_difference_percent_percentile_95": round(float(np.percentile(shares, 95)), 2),
        "share_difference_percent_percentile_99": round(float(np.percentile(shares, 99)), 2),
    }


def _stager_confidence(data: Path) -> dict[str, float]:
    """Measure how sure four published networks were of a night: mean largest probability."""
    with np.load(data / "sleepedf20_stager_outputs.npz") as pack:
        cuts = np.cumsum(pack["record_epochs"])[:-1]
        means = []
        for name in sorted(name for name in pack.files if name.startswith("logits_")):
            logits = pack[name][1].astype(np.float64)  # of three heads the one for this epoch
            odds = np.exp(logits - logits.max(axis=1, keepdims=True))
            sure = odds.max(axis=1) / odds.sum(axis=1)
            means += [float(night.mean()) for night in np.split(sure, cuts)]
    return {"nights": len(means), "percentile_0.5": round(float(np.percentile(means, 0.5)), 4)}


if __name__ == "__main__":
    raise SystemExit(main())
