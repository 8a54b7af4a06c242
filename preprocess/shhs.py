"""SHHS: Sleep Heart Health Study, 8444 nights at home of 5804 people, two visits.

Files     polysomnography/edfs/shhs1/shhs1-200001.edf with, below polysomnography/,
          annotations-events-profusion/shhs1/shhs1-200001-profusion.xml (stages) and
          annotations-events-nsrr/shhs1/shhs1-200001-nsrr.xml (events)
Scoring   Rechtschaffen and Kales, one code per epoch from second 0
Quirks    EEG is C4-A1 and EEG(sec) is C3-A2 (manual of procedures). LPSGM and SynthSleepNet have
          them exchanged, and so do weights they released: `--as-published` reads as they did
          the second EEG goes by six names, the airflow by four
          eyes stand against the ground electrode at 50 Hz: nothing above 25 Hz is in them
          most people of visit 2 are in visit 1 too; desaturations may be missing or displaced
          visit 1 was digitised with 8 bit over +-125 uV; dates are invalid or 1985-01-01
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from preprocess.dataset import (
    EVENTS,
    Counts,
    Dataset,
    DatasetSpec,
    RawNight,
    Source,
    find,
    first_file,
)
from preprocess.recipe import run_alone

SECOND_EEG = ["EEG(sec)", "EEG sec", "EEG2", "EEG 2", "EEG(SEC)", "EEG (sec)"]

SPEC = DatasetSpec(
    name="SHHS",
    title="Sleep Heart Health Study, visits 1 and 2",
    source=Source(
        "nsrr",
        page="https://sleepdata.org/datasets/shhs",
        licence="NSRR data access and use agreement",
        name="shhs",
        files=("polysomnography/edfs/*", "polysomnography/annotations-events-*/*"),
        apply="a data request on sleepdata.org, with the signed agreement",
    ),
    n_nights=8444,
    n_persons=5804,
    channels={
        "C3": SECOND_EEG,
        "C4": ["EEG"],
        "E1": ["EOG(L)"],
        "E2": ["EOG(R)"],
        "Chin": ["EMG"],
        "ECG": ["ECG"],
        "ABD": ["ABDO RES"],
        "THX": ["THOR RES"],
        "Airflow": ["NEW AIR", "New Air", "AIRFLOW", "Airflow"],
        "SpO2": ["SaO2"],
    },
    events=EVENTS,
    as_published={
        "lpsgm": {"C3": ["EEG"], "C4": SECOND_EEG},
        "synthsleepnet": {"C3": ["EEG"], "C4": ["EEG(sec)"]},
        # The first label that begins with EEG, which is EEG(sec) in the usual order of channels
        "sleepgpt": {"C4": ["EEG(sec)", "EEG"]},
    },
    counts=Counts(
        "LPSGM log",
        8444,
        8_035_093,
        (1_878_993, 329_039, 3_545_240, 1_053_193, 1_228_628),
        parts={
            "SHHS-1": Counts(
                "LPSGM log", 5793, 5_342_345, (1_170_426, 217_583, 2_397_460, 739_403, 817_473)
            ),
            "SHHS-2": Counts(
                "LPSGM log", 2651, 2_692_748, (708_567, 111_456, 1_147_780, 313_790, 411_155)
            ),
        },
        note="after cutting wake beyond 60 epochs before and after sleep",
    ),
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights of both visits found below `raw_dir`, sorted by visit and person."""
    name = r"(?P<night>shhs(?P<visit>[12])-(?P<person>\d{6}))"
    scorings = raw_dir / "polysomnography"
    for path, ids in find(raw_dir, "polysomnography/edfs/shhs[12]/*.edf", name):
        night, visit = ids["night"], f"shhs{ids['visit']}"
        profusion = scorings / f"annotations-events-profusion/{visit}/{night}-profusion.xml"
        nsrr = scorings / f"annotations-events-nsrr/{visit}/{night}-nsrr.xml"
        yield RawNight(
            night=night,
            person=ids["person"],
            signals=path,
            scoring=first_file(profusion, nsrr),
            events=first_file(nsrr, profusion),
            visit=ids["visit"],
            part=f"SHHS-{ids['visit']}",
        )


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
