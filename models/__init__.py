"""Every published architecture, one file each, behind one registry.

`create(name, **config)` builds a model; `models.published.load` fills it from published weights.
A new model is one new file in this folder: it is found by its `@register` line, nothing else needs
an edit. This room imports no other room.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

Signals = dict[str, torch.Tensor]  # {channel: (B, L, T) float32}
Present = dict[str, torch.Tensor]  # {channel: (B,) or (B, L) bool}, True = recorded

_BUILDERS: dict[str, tuple[type, type]] = {}
_NOT_MODELS = {"layers", "published"}


@dataclass
class StagerOutput:
    """What a stager returns: logits (B, L, K) and the features (B, L, D) they were read from."""

    logits: torch.Tensor
    features: torch.Tensor


def register(name: str, config: type) -> Callable[[type[nn.Module]], type[nn.Module]]:
    """Register the decorated model class under `name`; it is built as `Model(config(**options))`."""

    def remember(model: type[nn.Module]) -> type[nn.Module]:
        if name in _BUILDERS and _BUILDERS[name][0].__module__ != model.__module__:
            raise ValueError(f"model name {name!r} is taken by {_BUILDERS[name][0].__module__}")
        _BUILDERS[name] = (model, config)
        return model

    return remember


def create(name: str, **config: Any) -> nn.Module:
    """Build the registered model `name` with the given fields of its configuration.

    Raises
    ------
    ValueError
        For an unknown name or an unknown field; the message lists the known ones.
    """
    model, fields = entry(name)
    known = fields.__dataclass_fields__  # type: ignore[attr-defined]
    unknown = sorted(set(config) - set(known))
    if unknown:
        raise ValueError(f"model {name!r} has no {', '.join(unknown)}; it has {', '.join(known)}")
    return model(fields(**config))


def names() -> list[str]:
    """Return the names of all registered models, sorted."""
    _import_all()
    return sorted(_BUILDERS)


def entry(name: str) -> tuple[type[nn.Module], type]:
    """Return (model class, configuration class) registered under `name`."""
    if name not in _BUILDERS:
        _import_all()
    if name not in _BUILDERS:
        raise ValueError(f"no model {name!r}; there are {', '.join(sorted(_BUILDERS))}")
    return _BUILDERS[name]


def _import_all() -> None:
    """Import every file of this folder once, so that its `@register` lines run."""
    for module in pkgutil.iter_modules(__path__):
        if module.name not in _NOT_MODELS:
            importlib.import_module(f"{__name__}.{module.name}")
