"""CHAT: Childhood Adenotonsillectomy Trial, 1639 nights of 1232 children.

Files     polysomnography/edfs/baseline/chat-baseline-300001.edf, followup/chat-followup-300001.edf,
          nonrandomized/chat-baseline-nonrandomized-300003.edf, with XML scorings in the usual
          layout (`preprocess/sleepdata.py`)
Scoring   AASM, one code per epoch from second 0; `Unsure` is a mixed apnea
Quirks    407 children have a second night (followup): they are grouped by child; nobody of the
          nonrandomized group is in another
          case of chin and mastoid labels differs by site; most write electrodes against Fpz
          a physical range of 0 to 0 in the header (CHIN, Chin, Rchin, SNORE 2, SNORE2, ECG): such a
          signal is absent, the others are read; strict readers lose the night
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from preprocess.dataset import EVENTS, Counts, Dataset, DatasetSpec, RawNight, ScoringFormat
from preprocess.recipe import run_alone
from preprocess.sleepdata import sleepdata_source, xml_nights

SPEC = DatasetSpec(
    name="CHAT",
    title="Childhood Adenotonsillectomy Trial",
    source=sleepdata_source("chat"),
    n_nights=1639,
    n_persons=1232,
    channels={
        "F3": ["F3-M2", "F3-A2", ("F3", "M2"), ("F3", "m2")],
        "F4": ["F4-M1", "F4-A1", ("F4", "M1")],
        "C3": ["C3-M2", "C3-A2", ("C3", "M2"), ("C3", "m2")],
        "C4": ["C4-M1", "C4-A1", ("C4", "M1")],
        "O1": ["O1-M2", "O1-A2", ("O1", "M2"), ("O1", "m2")],
        "O2": ["O2-M1", "O2-A1", ("O2", "M1")],
        "E1": [("E1", "M2"), ("E1", "m2"), "E1"],
        "E2": [("E2", "M1"), "E2"],
        "Chin": [
            *(("LCHIN", "CCHIN"), ("LChin", "CChin"), ("Lchin", "Cchin")),
            *(("LCHIN", "CChin"), ("LCHIN", "Cchin"), ("LCHIN", "cchin")),
            *(("LChin", "CCHIN"), ("LChin", "Cchin"), ("LChin", "cchin")),
            *(("Lchin", "CCHIN"), ("Lchin", "CChin"), ("Lchin", "cchin")),
            *(("Lchin", "Rchin"), "LChin-Rchin"),
        ],
        "ECG": ["ECG1", "ECG", "EKG"],
        "PPG": [
            *("Pleth", "PlethMasimo", "PletMasimo", "PlethMasino", "PLETHMASIMO", "plethmasimo"),
            *("Plethmasimo", "PlethNellcor", "PWF", "Plesmo"),
        ],
        "ABD": ["ABD", "Abdo"],
        "THX": ["Chest", "CHEST"],
        "Airflow": ["Airflow", "AIRFLOW", "AIR"],
        "NasalP": ["CannulaFlow", "Cannulaflow", "CannulaFLow", "CANNULAFLOW"],
        "SpO2": ["SaO2", "SAO2", "SAO2Nellcor", "SpO2"],
    },
    scoring=ScoringFormat(unsure="mixed_apnea"),
    events=EVENTS,
    remarks={
        "chat-baseline-300051": "recorded with a reference; shows saturations above 100 percent",
        "chat-baseline-300927": "recorded in bipolar leads",
        "chat-baseline-nonrandomized-301117": "the unit of the pulse is wrong",
    },
    counts=Counts("LPSGM log", 1639, 1_958_339, (469_890, 119_489, 629_475, 465_191, 274_294)),
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights of the three groups found below `raw_dir`, sorted by group and child."""
    name = (
        r"(?P<visit>baseline|followup|nonrandomized)/"
        r"chat-(?:baseline-nonrandomized|baseline|followup)-(?P<person>\d{6})"
    )
    yield from xml_nights(raw_dir, "*/*.edf", name)


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
