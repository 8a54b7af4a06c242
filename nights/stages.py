"""Sleep stages: W N1 N2 N3 R are 0..4, an epoch nobody scored is -1.

Movement time, artefact and "unscored" are -1, never W (AASM manual 2.6 dropped movement time; the
epoch holds no stage). Stages 3 and 4 of Rechtschaffen and Kales are both N3.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

EPOCH_S = 30  # AASM: sleep is scored in 30-second epochs
UNSCORED = -1
STAGES = ("W", "N1", "N2", "N3", "R")
FOUR_CLASSES = ("W", "L", "D", "R")  # wake, light (N1 + N2), deep (N3), REM
W, N1, N2, N3, R = range(5)

StageMap = Mapping[str, int]

# How others write the five stages. Keys are compared without regard to case and blanks at the ends;
# whole numbers may be written `5` or `5.0`. A label that is in no map has no stage.
WORDS: StageMap = {
    **dict.fromkeys(("W", "WK", "Wake", "Awake", "S0", "Stage W", "Sleep stage W", "Éveil"), W),
    **dict.fromkeys(("N1", "NN1", "NREM1", "NonREM1", "S1", "Stage1", "Stage 1", "Stage N1"), N1),
    **dict.fromkeys(("N2", "NN2", "NREM2", "NonREM2", "S2", "Stage2", "Stage 2", "Stage N2"), N2),
    **dict.fromkeys(("N3", "NN3", "NREM3", "NonREM3", "S3", "Stage3", "Stage 3", "Stage N3"), N3),
    **dict.fromkeys(("N4", "NREM4", "S4", "Stage4", "Stage 4"), N3),
    **dict.fromkeys(("R", "REM", "REM sleep", "Stage R", "Stage REM"), R),
    **dict.fromkeys(("?", "U", "L", "M", "MT", "MVT", "Movement", "Movement time"), UNSCORED),
    **dict.fromkeys(
        ("Unscored", "Unscorable", "UNS", "Unknown", "UnknownStage", "No Stage"), UNSCORED
    ),
}
AASM_CODES: StageMap = {"0": W, "1": N1, "2": N2, "3": N3, "4": R}
# Rechtschaffen and Kales 1968: stage 4 is N3, REM is written 5, movement 6 and unscored 9.
RK_CODES: StageMap = {"0": W, "1": N1, "2": N2, "3": N3, "4": N3, "5": R}
EDFPLUS: StageMap = {  # the standard texts of EDF+ (Kemp and Olivan 2003), old and AASM rule
    **{f"Sleep stage {name}": code for code, name in enumerate(STAGES)},
    **{"Sleep stage 1": N1, "Sleep stage 2": N2, "Sleep stage 3": N3, "Sleep stage 4": N3},
    **dict.fromkeys(("Sleep stage ?", "Sleep stage M", "Movement time"), UNSCORED),
}
_EAR_EEG: StageMap = {"1": W, "2": R, "3": N1, "4": N2, "5": N3}  # 6-9: artefact, unscored ...

# By the name under which a data set's recipe asks for it.
STAGE_MAPS: dict[str, StageMap] = {
    "words": WORDS,
    "words_and_rk": {  # letters beside digits: the digits are R&K stages
        **WORDS,
        **RK_CODES,
        **dict.fromkeys(
            ("A", "ART", "Artefact", "Artifact", "Indeterminate", "Undefined"), UNSCORED
        ),
    },
    "aasm": AASM_CODES,
    "rk": RK_CODES,
    "edfplus": EDFPLUS,
    "profusion": RK_CODES,
    "nsrr_xml_code": RK_CODES,
    "luna_annot": WORDS,
    "stages_csv": WORDS,
    "dcsm_ids": WORDS,
    "dod": AASM_CODES,
    "boas": AASM_CODES,
    "isruc": RK_CODES,
    "wsc_stg": RK_CODES,
    "wsc_allscore": WORDS,
    "p2018": {"wake": W, "nonrem1": N1, "nonrem2": N2, "nonrem3": N3, "rem": R},
    "cap_txt": WORDS,
    "hang7": {**WORDS, **RK_CODES},
    "sysu": WORDS,
    "surrey": _EAR_EEG,
    "eesm17": _EAR_EEG,
    "ucddb": {"0": W, "1": R, "2": N1, "3": N2, "4": N3, "5": N3},
    "dreams": {"5": W, "4": R, "3": N1, "2": N2, "1": N3, "0": N3},
}

_TO_FOUR = np.array([0, 1, 1, 2, 3, UNSCORED], dtype=np.int8)  # the last entry serves index -1


def to_four_classes(stages: np.ndarray) -> np.ndarray:
    """Merge N1 and N2: int stages (E,) of 0..4 and -1 become int8 of W 0, L 1, D 2, R 3 and -1."""
    return _TO_FOUR[check_stages(stages)]


def check_stages(stages: np.ndarray, n_classes: int = len(STAGES)) -> np.ndarray:
    """Return `stages` as int8 (E,).

    Raises
    ------
    ValueError
        If it is not one-dimensional, not of whole numbers, or holds a code outside -1..n_classes-1.
    """
    array = np.asarray(stages)
    if array.ndim != 1:
        raise ValueError(f"stages must be one-dimensional, found shape {array.shape}")
    if array.size and not (array.dtype.kind in "iuf" and (array == np.round(array)).all()):
        raise ValueError("stages must be whole numbers")
    wrong = np.unique(array[(array < UNSCORED) | (array >= n_classes)])
    if wrong.size:
        listed = ", ".join(f"{code:g}" for code in wrong)
        raise ValueError(f"stage codes [{listed}] are outside -1..{n_classes - 1}")
    return array.astype(np.int8)


def names(stages: np.ndarray, classes: tuple[str, ...] = STAGES, unscored: str = "?") -> list[str]:
    """Return the stage name of each epoch; epochs of -1 get the text `unscored`."""
    return [(*classes, unscored)[code] for code in check_stages(stages, len(classes))]


def stage_map(which: str | StageMap) -> dict[str, int]:
    """Return a map by its name in `STAGE_MAPS`, or a map of one's own, ready for `lookup_stage`.

    Raises
    ------
    ValueError
        If the name is unknown, or a code is outside -1..4.
    """
    if isinstance(which, str) and which not in STAGE_MAPS:
        raise ValueError(f"no stage map {which!r}; known: {', '.join(sorted(STAGE_MAPS))}")
    codes = STAGE_MAPS[which] if isinstance(which, str) else which
    check_stages(np.array(list(codes.values()), dtype=np.int64))
    return {_plain(label): int(code) for label, code in codes.items()}


def lookup_stage(label: str, codes: Mapping[str, int]) -> int | None:
    """Return the stage of a label by a map from `stage_map`; None when the map does not list it."""
    return codes.get(_plain(label))


def _plain(label: str) -> str:
    """Return a label in the form in which labels are compared."""
    text = str(label).strip().casefold()
    number, _, fraction = text.partition(".")
    return number if fraction and not fraction.strip("0") else text
