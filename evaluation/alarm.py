"""An alarm: one number about a night, the limit it broke, and where that limit comes from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["note", "warning", "distrust"]
SEVERITIES: tuple[Severity, ...] = ("note", "warning", "distrust")  # from mild to grave


@dataclass(frozen=True)
class Alarm:
    """Something a reader must know before using a result.

    Parameters
    ----------
    name : str
        Short fixed name, the same in the report, the JSON and the documentation.
    value, limit : float
        The number that was found and the limit it broke, both in `unit`.
    unit : str
        Unit of both; empty for a plain number.
    source : str
        Where the limit comes from: a measurement, a standard, a rule of this project.
    message : str
        One sentence that says what is wrong and what to do.
    severity : str
        `note` (know it), `warning` (look before use), `distrust` (do not use unseen).
    """

    name: str
    value: float
    limit: float
    unit: str
    source: str
    message: str
    severity: Severity

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(f"alarm {self.name!r}: severity {self.severity!r}, not {SEVERITIES}")


def gravest_first(alarms: Iterable[Alarm]) -> tuple[Alarm, ...]:
    """Return the alarms sorted from distrust to note; equals keep their order."""
    return tuple(sorted(alarms, key=lambda alarm: -SEVERITIES.index(alarm.severity)))
