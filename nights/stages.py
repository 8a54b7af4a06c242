"""Sleep stages: W N1 N2 N3 R are 0..4, an epoch nobody scored is -1.

Movement time, artefact and "unscored" are -1, never W (AASM manual 2.6 dropped movement time; the
epoch holds no stage). Stages 3 and 4 of Rechtschaffen and Kales are both N3.
"""

from __future__ import annotations

import numpy as np

EPOCH_S = 30  # AASM: sleep is scored in 30-second epochs
UNSCORED = -1
STAGES = ("W", "N1", "N2", "N3", "R")
FOUR_CLASSES = ("W", "L", "D", "R")  # wake, light (N1 + N2), deep (N3), REM
W, N1, N2, N3, R = range(5)

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
