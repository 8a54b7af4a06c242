"""HOMEPAP: Home Positive Airway Pressure study, 247 nights in the laboratory, one per person.

Files     polysomnography/edfs/lab/full/homepap-lab-full-1600001.edf, also split, with XML scorings
          in the usual layout (`preprocess/sleepdata.py`); nights at home have no EEG and no stages
Scoring   AASM, one code per epoch from second 0
Quirks    seven sites, each with its own montage and spelling; some write mV
          split nights end in a titration of the airway pressure
          a code outside 0 to 6 is an unscored epoch; upstream the whole night was lost by it
          the eye against a mastoid comes before E1-E2, which holds both eyes (upstream after it)
          labels that occur twice (ECG, Pulse, Snore, O1, O2), linked signals, an empty header field
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from preprocess.dataset import EVENTS, Counts, Dataset, DatasetSpec, RawNight
from preprocess.recipe import run_alone
from preprocess.sleepdata import sleepdata_source, xml_nights

SPEC = DatasetSpec(
    name="HOMEPAP",
    title="Home Positive Airway Pressure study, laboratory nights",
    source=sleepdata_source(
        "homepap",
        files=("polysomnography/edfs/lab/*", "polysomnography/annotations-events-*/lab/*"),
    ),
    n_nights=247,
    n_persons=247,
    channels={
        "F3": ["F3-M2", ("F3", "M2"), ("F3", "A2")],
        "F4": ["F4-M1", ("F4", "M1"), ("F4", "A1")],
        "C3": ["C3-M2", ("C3", "M2"), ("C3", "A2")],
        "C4": ["C4-M1", ("C4", "M1"), ("C4", "A1")],
        "O1": ["O1-M2", ("O1", "M2"), ("O1", "A2")],
        "O2": ["O2-M1", ("O2", "M1"), ("O2", "A1")],
        "E1": [
            *("E1-M2", ("E-1", "M2"), ("E-1", "A2"), ("E1", "M2"), ("E1", "A2")),
            *(("L-EOG", "M2"), ("L-EOG", "A2"), ("LOC", "M2"), ("LOC", "A2")),
            *("E1-E2", "E-1", "E1", "L-EOG", "LOC"),
        ],
        "E2": [
            *("E2-M1", ("E-2", "M1"), ("E-2", "A1"), ("E2", "M1"), ("E2", "A1")),
            *(("R-EOG", "M1"), ("R-EOG", "A1"), ("ROC", "M1"), ("ROC", "A1")),
            *("E-2", "E2", "R-EOG", "ROC"),
        ],
        "Chin": [
            *(("CCHIN", "LCHIN"), ("CChin", "LChin"), ("Cchin", "Lchin")),
            *(("CCHIN", "Chin1"), ("CChin", "Chin1"), ("Cchin", "Chin1")),
            *(("CCHIN", "EMG1"), ("CChin", "EMG1"), ("Cchin", "EMG1")),
            *(("Chin2", "LChin"), ("Chin2", "Chin1"), ("Chin2", "EMG1")),
            *(("EMG2", "LChin"), ("EMG2", "Chin1"), ("EMG2", "EMG1")),
            *(("L.", "C."), ("Lchin", "Rchin"), ("LChin", "RChin")),
            *("Lchin-Cchin", "Chin1-Chin2", "CHIN", "Chin", "Chin EMG"),
        ],
        "ECG": [("ECG1", "ECG2"), "ECG1", "ECG", "EKG"],
        "PPG": ["Pleth"],
        "ABD": ["Abd", "ABD", "ABDOMEN"],
        "THX": ["Chest", "CHEST"],
        "Airflow": ["Airflow"],
        "NasalP": ["CannulaFlow"],
        "SpO2": ["SAO2", "SpO2"],
    },
    events=EVENTS,
    bad={
        "homepap-lab-full-1600047": "left out by LPSGM, no reason given",
        "homepap-lab-full-1600197": "left out by LPSGM, no reason given",
    },
    counts=Counts("LPSGM log", 245, 229_604, (63_395, 24_759, 86_718, 22_645, 32_087)),
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the full and split nights found below `raw_dir`, sorted by kind and person."""
    name = r"homepap-lab-(?P<visit>full|split)-(?P<person>\d{7})"
    yield from xml_nights(raw_dir, "lab/*/*.edf", name)


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
