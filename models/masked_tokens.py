"""Masked prediction over tokens: which are kept, the transformer that reads them, the decoder.

What the unimodal and the multimodal networks of SynthSleepNet share (He et al., "Masked
Autoencoders", CVPR 2022, with one dimension).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from models.layers import SelfAttention

Draw = Callable[..., torch.Tensor]  # (N, F) -> uniform numbers of that shape, such as torch.rand
NORM_EPS = 1e-6


@dataclass
class MaskedOutput:
    """What a masked pass gives to the loss.

    Parameters
    ----------
    predicted : list of (prediction (M, P), what was there (M, P))
        Frames that were hidden; each pair is a mean squared error, and they are added.
    views : list of (z (n, D), z (n, D))
        Pairs of embeddings of the same epochs, row by row, that shall be alike.
    """

    predicted: list[tuple[torch.Tensor, torch.Tensor]]
    views: list[tuple[torch.Tensor, torch.Tensor]]


@dataclass
class Masking:
    """Which frames of each sample are seen.

    Parameters
    ----------
    kept : int64 (N, k)
        Frames that are seen, in the order of their noise.
    place : int64 (N, F)
        Where each frame stands among the kept ones followed by the hidden ones.
    """

    kept: torch.Tensor
    place: torch.Tensor

    @classmethod
    def of(cls, noise: torch.Tensor, ratio: float) -> Masking:
        """Keep the int(F (1 - ratio)) frames of least noise (N, F).

        Raises
        ------
        ValueError
            If nothing would be kept or nothing hidden.
        """
        n_frames = noise.shape[1]
        n_kept = int(n_frames * (1 - ratio))  # 0.8 of 27 keeps 5, as the floating point says
        if not 0 < n_kept < n_frames:
            raise ValueError(f"mask ratio {ratio} keeps {n_kept} of {n_frames} frames")
        order = noise.argsort(dim=1, stable=True)
        return cls(order[:, :n_kept], order.argsort(dim=1))

    @property
    def hidden(self) -> torch.Tensor:
        """Bool (N, F): True where a frame is not seen."""
        return self.place >= self.kept.shape[1]

    def pick(self, tokens: torch.Tensor) -> torch.Tensor:
        """(N, F, D) -> the kept tokens (N, k, D)."""
        return take(tokens, self.kept)


def take(tokens: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return tokens (N, S, D) at `places` (N, k), as (N, k, D)."""
    return tokens.gather(1, places[..., None].expand(-1, -1, tokens.shape[-1]))


def position_table(width: int, n_frames: int, *, class_token: bool = False) -> torch.Tensor:
    """Return the sine-cosine table (F, width); with `class_token` a row of zeros goes before.

    The published code makes it for a plane one frame wide: the first half of the columns is the
    sine and cosine of a coordinate that is always 0.

    Raises
    ------
    ValueError
        If the width is no multiple of 4.
    """
    if width % 4:
        raise ValueError(f"the width of a position must be a multiple of 4, found {width}")
    quarter = width // 4
    speed = 10000.0 ** (-torch.arange(quarter, dtype=torch.float64) / quarter)
    angle = torch.arange(n_frames, dtype=torch.float64)[:, None] * speed
    still = [torch.zeros_like(angle), torch.ones_like(angle)]
    table = torch.cat([*still, angle.sin(), angle.cos()], dim=1).float()
    return F.pad(table, (0, 0, 1, 0)) if class_token else table


class Block(nn.Module):
    """Pre-norm transformer block with an MLP four times as wide as the tokens."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(width, eps=NORM_EPS)
        self.attention = SelfAttention(width, n_heads, 0.0)
        self.norm_2 = nn.LayerNorm(width, eps=NORM_EPS)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor, allowed: torch.Tensor | None = None) -> torch.Tensor:
        """(N, S, D) -> (N, S, D); `allowed` (N, 1, 1, S) is False where nothing is."""
        x = x + self.attention(self.norm_1(x), allowed)
        return x + self.down(F.gelu(self.up(self.norm_2(x))))


class Transformer(nn.Module):
    """Blocks, then a norm."""

    def __init__(self, width: int, n_heads: int, n_blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, n_heads) for _ in range(n_blocks))
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)

    def forward(self, x: torch.Tensor, allowed: torch.Tensor | None = None) -> torch.Tensor:
        """(N, S, D) -> (N, S, D)."""
        for block in self.blocks:
            x = block(x, allowed)
        return self.norm(x)


def projection(widths: Sequence[int]) -> nn.Sequential:
    """Return an MLP over rows: batch norm and ELU after every linear layer but the last."""
    layers: list[nn.Module] = []
    for before, after in zip(widths, widths[1:], strict=False):
        layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ELU()]
    return nn.Sequential(*layers[:-2])


def with_mask_tokens(
    tokens: torch.Tensor, place: torch.Tensor, mask_token: torch.Tensor
) -> torch.Tensor:
    """Put the tokens (N, k, D) that were seen back to their frames, mask tokens elsewhere."""
    missing = place.shape[1] - tokens.shape[1]
    hidden = mask_token.expand(len(tokens), missing, -1)
    return take(torch.cat([tokens, hidden], dim=1), place)


def initialise(*modules: nn.Module) -> None:
    """Draw linear layers from Xavier's uniform distribution, biases zero, as published."""
    for part in modules:
        for module in part.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
