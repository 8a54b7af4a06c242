"""SynthSleepNet's data: labels of events, the published signal chain, tables, windows."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy.signal import fftconvolve, resample

from models.masked_tokens import position_table
from nights.events import EVENT_ROWS, event_labels
from nights.stages import UNSCORED
from recordings.responses import _mne_kernel
from recordings.scoring import read_scoring
from recordings.signals import robust_score
from recordings.views import VIEWS
from tests.parity.recipes import Arrays, Meta, inputs

CHANNEL = {"eeg": "C4", "eog": "E1", "ecg": "ECG", "emg": "Chin", "airflow": "Airflow"}
EPOCH_SAMPLES = 3000


def matches(meta: Meta) -> bool:
    """Know the preparation by its scoring, tables and windows."""
    return {"xml", "tables", "windows", "event_rows"} <= meta.keys()


def run(meta: Meta, arrays: Arrays) -> Arrays:
    """Return every output of the fixture."""
    outputs = _labels(meta["xml"])
    for name, recipe in meta["inputs"].items():
        kind = name.removeprefix("raw_")
        raw = inputs(recipe["seed"], recipe["shape"]).astype(np.float64) * recipe["scale"]
        wanted = arrays[f"prep_{kind}"]
        outputs[f"prep_{kind}"] = _per_epoch(raw, kind)[: len(wanted)]
    for width, n_frames, class_token in meta["tables"]:
        table = position_table(width, n_frames, class_token=class_token).numpy()
        every = max(1, width // 128)
        outputs[f"table_{width}_{n_frames}_{int(class_token)}"] = table[:, ::every]
    for n_epochs, length, step in meta["windows"]:
        cut = np.array(list(_published_windows(n_epochs, length, step)), dtype=np.int32)
        outputs[f"windows_{n_epochs}_{length}_{step}"] = cut
    return outputs


def _labels(xml: str) -> Arrays:
    """Stages as published, unscored taken for wake, and events under the three rules."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "shhs1-200001-nsrr.xml"
        path.write_text(xml, encoding="utf-8")
        scoring = read_scoring(path)
    stages = scoring.hypnogram.stages
    types = EVENT_ROWS[:5]
    outputs = {"stage": np.where(stages == UNSCORED, 0, stages).astype(np.int32)}
    for rule in ("upstream", "any", "half"):
        labels = event_labels(scoring.events, scoring.hypnogram, rule=rule, types=types)
        outputs[f"events_{rule}"] = labels.astype(np.int32)
    return outputs


def _per_epoch(raw: np.ndarray, kind: str) -> np.ndarray:
    """Resample and filter each epoch by itself, as published: the view does so across epochs."""
    (_, low_hz, high_hz), *_ = VIEWS["shhs7"].response_of(CHANNEL[kind]).factors
    kernel = _mne_kernel(float(Fraction(EPOCH_SAMPLES, 30)), low_hz, high_hz)
    epochs = resample(raw, EPOCH_SAMPLES, axis=1)
    reach = min(len(kernel), EPOCH_SAMPLES) - 1
    padded = np.pad(epochs, ((0, 0), (reach, reach)), mode="edge")
    beyond = max(0, len(kernel) // 2 - reach)  # zeros behind the copies of the edge
    padded = np.pad(padded, ((0, 0), (beyond, beyond)))
    filtered = fftconvolve(padded, kernel[None], mode="same", axes=1)
    cut = filtered[:, reach + beyond : reach + beyond + EPOCH_SAMPLES]
    return robust_score(cut.ravel()).reshape(cut.shape).astype(np.float32)


def _published_windows(n_epochs: int, length: int, step: int) -> Iterator[tuple[int, int]]:
    """Yield windows by step and, always, one that ends with the night (it may come twice).

    Ours (`nights.windows`, `night_proba`) count every epoch once; this is their reference only.
    """
    for first in range(0, n_epochs - length + 1, step):
        yield first, first + length
    yield n_epochs - length, n_epochs
