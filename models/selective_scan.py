"""The two selective scans of Mamba in plain PyTorch: S6, and SSD of Mamba-2.

Both run a linear recurrence whose decay follows from the input. Neither is run step by step:

- SSD (Dao and Gu, ICML 2024, section 6) has one decay per head, so a chunk of Q steps is a masked
  product of Q x Q matrices and only the states between chunks are carried.
- S6 (Gu and Dao, COLM 2024, section 3) has a decay per channel and state, so nothing turns into a
  matrix product. What the steps do is multiply and add, one operation each; all else is done for
  a chunk at once, while it is in the cache, and the backward pass computes the states of a chunk
  again instead of keeping those of all steps.

On a GPU the kernels of `mamba_ssm` are used where they can be imported.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache, wraps

import torch

SSD_CHUNK = 64  # one long chunk loses precision: 1.8e-4 against 2.7e-5 at 1,200 steps
S6_CHUNK = 32
S6_FEW = 4  # so few steps cost less one by one
S6_BLOCK = 1 << 19  # states held at once on a CPU, so that they stay in its cache (2 MB)


def _in_float32(scan: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Run a scan in float32, under autocast too: decays and states need the digits."""

    @wraps(scan)
    def run(*inputs: torch.Tensor, **options: int) -> torch.Tensor:
        with torch.autocast(inputs[0].device.type, enabled=False):
            return scan(*(tensor.float() for tensor in inputs), **options)

    return run


@_in_float32
def ssd(
    x: torch.Tensor,
    delta: torch.Tensor,
    rate: torch.Tensor,
    write: torch.Tensor,
    read: torch.Tensor,
    *,
    chunk: int = SSD_CHUNK,
) -> torch.Tensor:
    """Return y_t = S_t read_t with S_t = exp(delta_t rate) S_{t-1} + delta_t x_t write_t^T.

    Parameters
    ----------
    x : tensor (B, L, H, P)
        What the H heads write into their states.
    delta : tensor (B, L, H)
        Step sizes, positive.
    rate : tensor (H,)
        Decay rates, negative.
    write, read : tensors (B, L, G, N)
        Called B and C in the papers; head j uses group j // (H / G).
    chunk : int
        Steps per chunk; it changes the rounding, nothing else.

    Returns
    -------
    tensor (B, L, H, P), float32
        Computed in float32 whatever the inputs are.
    """
    kernel = _kernel("mamba_ssm.ops.triton.ssd_combined", "mamba_chunk_scan_combined")
    if kernel is not None and x.is_cuda:
        return kernel(x, delta, rate, write, read, chunk)
    n_steps, n_heads = x.shape[1:3]
    if n_steps == 1:  # nothing to remember yet
        weight = _by_head((write * read).sum(-1, keepdim=True), n_heads)
        return weight * delta[..., None] * x
    x, decay = delta[..., None] * x, delta * rate
    size = min(chunk, n_steps)
    x, decay, write, read = (_chunks(t, size) for t in (x, decay, write, read))
    decay = decay.movedim(-1, 2).cumsum(dim=-1)  # (B, K, H, Q)
    scores = _by_head(read.movedim(3, 2) @ write.movedim(3, 2).mT, n_heads, dim=2)
    inside = (scores * _decays(decay)) @ x.movedim(3, 2)  # (B, K, H, Q, P)
    if x.shape[1] > 1:
        inside = inside + _carried(x, decay, write, read)
    return inside.movedim(2, 3).flatten(1, 2)[:, :n_steps]


def _decays(decay: torch.Tensor) -> torch.Tensor:
    """(..., Q) summed rates -> (..., Q, Q): what of step s is left at step t, 0 where s > t.

    Masked before the exponential: a difference that grows without bound would give NaN gradients.
    """
    size = decay.shape[-1]
    later = torch.ones(size, size, dtype=torch.bool, device=decay.device).triu(1)
    apart = decay[..., :, None] - decay[..., None, :]
    return apart.masked_fill(later, -torch.inf).exp()


