"""Several stagers of one night, heard as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nights.night import Night
from recordings.channels import Candidate
from recordings.recording import Recording
from staging.correct import EPSILON
from staging.denoiser import as_one
from staging.stage import Reading, Stager, stage_reading


@dataclass(frozen=True, eq=False)
class FusedReading(Reading):
    """What the first stager read, and what each of them read."""

    parts: tuple[Reading, ...] = ()

    def head(self, n_epochs: int) -> FusedReading:
        """Return the first epochs alone."""
        parts = tuple(part.head(n_epochs) for part in self.parts)
        return replace(self, **vars(super().head(n_epochs)) | {"parts": parts})


class FusedStager(Stager):
    """Stagers that vote: the mean of their log-probabilities, each brought to one confidence.

    Parameters
    ----------
    stagers : sequence of Stager
        Of the same classes. The report shows the channels of the first.

    Raises
    ------
    ValueError
        If their classes differ.
    """

    def __init__(self, stagers: Sequence[Stager]) -> None:
        self.stagers = tuple(stagers)
        if len({stager.classes for stager in stagers}) != 1:
            told = "; ".join(f"{s.name}: {' '.join(s.classes)}" for s in stagers)
            raise ValueError(f"stagers of different classes cannot be fused ({told})")
        self.classes = self.stagers[0].classes
        self.name = " + ".join(stager.name for stager in stagers)
        self.provenance = {
            "stager": self.name,
            "stagers": [dict(stager.provenance) for stager in stagers],
            "simulated": any(stager.provenance.get("simulated") for stager in stagers),
        }

    def read(
        self,
        recording: Recording,
        *,
        overrides: Mapping[str, Candidate] | None = None,
        vote: bool = False,
    ) -> FusedReading:
        """Let every stager read the recording."""
        parts = [s.read(recording, overrides=overrides, vote=vote) for s in self.stagers]
        return FusedReading(**vars(parts[0]), parts=tuple(parts))

    def read_stored(self, night: Night, *, vote: bool = False) -> FusedReading:
        """Let every stager read the stored night."""
        parts = [stager.read_stored(night, vote=vote) for stager in self.stagers]
        return FusedReading(**vars(parts[0]), parts=tuple(parts))

    def voices(self, reading: Reading) -> np.ndarray:
        """Return what each stager says, float32 (E, S, K); NaN where one says nothing."""
        assert isinstance(reading, FusedReading)
        shape = (reading.n_epochs, len(self.stagers), len(self.classes))
        heard = np.full(shape, np.nan, dtype=np.float32)
        for place, (stager, part) in enumerate(zip(self.stagers, reading.parts, strict=True)):
            said = stage_reading(part, stager).hypnogram.proba[: reading.n_epochs]  # type: ignore[index]
            heard[: len(said), place] = said
        return heard

    def heard(self, voices: np.ndarray) -> np.ndarray:
        """Return the hypnodensity (E, K) of all voices together."""
        return np.exp(as_one(np.log(voices + EPSILON)))

    def proba(self, reading: Reading) -> np.ndarray:
        """Return the fused hypnodensity (E, K); who says nothing of an epoch has no vote there."""
        return self.heard(self.voices(reading))


def fused_stager(names: str, device: str = "auto", **options: Any) -> FusedStager:
    """Return the stagers of a list `a,b,...`; a part, with options, is what `load_stager` takes."""
    from staging.stage import load_stager

    return FusedStager([load_stager(name, device=device, **options) for name in names.split(",")])


def is_list(name: str) -> bool:
    """Tell whether a stager's name is a list of stagers, not a file with a comma in its name."""
    return "," in name and not Path(name).exists()
