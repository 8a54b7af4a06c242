"""What the label of a channel says, in one canonical spelling.

Files name the same derivation in a hundred ways (`EEG C4-A1`, `C4M1`, `eeg/C4_M1`). Here a label is
read by a small grammar: a prefix, an electrode, a separator, a reference. The canonical spelling is
AASM's: mastoids are M1 and M2 whatever the file calls them, eyes are E1 and E2, an electrode
against the recording's own reference stands bare (`C4`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

Candidate = str | tuple[str, str]  # a label, or a pair (plus, minus) to subtract

RECORDING_REFERENCE = ""  # `C4-Ref`: against whatever the amplifier used
LINKED_EARS, AVERAGE = "LE", "AVG"

_SCALP = r"(?:fp|af|ft|fc|f|cp|c|tp|t|po|p|o)(?:z|10|[1-9])"
_LEFT_EYE = (
    r"e1(?:l?eog)?|loc|(?:l|left)(?:eog|eye)|eog(?:e1|loc|l|left|lefthoriz|1|sin|links|gauche)"
)
_RIGHT_EYE = (
    r"e2(?:r?eog)?|roc|(?:r|right)(?:eog|eye)|eog(?:e2|roc|r|right|righthoriz|2|dx|rechts|droit)"
)
_ELECTRODES = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (_SCALP, "scalp"),
        (r"[am]1", "M1"),
        (r"[am]2", "M2"),
        (r"c?le|[cl]er|linkedears?|[am]1\+?[am]2|[am]12", LINKED_EARS),
        (r"avg|ave|av|average|car", AVERAGE),
        (r"ref|reference|common|org", RECORDING_REFERENCE),
        (_LEFT_EYE, "E1"),
        (_RIGHT_EYE, "E2"),
        (r"eogh|heog|eoghor(?:iz(?:ontal)?)?", "EOGh"),
        (r"(?:emg)?(?:chin|(?:sub)?mental(?:is)?|kinn|menton)", "Chin"),
        (r"(?:emg)?chin([123zlrc])|(?:emg)?([lrc])chin", "Chin"),
        (r"[lrc]chin[lrc]", "Chin"),  # a derivation of two chin electrodes: `lchin_c`
        (r"emg([123]?)", "EMG"),
        (r"(?:ecg)?(?:ecg|ekg)(i{1,3}|[123lr]?)", "ECG"),
        (r"(?:ecg|ekg)12", "ECG"),
    )
)
_JOINED = re.compile(rf"({_SCALP}|e[12]|loc|roc)([am][12]|avg|ref|cz|oz)")  # `C4A1`, `FpzCz`
_SEPARATOR = re.compile(r"[-/: ]")
_PREFIX = re.compile(r"(?:psg|cs|pol|eeg)(?=.)")
_PATH = re.compile(r"(?:eeg|eog|emg|ecg)/")  # HDF5 layouts name the group first: `eeg/C4_M1`
_KIND = re.compile(r"(?:psg |hb )?(eeg|eog|emg|ecg|ekg)")

# Traces that are computed, that describe another trace, or that stand on limbs.
_NOT_THE_SIGNAL = re.compile(
    r"\bimp|ohm|\bcal\b|rate|limit|phase|\bsum\b|induct|rip flow|hypnogram|event|stat\b|status"
    r"|temp|volume|audio|snor|posit|b-b|cpap|leak|mask|leg|tib|\b[lr]at\b|plm|arm\b|jambe|derived"
)
_OTHER_SIGNALS = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"pleth|pletm|plesmo|ppg|pwf$|pulse ?wave", "PPG"),
        (r"s[pa]o2|saturation", "SpO2"),
        (r"hr$", "HR"),
        (r"nas(al)? ?pres|nasalp$|npre|ptaf|cannula ?flow|press(ure)? patient|nasalflow", "NasalP"),
        (r".*flow|therm|(new )?air$|oro-?nas|naf\d?$|nasal$", "Airflow"),
        (r"(effort )?abd|vab$", "ABD"),
        (r"(effort )?tho|thx|chest|rib ?cage|vth$", "THX"),
    )
)
_KIND_OF_OTHERS = {"PPG": "ppg", "SpO2": "spo2", "HR": "heart rate"}

# Layouts that give a label a meaning of its own; all labels of the key must be there.
_LAYOUTS: dict[tuple[str, ...], dict[str, str]] = {
    # SHHS manual of procedures: EEG is C4-A1, EEG(sec) is C3-A2.
    ("EEG", "EEG(sec)"): {"EEG": "C4-M1", "EEG(sec)": "C3-M2"},
    # Noxturnal: chin electrodes 1 and 2, F between them.
    ("1", "2", "F"): {
        "1": "Chin1",
        "2": "Chin2",
        "F": "ChinZ",
        "1-2": "Chin",
        "1-F": "Chin",
        "2-F": "Chin",
    },
}
# BioSemi numbers its caps A1, A2, ..., B1, ...: there `C3` is a socket and no place on the head.
_SOCKETS = ("A1", "A3", "B1", "B3")


def canonical_names(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the canonical name of every label of one file, an empty text where none is known.

    The labels are read together, because some layouts give a bare `EEG` or `1-2` a documented
    meaning, and because on a numbered electrode cap `C3` is only a number.
    """
    present = set(labels)
    if present.issuperset(_SOCKETS):
        return ("",) * len(labels)
    told: dict[str, str] = {}
    for layout, meaning in _LAYOUTS.items():
        if present.issuperset(layout):
            told |= meaning
    return tuple(told.get(label) or canonical_name(label) for label in labels)


