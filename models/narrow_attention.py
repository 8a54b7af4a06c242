"""Causal self-attention of narrow heads, for training on a CPU.

A head of the stage language model is 8 wide. Matrix libraries are made for wide matrices: on one
core their batched products, and the fused attention built on them, run at a tenth of the speed that
the same core reaches on the projections around them, and take half of a training step. Here the
loops of one head are compiled (numba, which brings its own compiler): its keys and values stay in
the first-level cache, each row is computed once and only as far as it may look.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch

WIDEST = 16  # features a head may have; above, the matrix library is as fast
STRIDE = 8  # rows are computed in whole groups of so many places: no loop ends in single steps
Kernel = Callable[..., None]


def serves(x: torch.Tensor, head_width: int, dropout: float) -> bool:
    """Tell whether attention over `x` (B, T, E) can be computed, and is worth computing, here."""
    trained = torch.is_grad_enabled() and x.device.type == "cpu" and x.dtype == torch.float32
    return trained and not dropout and head_width <= WIDEST and _numba_is_there()


def attend(qkv: torch.Tensor, n_heads: int) -> torch.Tensor:
    """Let every place see itself and all places before it.

    Parameters
    ----------
    qkv : float32 tensor (B, T, 3E)
        Queries, keys and values side by side, each split into heads.
    n_heads : int
        Heads of E / n_heads features.

    Returns
    -------
    float32 tensor (B, T, E)
    """
    heads = qkv.unflatten(-1, (3, n_heads, -1)).contiguous()  # (B, T, 3, H, D)
    return _CausalAttention.apply(heads).flatten(2)


class _CausalAttention(torch.autograd.Function):
    """(B, T, 3, H, D) -> (B, T, H, D)."""

    @staticmethod
    def forward(ctx, qkv: torch.Tensor) -> torch.Tensor:  # type: ignore[no-untyped-def, override]
        n, n_places, _, n_heads, width = qkv.shape
        seen = qkv.new_empty(n, n_places, n_heads, width)
        weights = qkv.new_empty(n, n_heads, n_places, -(-n_places // STRIDE) * STRIDE)
        _kernels(width)[0](qkv.detach().numpy(), seen.numpy(), weights.numpy())
        ctx.save_for_backward(qkv, seen, weights)
        return seen

    @staticmethod
    def backward(ctx, grad: torch.Tensor) -> torch.Tensor:  # type: ignore[no-untyped-def, override]
        qkv, seen, weights = ctx.saved_tensors
        qkv_grad = torch.empty_like(qkv)
        arrays = (qkv, seen, weights, grad.contiguous(), qkv_grad)
        _kernels(qkv.shape[-1])[1](*(array.detach().numpy() for array in arrays))
        return qkv_grad


@lru_cache(maxsize=1)
def _numba_is_there() -> bool:
    return importlib.util.find_spec("numba") is not None


@lru_cache(maxsize=WIDEST)
def _kernels(width: int) -> tuple[Kernel, Kernel]:
    """Compile the forward and backward loops for heads of `width` features.

    Each is one long function: what is compiled is kept on disk only of one that calls no other
    (divided, every process compiles anew, 4 s longer until the first step).
    """
    import numba

    return numba.njit(_forward(width), fastmath=True, cache=True), numba.njit(
        _backward(width), fastmath=True, cache=True
    )


def _forward(width: int) -> Kernel:
    """Return the loops that fill `seen` (B, T, H, D) and the attention `weights` (B, H, T, >= T).

    Rows run over keys, so that a processor takes 8 or 16 keys at a time; `width` is a constant, so
    that the loops over features vanish.
    """
    scale = np.float32(math.log2(math.e) / math.sqrt(width))  # exp(x) = 2^(x log2 e)
    low, half, nowhere = np.float32(-100.0), np.float32(0.5), np.float32(-1e30)
    # 2^f for -1/2 < f < 1/2: its Taylor series, ln(2)^k / k!, to 1e-7
    c1, c2, c3, c4, c5, c6 = (np.float32(math.log(2) ** k / math.factorial(k)) for k in range(1, 7))
    zero, one = np.float32(0), np.float32(1)

    def forward(qkv, seen, weights):  # type: ignore[no-untyped-def]
        n_nights, n_places, _, n_heads, _ = qkv.shape
        longest = weights.shape[-1]
        keys = np.zeros((width, longest), np.float32)
        values = np.zeros((width, longest), np.float32)
        bits = np.empty(longest, np.int32)
        power = bits.view(np.float32)  # 2^n, written as the bits of its exponent
        query = np.empty(width, np.float32)
        for b in range(n_nights):
            for h in range(n_heads):
                for j in range(n_places):
                    for d in range(width):
                        keys[d, j] = qkv[b, j, 1, h, d] * scale
                        values[d, j] = qkv[b, j, 2, h, d]
                for i in range(n_places):
                    row = weights[b, h, i]
                    n = (i // STRIDE + 1) * STRIDE
                    for d in range(width):
                        query[d] = qkv[b, i, 0, h, d]
                    for j in range(n):
                        score = zero
                        for d in range(width):
                            score += query[d] * keys[d, j]
                        row[j] = score
                    for j in range(i + 1, n):
                        row[j] = nowhere
                    most = nowhere
                    for j in range(n):
                        score = row[j]
                        most = score if score > most else most
                    for j in range(n):
                        x = row[j] - most
                        x = x if x > low else low
                        whole = np.int32(x - half)
                        f = x - np.float32(whole)
                        series = f * (c1 + f * (c2 + f * (c3 + f * (c4 + f * (c5 + f * c6)))))
                        row[j] = one + series
                        bits[j] = (whole + np.int32(127)) << np.int32(23)
                    total = zero
                    for j in range(n):
                        share = row[j] * power[j]
                        row[j] = share
                        total += share
                    shrink = one / total
                    for j in range(n):
                        row[j] *= shrink
                    for d in range(width):
                        mixed = zero
                        for j in range(n):
                            mixed += row[j] * values[d, j]
                        seen[b, i, h, d] = mixed

    return forward


def _backward(width: int) -> Kernel:
    """Return the loops that turn the gradient of `seen` into that of `qkv`."""
    scale, zero = np.float32(1 / math.sqrt(width)), np.float32(0)

    def backward(qkv, seen, weights, seen_grad, qkv_grad):  # type: ignore[no-untyped-def]
        n_nights, n_places, _, n_heads, _ = qkv.shape
        longest = weights.shape[-1]
        keys = np.zeros((width, longest), np.float32)
        values = np.zeros((width, longest), np.float32)
        key_grad = np.empty((width, longest), np.float32)
        value_grad = np.empty((width, longest), np.float32)
        score_grad = np.empty(longest, np.float32)
        query = np.empty(width, np.float32)
        given = np.empty(width, np.float32)
        for b in range(n_nights):
            for h in range(n_heads):
                for j in range(n_places):
                    for d in range(width):
                        keys[d, j] = qkv[b, j, 1, h, d] * scale
                        values[d, j] = qkv[b, j, 2, h, d]
                key_grad[:] = zero
                value_grad[:] = zero
                for i in range(n_places):
                    row = weights[b, h, i]
                    n = (i // STRIDE + 1) * STRIDE
                    mean = zero
                    for d in range(width):
                        query[d] = qkv[b, i, 0, h, d] * scale
                        given[d] = seen_grad[b, i, h, d]
                        mean += given[d] * seen[b, i, h, d]
                    for j in range(n):
                        apart = -mean
                        for d in range(width):
                            apart += given[d] * values[d, j]
                        score_grad[j] = apart * row[j]
                    for d in range(width):
                        q, g, gathered = query[d], given[d], zero
                        for j in range(n):
                            value_grad[d, j] += row[j] * g
                            key_grad[d, j] += score_grad[j] * q
                            gathered += score_grad[j] * keys[d, j]
                        qkv_grad[b, i, 0, h, d] = gathered
                for j in range(n_places):
                    for d in range(width):
                        qkv_grad[b, j, 1, h, d] = key_grad[d, j]
                        qkv_grad[b, j, 2, h, d] = value_grad[d, j]

    return backward
