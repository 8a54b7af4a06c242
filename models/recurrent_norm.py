"""Bidirectional LSTM with recurrent batch normalisation (Cooijmans et al., ICLR 2017).

Every product and the cell are normalised over the batch, with statistics of their own for every
time step. Done step by step that means many passes over wide arrays. Here no wide array is ever
normalised: for y = x W^T, centred x and its covariance C (narrow both) give the variance of y as
the diagonal of W C W^T, so that the scale goes into the weights of the step, which add the
normalised product to the gates in the same matrix product. Both directions run side by side, and
the recurrence has its own backward pass. `benchmarks/recurrent_batch_norm.py` tells the gain.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

EPS, MOMENTUM = 1e-5, 0.05  # published; the new statistics count by MOMENTUM


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
        inputs = [self.dropout(x), self.dropout(x).flip(1)]
        with torch.autocast(x.device.type, enabled=False):  # tiny variances need every digit
            both = torch.stack(inputs).float().permute(2, 0, 1, 3)  # (T, 2, N, inputs)
            adapts = self.training and self.fw.weight_hh.requires_grad
            h = self._by_batch(both) if adapts else self._by_running(both)
        forward, backward = h.transpose(0, 2).unbind(1)  # (N, T, hidden) each
        return torch.cat([self.dropout(forward), self.dropout(backward.flip(1))], dim=-1)

    def _by_batch(self, x: torch.Tensor) -> torch.Tensor:
        """Run (T, 2, N, inputs) -> (T, 2, N, hidden) with the statistics of the batch."""
        weight, scale = self._both("weight_xh"), self._both("bn_xh.weight")
        mean, centred = _centre(x)
        covariance = centred.mT @ centred / x.shape[2]  # (T, 2, inputs, inputs)
        var = (weight @ covariance * weight).sum(-1)  # (T, 2, 4 hidden)
        scaled = weight * (scale * torch.rsqrt(var + EPS))[..., None]
        offset = self._both("bn_hh.bias")[:, None]  # of the other product, but added all the same
        driven = _products(offset.expand(len(x), -1, -1, -1), centred, scaled)
        self._follow("bn_xh", (mean @ weight.mT)[..., 0, :], var)
        names = "weight_hh", "bn_hh.weight", "bn_c.weight", "bn_c.bias"
        h, *of_h, c_mean, c_var = _Recurrence.apply(driven, *map(self._both, names))
        self._follow("bn_hh", *of_h)
        self._follow("bn_c", c_mean, c_var)
        return h

    def _by_running(self, x: torch.Tensor) -> torch.Tensor:
        """Run (T, 2, N, inputs) -> (T, 2, N, hidden) with the running statistics."""
        (x_scale, x_shift), (h_scale, h_shift), (c_scale, c_shift) = (
            self._affine(name, len(x)) for name in ("bn_xh", "bn_hh", "bn_c")
        )
        driven = _products(
            (x_shift + h_shift)[:, :, None], x, self._both("weight_xh") * x_scale[..., None]
        )
        weights = (self._both("weight_hh") * h_scale[..., None]).mT  # (T, 2, hidden, 4 hidden)
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

    def _follow(self, name: str, mean: torch.Tensor, var: torch.Tensor) -> None:
        """Hand the statistics (T, 2, width) of a batch to the normalisation `name`."""
        for at, way in enumerate((self.fw, self.bw)):
            getattr(way, name).follow(mean[:, at], var[:, at])


def _centre(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean over the batch (..., 1, width), and x (..., N, width) without it."""
    mean = x.mean(dim=-2, keepdim=True)
    return mean, x - mean


