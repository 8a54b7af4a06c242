"""What one staged night leaves behind: its numbers, its files, its row in the summary.

::

    <out>/<night>/hypnogram.csv .edf .txt   the result: table, EDF+ annotations, one stage a line;
                                            with weights of events, a column of the table for each
                  hypnogram_events.tsv      BIDS events (and their .json)
                  uncorrected.csv           the stager's own hypnogram, when a correction was made
                  report.html night.png     to look at
                  night.json                everything else, written last: it marks a finished night
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from evaluation import export
from evaluation.alarm import Alarm
from evaluation.body import BodyReport
from evaluation.event_epochs import LIKELY, NO_INDEX, EventEpochs, event_statistics
from evaluation.metrics import confusion, metrics_from
from evaluation.next_stage import n_stages
from evaluation.plain import plain
from evaluation.plots import night_figure, save_figure
from evaluation.report import ChannelRow, NightReport, ReferenceScoring, write_report
from evaluation.statistics import DEFINITIONS, sleep_statistics
from evaluation.summary import LOUD
from evaluation.surprisal import improbable_epochs, night_surprisal, surprisal
from evaluation.traces import Trace, traces_of
from nights.atomic import write_text
from nights.events import Event
from nights.hypnogram import Hypnogram
from nights.stages import FOUR_CLASSES, to_four_classes
from preprocess.corpus import on_30_s
from preprocess.fetch.transfer import hexdigest
from recordings.channels import Candidate
from staging.body import night_body
from staging.events import EventReading, find_all
from staging.quality import alarms, usual_ranges
from staging.stage import StagedNight, derivations

DONE = "night.json"
NO_PERSON = "The recording is simulated: no person slept this night."
RERUN = "python main_stage_slm.py --config config.json (beside this folder)"
SURPRISAL_STRIDE = 15  # epochs; the language model sees between 76 and 90, a night takes 0.1 s


@dataclass(frozen=True, eq=False)
class NightResult:
    """A staged night, corrected and judged.

    Parameters
    ----------
    name : str
        Name of the night in the run.
    staged : StagedNight
        What the stager made of the recording.
    hypnogram : Hypnogram
        The result: corrected, or the stager's own.
    correction : dict
        Decoder, language model and weight; empty without correction.
    statistics : dict
        Of `hypnogram`.
    alarms : tuple of Alarm
    reference : Hypnogram or None
        A scoring of the same epochs to compare with.
    surprisal : float array (E,) or None
        Nats of each epoch of `hypnogram` under a language model, None if there was none.
    body : BodyReport or None
        Heart, breath and oxygen; None where nothing of them was recorded or scored.
    body_notes : tuple of str
        Signals of heart, breath and oxygen that could not be used, and why.
    event_epochs : tuple of EventEpochs
        What weights of apnea and hypopnea say of each epoch.
    event_notes : tuple of str
        Which of them could not read the night, or not all of it.
    file : str
        What the recording is called in results; empty for the name of its file.
    rerun : str
        The command that gives this result again.
    """

    name: str
    staged: StagedNight
    hypnogram: Hypnogram
    correction: Mapping[str, Any]
    statistics: Mapping[str, float]
    alarms: tuple[Alarm, ...]
    reference: Hypnogram | None = None
    surprisal: np.ndarray | None = None
    body: BodyReport | None = None
    body_notes: tuple[str, ...] = ()
    event_epochs: tuple[EventEpochs, ...] = ()
    event_notes: tuple[str, ...] = ()
    file: str = ""
    rerun: str = RERUN

    @cached_property
    def source(self) -> dict[str, Any]:
        """The file that was read: what it is called, its size, time and SHA-256.

        Of a format of several files, and of a stored night, it is the one with the header.
        """
        path = self.staged.reading.path
        known = source_facts(path) | {"sha256": hexdigest(path)}
        return known | ({"file": self.file} if self.file else {})

    @property
    def notes(self) -> tuple[str, ...]:
        """Everything to be known of the file and the result."""
        told = (self.staged.reading.notes, self.hypnogram.notes, self.body_notes, self.event_notes)
        return tuple(note for notes in told for note in notes)

    @property
    def uncorrected(self) -> Hypnogram | None:
        """The stager's own hypnogram, when a correction was made."""
        return self.staged.hypnogram if self.correction else None

    @property
    def simulated(self) -> tuple[str, ...]:
        """Why this is not a result of a real night or of real weights."""
        reasons = []
        if self.staged.reading.simulated:
            reasons.append(NO_PERSON)
        if self.staged.stager.provenance.get("simulated"):
            reasons.append("The stager was trained on simulated nights.")
        reasons += [
            f"The weights for {found.kind} were trained on simulated nights."
            for found in self.event_epochs
            if found.weights.get("simulated")
        ]
        return tuple(reasons)


