"""Many artificial nights of many people: a data set that anyone can make in a minute or two.

Files are called `SIM0001N1.edf`: the site, the person, the night of the person. `preprocess run
simulated` turns the folder into a night store.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from recordings.simulate import SimulatedNight, simulate_night

# Who comes to a sleep laboratory: adults of all ages, most with few apneas, some with many.
YEARS = (20.0, 80.0)
MEAN_AHI = 10.0
NIGHTS_APART = timedelta(days=7)


@dataclass(frozen=True)
class Cohort:
    """What a cohort is made of.

    Parameters
    ----------
    n_nights : int
        Nights in all.
    per_person : int
        Nights of each person, as long as there are nights left.
    site : str
        Capital letters that begin every name; another site is other people.
    seed : int
        Of the cohort; more nights of the same seed leave the first ones as they are.
    hours : float
        Length of a night.
    montage : str
        See `simulate_night`.
    mains_hz : int
        Frequency of the mains where the site is.
    """

    n_nights: int
    per_person: int = 1
    site: str = "SIM"
    seed: int = 1
    hours: float = 8.0
    montage: str = "full"
    mains_hz: int = 50

    def __post_init__(self) -> None:
        if self.n_nights < 1 or not 1 <= self.per_person <= 9:
            found = f"{self.n_nights} nights, {self.per_person} per person"
            raise ValueError(f"{found}: at least one night and 1 to 9 per person are wanted")
        if not (self.site.isascii() and self.site.isalpha() and self.site.isupper()):
            raise ValueError(f"site {self.site!r}: capital letters A to Z are wanted")

    def names(self) -> list[str]:
        """Return the name of every night, without a suffix."""
        places = (divmod(number, self.per_person) for number in range(self.n_nights))
        return [f"{self.site}{person + 1:04d}N{night + 1}" for person, night in places]


def write_cohort(cohort: Cohort, folder: Path) -> Iterator[Path]:
    """Write every night that is not there yet as EDF+ with its scoring inside; yield each path."""
    for number, name in enumerate(cohort.names()):
        path = folder / f"{name}.edf"
        if not path.exists():
            _night(cohort, *divmod(number, cohort.per_person)).write(path)
        yield path


def _night(cohort: Cohort, person: int, night: int) -> SimulatedNight:
    """Simulate one night of one person of the cohort."""
    seed = zlib.crc32(f"{cohort.site} {cohort.seed} {person}".encode())
    traits = np.random.default_rng([seed, 1])  # age and apneas belong to the person, too
    return simulate_night(
        seed,
        night=night,
        hours=cohort.hours,
        montage=cohort.montage,
        age=round(traits.uniform(*YEARS), 1),
        ahi=round(float(traits.exponential(MEAN_AHI)), 1),
        mains_hz=cohort.mains_hz,
        start=datetime(2001, 1, 1, 23, 0) + night * NIGHTS_APART,
    )
