"""What a run would make and refuse, from headers and scorings alone: seconds a night, no signal.

The decisions are those of a run (`preprocess/recipe/conversion.py`): which channels are taken,
whether the scoring fits the recording, which nights are known to be bad.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from nights.stages import EPOCH_S, STAGES
from preprocess.dataset import Dataset, DatasetSpec, RawNight
from preprocess.recipe import Settings, chosen
from preprocess.recipe.conversion import (
    DTYPE_BYTES,
    Order,
    choose_channels,
    describe_error,
    open_night,
)
from preprocess.recipe.workers import WorkerLost
from recordings.channels import Montage
from recordings.recording import Recording, RecordingError
from recordings.views import VIEWS, View


@dataclass(frozen=True)
class Seen:
    """What the header and the scoring of one night say.

    `channels` are the labels taken for each target, `stages` the epochs of W, N1, N2, N3, R, and
    `labels` what is known of the person, such as a diagnosis.
    """

    night: str
    person: str
    hours: float = 0.0
    input_bytes: int = 0
    output_bytes: int = 0
    channels: Mapping[str, str] = field(default_factory=dict)
    stages: tuple[int, ...] = (0, 0, 0, 0, 0)
    n_events: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    refused: str = ""


@dataclass(frozen=True)
class Forecast:
    """What a run would do with every night below a raw folder."""

    dataset: Dataset
    nights: tuple[Seen, ...]
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def usable(self) -> list[Seen]:
        """The nights that would be made."""
        return [night for night in self.nights if not night.refused]

    @property
    def refused(self) -> list[Seen]:
        """The nights that would be refused."""
        return [night for night in self.nights if night.refused]


def check(dataset: Dataset, settings: Settings) -> Forecast:
    """Look at every night of a raw folder without reading a signal.

    Raises
    ------
    ValueError
        As a run: no folder, no nights, two of one name.
    """
    nights, left_out = chosen(dataset, settings)
    work = partial(look, spec=dataset.spec, order=settings.order())
    seen: list[Seen] = []
    for night, found in settings.spread(work, nights, settings.workers):
        lost = isinstance(found, WorkerLost)
        seen.append(Seen(night.night, night.person, refused=str(found)) if lost else found)
    return Forecast(dataset, tuple(sorted(seen, key=lambda one: one.night)), left_out)


def look(night: RawNight, spec: DatasetSpec, order: Order) -> Seen:
    """Look at one night."""
    try:
        recording, scoring, events = open_night(night, spec, lambda step: None)
        channels: dict[str, str] = {}
        n_bytes, n_epochs = 0, int(recording.duration_s / EPOCH_S + 1e-6)
        for name in order.views:
            view = VIEWS[name]
            usable = _usable(recording, choose_channels(recording, night, spec, order, view), view)
            channels |= usable
            samples = sum(view.samples[target] for target in usable)
            n_bytes += samples * n_epochs * DTYPE_BYTES[order.dtype]
    except Exception as error:  # a row of the table, as in a run
        return Seen(night.night, night.person, refused=describe_error(error))
    known = scoring.hypnogram.stages if scoring else np.zeros(0, dtype=np.int8)
    return Seen(
        night.night,
        night.person,
        hours=recording.duration_s / 3600,
        input_bytes=sum(path.stat().st_size for path in night.files),
        output_bytes=n_bytes,
        channels=channels,
        stages=tuple(np.bincount(known[known >= 0], minlength=len(STAGES)).tolist()),
        n_events=None if events is None else len(events),
        labels=night.labels,
    )


def _usable(recording: Recording, montage: Montage, view: View) -> dict[str, str]:
    """Return the labels taken for each channel that is there and quick enough for its filter.

    Raises
    ------
    RecordingError
        If there is none.
    """
    usable = {}
    for choice in montage.choices:
        if choice.plus is not None:
            rate_hz = recording.channels[choice.plus].rate_hz
            if not view.response_of(choice.target).refusal(rate_hz):
                usable[choice.target] = choice.how
    if not usable:
        labels = ", ".join(recording.labels) or "no signals"
        raise RecordingError(
            f"{recording.path.name}: no channel of view {view.name}; the file has: {labels}"
        )
    return usable


def report(forecast: Forecast) -> str:
    """Return a forecast as text: totals, channels, stages, what would be refused and why."""
    spec, usable = forecast.dataset.spec, forecast.usable
    persons = len({night.person for night in usable})
    read = sum(night.input_bytes for night in usable) / 1e9
    written = sum(night.output_bytes for night in usable) / 1e9
    lines = [
        f"{spec.name}: {len(usable)} nights of {persons} persons would be made, "
        f"{len(forecast.refused)} refused, {len(forecast.left_out)} left out",
        f"{sum(night.hours for night in usable):.1f} h of recording, {read:.2f} GB to read, "
        f"{written:.2f} GB to write",
        *_channel_lines(usable),
        *_stage_lines(spec, usable),
        *_label_lines(spec, usable),
        *(f"left out  {night}  {why}" for night, why in sorted(forecast.left_out.items())),
        *(f"refused  {night.night}  {night.refused}" for night in forecast.refused),
    ]
    return "\n".join(lines) + "\n"


def _channel_lines(usable: Sequence[Seen]) -> list[str]:
    """Return for each channel in how many nights it is there, and what it is made of."""
    lines = []
    for target in dict.fromkeys(target for night in usable for target in night.channels):
        made_of = Counter(night.channels.get(target, "") for night in usable)
        absent = made_of.pop("", 0)
        listed = ", ".join(f"{how} ({n})" for how, n in made_of.most_common(6))
        more = f" and {len(made_of) - 6} more" if len(made_of) > 6 else ""
        lines.append(f"{target:8} {len(usable) - absent:6} nights  {listed}{more}")
    return lines


def _stage_lines(spec: DatasetSpec, usable: Sequence[Seen]) -> list[str]:
    """Return the epochs of each stage, beside what was published."""
    if not usable:
        return []
    found = np.sum([night.stages for night in usable], axis=0).tolist()
    scored = sum(any(night.stages) for night in usable)
    events = [night.n_events for night in usable if night.n_events is not None]
    lines = [f"scored: {scored} nights, {_counted(sum(found), found)}"]
    lines += [f"events: {sum(events)} in {len(events)} nights"] * bool(events)
    if spec.counts:
        known = spec.counts
        told = f"published ({known.source}): {known.nights} nights, "
        lines.append(told + _counted(known.epochs, known.stages) + f" {known.note}".rstrip())
    return lines


def _label_lines(spec: DatasetSpec, usable: Sequence[Seen]) -> list[str]:
    """Return how many nights have each value of each label, beside the published numbers."""
    lines = []
    for label in sorted({label for night in usable for label in night.labels}):
        found = Counter(night.labels[label] for night in usable if label in night.labels)
        published = spec.labels.get(label, {})
        counted = (
            f"{value} {n}" + (f" (published {published[value]})" if published.get(value) else "")
            for value, n in sorted(found.items())
        )
        lines.append(f"{label}: {', '.join(counted)}")
    return lines


def _counted(epochs: int, stages: Sequence[int]) -> str:
    """Write numbers of epochs."""
    listed = ", ".join(f"{name} {n}" for name, n in zip(STAGES, stages, strict=True))
    return f"{epochs} epochs ({listed})"