def judge(
    name: str,
    staged: StagedNight,
    hypnogram: Hypnogram,
    correction: Mapping[str, Any],
    reference: Hypnogram | None = None,
    language_model: Any = None,
    *,
    events: Sequence[Event] = (),
    overrides: Mapping[str, Candidate] | None = None,
    for_events: Sequence[EventReading] = (),
) -> NightResult:
    """Compute statistics and alarms of a staged night and lay its reference on the same grid.

    With a language model of the same classes, every epoch's surprisal is computed too. Heart and
    breath are measured where they were recorded; of `events`, those that count give the AHI. What
    weights of apnea and hypopnea read (`for_events`) is judged epoch by epoch.
    """
    statistics = sleep_statistics(hypnogram)
    raised = alarms(
        hypnogram,
        raw=staged.hypnogram if correction else None,
        signals=staged.reading.signals,
        recording=staged.reading.recording,
        statistics=statistics,
    )
    epochs, event_notes = find_all(for_events, hypnogram, events)
    body, body_notes = night_body(
        staged.reading, hypnogram, events=events, overrides=overrides, draw=bool(epochs)
    )
    return NightResult(
        name=name,
        staged=staged,
        hypnogram=hypnogram,
        correction=correction,
        statistics=statistics,
        alarms=raised,
        reference=None if reference is None else in_classes_of(hypnogram, reference),
        surprisal=_nats(hypnogram, language_model),
        body=body,
        body_notes=body_notes,
        event_epochs=epochs,
        event_notes=event_notes,
    )


def _nats(hypnogram: Hypnogram, language_model: Any) -> np.ndarray | None:
    """Return the surprisal of each epoch; None without a language model of the same classes."""
    if language_model is None or n_stages(language_model) != len(hypnogram.classes):
        return None
    return surprisal(hypnogram, language_model, stride=SURPRISAL_STRIDE)


def in_classes_of(hypnogram: Hypnogram, scoring: Hypnogram) -> Hypnogram:
    """Return `scoring` on the epochs of `hypnogram`, in its classes.

    Pages of 20 s become epochs of 30 s: each takes the page at its centre, two thirds of it.
    """
    if scoring.epoch_s != hypnogram.epoch_s:
        scoring = replace(scoring, stages=on_30_s(scoring), proba=None, epoch_s=hypnogram.epoch_s)
    scoring = scoring.on_grid(hypnogram.onset_s, hypnogram.n_epochs)
    if hypnogram.classes == FOUR_CLASSES != scoring.classes:
        stages = to_four_classes(scoring.stages)
        return replace(scoring, stages=stages, proba=None, classes=FOUR_CLASSES)
    return scoring


def agreement(reference: Hypnogram, hypnogram: Hypnogram) -> dict[str, Any]:
    """Return accuracy, kappa, macro F1 ... of `hypnogram` over the epochs both have a stage for."""
    counts = _confusion(reference, hypnogram)
    return metrics_from(counts) | {"confusion": counts}


