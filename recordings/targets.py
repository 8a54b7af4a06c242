"""The canonical channels: kind, unit, and the derivations that are taken for each, best first."""

from __future__ import annotations

from dataclasses import dataclass

from recordings.labels import AVERAGE, LINKED_EARS, Candidate

VOLTAGES = frozenset({"eeg", "eog", "emg", "ecg"})  # kinds that are only ever a voltage


@dataclass(frozen=True)
class Target:
    """A canonical channel: its kind and the unit its signal is given in."""

    name: str
    kind: str
    unit: str


# EEG and EOG serve readers of one such signal: a central derivation, an eye, or what else there is.
TARGETS: dict[str, Target] = {
    name: Target(name, kind, unit)
    for kind, unit, names in (
        ("eeg", "uV", ("F3", "F4", "C3", "C4", "O1", "O2")),
        ("eog", "uV", ("E1", "E2")),
        ("emg", "uV", ("Chin",)),
        ("eeg", "uV", ("FpzCz", "PzOz", "EEG")),
        ("eog", "uV", ("EOGh", "EOG")),
        ("ecg", "mV", ("ECG",)),
        ("ppg", "header_range", ("PPG",)),
        ("resp", "header_range", ("ABD", "THX", "Airflow", "NasalP")),
        ("spo2", "percent", ("SpO2",)),
        ("heart rate", "bpm", ("HR",)),
    )
    for name in names
}

_REFERENCES = ("", LINKED_EARS, AVERAGE, "Cz", "Fz", "Fpz", "M1", "M2")  # what two leads may share


def _differences(plus: str, minus: str) -> list[Candidate]:
    """Return the pairs that give plus - minus: two leads against one and the same reference."""
    shared = [reference for reference in _REFERENCES if reference not in (plus, minus)]
    return [(f"{plus}-{at}".rstrip("-"), f"{minus}-{at}".rstrip("-")) for at in shared]


def _derivation(plus: str, minus: str) -> list[Candidate]:
    """Return plus-minus as recorded, then as a difference."""
    return [f"{plus}-{minus}", *_differences(plus, minus)]


def _against(electrode: str, mastoids: tuple[str, str]) -> list[Candidate]:
    """Return candidates of an electrode: contralateral mastoid first, bare electrode last."""
    first, second = (_derivation(electrode, mastoid) for mastoid in mastoids)
    return [*first, *second, *(f"{electrode}-{at}" for at in (LINKED_EARS, AVERAGE)), electrode]


def _together(*lists: list[Candidate]) -> list[Candidate]:
    """Merge lists of candidates rank by rank: the best of each before the second of any."""
    return [candidate for rank in zip(*lists, strict=True) for candidate in rank]


# AASM: odd electrodes lie left and are referenced to M2, even ones right and to M1.
_LEFT = {name: _against(name, ("M2", "M1")) for name in ("F3", "C3", "O1", "E1")}
_RIGHT = {name: _against(name, ("M1", "M2")) for name in ("F4", "C4", "O2", "E2")}
_CHIN_PAIRS = ("12", "1Z", "2Z", "LC", "RC", "LR", "13", "32", "1C", "1L", "2L", "C1")

_CHIN: list[Candidate] = ["Chin", *((f"Chin{p[0]}", f"Chin{p[1]}") for p in _CHIN_PAIRS)]
_CHIN += [("EMG1", "EMG2"), ("Chin2", "EMG1"), ("ChinC", "EMG1"), "EMG"]
_CHIN += ["Chin1", "Chin2", "Chin3", "ChinL", "ChinR", "ChinC", "EMG1", "EMG2"]
_ECG: list[Candidate] = ["ECG", "ECGII", "ECGI", ("ECG1", "ECG2"), ("ECGL", "ECGR")]
_ECG += ["ECG1", "ECG2", "ECG3", "ECGIII", "ECGL", "ECGR"]
_EOGH: list[Candidate] = ["EOGh", *_derivation("E1", "E2"), ("E1-M2", "E2-M1"), "E2-E1"]

_LISTS: dict[str, list[Candidate]] = {
    **_LEFT,
    **_RIGHT,
    "EEG": _together(_RIGHT["C4"], _LEFT["C3"]),
    "EOG": _together(_LEFT["E1"], _RIGHT["E2"]),
    "FpzCz": _derivation("Fpz", "Cz"),
    "PzOz": _derivation("Pz", "Oz"),
    "EOGh": _EOGH,
    "Chin": _CHIN,
    "ECG": _ECG,
}
_ONE_NAME = ("PPG", "ABD", "THX", "Airflow", "NasalP", "SpO2", "HR")

# What is taken for each target in an unknown file, in canonical spelling, best first.
GENERIC: dict[str, tuple[Candidate, ...]] = {
    **{name: tuple(candidates) for name, candidates in _LISTS.items()},
    **{name: (name,) for name in _ONE_NAME},
}

# Best first for stagers that read one EEG: central (which YASA was trained on), then frontal, the
# frontal lead of Sleep-EDF, occipital, the posterior lead of Sleep-EDF.
PREFERENCE = {
    "eeg": ("C4", "C3", "F4", "F3", "FpzCz", "O2", "O1", "PzOz", "EEG"),
    "eog": ("E1", "E2", "EOGh", "EOG"),
    "emg": ("Chin",),
    "ecg": ("ECG",),
    "ppg": ("PPG",),
    "resp": ("THX", "ABD", "Airflow", "NasalP"),
    "spo2": ("SpO2",),
    "heart rate": ("HR",),
}
