"""Compiled attention of narrow heads: the numbers of the library, values and gradients."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from models import narrow_attention
from models.layers import SelfAttention, gelu


@pytest.mark.parametrize(("n_places", "width", "n_heads"), [(90, 48, 6), (7, 12, 2), (1, 8, 1)])
def test_values_and_gradients_are_those_of_the_library(
    n_places: int, width: int, n_heads: int
) -> None:
    torch.manual_seed(0)
    qkv = (3 * torch.randn(2, n_places, 3 * width)).requires_grad_()
    grad = torch.randn(2, n_places, width)
    ours = narrow_attention.attend(qkv, n_heads)
    ours.backward(grad)
    found, qkv.grad = qkv.grad.clone(), None
    q, k, v = (x.unflatten(-1, (n_heads, -1)).transpose(1, 2) for x in qkv.chunk(3, dim=-1))
    wanted = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
    wanted.backward(grad)
    torch.testing.assert_close(ours, wanted, atol=5e-5, rtol=1e-4)
    torch.testing.assert_close(found, qkv.grad, atol=5e-4, rtol=1e-3)


def test_scores_far_apart_neither_overflow_nor_vanish() -> None:
    qkv = 40 * torch.randn(1, 20, 24, generator=torch.Generator().manual_seed(1))
    seen = narrow_attention.attend(qkv, 1)
    q, k, v = qkv[0].chunk(3, dim=-1)
    wanted = F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)
    assert seen.isfinite().all()
    torch.testing.assert_close(seen, wanted, atol=2e-3, rtol=1e-4)


def test_it_serves_training_of_narrow_heads_without_dropout_only() -> None:
    x = torch.zeros(1, 4, 48)
    assert narrow_attention.serves(x, 8, 0.0)
    assert not narrow_attention.serves(x, 64, 0.0)
    assert not narrow_attention.serves(x, 8, 0.1)
    with torch.no_grad():
        assert not narrow_attention.serves(x, 8, 0.0)


def test_training_and_inference_give_the_same_attention() -> None:
    torch.manual_seed(0)
    attention, x = SelfAttention(24, 3, 0.0), torch.randn(2, 33, 24)
    trained = attention(x, causal=True)
    with torch.no_grad():
        asked = attention(x, causal=True)
    torch.testing.assert_close(trained, asked, atol=1e-6, rtol=1e-5)


def test_gelu_and_its_slope_are_those_of_the_tanh_form() -> None:
    x = torch.linspace(-6, 6, 101, requires_grad=True)
    gelu(x).sum().backward()
    found, x.grad = x.grad.clone(), None
    F.gelu(x, approximate="tanh").sum().backward()
    torch.testing.assert_close(gelu(x), F.gelu(x, approximate="tanh"), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found, x.grad, atol=1e-6, rtol=1e-5)
