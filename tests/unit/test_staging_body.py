"""Heart and breath on the way from a recording to a report, and signals that are noise."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation.body import body_report, examples
from evaluation.report import NightReport, render
from evaluation.respiration import respiratory_statistics
from nights.events import Event
from nights.hypnogram import Hypnogram
from nights.stages import FOUR_CLASSES, to_four_classes
from recordings.body import NOTHING, read_body
from recordings.edf.writing import Signal
from recordings.formats import open_recording
from recordings.ingest import NightSignals, read_view
from recordings.recording import Recording, RecordingError
from recordings.scoring import read_scoring
from recordings.simulate import SimulatedNight, simulate_night
from recordings.views import VIEWS
from staging.batch import Source
from staging.body import night_body
from staging.quality_signals import drop_bad_signals, signal_alarms
from staging.results import judge, write_night
from staging.run import NightReader
from staging.stage import Reading, SignalStager, stage_reading

CR = VIEWS["cr"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two simulated recordings of 50 min; in the second the thorax and the ECG are noise."""
    folder = tmp_path_factory.mktemp("nights")
    stages = np.repeat([0, 2, 4, 3], [10, 40, 30, 20])
    good = simulate_night(5, stages=stages, montage="home", ahi=30)
    good.write(folder / "good.edf")
    noisy(good, "Thor", "ECG").write(folder / "noisy.edf")
    return folder


def noisy(night: SimulatedNight, *labels: str) -> SimulatedNight:
    """The same night with some of its signals replaced by noise of their size."""
    rng = np.random.default_rng(3)
    signals = dict(night.signals)
    for label in labels:
        old = signals[label]
        noise = rng.normal(0, old.samples.std(), len(old.samples)).astype(np.float32)
        signals[label] = Signal(noise, old.rate_hz, old.unit)
    return replace(night, signals=signals)


def reading(path: Path) -> Reading:
    """The signals of wav2sleep, as a stager reads them."""
    recording = open_recording(path)
    signals = read_view(recording, CR)
    return Reading(path, signals.n_epochs, recording=recording, signals=signals, simulated=True)


class Flat(SignalStager):
    """A stager of any of four signals that is never sure."""

    name, view, classes = "flat", CR, FOUR_CLASSES

    def read(self, recording: Recording, **_: object) -> Reading:
        return reading(recording.path)

    def montage(self, recording, overrides, *, vote):  # type: ignore[no-untyped-def]
        raise AssertionError("`read` does it")

    def pick(self, channels, *, vote):  # type: ignore[no-untyped-def]
        return channels

    def proba(self, reading: Reading) -> np.ndarray:
        return np.tile(np.float32([0.1, 0.4, 0.3, 0.2]), (reading.n_epochs, 1))


def test_noise_in_the_place_of_a_signal_is_told(folder: Path) -> None:
    assert not [a for a in signal_alarms(reading(folder / "good.edf").signals) if "no b" in a.name]
    raised = list(signal_alarms(reading(folder / "noisy.edf").signals))
    told = {(alarm.name, alarm.severity, alarm.message.split(" ")[0]) for alarm in raised}
    assert told == {("no beats", "distrust", "ECG"), ("no breaths", "distrust", "THX")}
    assert all("--drop-bad-signals" in alarm.message for alarm in raised)


def test_bad_signals_are_left_out_with_their_reason(folder: Path) -> None:
    signals = reading(folder / "noisy.edf").signals
    kept = drop_bad_signals(signals)
    assert set(signals.signals) == {"ECG", "PPG", "ABD", "THX"}
    assert set(kept.signals) == {record.target for record in kept.channels} == {"PPG", "ABD"}
    assert "left out as bad" in kept.dropped["ECG"]
    good = reading(folder / "good.edf").signals
    assert drop_bad_signals(good) is good


def test_a_night_of_bad_signals_alone_is_refused_with_every_reason(folder: Path) -> None:
    signals = reading(folder / "noisy.edf").signals
    bad = replace(
        signals,
        signals={name: signals.signals[name] for name in ("ECG", "THX")},
        channels=tuple(r for r in signals.channels if r.target in ("ECG", "THX")),
    )
    assert isinstance(bad, NightSignals)
    with pytest.raises(RecordingError, match="every signal is bad: ECG .*THX"):
        drop_bad_signals(bad)


