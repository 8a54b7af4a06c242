"""Bidirectional LSTM with recurrent batch normalisation (Cooijmans et al., ICLR 2017).

Every product and the cell are normalised over the batch, with statistics of their own for every
time step. Written with PyTorch's operations, a step is some forty passes over arrays of four times
the hidden width, most of them for gradients of slices. Here the recurrence has a backward pass of
its own, each step stays in the processor's cache, and a normalisation is one fused call forward and
one backward; `benchmarks/recurrent_batch_norm.py` compares it with `torch.nn.LSTM`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

EPS, MOMENTUM = 1e-5, 0.05  # published; the new statistics count by MOMENTUM

_batch_norm = torch.ops.aten.native_batch_norm.out
_batch_norm_back = torch.ops.aten.native_batch_norm_backward.default
_sigmoid_back = torch.ops.aten.sigmoid_backward.grad_input
_tanh_back = torch.ops.aten.tanh_backward.grad_input


class StepNorm(nn.Module):
    """Parameters of a batch normalisation with statistics of its own for every time step.

    Notes
    -----
    Scale and offset are shared by the steps. The running variance takes the biased variance of
    the batch, where PyTorch's own layer takes the unbiased one. Sequences longer than `n_steps`
    use the statistics of the last step.
    """

    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, n_steps: int, width: int, *, offset: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((width,), 0.1))
        self.bias = nn.Parameter(torch.zeros(width)) if offset else None
        self.register_buffer("running_mean", torch.zeros(n_steps, width))
        self.register_buffer("running_var", torch.ones(n_steps, width))

    def affine(self, n_steps: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return scale and offset (n_steps, width) that normalise by the running statistics."""
        steps = torch.arange(n_steps, device=self.weight.device)
        steps = steps.clamp(max=len(self.running_mean) - 1)
        scale = self.weight * torch.rsqrt(self.running_var[steps] + EPS)
        shift = -self.running_mean[steps] * scale
        return scale, shift if self.bias is None else shift + self.bias

    @torch.no_grad()
    def follow(self, mean: torch.Tensor, var: torch.Tensor) -> None:
        """Let the running statistics follow those of a batch, (T, width) each."""
        for running, now in ((self.running_mean, mean), (self.running_var, var)):
            known = running[: len(now)]
            known.lerp_(now[: len(known)], MOMENTUM)


class Direction(nn.Module):
    """Parameters of one direction; the gates are forget, input, output and candidate."""

    def __init__(self, n_steps: int, n_inputs: int, hidden: int) -> None:
        super().__init__()
        self.weight_xh = nn.Parameter(torch.empty(4 * hidden, n_inputs))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden, hidden))
        for weight in (self.weight_xh, self.weight_hh):
            nn.init.orthogonal_(weight)
        self.bn_xh = StepNorm(n_steps, 4 * hidden, offset=False)
        self.bn_hh = StepNorm(n_steps, 4 * hidden)
        self.bn_c = StepNorm(n_steps, hidden)
        assert self.bn_hh.bias is not None
        nn.init.ones_(self.bn_hh.bias[:hidden])  # remember at first: the forget gate


