"""Weights and inputs of the parity fixtures, rebuilt from their JSON.

A fixture holds no weights: every tensor is a function of its published name and shape, and inputs
are drawn from a seed and changed as the JSON's `how` sentences say.
"""

from __future__ import annotations

import hashlib
import math
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.conftest import SHARED_DATA

Meta = dict[str, Any]
Arrays = dict[str, np.ndarray]

_CHANGE = re.compile(r"\w+\[([^\]]+)\] (\*?)= (-?\d+(?:\.\d+)?)")  # x[:, 1] *= 8.0
_FACTOR = re.compile(r"([\d.]+) ?\* ?inputs\(|inputs\([^()]*\) ?\* ?([\d.]+)")


def fill(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the values of the published tensor `name`: seeded by the name, scaled by its role."""
    drawn = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, dtype=np.int64)
    if name.endswith("running_var"):
        return (0.5 + 0.5 * np.abs(drawn)).astype(np.float32)
    if name.endswith("running_mean"):
        return (0.1 * drawn).astype(np.float32)
    if len(shape) <= 1:
        centre = 1.0 if name.endswith("weight") else 0.0
        return (centre + 0.1 * drawn).astype(np.float32)
    return (drawn / math.sqrt(math.prod(shape[1:]))).astype(np.float32)


def inputs(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return standard-normal float32 numbers of `shape`."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def weights(meta: Meta) -> dict[str, torch.Tensor]:
    """Return the published state dict of a fixture; constants, which `fill` cannot give, left out.

    An entry of `filled_from` takes the value of the tensor it is tied to.
    """
    tied = {name: text.split()[0] for name, text in meta.get("filled_from", {}).items()}
    layout = {k: tuple(v) for k, v in meta["state_dict"].items() if k not in meta["constant"]}
    return {k: torch.from_numpy(np.array(fill(tied.get(k, k), v))) for k, v in layout.items()}


def draw(meta: Meta, name: str, arrays: Arrays) -> np.ndarray:
    """Return the input `name`: from the NPZ if it is there, else drawn and changed as told.

    Understood in `how`: a factor before or after `inputs(...)`, then any number of statements
    `x[place] = value` and `x[place] *= value`, where a place is an index, `:` or a boolean array
    of the NPZ.
    """
    if name in input_names(meta, arrays):
        return arrays[name]
    recipe = meta["inputs"][name]
    drawn = inputs(recipe["seed"], tuple(recipe["shape"])) * np.float32(_factor(recipe["how"]))
    for place, times, value in _CHANGE.findall(recipe["how"]):
        where = tuple(_index(part.strip(), arrays) for part in place.split(","))
        drawn[where] = np.float32(value) * (drawn[where] if times else 1)
    return drawn


def input_names(meta: Meta, arrays: Arrays) -> set[str]:
    """Return which arrays of the NPZ are inputs; every other one is an output to compare.

    An entry of `inputs` that is drawn from a seed and not said to be in the NPZ describes how to
    make the signal of the output of that name. `NAME_i` stands for NAME_0, NAME_1, ...
    """
    told = {
        k: v if isinstance(v, str) else v.get("how", "") for k, v in meta.get("inputs", {}).items()
    }
    seeded = {k for k, v in meta.get("inputs", {}).items() if "seed" in v and "npz" not in told[k]}
    named = set(re.findall(r"in the npz as (\w+)", " ".join(told.values())))
    plain = (set(told) - seeded) | set(meta.get("npz_inputs", ())) | named
    numbered = [re.compile(re.escape(k[:-2]) + r"_\d+") for k in plain if k.endswith("_i")]
    return {k for k in arrays if k in plain or any(p.fullmatch(k) for p in numbered)}


def _factor(how: str) -> float:
    """Return the number that `inputs(...)` is multiplied by."""
    found = _FACTOR.search(how)
    return float(found[1] or found[2]) if found else 1.0


def _index(part: str, arrays: Arrays) -> Any:
    """Return one part of an index: a number, a slice, or a boolean array of the NPZ."""
    if ":" in part:
        return slice(*(int(edge) if edge.strip() else None for edge in part.split(":")))
    return arrays[part] if part in arrays else int(part)


def published_file(folder: str, entry: Meta) -> Path:
    """Return the published weight file a fixture names; skip the test where it is absent.

    The file must be the one the outputs were made with: its SHA-256, if told, is compared.
    """
    path = SHARED_DATA / "upstream_weights" / folder / entry["path"]
    if not path.exists():
        pytest.skip(f"published weights {entry['path']} are not in {SHARED_DATA}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    wanted = entry.get("sha256", found)
    assert found == wanted, f"{path}: SHA-256 is {found}, want {wanted}"
    return path
