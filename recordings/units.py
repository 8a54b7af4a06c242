"""Units as files write them: every voltage becomes microvolt, everything else keeps its own unit.

Nobody records megavolts: `MV` is a millivolt written in capitals (DREAMS does), so case is ignored.
"""

from __future__ import annotations

MICROVOLTS = {"nv": 1e-3, "uv": 1.0, "mv": 1e3, "v": 1e6}  # how many uV one unit is
_WORDS = {"nanovolt": "nv", "microvolt": "uv", "millivolt": "mv", "volt": "v"}
_MICRO_SIGNS = str.maketrans("\u00b5\u03bc", "uu")  # MICRO SIGN and the Greek letter
_BLANK = {"", "-", "n/a", "na", "none"}


def to_microvolt(written: str) -> tuple[str, float]:
    """Return the unit that samples get and the factor that brings them there.

    Parameters
    ----------
    written : str
        Unit as the file writes it.

    Returns
    -------
    unit : str
        `uV` for a voltage, an empty text for a blank unit, else `written`.
    factor : float
        What to multiply values in the written unit with; 1 for all but voltages.
    """
    stripped = written.strip(" ")  # a control character in front is damage, not a blank
    plain = stripped.translate(_MICRO_SIGNS).lower()
    plain = _WORDS.get(plain.removesuffix("s"), plain)
    if plain in MICROVOLTS:
        return "uV", MICROVOLTS[plain]
    return ("" if plain in _BLANK else stripped), 1.0
