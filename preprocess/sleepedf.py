"""Sleep-EDF Expanded: 153 nights of 78 healthy people at home, 44 of 22 people with temazepam.

Files     sleep-cassette/SC4ssnE0-PSG.edf with SC4ssnEC-Hypnogram.edf, sleep-telemetry/ST7...: the
          first six characters of both agree (study, person ss, night n), the last two differ
Scoring   EDF+ runs of Rechtschaffen and Kales stages from second 0; the last may outlast the signal
Subsets   Sleep-EDF-20 are persons 00 to 19 of the cassette study, Sleep-EDF-78 (or -153) all of it
Quirks    a cassette lasts up to 22 h, three quarters of it wake: trimming is the loader's
          the cassette chin is an envelope at 1 Hz, no muscle signal: it is left out
          movement time and `Sleep stage ?` are unscored; taking them out would join strangers
          data records last 30 s, in one file 60 s: time comes from the header, not from records
          lost nights: the first of persons 36 and 52, the second of person 13
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from preprocess.dataset import (
    Dataset,
    DatasetSpec,
    RawNight,
    ScoringFormat,
    Source,
    find,
)
from preprocess.recipe import run_alone

CHANNELS = {
    "FpzCz": ["EEG Fpz-Cz"],
    "PzOz": ["EEG Pz-Oz"],
    "EOGh": ["EOG horizontal"],
    "Chin": ["EMG submental"],
    "Airflow": ["Resp oro-nasal"],
}
CASSETTE = {target: labels for target, labels in CHANNELS.items() if target != "Chin"}

SPEC = DatasetSpec(
    name="SleepEDF",
    title="Sleep-EDF Expanded (cassette and telemetry)",
    source=Source(
        "physionet",
        page="https://physionet.org/content/sleep-edfx/1.0.0/",
        licence="Open Data Commons Attribution 1.0",
        name="sleep-edfx/1.0.0",
        files=("sleep-cassette/*", "sleep-telemetry/*"),
    ),
    n_nights=197,
    n_persons=100,
    channels=CHANNELS,
    part_channels={"SleepEDF-20": CASSETTE, "SleepEDF-78": CASSETTE},
    scoring=ScoringFormat("edfplus", stage_map="edfplus"),
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights of both studies found below `raw_dir`, cassettes first."""
    name = r"(?P<night>(?P<six>(?P<person>(?P<study>SC4|ST7)\d\d)(?P<visit>\d))[A-Z]\d)-PSG"
    for path, ids in find(raw_dir, "sleep-*/*-PSG.edf", name):
        hypnogram = path.with_name(f"{ids['six']}-Hypnogram.edf")
        yield RawNight(
            night=ids["night"],
            person=ids["person"],
            signals=path,
            scoring=next(iter(sorted(path.parent.glob(f"{ids['six']}*-Hypnogram.edf"))), hypnogram),
            visit=ids["visit"],
            part=_part(ids["study"], ids["person"]),
        )


def _part(study: str, person: str) -> str:
    """Return the subset of a person; those of Sleep-EDF-20 are also in Sleep-EDF-78."""
    if study == "ST7":
        return "SleepEDF-ST"
    return "SleepEDF-20" if int(person[3:]) < 20 else "SleepEDF-78"


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