class Recurrent(nn.Module):
    """Both directions; the backward one counts its steps from the end of the sequence.

    Notes
    -----
    Frozen parameters (`requires_grad` off) keep to the running statistics while the rest trains.
    Statistics belong to a batch: accumulated or divided batches are not one large batch, and a
    batch of one window cannot be trained on.
    """

    def __init__(self, n_steps: int, n_inputs: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.fw = Direction(n_steps, n_inputs, hidden)
        self.bw = Direction(n_steps, n_inputs, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, T, inputs) -> (N, T, 2 hidden), float32 whatever the precision around it."""
        adapts = self.training and self.fw.weight_hh.requires_grad
        if adapts and len(x) == 1:
            raise ValueError("a batch of one sequence has no statistics: train on two or more")
        inputs = [self.dropout(x), self.dropout(x).flip(1)]
        both = torch.stack([way.transpose(0, 1) for way in inputs], dim=1)  # (T, 2, N, inputs)
        with torch.autocast(x.device.type, enabled=False):  # tiny variances need every digit
            h = self._by_batch(both.float()) if adapts else self._by_running(both.float())
        forward, backward = h.permute(1, 2, 0, 3)  # (N, T, hidden) each
        return torch.cat([self.dropout(forward), self.dropout(backward.flip(1))], dim=-1)

    def _by_batch(self, x: torch.Tensor) -> torch.Tensor:
        """Run (T, 2, N, inputs) -> (T, 2, N, hidden) with the statistics of the batch."""
        size = self.fw.weight_hh.shape[1]
        double = x.new_ones(4 * size)
        double[3 * size :] = 2  # see _Recurrence
        h, *statistics = _Recurrence.apply(
            x,
            *map(self._both, ("weight_xh", "weight_hh")),
            *(double * self._both(f"bn_{at}") for at in ("xh.weight", "hh.weight", "hh.bias")),
            *(2 * self._both(f"bn_c.{part}") for part in ("weight", "bias")),
        )
        for at, name in enumerate(("bn_xh", "bn_hh", "bn_c")):
            mean, var = statistics[2 * at : 2 * at + 2]  # (T, 2, width)
            for index, way in enumerate((self.fw, self.bw)):
                getattr(way, name).follow(mean[:, index], var[:, index])
        return h

    def _by_running(self, x: torch.Tensor) -> torch.Tensor:
        """Run (T, 2, N, inputs) -> (T, 2, N, hidden) with the running statistics."""
        (x_scale, x_shift), (h_scale, h_shift), (c_scale, c_shift) = (
            self._affine(name, len(x)) for name in ("bn_xh", "bn_hh", "bn_c")
        )
        driven = x @ (self._both("weight_xh") * x_scale[..., None]).mT
        driven = driven + (x_shift + h_shift)[:, :, None]
        weights = (self._both("weight_hh") * h_scale[..., None]).mT  # (T, 2, H, 4H)
        h = c = x.new_zeros(2, x.shape[2], weights.shape[2])
        outputs = []
        for step, gates in enumerate(driven):
            gates = torch.baddbmm(gates, h, weights[step])
            forget, write, out, candidate = gates.chunk(4, dim=-1)
            c = forget.sigmoid() * c + write.sigmoid() * candidate.tanh()
            normal = torch.addcmul(c_shift[step, :, None], c, c_scale[step, :, None])
            h = out.sigmoid() * normal.tanh()  # the plain c is what is carried on
            outputs.append(h)
        return torch.stack(outputs)

    def _both(self, name: str) -> torch.Tensor:
        """Return the parameter `name` of both directions, stacked."""
        return torch.stack([self.fw.get_parameter(name), self.bw.get_parameter(name)])

    def _affine(self, name: str, n_steps: int) -> list[torch.Tensor]:
        """Return scale and offset of the normalisation `name`, (T, 2, width) each."""
        pairs = [getattr(way, name).affine(n_steps) for way in (self.fw, self.bw)]
        return [torch.stack(pair, dim=1) for pair in zip(*pairs, strict=True)]


class _Recurrence(torch.autograd.Function):
    """Inputs (T, 2, N, I) -> h (T, 2, N, H), then mean and variance of each normalised product.

    z_t = BN(x_t W_x^T) + BN(h_{t-1} W_h^T), c_t = sigmoid(f) c_{t-1} + sigmoid(i) tanh(j) and
    h_t = sigmoid(o) tanh(BN(c_t)), with tanh(a) = 2 sigmoid(2a) - 1, as a vectorised sigmoid costs
    a seventh of a tanh: the caller doubles scale and offset of what goes into a tanh.
    """

    @staticmethod
    def forward(  # type: ignore[no-untyped-def, override]
        ctx, x: torch.Tensor, x_weight, h_weight, x_scale, h_scale, h_offset, c_scale, c_offset
    ) -> tuple[torch.Tensor, ...]:
        n_steps, _, n, _ = x.shape
        size = h_weight.shape[-1]
        by_x, by_h, gates = (x.new_empty(n_steps, 2, n, 4 * size) for _ in range(3))
        h, c, lit = (x.new_empty(n_steps, 2, n, size) for _ in range(3))
        of_x, of_h = _Moments(x, x_scale), _Moments(x, h_scale, h_offset)
        of_c = _Moments(x, c_scale, c_offset)
        scratch = torch.empty_like(by_x[0])
        for t in range(n_steps):
            torch.bmm(x[t], x_weight.mT, out=by_x[t])
            of_x.normalise(by_x[t], t, gates[t])
            if t:
                torch.bmm(h[t - 1], h_weight.mT, out=by_h[t])
                of_h.normalise(by_h[t], t, scratch)
                gates[t] += scratch
            else:  # h is zero: nothing varies
                gates[0] += h_offset[:, None]
            forget, write, out, candidate = gates[t].sigmoid_().chunk(4, dim=-1)
            candidate.mul_(2).sub_(1)
            torch.mul(write, candidate, out=c[t])
            if t:
                c[t].addcmul_(forget, c[t - 1])
            of_c.normalise(c[t], t, lit[t])
            torch.mul(out, lit[t].sigmoid_().mul_(2).sub_(1), out=h[t])
        ctx.moments = of_x, of_h, of_c
        ctx.save_for_backward(*(x, x_weight, h_weight, by_x, by_h, gates, h, c, lit))
        statistics = [each for moments in ctx.moments for each in (moments.mean, moments.var())]
        ctx.mark_non_differentiable(*statistics)
        return h, *statistics

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_h: torch.Tensor, *_: Any) -> tuple[torch.Tensor, ...]:  # type: ignore[no-untyped-def, override]
        x, x_weight, h_weight, by_x, by_h, gates, h, c, lit = ctx.saved_tensors
        of_x, of_h, of_c = ctx.moments
        grad_x, grad_x_weight = torch.empty_like(x), torch.zeros_like(x_weight)
        grad_h_weight = torch.zeros_like(h_weight)
        of_gates, from_product = (torch.empty_like(gates[0]) for _ in range(2))
        from_c, carried_h, carried_c = (torch.zeros_like(c[0]) for _ in range(3))
        for t in reversed(range(len(x))):
            dh = carried_h.add_(grad_h[t])
            of_c.back(_back_to_cell(dh, gates[t], lit[t], of_gates), c[t], t, from_c)
            dc = carried_c.add_(from_c)
            _back_to_gates(dc, gates[t], c[t - 1] if t else None, of_gates)
            of_x.back(of_gates, by_x[t], t, from_product)
            grad_x_weight.baddbmm_(from_product.mT, x[t])
            torch.bmm(from_product, x_weight, out=grad_x[t])
            if t:
                of_h.back(of_gates, by_h[t], t, from_product)
                grad_h_weight.baddbmm_(from_product.mT, h[t - 1])
                torch.bmm(from_product, h_weight, out=carried_h)
        h_scale, h_offset = of_h.grads()
        h_offset += of_gates.sum(dim=1)  # the first step has no more than the offset
        return (
            *(grad_x, grad_x_weight, grad_h_weight),
            *(of_x.grads()[0], h_scale, h_offset, *of_c.grads()),
        )


def _back_to_cell(
    dh: torch.Tensor, gates: torch.Tensor, lit: torch.Tensor, of_gates: torch.Tensor
) -> torch.Tensor:
    """Write what `dh` asks of the output gate; return what it asks of the normalised cell."""
    torch.mul(dh, lit, out=of_gates.chunk(4, dim=-1)[2])
    return _tanh_slope(dh.mul_(gates.chunk(4, dim=-1)[2]), lit).mul_(0.5)


def _back_to_gates(
    dc: torch.Tensor, gates: torch.Tensor, before: torch.Tensor | None, of_gates: torch.Tensor
) -> None:
    """Write what `dc` asks of the gates before their slopes, and carry `dc` to the step before."""
    forget, write, _, candidate = gates.chunk(4, dim=-1)
    to_forget, to_write, _, to_candidate = of_gates.chunk(4, dim=-1)
    torch.mul(dc, candidate, out=to_write)
    torch.mul(dc, write, out=to_candidate)
    if before is None:
        to_forget.zero_()
    else:
        torch.mul(dc, before, out=to_forget)
    sigmoids = slice(3 * dc.shape[-1])
    _sigmoid_slope(of_gates[..., sigmoids], gates[..., sigmoids])
    _tanh_slope(to_candidate, candidate).mul_(0.5)
    dc.mul_(forget)


class _Moments:
    """Mean and inverse deviation of each step of a product, and the gradients of its two numbers.

    Everything is cut into its steps and directions once: with batches of a few sequences, cutting
    takes as long as computing.
    """

    def __init__(
        self, like: torch.Tensor, scale: torch.Tensor, offset: torch.Tensor | None = None
    ) -> None:
        self.mean, self.rstd = like.new_zeros(2, len(like), *scale.shape)
        self.rstd += EPS**-0.5  # of a step that is not normalised, for nothing varies
        self._steps = tuple(each.flatten(0, 1).unbind() for each in (self.mean, self.rstd))
        self._scale = scale.unbind()
        self._offset = (None, None) if offset is None else offset.unbind()
        self._grads: tuple[list[torch.Tensor], ...] = ([], [], [], [])

    def var(self) -> torch.Tensor:
        """Return the biased variances (T, 2, width)."""
        return self.rstd.pow(-2).sub_(EPS).clamp_(min=0)

    def normalise(self, x: torch.Tensor, t: int, out: torch.Tensor) -> None:
        """Write `x` (2, N, width), the product of step `t`, normalised over N, to `out`."""
        for way, (each, normal) in enumerate(zip(x.unbind(), out.unbind(), strict=True)):
            mean, rstd = (kind[2 * t + way] for kind in self._steps)
            numbers = self._scale[way], self._offset[way], None, None, True, 0.0, EPS
            _batch_norm(each, *numbers, out=normal, save_mean=mean, save_invstd=rstd)

    def back(self, grad: torch.Tensor, x: torch.Tensor, t: int, out: torch.Tensor) -> None:
        """Write the gradient of `x` of step `t` to `out`, given that of its normal form."""
        for way, (of_normal, each, into) in enumerate(
            zip(grad.unbind(), x.unbind(), out.unbind(), strict=True)
        ):
            mean, rstd = (kind[2 * t + way] for kind in self._steps)
            told = self._scale[way], None, None, mean, rstd, True, EPS, [True, True, True]
            of_x, of_scale, of_offset = _batch_norm_back(of_normal, each, *told)
            into.copy_(of_x)
            self._grads[way].append(of_scale)
            self._grads[2 + way].append(of_offset)

    def grads(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the gradients of scale and offset (2, width), summed over the steps."""
        return self._summed(0), self._summed(2)

    def _summed(self, at: int) -> torch.Tensor:
        """Sum the gradients of both directions; there are none of a sequence of one step."""
        lists = self._grads[at : at + 2]
        zero = torch.zeros_like(self._scale[0])
        summed = torch.stack([torch.stack([zero, *steps]).sum(dim=0) for steps in lists])
        for steps in lists:
            steps.clear()
        return summed


def _sigmoid_slope(grad: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Multiply `grad` by the slope of a sigmoid of that value, in place."""
    return _sigmoid_back(grad, value, grad_input=grad)


def _tanh_slope(grad: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Multiply `grad` by the slope of a tanh of that value, in place."""
    return _tanh_back(grad, value, grad_input=grad)
