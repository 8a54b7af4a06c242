"""One raw night becomes a night of every view wanted, or a reason why not.

The file is opened once for all views: its pages are read from the disk once and stay in memory.
"""

from __future__ import annotations

import errno
import re
import shutil
import traceback
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from nights.events import Event
from nights.hypnogram import Hypnogram
from nights.ledger import Failure
from nights.outcome import Step
from nights.stages import EPOCH_S
from nights.store import Dtype, is_complete, write_night
from preprocess.dataset import SYSTEM_OF_VIEW, Channels, DatasetSpec, RawNight
from preprocess.recipe.grid import grid_of, groups_of
from preprocess.recipe.joined import JoinedRecording
from recordings.channels import Candidate, Choice, Montage, resolve
from recordings.formats import open_recording
from recordings.ingest import NightSignals, read_view
from recordings.recording import Recording, RecordingError
from recordings.scoring import Scoring, read_scoring
from recordings.scoring import read_events as scored_events
from recordings.views import VIEWS, View

Done = TypeVar("Done")
DTYPE_BYTES: dict[Dtype, int] = {"float16": 2, "float32": 4}


@dataclass(frozen=True)
class Order:
    """What is to be made of every night.

    Parameters
    ----------
    out : Path
        Parent of the night stores: nights of view `psg9` go to `<out>/psg9`.
    views : tuple of str
        Names in `VIEWS`.
    dtype : {"float16", "float32"}
    as_published : bool
        Read the channels that the system of the view read, errors included; such nights have a
        store of their own, `<out>/psg9-as-published`.
    channels : mapping
        Channels the user named, before all candidates.
    force : bool
        Make nights again that are there.
    """

    out: Path
    views: tuple[str, ...] = ("psg9",)
    dtype: Dtype = "float16"
    as_published: bool = False
    channels: Mapping[str, Candidate] = field(default_factory=dict)
    force: bool = False

    def __post_init__(self) -> None:
        if unknown := [view for view in self.views if view not in VIEWS]:
            raise ValueError(f"no view {', '.join(unknown)}; there are {', '.join(VIEWS)}")

    def root(self, view: str) -> Path:
        """Return the night store of a view."""
        return self.out / (f"{view}-as-published" if self.as_published else view)


class Result(NamedTuple):
    """What became of a raw night: views made, views that were there, failures by view, hours."""

    night: str
    made: tuple[str, ...]
    there: tuple[str, ...]
    failed: dict[str, Failure]
    hours: float = 0.0


class DiskFull(OSError):
    """Nothing can be written any more: the run stops, the same command goes on later."""


class Opened(NamedTuple):
    """A raw night whose signals are not read yet; scoring and events None where nobody scored."""

    recording: Recording
    scoring: Scoring | None
    events: list[Event] | None


def convert(night: RawNight, spec: DatasetSpec, order: Order) -> Result:
    """Make one night of every view; whatever is wrong with it becomes a `Failure` of each view.

    Raises
    ------
    DiskFull
        If the disk is full: no other night could be written either.
    """
    name = f"{spec.name}/{night.night}"
    there = tuple(view for view in order.views if _is_there(night, spec, order, view))
    wanted = [view for view in order.views if view not in there]
    if not wanted:
        return Result(name, (), there, {})
    step = Step()
    opened = _attempt(name, step, order.out, partial(open_night, night, spec, step))
    if isinstance(opened, Failure):
        return Result(name, (), there, dict.fromkeys(wanted, opened))
    failed: dict[str, Failure] = {}
    for view in wanted:
        step("signals")
        make = partial(_make, night, spec, order, VIEWS[view], opened)
        if (failure := _attempt(name, step, order.out, make)) is not None:
            failed[view] = failure
    made = tuple(view for view in wanted if view not in failed)
    return Result(name, made, there, failed, opened.recording.duration_s / 3600)


def open_night(night: RawNight, spec: DatasetSpec, step: Callable[[str], None]) -> Opened:
    """Open the recording of a night and read its scoring; `step` is told where it stands.

    Raises
    ------
    RecordingError
        If a file cannot be read or does not belong to the others.
    """
    step("open")
    recording = open_signals(night, spec)
    step("scoring")
    scoring = read_stages(night, spec, recording)
    return Opened(recording, scoring, read_events(night, spec, recording, scoring))


def open_signals(night: RawNight, spec: DatasetSpec) -> Recording:
    """Open the recording of a night and check what is known of its clock and length.

    Raises
    ------
    RecordingError
        If it cannot be read, began at another time than the scoring says, or is too short or long.
    """
    if isinstance(night.signals, Path):
        recording = open_recording(night.signals)
    else:
        recording = JoinedRecording([open_recording(path) for path in night.signals])
    name, hours = recording.path.name, recording.duration_s / 3600
    if recording.duration_s < EPOCH_S:
        raise RecordingError(f"{name}: {recording.duration_s:g} s are less than an epoch of 30 s")
    began = recording.start and recording.start.time().replace(microsecond=0)
    if night.clock is not None and began != night.clock:
        raise RecordingError(f"{name}: begins at {began}, its scoring says {night.clock}")
    if spec.hours and not spec.hours[0] <= hours <= spec.hours[1]:
        wanted = "{:g} to {:g} h".format(*spec.hours)
        raise RecordingError(f"{name}: lasts {hours:.1f} h; nights of {spec.name} last {wanted}")
    return recording


