"""What the worker processes do: look into a file, build its pyramid, stage it, write its report.

Every function takes `step`, which it tells what it is at, and returns plain data: the signals of a
night stay on disk, so that the server never holds more than a hypnogram.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from evaluation.plain import plain
from nights.hypnogram import Hypnogram
from recordings.channels import TARGETS, Montage, resolve
from recordings.formats import open_recording
from recordings.labels import canonical_names, kind_of
from recordings.recording import Recording
from web.pyramid import Lead, build

Tell = Callable[[str], None]
YASA, UNCORRECTED = "yasa", "none"
LANGUAGE_MODEL = "sleepgpt-open"


@dataclass(frozen=True)
class Order:
    """How a visitor wants a night staged.

    Parameters
    ----------
    name : str
        What the night is called in its report.
    stager, decoder : str
        From `stagers` and `decoders`; the decoder `none` corrects nothing.
    channels : mapping of str to str
        Channels named by hand (`recordings.channels.parse_overrides`).
    vote : bool
        Every EEG derivation votes.
    device : str
        `auto`, `cpu` or `cuda`.
    """

    name: str
    stager: str = YASA
    decoder: str = "greedy"
    channels: Mapping[str, str] | None = None
    vote: bool = False
    device: str = "auto"


@dataclass(frozen=True, eq=False)
class Staged:
    """A staged night as the server keeps it: no signals, only what was decided from them.

    `signal_alarms` are those that no change of stages can raise or still.
    """

    hypnogram: Hypnogram
    uncorrected: Hypnogram | None
    reference: Hypnogram | None
    signal_alarms: tuple[Any, ...]
    facts: Mapping[str, Any]


def offered(*, step: Tell) -> dict[str, Any]:
    """Return stagers and decoders that can be asked for on this machine.

    Weights that have not been fetched are listed as not there: nothing is fetched for a visitor.
    """
    from engine.weights import manifest
    from evaluation.page import PURPOSE
    from staging.correct import DENOISER
    from staging.decoders import DECODERS

    stagers = [{"name": YASA, "there": True, "licence": "BSD-3-Clause", "reads": "one EEG"}]
    for weights in manifest().values():
        if weights.is_stager:
            there = weights.converted.exists() or weights.path.exists()
            facts = {"name": weights.name, "there": there, "licence": weights.licence}
            stagers.append(facts | {"reads": f"view {weights.view}"})
    decoders = [*DECODERS, DENOISER, UNCORRECTED]
    return {"purpose": PURPOSE, "stagers": stagers, "decoders": decoders}


def warm(stager: str, decoder: str, device: str, *, step: Tell) -> None:
    """Load what the first visitor will most likely ask for."""
    loaded = _stager(stager, device)
    _corrector(decoder, len(loaded.classes))
    if stager == YASA:
        import yasa  # noqa: F401  # its imports take longer than staging a short recording


def ready(*, step: Tell) -> None:
    """Do nothing: the process of a reader has its imports behind it then."""


def look(path: Path, *, step: Tell) -> dict[str, Any]:
    """Open a recording and say what is in it: technical fields, labels, the channels found.

    No other text of the header is returned: it may name a person.
    """
    step("open")
    recording = open_recording(path)
    names = canonical_names(recording.labels)
    channels = [
        {
            "position": channel.position,
            "label": channel.label,
            "rate_hz": float(channel.rate_hz),
            "unit": channel.unit,
            "kind": kind_of(channel.label, name),
            "dead": channel.dead,
        }
        for channel, name in zip(recording.channels, names, strict=True)
    ]
    step("resolve")
    return {
        "duration_s": recording.duration_s,
        "starts": f"{recording.start:%H:%M:%S}" if recording.start else None,
        "simulated": recording.simulated,
        "gaps": recording.gaps,
        "notes": recording.notes,
        "channels": channels,
        "montage": _montage(recording, {}),
    }


def choose(path: Path, channels: Mapping[str, str], *, step: Tell) -> list[dict[str, Any]]:
    """Return the channels found, with those named by hand in their place."""
    step("resolve")
    return _montage(open_recording(path), channels)


def draw(path: Path, folder: Path, leads: Sequence[Lead], *, step: Tell) -> list[dict[str, Any]]:
    """Build the pyramid of some leads; of all channels and derivations found when none is named."""
    step("open")
    recording = open_recording(path)
    wanted = list(leads) or _leads(recording)
    kept = []
    for shown in build(recording, folder, wanted):
        kept.append(shown.to_json())
        step(f"signals {len(kept)} of {len(wanted)}")
    return kept


def stage(path: Path, folder: Path, order: Order, *, step: Tell) -> Staged:
    """Stage a recording, correct it, judge it, and write its results into `folder`."""
    from staging.results import write_night
    from staging.run import stage_night

    step("load")
    stager = _stager(order.stager, order.device)
    corrector = _corrector(order.decoder, len(stager.classes))
    step("read")
    night = _read(path, order, stager)
    result = stage_night(order.name, night, stager, corrector, step)
    step("write")
    write_night(folder, _as_page(result, order), _settings(order))
    facts = json.loads((folder / "night.json").read_text(encoding="utf-8"))
    facts["read"] = night.channels
    of_signals = _of_signals(result)
    return Staged(result.hypnogram, result.uncorrected, result.reference, of_signals, facts)


def report(
    path: Path,
    folder: Path,
    order: Order,
    reviewed: Hypnogram,
    uncorrected: Hypnogram | None,
    *,
    step: Tell,
) -> None:
    """Write the results again with the stages a person has reviewed."""
    from staging.results import write_night
    from staging.run import judge_night
    from staging.stage import StagedNight

    step("load")
    stager = _stager(order.stager, order.device)
    corrector = _corrector(order.decoder, len(stager.classes))
    step("read")
    night = _read(path, order, stager)
    staged = StagedNight(night.reading, uncorrected or reviewed, stager)
    step("judge")
    result = judge_night(order.name, night, staged, reviewed, corrector)
    step("write")
    write_night(folder, _as_page(result, order), _settings(order))


def _montage(recording: Recording, channels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what was found for every target, as plain data."""
    found: Montage = resolve(recording, tuple(TARGETS), overrides=dict(channels))
    rows = found.to_json()
    return [row | {"kind": TARGETS[str(row["target"])].kind} for row in rows]


