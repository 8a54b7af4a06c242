"""NCHSDB: Nationwide Children's Hospital Sleep DataBank, 3984 nights of 3673 children.

Files     sleep_data/10000_17728.edf (child, night) with 10000_17728.tsv: onset, duration,
          description; an older export, .annot, has the label first and no header
Scoring   AASM; onsets are fractions of a second (.9609375 past every full one): epochs begin there
Events    among some 35,800 spellings of free text only listed ones are taken
Quirks    273 children have two to five nights: they are grouped by child, not by night
          eye, chin and heart leads go by the prefix EEG too
          31 nights hold no stage: they are stored without, for training without labels
          two nights lack frontal channels, 17236_20881 lacks the left eye
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
    ScoringFormat,
    find,
    first_file,
)
from preprocess.recipe import run_alone
from preprocess.sleepdata import sleepdata_source

# Their scorings hold events and remarks only
WITHOUT_STAGES = (
    *("11122_4258", "11527_7306", "13042_766", "13318_16993", "13753_1708", "15028_10648"),
    *("15118_1519", "15430_6124", "1573_24418", "15937_9964", "15973_12361", "17500_16027"),
    *("17623_16915", "18163_26266", "18169_2716", "18541_1828", "20332_16723", "2569_2281"),
    *("3607_4252", "4204_14410", "4954_9088", "5593_25141", "6886_3703", "8122_12256"),
    *("8470_13564", "8788_19156", "8953_24793", "9202_9148", "9361_9025", "9379_24787"),
    "9880_23149",
)

SPEC = DatasetSpec(
    name="NCHSDB",
    title="Nationwide Children's Hospital Sleep DataBank",
    source=sleepdata_source("nchsdb", terms="non-commercial", files=("sleep_data/*",)),
    n_nights=3984,
    n_persons=3673,
    channels={
        "F3": ["EEG F3-M2", ("EEG F3", "EEG M2"), ("F3", "EEG M2"), ("F3", "M2")],
        "F4": ["EEG F4-M1", "EEG F4-M2", ("EEG F4", "EEG M1"), ("F4", "EEG M1"), ("F4", "M1")],
        "C3": ["EEG C3-M2", ("EEG C3", "EEG M2"), ("C3", "EEG M2"), ("C3", "M2")],
        "C4": ["EEG C4-M1", "EEG C4-M2", ("EEG C4", "EEG M1"), ("C4", "EEG M1"), ("C4", "M1")],
        "O1": ["EEG O1-M2", ("EEG O1", "EEG M2"), ("O1", "EEG M2"), ("O1", "M2")],
        "O2": ["EEG O2-M1", ("EEG O2", "EEG M1"), ("O2", "EEG M1"), ("O2", "M1")],
        "E1": [
            *("EOG LOC-M2", "EEG LOC-M2"),
            *(("EEG E1", "EEG M2"), ("LOC", "EEG M2"), ("LOC", "M2")),
        ],
        "E2": [
            *("EOG ROC-M1", "EEG ROC-M1", "EEG ROC-M2"),
            *(("EEG E2", "EEG M1"), ("ROC", "EEG M1"), ("ROC", "M1")),
        ],
        "Chin": [
            *("EEG Chin1-Chin2", "EMG CHIN1-CHIN2", "EMG Chin1-Chin2", "EMG Chin2-Chin1"),
            *(("EEG Chin1", "EEG Chin2"), ("Chin1", "Chin2")),
            *("EEG Chin1-Chin3", "EEG Chin3-Chin2"),
            *("EMG CHIN1-CHIN3", "EMG Chin1-Chin3", "EMG Chin3-Chin2"),
        ],
        "ECG": ["ECG EKG2-EKG", "EEG EKG2-EKG", "EEG EKG1"],
        "ABD": ["Resp Abdominal", "Resp Abdomen", "EEG Abd", "Abdominal"],
        "THX": ["Resp Thoracic", "Resp Chest", "EEG Chest", "Thoracic"],
        "Airflow": ["Resp Airflow", "Resp Flow", "Airflow"],
        "NasalP": ["Resp PTAF", "PTAF"],
        "SpO2": ["SpO2"],
    },
    scoring=ScoringFormat(stage_map="edfplus"),
    events=EVENTS,
    bad={
        "12334_19465": "invalid according to LPSGM",
        "1795_24829": "invalid according to LPSGM",
        "1483_7963": "its scoring file is empty",
        "19756_14953": "the recording cannot be read",
    },
    remarks=dict.fromkeys(WITHOUT_STAGES, "its scoring file holds no stage"),
    counts=Counts("LPSGM log", 3949, 3_662_015, (665_222, 128_341, 1_382_968, 874_551, 610_933)),
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights found below `raw_dir`, sorted by id."""
    name = r"sleep_data/(?P<night>(?P<person>\d+)_(?P<visit>\d+))"
    for path, ids in find(raw_dir, "sleep_data/*.edf", name):
        scored = ids["night"] not in WITHOUT_STAGES
        scoring = first_file(path.with_suffix(".tsv"), path.with_suffix(".annot"))
        yield RawNight(
            night=ids["night"],
            person=ids["person"],
            signals=path,
            scoring=scoring if scored else None,
            has_events=scored,
            visit=ids["visit"],
        )


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
