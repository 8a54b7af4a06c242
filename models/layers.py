"""Parts that several architectures share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from models import Present, Signals, StagerOutput, narrow_attention

# tanh form of GELU (Hendrycks and Gimpel 2016): x * sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3)
GELU_LINEAR = 2 * math.sqrt(2 / math.pi)
GELU_CUBIC = 0.044715 * GELU_LINEAR


class SelfAttention(nn.Module):
    """Multi-head self-attention; the projection to q, k, v stands apart from the mixing."""

    def __init__(self, width: int, n_heads: int, dropout: float) -> None:
        super().__init__()
        if width % n_heads:
            raise ValueError(f"width {width} is not divisible by {n_heads} heads")
        self.n_heads, self.dropout = n_heads, dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(
        self, x: torch.Tensor, allowed: torch.Tensor | None = None, *, causal: bool = False
    ) -> torch.Tensor:
        """Let every token of `x` (B, S, D) see the tokens it may; returns (B, S, D).

        `allowed` is True where the key may be seen, broadcastable to (B, heads, queries, keys).
        """
        qkv = self.qkv(x)
        width = x.shape[-1] // self.n_heads
        if causal and narrow_attention.serves(x, width, self.dropout if self.training else 0.0):
            return self.out(narrow_attention.attend(qkv, self.n_heads))
        q, k, v = qkv.chunk(3, dim=-1)
        return self.mix(q, k, v, allowed, causal=causal)

    def mix(
        self,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        allowed: torch.Tensor | None = None,
        *,
        causal: bool = False,
    ) -> torch.Tensor:
        """Return what queries (B, Q, D) see in keys and values (B, S, D), as (B, Q, D)."""
        mixed = F.scaled_dot_product_attention(
            self._heads(q),
            self._heads(k),
            self._heads(v),
            attn_mask=allowed,
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=causal,
        )
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        """(B, S, D) -> (B, heads, S, D / heads)."""
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)


def gelu(x: torch.Tensor) -> torch.Tensor:
    """Return GELU in its tanh form; on a CPU in a third of the time of the library's own."""
    return _Gelu.apply(x)


class _Gelu(torch.autograd.Function):
    """x * sigmoid(2u): a sigmoid is cheaper than a tanh, and all else is done in place."""

    @staticmethod
    def forward(ctx, x: torch.Tensor) -> torch.Tensor:  # type: ignore[no-untyped-def, override]
        gate = (x * x).mul_(GELU_CUBIC).add_(GELU_LINEAR).mul_(x).sigmoid_()
        ctx.save_for_backward(x, gate)
        return gate * x

    @staticmethod
    def backward(ctx, grad: torch.Tensor) -> torch.Tensor:  # type: ignore[no-untyped-def, override]
        x, gate = ctx.saved_tensors
        # d/dx [x s(2u)] = s + x s (1 - s) 2u', and x 2u' = x (LINEAR + 3 CUBIC x^2)
        slope = (x * x).mul_(3 * GELU_CUBIC).add_(GELU_LINEAR).mul_(x)
        slope.mul_(1 - gate).add_(1).mul_(gate)
        return slope.mul_(grad)


def presence(signals: Signals, present: Present, channels: list[str]) -> torch.Tensor:
    """Return a bool tensor (B, L, C): where each of `channels` was recorded.

    Parameters
    ----------
    signals : {channel: (B, L, T)}
        They say B and L.
    present : {channel: (B,) or (B, L) bool}
        A channel that is not named is taken as recorded throughout.
    """
    size = signals[channels[0]].shape[:2]
    columns = []
    for channel in channels:
        column = present.get(channel)
        if column is None:
            column = torch.ones(size, dtype=torch.bool, device=signals[channel].device)
        columns.append(column.bool().reshape(len(column), -1).expand(size))
    return torch.stack(columns, dim=-1)


def stack_channels(
    signals: Signals, present: Present, channels: tuple[str, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Lay channels side by side, in the order of `channels`; those not given are absent.

    Parameters
    ----------
    signals : {channel: (B, L, T)}
    present : {channel: (B,) or (B, L) bool}
    channels : tuple of str
        All of one rate.

    Returns
    -------
    x : (B, L, C, T)
        Where a channel is absent, whatever stood there.
    there : bool (B, L, C)

    Raises
    ------
    ValueError
        If none of the channels is given.
    """
    given = [name for name in channels if name in signals]
    if not given:
        known = ", ".join(signals) or "none"
        raise ValueError(f"none of {', '.join(channels)} among the signals: {known}")
    nothing = torch.zeros_like(signals[given[0]])
    every = {name: signals.get(name, nothing) for name in channels}
    there = presence(every, present, list(channels))
    there &= torch.tensor([name in signals for name in channels], device=there.device)
    return torch.stack(list(every.values()), dim=2), there


def batch_of_one(
    signals: Mapping[str, Any], present: Mapping[str, Any] | None, device: torch.device
) -> tuple[Signals, Present]:
    """Return a night, {channel: (E, T)} and {channel: bool (E,)}, as a batch on a device."""
    batch = {k: torch.as_tensor(v).to(device, torch.float32)[None] for k, v in signals.items()}
    return batch, {k: torch.as_tensor(v).to(device)[None] for k, v in (present or {}).items()}


def scored_cross_entropy(
    logits: torch.Tensor, stages: torch.Tensor, weight: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the mean cross entropy over scored epochs; 0 where none is.

    Parameters
    ----------
    logits : (..., K)
    stages : int64 (...)
        -1 where not scored.
    weight : (K,), optional
        Of each stage; the mean is weighted by it too.
    """
    flat, target = logits.flatten(0, -2), stages.flatten()
    if not (target >= 0).any():
        return flat.sum() * 0
    return F.cross_entropy(flat, target, weight, ignore_index=-1)


def half_squares(parameters: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return half the sum of the squares of all `parameters`, what TensorFlow calls their loss."""
    return 0.5 * torch.stack([parameter.square().sum() for parameter in parameters]).sum()


class PenalisedLoss(ABC):
    """The loss of a stager whose article adds a penalty on weights to what the stages cost."""

    def loss(
        self, output: StagerOutput, stages: torch.Tensor, weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the published loss: what the stages cost, and the penalty on weights.

        Parameters
        ----------
        output : StagerOutput
            Of `forward`.
        stages : int64 tensor (B, L)
            0..4, -1 where not scored.
        weight : tensor (K,), optional
            Of each stage.
        """
        return self.stage_loss(output, stages, weight) + self.penalty()

    def stage_loss(
        self, output: StagerOutput, stages: torch.Tensor, weight: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the mean cross entropy over scored epochs; parameters are those of `loss`."""
        return scored_cross_entropy(output.logits, stages, weight)

    @abstractmethod
    def penalty(self) -> torch.Tensor:
        """Return what the size of the weights costs, a scalar."""
