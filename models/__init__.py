"""Every published architecture, one file each, behind one registry.

`create(name, **config)` builds a model; `models.published.load` fills it from published weights.
A new model is one new file in this folder: it is found by its `@register` line, nothing else needs
an edit. This room imports no other room.

A model is built as `Model(Config(...))`: the annotation of `config` in `__init__` names its frozen
dataclass, and the file's `PRESETS` holds the paper's settings by name. A **stager** is a model
with `forward(signals, present) -> StagerOutput`, `channels` (what it can read: canonical name ->
samples per epoch) and `window` (epochs it takes at once, None = any number). It may offer

- `night_proba(signals, present)`, the hypnodensity of a whole night;
- `loss(output, stages, weight=None)`, where its article trains on more than the cross entropy of
  the stages (other heads, a penalty on weights);
- `fit_statistics(batches)`, which learns from the training nights what signals are normalised by;
- `attention_weights(signals, present)`, where it looked;
- `training_plan`, the settings of its article by the names of the training plan, and `undecayed`,
  names of parameters that its article spares from weight decay;
- `finetune_parts`, {mode: beginnings of the names of the parameters it trains};
- `begin_from(tensors)`, which takes over a network of an earlier step of its training, and `fresh`,
  the parts that such a network lacks.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import torch
from torch import nn

Signals = Mapping[str, torch.Tensor]  # {channel: (B, L, T) float32}
Present = Mapping[str, torch.Tensor]  # {channel: (B,) or (B, L) bool}, True = recorded
M = TypeVar("M", bound=type[nn.Module])

_MODELS: dict[str, type[nn.Module]] = {}


@dataclass
class StagerOutput:
    """What a stager returns: logits (B, L, K) and the features (B, L, D) they were read from."""

    logits: torch.Tensor
    features: torch.Tensor


def register(name: str) -> Callable[[M], M]:
    """Register the decorated model class under `name`."""

    def remember(model: M) -> M:
        if name in _MODELS and _MODELS[name].__module__ != model.__module__:
            raise ValueError(f"model name {name!r} is taken by {_MODELS[name].__module__}")
        _MODELS[name] = model
        return model

    return remember


def create(name: str, **config: Any) -> nn.Module:
    """Build the registered model `name` with the given fields of its configuration.

    Raises
    ------
    ValueError
        For an unknown name or an unknown field; the message lists the known ones.
    """
    model, configuration = entry(name)
    known = [field.name for field in fields(configuration)]
    unknown = sorted(set(config) - set(known))
    if unknown:
        raise ValueError(f"model {name!r} has no {', '.join(unknown)}; it has {', '.join(known)}")
    return model(configuration(**config))


def names() -> list[str]:
    """Return the names of all registered models, sorted."""
    _import_all()
    return sorted(_MODELS)


def stagers() -> list[str]:
    """Return the names of the models that stage: those whose `forward` gives a StagerOutput."""
    gives = {name: typing.get_type_hints(_MODELS[name].forward).get("return") for name in names()}
    return [name for name, kind in gives.items() if kind is StagerOutput]


def entry(name: str) -> tuple[type[nn.Module], type]:
    """Return (model class, configuration class) registered under `name`."""
    if name not in _MODELS:
        _import_all()
    if name not in _MODELS:
        raise ValueError(f"no model {name!r}; there are {', '.join(sorted(_MODELS))}")
    model = _MODELS[name]
    return model, typing.get_type_hints(model.__init__)["config"]


def name_of(model: nn.Module) -> str:
    """Return the name under which the class of `model` is registered.

    Raises
    ------
    ValueError
        If it is not.
    """
    for name in names():
        if _MODELS[name] is type(model):
            return name
    raise ValueError(f"{type(model).__name__} is not in the model registry")


def presets(name: str) -> dict[str, Any]:
    """Return the published settings of the model `name`: {preset: configuration}."""
    model, configuration = entry(name)
    own = sys.modules[model.__module__].PRESETS
    return {key: value for key, value in own.items() if type(value) is configuration}


def _import_all() -> None:
    """Import every file of this folder once, so that its `@register` lines run."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
