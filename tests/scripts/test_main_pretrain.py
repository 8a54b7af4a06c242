"""`main_pretrain.py`, `main_probe.py` and `pretrain.sh` as a person runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import main_pretrain
import main_probe
from command_line import parse
from engine.checkpoint import load_weights
from engine.pretraining_settings import Pretraining
from engine.probing_settings import Probing
from evaluation.outputs import read_outputs
from recordings.simulate.cohort import Cohort
from tests.makers.simulated_store import simulated_store

ROOT = Path(__file__).resolve().parents[2]
TINY = ("--field", "widths=(8, 8, 8, 8, 8)", "squeeze=4", "width=32", "n_blocks=1")
KEEP = ("--val-share", "0.2", "--test-share", "0.5")
RUN_FILES = {"config.json", "env.json", "splits", "log.jsonl", "last.pt"}
RUN_FILES |= {"best.safetensors", "best.json"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight people, a quarter of an hour each, with the channels of the published view."""
    root = simulated_store(tmp_path_factory.mktemp("store"), Cohort(8, hours=0.25), view="shhs7")
    return root / "shhs7"


@pytest.fixture(scope="module")
def eeg(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folder of a dry run of NeuroNet on EEG."""
    return pretrained(store, tmp_path_factory.mktemp("eeg") / "run", "eeg-small", *TINY)


@pytest.fixture(scope="module")
def several(store: Path, eeg: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folder of a dry run of SynthSleepNet over EEG and ECG, channels missing at random."""
    root = tmp_path_factory.mktemp("several")
    ecg = pretrained(store, root / "ecg", "ecg-small", *TINY)
    words = ["--model", "synthsleepnet", "--channels", "C4", "ECG", "--channel-draw", "drop"]
    encoders = ["--encoders", f"EEG={eeg}", f"ECG={ecg / 'best.safetensors'}"]
    return pretrained(store, root / "run", "small", *words, *encoders, "--probe-nights", "2")


def pretrained(store: Path, out: Path, preset: str, *words: str) -> Path:
    """Dry-run a pre-training."""
    flags = ["--preset", preset, "--nights", str(store), "--out", str(out), "--dry-run", *KEEP]
    assert main_pretrain.main(parse(Pretraining, [*flags, *words])) == 0
    return out


def probed(store: Path, init: Path, out: Path, *words: str) -> dict:
    """Dry-run a probe and return its results."""
    flags = ["--init", str(init), "--nights", str(store), "--out", str(out), "--preset", "trial"]
    assert main_probe.main(parse(Probing, [*flags, "--dry-run", *words])) == 0
    return json.loads((out / "results.json").read_text())


def test_a_dry_run_writes_every_output_and_says_who_was_seen(eeg: Path) -> None:
    assert {path.name for path in eeg.iterdir()} == RUN_FILES
    card = json.loads((eeg / "best.json").read_text())
    assert (card["view"], card["simulated"], card["task"]) == ("shhs7", True, "pre-training")
    assert not set(card["seen"]) & set(card["split"]["test"])
    assert len(card["seen"]) >= 2


def test_nights_without_the_channel_take_no_part(tmp_path: Path) -> None:
    cohorts = Cohort(8, hours=0.25), Cohort(3, site="BAR", hours=0.25, montage="aasm9")  # no ECG
    store = simulated_store(tmp_path, *cohorts, view="shhs7") / "shhs7"
    shares = ["--val-share", "0.3", "--test-share", "0.2"]
    out = pretrained(store, tmp_path / "run", "ecg-small", *TINY, *shares)
    seen = json.loads((out / "best.json").read_text())["seen"]
    assert seen
    assert not [night for night in seen if "BAR" in night]


def test_several_modalities_stand_on_the_encoders_that_were_named(eeg: Path, several: Path) -> None:
    import torch

    fused, card = load_weights(several / "best.safetensors")
    alone, _ = load_weights(eeg / "best.safetensors")
    own = fused.fusion.encoders["C4"].frames.state_dict()  # type: ignore[union-attr]
    for name, tensor in alone.encoder.frames.state_dict().items():  # type: ignore[union-attr]
        assert torch.equal(own[name], tensor), name  # batch norms too: they are frozen
    assert set(card["encoders"]) == {"C4", "ECG"}
    assert "probe_kappa" in card["metrics"]
    assert set(json.loads((eeg / "best.json").read_text())["seen"]) <= set(card["seen"])


def test_an_encoder_that_is_missing_is_named(store: Path, eeg: Path, tmp_path: Path) -> None:
    words = ["--model", "synthsleepnet", "--channels", "C4", "ECG", "--encoders", f"EEG={eeg}"]
    with pytest.raises(ValueError, match="no encoder for ECG"):
        pretrained(store, tmp_path / "run", "small", *words)


def test_an_encoder_that_has_seen_a_tested_person_is_refused(
    store: Path, eeg: Path, tmp_path: Path
) -> None:
    seen = json.loads((eeg / "best.json").read_text())["seen"]
    names = sorted(f"Simulated/{path.stem}" for path in (store / "Simulated").glob("*N1.json"))
    others = [name for name in names if name != seen[0]]
    fold = {"train": others[:5], "val": others[5:], "test": seen[:1]}
    split = tmp_path / "other.json"
    about = {"name": "other", "source": "a test", "accepted": []}
    split.write_text(json.dumps({**about, "folds": [fold]}))
    words = ["--model", "synthsleepnet", "--channels", "C4", "--encoders", f"EEG={eeg}"]
    with pytest.raises(ValueError, match="encoders have seen 1 persons"):
        pretrained(store, tmp_path / "run", "small", *words, "--split", str(split))


def test_a_pretraining_goes_on_where_it_was_stopped(store: Path, tmp_path: Path) -> None:
    out = pretrained(store, tmp_path / "run", "eeg-small", *TINY)
    with pytest.raises(FileExistsError, match="--resume"):
        pretrained(store, out, "eeg-small", *TINY)
    before = (out / "log.jsonl").read_text()
    (out / "best.json").unlink()
    pretrained(store, out, "eeg-small", *TINY, "--resume")
    assert (out / "log.jsonl").read_text() == before  # it was done: nothing is repeated


@pytest.mark.parametrize(
    ("words", "classes"),
    [
        (("--fractions", "0.2", "1"), 5),
        (("--context", "20", "--classes", "4"), 4),
        (("--mode", "tune", "--context", "20", "--task", "apnea"), 2),
        (("--mode", "whole", "--scratch", "--task", "hypopnea", "--event-rule", "any"), 2),
    ],
)
def test_every_way_of_learning_from_labels_gives_figures(
    store: Path, eeg: Path, tmp_path: Path, words: tuple[str, ...], classes: int
) -> None:
    results = probed(store, eeg, tmp_path / "run", *words)
    for fraction, found in results["fractions"].items():
        assert len(found["confusion"]) == classes
        wanted = {"accuracy", "majority_accuracy", "balanced_accuracy", "macro_f1", "auprc"}
        assert wanted <= set(found["scores"])
        assert {"mean", "sd", "n"} == set(found["over_folds"]["kappa"])
        folder = tmp_path / "run" / f"labels{100 * float(fraction):g}"
        nights = read_outputs(folder / "test.npz")
        assert all(np.isfinite(night.proba).all() for night in nights)
        assert all(len(night.classes) == classes for night in nights)


def test_nobody_the_encoder_has_seen_is_tested(store: Path, several: Path, tmp_path: Path) -> None:
    probed(store, several, tmp_path / "run", "--task", "hypopnea")
    seen = set(json.loads((several / "best.json").read_text())["seen"])
    tested = {n.night for n in read_outputs(tmp_path / "run" / "labels100" / "test.npz")}
    assert tested
    assert not tested & seen


def test_a_probe_of_stages_stages_nights_as_it_is(store: Path, eeg: Path, tmp_path: Path) -> None:
    from nights.night import Night
    from staging.stage import load_stager, stage_reading

    probed(store, eeg, tmp_path / "run")
    fold = tmp_path / "run" / "labels100" / "fold0"
    stager = load_stager(str(fold / "best.safetensors"), device="cpu")
    said = read_outputs(fold / "test.npz")[0]
    night = Night.open(store / f"{said.night}.json")
    staged = stage_reading(stager.read_stored(night), stager)
    # the probe read embeddings of half precision
    np.testing.assert_allclose(staged.hypnogram.proba, said.proba, atol=5e-3)


def test_embeddings_are_exported_once_and_read_again(
    store: Path, eeg: Path, tmp_path: Path
) -> None:
    out = tmp_path / "features"
    words = ["--init", str(eeg), "--nights", str(store), "--export", str(out)]
    assert main_probe.main(parse(Probing, words)) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert (out / "embedding.png").stat().st_size > 5000
    assert len(manifest["nights"]) == 8
    for name, night in manifest["nights"].items():
        rows = np.load(out / night["file"])
        assert rows.dtype == np.float16
        assert rows.shape == (night["n_epochs"], manifest["dim"])
        assert night["file"] == f"{name}.npy"
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.npy")}
    probed(store, eeg, tmp_path / "run", "--features", str(out))
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*.npy")}
    assert not (tmp_path / "run" / "features").exists()


def test_channels_may_be_missing_when_it_is_used(
    store: Path, several: Path, tmp_path: Path
) -> None:
    probed(store, several, tmp_path / "both")
    probed(store, several, tmp_path / "one", "--channels", "ECG")
    both, one = (read_outputs(tmp_path / n / "labels100" / "test.npz")[0] for n in ("both", "one"))
    assert (both.channels, one.channels) == ("C4 ECG", "ECG")
    assert not np.allclose(both.proba, one.proba)
    features = str(tmp_path / "both" / "features")
    with pytest.raises(ValueError, match="made from C4 ECG, asked are C4"):
        probed(store, several, tmp_path / "c", "--channels", "C4", "--features", features)


def test_features_of_other_weights_are_refused(
    store: Path, eeg: Path, several: Path, tmp_path: Path
) -> None:
    words = ["--nights", str(store), "--export", str(tmp_path), "--picture", "none", "--dry-run"]
    assert main_probe.main(parse(Probing, ["--init", str(eeg), *words])) == 0
    with pytest.raises(ValueError, match="made with other weights"):
        main_probe.main(parse(Probing, ["--init", str(several), *words]))


@pytest.mark.parametrize("script", ["main_pretrain.py", "main_probe.py"])
def test_help_answers_at_once_and_names_every_field(script: str) -> None:
    begun = time.process_time(), time.perf_counter()
    command = [sys.executable, str(ROOT / script), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0
    assert all(f"--{name}" in done.stdout for name in ("nights", "precision", "resume", "seed"))
    assert time.perf_counter() - begun[1] < 5  # far less on an idle machine: nothing is imported


def shell(*words: str, **variables: str) -> subprocess.CompletedProcess:
    """Run `pretrain.sh`."""
    command = ["bash", str(ROOT / "pretrain.sh"), *words]
    env = {**os.environ, "PYTHON": sys.executable, **variables}
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


@pytest.mark.slow
def test_the_trial_runs_from_simulated_nights_to_a_probe(tmp_path: Path) -> None:
    paths = {"RAW": str(tmp_path / "raw"), "STORE": str(tmp_path), "OUT": str(tmp_path / "runs")}
    made = shell("simulated", N="8", HOURS="0.25", **paths)
    assert made.returncode == 0, made.stderr
    done = shell("trial", "--dry-run", **paths)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs/small-probe/results.json").exists()
    done = shell("respiration", "--dry-run", **paths)
    assert done.returncode == 0, done.stderr
    for kind in ("apnea", "hypopnea"):
        assert (tmp_path / f"runs/airflow-{kind}/labels100/fold0/best.safetensors").exists()


def test_an_unknown_step_is_refused_with_those_there_are() -> None:
    done = shell("everything")
    assert done.returncode == 2
    assert "unimodal multimodal probe tune export" in done.stderr