def _carried(
    x: torch.Tensor, decay: torch.Tensor, write: torch.Tensor, read: torch.Tensor
) -> torch.Tensor:
    """Return what each step (B, K, H, Q, P) reads of the chunks before its own."""
    n_heads = x.shape[3]
    left = (decay[..., -1:] - decay).exp()  # of each step at the end of its chunk
    writes = _by_head(write, n_heads, dim=3).movedim(3, 2)  # (B, K, H, Q, N)
    states = (left[..., None] * x.movedim(3, 2)).mT @ writes  # (B, K, H, P, N)
    kept = decay[..., -1].exp()[..., None, None]  # (B, K, H, 1, 1)
    state, before = torch.zeros_like(states[:, 0]), []
    for number in range(states.shape[1]):
        before.append(state)
        state = torch.addcmul(states[:, number], kept[:, number], state)
    reads = _by_head(read, n_heads, dim=3).movedim(3, 2)
    return decay.exp()[..., None] * (reads @ torch.stack(before, dim=1).mT)


def _chunks(x: torch.Tensor, size: int) -> torch.Tensor:
    """(B, L, ...) -> (B, K, size, ...), zeros behind the last step."""
    missing = -x.shape[1] % size
    if missing:
        x = torch.cat([x, x.new_zeros(x.shape[0], missing, *x.shape[2:])], dim=1)
    return x.unflatten(1, (-1, size))