def choose_channels(
    recording: Recording, night: RawNight, spec: DatasetSpec, order: Order, view: View
) -> Montage:
    """Return which channels of the recording are those of the view, by the data set's facts."""
    candidates = dict(spec.part_channels.get(night.part, spec.channels))
    if order.as_published:
        candidates |= spec.as_published.get(SYSTEM_OF_VIEW.get(view.name, ""), {})
    montage = resolve(
        recording,
        view.channels,
        candidates=completed(candidates, as_recorded=view.as_recorded),
        overrides=order.channels,
        as_recorded=view.as_recorded,
    )
    return Montage(tuple(_right_twin(recording, choice, spec.twins) for choice in montage.choices))


def completed(candidates: Channels, *, as_recorded: bool = False) -> Channels:
    """Add what follows: `EEG` (C4, else C3), `EOG` (either eye), `EOGh` (E1 - E2), electrodes.

    Bare electrodes are added where a view takes channels as they are recorded: what a data set
    gives as a pair to subtract then stands for its active electrode.
    """
    full = {target: list(listed) for target, listed in candidates.items()}
    full.setdefault("EEG", [*full.get("C4", ()), *full.get("C3", ())])
    full.setdefault("EOG", [*full.get("E1", ()), *full.get("E2", ())])
    eyes = zip(full.get("E1", ()), full.get("E2", ()), strict=False)
    full.setdefault("EOGh", [(_active(left), _active(right)) for left, right in eyes])
    if as_recorded:
        full = {target: [*listed, *map(_active, listed)] for target, listed in full.items()}
    return full


def read_stages(night: RawNight, spec: DatasetSpec, recording: Recording) -> Scoring | None:
    """Read the scoring of a night on the clock of its recording; None where nobody scored.

    Raises
    ------
    RecordingError
        Also if it scores no epoch: a wrong stage map must not pass for a night nobody scored.
    """
    if night.scoring is None:
        return None
    scoring = _read(night.scoring, night, spec, recording)
    if not scoring.hypnogram.scored.any():
        known = (night.scoring_format or spec.scoring).stage_map
        named = f"the stage map {known!r}" if isinstance(known, str) else "its stage map"
        raise RecordingError(
            f"{night.scoring.name}: no epoch is scored by {named}; is it the right one?"
        )
    return scoring


def read_events(
    night: RawNight, spec: DatasetSpec, recording: Recording, scoring: Scoring | None
) -> list[Event] | None:
    """Return the scored events of the types the data set has; None where nobody scored events."""
    if spec.events is None or not night.has_events:
        return None
    found = scoring.events if scoring else ()
    if night.events is not None and night.events != night.scoring:
        unsure = (night.scoring_format or spec.scoring).unsure
        found = scored_events(night.events, recording=recording, unsure=unsure)
    return [event for event in found if event.type in spec.events]


@contextmanager
def claimed(root: Path, name: str) -> Iterator[None]:
    """Hold `name` in a store: whoever else wants it waits; a process that is killed lets go."""
    import fcntl  # Unix only, and only needed where something is written

    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("ab") as file:
        # One byte of the file stands for each name; nothing is ever written to it
        fcntl.lockf(file, fcntl.LOCK_EX, 1, zlib.crc32(name.encode()))
        yield


def _make(night: RawNight, spec: DatasetSpec, order: Order, view: View, opened: Opened) -> None:
    """Make the night of one view, unless another run has made it meanwhile."""
    root = order.root(view.name)
    with claimed(root, f"{spec.name}/{night.night}"):
        if not _is_there(night, spec, order, view.name):
            _remove_temporaries(root / spec.name, night.night)
            _write(night, spec, order, view, opened)


def _write(night: RawNight, spec: DatasetSpec, order: Order, view: View, opened: Opened) -> None:
    """Read the signals of one view and write the night."""
    recording, scoring, events = opened
    montage = choose_channels(recording, night, spec, order, view)
    read = read_view(recording, view, montage=montage, unfinished=True)
    grid = grid_of(recording, scoring.hypnogram if scoring else None, edge=spec.page_edge)
    hypnogram = _with_lights(grid.hypnogram, night.lights_s)
    facts = _facts(night, spec, order, recording, scoring, read)
    facts["other_scorings"] = _other_stages(night, spec, recording, hypnogram)
    write_night(
        order.root(view.name),
        spec.name,
        night.night,
        groups_of({target: grid.cut(signal) for target, signal in read.signals.items()}),
        hypnogram,
        view={"name": view.name, "hash": view.hash, "normalise": view.normalise},
        person=f"{spec.prefix}-{night.person}",
        group=f"{spec.prefix}-{night.family or night.person}",
        events=events,
        gaps=grid.gaps,
        sources=night.files,
        channels={record.target: record.to_json() for record in read.channels},
        dtype=order.dtype,
        sidecar=facts,
    )


