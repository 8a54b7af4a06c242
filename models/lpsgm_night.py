"""LPSGM on a whole night: every stride-1 window, without computing anything twice.

The published way runs the network on each window of 20 epochs, so that every epoch is encoded 20
times. The same numbers come from less, exactly:

- each epoch of each derivation is encoded once;
- in the first block, query, key and value of a data token are linear in its epoch's part and in
  its position's part, but for the norm's scale: the projection of the first is made once per
  (epoch, derivation), of the second once per position;
- in the last block only the class tokens ask, because only they are read, and keys and values
  of all the others need not be made for so few queries.

What is left is almost all transformer: 2.5 of 3.2 TFLOP in 8 h of nine derivations, where the
published way takes 17.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch.nn import functional as F

from models.lpsgm import Backbone, Block, epochs_at_once


def night_proba(model: Backbone, signals: Mapping, present: Mapping) -> torch.Tensor:
    """Return the hypnodensity (E, K) of a night; see `models.lpsgm.LPSGM.night_proba`."""
    features, recorded = encode_night(model, signals, present)
    n_epochs, window = len(features), model.window
    padding = max(0, window - n_epochs)
    features = F.pad(features, (0, 0, 0, 0, 0, padding))
    recorded = F.pad(recorded, (0, 0, 0, padding))
    votes = features.new_zeros(len(features), model.config.n_classes)
    count = features.new_zeros(len(features), 1)
    for columns, starts in _windows_alike(recorded, window):
        part = NightPart(model, features[:, columns], recorded[:, columns], columns)
        at_once = max(1, _tokens_at_once(features.device) // (window * (len(columns) + 1)))
        for some in starts.split(at_once):
            covered = _epochs(some, window).flatten()
            proba = part.logits(some).softmax(dim=-1)  # (W, L, K)
            votes.index_add_(0, covered, proba.flatten(0, 1))
            count.index_add_(0, covered, count.new_ones(len(covered), 1))
    return (votes / count)[:n_epochs]  # 0 / 0 = NaN where nobody voted


@torch.inference_mode()
def night_features(
    model: Backbone, signals: Mapping, present: Mapping, *, stride: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what the head reads of a night's windows, each epoch encoded once.

    Parameters
    ----------
    model : Backbone
        In eval mode.
    signals, present : mapping
        As of `models.lpsgm.LPSGM.night_proba`; a night shorter than a window is padded.
    stride : int
        Epochs from one window to the next.

    Returns
    -------
    features : float32 tensor (W, L, D)
        In the order of their beginnings; windows without any derivation are left out.
    starts : int64 tensor (W,)
        First epoch of each window.

    Raises
    ------
    ValueError
        If no window holds any derivation.
    """
    features, recorded = encode_night(model, signals, present)
    missing = max(0, model.window - len(features))
    features, recorded = (
        F.pad(features, (0, 0, 0, 0, 0, missing)),
        F.pad(recorded, (0, 0, 0, missing)),
    )
    found, begun = [], []
    for columns, starts in _windows_alike(recorded, model.window):
        starts = starts[starts % stride == 0]
        part = NightPart(model, features[:, columns], recorded[:, columns], columns)
        at_once = max(1, _tokens_at_once(features.device) // (model.window * (len(columns) + 1)))
        found += [part.features(some) for some in starts.split(at_once) if len(some)]
        begun.append(starts)
    if not found:
        raise ValueError("no window of the night holds any derivation")
    places = torch.cat(begun)
    order = places.argsort()
    return torch.cat(found)[order], places[order]


def encode_night(
    model: Backbone, signals: Mapping, present: Mapping
) -> tuple[torch.Tensor, torch.Tensor]:
    """Encode every recorded epoch once: features (E, C, 512) and where they are, bool (E, C).

    C counts the channels of the model; absent ones have no features (zeros). Both stand on the
    device of the model; the signals are moved there in pieces.

    Raises
    ------
    ValueError
        If the night has none of the model's channels.
    """
    channels = [name for name in model.config.channels if name in signals]
    if not channels:
        wanted = ", ".join(model.config.channels)
        raise ValueError(f"none of {wanted} among the signals: {', '.join(signals) or 'none'}")
    n_epochs, encoder = len(signals[channels[0]]), model.encoder.folded()
    device = model.head.weight.device
    recorded = torch.zeros(n_epochs, len(model.config.channels), dtype=torch.bool)
    features = torch.zeros(*recorded.shape, encoder.width, device=device)
    for name in channels:
        column = model.config.channels.index(name)
        recorded[:, column] = torch.as_tensor(present.get(name, True))
        signal = torch.as_tensor(signals[name])
        for epochs in recorded[:, column].nonzero().flatten().split(epochs_at_once(device)):
            features[epochs, column] = encoder(signal[epochs].to(device, torch.float32))
    return features, recorded.to(device)


def _tokens_at_once(device: torch.device) -> int:
    """Return how many tokens to run through the blocks together: on a CPU what its cache holds."""
    return 1000 if device.type == "cpu" else 64_000


def _epochs(starts: torch.Tensor, window: int) -> torch.Tensor:
    """Return the epochs (W, L) of the windows that begin at `starts` (W,)."""
    return starts[:, None] + torch.arange(window, device=starts.device)


def _windows_alike(recorded: torch.Tensor, window: int) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Yield (channels, starts): the windows in which just these channels were ever recorded."""
    seen = recorded.unfold(0, window, 1).any(dim=-1)  # (W, C)
    kinds, kind = seen.unique(dim=0, return_inverse=True)
    for index, channels in enumerate(kinds):
        if channels.any():
            yield channels.nonzero().flatten().tolist(), (kind == index).nonzero().flatten()


@dataclass
class FirstBlock:
    """Query, key, value of the first block, split: norm(a + b) W = (a' W' + b' W') / s + bias.

    a' and b' are the epoch's and the position's part without their means, W' the projection
    with the norm's weight in it, s the standard deviation of a + b.
    """

    of_epoch: torch.Tensor  # (E, C, 3D) = a' W'
    of_position: torch.Tensor  # (L, 1, 3D) = b' W'
    inverse_scale: torch.Tensor  # (E, C, L) = 1 / s
    bias: torch.Tensor  # (3D,)

    @classmethod
    def split(cls, block: Block, epochs: torch.Tensor, positions: torch.Tensor) -> FirstBlock:
        """Project the parts of the tokens: `epochs` (E, C, D) and `positions` (L, D)."""
        norm, qkv = block.norm_1, block.attention.qkv
        weight = qkv.weight * norm.weight  # (3D, D)
        epochs = epochs - epochs.mean(dim=-1, keepdim=True)
        positions = positions - positions.mean(dim=-1, keepdim=True)
        mean_square = 2 / epochs.shape[-1] * (epochs @ positions.T)  # of the sum: the cross term
        mean_square += epochs.square().mean(dim=-1, keepdim=True)
        mean_square += positions.square().mean(dim=-1)
        return cls(
            of_epoch=F.linear(epochs, weight),
            of_position=F.linear(positions, weight)[:, None],
            inverse_scale=torch.rsqrt(mean_square + norm.eps),
            bias=F.linear(norm.bias, qkv.weight, qkv.bias),
        )

    def qkv(self, epochs: torch.Tensor) -> torch.Tensor:
        """Return q, k and v side by side of the windows' data tokens, (W, L, C, 3D)."""
        positions = torch.arange(epochs.shape[1], device=epochs.device)
        scale = self.inverse_scale[epochs, :, positions][..., None]  # (W, L, C, 1)
        return (self.of_epoch[epochs] + self.of_position).mul_(scale).add_(self.bias)


class NightPart:
    """The windows of a night in which the same channels were recorded.

    Parameters
    ----------
    model : Backbone
        In eval mode.
    features : float32 tensor (E, C, 512)
        Encoded epochs of the channels of these windows.
    recorded : bool tensor (E, C)
        Which of them there are.
    columns : list of int
        Positions of the C channels in `model.config.channels`.
    """

    def __init__(
        self,
        model: Backbone,
        features: torch.Tensor,
        recorded: torch.Tensor,
        columns: list[int],
    ) -> None:
        self.model, self.recorded = model, recorded
        sequence = model.sequence
        self.epochs = sequence.channel_part(
            features, torch.tensor(columns, device=features.device)
        )  # (E, C, D)
        self.positions = sequence.position_part()  # (L, D)
        self.classes = sequence.placed_class_tokens()  # (L, D), or (0, D) for cat_avg
        self.blocks = cast("list[Block]", list(sequence.blocks))
        first = self.blocks[0]
        self.first = FirstBlock.split(first, self.epochs, self.positions)
        self.class_qkv = first.attention.qkv(first.norm_1(self.classes))

    def logits(self, starts: torch.Tensor) -> torch.Tensor:
        """Return the logits (W, L, K) of the windows that begin at these epochs."""
        return self.model.head(self.features(starts))

    def features(self, starts: torch.Tensor) -> torch.Tensor:
        """Return what the head reads of these windows, (W, L, D)."""
        epochs = _epochs(starts, self.model.window)  # (W, L)
        recorded = self.recorded[epochs]  # (W, L, C)
        x = self._hidden(epochs, None if recorded.all() else self._allowed(recorded))
        if not len(self.classes):
            there = recorded[..., None]
            data = x.unflatten(1, recorded.shape[1:])  # (W, L, C, D)
            x = (data * there).sum(dim=2) / there.sum(dim=2).clamp(min=1)
        return x

    def _hidden(self, epochs: torch.Tensor, allowed: torch.Tensor | None) -> torch.Tensor:
        """Run the blocks; returns the class tokens (W, L, D), or all tokens for cat_avg."""
        first, *middle = self.blocks
        x = self._join(self.classes, self.epochs[epochs] + self.positions[:, None])
        q, k, v = self._join(self.class_qkv, self.first.qkv(epochs)).chunk(3, dim=-1)
        x = first.finish(x, first.attention.mix(q, k, v, allowed))
        last = middle.pop() if middle and len(self.classes) else None
        for block in middle:
            x = block(x, allowed)
        if last:
            x = _last(last, x, len(self.classes), allowed)
        return self.model.sequence.norm(x[:, : len(self.classes) or None])

    def _join(self, classes: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
        """Class tokens (L, .), then the data tokens (W, L, C, .) epoch by epoch: (W, S, .)."""
        return torch.cat([classes.expand(len(data), -1, -1), data.flatten(1, 2)], dim=1)

    def _allowed(self, recorded: torch.Tensor) -> torch.Tensor:
        """Return (W, 1, 1, S): True for class tokens and for what was recorded."""
        return F.pad(recorded.flatten(1), (len(self.classes), 0), value=True)[:, None, None]


def _last(
    block: Block, x: torch.Tensor, n_asking: int, allowed: torch.Tensor | None
) -> torch.Tensor:
    """Run a block in which only the first `n_asking` tokens ask: (W, S, D) -> (W, n_asking, D).

    With so few queries it is cheaper to take the projections of keys and values to the side of
    the queries: q (K x) = (q K) x, and the mean of V x over the keys is V times the mean of x. A
    bias of the keys shifts all scores of a query alike and falls away; that of the values stays.
    """
    attention, normed = block.attention, block.norm_1(x)
    n_heads, width = attention.n_heads, x.shape[-1]
    to_q, to_k, to_v = attention.qkv.weight.chunk(3)
    q_bias, _, v_bias = attention.qkv.bias.chunk(3)
    to_k, to_v = (weight.unflatten(0, (n_heads, -1)) for weight in (to_k, to_v))  # (H, D / H, D)
    q = F.linear(normed[:, :n_asking], to_q, q_bias).unflatten(-1, (n_heads, -1))
    asked = torch.einsum("wqhd,hde->whqe", q, to_k).flatten(1, 2)  # (W, H Q, D)
    scores = (asked @ normed.mT) * (width // n_heads) ** -0.5  # (W, H Q, S)
    if allowed is not None:
        scores = scores.masked_fill(~allowed[:, 0], -torch.inf)
    seen = (scores.softmax(dim=-1) @ normed).unflatten(1, (n_heads, -1))  # (W, H, Q, D)
    values = torch.einsum("whqe,hde->wqhd", seen, to_v).flatten(2) + v_bias
    return block.finish(x[:, :n_asking], attention.out(values))