def write_night(folder: Path, result: NightResult, settings: Mapping[str, Any]) -> None:
    """Write every file of a night; `night.json` comes last and marks it finished."""
    hypnogram, uncorrected = result.hypnogram, result.uncorrected
    columns = {f"proba_{found.kind}": found.proba for found in result.event_epochs}
    export.write_csv(hypnogram, folder / "hypnogram.csv", columns=columns)
    export.write_edfplus(hypnogram, folder / "hypnogram.edf")
    export.write_txt(hypnogram, folder / "hypnogram.txt")
    export.write_bids(hypnogram, folder / "hypnogram_events.tsv")
    if uncorrected is not None:
        export.write_csv(uncorrected, folder / "uncorrected.csv")
    figure = night_figure(
        hypnogram,
        raw=uncorrected,
        reference=result.reference,
        eeg=_first_eeg(result),
        courses=result.body.courses if result.body else (),
        events=result.event_epochs,
    )
    stamp = " ".join(result.simulated)  # a picture is often seen without its page
    figure.text(0.003, 0.997, stamp, va="top", fontsize=7, color=LOUD)
    save_figure(figure, folder / "night.png")
    write_report(report_of(result), folder / "report.html")
    facts = plain(facts_of(result) | {"settings": settings})
    write_text(folder / DONE, json.dumps(facts, indent=1) + "\n")


def facts_of(result: NightResult) -> dict[str, Any]:
    """Return everything about a night as plain data, for `night.json`."""
    reading, reference = result.staged.reading, result.reference
    uncorrected, signals = result.uncorrected, reading.signals
    agreements = {}
    if reference is not None:
        agreements["result"] = agreement(reference, result.hypnogram)
        if uncorrected is not None:
            agreements["uncorrected"] = agreement(reference, uncorrected)
    return {
        "night": result.name,
        "purpose": "for research; not a medical device",
        "simulated": result.simulated,
        "source": result.source,
        "stager": result.staged.stager.provenance,
        "correction": result.correction,
        "start": result.hypnogram.start.isoformat() if result.hypnogram.start else None,
        "n_epochs": result.hypnogram.n_epochs,
        "statistics": result.statistics,
        "statistics_uncorrected": sleep_statistics(uncorrected) if uncorrected else None,
        "surprisal": _surprisal_facts(result.surprisal),
        "heart_and_breath": _body_facts(result.body),
        "event_epochs": {
            found.kind: _event_facts(found, result.hypnogram) for found in result.event_epochs
        },
        "alarms": [asdict(alarm) for alarm in result.alarms],
        "agreement": agreements or None,
        "reference": reference.scorer if reference else None,
        "channels": [record.to_json() for record in signals.channels] if signals else [],
        "dropped": signals.dropped if signals else {},
        "view": {"name": signals.view.name, "hash": signals.view.hash} if signals else None,
        "notes": list(result.notes),
        "versions": versions(),
    }


def _surprisal_facts(nats: np.ndarray | None) -> dict[str, Any] | None:
    """Return how improbable a night is to the language model, and which epochs most."""
    if nats is None:
        return None
    return {
        "mean_nats": night_surprisal(nats),
        "improbable_epochs": improbable_epochs(nats),
    }


def _body_facts(body: BodyReport | None) -> dict[str, Any] | None:
    """Return the numbers of heart and breath, where they come from and which events count."""
    if body is None:
        return None
    return {
        "statistics": body.statistics,
        "by_stage": body.by_stage,
        "sources": body.sources,
        "ahi_rule": body.rule or None,
    }


def _event_facts(found: EventEpochs, hypnogram: Hypnogram) -> dict[str, Any]:
    """Return what weights say of an event in each epoch, and what the numbers are not."""
    return {
        "about": NO_INDEX,
        "threshold": LIKELY,
        "rule": found.rule,
        "weights": found.weights,
        "channels": found.channels,
        "statistics": event_statistics(found, hypnogram),
        "proba": found.proba.astype(np.float64).round(4),
    }


def source_facts(path: Path) -> dict[str, Any]:
    """Return what tells whether a file changed: its name, size and time."""
    known = path.stat()
    return {"file": path.name, "bytes": known.st_size, "modified_s": round(known.st_mtime, 3)}


