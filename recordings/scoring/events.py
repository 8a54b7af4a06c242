"""Scored events: what others call them."""

from __future__ import annotations

import re

# Letters and digits alone are compared: case, blanks, dashes and text in brackets do not count.
SPELLINGS: dict[str, tuple[str, ...]] = {
    "obstructive_apnea": (
        *("Obstructive apnea", "apnea_obstructive", "Obs Apnea", "Obst. Apnea", "OA", "APNEA-O"),
        *("resp_obstructiveapnea", "A. Obstructive", "Apnée obstructive", "Apnea obstr."),
    ),
    "central_apnea": (
        *("Central apnea", "apnea_central", "CA", "APNEA-C", "resp_centralapnea"),
        *("A. Centrale", "Apnée centrale"),
    ),
    "mixed_apnea": (
        *("Mixed apnea", "apnea_mixed", "MA", "APNEA-M", "resp_mixedapnea"),
        *("A. Mixte", "Apnée mixte"),
    ),
    "apnea": ("Apnea", "Apnée"),
    "hypopnea": (
        *("Hypopnea", "Obstructive Hypopnea", "hypopnea_obstructive", "Central Hypopnea"),
        *("hypopnea_central", "Mixed Hypopnea", "hypopnea_mixed", "HYP-O", "HYP-C", "HYP-M"),
        *("resp_hypopnea", "Hypopnée"),
    ),
    "desaturation": ("SpO2 desaturation", "desat", "Desaturation", "Oxygen Desaturation", "Désat"),
    "arousal": (
        *("Arousal", "ASDA arousal", "arousal_standard", "arousal_spontaneous", "EEG arousal"),
        *("arousal_respiratory", "arousal_plm", "Micro-éveil"),
    ),
    "rera": ("RERA", "Respiratory effort related arousal", "arousal_rera"),
    "unsure": ("Unsure",),  # its meaning differs between data sets; see `read_scoring(unsure=...)`
    "plm": ("PLM", "PLMS", "Periodic leg movement", "Periodic limb movement"),
    "limb_movement": ("Limb movement", "Leg movement", "LM", "MJ"),
    "snore": ("Snore", "Snoring", "Ronflement"),
    "artefact": (
        "Artefact",
        "Artifact",
        "Movement artefact",
        "SpO2 artifact",
        "Respiratory artifact",
    ),
    "cap_a1": ("MCAP-A1",),
    "cap_a2": ("MCAP-A2",),
    "cap_a3": ("MCAP-A3",),
    "spindle": ("Spindle", "Sleep spindle"),
    "k_complex": ("K-complex",),
    "lights_off": ("Lights off", "Lights out"),
    "lights_on": ("Lights on",),
}


def event_type(text: str) -> str | None:
    """Return the type of an event by its spelling, None when it is not listed.

    Of an NSRR concept (`Obstructive apnea|Obstructive Apnea`) the part before the bar counts.
    """
    return _TYPES.get(_letters(text.split("|")[0]))


def _letters(text: str) -> str:
    """Return what of a spelling counts."""
    return re.sub(r"[\W_]+", "", re.sub(r"\(.*?\)", "", text)).casefold()


_TYPES = {_letters(text): kind for kind, texts in SPELLINGS.items() for text in (*texts, kind)}
