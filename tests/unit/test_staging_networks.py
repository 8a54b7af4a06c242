"""wav2sleep as a stager of recordings: named signals, normalisation, padding."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import models
from engine import weights
from recordings.formats import open_recording
from recordings.recording import RecordingError
from staging.networks import NetworkStager
from staging.stage import load_stager, stage
from tests.makers.recordings import ArrayRecording
from tests.parity.recipes import weights as filled

FIXTURES = Path(__file__).parents[1] / "fixtures"

N_EPOCHS, RATE_HZ = 20, 64
CARD = {"view": "cr"}


def wav2sleep(
    *, card: dict[str, str] = CARD, as_published: bool = False, **config: object
) -> NetworkStager:
    """Return a network with drawn weights as a stager."""
    torch.manual_seed(3)
    model = models.create("wav2sleep", **config)
    return NetworkStager("drawn", model, card, "cpu", as_published=as_published)


def recording(*labels: str) -> ArrayRecording:
    """Return a recording of noise."""
    n_samples = N_EPOCHS * 30 * RATE_HZ
    drawn = np.random.default_rng(1).standard_normal((len(labels), n_samples)).astype(np.float32)
    return ArrayRecording(dict(zip(labels, 100 * drawn, strict=True)), RATE_HZ)


def test_only_named_signals_are_read() -> None:
    torch.manual_seed(3)
    model, night = models.create("wav2sleep"), recording("ECG", "Thorax", "Abdomen", "Pleth")
    some = NetworkStager("drawn", model, CARD, "cpu", signals=("ECG", "THX"))
    every = NetworkStager("drawn", model, CARD, "cpu")
    assert set(some.read(night).signals.signals) == {"ECG", "THX"}  # type: ignore[union-attr]
    one, other = stage(night, some).hypnogram.proba, stage(night, every).hypnogram.proba
    assert one is not None
    assert other is not None
    assert np.abs(one - other).max() > 1e-4
    alone = stage(recording("ECG", "Thorax"), every).hypnogram.proba
    np.testing.assert_allclose(one, alone, atol=1e-5)


def test_weights_of_another_task_are_refused() -> None:
    with pytest.raises(ValueError, match="no stager: they were trained for apnea"):
        wav2sleep(card={**CARD, "task": "apnea"})


def test_signals_the_model_does_not_know_are_refused() -> None:
    with pytest.raises(ValueError, match="reads ABD, THX, ECG, PPG, not C4"):
        NetworkStager("drawn", models.create("wav2sleep"), CARD, "cpu", signals=("ECG", "C4"))
    with pytest.raises(ValueError, match="for networks, not for yasa"):
        load_stager("yasa", signals=("ECG",))


def test_a_pulse_network_never_reads_an_eeg_instead() -> None:
    stager = NetworkStager("drawn", models.create("ppgnet"), CARD, "cpu")
    with pytest.raises(RecordingError, match="none of PPG found"):
        stager.read(recording("C4-M1"))


def test_the_length_of_the_night_does_not_shift_its_scale() -> None:
    signals = wav2sleep().read(recording("ECG", "Thorax")).signals
    assert signals is not None
    scaled = signals.normalised("THX", "z_recorded")
    assert scaled.std() == pytest.approx(1, abs=1e-3)
    assert signals.normalised("THX").std() == pytest.approx((1200 / N_EPOCHS) ** 0.5, rel=0.01)


def test_as_published_stages_ten_hours_and_keeps_the_recorded_ones() -> None:
    night = recording("ECG", "Thorax")
    ours, theirs = (stage(night, wav2sleep(as_published=p)).hypnogram.proba for p in (False, True))
    assert ours is not None
    assert theirs is not None
    assert theirs.shape == ours.shape == (N_EPOCHS, 4)
    assert np.abs(theirs - ours).max() > 1e-3  # the zeros behind the night are felt
    signals = wav2sleep().read(night).signals
    assert signals is not None
    padded = signals.padded("THX")
    assert padded.shape == (1200, 256)
    assert padded.std(ddof=1) == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(padded[:N_EPOCHS], signals.normalised("THX"), rtol=1e-4, atol=1e-5)


def test_a_causal_network_is_fed_what_does_not_look_ahead() -> None:
    assert wav2sleep(causal="epochs").normalise == "z_running"
    assert wav2sleep().normalise == "z_recorded"
    published = {"view": "cr", "normalisation": "z_causal"}
    assert wav2sleep(card=published, causal="epochs").normalise == "z_causal"


def test_published_files_stage_by_name_and_those_of_another_release_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSTACK_WEIGHTS", str(tmp_path / "cache"))
    for release in ("v1", "cardio"):
        told = json.loads((FIXTURES / f"wav2sleep_{release}.json").read_text(encoding="utf-8"))
        torch.save(filled(told), tmp_path / f"{release}.pth")
    weights.get("wav2sleep-paper", str(tmp_path / "v1.pth"))
    staged = stage(recording("ECG"), load_stager("wav2sleep-paper", device="cpu"))
    assert staged.hypnogram.classes == ("W", "L", "D", "R")
    weights.get("wav2sleep-eog", str(tmp_path / "cardio.pth"))
    with pytest.raises(ValueError, match="has shape"):
        load_stager("wav2sleep-eog")
    with pytest.raises(weights.WeightError, match="wav2sleep"):  # not the published file
        weights.get("wav2sleep", str(tmp_path / "cardio.pth"))


@pytest.mark.data("real/dreams_spindles")
@pytest.mark.parametrize(("view", "channels"), [("cr", None), ("eog", ("E1", "E2"))])
def test_a_real_recording_runs_end_to_end(
    shared_data: Path, view: str, channels: tuple[str, ...] | None
) -> None:
    config = {} if channels is None else {"channels": channels, "n_classes": 5}
    night = open_recording(shared_data / "real/dreams_spindles/excerpt3.edf")
    staged = stage(night, wav2sleep(card={"view": view}, **config))
    assert staged.reading.signals is not None
    wanted = {"ABD", "THX", "ECG", "PPG"} if channels is None else set(channels)
    assert set(staged.reading.signals.signals) <= wanted
    assert staged.hypnogram.n_epochs == 60
    assert (staged.hypnogram.stages >= 0).all()
