"""STAGES: Stanford Technology Analytics and Genomics in Sleep, 1500 people at thirteen sites.

Files     <site>/GSDV00056_1.edf with .csv beside it, wherever the folders of the sites lie (below
          original/, in a folder of the raw recordings)
Scoring   AASM; clock times of whole seconds without a date, a blank before every value. BOGN and
          STNF write a line per epoch, the other sites a line per run
Events    free text; breathing events and arousals are taken
Quirks    a night may be in several files, _1, _2, ...: they are of one person
          units are uV, mV or V by site; rates go up to 1000 Hz
          blank and underscore are the same in the labels
          STLK00052, STLK00087 and STLK00122 have a scoring and no signals
          MAYO, a fourteenth site, was withdrawn by the data holder
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from preprocess.dataset import (
    RESPIRATORY,
    Counts,
    Dataset,
    DatasetSpec,
    RawNight,
    ScoringFormat,
    Source,
    find,
)
from preprocess.recipe import run_alone

SITES = {  # nights, epochs, epochs of W N1 N2 N3 R in the LPSGM log
    "BOGN": (85, 75_930, (23_185, 4_623, 29_819, 8_236, 10_067)),
    "STNF": (525, 592_309, (202_395, 57_685, 171_718, 52_182, 108_329)),
    "GSDV": (290, 219_034, (54_812, 13_676, 114_794, 10_194, 25_558)),
    "MSTR": (286, 221_464, (42_522, 23_789, 103_118, 24_201, 27_834)),
    "GSBB": (38, 29_843, (7_954, 2_469, 14_423, 1_668, 3_329)),
    "GSLH": (51, 32_118, (8_540, 2_684, 16_485, 1_597, 2_812)),
    "GSSA": (34, 27_751, (6_998, 920, 15_233, 881, 3_719)),
    "GSSW": (132, 90_352, (25_801, 5_944, 44_213, 3_549, 10_845)),
    "MSMI": (61, 45_892, (8_035, 4_227, 22_959, 4_847, 5_824)),
    "MSNF": (35, 27_061, (4_905, 1_385, 13_454, 4_012, 3_305)),
    "MSQW": (146, 113_935, (25_116, 13_663, 53_680, 8_272, 13_204)),
    "MSTH": (31, 23_682, (5_036, 2_146, 12_033, 1_755, 2_712)),
    "STLK": (156, 154_691, (29_429, 11_937, 76_878, 11_426, 25_021)),
}
WITHDRAWN = "MAYO was withdrawn in June 2023: signals and scorings were converted wrongly"
NO_STAGES = (
    *("STNF00135", "STNF00415", "GSDV00056_1", "GSDV00056_3", "GSDV00106"),
    *("GSDV00259", "GSLH00039_3", "MSMI00025", "MSMI00026", "MSNF00013"),
    *("MSNF00029", "MSNF00030", "MSNF00035", "MSNF00038", "MSQW00040"),
)
UNREADABLE = (
    *("MSQW00025", "MSQW00033", "MSQW00035", "MSQW00043", "MSQW00066"),
    *("MSQW00070", "STLK00022", "STLK00099", "STLK00096"),
)

SPEC = DatasetSpec(
    name="STAGES",
    title="Stanford Technology Analytics and Genomics in Sleep",
    source=Source(
        "nsrr",
        page="https://sleepdata.org/datasets/stages",
        licence="NSRR data access and use agreement, non-commercial and commercial",
        name="stages",
        files=("original/*",),
        apply="a data request on sleepdata.org, with the signed agreement",
    ),
    n_persons=1500,
    channels={
        "F3": ["F3M2", "EEG_F3-A2", "EEG_F3-A1", "F3-M2", ("F3", "M2"), ("F3", "A2")],
        "F4": ["F4M1", "EEG_F4-A1", "EEG_F4-A2", "F4-M1", ("F4", "M1"), ("F4", "A1")],
        "C3": ["C3M2", "EEG_C3-A2", "EEG_C3-A1", "C3-M2", ("C3", "M2"), ("C3", "A2")],
        "C4": ["C4M1", "EEG_C4-A1", "EEG_C4-A2", "C4-M1", ("C4", "M1"), ("C4", "A1")],
        "O1": ["O1M2", "EEG_O1-A2", "EEG_O1-A1", "O1-M2", ("O1", "M2"), ("O1", "A2")],
        "O2": ["O2M1", "EEG_O2-A1", "EEG_O2-A2", "O2-M1", ("O2", "M1"), ("O2", "A1")],
        "E1": [
            *("E1M2", "EOG_LOC-A2", "EOG1", "L-EOG", "LOC", "E1_(LEOG)"),
            *(("E1", "M2"), ("E1", "A2"), "E1"),
        ],
        "E2": [
            *("E2M2", "EOG_ROC-A2", "EOG2", "R-EOG", "ROC", "E2_(REOG)", "EOG_ROC-A1"),
            *(("E2", "M1"), ("E2", "A1"), "E2"),
        ],
        "Chin": [
            *("EMG_Chin", "CHIN", ("EMG1", "EMG2"), ("EMG_#1", "EMG_#2")),
            *(("CHIN1", "CHIN2"), "Chin"),
        ],
        "ECG": ["ECG_II", "ECG_I", "ECG", "EKG", "ECG1"],
        "ABD": ["Effort_ABD", "ABDOMEN", "Abdomen", "Abd"],
        "THX": ["Effort_THO", "CHEST", "Thorax", "Chest"],
        "Airflow": ["Flow_Patient", "Airflow", "AIRFLOW"],
        "NasalP": ["Press_Patient", "NPRE", "Nasal Pressure"],
        "SpO2": ["SpO2", "SPO2"],
    },
    scoring=ScoringFormat("stages_csv"),
    events=(*RESPIRATORY, "arousal"),
    bad={
        **dict.fromkeys(
            ("BOGN00043", "STNF00373", "GSLH00003"), "left out by LPSGM, which gives no reason"
        ),
        **dict.fromkeys(NO_STAGES, "its scoring holds no stage"),
    },
    remarks={
        **dict.fromkeys(UNREADABLE, "LPSGM could not read its signals"),
        **dict.fromkeys(("GSDV00056_2", "GSDV00066_1"), "F3 and O2 only"),
    },
    counts=Counts(
        "LPSGM log",
        1870,
        1_654_062,
        (444_728, 145_148, 688_807, 132_820, 242_559),
        parts={site: Counts("LPSGM log", *counted) for site, counted in SITES.items()},
    ),
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights of every site found below `raw_dir`, sorted by path."""
    name = r"/(?P<night>(?P<person>(?P<site>[A-Z]{4})\d{5})(?:_(?P<visit>\d+))?)"
    for path, ids in find(raw_dir, "**/*.edf", name):
        yield RawNight(
            night=ids["night"],
            person=ids["person"],
            signals=path,
            scoring=path.with_suffix(".csv"),
            visit=ids["visit"] or "",
            part=ids["site"],
            bad=WITHDRAWN if ids["site"] == "MAYO" else "",
        )


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