@pytest.mark.parametrize(("drop", "left"), [(False, 4), (True, 2)])
def test_the_reader_drops_only_when_asked(folder: Path, drop: bool, left: int) -> None:
    reader = NightReader(Flat(), {}, drop_bad=drop, n_epochs=40)
    night = reader(Source(folder / "noisy.edf", "noisy"))
    assert len(night.reading.signals.signals) == left
    assert {"hypopnea", "desaturation"} <= {event.type for event in night.events}


def test_the_next_best_signal_stands_in_for_noise(folder: Path) -> None:
    good, bad = (read_body(open_recording(folder / name)) for name in ("good.edf", "noisy.edf"))
    assert (good.beats_from, good.breaths_from, good.oxygen_from) == ("ECG", "THX", "SpO2")
    assert (bad.beats_from, bad.breaths_from) == ("PPG", "ABD")
    assert any(note.startswith("ECG not used") for note in bad.notes)
    assert abs(len(bad.beats_s) - len(good.beats_s)) < 0.01 * len(good.beats_s)


def test_a_channel_named_by_hand_is_the_one_read(folder: Path) -> None:
    recording = open_recording(folder / "good.edf")
    assert read_body(recording, overrides={"ECG": "", "THX": "Abdo"}).beats_from == "PPG"
    assert read_body(recording, overrides={"C4": "ECG"}).beats_from == "ECG"


def test_events_of_a_night_without_signals_still_have_an_index() -> None:
    night = Hypnogram(np.full(120, 2))
    body, notes = night_body(
        Reading(Path("n.json"), 120), night, events=[Event(60, 20, "hypopnea")]
    )
    assert body.breathing["ahi_per_h"] == 1
    assert (body.courses, notes) == ((), ())
    assert night_body(Reading(Path("n.json"), 120), night) == (None, ())


def test_a_whole_four_class_night_is_written_with_heart_and_breath(
    folder: Path, tmp_path: Path
) -> None:
    path = folder / "good.edf"
    scoring = read_scoring(path, recording=open_recording(path))
    staged = stage_reading(reading(path), Flat())
    truth = to_four_classes(scoring.hypnogram.stages)
    hypnogram = replace(staged.hypnogram, stages=truth, proba=None)
    result = judge("good", staged, hypnogram, {}, scoring.hypnogram, events=scoring.events)
    write_night(tmp_path, result, {})
    facts = json.loads((tmp_path / "night.json").read_text())
    told = facts["heart_and_breath"]
    expected = respiratory_statistics(scoring.events, scoring.hypnogram)
    assert told["statistics"]["ahi_per_h"] == pytest.approx(expected["ahi_per_h"])
    assert set(told["by_stage"]["Heart rate, 1/min"]) == set(FOUR_CLASSES)
    assert not any(key.startswith(("n1", "n2", "n3")) for key in facts["statistics"])
    page = (tmp_path / "report.html").read_text()
    for words in ("Heart and breath", "begin or end in an epoch of sleep"):
        assert words in page
    assert page.count("Signals from 30 s before to 60 s after") == 4
    table = page[page.index('id="statistics"') : page.index('id="body"')]
    assert "light" in table.casefold()
    assert ">N1<" not in table
    assert ">N2<" not in table


def test_events_without_scored_breathing_give_no_index() -> None:
    night = Hypnogram(np.full(120, 2))
    report = body_report(night, NOTHING, events=[Event(5, 3, "spindle")])
    assert report.statistics == {}
    page = render(NightReport("n", night, body=replace(report, sources={"breath": "THX"})))
    assert "has no AHI here" in page


def test_examples_show_each_type_once_before_any_twice() -> None:
    events = [Event(10.0 * k, 10 + k, "hypopnea") for k in range(6)]
    events += [Event(500, 11, "central_apnea"), Event(600, 30, "obstructive_apnea")]
    chosen = examples(events)
    assert len(chosen) == 4
    assert {event.type for event in chosen} == {"hypopnea", "central_apnea", "obstructive_apnea"}
    assert chosen == sorted(chosen)
    assert examples(events[:2]) == events[:2]
    assert examples([]) == []
