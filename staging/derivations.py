"""The channels of stagers that read any single EEG derivation: the best one, or all by vote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recordings.channels import PREFERENCE, Candidate, Montage, best_available, ranked
from recordings.recording import Recording, RecordingError


def choose_derivations(
    recording: Recording,
    overrides: Mapping[str, Candidate] | None,
    *,
    vote: bool,
    helpers: Sequence[str] = (),
) -> Montage:
    """Return the EEG derivations to stage from, and one channel of each helping kind.

    Parameters
    ----------
    recording : Recording
    overrides : mapping, optional
        Channels named by hand; they come first.
    vote : bool
        Every usable EEG derivation instead of the best one.
    helpers : sequence of str
        Kinds that are read beside the EEG where the file has them: `eog`, `emg`.

    Raises
    ------
    RecordingError
        If no channel is a usable EEG.
    """
    eegs = ranked(recording, "eeg", overrides=overrides)
    if not eegs:
        reason = best_available(recording, "eeg", overrides=overrides).how
        hint = "name one with --channel C4=LABEL"
        raise RecordingError(f"{recording.path.name}: {reason}; {hint}")
    beside = [best_available(recording, kind, overrides=overrides) for kind in helpers]
    return Montage((*(eegs if vote else eegs[:1]), *beside))


def stored_derivations(
    channels: Sequence[str], *, vote: bool, helpers: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the same choice among the channels of a stored night; empty if none is an EEG."""

    def of_kind(kind: str) -> list[str]:
        return [name for name in PREFERENCE[kind] if name in channels]

    eegs = of_kind("eeg")
    if not eegs:
        return ()
    beside = [name for kind in helpers for name in of_kind(kind)[:1]]
    return (*(eegs if vote else eegs[:1]), *beside)
