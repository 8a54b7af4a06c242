"""SVUH: St. Vincent's / University College Dublin sleep apnea database (ucddb), 25 patients.

Files     ucddb002.rec (EDF under another suffix, opened by content) with ucddb002_stage.txt
Scoring   Rechtschaffen and Kales, one code per epoch from the first sample, in an order of its own:
          0 wake, 1 REM, 2 to 5 stages 1 to 4; 6 artefact, 7 indeterminate, 8 unscored
Quirks    LPSGM read the codes in the usual order: all its labels but wake are wrong, and results
          with them (W 4707, N1 3016, N2 3403, N3 7658, R 1990) compare with nothing. Read rightly
          the same epochs are W 4707, R 3016, N1 3403, stages 2 and 3 7658, stage 4 1990
          eyes and chin have half the rate of the EEG: nothing above 32 Hz is in them
          respiratory events lie apart, in ucddb002_respevt.txt, by the clock of the recording
          signal and list differ in length: cut to the shorter
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from preprocess.dataset import (
    RESPIRATORY,
    Dataset,
    DatasetSpec,
    RawNight,
    ScoringFormat,
    Source,
    find,
)
from preprocess.recipe import run_alone

SPEC = DatasetSpec(
    name="SVUH",
    title="St. Vincent's University Hospital / University College Dublin sleep apnea database",
    source=Source(
        "physionet",
        page="https://physionet.org/content/ucddb/1.0.0/",
        licence="Open Data Commons Attribution 1.0",
        name="ucddb/1.0.0",
        files=("*.rec", "*_stage.txt", "*_respevt.txt"),
    ),
    n_nights=25,
    n_persons=25,
    channels={
        "C3": ["C3A2"],
        "C4": ["C4A1"],
        "E1": ["Lefteye"],
        "E2": ["RightEye"],
        "Chin": ["EMG"],
        "ECG": ["ECG"],
        "ABD": ["abdo"],
        "THX": ["ribcage"],
        "Airflow": ["Flow"],
        "SpO2": ["SpO2"],
    },
    scoring=ScoringFormat("index_txt", stage_map="ucddb"),
    events=RESPIRATORY,
)


def recordings(raw_dir: Path) -> Iterator[RawNight]:
    """Yield the nights found below `raw_dir`, sorted by id."""
    for path, ids in find(raw_dir, "ucddb*.rec", r"(?P<night>ucddb\d{3})"):
        events = path.with_name(f"{ids['night']}_respevt.txt")
        yield RawNight(
            night=ids["night"],
            person=ids["night"],
            signals=path,
            scoring=path.with_name(f"{ids['night']}_stage.txt"),
            events=events if events.is_file() else None,
            has_events=events.is_file(),
        )


if __name__ == "__main__":
    raise SystemExit(run_alone(Dataset(SPEC, recordings)))
