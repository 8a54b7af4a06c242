"""Embeddings of nights, computed once and kept: for probes, and for other people's work.

::

    <folder>/manifest.json            which weights, how wide, and every night
    <folder>/<DATASET>/<rec>.npy      float16 (epochs, dim); zeros where nothing was recorded
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine import weights
from engine.checkpoint import load_weights
from engine.staging_fit import open_windows
from engine.staging_nights import StoredNight
from nights.atomic import atomic_path, write_text

MANIFEST = "manifest.json"
BEST = "best.safetensors"
SAVE_EVERY = 100  # nights between two writings of the manifest, which is what resumes
logger = logging.getLogger("nightstack")


@dataclass(frozen=True)
class Features:
    """A folder of embeddings.

    Parameters
    ----------
    folder : Path
    manifest : dict
        `dim`, `model`, `sha256` of the weights, `view`, `channels`, `simulated`, and `nights`:
        {name: {file, person, n_epochs}}.
    """

    folder: Path
    manifest: dict[str, Any]

    def of(self, night: str) -> np.ndarray:
        """Return the embedding of every epoch of a night, float16 (E, D), mapped into memory.

        Raises
        ------
        ValueError
            If the folder has no such night.
        """
        if night not in self.manifest["nights"]:
            raise ValueError(f"{self.folder}: no features of night {night!r}; export them first")
        path = self.folder / self.manifest["nights"][night]["file"]
        return np.load(path, mmap_mode="r", allow_pickle=False)


def weights_file(init: str) -> Path:
    """Return the weights that a run folder, a file or a name of the manifest means."""
    path = Path(init)
    if (path / BEST).is_file():
        return path / BEST
    return path if path.suffix == ".safetensors" else weights.convert(init)


def make_features(
    folder: Path,
    init: Path,
    nights: Sequence[StoredNight],
    channels: Sequence[str],
    device: torch.device,
) -> Features:
    """Embed the nights that are not in `folder` yet.

    Parameters
    ----------
    folder : Path
    init : Path
        Weights of a pre-trained model.
    nights : sequence of StoredNight
        Of the view the weights were trained on.
    channels : sequence of str
        Channels to read, of those the model knows.
    device : torch.device

    Raises
    ------
    ValueError
        If the folder holds embeddings by other weights, or of other channels.
    """
    model, card = load_weights(init)
    manifest = _manifest(folder, init, model, card, list(channels))
    missing = [night for night in nights if night.name not in manifest["nights"]]
    if missing:
        logger.info("embedding %d nights, once", len(missing))
        model = model.to(device)
    for number, night in enumerate(missing, start=1):
        rows = embedding(model, night, channels)
        file = f"{night.name}.npy"
        with atomic_path(folder / file) as temporary:
            np.save(temporary, rows)
        manifest["dim"] = rows.shape[1]
        told = {"file": file, "person": night.person, "n_epochs": len(rows)}
        manifest["nights"][night.name] = told
        manifest["simulated"] = bool(manifest["simulated"] or night.simulated)
        if number % SAVE_EVERY == 0 or number == len(missing):
            write_text(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    return Features(folder, manifest)


@torch.inference_mode()
def embedding(model: Any, night: StoredNight, channels: Sequence[str]) -> np.ndarray:
    """Return what the encoder makes of every epoch of a night, float16 (E, D)."""
    model.eval()
    device = next(model.parameters()).device
    batch = open_windows(model, [night], None, channels=channels, keep_unscored=True)[0]
    signals = {name: x.to(device) for name, x in batch.signals.items()}
    present = {name: there.to(device) for name, there in batch.present.items()}
    return model.embed(signals, present)[0].float().cpu().numpy().astype(np.float16)


def _manifest(
    folder: Path, init: Path, model: Any, card: dict[str, Any], channels: list[str]
) -> dict[str, Any]:
    """Return the manifest of the folder, checked, or a new one."""
    sha256 = hashlib.sha256(init.read_bytes()).hexdigest()
    path = folder / MANIFEST
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["sha256"] != sha256:
            raise ValueError(f"{path}: made with other weights than {init}: name another folder")
        if found["channels"] != channels:
            told = " ".join(found["channels"])
            raise ValueError(f"{path}: made from {told}, asked are {' '.join(channels)}")
        return found
    return {
        "format": "float16 (epochs, dim), in the order of the night; zeros: nothing recorded",
        "dim": 0,
        "model": type(model).__name__,
        "sha256": sha256,
        "view": card.get("view", ""),
        "view_hash": card.get("view_hash", ""),
        "channels": channels,
        "simulated": bool(card.get("simulated", False)),
        "nights": {},
    }
