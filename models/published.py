"""Published state dicts -> our models, strictly: every tensor used, none missing.

A model that has published weights carries a class attribute `published`, an `Adapter`, which says
how the published names and shapes become ours. Files are opened elsewhere; here are tensors only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from models import create, entry

StateDict = Mapping[str, torch.Tensor]


def _unchanged(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Leave a tensor as it was published."""
    return tensor


@dataclass(frozen=True)
class Adapter:
    """How the published state dict of one architecture turns into ours.

    Parameters
    ----------
    config : callable
        Reads the sizes that the shapes tell: state dict -> fields of the configuration.
    renames : tuple of (pattern, replacement)
        Regular expressions, applied in order to every published name.
    constants : tuple of patterns
        Published names, matched whole, that hold no parameter and are left out.
    tied : dict
        {published name: the published name it must equal}; our model holds the tensor once.
    unreleased : tuple of str
        Our tensors that the publishers did not give away; they stay as the model builds them.
    tensor : callable
        (our name, published tensor) -> our tensor, where the layout differs.
    canonical : callable
        Brings the names of another library to those that the rest of the adapter knows.
    """

    config: Callable[[StateDict], dict[str, Any]]
    renames: tuple[tuple[str, str], ...] = ()
    constants: tuple[str, ...] = ()
    tied: Mapping[str, str] = field(default_factory=dict)
    unreleased: tuple[str, ...] = ()
    tensor: Callable[[str, torch.Tensor], torch.Tensor] = _unchanged
    canonical: Callable[[StateDict], StateDict] = dict


def load(name: str, state_dict: StateDict, **config: Any) -> nn.Module:
    """Build the registered model `name` and fill it with published weights, in eval mode.

    Parameters
    ----------
    name : str
        Name in the registry, such as "lpsgm".
    state_dict : mapping of str to tensor
        The published tensors under their published names; a `module.` in front of the names, left
        by data-parallel training, is taken off.
    **config
        Fields of the configuration; they go before what the shapes tell.

    Raises
    ------
    ValueError
        If the model has no published weights, or a tensor is missing, left over, of another shape
        or not equal to the one it is tied to; the message names them.
    """
    adapter = getattr(entry(name)[0], "published", None)
    if adapter is None:
        raise ValueError(f"model {name!r}: no published weights are known")
    state_dict = {key.removeprefix("module."): tensor for key, tensor in state_dict.items()}
    state_dict = adapter.canonical(state_dict)
    _check_tied(name, adapter, state_dict)
    try:
        sizes = adapter.config(state_dict)
    except KeyError as missing:
        raise ValueError(f"model {name!r}: published weights lack {missing}") from None
    model = create(name, **(sizes | config))
    built = {key: model.state_dict()[key] for key in adapter.unreleased}
    fill(model, built | ours(adapter, state_dict), name)
    return model.eval()


def ours(adapter: Adapter, state_dict: StateDict) -> dict[str, torch.Tensor]:
    """Return published tensors under our names and in our layout; constants left out."""
    adapted = {}
    for key, tensor in state_dict.items():
        constant = any(re.fullmatch(pattern, key) for pattern in adapter.constants)
        if constant or key in adapter.tied:
            continue
        for pattern, replacement in adapter.renames:
            key = re.sub(pattern, replacement, key)
        adapted[key] = adapter.tensor(key, tensor)
    return adapted


def fill(model: nn.Module, tensors: StateDict, name: str) -> None:
    """Copy `tensors` into `model`, whose names and shapes they must match exactly."""
    wanted = model.state_dict()
    missing, unknown = sorted(set(wanted) - set(tensors)), sorted(set(tensors) - set(wanted))
    if missing or unknown:
        raise ValueError(
            f"model {name!r}: weights lack {missing or 'nothing'}; not used: {unknown or 'none'}"
        )
    for key, tensor in tensors.items():
        if tensor.shape != wanted[key].shape:
            found, want = tuple(tensor.shape), tuple(wanted[key].shape)
            raise ValueError(f"model {name!r}: {key} has shape {found}, the model wants {want}")
    model.load_state_dict(dict(tensors))


def _check_tied(name: str, adapter: Adapter, state_dict: StateDict) -> None:
    """Refuse weights whose tied tensors differ: one of the two would be lost."""
    for key, source in adapter.tied.items():
        if key in state_dict and not torch.equal(state_dict[key], state_dict[source]):
            raise ValueError(f"model {name!r}: {key} differs from {source}, to which it is tied")