def versions() -> dict[str, str]:
    """Return the versions a result depends on."""
    packages = ("numpy", "scipy", "torch", "mne", "yasa")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def report_of(result: NightResult) -> NightReport:
    """Return the report of a night as plain data."""
    reading, reference = result.staged.reading, result.reference
    ranges, ranges_source = usual_ranges(result.hypnogram)
    comparison = None
    if reference is not None:
        counts = _confusion(reference, result.hypnogram)
        comparison = ReferenceScoring(reference, _shown_metrics(counts), counts)
    return NightReport(
        name=result.name,
        hypnogram=result.hypnogram,
        raw=result.uncorrected,
        surprisal=result.surprisal,
        alarms=result.alarms,
        statistics=result.statistics,
        definitions=DEFINITIONS,
        ranges=ranges,
        ranges_source=ranges_source,
        channels=_channel_rows(result),
        eeg=_first_eeg(result),
        signals=traces_of(reading.signals) if reading.signals else (),
        comparison=comparison,
        provenance=_provenance(result),
        simulated=result.simulated,
        notes=result.notes,
        body=result.body,
        event_epochs=result.event_epochs,
    )


def summary_row(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a night in `summary.csv`, from its `night.json`."""
    row = {"night": facts["night"], "stager": facts["stager"]["stager"]}
    row["decoder"] = facts["correction"].get("decoder", "none")
    row |= {name: facts["statistics"][name] for name in facts["statistics"]}
    row["alarms"] = "; ".join(f"{a['severity']}: {a['name']}" for a in facts["alarms"])
    for which, found in (facts["agreement"] or {}).items():
        row |= {f"{score}_{which}": found[score] for score in ("accuracy", "kappa", "macro_f1")}
        row |= {f"f1_{s.lower()}_{which}": f1 for s, f1 in found["per_stage_f1"].items()}
    for kind, told in facts.get("event_epochs", {}).items():
        row[f"{kind}_epochs_per_h"] = told["statistics"]["epochs_per_h"]
    row["simulated"] = bool(facts["simulated"])
    return row


def _confusion(reference: Hypnogram, hypnogram: Hypnogram) -> np.ndarray:
    """Return the confusion (K, K) of the epochs both have a stage for; rows are the reference."""
    return confusion(reference.stages, hypnogram.stages, len(hypnogram.classes))


def _shown_metrics(counts: np.ndarray) -> dict[str, float]:
    """Return the metrics that the report shows beside the confusion."""
    found = metrics_from(counts)
    shown = {name: found[name] for name in ("accuracy", "kappa", "macro_f1")}
    return shown | {f"F1 of {stage}": value for stage, value in found["per_stage_f1"].items()}


def _first_eeg(result: NightResult) -> Trace | None:
    """Return the EEG of the spectrogram, the first that was read."""
    signals = result.staged.reading.signals
    if signals is None:
        return None
    names = list(derivations(signals, "eeg"))
    return next((trace for trace in traces_of(signals) if trace.name in names[:1]), None)


def _channel_rows(result: NightResult) -> tuple[ChannelRow, ...]:
    """Return the channel decision as the report shows it."""
    montage, signals = result.staged.reading.montage, result.staged.reading.signals
    if signals is None:
        return ()
    rows = [
        ChannelRow(
            record.target,
            record.taken,
            f"{record.rate_hz:g} Hz",
            record.referenced,
            f"median {record.median:.3g}, IQR {record.iqr:.3g} {record.unit}",
        )
        for record in signals.channels
    ]
    absent = [choice for choice in montage.choices if choice.plus is None] if montage else []
    rows += [ChannelRow(choice.target, "", choice.how) for choice in absent]
    rows += [ChannelRow(target, "", reason) for target, reason in signals.dropped.items()]
    return tuple(rows)


def _provenance(result: NightResult) -> dict[str, str]:
    """Return where the result comes from, a line each."""
    reading = result.staged.reading
    lines = {"file": result.source["file"], "SHA-256 of the file": result.source["sha256"]}
    for part in (result.staged.stager.provenance, result.correction):
        told = {key: value for key, value in part.items() if not isinstance(value, dict)}
        lines |= {key: str(value) for key, value in told.items() if value not in ("", None)}
    if reading.signals is not None:
        lines["view"] = f"{reading.signals.view.name} ({reading.signals.view.hash[:12]})"
    lines["versions"] = ", ".join(f"{name} {number}" for name, number in versions().items())
    return lines | {"rerun": result.rerun}
