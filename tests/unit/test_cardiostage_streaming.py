"""A growing recording gives the stages of the finished one, whatever way it grows."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

import models
from command_line import parse
from engine.checkpoint import save_weights
from evaluation.export import write_csv
from nights.hypnogram import Hypnogram
from recordings.edf import EdfRecording
from recordings.edf.growing import GrowingEdf
from recordings.recording import RecordingError
from staging import streaming
from staging.networks import NetworkStager
from staging.stage import stage
from staging.streaming import EpochStream, follow
from tests.makers.edf_maker import set_field, write_edf

SMALL = {
    **{"width": 16, "feedforward": 16, "n_heads": 2, "initial_channels": 4, "max_channels": 8},
    **{"n_blocks": 1, "n_dilations": 3, "n_sequence_blocks": 1},
}
N_EPOCHS = 9
RATES_HZ = {"ECG": Fraction(128), "Pleth": Fraction(50), "Thor": Fraction(25, 2)}


def stager(causal: str = "epochs", **config: object) -> NetworkStager:
    """Return a small network with drawn weights."""
    torch.manual_seed(5)
    model = models.create("wav2sleep", causal=causal, **SMALL, **config)
    return NetworkStager("drawn", model, {"view": "cr"}, "cpu")


def make(path: Path, **options: object) -> Path:
    """Write 9 epochs and some more of noise that drifts, records of 2 s, header as at the end."""
    rng, signals = np.random.default_rng(0), {}
    for label, rate_hz in RATES_HZ.items():
        n = int(rate_hz * (30 * N_EPOCHS + 14))
        size = 1 + 3 * np.linspace(0, 1, n) ** 2
        signals[label] = ((20 * size * rng.standard_normal(n) + 100).astype(np.float32), rate_hz)
    write_edf(path, signals, record_s=2, plus=True, unit={"ECG": "uV"}, **options)  # type: ignore[arg-type]
    return path


class Recorder:
    """Another program: appends some bytes of a recording to a file whenever someone waits."""

    def __init__(self, finished: Path, growing: Path, n_bytes: int) -> None:
        self.content, self.growing = finished.read_bytes(), growing
        self.n_bytes, self.at = n_bytes, 0

    def __call__(self, seconds: float) -> None:
        with self.growing.open("ab") as file:
            file.write(self.content[self.at : self.at + self.n_bytes])
        self.at += self.n_bytes


def grown(finished: Path, network: NetworkStager, n_bytes: int) -> list[Hypnogram]:
    """Follow a file that grows by so many bytes a look and was never told its length."""
    growing = finished.with_name("growing.edf")
    set_field(finished, "records", "-1")
    recorder = Recorder(finished, growing, n_bytes)
    return list(follow(growing, network, quiet_s=2, poll_s=1, wait=recorder))


@pytest.mark.parametrize("n_bytes", [1777, 9000, 10**6])
@pytest.mark.parametrize(
    "network",
    [
        lambda: stager(),
        lambda: stager("convolutions", norm="layer"),
    ],
)
def test_a_growing_file_gives_the_stages_of_the_whole_night(
    tmp_path: Path, network: Callable[[], NetworkStager], n_bytes: int
) -> None:
    finished, causal = make(tmp_path / "night.edf"), network()
    whole = stage(EdfRecording(finished), causal).hypnogram
    epochs = grown(finished, causal, n_bytes)
    assert len(epochs) == N_EPOCHS
    told = np.concatenate([epoch.proba for epoch in epochs if epoch.proba is not None])
    np.testing.assert_allclose(told, whole.proba, atol=1e-5)
    assert [epoch.onset_s for epoch in epochs] == whole.onsets_s.tolist()
    assert epochs[3].clock(0) == whole.clock(3)


def test_a_pause_is_unscored_and_leaves_no_trace(tmp_path: Path) -> None:
    n_records = (30 * N_EPOCHS + 14) // 2
    onsets_s = [2.0 * i + (47.0 if i >= 50 else 0.0) for i in range(n_records)]
    finished, causal = make(tmp_path / "n.edf", record_onsets_s=onsets_s), stager()
    whole = stage(EdfRecording(finished), causal).hypnogram
    epochs = grown(finished, causal, 5000)
    stages = np.concatenate([epoch.stages for epoch in epochs])
    assert (stages == -1).nonzero()[0].tolist() == [3, 4]
    assert np.array_equal(stages, whole.stages)
    told = np.concatenate([epoch.proba for epoch in epochs if epoch.proba is not None])
    np.testing.assert_allclose(told, whole.proba, atol=1e-5)


def test_nothing_that_comes_later_changes_an_epoch(tmp_path: Path) -> None:
    finished, causal = make(tmp_path / "night.edf"), stager()
    other = tmp_path / "other.edf"
    content = bytearray(finished.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    other.write_bytes(content)
    one, two = (list(follow(path, causal, quiet_s=0)) for path in (finished, other))
    for epoch in range(4):
        assert np.array_equal(one[epoch].proba, two[epoch].proba)  # type: ignore[arg-type]
    assert not np.array_equal(one[-1].proba, two[-1].proba)  # type: ignore[arg-type]


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    recording = GrowingEdf(make(tmp_path / "night.edf"))
    stream = EpochStream(stager(), recording)
    kept = []
    while (stretch := recording.take(stream.positions)) is not None:
        stream.add(stretch)
        list(stream.epochs())
        kept.append(sum(len(feed._kept) for feed in stream.feeds.values()))
    per_epoch = sum(30 * rate for rate in RATES_HZ.values())
    assert max(kept) <= per_epoch + 2 * sum(RATES_HZ.values()) + 3


def test_weights_that_see_the_future_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--preset causal"):
        next(follow(make(tmp_path / "night.edf"), stager("no")))


def test_a_file_that_never_becomes_a_recording_is_named(tmp_path: Path) -> None:
    waited: list[float] = []
    with pytest.raises(RecordingError, match=r"none\.edf"):
        next(follow(tmp_path / "none.edf", stager(), quiet_s=3, poll_s=1, wait=waited.append))
    assert waited == [1, 1, 1]
    (tmp_path / "bad.edf").write_bytes(b"no header")
    with pytest.raises(RecordingError, match=r"bad\.edf"):
        next(follow(tmp_path / "bad.edf", stager(), quiet_s=0))


def test_the_command_writes_the_hypnogram_of_the_whole_night(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished, causal = make(tmp_path / "night.edf"), stager()
    about = {"view": "cr", "normalisation": "z_running", "simulated": True}
    save_weights(tmp_path / "w.safetensors", causal.model, about)
    words = [str(finished), str(tmp_path / "w.safetensors"), "--out", str(tmp_path / "s.csv")]
    cfg = parse(streaming.Config, [*words, "--quiet-s", "0", "--device", "cpu"])
    assert streaming.main(cfg) == 0
    write_csv(stage(EdfRecording(finished), causal).hypnogram, tmp_path / "whole.csv")
    streamed, whole = (
        list(csv.reader((tmp_path / name).open())) for name in ("s.csv", "whole.csv")
    )
    assert [row[:5] for row in streamed] == [row[:5] for row in whole]
    proba = [np.array([row[5:] for row in rows[1:]], float) for rows in (streamed, whole)]
    np.testing.assert_allclose(*proba, atol=1e-5)
    assert "trained on simulated nights" in capsys.readouterr().out
    assert json.loads((tmp_path / "s.json").read_text())["normalisation"] == "z_running"