def _products(offset: torch.Tensor, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return offset + x weights^T, (T, 2, N, width), in one call of the matrix library."""
    gates = torch.baddbmm(offset.flatten(0, 1), x.flatten(0, 1), weights.flatten(0, 1).mT)
    return gates.unflatten(0, x.shape[:2])


class _Recurrence(torch.autograd.Function):
    """What the inputs drive, (T, 2, N, 4H) -> h (T, 2, N, H) and statistics of each step.

    z_t = driven_t + BN(h_{t-1} W^T), c_t = sigmoid(f) c_{t-1} + sigmoid(i) tanh(j) and
    h_t = sigmoid(o) tanh(BN(c_t)); the offset of the first BN is part of `driven`.
    """

    @staticmethod
    def forward(  # type: ignore[no-untyped-def, override]
        ctx, driven: torch.Tensor, weight, scale, c_scale, c_offset
    ) -> tuple[torch.Tensor, ...]:
        n_steps, _, n, width = driven.shape
        size = width // 4
        gates = torch.empty_like(driven)  # after their non-linearities
        h, c, normal, lit, centred = driven.new_empty(5, n_steps, 2, n, size)
        spread = driven.new_zeros(n_steps, 2, width, size)  # W C
        mean, var = driven.new_zeros(2, n_steps, 2, width)
        c_mean, c_var = driven.new_empty(2, n_steps, 2, size)
        for t in range(n_steps):
            if t:
                h_mean = h[t - 1].mean(dim=1, keepdim=True)
                torch.sub(h[t - 1], h_mean, out=centred[t])
                torch.bmm(weight, centred[t].mT @ centred[t] / n, out=spread[t])
                torch.sum(spread[t] * weight, -1, out=var[t])
                torch.matmul(weight, h_mean.mT, out=mean[t, :, :, None])
                scaled = weight * (scale * torch.rsqrt(var[t] + EPS))[..., None]
                torch.baddbmm(driven[t], centred[t], scaled.mT, out=gates[t])
            else:  # h is zero: nothing to add, and nothing varies
                gates[0] = driven[0]
            gates[t, ..., : 3 * size].sigmoid_()
            gates[t, ..., 3 * size :].tanh_()
            forget, write, out, candidate = gates[t].chunk(4, dim=-1)
            torch.mul(write, candidate, out=c[t])
            if t:
                c[t].addcmul_(forget, c[t - 1])
            torch.mean(c[t], dim=1, out=c_mean[t])
            torch.sub(c[t], c_mean[t, :, None], out=normal[t])
            torch.mean(normal[t].square(), dim=1, out=c_var[t])
            normal[t] *= torch.rsqrt(c_var[t] + EPS)[:, None]
            torch.addcmul(c_offset[:, None], normal[t], c_scale[:, None], out=lit[t]).tanh_()
            torch.mul(out, lit[t], out=h[t])
        ctx.save_for_backward(
            weight, scale, c_scale, gates, c, normal, lit, centred, spread, var, c_var
        )
        ctx.mark_non_differentiable(mean, var, c_mean, c_var)
        return h, mean, var, c_mean, c_var

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_h: torch.Tensor, *_: Any) -> tuple[torch.Tensor, ...]:  # type: ignore[no-untyped-def, override]
        weight, scale, c_scale, gates, c, normal, lit, centred, spread, var, c_var = (
            ctx.saved_tensors
        )
        n_steps, _, n, size = c.shape
        grad_gates = torch.empty_like(gates)
        grad_weight = torch.zeros_like(weight)
        grad_scale, grad_c_scale, grad_c_offset = (
            torch.zeros_like(like) for like in (scale, c_scale, c_scale)
        )
        carried_h, carried_c = torch.zeros(2, *c[0].shape, device=c.device)
        rstd, c_rstd = torch.rsqrt(var + EPS), torch.rsqrt(c_var + EPS)[:, :, None]
        for t in reversed(range(n_steps)):
            forget, write, out, candidate = gates[t].chunk(4, dim=-1)
            grad = grad_gates[t]
            to_forget, to_write, to_out, to_candidate = grad.chunk(4, dim=-1)
            dh = carried_h.add_(grad_h[t])
            torch.mul(dh, lit[t], out=to_out)
            dy = _tanh_slope(dh * out, lit[t])
            along = (dy * normal[t]).sum(dim=1)
            grad_c_scale += along
            total = dy.sum(dim=1)
            grad_c_offset += total
            dy.sub_(total[:, None] / n).addcmul_(normal[t], along[:, None], value=-1 / n)
            dc = carried_c.addcmul_(dy, c_scale[:, None] * c_rstd[t])
            torch.mul(dc, candidate, out=to_write)
            torch.mul(dc, write, out=to_candidate)
            _tanh_slope(to_candidate, candidate)
            if t:
                torch.mul(dc, c[t - 1], out=to_forget)
            else:
                to_forget.zero_()
            _sigmoid_slope(grad[..., : 3 * size], gates[t, ..., : 3 * size])
            if not t:
                break
            carried_c = dc.mul_(forget)
            factor = scale * rstd[t]
            from_scaled = grad.mT @ centred[t]  # gradient of the scaled weights
            from_factor = (from_scaled * weight).sum(dim=-1)
            grad_scale += from_factor * rstd[t]
            from_var = (from_factor * factor * rstd[t].square()).mul_(-0.5)[..., None]
            grad_weight.addcmul_(from_scaled, factor[..., None])
            grad_weight.addcmul_(from_var, spread[t], value=2)
            from_covariance = weight.mT @ (from_var * weight)
            carried_h = grad @ (weight * factor[..., None])
            carried_h.baddbmm_(centred[t], from_covariance, alpha=2 / n)
            carried_h -= carried_h.mean(dim=1, keepdim=True)
        return grad_gates, grad_weight, grad_scale, grad_c_scale, grad_c_offset


def _sigmoid_slope(grad: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Multiply `grad` by the slope of a sigmoid of that value, in place."""
    return torch.ops.aten.sigmoid_backward.grad_input(grad, value, grad_input=grad)


def _tanh_slope(grad: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Multiply `grad` by the slope of a tanh of that value, in place."""
    return torch.ops.aten.tanh_backward.grad_input(grad, value, grad_input=grad)
