"""Parts that several architectures share."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from models import Present, Signals


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
        q, k, v = self.qkv(x).chunk(3, dim=-1)
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