def canonical_name(label: str) -> str:
    """Return the canonical spelling of one label: `EEG C4-A1` gives `C4-M1`, `EKG` gives `ECG`.

    Returns
    -------
    str
        An electrode (`C4`, `E1`, `Chin1`), a derivation (`C4-M1`, `Fpz-Cz`, `C4-LE`, `C4-AVG`), a
        signal (`Chin`, `EOGh`, `ECG`, `PPG`, `ABD`, `THX`, `Airflow`, `NasalP`, `SpO2`), or an
        empty text when the label says nothing of these.
    """
    text = re.sub(r"[_\s]+", " ", label.casefold()).strip(" .")
    if _NOT_THE_SIGNAL.search(text):
        return ""
    text = _PATH.sub("", text, count=1)
    electrode = _electrode(text)
    if electrode and electrode != LINKED_EARS:  # `A1-A2` as a channel is one ear against the other
        return electrode
    return _derivation(text) or _other_signal(text)


def kind_of(label: str, name: str = "") -> str:
    """Return `eeg`, `eog`, `emg`, `ecg`, `ppg`, `resp`, `spo2` or an empty text.

    `name` is the canonical name where it is known; else only the first word of the label speaks.
    """
    if name:
        return _kind_of_name(name)
    text = re.sub(r"[_\s]+", " ", label.casefold()).strip()
    found = None if _NOT_THE_SIGNAL.search(text) else _KIND.match(text)
    return found[1].replace("ekg", "ecg") if found else ""


def is_referenced(name: str) -> bool:
    """Tell whether a canonical name is a derivation; a bare electrode is not, `ECG` or `Chin` is.

    An empty name, of a label that says nothing, is none either.
    """
    return bool(name) and not re.fullmatch(
        rf"(?i:{_SCALP}|[em][12]|chin[123zlrc])|EMG[123]|ECG[12LR]", name
    )


def _kind_of_name(name: str) -> str:
    """Return the kind of a canonical name."""
    first = name.partition("-")[0]
    if re.match(r"E1|E2|EOG", first):
        return "eog"
    if re.match(r"Chin|EMG", first):
        return "emg"
    if first.startswith("ECG"):
        return "ecg"
    if re.fullmatch(_SCALP, first.casefold()):
        return "eeg"
    return "" if first in ("M1", "M2", LINKED_EARS) else _KIND_OF_OTHERS.get(name, "resp")


def _electrode(text: str) -> str | None:
    """Return the canonical electrode `text` names, None when it names none; `Ref` is empty."""
    squeezed = _PREFIX.sub("", re.sub(r"[\s().#-]", "", text), count=1)
    for pattern, name in _ELECTRODES:
        found = pattern.fullmatch(squeezed)
        if found:
            number = next((part for part in found.groups() if part), "")
            return _spelled(squeezed) if name == "scalp" else name + number.upper()
    return None


def _spelled(electrode: str) -> str:
    """Write an electrode of the 10-20 system as usual: `Fp1`, `Cz`, `AF3`."""
    return electrode.upper().replace("FP", "Fp").replace("Z", "z")


def _derivation(text: str) -> str:
    """Return `plus-minus` when `text` splits into two electrodes."""
    for separator in _SEPARATOR.finditer(text):
        plus = _electrode(text[: separator.start()])
        minus = _electrode(text[separator.end() :])
        if plus and minus is not None:
            return _named(plus, minus)
    joined = _JOINED.fullmatch(_PREFIX.sub("", text.replace(" ", ""), count=1))
    return _named(_electrode(joined[1]) or "", _electrode(joined[2]) or "") if joined else ""


def _named(plus: str, minus: str) -> str:
    """Name a derivation; two electrodes of the chin or of the chest are the signal itself."""
    for signal, family in (("Chin", ("Chin", "EMG")), ("ECG", ("ECG",))):
        if plus.startswith(family) and minus.startswith(family):
            return signal
    return f"{plus}-{minus}" if minus else plus


def _other_signal(text: str) -> str:
    """Return the name of a breathing, pulse or oxygen trace."""
    plain = re.sub(r"^(?:eeg|resp|pol|psg|cs) ", "", text)
    return next((name for pattern, name in _OTHER_SIGNALS if pattern.match(plain)), "")
