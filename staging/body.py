"""Heart and breath of a staged night: measured in its recording, with the events people scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from evaluation.body import BodyReport, body_report
from evaluation.traces import Trace, traces_of
from nights.events import Event
from nights.hypnogram import Hypnogram
from nights.stages import EPOCH_S
from recordings.body import BREATHS, HEARTS, NOTHING, OXYGEN, read_body
from recordings.channels import Candidate, resolve
from recordings.ingest import read_view
from recordings.recording import Recording, RecordingError
from recordings.views import View
from staging.stage import Reading

# Signals drawn around an event: fast enough to see breaths and single beats, small in a page.
_SHOWN_HZ = {"ECG": 64, "PPG": 32, OXYGEN: 1}
_SHOWN_BREATH_HZ = 8


def night_body(
    reading: Reading,
    hypnogram: Hypnogram,
    *,
    events: Sequence[Event] = (),
    overrides: Mapping[str, Candidate] | None = None,
    draw: bool = False,
) -> tuple[BodyReport | None, tuple[str, ...]]:
    """Measure heart, breath and oxygen of a night.

    Parameters
    ----------
    reading : Reading
        Of a recording; of a stored night only the events count, its signals are the stager's.
    hypnogram : Hypnogram
        The result of staging; tells when sleep was.
    events : sequence of Event
        Scored events on the clock of the recording; empty when nobody scored any.
    overrides : mapping, optional
        Channels named by hand.
    draw : bool
        Read the signals to draw although there is no event to draw them around.

    Returns
    -------
    BodyReport or None
        None when the recording has neither such signals nor events.
    tuple of str
        Which signals were there and could not be used, and why.
    """
    recording = reading.recording
    body = NOTHING if recording is None else read_body(recording, overrides=overrides)
    found = body_report(hypnogram, body, events=events)
    if recording is not None and (found.events or draw):
        found = replace(found, signals=_shown(recording, overrides or {}))
    told = found.courses or found.statistics
    return (found if told else None), body.notes


def _shown(recording: Recording, overrides: Mapping[str, Candidate]) -> tuple[Trace, ...]:
    """Return the signals to draw around events, breath on top."""
    wanted = (*BREATHS, *HEARTS, OXYGEN)
    samples = {name: _SHOWN_HZ.get(name, _SHOWN_BREATH_HZ) * EPOCH_S for name in wanted}
    view = View("events shown", samples)
    named = {name: label for name, label in overrides.items() if name in wanted}
    montage = resolve(recording, wanted, overrides=named)
    try:
        night = read_view(recording, view, montage=montage)
    except RecordingError:  # nothing to draw: what could not be read is in the notes of the body
        return ()
    return tuple(sorted(traces_of(night), key=lambda trace: wanted.index(trace.name)))
