"""Weights on disk: ours as safetensors that describe themselves, other people's without their code.

A pickle can run any program when it is opened. Foreign checkpoints are therefore read by the
restricted reader of PyTorch alone, and what it refuses stays closed.
"""

from __future__ import annotations

import dataclasses
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import models
from engine.tensor_bundle import BundleError, read_bundle
from models import published
from nights.atomic import atomic_path

# Names under which training codes put the weights into a checkpoint
_HOLDERS = ("state_dict", "model_state_dict")
# Scores saved as NumPy numbers stand in many checkpoints. What builds them runs no code of the
# file; before NumPy 2 it had another address.
_NUMBER: Any = np.float64(0).__reduce__()[0]
_PLAIN_NUMPY: list[Any] = [
    *(_NUMBER, (_NUMBER, "numpy.core.multiarray.scalar")),
    *(np.dtype, type(np.dtype("f8")), type(np.dtype("f4"))),
]


class CheckpointError(ValueError):
    """A weight file cannot be used; the message names file and reason."""


def read_foreign(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a checkpoint that somebody else wrote, without running anything in it.

    Parameters
    ----------
    path : Path
        A PyTorch checkpoint (a state dict, or a dict that holds one under `state_dict` or
        `model_state_dict`), an NPZ file of arrays, a safetensors file, or the index of a TensorFlow
        checkpoint.

    Returns
    -------
    dict of str to Tensor
        The state dict by its published names, on the CPU.

    Raises
    ------
    CheckpointError
        If the file needs code to be opened, is damaged, or holds no tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such weight file")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)[0]
    if path.suffix == ".npz":
        return _read_npz(path)
    if path.suffix == ".index":
        return _read_tensorflow(path)
    try:
        with torch.serialization.safe_globals(_PLAIN_NUMPY):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise CheckpointError(
            f"{path.name}: refused: it holds more than tensors and plain values, so opening it "
            "could run code; ask for the bare state dict or a safetensors file"
        ) from None
    except (RuntimeError, EOFError, OSError) as error:
        raise CheckpointError(f"{path.name}: not a readable checkpoint ({error})") from None
    return _state_dict(path, content)


def save_weights(path: Path, model: nn.Module, card: dict[str, Any] | None = None) -> None:
    """Write a registered model as one safetensors file that says which model it is.

    Parameters
    ----------
    path : Path
        Written under a temporary name, then renamed.
    model : Module
        A model of the registry; its `config` is stored beside the weights.
    card : dict or None
        Anything about the weights that JSON can hold: data, split, numbers, licence.

    Raises
    ------
    CheckpointError
        If the model is not of the registry.
    """
    from safetensors.torch import save_file

    try:
        name = models.name_of(model)
    except ValueError as error:
        raise CheckpointError(f"{error}; it cannot be saved") from None
    config = dataclasses.asdict(model.config)  # type: ignore[call-overload]
    metadata = {"model": name, "config": json.dumps(config), "card": json.dumps(card or {})}
    # Cloned, because the format has no notion of two names for one tensor (tied weights)
    tensors = {key: value.detach().cpu().clone() for key, value in model.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata)


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write the state of a run (tensors and plain values), whole or not at all."""
    with atomic_path(path) as temporary:
        torch.save(state, temporary)


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote, onto the CPU."""
    return torch.load(path, map_location="cpu", weights_only=True)


def load_weights(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Build the model that `save_weights` wrote, in evaluation mode, and return it with its card.

    Raises
    ------
    CheckpointError
        If the file does not say which model it is, or its tensors are not exactly the model's.
    """
    tensors, metadata = _read_safetensors(path)
    if "model" not in metadata:
        raise CheckpointError(f"{path.name}: does not say which model it is; convert it first")
    config = {key: _tuples(value) for key, value in json.loads(metadata["config"]).items()}
    model = models.create(metadata["model"], **config)
    try:
        published.fill(model, tensors, metadata["model"])
    except ValueError as error:
        raise CheckpointError(f"{path.name}: {error}") from None
    return model.eval(), json.loads(metadata["card"])


def _read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a safetensors file."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such weight file")
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(f"{path.name}: not a readable safetensors file ({error})") from None


def _read_npz(path: Path) -> dict[str, torch.Tensor]:
    """Return the arrays of an NPZ file as tensors; object arrays are pickles and are refused."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: torch.from_numpy(np.array(file[key])) for key in file.files}
    except (ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path.name}: not a readable NPZ file of arrays ({error})") from None


def _read_tensorflow(path: Path) -> dict[str, torch.Tensor]:
    """Return the variables of a TensorFlow checkpoint as tensors."""
    try:
        return {name: torch.from_numpy(array) for name, array in read_bundle(path).items()}
    except BundleError as error:
        raise CheckpointError(str(error)) from None


def _state_dict(path: Path, content: Any) -> dict[str, torch.Tensor]:
    """Find the state dict in what a checkpoint held."""
    for holder in _HOLDERS:
        if isinstance(content, dict) and isinstance(content.get(holder), dict):
            content = content[holder]
    if not isinstance(content, dict) or not content:
        raise CheckpointError(f"{path.name}: holds no state dict")
    others = [key for key, value in content.items() if not isinstance(value, torch.Tensor)]
    if others:
        raise CheckpointError(f"{path.name}: {others[0]!r} is no tensor; no state dict was found")
    return dict(content)


def _tuples(value: Any) -> Any:
    """Give back as a tuple what JSON made a list."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
