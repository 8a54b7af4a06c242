"""Low-rank adapters (Hu et al., ICLR 2022), rank-stabilised (Kalajdzievski, arXiv 2312.03732)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional as F


class AdaptedLinear(nn.Linear):
    """A linear layer held fixed, and what an adapter of low rank adds to it.

    Its weight and bias keep their names, so weights from before adaptation load into it. The
    adapter begins at zero: an adapted network first does what it did before.

    Parameters
    ----------
    linear : Linear
        Gives its tensors, which are frozen.
    rank : int
        Of the adapter.
    alpha : float
        The adapter counts alpha / sqrt(rank) times.
    dropout : float
        Of what the adapter reads, in training.
    """

    def __init__(self, linear: nn.Linear, *, rank: int, alpha: float, dropout: float) -> None:
        super().__init__(linear.in_features, linear.out_features, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        for frozen in (self.weight, self.bias):
            frozen.requires_grad_(False)
        self.scale, self.dropout = alpha / math.sqrt(rank), dropout
        # N(0, 1 / rank^2) as in the published code
        self.down = nn.Parameter(torch.randn(rank, linear.in_features) / rank)
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., in) -> (..., out)."""
        read = F.dropout(x, self.dropout, self.training)
        added = F.linear(F.linear(read, self.down), self.up)
        return torch.add(super().forward(x), added, alpha=self.scale)


def adapt(
    model: nn.Module, layers: Sequence[str], *, rank: int, alpha: float, dropout: float
) -> None:
    """Freeze all of `model` but its adapters, and put adapters on the linear `layers`, by path.

    Rank 0 freezes and adds nothing.
    """
    model.requires_grad_(False)
    for path in layers if rank else ():
        parent, _, name = path.rpartition(".")
        holder = model.get_submodule(parent)
        linear = cast(nn.Linear, getattr(holder, name))
        setattr(holder, name, AdaptedLinear(linear, rank=rank, alpha=alpha, dropout=dropout))
    for adapter in adapters(model):
        adapter.down.requires_grad_(True)
        adapter.up.requires_grad_(True)


def adapters(model: nn.Module) -> list[AdaptedLinear]:
    """Return the adapted layers of `model`."""
    return [module for module in model.modules() if isinstance(module, AdaptedLinear)]


def train_adapters_only(model: nn.Module, mode: bool) -> None:
    """Put a frozen network in evaluation mode, its adapters (which drop out) in the given one."""
    model.eval()
    for adapter in adapters(model):
        adapter.train(mode)


def take_over(adapted: nn.Module, before: nn.Module, name: str) -> None:
    """Copy the weights of a network into the same network with more adapters.

    Raises
    ------
    ValueError
        If a tensor besides the adapters is missing, left over or of another shape.
    """
    given, wanted = before.state_dict(), adapted.state_dict()
    fresh = {f"{path}.{part}" for path, m in adapted.named_modules() for part in ("down", "up")
             if isinstance(m, AdaptedLinear)}  # fmt: skip
    different: list[Any] = sorted(
        key
        for key in given.keys() | (wanted.keys() - fresh)
        if key not in given or key not in wanted or given[key].shape != wanted[key].shape
    )
    if different:
        raise ValueError(f"{name}: cannot take over the weights; these differ: {different[:5]}")
    adapted.load_state_dict(given, strict=False)
