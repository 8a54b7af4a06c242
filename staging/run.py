"""One run over many nights: read, find the reference, skip what is finished, sum up."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from engine.log import environment
from evaluation.cohort_page import PAGE, Cohort, write_cohort
from evaluation.plain import plain
from nights.atomic import write_text
from nights.events import Event
from nights.hypnogram import Hypnogram
from nights.night import Night
from nights.outcome import Outcome, Refusal, Step
from recordings.channels import Candidate, parse_overrides, read_overrides
from recordings.formats import open_recording
from recordings.recording import Recording
from staging import pooled
from staging.batch import Source
from staging.corrector import Corrector
from staging.events import EventDetector, EventReading, read_for_events
from staging.quality_signals import drop_bad_signals
from staging.references import find_scoring
from staging.results import DONE, NightResult, judge, source_facts, summary_row, write_night
from staging.stage import Reading, StagedNight, Stager, stage_reading
from staging.telling import line, tell

T = TypeVar("T")

DRY_RUN_EPOCHS = 20  # ten minutes: enough for every stager to run


@dataclass(frozen=True, eq=False)
class NightInput:
    """What was read of one night: for the stager, to compare with, and to show."""

    reading: Reading
    reference: Hypnogram | None
    channels: str
    events: tuple[Event, ...] = ()
    overrides: Mapping[str, Candidate] = field(default_factory=dict)
    for_events: tuple[EventReading, ...] = ()


@dataclass(frozen=True)
class NightReader:
    """Reads one night after another in the same way.

    Parameters
    ----------
    stager : Stager
    overrides : mapping
        Channels named by hand.
    vote : bool
        Every EEG derivation votes.
    scoring : str
        See `staging.references.find_reference`.
    n_epochs : int or None
        Only so many epochs from the start.
    drop_bad : bool
        Leave out signals with an alarm that forbids trust.
    detectors : tuple of EventDetector
        Weights of apnea and hypopnea; a night they cannot read is staged without them.
    """

    stager: Stager
    overrides: Mapping[str, Candidate]
    vote: bool = False
    scoring: str = "auto"
    n_epochs: int | None = None
    drop_bad: bool = False
    detectors: tuple[EventDetector, ...] = ()

    def __call__(self, source: Source) -> NightInput:
        """Read a recording, or a stored night (its sidecar)."""
        found = self._stored(source) if source.stored else self._recorded(source)
        if self.drop_bad and found.reading.signals is not None:
            kept = drop_bad_signals(found.reading.signals, found.reading.recording)
            found = replace(found, reading=replace(found.reading, signals=kept))
        if self.n_epochs is None:
            return found
        return replace(
            found,
            reading=found.reading.head(self.n_epochs),
            for_events=tuple(events.head(self.n_epochs) for events in found.for_events),
        )

    def _recorded(self, source: Source) -> NightInput:
        recording = open_recording(source.path)
        reading = self.stager.read(recording, overrides=self.overrides, vote=self.vote)
        table = reading.montage.table(recording) if reading.montage else "no channels are read"
        scored, heard = find_scoring(recording, self.scoring), self._for_events(recording)
        if scored is None:
            return NightInput(reading, None, table, overrides=self.overrides, for_events=heard)
        hypnogram, events = scored.hypnogram, scored.events
        return NightInput(reading, hypnogram, table, events, self.overrides, heard)

    def _stored(self, source: Source) -> NightInput:
        night = Night.open(source.path)
        reading = self.stager.read_stored(night, vote=self.vote)
        hypnogram = night.hypnogram
        reference = hypnogram if self.scoring != "none" and hypnogram.scored.any() else None
        events = tuple(night.events) if self.scoring != "none" else ()
        table = f"stored channels: {', '.join(night.channels)}"
        heard = self._for_events(night)
        return NightInput(reading, reference, table, events, for_events=heard)

    def _for_events(self, night: Recording | Night) -> tuple[EventReading, ...]:
        """Read what every detector needs."""
        return tuple(
            read_for_events(detector, night, overrides=self.overrides, drop_bad=self.drop_bad)
            for detector in self.detectors
        )


def named_channels(texts: Sequence[str], file: Path | None) -> dict[str, Candidate]:
    """Return the channels named on the command line; they go before those of the file."""
    return (read_overrides(file) if file else {}) | parse_overrides(texts)


def stage_night(
    name: str,
    night: NightInput,
    stager: Stager,
    corrector: Corrector | None,
    step: Callable[[str], None],
) -> NightResult:
    """Stage, correct and judge one night that was read; `step` is told what begins.

    The one order of these steps, for runs over many nights and for the local page.
    """
    step("stage")
    staged = stage_reading(night.reading, stager)
    step("correct")
    hypnogram = corrector(staged.hypnogram, staged.voices) if corrector else staged.hypnogram
    step("judge")
    return judge_night(name, night, staged, hypnogram, corrector)


def judge_night(
    name: str,
    night: NightInput,
    staged: StagedNight,
    hypnogram: Hypnogram,
    corrector: Corrector | None,
) -> NightResult:
    """Judge stages of a night: as `corrector` left them, or as a person did afterwards."""
    prior = getattr(corrector, "prior", None)
    return judge(
        name,
        staged,
        hypnogram,
        corrector.provenance if corrector else {},
        night.reference,
        prior.model if prior else None,
        events=night.events,
        overrides=night.overrides,
        for_events=night.for_events,
    )


class StagingRun:
    """Stages, corrects, judges and writes nights into one folder.

    Parameters
    ----------
    out : Path
        Folder of the run; beside the `config.json` of the entry point, `env.json`, `log.jsonl` (a
        line per night) and `summary.csv` are written.
    stager : Stager
    corrector : Corrector or None
    settings : mapping
        What decides a result. A night with results of other settings is refused, never overwritten
        unasked.
    strict : bool
        A night with an alarm of severity `distrust` counts as a failure; its results are written.
    """

    def __init__(
        self,
        out: Path,
        stager: Stager,
        corrector: Corrector | None,
        settings: Mapping[str, Any],
        *,
        strict: bool = False,
    ) -> None:
        self.out, self.stager, self.corrector, self.strict = out, stager, corrector, strict
        self.settings = plain(settings)
        write_text(out / "env.json", json.dumps(environment(), indent=2) + "\n")

    def unfinished(
        self, sources: Sequence[Source], outcome: Outcome, *, force: bool = False
    ) -> list[Source]:
        """Return the nights to do; those that are finished count, if strict, as they ended."""
        todo = []
        for source in sources:
            if force or not (self.out / source.name / DONE).exists():
                todo.append(source)
                continue
            with outcome.night(source.name) as step:
                step("skip")
                self._check_finished(source)
        return todo

    def stage(
        self, source: Source, coming: Future[NightInput], step: Step, *, alone: bool = False
    ) -> str:
        """Do one night and return what to tell about it: a line, or all when it is `alone`."""
        begun = time.monotonic()
        step("read")
        night = coming.result()
        result = stage_night(source.name, night, self.stager, self.corrector, step)
        step("write")
        write_night(self.out / source.name, result, self.settings)
        self._log(result, time.monotonic() - begun)
        step("judge")
        if self.strict:
            _refuse_distrusted(source.name, [asdict(alarm) for alarm in result.alarms])
        return tell(result, night.channels, self.out / source.name) if alone else line(result)

    def sum_up(
        self,
        sources: Sequence[Source],
        refusals: Sequence[Refusal] = (),
        *,
        person_letters: int = 0,
    ) -> str:
        """Write what is known of all finished nights together and return a summary in words.

        `summary.csv` has a row per night; `agreement.json` the pooled agreement with scorings, and
        what correction gained; `result.txt` the line that the published code writes. Of several
        nights, `cohort.html` shows them all on one page.
        """
        import pandas as pd

        found = [self.out / source.name / DONE for source in sources]
        nights = [json.loads(path.read_text(encoding="utf-8")) for path in found if path.exists()]
        table = pd.DataFrame([summary_row(night) for night in nights])
        write_text(self.out / "summary.csv", table.to_csv(index=False))
        lines = [f"{len(nights)} of {len(sources)} nights have results in {self.out}/"]
        if len(sources) > 1:
            write_cohort(Cohort(self.out.resolve().name, nights, refusals), self.out / PAGE)
            lines.append(f"Look at {self.out / PAGE}")
        agreed = pooled.pooled_agreement(nights, person_letters=person_letters)
        if agreed:
            write_text(self.out / "agreement.json", json.dumps(plain(agreed), indent=1) + "\n")
        if "gain" in agreed:
            write_text(self.out / "result.txt", pooled.published_line(agreed) + "\n")
        return "\n".join([*lines, *pooled.told(agreed)]) + "\n"

    def _log(self, result: NightResult, seconds: float) -> None:
        """Append a line to `log.jsonl`: which night was done when, how long it took."""
        told = {
            "night": result.name,
            "at": datetime.now().isoformat(timespec="seconds"),
            "n_epochs": result.hypnogram.n_epochs,
            "seconds": round(seconds, 2),
        }
        with (self.out / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(told) + "\n")

    def _check_finished(self, source: Source) -> None:
        """Refuse a finished night whose file or settings are not today's."""
        folder = self.out / source.name
        known = json.loads((folder / DONE).read_text(encoding="utf-8"))
        today = source_facts(source.path)  # its hash would have the file read again
        if any(known["source"].get(key) != value for key, value in today.items()):
            raise ValueError(f"{folder}: results of another or an older file; --force redoes it")
        then, now = known["settings"], self.settings
        changed = [  # a setting that was not known then was off
            f"{key} was {then.get(key)}"
            for key in now
            if (then.get(key) or None) != (now[key] or None)
        ]
        if changed:
            told = ", ".join(changed)
            raise ValueError(
                f"{folder}: results of other settings ({told}); other --out or --force"
            )
        if self.strict:
            _refuse_distrusted(source.name, known["alarms"])


def progress(nights: Iterator[T], total: int) -> Iterator[T]:
    """Show a bar with the time left, on a terminal and for more than one night."""
    from tqdm import tqdm

    return iter(tqdm(nights, total=total, unit="night", disable=None if total > 1 else True))


def _refuse_distrusted(name: str, alarms: Sequence[Mapping[str, Any]]) -> None:
    """Raise for the alarms that forbid trust."""
    grave = [alarm["message"] for alarm in alarms if alarm["severity"] == "distrust"]
    if grave:
        raise ValueError(f"{name}: results are written, but: {'; '.join(grave)}")
