"""What a simulated recording records: labels, what each trace shows, rates and units."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

Kind = Literal[
    "eeg",  # EEG and EOG: a difference of two electrodes
    "chin",
    "chin rms",
    "ecg",
    "ppg",
    "thorax",
    "abdomen",
    "airflow",
    "nasal pressure",
    "spo2",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
_UNITS = {"eeg": "uV", "chin": "uV", "chin rms": "uV", "ecg": "mV", "spo2": "%"}


@dataclass(frozen=True)
class Trace:
    """One signal of a montage; `plus` and `minus` are electrodes of an EEG or EOG trace."""

    label: str
    kind: Kind
    rate_hz: Fraction
    plus: str = ""
    minus: str | None = None

    @property
    def unit(self) -> str:
        """Unit of the samples: uV, mV, %, or au (arbitrary) for breath and pulse."""
        return _UNITS.get(self.kind, "au")


def _trace(
    label: str, kind: Kind, rate_hz: float, plus: str = "", minus: str | None = None
) -> Trace:
    """Return a trace; short for the tables below."""
    return Trace(label, kind, Fraction(rate_hz), plus, minus)


def _derivations(rate_hz: float, *pairs: str) -> tuple[Trace, ...]:
    """Return EEG and EOG traces named `plus-minus`."""
    leads = [pair.split("-") for pair in pairs]
    return tuple(_trace(f"{plus}-{minus}", "eeg", rate_hz, plus, minus) for plus, minus in leads)


def _electrodes(rate_hz: float, *places: str) -> tuple[Trace, ...]:
    """Return EEG and EOG traces of single electrodes against the recording's own reference."""
    return tuple(_trace(place, "eeg", rate_hz, place) for place in places)


MONTAGES: dict[str, tuple[Trace, ...]] = {
    # A clinical polysomnogram with the derivations of the AASM manual.
    "full": (
        *_derivations(256, "F3-M2", "F4-M1", "C3-M2", "C4-M1", "O1-M2", "O2-M1", "E1-M2", "E2-M2"),
        _trace("Chin", "chin", 256),
        _trace("ECG", "ecg", 256),
        _trace("Pleth", "ppg", 64),
        _trace("Thorax", "thorax", 32),
        _trace("Abdomen", "abdomen", 32),
        _trace("Airflow", "airflow", 32),
        _trace("NasalP", "nasal pressure", 64),
        _trace("SpO2", "spo2", 1),
    ),
    # Nine staging leads as single electrodes: a reader has to subtract the mastoids itself.
    "aasm9": (
        *_electrodes(200, "F3", "F4", "C3", "C4", "O1", "O2", "E1", "E2", "M1", "M2"),
        _trace("Chin", "chin", 200),
    ),
    # As the cassette recordings of Sleep-EDF: two EEG leads, and the chin as an amplitude at 1 Hz.
    "sleepedf": (
        _trace("EEG Fpz-Cz", "eeg", 100, "Fpz", "Cz"),
        _trace("EEG Pz-Oz", "eeg", 100, "Pz", "Oz"),
        _trace("EOG horizontal", "eeg", 100, "E1", "E2"),
        _trace("Resp oro-nasal", "airflow", 1),
        _trace("EMG submental", "chin rms", 1),
    ),
    # A home test for apnea: no EEG, every rate different, one of them broken (12.5 Hz).
    "home": (
        _trace("ECG", "ecg", 200),
        _trace("Pleth", "ppg", 75),
        _trace("Thor", "thorax", 12.5),
        _trace("Abdo", "abdomen", 12.5),
        _trace("NasalP", "nasal pressure", 100),
        _trace("SpO2", "spo2", 3),
    ),
}
