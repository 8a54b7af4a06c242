"""Small stored nights for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nights.hypnogram import Hypnogram
from nights.store import write_night

VIEW = {"name": "psg9", "hash": "a" * 64, "normalise": "z"}


def eeg_like(n_epochs: int, n_samples: int = 300, seed: int = 0) -> np.ndarray:
    """Return noise of 20 uV around an electrode offset of 35 uV: float32 (E, S)."""
    noise = np.random.default_rng(seed).standard_normal((n_epochs, n_samples))
    return (20 * noise + 35).astype(np.float32)


def make_night(
    root: Path,
    rec: str = "n1",
    *,
    stages: Sequence[int] = (0, 1, 2, 3, 4, -1, 2, 2),
    channels: Sequence[str] = ("C4", "E1"),
    dataset: str = "SET",
    **facts: Any,
) -> Path:
    """Write a night of noise and return its sidecar; every channel has another seed."""
    samples = [eeg_like(len(stages), seed=sum(map(ord, name))) for name in channels]
    defaults: dict[str, Any] = {"view": VIEW, "person": rec}
    hypnogram = facts.pop("hypnogram", Hypnogram(np.asarray(stages)))
    signals = {"sig": (channels, samples)}
    return write_night(root, dataset, rec, signals, hypnogram, **(defaults | facts))
