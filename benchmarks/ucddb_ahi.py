"""The AHI of real nights from their scored events, beside the published one.

    python -m benchmarks.ucddb_ahi --data ../shared/data

UCDDB (PhysioNet, 16 of 25 nights): apneas and hypopneas of the epoch tables, and the AHI of
`subject_details.csv`. Both rules for counting are shown; the published index is that of `all`. The
last columns look into what is left: how long the sleep goes on after the last event of the table,
and the index over the sleep until then, in case the table ends before the night does.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.measure import table
from evaluation.respiration import BREATHING, Rule, counted, respiratory_statistics, sleep_hours
from nights.stages import UNSCORED
from recordings.scoring import Scoring, read_scoring

TOLERANCE = 1.0  # events per hour: the published figures are whole numbers


@dataclass(frozen=True)
class NightIndex:
    """One night: the published AHI, ours by each rule, and what there is to say of its events."""

    night: str
    published: float
    by_rule: dict[Rule, float]
    n_events: int
    awake_events: int
    sleep_h: float
    sleep_after_h: float
    until_last: float

    @property
    def difference(self) -> float:
        """Ours by the rule `all`, less the published one."""
        return self.by_rule["all"] - self.published


def indices(data: Path) -> Iterator[NightIndex]:
    """Yield every night of the folder `real/ucddb` below `data`."""
    folder = data / "real/ucddb"
    with (folder / "subject_details.csv").open(newline="", encoding="utf-8") as rows:
        published = {
            row["Study Number"].lower(): float(row["PSG AHI"]) for row in csv.DictReader(rows)
        }
    for night, ahi in published.items():
        scoring = read_scoring(folder / "epochs_events" / f"{night}.csv")
        yield _index(night, ahi, scoring)


def _index(night: str, published: float, scoring: Scoring) -> NightIndex:
    """Compute one night."""
    hypnogram, events = scoring.hypnogram, scoring.events
    found = respiratory_statistics(events, hypnogram)
    every = counted(events, hypnogram, BREATHING, rule="all")
    last_s = max(event.onset_s + event.duration_s for event in every)
    stages = hypnogram.stages.copy()
    stages[hypnogram.onsets_s > last_s] = UNSCORED
    until = replace(hypnogram, stages=stages)
    return NightIndex(
        night=night,
        published=published,
        by_rule={
            "asleep": found["ahi_per_h"],
            "all": respiratory_statistics(events, hypnogram, rule="all")["ahi_per_h"],
        },
        n_events=len(every),
        awake_events=int(found["awake_events"]),
        sleep_h=found["sleep_h"],
        sleep_after_h=found["sleep_h"] - sleep_hours(until),
        until_last=respiratory_statistics(events, until, rule="all")["ahi_per_h"],
    )


def main() -> None:
    """Print the table, and how many nights are within 1 of the published index."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    nights = list(indices(parser.parse_args().data))
    head = ["night", "published", "all", "difference", "asleep (AASM)", "events", "wholly awake"]
    head += ["sleep h", "sleep h after the last event", "all, until the last event"]
    rows = [
        [n.night, f"{n.published:g}", f"{n.by_rule['all']:.1f}", f"{n.difference:+.1f}"]
        + [f"{n.by_rule['asleep']:.1f}", n.n_events, n.awake_events, f"{n.sleep_h:.2f}"]
        + [f"{n.sleep_after_h:.2f}", f"{n.until_last:.1f}"]
        for n in nights
    ]
    print(table("AHI of UCDDB, events per hour of sleep", head, rows))
    close = [night for night in nights if abs(night.difference) <= TOLERANCE]
    print(f"within {TOLERANCE:g} of the published AHI: {len(close)} of {len(nights)} nights")


if __name__ == "__main__":
    main()