def _by_head(x: torch.Tensor, n_heads: int, dim: int = 2) -> torch.Tensor:
    """Give every head the row of its group along `dim`."""
    n_groups = x.shape[dim]
    if n_groups == 1:
        return x.expand(*x.shape[:dim], n_heads, *x.shape[dim + 1 :])
    return x.repeat_interleave(n_heads // n_groups, dim=dim)


@_in_float32
def s6(
    x: torch.Tensor,
    delta: torch.Tensor,
    rate: torch.Tensor,
    write: torch.Tensor,
    read: torch.Tensor,
    *,
    chunk: int = S6_CHUNK,
) -> torch.Tensor:
    """Return y_t = h_t read_t with h_t = exp(delta_t rate) h_{t-1} + (delta_t x_t) write_t^T.

    Parameters
    ----------
    x, delta : tensors (B, L, D)
        Input, and step sizes, positive.
    rate : tensor (D, N)
        Decay rates, negative.
    write, read : tensors (B, L, N)
        Called B and C in the paper.
    chunk : int
        Steps whose states are held at once; no number changes with it but by rounding.

    Returns
    -------
    tensor (B, L, D), float32
        Computed in float32 whatever the inputs are.
    """
    kernel = _kernel("mamba_ssm.ops.selective_scan_interface", "selective_scan_fn")
    if kernel is not None and x.is_cuda:
        first, second, *others = (t.mT.contiguous() for t in (x, delta, write, read))
        return kernel(first, second, rate, *others).mT
    if x.shape[1] == 1:  # nothing to remember yet
        return (write * read).sum(-1, keepdim=True) * delta * x
    if x.shape[1] <= S6_FEW:
        return _few_steps(x, delta, rate, write, read)
    chunk = min(chunk, x.shape[1])
    at_once = max(1, S6_BLOCK // (chunk * rate.numel())) if x.device.type == "cpu" else len(x)
    parts = zip(*(t.split(at_once) for t in (x, delta, write, read)), strict=True)
    return torch.cat([_S6.apply(*part, rate, chunk) for part in parts])


def _few_steps(
    x: torch.Tensor,
    delta: torch.Tensor,
    rate: torch.Tensor,
    write: torch.Tensor,
    read: torch.Tensor,
) -> torch.Tensor:
    """S6 one step after another, as it is defined."""
    state, y = x.new_zeros(len(x), *rate.shape), []
    for t in range(x.shape[1]):
        kept = (delta[:, t, :, None] * rate).exp()
        state = kept * state + (delta[:, t] * x[:, t])[..., None] * write[:, t, None]
        y.append((state @ read[:, t, :, None]).squeeze(-1))
    return torch.stack(y, dim=1)


class _S6(torch.autograd.Function):
    """S6 chunk by chunk; the backward pass starts each chunk from the state kept at its begin.

    Time comes first and the channels last: a step is one block (B, N, D) in a row, and what is
    spread over the states still runs along the channels.
    """

    @staticmethod
    def forward(ctx, x, delta, write, read, rate, chunk):  # type: ignore[no-untyped-def, override]
        x, delta, write, read = (t.transpose(0, 1) for t in (x, delta, write, read))
        rate = rate.T.contiguous()  # (N, D)
        state = x.new_zeros(x.shape[1], *rate.shape)
        y, begins = torch.empty(x.shape, device=x.device), []
        for steps in _slices(len(x), chunk):
            begins.append(state)
            states, kept = _states(x[steps], delta[steps], rate, write[steps], state)
            torch.matmul(read[steps, :, None], states, out=y[steps].unsqueeze(-2))
            state = states[-1].clone()
        only = (states, kept) if len(begins) == 1 else ()  # cheaper to keep than to find again
        ctx.save_for_backward(x, delta, write, read, rate, torch.stack(begins), *only)
        ctx.chunk = chunk
        return y.transpose(0, 1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):  # type: ignore[no-untyped-def, override]
        x, delta, write, read, rate, begins, *only = ctx.saved_tensors
        grad = grad.transpose(0, 1)
        grads = [torch.empty(t.shape, device=t.device) for t in (x, delta, write, read)]
        rate_grad, coming = torch.zeros_like(rate), torch.zeros_like(begins[0])
        for number, steps in reversed(list(enumerate(_slices(len(x), ctx.chunk)))):
            now = [t[steps] for t in (x, delta, write, read)]
            states, kept = only or _states(now[0], now[1], rate, now[2], begins[number])
            # as a sum of products: the batched product with a column is ten times slower
            torch.sum(states * grad[steps, :, None], dim=-1, out=grads[3][steps])
            flow, coming = _flow(grad[steps], now[3], kept, coming)
            left = torch.empty_like(kept)  # of the state before
            torch.mul(kept[0], begins[number], out=left[0])
            torch.mul(kept[1:], states[:-1], out=left[1:])
            rate_grad += _step_grads(flow, left, rate, now, [t[steps] for t in grads])
        return *(t.transpose(0, 1) for t in grads), rate_grad.T, None


def _states(
    x: torch.Tensor,
    delta: torch.Tensor,
    rate: torch.Tensor,
    write: torch.Tensor,
    before: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the states (Q, B, N, D) of the steps of a chunk, and the decay of each step."""
    kept = (delta[:, :, None] * rate).exp_()
    states = (delta * x)[:, :, None] * write[..., None]
    for state, share in zip(states.unbind(), kept.unbind(), strict=True):
        before = torch.addcmul(state, share, before, out=state)
    return states, kept


def _flow(
    grad: torch.Tensor, read: torch.Tensor, kept: torch.Tensor, coming: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradient of each state of a chunk, and what it hands to the chunk before."""
    flow = grad[:, :, None] * read[..., None]
    steps, shares = flow.unbind(), kept.unbind()
    after = steps[-1].add_(coming)
    for step, share in zip(reversed(steps[:-1]), reversed(shares[1:]), strict=True):
        after = torch.addcmul(step, share, after, out=step)
    return flow, shares[0] * after


def _step_grads(
    flow: torch.Tensor,
    left: torch.Tensor,
    rate: torch.Tensor,
    inputs: list[torch.Tensor],
    grads: list[torch.Tensor],
) -> torch.Tensor:
    """Fill the gradients of x, delta and write; return that of the rate. Overwrites `left`.

    `left` is exp(delta rate) h_{t-1}: times `flow`, the gradient by delta * rate.
    """
    x, delta, write, _ = inputs
    writing = (write[:, :, None] @ flow).squeeze(-2)  # by delta * x
    torch.mul(delta, writing, out=grads[0])
    torch.sum(flow * (delta * x)[:, :, None], dim=-1, out=grads[2])
    left *= flow
    torch.addcmul((left * rate).sum(dim=2), x, writing, out=grads[1])
    return left.mul_(delta[:, :, None]).sum(dim=(0, 1))


def _slices(n_steps: int, size: int) -> list[slice]:
    """Cut steps 0..n_steps-1 into pieces of at most `size`."""
    return [slice(first, min(first + size, n_steps)) for first in range(0, n_steps, size)]


@cache
def _kernel(module: str, name: str) -> Callable[..., torch.Tensor] | None:
    """Return a GPU kernel of `mamba_ssm` if it can be imported.

    The function is asked for, not the package: S6 is compiled only on request when installing.
    """
    try:
        return getattr(importlib.import_module(module), name, None)
    except (ImportError, RuntimeError):  # Triton raises RuntimeError where there is no driver
        return None
