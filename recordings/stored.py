"""A stored night as the signals of a view, the same object that reading a recording gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from nights.night import Night
from recordings.channels import Montage
from recordings.ingest import ChannelRecord, NightSignals
from recordings.views import View


def stored_signals(
    night: Night, view: View, channels: Iterable[str], *, reader: str
) -> NightSignals:
    """Return channels of a stored night as float32 signals of `view`.

    Parameters
    ----------
    night : Night
        Written with the `ChannelRecord` of each channel as its facts.
    view : View
        What the reader wants; the night must be of this very view.
    channels : iterable of str
        Names of stored channels, in the order wanted.
    reader : str
        Who asks, for the message of a refusal.

    Raises
    ------
    NightError
        If the night is of another view; the message names both.
    """
    night.check_view(view.name, view.hash, reader)
    known = {
        channel["name"]: channel
        for group in night.sidecar["groups"].values()
        for channel in group["channels"]
    }
    signals = night.read(channels)
    return NightSignals(
        view=view,
        signals=signals,
        channels=tuple(_record(known[name]) for name in signals),
        dropped={},
        unscored=~night.recorded,
        montage=Montage(()),
    )


def _record(facts: Mapping[str, Any]) -> ChannelRecord:
    """Return the record kept in the sidecar; what the store measured itself goes first."""
    return ChannelRecord(**{field.name: facts[field.name] for field in fields(ChannelRecord)})
