"""What the console says of a staged night."""

from __future__ import annotations

from pathlib import Path

from evaluation.event_epochs import EventEpochs, event_statistics
from evaluation.metrics import confusion, metrics_from
from evaluation.page import number
from nights.hypnogram import Hypnogram
from staging.results import NightResult

SHOWN = (
    *("tst_min", "se_percent", "sol_min", "waso_min", "rem_latency_min"),
    *("n1_percent", "n2_percent", "n3_percent", "rem_percent"),
)


def line(result: NightResult) -> str:
    """Return one line: night, sleep time, agreement with a scoring, alarms, what is simulated."""
    told = [result.name, f"TST {result.statistics['tst_min']:.0f} min", *_agreement(result)]
    told += [
        f"{alarm.severity}: {alarm.name}" for alarm in result.alarms if alarm.severity != "note"
    ]
    told += result.simulated
    return "  ".join(told) + "\n"


def tell(result: NightResult, channels: str, folder: Path) -> str:
    """Return everything a person wants to see of a single night on the console."""
    hypnogram, uncorrected = result.hypnogram, result.uncorrected
    lines = [*result.simulated, "Channels:", channels, ""]
    notes = (*result.staged.reading.notes, *hypnogram.notes, *result.event_notes)
    lines += [f"note: {note}" for note in notes]
    lines += [f"{alarm.severity}: {alarm.message}" for alarm in result.alarms] or ["No alarm."]
    shown = [name for name in SHOWN if name in result.statistics]
    lines += ["", *(f"{name:<18} {result.statistics[name]:>8.1f}" for name in shown)]
    if uncorrected is not None:
        changed = int((uncorrected.stages != hypnogram.stages).sum())
        lines.append(f"{'changed epochs':<18} {changed:>8d} of {hypnogram.n_epochs}")
    lines += _agreement(result)
    lines += [_epochs_of(found, hypnogram) for found in result.event_epochs]
    lines += ["", f"Look at {folder}/report.html; hypnogram.csv and .edf lie beside it."]
    return "\n".join(lines) + "\n"


def _epochs_of(found: EventEpochs, hypnogram: Hypnogram) -> str:
    """Return how many epochs probably hold an event, in words that nobody takes for an AHI."""
    told = event_statistics(found, hypnogram)
    return (
        f"{found.kind} probable in {number(told['epochs'])} epochs of sleep, "
        f"{number(told['epochs_per_h'])} per hour of sleep (epochs, not events: no AHI)"
    )


def _agreement(result: NightResult) -> list[str]:
    """Return agreement with the scoring, before and after correction."""
    if result.reference is None:
        return []
    told = []
    if result.uncorrected is not None:
        told.append(_numbers("uncorrected", result.reference, result.uncorrected))
    return [*told, _numbers("result", result.reference, result.hypnogram)]


def _numbers(which: str, reference: Hypnogram, hypnogram: Hypnogram) -> str:
    """Return accuracy and kappa in words."""
    counts = confusion(reference.stages, hypnogram.stages, len(hypnogram.classes))
    found = metrics_from(counts)
    return f"{which}: accuracy {found['accuracy']:.3f}, kappa {found['kappa']:.3f}"
