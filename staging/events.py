"""Apnea and hypopnea in a staged night: the probability of each epoch, by weights of main_probe.

The weights name their view and channels, as those of a stager do, and read the recording by
themselves. A night they cannot read is staged all the same: the reason becomes a note.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engine.probing_labels import Target
from evaluation.event_epochs import EventEpochs
from evaluation.respiration import breathing_scored
from evaluation.traces import traces_of
from nights.events import Event
from nights.hypnogram import Hypnogram
from nights.night import Night, NightError
from recordings.channels import Candidate
from recordings.recording import Recording, RecordingError
from staging.networks import NetworkStager
from staging.quality_signals import drop_bad_signals
from staging.stage import Reading

_TOLD = ("sha256", "licence", "source", "view", "datasets", "n_persons", "balanced", "simulated")


class EventDetector(NetworkStager):
    """Weights of `main_probe.py --task apnea` or `hypopnea`, read as a stager's are.

    Its `proba` (E, 2) is that of no event and of an event in the epoch.
    """

    role = "detector of events (main_probe.py --task apnea or hypopnea)"
    tasks = ("apnea", "hypopnea")

    def _named_classes(self, card: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the classes the weights name."""
        return tuple(card["classes"])

    @property
    def kind(self) -> str:
        """What it looks for."""
        return str(self.provenance["task"])

    @property
    def rule(self) -> str:
        """When an epoch held an event in training; weights that do not say had the default."""
        return str(self.provenance.get("event_rule", "half"))

    @property
    def weights(self) -> dict[str, Any]:
        """What a result says of the weights."""
        told = {key: self.provenance[key] for key in _TOLD if key in self.provenance}
        return {"name": self.name, **told}

    @property
    def setting(self) -> str:
        """What decides a result: a run with other weights is another run."""
        return f"{self.kind} {self.provenance.get('sha256', self.name)[:12]}"


@dataclass(frozen=True, eq=False)
class EventReading:
    """What a detector read of a night, or why it could not."""

    detector: EventDetector
    reading: Reading | None
    notes: tuple[str, ...] = ()

    def head(self, n_epochs: int) -> EventReading:
        """Return the first epochs alone."""
        return replace(self, reading=self.reading.head(n_epochs) if self.reading else None)


def load_detectors(names: Sequence[str], *, device: str = "auto") -> tuple[EventDetector, ...]:
    """Load weights of apnea or hypopnea, by name or file.

    Raises
    ------
    ValueError
        If weights were trained for something else, or two of them for the same kind of event.
    """
    detectors = tuple(EventDetector.from_weights(name, device=device) for name in names)
    kinds = [detector.kind for detector in detectors]
    if twice := [kind for kind in dict.fromkeys(kinds) if kinds.count(kind) > 1]:
        raise ValueError(f"--events names several weights for {twice[0]}; name one for each kind")
    return detectors


def read_for_events(
    detector: EventDetector,
    night: Recording | Night,
    *,
    overrides: Mapping[str, Candidate] | None = None,
    drop_bad: bool = False,
) -> EventReading:
    """Read what the detector needs of a recording or a stored night; a refusal becomes a note."""
    try:
        if isinstance(night, Night):
            reading = detector.read_stored(night)
        else:
            reading = detector.read(night, overrides=overrides)
        assert reading.signals is not None
        if drop_bad:
            kept = drop_bad_signals(reading.signals, reading.recording)
            reading = replace(reading, signals=kept)
    except (RecordingError, NightError) as error:
        return EventReading(detector, None, (f"no probability of {detector.kind}: {error}",))
    return EventReading(detector, reading, tuple(_absent(detector, reading)))


def find_events(
    found: EventReading, hypnogram: Hypnogram, events: Sequence[Event] = ()
) -> EventEpochs | None:
    """Return what the detector says of each epoch; None for a night it could not read.

    Parameters
    ----------
    found : EventReading
    hypnogram : Hypnogram
        Gives the epochs.
    events : sequence of Event
        Scored events of the recording; which epochs hold one is told by the rule of the weights.
    """
    reading, detector = found.reading, found.detector
    if reading is None or reading.signals is None:
        return None
    proba = np.array(detector.proba(reading)[:, 1], dtype=np.float32)
    proba[reading.signals.unscored] = np.nan
    target = Target.of(detector.kind, rule=detector.rule)  # type: ignore[arg-type]
    scored = target.holds(events, hypnogram) if breathing_scored(events) else None
    return EventEpochs(
        kind=detector.kind,
        proba=proba,
        weights=detector.weights,
        channels=tuple(reading.signals.signals),
        rule=detector.rule,
        scored=scored,
        signals=traces_of(reading.signals),
    )


def find_all(
    read: Sequence[EventReading], hypnogram: Hypnogram, events: Sequence[Event] = ()
) -> tuple[tuple[EventEpochs, ...], tuple[str, ...]]:
    """Run every detector; return what they say, and the notes of all, the silent ones too."""
    told = [find_events(found, hypnogram, events) for found in read]
    notes = tuple(note for found in read for note in found.notes)
    return tuple(found for found in told if found is not None), notes


def _absent(detector: EventDetector, reading: Reading) -> Iterator[str]:
    """Yield a note if some of the channels the weights know are not there."""
    assert reading.signals is not None
    read = reading.signals.signals
    if len(read) < len(detector.channels):
        lacking = ", ".join(name for name in detector.channels if name not in read)
        yield f"probability of {detector.kind}: read without {lacking}, which the weights know"