def _with_lights(hypnogram: Hypnogram, lights_s: tuple[float | None, float | None]) -> Hypnogram:
    """Return the hypnogram with lights off and on as a table tells them."""
    off_s, on_s = lights_s
    return replace(
        hypnogram,
        lights_off_s=hypnogram.lights_off_s if off_s is None else off_s,
        lights_on_s=hypnogram.lights_on_s if on_s is None else on_s,
    )


def _facts(
    night: RawNight,
    spec: DatasetSpec,
    order: Order,
    recording: Recording,
    scoring: Scoring | None,
    read: NightSignals,
) -> dict[str, object]:
    """Return what the sidecar keeps beside what the store itself knows."""
    told = ("format", "conflicts", "offgrid", "label_surplus")
    return {
        "visit": night.visit,
        "part": night.part,
        "labels": dict(night.labels),
        "remark": spec.remarks.get(night.night, ""),
        "as_published": order.as_published,
        "simulated": recording.simulated,
        "duration_s": recording.duration_s,
        "recording_notes": recording.notes,
        "dropped": read.dropped,
        "scoring": {name: getattr(scoring, name) for name in told} if scoring else None,
    }


def _other_stages(
    night: RawNight, spec: DatasetSpec, recording: Recording, hypnogram: Hypnogram
) -> dict[str, np.ndarray]:
    """Return the stages of the further scorers on the epochs of the night."""
    begin_s, n_epochs = hypnogram.onset_s, hypnogram.n_epochs
    return {
        scorer: _read(path, night, spec, recording).hypnogram.on_grid(begin_s, n_epochs).stages
        for scorer, path in night.other_scorings.items()
    }


def _is_there(night: RawNight, spec: DatasetSpec, order: Order, view: str) -> bool:
    """Tell whether a night needs nothing: it is complete and its files are as they were."""
    if order.force or not all(path.is_file() for path in night.files):
        return False
    return is_complete(
        order.root(view),
        spec.name,
        night.night,
        view_hash=VIEWS[view].hash,
        sources=night.files,
        dtype=order.dtype,
    )


def _read(path: Path, night: RawNight, spec: DatasetSpec, recording: Recording) -> Scoring:
    """Read a scoring file as the facts of the data set say."""
    options = asdict(night.scoring_format or spec.scoring)
    return read_scoring(path, recording=recording, **options)


def _active(candidate: Candidate) -> str:
    """Return the active electrode of a pair, a label as it is."""
    return candidate if isinstance(candidate, str) else candidate[0]


def _right_twin(recording: Recording, choice: Choice, twins: Mapping[str, str]) -> Choice:
    """Of channels that share a label take the one that stands nearest to its neighbour."""

    def moved(place: int | None) -> int | None:
        label = None if place is None else recording.channels[place].label
        neighbours = [c.position for c in recording.channels if c.label == twins.get(label or "")]
        if not neighbours:
            return place
        same = [c.position for c in recording.channels if c.label == label and not c.dead]
        return min(same, key=lambda at: min(abs(at - there) for there in neighbours))

    plus, minus = moved(choice.plus), moved(choice.minus)
    if (plus, minus) == (choice.plus, choice.minus):
        return choice
    places = " - ".join(f"#{place}" for place in (plus, minus) if place is not None)
    return replace(choice, plus=plus, minus=minus, how=f"{choice.how} at {places}")


def _remove_temporaries(folder: Path, night: str) -> None:
    """Remove what a killed run left of this night, which nobody else is writing now."""
    left = re.compile(re.escape(night) + r"\.(?:\w+\.npy|events\.csv|json)\.tmp\.\d+\.\w+")
    for path in folder.glob("*.tmp.*"):
        if left.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _is_full(error: BaseException, out: Path) -> bool:
    """Tell whether an error means that nothing more can be written to the disk of `out`."""
    if not isinstance(error, OSError):
        return False
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    # NumPy tells of a short write without a number
    return error.errno is None and shutil.disk_usage(out).free < 2**20


def _attempt(name: str, step: Step, out: Path, work: Callable[[], Done]) -> Done | Failure:
    """Return what `work` returns, or the failure that becomes a row of the table of refusals.

    An error nobody foresaw is a row too: the other nights must not be lost to it.
    """
    try:
        return work()
    except Exception as error:
        if _is_full(error, out):
            raise DiskFull(f"the disk of {out} is full: free some space, go on") from None
        return Failure(name, step.name, describe_error(error))


def describe_error(error: Exception) -> str:
    """Return an error as one line; of one nobody foresaw also its type and place in the code."""
    text = " ".join(str(error).split())
    if isinstance(error, ValueError | OSError):
        return text
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {text} ({Path(frame.filename).name}, line {frame.lineno})"