def _leads(recording: Recording) -> list[Lead]:
    """Return the derivations that were found, then every channel."""
    pairs = {(row["plus"], row["minus"]) for row in _montage(recording, {})}
    differences = sorted(pair for pair in pairs if pair[1] is not None)
    return [*differences, *((channel.position, None) for channel in recording.channels)]


def _read(path: Path, order: Order, stager: Any) -> Any:
    """Read what the stager wants, and the scoring inside the recording where there is one."""
    from staging.batch import Source
    from staging.run import NightReader

    reader = NightReader(stager, dict(order.channels or {}), order.vote)
    return reader(Source(path, order.name))


def _as_page(result: Any, order: Order) -> Any:
    """Return a result under the name the visitor wants, with the command that gives it again."""
    named = [f"{target}={channel}" for target, channel in (order.channels or {}).items()]
    correction = (
        ["--no-correction"] if order.decoder == UNCORRECTED else ["--decoder", order.decoder]
    )
    flags = ["--stager", order.stager, *correction, *(["--vote"] if order.vote else [])]
    flags += ["--channel", *named] if named else []
    rerun = f"python main_stage_slm.py FILE {shlex.join(flags)}"
    return replace(result, file=order.name, rerun=rerun)


def _settings(order: Order) -> dict[str, Any]:
    """Return what decided a result, as `night.json` keeps it."""
    return plain(asdict(order))


def _of_signals(result: Any) -> tuple[Any, ...]:
    """Return the alarms that speak of signals: those the stages alone do not raise."""
    from staging.quality import alarms

    of_stages = alarms(result.hypnogram, raw=result.uncorrected, statistics=result.statistics)
    return tuple(alarm for alarm in result.alarms if alarm not in of_stages)


@cache
def _stager(name: str, device: str) -> Any:
    """Load a stager once per process; only names of `offered` come here, never a path."""
    from staging.stage import load_stager

    return load_stager(name, device=device)


@cache
def _corrector(decoder: str, n_classes: int) -> Any:
    """Load a correction once per process, with the language model of as many stages."""
    from engine.weights import for_classes
    from staging.corrector import Corrector

    if decoder == UNCORRECTED:
        return None
    return Corrector(for_classes(LANGUAGE_MODEL, n_classes), decoder=decoder)
