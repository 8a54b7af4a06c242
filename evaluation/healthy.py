"""What two papers found in healthy adults, to set beside a night: their numbers, no limits of ours.

References
----------
Mitterling et al., Sleep and respiration in 100 healthy Caucasian sleepers, Sleep 38(6), 2015,
doi:10.5665/sleep.4730: one night in a laboratory, 19 to 77 years, scored by the AASM rules.
Boulos et al., Normal polysomnography parameters in healthy adults, Lancet Respiratory Medicine
7(6), 2019, doi:10.1016/S2213-2600(19)30057-8: 169 studies, 5,273 people.

Both as their abstracts give them. That of Mitterling does not say whether a value is a median and
its brackets percentiles or a range, nor what its shares of stages are shares of; of Boulos only
what ten years of age change stands there, so the values by age of its tables are missing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SOURCES = (
    "Healthy adults up to 30 and over 60 years, value and limits as the abstract has them: "
    "Mitterling et al., Sleep 2015, doi:10.5665/sleep.4730 (AHI: all ages, AASM rules of 2012). "
    "Change in ten years, with 95 % interval: Boulos et al., Lancet Respir Med 2019, "
    "doi:10.1016/S2213-2600(19)30057-8. No norm for one person."
)
NO_CHANGE = "not significant"


@dataclass(frozen=True)
class Healthy:
    """A statistic in healthy adults.

    Parameters
    ----------
    words : str
        As a reader knows it.
    young, old : str
        Up to 30, and over 60 years; the same where the paper does not divide by age.
    decade : str
        What ten years of age change.
    """

    words: str
    young: str = ""
    old: str = ""
    decade: str = ""


HEALTHY = {
    "tst_min": Healthy(
        "Total sleep time, min", "413.5 (345.6–451.9)", "378.3 (216.0–440.0)", "−10.1 (7.5–12.8)"
    ),
    "se_percent": Healthy(
        "Sleep efficiency, %", "87.0 (71.9–94.1)", "79.7 (44.5–90.9)", "−2.1 (1.5–2.6)"
    ),
    "sol_min": Healthy("Sleep latency, min", decade="+1.1 (0.3–1.9)"),
    "waso_min": Healthy("Wake after sleep onset, min", decade="+9.7 (6.9–12.4)"),
    "n1_percent": Healthy("N1, %", decade="+0.5 (0.1–0.8)"),
    "n3_percent": Healthy("N3, %", "20.7 (15.2–37.5)", "14.9 (2.4–35.6)", NO_CHANGE),
    "rem_percent": Healthy("REM sleep, %", "15.5 (7.5–23.6)", "10.3 (1.9–21.9)", NO_CHANGE),
    "arousals_per_h": Healthy("Arousals per hour", decade="+2.1 (1.5–2.6)"),
    "ahi_per_h": Healthy("AHI per hour", "1.7 (0.0–25)", "1.7 (0.0–25)", "+1.2 (0.9–1.4)"),
    "spo2_lowest_percent": Healthy("Lowest SpO2 asleep, %", decade="−1.8 (1.3–2.3)"),
}


def beside_healthy(statistics: Mapping[str, float]) -> list[tuple[float, Healthy]]:
    """Return each statistic of a night that the papers have, with what stands there.

    Parameters
    ----------
    statistics : mapping of str to float
        Those of the night, as `evaluation.statistics` and `evaluation.respiration` name them; of
        what is not among them nothing is told.
    """
    return [(statistics[name], told) for name, told in HEALTHY.items() if name in statistics]
